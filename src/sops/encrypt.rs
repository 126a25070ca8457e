//! Making SOPS files: enough for the project's own tests and demonstrations.

use hkdf::Hkdf;
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::cipher::DataKey;
use super::document;
use super::leaf::Leaf;
use super::metadata::{DEFAULT_UNENCRYPTED_SUFFIX, Mac, Rule};
use super::yaml_store::binding;
use super::{Format, SopsError};

/// How many random bytes [`encrypt`] takes: the data key, and a seed for the nonces.
pub const ENTROPY_LENGTH: usize = 64;

/// Encrypts all values of a YAML or dotenv text to X25519 age recipients, as `sops encrypt --age` does.
///
/// Comments stay as they are. `entropy` must be random and never used twice; the wrapping of the data key draws on
/// the system's randomness besides, inside of the age library. `now` is stored as the time of change.
///
/// # Errors
/// A recipient that is none, or YAML with anchors, tags, several documents, or all in one pair of braces.
pub fn encrypt(
    text: &str,
    format: Format,
    recipients: &[&str],
    entropy: &[u8; ENTROPY_LENGTH],
    now: OffsetDateTime,
) -> Result<String, SopsError> {
    let (data_key, seed) = entropy.split_at(32);
    let key = DataKey::new(data_key).ok_or_else(|| bad("the data key has the wrong length"))?;
    let mut writer = Writer {
        key,
        ivs: Hkdf::from_prk(seed).map_err(|error| bad(error.to_string()))?,
        used: 0,
        mac: Mac::new(false),
    };
    let wrapped = recipients
        .iter()
        .map(|recipient| Ok(((*recipient).to_owned(), wrap(data_key, recipient)?)))
        .collect::<Result<Vec<_>, SopsError>>()?;
    let modified = now
        .replace_nanosecond(0)
        .map(|now| now.format(&Rfc3339).unwrap_or_default())
        .map_err(|error| bad(error.to_string()))?;
    let body = match format {
        Format::Yaml => writer.yaml(text)?,
        Format::Dotenv => writer.dotenv(text)?,
    };
    let mac = std::mem::replace(&mut writer.mac, Mac::new(false)).finish();
    let mac = writer.seal(mac.as_bytes(), "str", &modified)?;
    Ok(match format {
        Format::Yaml => body + &yaml_metadata(&wrapped, &modified, &mac),
        Format::Dotenv => body + &dotenv_metadata(&wrapped, &modified, &mac),
    })
}

struct Writer {
    key: DataKey,
    ivs: Hkdf<Sha256>,
    used: u64,
    mac: Mac,
}

impl Writer {
    fn seal(&mut self, bytes: &[u8], kind: &str, binding: &str) -> Result<String, SopsError> {
        let mut iv = [0; 32];
        self.ivs.expand(&self.used.to_be_bytes(), &mut iv).map_err(|error| bad(error.to_string()))?;
        self.used += 1;
        let sealed = self.key.seal(bytes, kind, binding, iv);
        sealed.ok_or_else(|| bad("a value is too long"))
    }

    fn yaml(&mut self, text: &str) -> Result<String, SopsError> {
        let text = match text.ends_with('\n') {
            true => text.to_owned(),
            false => format!("{text}\n"),
        };
        let scan = document::scan(&text)?;
        if scan.elaborate || scan.documents > 1 {
            return Err(bad("only one plain block mapping without anchors and tags can be encrypted here"));
        }
        if !scan.metadata.is_empty() {
            return Err(bad("the file has a key sops already"));
        }
        let rule = Rule::UnencryptedSuffix(DEFAULT_UNENCRYPTED_SUFFIX.into());
        let mut edits = Vec::new();
        for value in &scan.values {
            let leaf = Leaf::written(&value.text, value.plain);
            self.mac.add(leaf.bytes(), true);
            let Some(kind) = leaf.kind_name().filter(|_| !value.text.is_empty()) else {
                continue;
            };
            if rule.encrypts(&value.path) != Some(true) {
                continue;
            }
            let sealed = self.seal(leaf.bytes(), kind, &binding(&value.path))?;
            let new = match (value.in_flow, value.block) {
                (true, _) => format!("\"{sealed}\""),
                (false, true) => sealed + "\n",
                (false, false) => sealed,
            };
            edits.push((value.range.clone(), new));
        }
        Ok(document::replace(&text, edits))
    }

    fn dotenv(&mut self, text: &str) -> Result<String, SopsError> {
        let mut out = String::new();
        for line in text.lines() {
            let line = match line.split_once('=') {
                Some((name, value)) if !line.starts_with('#') && !value.is_empty() => {
                    let value = value.replace("\\n", "\n");
                    self.mac.add(value.as_bytes(), true);
                    match name.ends_with(DEFAULT_UNENCRYPTED_SUFFIX) {
                        true => line.to_owned(),
                        false => format!("{name}={}", self.seal(value.as_bytes(), "str", &format!("{name}:"))?),
                    }
                }
                None if !line.starts_with('#') && !line.is_empty() => {
                    return Err(bad("a line is no KEY=value line"));
                }
                _ => line.to_owned(),
            };
            out.push_str(&line);
            out.push('\n');
        }
        Ok(out)
    }
}

fn wrap(data_key: &[u8], recipient: &str) -> Result<String, SopsError> {
    let parsed: age::x25519::Recipient = recipient.parse().map_err(|problem: &str| bad(problem))?;
    let data_key = Zeroizing::new(data_key.to_vec());
    age::encrypt_and_armor(&parsed, &data_key).map_err(|error| bad(error.to_string()))
}

fn yaml_metadata(wrapped: &[(String, String)], modified: &str, mac: &str) -> String {
    let mut out = String::from("sops:\n    age:\n");
    for (recipient, enc) in wrapped {
        out.push_str(&format!("        - recipient: {recipient}\n          enc: |\n"));
        for line in enc.lines() {
            out.push_str(&format!("            {line}\n"));
        }
    }
    out.push_str(&format!(
        "    lastmodified: \"{modified}\"\n    mac: {mac}\n    unencrypted_suffix: {DEFAULT_UNENCRYPTED_SUFFIX}\n    \
         version: {VERSION}\n"
    ));
    out
}

fn dotenv_metadata(wrapped: &[(String, String)], modified: &str, mac: &str) -> String {
    let mut out = String::new();
    for (at, (recipient, enc)) in wrapped.iter().enumerate() {
        let enc = enc.replace('\n', "\\n");
        out.push_str(&format!("sops_age__list_{at}__map_enc={enc}\n"));
        out.push_str(&format!("sops_age__list_{at}__map_recipient={recipient}\n"));
    }
    out.push_str(&format!(
        "sops_lastmodified={modified}\nsops_mac={mac}\nsops_unencrypted_suffix={DEFAULT_UNENCRYPTED_SUFFIX}\n\
         sops_version={VERSION}\n"
    ));
    out
}

fn bad(problem: impl Into<String>) -> SopsError {
    SopsError::Encrypt { problem: problem.into() }
}

/// The sops release whose files these are like.
const VERSION: &str = "3.11.0";
