//! A raw client of the Talos API: generated stubs over rustls, nothing of the provider's.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use talosoci::{
    sim::{PemPair, SimNode},
    wire::{
        cosi::{GetRequest, Resource, state_client::StateClient},
        machine::machine_service_client::MachineServiceClient,
    },
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};

pub const DEADLINE: Duration = Duration::from_secs(20);

/// Whom a client trusts, and who it is.
#[derive(Clone)]
pub enum Trust {
    /// As `talosctl --insecure` does.
    Insecure,
    /// With an authority (PEM) and a client certificate.
    Mutual(String, PemPair),
    /// With an authority, but no client certificate.
    Anonymous(String),
}

/// One connection attempt; no waiting.
pub async fn dial(node: &SimNode, trust: &Trust) -> Result<Channel, io::Error> {
    let connector = Connector { port: node.talos_port(), tls: Arc::new(config(trust)) };
    let endpoint = Endpoint::from_static("https://127.0.0.1").timeout(DEADLINE);
    endpoint.connect_with_connector(connector).await.map_err(io::Error::other)
}

/// Dials until it works.
pub async fn connect(node: &SimNode, trust: &Trust) -> Channel {
    let attempt = async {
        loop {
            if let Ok(channel) = dial(node, trust).await {
                return channel;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, attempt).await.expect("the API opens")
}

/// A client of the machine service.
pub async fn machine(node: &SimNode, trust: &Trust) -> MachineServiceClient<Channel> {
    MachineServiceClient::new(connect(node, trust).await)
}

/// Dials, and calls until the answer is no transport error (TLS 1.3 tells a refused client only then).
pub async fn talk(node: &SimNode, trust: &Trust) -> Result<(), Status> {
    let channel = dial(node, trust).await.map_err(|error| Status::unavailable(error.to_string()))?;
    get(channel, "runtime", "MachineStatuses.runtime.talos.dev", "machine").await.map(|_| ())
}

/// The certificate that the API shows.
pub async fn server_certificate(node: &SimNode) -> Vec<u8> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.talos_port())).await.expect("connected");
    let name = ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into());
    let tls = TlsConnector::from(Arc::new(config(&Trust::Insecure))).connect(name, stream).await.expect("a handshake");
    tls.get_ref().1.peer_certificates().expect("certificates")[0].to_vec()
}

/// Whether a call failed because its connection did.
pub fn is_broken(status: &Status) -> bool {
    matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown)
        && std::error::Error::source(status).is_some()
}

/// Reads a resource.
pub async fn get(channel: Channel, namespace: &str, kind: &str, id: &str) -> Result<Resource, Status> {
    let request =
        GetRequest { namespace: namespace.to_owned(), r#type: kind.to_owned(), id: id.to_owned(), options: None };
    let response = StateClient::new(channel).get(request).await?;
    Ok(response.into_inner().resource.expect("a resource"))
}

/// The YAML of a resource.
pub async fn yaml(channel: Channel, namespace: &str, kind: &str, id: &str) -> String {
    get(channel, namespace, kind, id).await.expect("readable").spec.expect("a spec").yaml_spec
}

pub fn config(trust: &Trust) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions");
    let roots = |pem: &str| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der(pem))).expect("an authority");
        roots
    };
    let mut config = match trust {
        Trust::Insecure => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll)).with_no_client_auth()
        }
        Trust::Anonymous(ca) => builder.with_root_certificates(roots(ca)).with_no_client_auth(),
        Trust::Mutual(ca, pair) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der(&pair.key)));
            let chain = vec![CertificateDer::from(der(&pair.certificate))];
            builder.with_root_certificates(roots(ca)).with_client_auth_cert(chain, key).expect("a key pair")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The bytes of a PEM block, whatever its label.
pub fn der(pem: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).expect("base64")
}

struct Connector {
    port: u16,
    tls: Arc<ClientConfig>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (port, tls) = (self.port, TlsConnector::from(Arc::clone(&self.tls)));
        Box::pin(async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let name = ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into());
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        })
    }
}

#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
