//! What the server showed of itself during a handshake.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificate a server presented, as far as people and pins need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// base64 of SHA-256 over the SubjectPublicKeyInfo: what `talosctl --cert-fingerprint` takes.
    pub fingerprint: String,
    /// Subject, as a distinguished name; may be empty.
    pub subject: String,
    /// Issuer, as a distinguished name. Every Talos cluster says `O=talos` here.
    pub issuer: String,
    /// Key identifier of the issuing authority, lower-case hex: tells one cluster's `O=talos` from another's.
    pub authority_key_id: Option<String>,
    /// SHA-256 of the issuing CA certificate, lower-case hex; `None` when the server sent its leaf only, as Talos does.
    pub ca_fingerprint: Option<String>,
    /// DNS names and IP addresses the certificate is valid for.
    pub names: Vec<String>,
    /// Start of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
}

impl ServerCertificate {
    /// Reads the leaf and, when sent, the certificate above it; `None` when the leaf is no X.509 certificate.
    pub(super) fn read(leaf: &[u8], chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let public_key = Sha256::digest(certificate.tbs_certificate.subject_pki.raw);
        Some(Self {
            fingerprint: STANDARD.encode(public_key),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            authority_key_id: authority_key_id(&certificate),
            ca_fingerprint: chain.last().map(|ca| hex::encode(Sha256::digest(ca))),
            names: names(&certificate),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
        })
    }

    /// One line that tells this server from another.
    pub fn identity(&self) -> String {
        let mut text = format!("issuer {:?}", self.issuer);
        if let Some(id) = &self.authority_key_id {
            text.push_str(&format!(", authority key {id}"));
        }
        text.push_str(&format!(", certificate fingerprint {}", self.fingerprint));
        text
    }
}

fn authority_key_id(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| hex::encode(id.0)),
        _ => None,
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    alternative
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => ip(octets).map(|ip| ip.to_string()),
            _ => None,
        })
        .collect()
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}
