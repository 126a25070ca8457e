//! Certificates as Talos makes them: Ed25519, all authorities called `O=talos`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::talos::secret::Secret;
use crate::talos::talosconfig::ClientCredentials;

/// A cluster's OS authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = organization("talos");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.not_before = OffsetDateTime::now_utc() - Duration::days(400);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(3650);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server certificate valid from an hour ago on.
    pub(crate) fn server(&self, names: &[&str]) -> Leaf {
        let now = OffsetDateTime::now_utc();
        self.server_valid(names, now - Duration::hours(1), now + Duration::hours(23))
    }

    pub(crate) fn server_valid(&self, names: &[&str], from: OffsetDateTime, to: OffsetDateTime) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, from, to)
    }

    /// An administrator's credentials, in Talos' own PEM style.
    pub(crate) fn admin(&self) -> ClientCredentials {
        let now = OffsetDateTime::now_utc();
        self.admin_valid(now - Duration::hours(1), now + Duration::hours(23))
    }

    pub(crate) fn admin_valid(&self, from: OffsetDateTime, to: OffsetDateTime) -> ClientCredentials {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = organization("os:admin");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = self.sign(params, from, to);
        ClientCredentials { ca: self.pem.clone(), crt: leaf.pem, key: Secret::new(leaf.key_pem) }
    }

    fn sign(&self, mut params: CertificateParams, from: OffsetDateTime, to: OffsetDateTime) -> Leaf {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        params.not_before = from;
        params.not_after = to;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            pem: certificate.pem(),
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: talos_key_pem(key.serialized_der()),
        }
    }
}

fn organization(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, name);
    names
}

/// PKCS#8 version 1 (no public key) under the label `ED25519 PRIVATE KEY`. rcgen writes version 2, where the seed
/// stands at the same place: RFC 8410 section 7.
fn talos_key_pem(pkcs8: &[u8]) -> String {
    let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
    der.extend_from_slice(&pkcs8[16..48]);
    let label = "ED25519 PRIVATE KEY";
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
