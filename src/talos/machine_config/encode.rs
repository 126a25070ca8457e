//! The opposite of decoding: what Talos writes for a document, absent fields included.

use super::decode::zero;
use super::types::{Struct, TextKind, Type};
use super::yaml::{Entry, Node, Value};

/// The content of a document as Talos writes it.
pub(super) fn document(body: &'static Struct, root: &Node) -> Node {
    fields(body, Some(root))
}

fn fields(body: &'static Struct, node: Option<&Node>) -> Node {
    let mut entries = Vec::new();
    for field in body.fields {
        let value = node.and_then(|node| node.get(field.name));
        if is_empty(field.ty, value) && (field.omit_empty() || !has_word_for_zero(field.ty)) {
            continue;
        }
        entries.push(Entry { key: Node::string(field.name), value: written(field.ty, value) });
    }
    Node::new(Value::Mapping(entries))
}

/// Talos writes `Protocol(0)` for some words that were never set, and cannot read it again.
fn has_word_for_zero(ty: Type) -> bool {
    match ty {
        Type::Text(TextKind::Enum(words)) => words.values.iter().any(|(_, number)| *number == 0),
        _ => true,
    }
}

fn written(ty: Type, node: Option<&Node>) -> Node {
    let Some(node) = node else {
        return match ty {
            Type::Struct(body) => fields(body, None),
            ty => zero(ty),
        };
    };
    if node.is_null() {
        return Node::null();
    }
    match ty {
        Type::Pointer(inner) => written(*inner, Some(node)),
        Type::Struct(body) => fields(body, Some(node)),
        Type::List(inner, _) => {
            let items = node.as_sequence().unwrap_or_default();
            Node::sequence(items.iter().map(|item| written(*inner, Some(item))).collect())
        }
        Type::Map(inner) => {
            let entries = node.as_mapping().unwrap_or_default().iter();
            let entries = entries.map(|entry| Entry { key: entry.key.clone(), value: written(*inner, Some(&entry.value)) });
            Node::new(Value::Mapping(entries.collect()))
        }
        _ => node.clone(),
    }
}

/// What Go's `omitempty` leaves out.
pub(super) fn is_empty(ty: Type, node: Option<&Node>) -> bool {
    let Some(node) = node else { return true };
    match ty {
        Type::Pointer(_) => node.is_null(),
        Type::List(..) => node.as_sequence().is_none_or(<[_]>::is_empty),
        Type::Map(_) | Type::Unstructured | Type::Args => node.as_mapping().is_none_or(<[_]>::is_empty),
        // Its `IsZero` looks at these two only (Talos types/block/encryption.go).
        Type::Struct(body) if body.name == "EncryptionSpec" => {
            ["provider", "keys"].iter().all(|name| body.field(name).is_none_or(|field| is_empty(field.ty, node.get(name))))
        }
        Type::Struct(body) => body.fields.iter().all(|field| is_empty(field.ty, node.get(field.name))),
        Type::Text(_) => node.as_str().is_some_and(str::is_empty),
        _ => false,
    }
}
