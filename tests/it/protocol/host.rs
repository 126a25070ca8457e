//! A host as Terraform is one: starts the plugin, reads its line, connects with the certificate that it handed over.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tower_service::Service;

use talosoci::wire::{
    plugin::{Nothing, grpc_controller_client::GrpcControllerClient},
    tfplugin6::provider_client::ProviderClient,
};

use super::go_plugin_client::{CERTIFICATE, KEY, config};

/// What tells a plugin that a host started it.
pub const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// More than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A plugin process that said its line.
pub struct Plugin {
    pub child: Child,
    pub line: String,
    pub socket: PathBuf,
    pub certificate: CertificateDer<'static>,
}

/// The provider's binary.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_terraform-provider-talosoci"))
}

/// A program that serves the demo provider: this test binary, started so that only the handshake is on stdout.
pub fn demo_binary(dir: &Path) -> PathBuf {
    let path = dir.join("terraform-provider-demo");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec 3>&1 1>/dev/null\nDEMO_PROVIDER=1 exec '{}' --exact --nocapture \
         protocol::demo_provider::serves_when_started_as_a_plugin\n",
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

impl Plugin {
    /// Starts a plugin as Terraform does.
    pub async fn start(binary: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary);
        command.env(COOKIE.0, COOKIE.1).env("PLUGIN_CLIENT_CERT", CERTIFICATE).env("PLUGIN_PROTOCOL_VERSIONS", "5,6");
        command.envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("a line in time").unwrap();
        let fields: Vec<_> = line.trim_end().split('|').collect();
        assert_eq!(fields.len(), 6, "{line:?}");
        let certificate = BASE64_STANDARD_NO_PAD.decode(fields[5]).unwrap().into();
        let socket = PathBuf::from(fields[3]);
        Self { child, socket, certificate, line: line.clone() }
    }

    /// A channel with the certificate that the plugin was handed.
    pub async fn connect(&self) -> Channel {
        self.connect_as(Some((CERTIFICATE, KEY))).await.unwrap()
    }

    /// A channel with another certificate, or none.
    pub async fn connect_as(&self, client: Option<(&str, &str)>) -> Result<Channel, tonic::transport::Error> {
        let tls = config(client, self.certificate.clone(), rustls::ALL_VERSIONS);
        let connector = Connector { socket: self.socket.clone(), tls: Arc::new(tls) };
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await
    }

    pub async fn client(&self) -> ProviderClient<Channel> {
        ProviderClient::new(self.connect().await)
    }

    /// Asks the plugin to end, as a host does when it is done.
    pub async fn shutdown(&self, channel: Channel) {
        GrpcControllerClient::new(channel).shutdown(Nothing {}).await.unwrap();
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for the end: whether it was a success, and what is on stderr.
    pub async fn ended(&mut self) -> (bool, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("an end in time").unwrap();
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).await.unwrap();
        (status.success(), told)
    }
}

struct Connector {
    socket: PathBuf,
    tls: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<UnixStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (socket, tls) = (self.socket.clone(), TlsConnector::from(self.tls.clone()));
        Box::pin(async move {
            let stream = UnixStream::connect(socket).await?;
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            Ok(TokioIo::new(tls.connect(name, stream).await?))
        })
    }
}
