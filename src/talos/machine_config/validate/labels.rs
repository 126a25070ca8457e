//! Kubernetes' rules for labels, annotations and taints (Talos `pkg/machinery/labels`).

use super::super::yaml::Node;
use super::{Read, Report};

/// The three maps of a node, by the path and the field each is in; `at` is where the fields are found.
pub(super) fn validate(at: &Node, path: &str, fields: [&str; 3], report: &mut Report) {
    let [labels, annotations, taints] = fields;
    each(at, path, labels, report, |key, value| {
        [qualified_name(key).err(), label_value(value).err()].into_iter().flatten().collect()
    });
    each(at, path, annotations, report, |key, _| annotation(key));
    each(at, path, taints, report, |key, value| taint(key, value).err().into_iter().collect());
    let entries = at.get(annotations).and_then(Node::as_mapping).unwrap_or_default();
    let length = |node: &Node| node.as_str().unwrap_or_default().len();
    let size: usize = entries.iter().map(|entry| length(&entry.key) + length(&entry.value)).sum();
    if size > ANNOTATIONS_LIMIT {
        let message = format!("total annotation size exceeds limit of {ANNOTATIONS_LIMIT} bytes");
        report.error(format!("{path}{annotations}"), message);
    }
}

const ANNOTATIONS_LIMIT: usize = 256 << 10;

fn each(at: &Node, path: &str, field: &str, report: &mut Report, check: impl Fn(&str, &str) -> Vec<String>) {
    for entry in at.get(field).and_then(Node::as_mapping).unwrap_or_default() {
        let key = entry.key.as_str().unwrap_or_default();
        for message in check(key, entry.value.text("")) {
            report.error(format!("{path}{field}[{key:?}]"), message);
        }
    }
}

fn annotation(key: &str) -> Vec<String> {
    let mut problems: Vec<String> = qualified_name(key).err().into_iter().collect();
    if ["talos.dev/owned-annotations", "talos.dev/owned-labels", "talos.dev/owned-taints"].contains(&key) {
        problems.push("the annotation is reserved".into());
    }
    problems
}

fn taint(key: &str, value: &str) -> Result<(), String> {
    qualified_name(key)?;
    let (label, effect) = value.split_once(':').map_or((None, value), |(label, effect)| (Some(label), effect));
    if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!("invalid taint effect: {effect:?}"));
    }
    label.map_or(Ok(()), label_value)
}

pub(super) fn qualified_name(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        ["", _] => return Err("prefix cannot be empty".into()),
        [prefix, name] => {
            if !is_subdomain(prefix) {
                return Err(format!("prefix {prefix:?} is invalid"));
            }
            name
        }
        _ => return Err("invalid format: too many slashes".into()),
    };
    match name.len() {
        0 => Err("name cannot be empty".into()),
        64.. => Err("name is too long (limit is 63)".into()),
        _ if !is_name(name) => Err(format!("name {name:?} is invalid")),
        _ => Ok(()),
    }
}

fn label_value(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err("label value length exceeds limit of 63".into());
    }
    if text.is_empty() || is_name(text) { Ok(()) } else { Err(format!("label value {text:?} is invalid")) }
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// A DNS subdomain of RFC 1123, in lower case.
pub(super) fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        bytes.first().is_some_and(lower)
            && bytes.last().is_some_and(lower)
            && bytes.iter().all(|b| lower(b) || *b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
