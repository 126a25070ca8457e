//! TLS for the Kubernetes API: client certificates of the cluster's authority, nothing else.

use std::{io, net::SocketAddr, sync::Arc};

use axum::serve::Listener;
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::sim::{
    cluster::Cluster,
    pki::{ServerNames, certificates},
};

/// Connections whose handshakes are done; a slow client does not hold up the others.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

/// Serves TLS on a listener, with a certificate for its address.
pub fn listener(cluster: &Cluster, listener: TcpListener) -> io::Result<TlsListener> {
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(config(cluster, address)?);
    let (sender, ready) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
            };
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move {
                let Ok(peer) = stream.peer_addr() else { return };
                if let Ok(stream) = acceptor.accept(stream).await {
                    // The API may be gone by now.
                    let _ = sender.send((stream, peer)).await;
                }
            });
        }
    });
    Ok(TlsListener { ready, address })
}

fn config(cluster: &Cluster, address: SocketAddr) -> io::Result<Arc<ServerConfig>> {
    let dns = ["localhost", "kubernetes", "kubernetes.default.svc"].map(str::to_owned);
    let not_before = OffsetDateTime::now_utc() - time::Duration::hours(1);
    let names = ServerNames { common_name: "kube-apiserver", dns: &dns, ips: &[address.ip()], not_before };
    let own = cluster.kubernetes().server(&names).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(cluster.kubernetes().certificate_pem()) {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain, own.key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only after this listener was dropped.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
