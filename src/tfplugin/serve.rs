//! From process start to process end.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustls::ServerConfig;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    connections, crash,
    handshake::{self, HandshakeError, Host},
    log,
    plugin::Plugin,
    provider::Provider,
    rpc::Server,
    socket::Socket,
    tls::{SetupError, Tls},
};
use crate::wire::{
    health::health_server::HealthServer,
    plugin::{
        grpc_broker_server::GrpcBrokerServer, grpc_controller_server::GrpcControllerServer,
        grpc_stdio_server::GrpcStdioServer,
    },
    tfplugin6::provider_server::ProviderServer,
};

/// What the program is.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence for who starts it by hand.
    pub about: &'static str,
    /// `namespace/name`, as in `required_providers`.
    pub source: &'static str,
}

/// Why a provider cannot serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// No host, or not one to trust.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Mutual TLS.
    #[error("setting up TLS")]
    Tls(#[from] SetupError),
    /// The socket.
    #[error("listening on a unix socket")]
    Listen(#[source] io::Error),
    /// The line on stdout.
    #[error("writing the handshake to stdout")]
    Greet(#[source] io::Error),
    /// Threads, signals.
    #[error("starting the runtime")]
    Runtime(#[source] io::Error),
    /// The server.
    #[error("serving gRPC")]
    Grpc(#[source] tonic::transport::Error),
}

/// The whole of a provider's `main`.
///
/// Started by Terraform or OpenTofu it serves; with `--debug` it waits for a host that is told where it is; with
/// `--version` it says its version; otherwise it says in one line what it is, and fails.
pub fn main<P: Provider>(program: &Program, provider: impl FnOnce() -> P) -> ExitCode {
    let asked = env::args().nth(1);
    if asked.as_deref() == Some("--version") {
        return print(&format!("{} {}", program.name, program.version));
    }
    let debug = asked.as_deref().is_some_and(|flag| matches!(flag, "--debug" | "-debug"));
    match serve(program, debug, provider, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Handshake(HandshakeError::NoHost)) => complain(program, program.about),
        Err(error) => complain(program, &crate::causes::chain(&error)),
    }
}

/// Serves from an ordinary thread until the end; `greeting` is stdout, where the host (with `debug`: the user) reads how
/// to connect.
pub fn serve<P: Provider>(
    program: &Program,
    debug: bool,
    provider: impl FnOnce() -> P,
    greeting: &mut (dyn Write + Send),
) -> Result<(), ServeError> {
    log::start("provider", variable);
    crash::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Deeply nested futures need more than the default 2 MiB in an unoptimised build. Untouched pages cost nothing.
        .thread_stack_size(8 << 20)
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(async {
        let server = || Server::new(Arc::new(provider()));
        if debug {
            serve_debug(program, server, greeting).await
        } else {
            serve_host(&Host::from_env(variable)?, server, greeting).await
        }
    });
    // Work that did not end in time ends with the process.
    runtime.shutdown_background();
    served
}

/// Serves the host that started this process, which learns from one line on `greeting` how to connect.
async fn serve_host(
    host: &Host,
    server: impl FnOnce() -> Server,
    greeting: &mut (dyn Write + Send),
) -> Result<(), ServeError> {
    let signals = Signals::catch(false).map_err(ServeError::Runtime)?;
    let tls = host.client_certificate.clone().map(|client| Tls::for_client(client, OffsetDateTime::now_utc()));
    let tls = tls.transpose()?;
    let (socket, listener) = Socket::listen(host.socket_dir.as_deref()).map_err(ServeError::Listen)?;
    let line = host.line(socket.path(), tls.as_ref().map(|tls| &tls.certificate));
    writeln!(greeting, "{line}").and_then(|()| greeting.flush()).map_err(ServeError::Greet)?;
    run(server(), listener, tls.map(|tls| tls.config), Lifetime::Host, signals).await
}

/// Serves whoever is told where, until interrupted.
async fn serve_debug(
    program: &Program,
    server: impl FnOnce() -> Server,
    greeting: &mut (dyn Write + Send),
) -> Result<(), ServeError> {
    let signals = Signals::catch(true).map_err(ServeError::Runtime)?;
    let (socket, listener) = Socket::listen(None).map_err(ServeError::Listen)?;
    let line = handshake::reattach(program.source, std::process::id(), socket.path());
    writeln!(greeting, "Waiting for a host. Stop with Ctrl-C. In another shell:\n\n\t{line}\n")
        .and_then(|()| greeting.flush())
        .map_err(ServeError::Greet)?;
    run(server(), listener, None, Lifetime::Signal, signals).await
}

/// What a process waits for before it ends, beside being told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    /// The host's last connection.
    Host,
    /// A signal; hosts come and go.
    Signal,
}

async fn run(
    server: Server,
    listener: UnixListener,
    tls: Option<Arc<ServerConfig>>,
    lifetime: Lifetime,
    mut signals: Signals,
) -> Result<(), ServeError> {
    let closing = CancellationToken::new();
    let (incoming, mut connections) = connections::accept(listener, tls);
    let serving = router(&server, &closing).serve_with_incoming_shutdown(incoming, closing.clone().cancelled_owned());
    let mut serving = tokio::spawn(serving);
    let why = tokio::select! {
        () = closing.cancelled() => "the host asked for it",
        () = connections.all_gone(), if lifetime == Lifetime::Host => "the host is gone",
        () = signals.end() => "a signal asked for it",
        ended = &mut serving => return grpc(ended),
    };
    tracing::debug!(why, "ending");
    server.stop();
    if !closing.is_cancelled() {
        // Nobody kills us meanwhile: let what runs come to a clean end.
        let _ = timeout(WORK_TO_END, server.idle()).await;
        closing.cancel();
    }
    let ended = timeout(CONNECTIONS_TO_END, async { (server.idle().await, serving.await).1 }).await;
    ended.map_or(Ok(()), grpc)
}

fn grpc(ended: Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>) -> Result<(), ServeError> {
    match ended {
        Ok(served) => served.map_err(ServeError::Grpc),
        // The panic was logged; there is nothing more to serve.
        Err(_) => Ok(()),
    }
}

fn router(server: &Server, closing: &CancellationToken) -> tonic::transport::server::Router {
    let plugin = Plugin { closing: closing.clone() };
    let provider = ProviderServer::new(server.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(provider)
        .add_service(GrpcControllerServer::new(plugin.clone()))
        .add_service(GrpcStdioServer::new(plugin.clone()))
        .add_service(GrpcBrokerServer::new(plugin.clone()))
        .add_service(HealthServer::new(plugin))
}

/// The signals that end the process. A terminal's Ctrl-C goes to the host too, which then asks us to stop: so SIGINT
/// is ignored, unless nobody else could end us.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    interruptible: bool,
}

impl Signals {
    fn catch(interruptible: bool) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, interruptible })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv(), if self.interruptible => {}
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(program: &Program, text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{} {}: {text}", program.name, program.version);
    ExitCode::FAILURE
}

/// As terraform-plugin-go has it.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;

/// HTTP/2's 64 KiB would make large values wait for one window update after the other.
const WINDOW: u32 = 4 * 1024 * 1024;

/// How long work may go on after the host is gone or the process was told to end.
const WORK_TO_END: Duration = Duration::from_secs(30);

/// The host kills after 2 s.
const CONNECTIONS_TO_END: Duration = Duration::from_millis(1500);
