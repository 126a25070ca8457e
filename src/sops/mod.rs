//! SOPS files with age keys: opening those that sops wrote, and making small ones for tests and demonstrations.
//!
//! The formats and rules are those of getsops/sops (`sops.go`, `aes/cipher.go`, `stores/{yaml,dotenv}`,
//! `age/keysource.go`). Only values are touched: comments, order and layout of a file stay as they are.

mod cipher;
mod document;
mod dotenv;
mod encrypt;
mod error;
mod keys;
mod leaf;
mod metadata;
mod yaml_store;

use std::fmt;

use zeroize::Zeroizing;

pub use encrypt::{ENTROPY_LENGTH, encrypt};
pub use error::SopsError;
pub use keys::{KeyKind, Keyring, Place, Platform, Source, places};

/// The two kinds of files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML, and JSON with it.
    Yaml,
    /// `KEY=value` lines.
    Dotenv,
}

/// Text that was encrypted; `Debug` shows only that there is some, and the memory is cleared on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Cleartext(Zeroizing<String>);

impl Cleartext {
    fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cleartext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Whether a text is a SOPS file, and of which kind. A text that is neither YAML nor dotenv is none.
pub fn format_of(text: &str) -> Option<Format> {
    if dotenv::has_metadata(text) {
        return Some(Format::Dotenv);
    }
    // Most texts are settled without a parser.
    let mentioned = text.contains("sops");
    (mentioned && metadata::in_yaml(text)).then_some(Format::Yaml)
}

/// Opens a SOPS file: finds its key, decrypts every value and proves with the MAC that none was changed.
///
/// # Errors
/// Not a SOPS file, no fitting key (with the recipients and the places looked in), damage, or a feature
/// that is not read here. No message shows a value.
pub fn decrypt(text: &str, keys: &Keyring) -> Result<Cleartext, SopsError> {
    match format_of(text).ok_or(SopsError::NotEncrypted)? {
        Format::Yaml => yaml_store::decrypt(text, keys),
        Format::Dotenv => dotenv::decrypt(text, keys),
    }
}

/// As [`decrypt`], but a text that is no SOPS file comes back as it is.
///
/// # Errors
/// As [`decrypt`].
pub fn decrypt_if_encrypted(text: &str, keys: &Keyring) -> Result<Cleartext, SopsError> {
    match decrypt(text, keys) {
        Err(SopsError::NotEncrypted) => Ok(Cleartext::new(text.to_owned())),
        other => other,
    }
}

#[cfg(test)]
mod tests;
