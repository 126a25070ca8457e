//! Looking at certificates: what they are, whether they hold now, and whether they belong together.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{CertificateAndKey, KeyAlgorithm, PkiError, PrivateKey, pem};

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject as `O=talos`; `(empty)` when it has none.
    pub subject: String,
    /// The organizations of the subject: roles, in a Talos client certificate.
    pub organizations: Vec<String>,
    /// Whether it may issue others.
    pub is_ca: bool,
    /// First moment of validity.
    pub not_before: OffsetDateTime,
    /// Last moment of validity.
    pub not_after: OffsetDateTime,
    /// Hex SHA-256 of the certificate.
    pub fingerprint: String,
    /// The key's kind, if it is one that Talos makes.
    pub algorithm: Option<KeyAlgorithm>,
    /// The bare public key.
    pub public_key: Vec<u8>,
    /// Whether its extended key usage is `clientAuth` and nothing else, which Talos demands of its clients.
    pub client_only: bool,
}

/// Reads the first certificate of a PEM text.
///
/// # Errors
/// Broken PEM, another label, a broken certificate.
pub fn inspect(text: &str) -> Result<CertificateFacts, PkiError> {
    with_certificate(text, facts)
}

/// The hex SHA-256 of the first certificate of a PEM text.
///
/// # Errors
/// As [`inspect`].
pub fn ca_fingerprint(text: &str) -> Result<String, PkiError> {
    inspect(text).map(|facts| facts.fingerprint)
}

/// Checks that a certificate authority is one, holds at `now`, and fits its key if the key is known.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_ca(ca: &CertificateAndKey, now: OffsetDateTime) -> Result<CertificateFacts, PkiError> {
    let facts = inspect(&ca.crt)?;
    if !facts.is_ca {
        return Err(PkiError::NotAuthority { subject: facts.subject });
    }
    check_validity(&facts, now)?;
    if ca.has_key() && !key_matches(ca)? {
        return Err(PkiError::KeyMismatch { subject: facts.subject });
    }
    Ok(facts)
}

/// Checks that a node with the authority `ca` (PEM) will accept the client at `now`:
/// signed by it, valid, `clientAuth` only, key fitting.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_client(ca: &str, client: &CertificateAndKey, now: OffsetDateTime) -> Result<CertificateFacts, PkiError> {
    let facts = inspect(&client.crt)?;
    let authority = inspect(ca)?.subject;
    let issued = with_certificate(&client.crt, |leaf| {
        with_certificate(ca, |issuer| Ok(leaf.verify_signature(Some(issuer.public_key())).is_ok()))
    })?;
    if !issued {
        return Err(PkiError::ForeignIssuer { subject: facts.subject, authority });
    }
    check_validity(&facts, now)?;
    if !facts.client_only {
        return Err(PkiError::NotClient {
            subject: facts.subject,
            problem: "its extended key usage is not exactly clientAuth".into(),
        });
    }
    if client.has_key() && !key_matches(client)? {
        return Err(PkiError::KeyMismatch { subject: facts.subject });
    }
    Ok(facts)
}

/// Whether the key belongs to the certificate.
///
/// # Errors
/// Either cannot be read; RSA keys are not.
pub fn key_matches(pair: &CertificateAndKey) -> Result<bool, PkiError> {
    let facts = inspect(&pair.crt)?;
    Ok(PrivateKey::from_pem(pair.key.expose())?.public() == facts.public_key)
}

fn check_validity(facts: &CertificateFacts, now: OffsetDateTime) -> Result<(), PkiError> {
    let problem = if now > facts.not_after {
        format!("expired on {}", facts.not_after.date())
    } else if now < facts.not_before {
        format!("is not valid before {}", facts.not_before)
    } else {
        return Ok(());
    };
    Err(PkiError::Validity { subject: facts.subject.clone(), problem })
}

fn with_certificate<T>(
    text: &str,
    read: impl FnOnce(&X509Certificate<'_>) -> Result<T, PkiError>,
) -> Result<T, PkiError> {
    let block = pem::decode(text)?;
    if block.label != "CERTIFICATE" {
        return Err(bad(format!("the PEM block is a {:?}", block.label)));
    }
    let (_, certificate) = X509Certificate::from_der(&block.der).map_err(|error| bad(error.to_string()))?;
    read(&certificate)
}

fn facts(certificate: &X509Certificate<'_>) -> Result<CertificateFacts, PkiError> {
    let subject = certificate.subject();
    let usage = certificate.extended_key_usage().map_err(|error| bad(error.to_string()))?;
    let spki = certificate.public_key();
    Ok(CertificateFacts {
        subject: match subject.to_string() {
            empty if empty.is_empty() => "(empty)".into(),
            subject => subject,
        },
        organizations: subject.iter_organization().filter_map(|name| name.as_str().ok().map(Into::into)).collect(),
        is_ca: certificate.is_ca(),
        not_before: certificate.validity().not_before.to_datetime(),
        not_after: certificate.validity().not_after.to_datetime(),
        fingerprint: hex::encode(Sha256::digest(certificate.as_raw())),
        algorithm: match spki.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => Some(KeyAlgorithm::Ed25519),
            "1.2.840.10045.2.1" if spki.subject_public_key.data.len() == 65 => Some(KeyAlgorithm::EcdsaP256),
            "1.2.840.113549.1.1.1" => Some(KeyAlgorithm::Rsa),
            _ => None,
        },
        public_key: spki.subject_public_key.data.to_vec(),
        client_only: usage.is_some_and(|usage| {
            let usage = usage.value;
            let others = usage.any
                || usage.server_auth
                || usage.code_signing
                || usage.email_protection
                || usage.time_stamping
                || usage.ocsp_signing
                || !usage.other.is_empty();
            usage.client_auth && !others
        }),
    })
}

fn bad(reason: impl Into<String>) -> PkiError {
    PkiError::Certificate { reason: reason.into() }
}
