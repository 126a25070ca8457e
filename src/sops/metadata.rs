//! The part of a SOPS file that says to whom it is encrypted and how it is proven whole.

use std::io::Read;

use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::cipher::DataKey;
use super::{Keyring, SopsError};
use crate::yaml::{self, Node, Resolved};

/// What both stores read out of their metadata.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Age recipients and the data key encrypted to each, armored.
    pub(super) age: Vec<(String, String)>,
    /// Other kinds of recipients.
    pub(super) others: Vec<&'static str>,
    pub(super) several_groups: bool,
    pub(super) mac: String,
    pub(super) last_modified: String,
    pub(super) mac_only_encrypted: bool,
    pub(super) rule: Rule,
}

/// Which values are encrypted, as far as names tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Rule {
    /// All but those under a key that ends so.
    UnencryptedSuffix(String),
    /// Only those under a key that ends so.
    EncryptedSuffix(String),
    /// By a regular expression on keys or comments: each value tells by its own look. That is no weaker, since
    /// the MAC covers every value that was encrypted.
    #[default]
    ByLook,
}

/// Whether a text is YAML whose first document has SOPS metadata.
pub(super) fn in_yaml(text: &str) -> bool {
    let Ok(documents) = yaml::parse_documents(text) else {
        return false;
    };
    let metadata = documents.first().and_then(|root| root.get("sops"));
    metadata.and_then(Node::as_map).is_some_and(|entries| !entries.is_empty())
}

impl Metadata {
    /// Reads the `sops` mapping.
    ///
    /// # Errors
    /// A part of another shape, or none that is needed.
    pub(super) fn from_node(node: &Node) -> Result<Self, SopsError> {
        let text = |key: &str| node.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.clone());
        let mut metadata = Self {
            mac: text("mac").unwrap_or_default(),
            last_modified: text("lastmodified").unwrap_or_default(),
            mac_only_encrypted: node.get("mac_only_encrypted").and_then(Node::resolved) == Some(Resolved::Bool(true)),
            rule: Rule::new(|key| text(key).filter(|text| !text.is_empty())),
            ..Self::default()
        };
        metadata.take_keys(node)?;
        let groups = node.get("key_groups").and_then(Node::as_list).unwrap_or_default();
        if metadata.age.is_empty() && metadata.others.is_empty() {
            groups.iter().try_for_each(|group| metadata.take_keys(group))?;
            metadata.several_groups = groups.len() > 1;
        }
        Ok(metadata)
    }

    fn take_keys(&mut self, node: &Node) -> Result<(), SopsError> {
        let list = |key: &str| node.get(key).and_then(Node::as_list).unwrap_or_default();
        for entry in list("age") {
            let text = |key: &str| entry.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.clone());
            let (Some(recipient), Some(enc)) = (text("recipient"), text("enc")) else {
                return Err(bad("an age entry has no recipient or no enc"));
            };
            self.age.push((recipient, enc));
        }
        let others = OTHER_KINDS.iter().filter(|(key, _)| !list(key).is_empty());
        self.others.extend(others.map(|(_, name)| *name));
        Ok(())
    }

    /// Finds the key that opens the file's values.
    ///
    /// # Errors
    /// No fitting identity, no age recipient at all, or a damaged key.
    pub(super) fn data_key(&self, keys: &Keyring) -> Result<DataKey, SopsError> {
        if self.several_groups {
            return Err(SopsError::KeyGroups);
        }
        if self.age.is_empty() {
            return Err(match self.others.as_slice() {
                [] => bad("there are no recipients"),
                others => SopsError::OtherKeysOnly { kinds: others.join(", ") },
            });
        }
        for (recipient, enc) in &self.age {
            if let Some(key) = unwrap(recipient, enc, keys)? {
                return Ok(key);
            }
        }
        let (places, problems) = keys.looked_in();
        Err(SopsError::NoKey {
            recipients: self.age.iter().map(|(recipient, _)| recipient.clone()).collect(),
            places,
            problems,
        })
    }

    /// Compares the MAC that was stored with the one of the values just read.
    ///
    /// # Errors
    /// They differ, or the stored one does not open.
    pub(super) fn check(&self, mac: Mac, key: &DataKey) -> Result<(), SopsError> {
        let stored = key.open(&self.mac, &self.last_modified).map_err(|_| SopsError::Mac)?;
        match stored.bytes.as_slice() == mac.finish().as_bytes() {
            true => Ok(()),
            false => Err(SopsError::Mac),
        }
    }
}

impl Rule {
    /// At most one of them stands in a file; none means the default suffix.
    pub(super) fn new(text: impl Fn(&str) -> Option<String>) -> Self {
        let by_look = ["unencrypted_regex", "encrypted_regex", "unencrypted_comment_regex", "encrypted_comment_regex"];
        if let Some(suffix) = text("unencrypted_suffix") {
            Self::UnencryptedSuffix(suffix)
        } else if let Some(suffix) = text("encrypted_suffix") {
            Self::EncryptedSuffix(suffix)
        } else if by_look.iter().any(|key| text(key).is_some()) {
            Self::ByLook
        } else {
            Self::UnencryptedSuffix(DEFAULT_UNENCRYPTED_SUFFIX.into())
        }
    }

    /// Whether the value at `path` must be encrypted; `None` if only its look tells.
    pub(super) fn encrypts(&self, path: &[String]) -> Option<bool> {
        match self {
            Self::UnencryptedSuffix(suffix) => Some(!path.iter().any(|key| key.ends_with(suffix))),
            Self::EncryptedSuffix(suffix) => Some(path.iter().any(|key| key.ends_with(suffix))),
            Self::ByLook => None,
        }
    }
}

/// The hash over the values of a file, in their order.
pub(super) struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    pub(super) fn new(only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            // The SHA-256 of "sops": keeps the two kinds of MAC apart.
            hash.update(sha2::Sha256::digest(b"sops"));
        }
        Self { hash, only_encrypted }
    }

    pub(super) fn add(&mut self, bytes: &[u8], encrypted: bool) {
        if encrypted || !self.only_encrypted {
            self.hash.update(bytes);
        }
    }

    /// Upper-case hexadecimal.
    pub(super) fn finish(self) -> String {
        hex::encode_upper(self.hash.finalize())
    }
}

/// The data key, if one of the identities is the recipient's.
fn unwrap(recipient: &str, enc: &str, keys: &Keyring) -> Result<Option<DataKey>, SopsError> {
    let damaged = |reason: String| SopsError::DataKey { recipient: recipient.to_owned(), reason };
    let armor = age::armor::ArmoredReader::new(enc.as_bytes());
    let decryptor = age::Decryptor::new(armor).map_err(|error| damaged(error.to_string()))?;
    let mut reader = match decryptor.decrypt(keys.identities()) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Ok(None),
        Err(error) => return Err(damaged(error.to_string())),
    };
    let mut key = Zeroizing::new(Vec::with_capacity(32));
    reader.read_to_end(&mut key).map_err(|error| damaged(error.to_string()))?;
    match DataKey::new(&key) {
        Some(key) => Ok(Some(key)),
        None => Err(damaged("it is not 32 bytes long".into())),
    }
}

fn bad(problem: &str) -> SopsError {
    SopsError::Metadata { problem: problem.into() }
}

/// Metadata lists of recipients that are not opened here, with their names.
pub(super) const OTHER_KINDS: [(&str, &str); 6] = [
    ("pgp", "PGP"),
    ("kms", "AWS KMS"),
    ("gcp_kms", "GCP KMS"),
    ("azure_kv", "Azure Key Vault"),
    ("hc_vault", "HashiCorp Vault"),
    ("hckms", "Huawei Cloud KMS"),
];

pub(super) const DEFAULT_UNENCRYPTED_SUFFIX: &str = "_unencrypted";
