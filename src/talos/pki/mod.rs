//! Certificates and keys in the forms that Talos writes and accepts.

mod certificate;
mod check;
mod derive;
mod key;
mod pem;

use crate::talos::secret::Secret;

pub use certificate::{Validity, admin_certificate};
pub use check::{CertificateFacts, ca_fingerprint, check_ca, check_client, inspect, key_matches};
pub use derive::temporary_secrets;
pub use key::{KeyAlgorithm, PrivateKey};
pub use pem::{PemBlock, decode as decode_pem, encode as encode_pem};

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateAndKey {
    /// The certificate, or several.
    pub crt: String,
    /// The private key; empty where only the certificate is known, as on workers.
    pub key: Secret<String>,
}

impl CertificateAndKey {
    /// A certificate whose key is not known here.
    pub fn without_key(crt: impl Into<String>) -> Self {
        Self { crt: crt.into(), key: Secret::new(String::new()) }
    }

    /// Whether the private key is known.
    pub fn has_key(&self) -> bool {
        !self.key.expose().is_empty()
    }
}

/// What can be wrong with certificates and keys. Never shows key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// Not PEM.
    #[error("reading PEM: {reason}")]
    Pem {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// PEM, but not of a certificate.
    #[error("reading a certificate: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// PEM, but not of a key that is read here.
    #[error("reading a private key: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate authority has no private key here, so it cannot sign.
    #[error("signing with the certificate authority {subject:?}: its private key is not known")]
    NoKey {
        /// The subject of the authority.
        subject: String,
    },
    /// Making a certificate failed.
    #[error("making a certificate: {reason}")]
    Make {
        /// What the library said.
        reason: String,
    },
    /// A certificate that is no authority.
    #[error("the certificate {subject:?} is no certificate authority")]
    NotAuthority {
        /// Its subject.
        subject: String,
    },
    /// Outside of its validity.
    #[error("the certificate {subject:?} {problem}")]
    Validity {
        /// Its subject.
        subject: String,
        /// `expired on …` or `is not valid before …`.
        problem: String,
    },
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the certificate {subject:?}")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },
    /// Signed by something else.
    #[error("the certificate {subject:?} was not issued by the authority {authority:?}")]
    ForeignIssuer {
        /// The certificate's subject.
        subject: String,
        /// The authority's subject.
        authority: String,
    },
    /// Not usable by a client of the Talos API.
    #[error("the certificate {subject:?} is no client certificate: {problem}")]
    NotClient {
        /// Its subject.
        subject: String,
        /// What Talos would refuse.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
