//! Values of any type, as Go holds and writes them.

use super::{placed, sort_keys};
use crate::talos::machine_config::yaml::{Entry, Node, Scalar, Tag, Value, canonical_timestamp, integer_value};

/// The value with every scalar in the form Go writes and every mapping sorted.
pub(super) fn canonical(node: &Node) -> Node {
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(canonical_scalar(scalar)),
        Value::Sequence(items) => Value::Sequence(items.iter().map(canonical).collect()),
        Value::Mapping(entries) => {
            let mut entries: Vec<Entry> = entries
                .iter()
                .map(|entry| Entry { key: canonical(&entry.key), value: canonical(&entry.value) })
                .collect();
            sort_keys(&mut entries);
            Value::Mapping(entries)
        }
    };
    placed(Node::new(value), node.mark)
}

/// A mapping whose own keys are texts whatever they look like; below it anything goes.
pub(super) fn unstructured(node: &Node) -> Node {
    let entries = node.as_mapping().unwrap_or_default().iter();
    let mut entries: Vec<Entry> = entries
        .filter_map(|entry| {
            let key = placed(Node::string(entry.key.as_str()?), entry.key.mark);
            Some(Entry { key, value: canonical(&entry.value) })
        })
        .collect();
    sort_keys(&mut entries);
    placed(Node::new(Value::Mapping(entries)), node.mark)
}

/// A float as `strconv.FormatFloat(f, 'g', -1, 64)` writes it.
pub(in crate::talos::machine_config) fn canonical_float(text: &str) -> String {
    let plain = text.replace('_', "");
    match plain.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
        ".inf" => return if plain.starts_with('-') { "-.inf".into() } else { ".inf".into() },
        ".nan" => return ".nan".into(),
        _ => {}
    }
    let Ok(value) = plain.parse::<f64>() else { return text.to_owned() };
    let exponent = if value == 0.0 {
        0
    } else {
        format!("{value:e}").rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0)
    };
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let scientific = format!("{value:e}");
    let (digits, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", i32::abs(exponent))
}

fn canonical_scalar(scalar: &Scalar) -> Scalar {
    let text = match scalar.tag {
        Tag::Null => "null".into(),
        Tag::Bool => scalar.text.to_ascii_lowercase(),
        Tag::Int => integer_value(&scalar.text).map_or_else(|| scalar.text.clone(), |value| value.to_string()),
        Tag::Float => canonical_float(&scalar.text),
        Tag::Timestamp => canonical_timestamp(&scalar.text),
        Tag::Str => scalar.text.clone(),
    };
    Scalar { tag: scalar.tag, text }
}
