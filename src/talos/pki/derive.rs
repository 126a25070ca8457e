//! The secrets of the temporary cluster, all derived from one seed so that nothing has to be stored between runs.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::certificate::{Validity, authority};
use super::{CertificateAndKey, PkiError, PrivateKey};
use crate::talos::secret::Secret;
use crate::talos::secrets::{Certs, Cluster, SecretsBundle};

/// Derives a whole secrets bundle with HKDF-SHA256 from `seed`; `info` separates one node's bundle from another's.
///
/// The same arguments give the same bundle byte for byte, certificates included: Ed25519 signs the same anyway, and
/// P-256 with RFC 6979. Pass [`Validity::FIXED`] so that a later run meets the authority of an earlier one.
/// The service account key is P-256 instead of RSA-4096; Talos accepts both and this one costs nothing.
///
/// # Errors
/// None is known; the libraries' own checks are passed on.
pub fn temporary_secrets(seed: &[u8], info: &str, validity: Validity) -> Result<SecretsBundle, PkiError> {
    let source = Source { hkdf: Hkdf::<Sha256>::new(Some(b"talosoci/temporary-cluster/v1"), seed), info };
    let ecdsa = |name: &str, organization| source.authority(source.p256(name)?, name, organization, validity);
    let os_key = PrivateKey::ed25519(Zeroizing::new(source.bytes("os-ca")?))?;
    Ok(SecretsBundle {
        cluster: Cluster {
            id: URL_SAFE.encode(source.bytes::<32>("cluster-id")?),
            secret: Secret::new(STANDARD.encode(source.bytes::<32>("cluster-secret")?)),
        },
        bootstrap_token: source.token("bootstrap-token")?,
        secretbox_encryption_secret: Some(Secret::new(STANDARD.encode(source.bytes::<32>("secretbox")?))),
        aescbc_encryption_secret: None,
        trustd_token: source.token("trustd-token")?,
        certs: Certs {
            os: source.authority(os_key, "os-ca", Some("talos"), validity)?,
            k8s: ecdsa("kubernetes-ca", Some("kubernetes"))?,
            etcd: Some(ecdsa("etcd-ca", Some("etcd"))?),
            // Talos' own has an empty subject too: the common name it asks for is dropped by the CA builder.
            k8s_aggregator: Some(ecdsa("aggregator-ca", None)?),
            k8s_service_account: Some(source.p256("service-account")?.to_pem()?),
        },
    })
}

struct Source<'a> {
    hkdf: Hkdf<Sha256>,
    info: &'a str,
}

impl Source<'_> {
    fn bytes<const N: usize>(&self, name: &str) -> Result<[u8; N], PkiError> {
        let mut bytes = [0; N];
        // The zero byte keeps ("a", "bc") and ("ab", "c") apart: neither part contains one.
        self.hkdf
            .expand_multi_info(&[self.info.as_bytes(), b"\0", name.as_bytes()], &mut bytes)
            .map_err(|error| PkiError::Make { reason: error.to_string() })?;
        Ok(bytes)
    }

    /// One in 2^32 scalars is none; then the next counter is taken.
    fn p256(&self, name: &str) -> Result<PrivateKey, PkiError> {
        for counter in 0..8 {
            let scalar = Zeroizing::new(self.bytes(&format!("{name}-{counter}"))?);
            if let Some(key) = PrivateKey::p256(&scalar) {
                return Ok(key);
            }
        }
        let reason = "no P-256 key can be derived from this seed".into();
        Err(PkiError::Make { reason })
    }

    fn authority(
        &self,
        key: PrivateKey,
        name: &str,
        organization: Option<&str>,
        validity: Validity,
    ) -> Result<CertificateAndKey, PkiError> {
        let serial = self.bytes(&format!("{name}-serial"))?;
        authority(&key, organization, serial, validity)
    }

    /// `[0-9a-z]{6}.[0-9a-z]{16}`, the form of kubeadm's tokens.
    fn token(&self, name: &str) -> Result<Secret<String>, PkiError> {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let bytes = Zeroizing::new(self.bytes::<44>(name)?);
        let mut token = String::with_capacity(23);
        for (at, pair) in bytes.chunks_exact(2).enumerate() {
            if at == 6 {
                token.push('.');
            }
            // Two bytes for 36 letters: the bias is under one in a thousand.
            let value = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
            token.push(char::from(ALPHABET[value % ALPHABET.len()]));
        }
        Ok(Secret::new(token))
    }
}
