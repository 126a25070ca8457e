//! PEM credentials -> what rustls wants.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::talos::talosconfig::ClientCredentials;

/// Why client credentials cannot be used. Never quotes them.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// A field holds no readable PEM.
    #[error("reading {field} as PEM")]
    Pem {
        /// `ca`, `crt` or `key`.
        field: &'static str,
    },
    /// A field holds PEM, but no certificate.
    #[error("finding a certificate in {field}")]
    NoCertificate {
        /// `ca` or `crt`.
        field: &'static str,
    },
    /// The key field holds no key of a known label.
    #[error("finding a private key in key (labels seen: {labels})")]
    NoKey {
        /// PEM labels that were found instead, or "none".
        labels: String,
    },
    /// A CA certificate cannot be an anchor of trust.
    #[error("using ca as a certificate authority")]
    Ca(#[source] rustls::Error),
    /// Certificate and key do not belong together, or the key's kind is not supported.
    #[error("using crt and key together")]
    Pair(#[source] rustls::Error),
    /// The verifier could not be built from the CA.
    #[error("building the certificate verifier from ca")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// Credentials in DER.
pub(super) struct Parsed {
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// Validity of the client certificate.
    pub(super) validity: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Parsed {
    pub(super) fn read(credentials: &ClientCredentials) -> Result<Self, CredentialsError> {
        let chain = certificates("crt", &credentials.crt)?;
        let validity = chain.first().and_then(|leaf| validity(leaf));
        Ok(Self {
            roots: certificates("ca", &credentials.ca)?,
            chain,
            key: private_key(credentials.key.expose())?,
            validity,
        })
    }

    /// SHA-256 of every accepted CA, lower-case hex.
    pub(super) fn root_fingerprints(&self) -> Vec<String> {
        self.roots.iter().map(|ca| hex::encode(Sha256::digest(ca))).collect()
    }
}

fn certificates(field: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let mut found = Vec::new();
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|_| CredentialsError::Pem { field })?;
        if pem.label == "CERTIFICATE" {
            found.push(CertificateDer::from(pem.contents));
        }
    }
    if found.is_empty() {
        return Err(CredentialsError::NoCertificate { field });
    }
    Ok(found)
}

/// Talos labels the PKCS#8 of an Ed25519 key `ED25519 PRIVATE KEY` (siderolabs/crypto v0.6.4 x509), which the PEM
/// readers of the TLS crates skip; hence the labels are matched here.
fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    let mut labels = Vec::new();
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|_| CredentialsError::Pem { field: "key" })?;
        match pem.label.as_str() {
            "ED25519 PRIVATE KEY" | "PRIVATE KEY" => {
                return Ok(PrivatePkcs8KeyDer::from(pem.contents).into());
            }
            "EC PRIVATE KEY" => return Ok(PrivateSec1KeyDer::from(pem.contents).into()),
            "RSA PRIVATE KEY" => return Ok(PrivatePkcs1KeyDer::from(pem.contents).into()),
            other => labels.push(other.to_owned()),
        }
    }
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    Err(CredentialsError::NoKey { labels })
}

fn validity(leaf: &[u8]) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.to_datetime(), validity.not_after.to_datetime()))
}
