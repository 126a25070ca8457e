//! Mutual TLS with exactly one client: the host that started the process.
//!
//! go-plugin gives each plugin its own client certificate: self-signed, ECDSA P-521, and marked as a CA, which rustls'
//! own client verification refuses on principle (`CaUsedAsEndEntity`). No chain is needed: the certificate itself is
//! the trust anchor, compared byte for byte. What remains is the proof that the client has its key, and ring, the
//! cryptography in use, lacks P-521; the crate `p521` verifies it.

use std::{fmt, sync::Arc};

use p521::ecdsa::{DerSignature, VerifyingKey, signature::Verifier};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        AlgorithmIdentifier, CertificateDer, InvalidSignature, PrivatePkcs8KeyDer, SignatureVerificationAlgorithm,
        UnixTime, alg_id,
    },
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

/// Why TLS cannot be offered.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The server's own certificate.
    #[error("making the server certificate")]
    Certificate(#[from] rcgen::Error),
    /// The configuration.
    #[error("configuring TLS")]
    Configuration(#[from] TlsError),
}

/// Our side of mutual TLS.
pub struct Tls {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    /// The server certificate, which the host learns from the handshake line.
    pub certificate: CertificateDer<'static>,
}

impl Tls {
    /// A fresh server certificate, and `client` as the only certificate to be let in.
    pub fn for_client(client: CertificateDer<'static>, now: OffsetDateTime) -> Result<Self, SetupError> {
        let key = KeyPair::generate()?;
        let certificate = server_certificate(&key, now)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let others = provider.signature_verification_algorithms;
        let verifier = Arc::new(OnlyThisClient { certificate: client, others });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { config: Arc::new(config), certificate })
    }
}

/// A certificate for "localhost", the name that hosts ask for. The host trusts it because the handshake line shows it.
fn server_certificate(key: &KeyPair, now: OffsetDateTime) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A process lives for one run; the margins are for clocks and for a debug process left running.
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(365);
    Ok(params.self_signed(key)?.into())
}

struct OnlyThisClient {
    certificate: CertificateDer<'static>,
    /// What ring verifies, should a host come with another kind of key.
    others: WebPkiSupportedAlgorithms,
}

impl OnlyThisClient {
    fn algorithms(&self, scheme: SignatureScheme) -> &WebPkiSupportedAlgorithms {
        if scheme == P521_SCHEME { &P521 } else { &self.others }
    }
}

impl fmt::Debug for OnlyThisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnlyThisClient")
    }
}

impl ClientCertVerifier for OnlyThisClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// The signature proves possession of the key; this proves that it is the right one. Client authentication is
    /// mandatory by the trait's default.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, self.algorithms(signed.scheme))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, self.algorithms(signed.scheme))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = vec![P521_SCHEME];
        schemes.extend(self.others.supported_schemes());
        schemes
    }
}

const P521_SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;

static P521: WebPkiSupportedAlgorithms =
    WebPkiSupportedAlgorithms { all: &[&EcdsaP521], mapping: &[(P521_SCHEME, &[&EcdsaP521])] };

/// ECDSA over P-521 with SHA-512.
#[derive(Debug)]
struct EcdsaP521;

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::from_bytes(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}

#[cfg(test)]
#[allow(missing_docs)]
#[path = "../../tests/it/protocol/go_plugin_client.rs"]
mod go_plugin_client;

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{SupportedProtocolVersion, pki_types::ServerName, version};
    use time::macros::datetime;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::{
        go_plugin_client::{CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY, certificate, config},
        *,
    };

    /// One byte from the server to the client through mutual TLS; the server's view and the client's.
    async fn talk(
        client: Option<(&str, &str)>,
        version: &'static SupportedProtocolVersion,
    ) -> (io::Result<()>, io::Result<u8>) {
        let now = datetime!(2026-11-22 10:00 UTC);
        let tls = Tls::for_client(certificate(CERTIFICATE), now).unwrap();
        let connector = TlsConnector::from(Arc::new(config(client, tls.certificate, &[version])));
        let acceptor = TlsAcceptor::from(tls.config);
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = async {
            let mut stream = acceptor.accept(far).await?;
            stream.write_u8(42).await?;
            stream.shutdown().await
        };
        let client = async {
            let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), near).await?;
            stream.read_u8().await
        };
        tokio::join!(server, client)
    }

    #[tokio::test]
    async fn the_host_gets_in_by_either_version_of_tls() {
        for version in [&version::TLS12, &version::TLS13] {
            let (server, client) = talk(Some((CERTIFICATE, KEY)), version).await;
            assert_eq!((server.is_ok(), client.ok()), (true, Some(42)), "{version:?}");
        }
    }

    #[tokio::test]
    async fn nobody_else_gets_in() {
        for version in [&version::TLS12, &version::TLS13] {
            for (client, why) in [
                (None, "no certificate"),
                (Some((OTHER_CERTIFICATE, OTHER_KEY)), "another certificate of the same kind"),
                (Some((CERTIFICATE, OTHER_KEY)), "the right certificate without its key"),
            ] {
                let (server, client) = talk(client, version).await;
                assert!(server.is_err() && client.is_err(), "{why}: {version:?}");
            }
        }
    }
}
