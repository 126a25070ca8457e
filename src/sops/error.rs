//! What can go wrong with a SOPS file. Messages name places and paths, never a value or a key.

use crate::yaml::YamlError;

/// Why a SOPS file cannot be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    /// There is no SOPS metadata in it.
    #[error("the file is not encrypted with SOPS")]
    NotEncrypted,
    /// Not YAML.
    #[error("reading the encrypted file as YAML")]
    Yaml(#[source] YamlError),
    /// Metadata that is missing or of another shape.
    #[error("reading the SOPS metadata: {problem}")]
    Metadata {
        /// What is wrong.
        problem: String,
    },
    /// Encrypted, but not to age.
    #[error("the file is encrypted to {kinds} only; only age recipients are supported")]
    OtherKeysOnly {
        /// What it is encrypted to: `PGP`, `AWS KMS` …
        kinds: String,
    },
    /// The data key is split between several groups.
    #[error("the file needs keys of several groups (shamir_threshold), which is not supported")]
    KeyGroups,
    /// No identity fits a recipient.
    #[error("none of the age keys at hand opens the file: it is encrypted to {}; looked for keys in {}{}", recipients.join(", "), looked_in(places), with_problems(problems))]
    NoKey {
        /// The recipients in the file.
        recipients: Vec<String>,
        /// Where keys were looked for.
        places: Vec<String>,
        /// Keys that were found and cannot be used.
        problems: Vec<String>,
    },
    /// The key fits and the data key is broken all the same.
    #[error("the data key for the recipient {recipient} is damaged: {reason}")]
    DataKey {
        /// The recipient.
        recipient: String,
        /// What age said.
        reason: String,
    },
    /// One value cannot be opened.
    #[error("line {line}: the value of {path} {problem}")]
    Value {
        /// Where it stands.
        line: usize,
        /// Its path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Every value opens, yet something was changed, added or taken away.
    #[error("the file was changed after it was encrypted: its MAC does not fit its values")]
    Mac,
    /// A file that cannot be encrypted by the simple writer here.
    #[error("encrypting: {problem}")]
    Encrypt {
        /// What is in the way.
        problem: String,
    },
}

impl SopsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoKey { .. } => Some(
                "set age_key_file to the key file of one of these recipients, or SOPS_AGE_KEY_FILE, or SOPS_AGE_KEY, or \
                 add your recipient with `sops updatekeys`",
            ),
            Self::OtherKeysOnly { .. } | Self::KeyGroups => {
                Some("add an age recipient of your own with `sops updatekeys`, outside of key groups")
            }
            Self::Mac | Self::Value { .. } => {
                Some("edit encrypted files with `sops edit`; a merge or a plain editor breaks them")
            }
            _ => None,
        }
    }
}

fn looked_in(places: &[String]) -> String {
    match places {
        [] => "no place".into(),
        places => places.join(", "),
    }
}

fn with_problems(problems: &[String]) -> String {
    match problems {
        [] => String::new(),
        problems => format!(" ({})", problems.join("; ")),
    }
}
