//! Making certificates: the self-signed authorities of a cluster, and an administrator's client certificate.

use hkdf::Hkdf;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SerialNumber,
};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{CertificateAndKey, PkiError, PrivateKey, check, pem};

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: OffsetDateTime,
    /// Last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Wide and fixed, so that a derived authority is the same byte for byte in every run, whatever the clock says.
    pub const FIXED: Self = Self {
        not_before: time::macros::datetime!(2024-01-01 00:00 UTC),
        not_after: time::macros::datetime!(2049-01-01 00:00 UTC),
    };
}

/// A self-signed certificate authority as `talosctl gen secrets` makes them
/// (Talos v1.12.2 `pkg/machinery/config/generate/secrets/ca.go`).
///
/// `organization` is `talos`, `kubernetes`, `etcd` or nothing; `serial` should come from the key's derivation.
pub(super) fn authority(
    key: &PrivateKey,
    organization: Option<&str>,
    serial: [u8; 16],
    validity: Validity,
) -> Result<CertificateAndKey, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(organization);
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params.serial_number = Some(positive(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(key).map_err(failed)?;
    Ok(CertificateAndKey { crt: pem::encode("CERTIFICATE", certificate.der()), key: key.to_pem()? })
}

/// A client certificate of the Talos API with all rights: Ed25519, `O=os:admin`, no common name, `clientAuth` only.
///
/// Valid from one hour before `now` (the node's clock may lag) for `lifetime` after it. The client's key is derived
/// from the authority's key and the validity, so nothing has to be stored: who has the one can make the other anyway.
///
/// # Errors
/// An authority that cannot be read, has no key here, or a key that does not fit.
pub fn admin_certificate(
    ca: &CertificateAndKey,
    now: OffsetDateTime,
    lifetime: Duration,
) -> Result<CertificateAndKey, PkiError> {
    let facts = check::inspect(&ca.crt)?;
    if !ca.has_key() {
        return Err(PkiError::NoKey { subject: facts.subject });
    }
    let signer = PrivateKey::from_pem(ca.key.expose())?;
    if signer.public() != facts.public_key {
        return Err(PkiError::KeyMismatch { subject: facts.subject });
    }
    let validity = Validity { not_before: now - Duration::HOUR, not_after: now + lifetime };
    let (seed, serial) = client_material(ca, validity)?;
    let key = PrivateKey::ed25519(seed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(Some("os:admin"));
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params.serial_number = Some(positive(serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_pem(&ca.crt, signer).map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    Ok(CertificateAndKey { crt: pem::encode("CERTIFICATE", certificate.der()), key: key.to_pem()? })
}

/// The client's key seed and serial number.
fn client_material(ca: &CertificateAndKey, validity: Validity) -> Result<(Zeroizing<[u8; 32]>, [u8; 16]), PkiError> {
    let key = pem::decode(ca.key.expose())?;
    let hkdf = Hkdf::<Sha256>::new(Some(b"talosoci/admin-client/v1"), &key.der);
    let window = [validity.not_before, validity.not_after].map(|time| time.unix_timestamp().to_be_bytes());
    let mut material = Zeroizing::new([0_u8; 48]);
    hkdf.expand(&window.concat(), material.as_mut_slice())
        .map_err(|error| PkiError::Make { reason: error.to_string() })?;
    let (mut seed, mut serial) = (Zeroizing::new([0_u8; 32]), [0_u8; 16]);
    seed.copy_from_slice(&material[..32]);
    serial.copy_from_slice(&material[32..]);
    Ok((seed, serial))
}

fn subject(organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

/// A serial number is a positive integer; its first byte must not be zero to keep its length.
fn positive(mut serial: [u8; 16]) -> SerialNumber {
    serial[0] = (serial[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&serial)
}

fn failed(error: rcgen::Error) -> PkiError {
    PkiError::Make { reason: error.to_string() }
}
