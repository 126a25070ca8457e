//! Authorities and certificates of the pretend machines, made as Talos makes them.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use p256::{SecretKey, pkcs8::EncodePrivateKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
    SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A PEM block without its frame, or with something else than base64 in it.
    #[error("reading a PEM block of {0}")]
    Pem(&'static str),
    /// A key of a kind that the simulator does not sign with.
    #[error("reading the private key of {0}")]
    Key(&'static str),
    /// Making or signing a certificate.
    #[error("issuing a certificate for {subject}")]
    Issue {
        /// Whom it was for.
        subject: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
}

/// The two kinds of key that Talos' authorities use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The Talos API.
    Ed25519,
    /// Kubernetes and etcd.
    P256,
}

impl KeyKind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::Ed25519 => &PKCS_ED25519,
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
        }
    }
}

/// A certificate authority that can sign.
pub struct Authority {
    certificate_pem: String,
    key: KeyPair,
    kind: KeyKind,
}

/// A leaf certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct PemPair {
    /// `CERTIFICATE`.
    pub certificate: String,
    /// `ED25519 PRIVATE KEY` (as Talos labels it) or `PRIVATE KEY`.
    pub key: String,
}

/// A TLS server's certificate and key.
pub struct ServerCertificate {
    /// The leaf alone; Talos sends no intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

/// Names and time of a server certificate.
pub struct ServerNames<'a> {
    /// The common name.
    pub common_name: &'a str,
    /// DNS names.
    pub dns: &'a [String],
    /// Addresses.
    pub ips: &'a [IpAddr],
    /// Not valid before; Talos does not backdate.
    pub not_before: OffsetDateTime,
}

/// Talos' server certificates live a day (siderolabs/crypto DefaultCertificateValidityDuration).
const SERVER_LIFETIME: Duration = Duration::hours(24);
const CLIENT_LIFETIME: Duration = Duration::days(365);

impl Authority {
    /// Makes a new self-signed authority; an empty `organization` gives an empty subject.
    pub fn generate(organization: &str, kind: KeyKind, now: OffsetDateTime) -> Result<Self, PkiError> {
        let issue = |source| PkiError::Issue { subject: organization.to_owned(), source };
        let key = KeyPair::generate_for(kind.algorithm()).map_err(issue)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = organization_only(organization);
        params.not_before = now;
        params.not_after = now + Duration::days(3650);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate_pem = params.self_signed(&key).map_err(issue)?.pem();
        Ok(Self { certificate_pem, key, kind })
    }

    /// Reads an authority as a machine configuration carries it: base64 of PEM, twice.
    pub fn from_base64(name: &'static str, certificate: &str, key: &str) -> Result<Self, PkiError> {
        Self::from_pem(name, &unbase64(name, certificate)?, &unbase64(name, key)?)
    }

    /// Reads an authority from PEM texts.
    pub fn from_pem(name: &'static str, certificate: &str, key: &str) -> Result<Self, PkiError> {
        let der = pem_body(name, key)?;
        let (der, kind) = if key.contains("EC PRIVATE KEY") {
            let secret = SecretKey::from_sec1_der(&der).map_err(|_| PkiError::Key(name))?;
            let pkcs8 = secret.to_pkcs8_der().map_err(|_| PkiError::Key(name))?;
            (pkcs8.as_bytes().to_vec(), KeyKind::P256)
        } else if KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(&der), &PKCS_ED25519).is_ok() {
            (der, KeyKind::Ed25519)
        } else {
            (der, KeyKind::P256)
        };
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(&der), kind.algorithm()).map_err(|_| PkiError::Key(name))?;
        Ok(Self { certificate_pem: certificate.to_owned(), key, kind })
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PEM, with Talos' label.
    pub fn key_pem(&self) -> String {
        key_pem(&self.key, self.kind)
    }

    /// Signs a certificate for a TLS server, with a fresh key.
    pub fn server(&self, names: &ServerNames<'_>) -> Result<ServerCertificate, PkiError> {
        let issue = |source| PkiError::Issue { subject: names.common_name.to_owned(), source };
        let key = KeyPair::generate_for(self.kind.algorithm()).map_err(issue)?;
        let mut params = CertificateParams::new(names.dns.to_vec()).map_err(issue)?;
        params.subject_alt_names.extend(names.ips.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names.common_name);
        params.not_before = names.not_before;
        params.not_after = names.not_before + SERVER_LIFETIME;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer().map_err(issue)?).map_err(issue)?;
        Ok(ServerCertificate {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// Signs a client certificate; the organizations become Talos roles or Kubernetes groups.
    pub fn client(&self, organizations: &[&str], name: &str, now: OffsetDateTime) -> Result<PemPair, PkiError> {
        self.client_with_usages(organizations, name, now, vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// Signs a client certificate with chosen extended key usages, also with wrong ones.
    pub fn client_with_usages(
        &self,
        organizations: &[&str],
        name: &str,
        now: OffsetDateTime,
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<PemPair, PkiError> {
        let issue = |source| PkiError::Issue { subject: organizations.join(","), source };
        let key = KeyPair::generate_for(self.kind.algorithm()).map_err(issue)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for organization in organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.not_before = now - Duration::hours(1);
        params.not_after = now + CLIENT_LIFETIME;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer().map_err(issue)?).map_err(issue)?;
        Ok(PemPair { certificate: certificate.pem(), key: key_pem(&key, self.kind) })
    }

    /// Signs a request as trustd does; the answer is PEM.
    pub fn sign_request(&self, request_pem: &str) -> Result<String, PkiError> {
        let issue = |source| PkiError::Issue { subject: "a certificate request".to_owned(), source };
        let request = CertificateSigningRequestParams::from_pem(request_pem).map_err(issue)?;
        let signed = request.signed_by(&self.issuer().map_err(issue)?).map_err(issue)?;
        Ok(signed.pem())
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, rcgen::Error> {
        Issuer::from_ca_cert_pem(&self.certificate_pem, &self.key)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The bytes of every certificate in a PEM text.
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END)
        .filter(|block| block.contains("-----BEGIN CERTIFICATE-----"))
        .filter_map(|block| pem_body("a certificate", block).ok())
        .map(CertificateDer::from)
        .collect()
}

/// The bytes inside the first PEM block of a text, whatever its label.
pub fn pem_body(name: &'static str, pem: &str) -> Result<Vec<u8>, PkiError> {
    let start = pem.find("-----BEGIN ").ok_or(PkiError::Pem(name))?;
    let text: String =
        pem[start..].lines().skip(1).take_while(|line| !line.starts_with("-----END")).map(str::trim).collect();
    BASE64.decode(text).map_err(|_| PkiError::Pem(name))
}

/// Frames bytes as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn unbase64(name: &'static str, text: &str) -> Result<String, PkiError> {
    let bytes = BASE64.decode(text.trim()).map_err(|_| PkiError::Pem(name))?;
    String::from_utf8(bytes).map_err(|_| PkiError::Pem(name))
}

fn pkcs8(der: &[u8]) -> PrivatePkcs8KeyDer<'_> {
    PrivatePkcs8KeyDer::from(der)
}

fn key_pem(key: &KeyPair, kind: KeyKind) -> String {
    match kind {
        KeyKind::P256 => pem("PRIVATE KEY", key.serialized_der()),
        KeyKind::Ed25519 => {
            // ring writes PKCS#8 v2 with the public key; Talos writes v1. The seed stands at the same place in both.
            const V1_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
            let seed = key.serialized_der().get(16..48).unwrap_or_default();
            pem("ED25519 PRIVATE KEY", &[&V1_PREFIX[..], seed].concat())
        }
    }
}

fn organization_only(organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    #[test]
    fn an_authority_survives_its_own_pem() {
        for kind in [KeyKind::Ed25519, KeyKind::P256] {
            let made = Authority::generate("talos", kind, now()).expect("an authority");
            let read = Authority::from_pem("test", made.certificate_pem(), &made.key_pem()).expect("read back");
            assert_eq!(read.kind, kind);
            let client = read.client(&["os:admin"], "", now()).expect("a client certificate");
            assert_eq!(certificates(&client.certificate).len(), 1);
        }
    }

    #[test]
    fn keys_carry_the_label_that_talos_writes() {
        let authority = Authority::generate("talos", KeyKind::Ed25519, now()).expect("an authority");
        assert!(authority.key_pem().starts_with("-----BEGIN ED25519 PRIVATE KEY-----"));
        assert_eq!(pem_body("test", &authority.key_pem()).expect("a body").len(), 48);
    }
}
