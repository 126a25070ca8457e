//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::aead::array::Array;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::consts::U32;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// sops takes a 32-byte nonce where AES-GCM usually has 12.
type Gcm = AesGcm<Aes256, U32>;
use aes_gcm::AesGcm;

/// The 32-byte key that all values of a file are encrypted with.
pub(super) struct DataKey(Gcm);

/// A value after its encryption is taken off: the type it is marked with, and its text.
pub(super) struct Opened<'t> {
    pub(super) kind: &'t str,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

pub(super) fn looks_encrypted(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl DataKey {
    /// `None` if it is not 32 bytes long.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        Gcm::new_from_slice(key).ok().map(Self)
    }

    /// Takes the encryption off; `binding` is the path that the value must stand at, each key followed by a colon.
    ///
    /// # Errors
    /// What is wrong with the value, as the end of a sentence.
    pub(super) fn open<'t>(&self, text: &'t str, binding: &str) -> Result<Opened<'t>, &'static str> {
        const SHAPE: &str = "is no complete ENC[AES256_GCM,…]";
        let body = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(']')).ok_or(SHAPE)?;
        let (data, rest) = body.split_once(",iv:").ok_or(SHAPE)?;
        let (iv, rest) = rest.split_once(",tag:").ok_or(SHAPE)?;
        let (tag, kind) = rest.split_once(",type:").ok_or(SHAPE)?;
        let unpack = |packed: &str| STANDARD.decode(packed).map_err(|_| "holds broken base64");
        let iv = unpack(iv)?;
        let nonce = Array::<u8, U32>::try_from(iv.as_slice()).map_err(|_| "has an iv that is not 32 bytes long")?;
        let sealed = [unpack(data)?, unpack(tag)?].concat();
        let payload = Payload { msg: &sealed, aad: binding.as_bytes() };
        let bytes = self
            .0
            .decrypt(&nonce, payload)
            .map_err(|_| "does not decrypt: it was changed, or moved from another place")?;
        Ok(Opened { kind, bytes: Zeroizing::new(bytes) })
    }

    /// Puts the encryption on.
    pub(super) fn seal(&self, bytes: &[u8], kind: &str, binding: &str, iv: [u8; 32]) -> Option<String> {
        let payload = Payload { msg: bytes, aad: binding.as_bytes() };
        let sealed = self.0.encrypt(&Array::<u8, U32>::from(iv), payload).ok()?;
        let (data, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_LENGTH)?)?;
        let [data, iv, tag] = [data, &iv, tag].map(|part| STANDARD.encode(part));
        Some(format!("{PREFIX}{data},iv:{iv},tag:{tag},type:{kind}]"))
    }
}

const PREFIX: &str = "ENC[AES256_GCM,data:";
const TAG_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_at_its_own_place_and_unchanged() {
        let key = DataKey::new(&[7; 32]).unwrap();
        let sealed = key.seal(b"hunter2", "str", "a:b:", [1; 32]).unwrap();
        let opened = key.open(&sealed, "a:b:").unwrap();
        assert_eq!((opened.kind, opened.bytes.as_slice()), ("str", b"hunter2".as_slice()));
        assert!(key.open(&sealed, "a:c:").is_err());
        assert!(DataKey::new(&[8; 32]).unwrap().open(&sealed, "a:b:").is_err());
        assert!(key.open(&sealed.replace("data:", "data:AAAA"), "a:b:").is_err());
        assert!(DataKey::new(&[7; 16]).is_none());
    }

    #[test]
    fn broken_values_say_what_is_broken() {
        let key = DataKey::new(&[7; 32]).unwrap();
        for (text, wanted) in [
            ("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str", "no complete"),
            ("ENC[AES256_GCM,data:AA==,iv:AA==,type:str]", "no complete"),
            ("ENC[AES256_GCM,data:!,iv:AA==,tag:AA==,type:str]", "not 32 bytes"),
            ("plain", "no complete"),
        ] {
            let error = key.open(text, "").err().unwrap();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
