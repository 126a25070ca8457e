//! From an address to an HTTP/2 channel, each step with its own failure.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::link::{Observer, Progress, Sniffed, Watched};
use super::tls::{Handshake, ServerCertificate, TlsFailure};
use super::{Address, TalosError, Trust};

/// A connection is probed after this much silence …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// … again after this much …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// … and given up after this many probes without an answer.
const KEEPALIVE_PROBES: u32 = 3;

/// Sent data that is not acknowledged for this long means that the peer is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// How long to listen before speaking. A Talos node (grpc-go) sends its HTTP/2 settings as soon as it accepted our
/// certificate; to hear its refusal first is safer than to have it overtaken by a reset that our own bytes provoke.
const LISTEN_FIRST: Duration = Duration::from_secs(1);

/// An open channel and what is known of its other end.
pub(super) struct Dialled {
    pub(super) channel: Channel,
    pub(super) observer: Observer,
    pub(super) handshake: Handshake,
    pub(super) server: ServerCertificate,
}

type Tls = TlsStream<Sniffed<TcpStream>>;

type Session = Watched<Tls>;

/// Hands out one connection, once: a channel must not quietly reconnect to whatever answers after a reboot.
struct Once(Option<Session>);

/// The channel asked for a second connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is over")]
struct Over;

/// One attempt, with what its failures are told in.
struct Attempt<'a> {
    address: &'a Address,
    handshake: Handshake,
    within: Duration,
    end: Instant,
}

/// Opens a channel: name, TCP, TLS, first sign of life.
pub(super) async fn dial(address: &Address, trust: &Trust, within: Duration) -> Result<Dialled, TalosError> {
    let former = address.former().map(|host| named_as(host, address)).transpose()?;
    let handshake =
        Handshake::new(trust, former).map_err(|source| TalosError::Credentials { address: address.clone(), source })?;
    let attempt = Attempt { address, handshake, within, end: Instant::now() + within };
    let tls = attempt.tls().await?;
    let (channel, observer) = attempt.http2(tls).await?;
    let server = attempt.handshake.seen();
    Ok(Dialled {
        channel,
        observer,
        server: server.ok_or_else(|| attempt.failed(TlsFailure::Closed))?,
        handshake: attempt.handshake,
    })
}

impl Attempt<'_> {
    async fn tls(&self) -> Result<Tls, TalosError> {
        let name = named_as(&self.address.host, self.address)?;
        let tcp = timeout_at(self.end, connect_tcp(self.address, self.within))
            .await
            .map_err(|_| self.late("the TCP connection"))??;
        let (sniffed, banner) = Sniffed::new(tcp);
        let failed = |failure| self.failed(named(failure, banner.foreign()));
        let mut tls = match timeout_at(self.end, self.handshake.run(name, sniffed)).await {
            Ok(ran) => ran.map_err(failed)?,
            Err(_) => {
                return Err(match banner.foreign() {
                    Some(banner) => self.failed(TlsFailure::NotTls { banner }),
                    None => self.late("the TLS handshake"),
                });
            }
        };
        let until = self.end.min(Instant::now() + LISTEN_FIRST);
        match timeout_at(until, tls.fill_buf()).await {
            Ok(Ok([])) => Err(self.failed(TlsFailure::Closed)),
            Ok(Err(error)) => Err(self.broken(error)),
            // It spoke, or it lets us speak first.
            Ok(Ok(_)) | Err(_) => Ok(tls),
        }
    }

    async fn http2(&self, tls: Tls) -> Result<(Channel, Observer), TalosError> {
        let (watched, mut observer) = Watched::new(tls);
        let opened = timeout_at(self.end, open_http2(self.address, watched))
            .await
            .map_err(|_| self.late("the HTTP/2 session"))?;
        let channel = opened.map_err(|error| match observer.now() {
            Progress::Failed(cause) => self.broken(again(&cause)),
            _ => error,
        })?;
        match timeout_at(self.end, observer.first_sign()).await {
            Ok(Progress::Failed(error)) => Err(self.broken(again(&error))),
            Ok(Progress::Ended) => Err(self.failed(TlsFailure::Closed)),
            Ok(_) => Ok((channel, observer)),
            Err(_) => Err(self.late("the first HTTP/2 frame")),
        }
    }

    fn late(&self, step: &'static str) -> TalosError {
        TalosError::ConnectTimeout { address: self.address.clone(), step, within: self.within }
    }

    fn failed(&self, source: TlsFailure) -> TalosError {
        TalosError::Tls { address: self.address.clone(), source }
    }

    fn broken(&self, error: io::Error) -> TalosError {
        self.failed(self.handshake.failure(error, &self.address.host))
    }
}

/// The same error once more: `io::Error` cannot be cloned, its TLS cause can.
pub(super) fn again(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(tls) => io::Error::new(error.kind(), tls.clone()),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// `host` as a certificate names it.
fn named_as(host: &str, address: &Address) -> Result<ServerName<'static>, TalosError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    ServerName::try_from(host.to_owned()).map_err(|error| TalosError::Resolving {
        address: address.clone(),
        source: io::Error::new(io::ErrorKind::InvalidInput, error),
    })
}

async fn connect_tcp(address: &Address, within: Duration) -> Result<TcpStream, TalosError> {
    let found: Vec<SocketAddr> = lookup_host((address.host.as_str(), address.port))
        .await
        .map_err(|source| TalosError::Resolving { address: address.clone(), source })?
        .collect();
    // A name with a dead first address must leave time for the others.
    let share = within / u32::try_from(found.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in found {
        match timeout(share, TcpStream::connect(candidate)).await.map(|tried| tried.and_then(keep_alive)) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {share:?}")),
        }
    }
    Err(TalosError::Connecting { address: address.clone(), source: last })
}

/// Half-open connections (a node that rebooted or lost power) are found by TCP itself, within half a minute, and not
/// by HTTP/2 pings: apid is a grpc-go server with its default enforcement (Talos v1.12.2 pkg/grpc/factory sets none;
/// grpc-go internal/transport/http2_server.go `handlePing`, `maxPingStrikes` = 2, `MinTime` = 5 min), which ends a
/// connection with ENHANCE_YOUR_CALM on the fourth ping in a row without data in between. At one ping in 10 s that
/// kills every quiet call after 40 s, such as the Upgrade that answers when the image is pulled.
fn keep_alive(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}

/// A peer whose first bytes are no TLS is called by its banner, whatever the TLS layer made of them.
fn named(failure: TlsFailure, banner: Option<String>) -> TlsFailure {
    match (failure, banner) {
        (TlsFailure::Protocol(_) | TlsFailure::Closed | TlsFailure::Broken(_), Some(banner)) => {
            TlsFailure::NotTls { banner }
        }
        (failure, _) => failure,
    }
}

async fn open_http2(address: &Address, session: Session) -> Result<Channel, TalosError> {
    let failed = |source| TalosError::Http2 { address: address.clone(), source };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| failed(error.into()))?
        // The name the node sees; TLS itself is already done, which the scheme above says to tonic.
        .origin(format!("https://{address}").parse().map_err(|error: http::uri::InvalidUri| failed(error.into()))?)
        .user_agent(concat!("terraform-provider-talosoci/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| failed(error.into()))?;
    endpoint.connect_with_connector(Once(Some(session))).await.map_err(|error| failed(error.into()))
}

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<Session>;
    type Error = Over;
    type Future = std::future::Ready<Result<Self::Response, Over>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Over>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().map(TokioIo::new).ok_or(Over))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_watched_by_tcp_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let stream = connect_tcp(&address, Duration::from_secs(10)).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(10));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(5));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(20)));
        }
    }
}
