//! The dotenv store: `KEY=value` lines, the metadata flattened into `sops_…` keys.

use super::cipher::{DataKey, looks_encrypted};
use super::leaf::Leaf;
use super::metadata::{Mac, Metadata, OTHER_KINDS, Rule};
use super::{Cleartext, Keyring, SopsError};

pub(super) fn has_metadata(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("sops_mac=") || line.starts_with("sops_version="))
}

pub(super) fn decrypt(text: &str, keys: &Keyring) -> Result<Cleartext, SopsError> {
    let metadata = metadata(text)?;
    let key = metadata.data_key(keys)?;
    let mut mac = Mac::new(metadata.mac_only_encrypted);
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if line.starts_with("sops_") {
            continue;
        }
        out.push_str(&open_line(line, at + 1, &metadata, &key, &mut mac)?);
        out.push('\n');
    }
    metadata.check(mac, &key)?;
    // The split sees an empty line behind the last line feed.
    let ended = out.strip_suffix("\n\n").map(str::len);
    out.truncate(ended.map_or(out.len(), |length| length + 1));
    Ok(Cleartext::new(out))
}

fn open_line(line: &str, at: usize, metadata: &Metadata, key: &DataKey, mac: &mut Mac) -> Result<String, SopsError> {
    if line.is_empty() {
        return Ok(String::new());
    }
    if let Some(comment) = line.strip_prefix('#') {
        let opened = key.open(comment, ":").ok().filter(|opened| opened.kind == "comment");
        let opened = opened.and_then(|opened| String::from_utf8(opened.bytes.to_vec()).ok());
        return Ok(format!("#{}", opened.as_deref().unwrap_or(comment)));
    }
    let wrong = |path: &str, problem| SopsError::Value { line: at, path: path.to_owned(), problem };
    let Some((name, value)) = line.split_once('=') else {
        return Err(wrong("?", "is no KEY=value line"));
    };
    let value = value.replace("\\n", "\n");
    let path = [name.to_owned()];
    let looks = looks_encrypted(&value);
    let encrypted = metadata.rule.encrypts(&path).unwrap_or(looks) && !value.is_empty();
    let leaf = match (encrypted, looks) {
        (false, _) => Leaf::written(&value, false),
        (true, false) => return Err(wrong(name, "is not encrypted although it has to be")),
        (true, true) => {
            let opened = key.open(&value, &format!("{name}:")).map_err(|problem| wrong(name, problem))?;
            Leaf::opened(&opened).map_err(|problem| wrong(name, problem))?
        }
    };
    mac.add(leaf.bytes(), encrypted);
    Ok(format!("{name}={}", leaf.text().replace('\n', "\\n")))
}

fn metadata(text: &str) -> Result<Metadata, SopsError> {
    let entries: Vec<(&str, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("sops_")?.split_once('='))
        .map(|(key, value)| (key, value.replace("\\n", "\n")))
        .collect();
    let value = |key: &str| {
        let found = entries.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| value.clone())
    };
    let mut metadata = Metadata {
        mac: value("mac").unwrap_or_default(),
        last_modified: value("lastmodified").unwrap_or_default(),
        mac_only_encrypted: value("mac_only_encrypted").is_some_and(|value| value == "true"),
        rule: Rule::new(|key| value(key).filter(|text| !text.is_empty())),
        several_groups: entries.iter().any(|(key, _)| key.starts_with("key_groups__list_1__")),
        ..Metadata::default()
    };
    for group in ["", "key_groups__list_0__map_"] {
        for index in 0.. {
            let field = |name: &str| value(&format!("{group}age__list_{index}__map_{name}"));
            let (Some(recipient), Some(enc)) = (field("recipient"), field("enc")) else {
                break;
            };
            metadata.age.push((recipient, enc));
        }
        let others = OTHER_KINDS.iter().filter(|(kind, _)| {
            let prefix = format!("{group}{kind}__list_");
            entries.iter().any(|(key, _)| key.starts_with(&prefix))
        });
        metadata.others.extend(others.map(|(_, name)| *name));
    }
    Ok(metadata)
}
