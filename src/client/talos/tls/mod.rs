//! TLS as the Talos API speaks it: without any proof in maintenance mode, mutual everywhere else.
//!
//! The handshake is made here and not inside the HTTP/2 client, so that a failure keeps its cause.

mod certificate;
mod credentials;
mod failure;
mod verifier;

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Trust;
use credentials::Parsed;
use verifier::{AnyServer, Seen, SignedServer};

pub use certificate::ServerCertificate;
pub use credentials::CredentialsError;
pub use failure::TlsFailure;

/// gRPC is HTTP/2 only, and Talos insists on the protocol name (siderolabs/crypto v0.6.4 tls).
const ALPN: &[u8] = b"h2";

/// One side of one handshake; not for a second one, as it remembers what it saw.
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    seen: Seen,
    expected: Expected,
}

/// What the handshake insists on, for the words of a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// SHA-256 of the accepted CAs, hex; empty in maintenance mode.
    pub(super) authorities: Vec<String>,
    /// The pinned server key, in maintenance mode.
    pub(super) pin: Option<String>,
    /// Validity of our own certificate; `None` when we have none to show.
    pub(super) client_validity: Option<(OffsetDateTime, OffsetDateTime)>,
    /// Whether we have a client certificate to show.
    pub(super) client_certificate: bool,
}

impl Handshake {
    /// Prepares a handshake that trusts as `trust` says. The certificate names what is dialled, or else `former`.
    pub(super) fn new(trust: &Trust, former: Option<ServerName<'static>>) -> Result<Self, CredentialsError> {
        let provider = Arc::new(ring::default_provider());
        match trust {
            Trust::Maintenance { fingerprint } => Ok(Self::maintenance(provider, fingerprint.clone())),
            Trust::Mutual(credentials) => Self::mutual(provider, Parsed::read(credentials)?, former),
        }
    }

    fn maintenance(provider: Arc<CryptoProvider>, pin: Option<String>) -> Self {
        let seen = Seen::default();
        let verifier = AnyServer { pin: pin.clone(), seen: seen.clone(), provider: provider.clone() };
        let config =
            builder(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        let expected = Expected { pin, ..Expected::default() };
        Self::of(config, seen, expected)
    }

    fn mutual(
        provider: Arc<CryptoProvider>,
        parsed: Parsed,
        former: Option<ServerName<'static>>,
    ) -> Result<Self, CredentialsError> {
        let seen = Seen::default();
        let expected = Expected {
            authorities: parsed.root_fingerprints(),
            pin: None,
            client_validity: parsed.validity,
            client_certificate: true,
        };
        let mut roots = RootCertStore::empty();
        for ca in parsed.roots {
            roots.add(ca).map_err(CredentialsError::Ca)?;
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(CredentialsError::Verifier)?;
        let verifier = SignedServer { webpki, former, seen: seen.clone() };
        let config = builder(provider)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(parsed.chain, parsed.key)
            .map_err(CredentialsError::Pair)?;
        Ok(Self::of(config, seen, expected))
    }

    fn of(mut config: ClientConfig, seen: Seen, expected: Expected) -> Self {
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Self { config: Arc::new(config), seen, expected }
    }

    /// The certificate the server showed, once it did.
    pub(super) fn seen(&self) -> Option<ServerCertificate> {
        self.seen.get()
    }

    /// Runs the handshake over `stream`; the caller bounds it in time.
    pub(super) async fn run<S>(&self, name: ServerName<'static>, stream: S) -> Result<TlsStream<S>, TlsFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let wanted = name.to_str().into_owned();
        let stream = TlsConnector::from(self.config.clone())
            .connect(name, stream)
            .await
            .map_err(|error| self.failure(error, &wanted))?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(TlsFailure::NoHttp2);
        }
        Ok(stream)
    }

    /// The typed cause of an error that the TLS layer raised, during the handshake or at a later read.
    pub(super) fn failure(&self, error: std::io::Error, wanted_name: &str) -> TlsFailure {
        TlsFailure::classify(error, self.seen(), &self.expected, wanted_name)
    }
}

fn builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    // TLS 1.2 and 1.3 are what ring's provider implements, so the builder cannot refuse them.
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap_or_else(|_| unreachable!("ring implements every default TLS version"))
}
