//! The API port: opened and closed as the machine's state says, with a TLS configuration made per handshake.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Connected};

use super::{gate, machine::Machine, roles::Roles, state::Serving};
use crate::sim::{cut::Cut, fault::Fault, journal::Event};

const GRACE: Duration = Duration::from_millis(10);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(1);

/// Opens and closes the port for as long as the machine runs.
pub async fn run(machine: Arc<Machine>, life: CancellationToken) {
    loop {
        tokio::select! {
            () = life.cancelled() => return,
            () = machine.until(|state| state.boot.as_ref()?.serving.is_open().then_some(())) => {}
        }
        let Ok(listener) = machine.port.listen() else { return };
        machine.note(Event::ApiOpen(kind(&machine).to_owned()));
        machine.change(|boot| boot.listening = true);
        let epoch = Epoch { cut: life.child_token(), stop: CancellationToken::new(), close: CancellationToken::new() };
        let server = tokio::spawn(accept(Arc::clone(&machine), listener, epoch.clone()));
        tokio::select! {
            () = life.cancelled() => {}
            () = closed(&machine) => epoch.end(&machine).await,
        }
        epoch.cut.cancel();
        let _ = server.await;
        machine.change(|boot| boot.listening = false);
        machine.note(Event::ApiClosed);
    }
}

/// One time that the port is open, and the ways in which it ends.
#[derive(Clone)]
struct Epoch {
    cut: CancellationToken,
    stop: CancellationToken,
    close: CancellationToken,
}

impl Epoch {
    /// Ends it in good order: no new connections, GOAWAY on the old ones, and soon the end of their streams.
    async fn end(&self, machine: &Machine) {
        self.stop.cancel();
        // Servers of Go let calls finish when they are told to stop, for a while.
        let _ = tokio::time::timeout(LINGER, machine.all_answered()).await;
        tokio::time::sleep(GRACE).await;
        self.close.cancel();
        tokio::time::sleep(GRACE).await;
    }
}

fn kind(machine: &Machine) -> &'static str {
    let kind = machine.boot(|boot| match (&boot.serving, boot.is_control_plane()) {
        (Serving::Maintenance(_), _) => "maintenance",
        (_, true) => "control plane",
        (_, false) => "worker",
    });
    kind.unwrap_or("nothing")
}

async fn closed(machine: &Machine) {
    machine.until(|state| (!state.boot.as_ref().is_some_and(|boot| boot.serving.is_open())).then_some(())).await;
}

/// One time that the port is open. All connections end with the token.
async fn accept(machine: Arc<Machine>, listener: TcpListener, epoch: Epoch) {
    let (sender, receiver) = mpsc::channel::<io::Result<Connection>>(16);
    let service = gate::routes(&machine);
    let (stop, cut) = (epoch.stop.clone(), epoch.cut.clone());
    let incoming = ReceiverStream::new(receiver);
    let server = Server::builder().add_routes(service).serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    tokio::spawn(async move { cut.run_until_cancelled(server).await });
    let accepting = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (machine, sender, epoch) = (Arc::clone(&machine), sender.clone(), epoch.clone());
            tokio::spawn(async move { greet(machine, stream, sender, epoch).await });
        }
    };
    // After this nobody is let in any more; those who are in may finish, for a moment.
    tokio::select! {
        () = epoch.cut.cancelled() => {}
        () = epoch.stop.cancelled() => {}
        () = accepting => {}
    }
}

/// The handshake of one connection.
async fn greet(machine: Arc<Machine>, stream: TcpStream, sender: mpsc::Sender<io::Result<Connection>>, epoch: Epoch) {
    if machine.strike(|f| matches!(f, Fault::HalfOpen).then_some(())).is_some() {
        epoch.cut.cancelled().await;
        return drop(stream);
    }
    let cut = Cut::new(stream, epoch.cut.child_token(), epoch.close.clone());
    let token = cut.token();
    let handshake = async {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), cut).await?;
        let (config, maintenance) = config(&machine).map_err(io::Error::other)?;
        match start.into_stream(config).into_fallible().await {
            Ok(stream) => Ok((stream, maintenance)),
            Err((error, refused)) => {
                hang_up(refused).await;
                Err(error)
            }
        }
    };
    match tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok((stream, maintenance))) => {
            let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let roles = peer.map(Roles::of_certificate).unwrap_or_default();
            let info = Peer { roles, maintenance, token };
            // The server is gone when the epoch has ended; the connection goes with it.
            let _ = sender.send(Ok(Connection { stream, info })).await;
        }
        Ok(Err(error)) => machine.note(Event::HandshakeRefused { reason: error.to_string() }),
        Err(_) => {}
    }
}

/// Closes a connection whose client has been told why. What it has sent meanwhile is read: a close with something unread
/// is a reset, which may overtake the alert.
async fn hang_up(mut refused: Cut) {
    let rest = async {
        refused.shutdown().await?;
        tokio::io::copy(&mut refused, &mut tokio::io::sink()).await
    };
    // The client has its alert and closes; one that does not is cut off.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// The TLS configuration of this moment, and whether it is that of maintenance mode.
fn config(machine: &Arc<Machine>) -> Result<(Arc<ServerConfig>, bool), TlsError> {
    let serving = machine.boot(|boot| boot.serving.clone()).unwrap_or_default();
    let clock = Arc::new(NodeClock(Arc::clone(machine)));
    let builder = ServerConfig::builder_with_details(Arc::new(ring::default_provider()), clock)
        .with_safe_default_protocol_versions()?;
    let (builder, key, maintenance) = match serving {
        Serving::Closed | Serving::NoCertificate => {
            return Err(TlsError::General("no certificates configured".to_owned()));
        }
        Serving::Maintenance(key) => (builder.with_no_client_auth(), key, true),
        Serving::Mutual(key, accepted) => {
            let verifier = ClientVerifier::new(accepted)?;
            (builder.with_client_cert_verifier(Arc::new(verifier)), key, false)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(&key))));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Talos switches session tickets off.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), maintenance))
}

fn certified(key: &Arc<CertifiedKey>) -> CertifiedKey {
    CertifiedKey::new(key.cert.clone(), Arc::clone(&key.key))
}

/// Certificates are checked against the node's clock, not ours.
struct NodeClock(Arc<Machine>);

impl std::fmt::Debug for NodeClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeClock")
    }
}

impl TimeProvider for NodeClock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// apid's check of clients: a chain to an accepted authority, and the one extended key usage (Talos v1.12.2
/// internal/app/apid/main.go verifyExtKeyUsage).
#[derive(Debug)]
struct ClientVerifier(Arc<dyn ClientCertVerifier>);

impl ClientVerifier {
    fn new(accepted: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in accepted {
            roots.add(certificate)?;
        }
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| TlsError::General(error.to_string()))?;
        Ok(Self(inner))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        if super::roles::only_client_auth(end_entity) {
            Ok(verified)
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::InvalidPurpose))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The roles of its certificate.
    pub roles: Roles,
    /// Whether the connection was made in maintenance mode.
    pub maintenance: bool,
    /// Cuts the connection.
    pub token: CancellationToken,
}

/// A connection that got through its handshake.
struct Connection {
    stream: TlsStream<Cut>,
    info: Peer,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
