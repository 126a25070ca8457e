//! Accepting connections, and knowing when the last one is gone.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
    time,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// How many connections there are and were.
#[derive(Clone)]
pub struct Connections(watch::Receiver<Count>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    open: usize,
    ever: usize,
}

impl Connections {
    /// Ends when a connection was there and none is left, or when none came within the time that hosts wait for us.
    pub async fn all_gone(&mut self) {
        match time::timeout(FIRST_CONNECTION, self.0.wait_for(|count| count.ever > 0)).await {
            // The acceptor is gone, or the host never came.
            Ok(Err(_)) | Err(_) => return,
            Ok(Ok(_)) => {}
        }
        let _ = self.0.wait_for(|count| count.open == 0).await;
    }
}

/// Accepts connections until the returned stream is dropped.
///
/// Each TLS handshake has a task and a time limit of its own, so that a client that stalls holds up nobody.
pub fn accept(
    listener: UnixListener,
    tls: Option<Arc<ServerConfig>>,
) -> (ReceiverStream<io::Result<Connection>>, Connections) {
    let (ready, incoming) = mpsc::channel(8);
    let (count, counted) = watch::channel(Count::default());
    tokio::spawn(accept_all(listener, tls.map(TlsAcceptor::from), ready, Arc::new(count)));
    (ReceiverStream::new(incoming), Connections(counted))
}

async fn accept_all(
    listener: UnixListener,
    tls: Option<TlsAcceptor>,
    ready: mpsc::Sender<io::Result<Connection>>,
    count: Arc<watch::Sender<Count>>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(welcome(stream, tls.clone(), ready.clone(), count.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: one must be freed before the next attempt can succeed.
                tracing::warn!(%error, "accepting a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(
    stream: UnixStream,
    tls: Option<TlsAcceptor>,
    ready: mpsc::Sender<io::Result<Connection>>,
    count: Arc<watch::Sender<Count>>,
) {
    let io: Box<dyn Io> = match tls {
        None => Box::new(stream),
        Some(tls) => match time::timeout(TLS_HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(error)) => return tracing::warn!(%error, "refusing a connection"),
            Err(_) => return tracing::warn!("refusing a connection: no TLS handshake in time"),
        },
    };
    let _ = ready.send(Ok(Connection { io, _open: Open::new(count) })).await;
}

/// A connection from the host.
pub struct Connection {
    io: Box<dyn Io>,
    _open: Open,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Io for T {}

/// Counts a connection while it lives.
struct Open(Arc<watch::Sender<Count>>);

impl Open {
    fn new(count: Arc<watch::Sender<Count>>) -> Self {
        count.send_modify(|count| {
            count.open += 1;
            count.ever += 1;
        });
        Self(count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.open -= 1);
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, to)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Hosts wait 60 s for the handshake line and connect at once when they have it.
const FIRST_CONNECTION: Duration = Duration::from_secs(120);
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
