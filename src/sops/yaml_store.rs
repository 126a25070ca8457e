//! Decrypting YAML in place.

use super::cipher::{DataKey, looks_encrypted};
use super::document::{self, Scan, Value};
use super::leaf::Leaf;
use super::metadata::{Mac, Metadata};
use super::{Cleartext, Keyring, SopsError};
use crate::yaml;

pub(super) fn decrypt(text: &str, keys: &Keyring) -> Result<Cleartext, SopsError> {
    let documents = yaml::parse_documents(text).map_err(SopsError::Yaml)?;
    let node = documents.first().and_then(|root| root.get("sops"));
    let metadata = Metadata::from_node(node.ok_or(SopsError::NotEncrypted)?)?;
    let key = metadata.data_key(keys)?;
    let scan = document::scan(text)?;
    let mut mac = Mac::new(metadata.mac_only_encrypted);
    let mut edits = Vec::new();
    for value in &scan.values {
        let (leaf, encrypted) = read(value, &metadata, &key)?;
        mac.add(leaf.bytes(), encrypted);
        if encrypted && !value.text.is_empty() {
            edits.push((value.range.clone(), leaf.yaml(value.in_flow)));
        }
    }
    metadata.check(mac, &key)?;
    for comment in &scan.comments {
        if let Some(opened) = comment_text(text, &scan, comment, &key) {
            edits.push((comment.range.clone(), opened));
        }
    }
    edits.extend(scan.metadata.iter().map(|range| (range.clone(), String::new())));
    Ok(Cleartext::new(document::replace(text, edits)))
}

/// The value and whether it was encrypted.
fn read(value: &Value, metadata: &Metadata, key: &DataKey) -> Result<(Leaf, bool), SopsError> {
    let wrong = |problem| SopsError::Value { line: value.line, path: value.path.join("."), problem };
    let written = Leaf::written(&value.text, value.plain);
    // sops leaves null and "" as they are.
    if written.kind_name().is_none() || value.text.is_empty() {
        return Ok((written, false));
    }
    let looks = looks_encrypted(&value.text);
    let encrypted = metadata.rule.encrypts(&value.path).unwrap_or(looks);
    match (encrypted, looks) {
        (false, _) => Ok((written, false)),
        (true, false) => Err(wrong("is not encrypted although it has to be")),
        (true, true) => {
            let opened = key.open(&value.text, &binding(&value.path)).map_err(wrong)?;
            Ok((Leaf::opened(&opened).map_err(wrong)?, true))
        }
    }
}

/// An encrypted comment is bound to the mapping or list that it stands in: one of those around its neighbours.
/// One that does not open is left, as sops leaves it: older releases did not encrypt comments.
fn comment_text(text: &str, scan: &Scan, comment: &document::Comment, key: &DataKey) -> Option<String> {
    let body = &text[comment.range.clone()];
    if !looks_encrypted(body) {
        return None;
    }
    let before = comment.after.checked_sub(1).and_then(|at| scan.values.get(at));
    let neighbours = [scan.values.get(comment.after), before];
    let paths = neighbours.into_iter().flatten().flat_map(|value| {
        let path = &value.path;
        (0..=path.len()).rev().map(move |length| &path[..length])
    });
    let opened = paths
        .chain([&[] as &[String]])
        .find_map(|path| key.open(body, &binding(path)).ok())
        .filter(|opened| opened.kind == "comment")?;
    // A comment stays on its line whatever it says.
    let line = String::from_utf8(opened.bytes.to_vec()).ok()?;
    Some(line.replace(['\n', '\r'], " "))
}

pub(super) fn binding(path: &[String]) -> String {
    // With no key at all there is still the closing colon.
    format!("{}:", path.join(":"))
}
