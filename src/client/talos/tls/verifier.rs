//! Whom a handshake accepts, and what it saw of the server in either case.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::ServerCertificate;

/// The server's certificate of one handshake, filled in by the verifier whatever its verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Option<ServerCertificate>>>);

impl Seen {
    pub(super) fn get(&self) -> Option<ServerCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<ServerCertificate, Error> {
        let certificate =
            ServerCertificate::read(leaf, chain).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.clone());
        Ok(certificate)
    }
}

/// Maintenance mode: any certificate, or only the pinned one. The server still has to prove that it holds the key.
#[derive(Debug)]
pub(super) struct AnyServer {
    pub(super) pin: Option<String>,
    pub(super) seen: Seen,
    pub(super) provider: Arc<CryptoProvider>,
}

/// Only what the cluster's CA signed for the dialled name, or for the one that the node had before.
#[derive(Debug)]
pub(super) struct SignedServer {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    pub(super) former: Option<ServerName<'static>>,
    pub(super) seen: Seen,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = self.seen.record(leaf, chain)?;
        match &self.pin {
            Some(pin) if *pin != certificate.fingerprint => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl SignedServer {
    /// webpki looks at the clock before it looks at the signature; a stranger's certificate must be called a
    /// stranger's even when it is also expired, or clock skew would be blamed and waited for.
    fn stranger(
        &self,
        certificate: &ServerCertificate,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Option<Error> {
        let middle = (certificate.not_before.unix_timestamp() + certificate.not_after.unix_timestamp()) / 2;
        let then = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(middle).ok()?));
        match self.webpki.verify_server_cert(leaf, chain, name, &[], then) {
            Err(error) if is_stranger(&error) => Some(error),
            _ => None,
        }
    }
}

impl ServerCertVerifier for SignedServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = self.seen.record(leaf, chain)?;
        let verified = match (self.webpki.verify_server_cert(leaf, chain, name, ocsp, now), &self.former) {
            // One that names neither is told as one that does not name the new address.
            (Err(error), Some(former)) if is_about_name(&error) => {
                self.webpki.verify_server_cert(leaf, chain, former, ocsp, now).map_err(|_| error)
            }
            (verified, _) => verified,
        };
        verified.map_err(|error| {
            if is_about_time(&error) { self.stranger(&certificate, leaf, chain, name).unwrap_or(error) } else { error }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

fn is_about_name(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

/// A CA of the same name but another key fails as `BadSignature`: all Talos CAs are called `O=talos`.
pub(super) fn is_stranger(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature))
}
