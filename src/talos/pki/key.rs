//! Private keys: reading and writing the encodings of Talos, and signing certificates with them.

use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::DecodePrivateKey;
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use zeroize::Zeroizing;

use super::{PkiError, pem};
use crate::talos::secret::Secret;

/// The kinds of keys that Talos makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// The Talos API and its clients.
    Ed25519,
    /// Kubernetes, etcd and the aggregator.
    EcdsaP256,
    /// The service account key of `talosctl gen secrets`; not signed with here.
    Rsa,
}

/// A private key that can sign certificates, always with the same signature for the same certificate.
pub struct PrivateKey(Kind);

enum Kind {
    Ed25519 { seed: Zeroizing<[u8; 32]>, pair: Box<KeyPair> },
    P256 { secret: p256::SecretKey, public: Vec<u8> },
}

impl PrivateKey {
    /// An Ed25519 key from its 32-byte seed.
    ///
    /// # Errors
    /// None is known; the library's own checks are passed on.
    pub fn ed25519(seed: Zeroizing<[u8; 32]>) -> Result<Self, PkiError> {
        let der = Zeroizing::new([PKCS8_ED25519.as_slice(), seed.as_slice()].concat());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der.as_slice().into(), &rcgen::PKCS_ED25519)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self(Kind::Ed25519 { seed, pair: Box::new(pair) }))
    }

    /// A P-256 key from its scalar, or `None` for the few values that are none.
    pub fn p256(scalar: &[u8; 32]) -> Option<Self> {
        p256::SecretKey::from_slice(scalar).ok().map(Self::from_p256)
    }

    /// Reads `ED25519 PRIVATE KEY`, `EC PRIVATE KEY` (SEC 1) or `PRIVATE KEY` (PKCS #8, either kind).
    ///
    /// # Errors
    /// Broken PEM, another kind of key (RSA), or a broken key.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        let block = pem::decode(text)?;
        match block.label.as_str() {
            "ED25519 PRIVATE KEY" => Self::ed25519(seed_of(&block.der).ok_or_else(|| bad("it is no Ed25519 key"))?),
            "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(&block.der)
                .map(Self::from_p256)
                .map_err(|_| bad("it is no EC key on the curve P-256")),
            "PRIVATE KEY" => match seed_of(&block.der) {
                Some(seed) => Self::ed25519(seed),
                None => p256::SecretKey::from_pkcs8_der(&block.der)
                    .map(Self::from_p256)
                    .map_err(|_| bad("it is neither an Ed25519 nor a P-256 key")),
            },
            label => Err(bad(format!("{label:?} is a kind that is not read here"))),
        }
    }

    /// Writes the key with the label that Talos uses.
    ///
    /// # Errors
    /// None is known; the library's own checks are passed on.
    pub fn to_pem(&self) -> Result<Secret<String>, PkiError> {
        let text = match &self.0 {
            Kind::Ed25519 { seed, .. } => {
                let der = Zeroizing::new([PKCS8_ED25519.as_slice(), seed.as_slice()].concat());
                pem::encode("ED25519 PRIVATE KEY", &der)
            }
            Kind::P256 { secret, .. } => {
                let der = secret.to_sec1_der().map_err(|error| bad(error.to_string()))?;
                pem::encode("EC PRIVATE KEY", &der)
            }
        };
        Ok(Secret::new(text))
    }

    /// Which kind it is.
    pub fn kind(&self) -> KeyAlgorithm {
        match &self.0 {
            Kind::Ed25519 { .. } => KeyAlgorithm::Ed25519,
            Kind::P256 { .. } => KeyAlgorithm::EcdsaP256,
        }
    }

    /// The public key as a certificate holds it: 32 bytes, or an uncompressed point.
    pub fn public(&self) -> &[u8] {
        self.der_bytes()
    }

    fn from_p256(secret: p256::SecretKey) -> Self {
        let public = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
        Self(Kind::P256 { secret, public })
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        match &self.0 {
            Kind::Ed25519 { pair, .. } => pair.der_bytes(),
            Kind::P256 { public, .. } => public,
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match &self.0 {
            Kind::Ed25519 { .. } => &rcgen::PKCS_ED25519,
            Kind::P256 { .. } => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match &self.0 {
            Kind::Ed25519 { pair, .. } => pair.sign(message),
            // RFC 6979: the nonce comes from the key and the message, so a second run makes the same certificate.
            Kind::P256 { secret, .. } => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(secret).sign(message);
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// The seed in a PKCS #8 Ed25519 key, version 1 (Talos) or 2 (with the public key behind it).
fn seed_of(der: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (head, rest) = der.split_at_checked(PKCS8_ED25519.len())?;
    // The outer length and the version differ between the two forms; the rest of the head is the same.
    let same_kind = head[0] == 0x30 && head[5..] == PKCS8_ED25519[5..];
    let seed = rest.get(..32)?.try_into().ok()?;
    same_kind.then_some(Zeroizing::new(seed))
}

fn bad(reason: impl Into<String>) -> PkiError {
    PkiError::Key { reason: reason.into() }
}

/// RFC 8410: what stands before the seed in a PKCS #8 version 1 key.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
