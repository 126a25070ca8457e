//! Strategic merge of one decoded value into another (Talos v1.12.11 `pkg/machinery/config/merge`).
//!
//! `None` is the zero value throughout, as in decoded documents.

use super::super::decode::{sort_keys, zero};
use super::super::types::url::Url;
use super::super::types::{ListMerge, Struct, TextKind, Type};
use super::super::yaml::{Entry, Node, Tag, Value, integer_value};

/// Why two values do not merge, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) path: String,
    pub(super) message: String,
}

/// Merges documents of one kind.
pub(super) fn document(body: &'static Struct, left: Node, right: &Node) -> Result<Node, Conflict> {
    fields(body, left, right)
}

/// How a value is taken over.
#[derive(Clone, Copy)]
struct Mode {
    /// As a whole.
    replace: bool,
    /// Even when it is zero.
    overwrite: bool,
}

const PLAIN: Mode = Mode { replace: false, overwrite: false };

fn value(ty: Type, left: Option<Node>, right: Option<&Node>, mode: Mode) -> Result<Option<Node>, Conflict> {
    match ty {
        Type::Bool => Ok(right.cloned()),
        Type::Str | Type::Int(_) | Type::Uint(_) | Type::Float => Ok(match right {
            None if !mode.overwrite => left,
            right => right.cloned(),
        }),
        Type::Text(kind) => text(kind, left, right, mode),
        Type::Pointer(inner) => pointer(*inner, left, right, mode),
        Type::List(inner, how) => list(*inner, how, left, right, mode),
        Type::Map(inner) => map(*inner, left, right, mode),
        Type::Struct(body) => structure(body, left, right, mode),
        Type::Unstructured => match right {
            None => Ok(left),
            Some(right) if mode.replace => Ok(Some(right.clone())),
            Some(right) => entries(left, right, |left, right| any(left, right).map(Some)),
        },
        Type::Args => match right {
            None => Ok(left),
            Some(right) => entries(left, right, |left, right| Ok(Some(argument(left, right)))),
        },
        Type::Any => match (left, right) {
            (left, None) => Ok(left),
            (None, Some(right)) => Ok(Some(right.clone())),
            (Some(left), Some(right)) => any(left, right).map(Some),
        },
    }
}

fn text(kind: TextKind, left: Option<Node>, right: Option<&Node>, mode: Mode) -> Result<Option<Node>, Conflict> {
    match (kind, left, right) {
        // Their own merge takes the right side even when it is absent.
        (TextKind::Cel | TextKind::ByteSize | TextKind::Percentage, _, right) => Ok(right.cloned()),
        (TextKind::Url, Some(left), Some(right)) => url(&left, right).map(Some),
        // Both halves of the union are kept, and bytes win when it is written.
        (TextKind::Size, Some(left), Some(right)) => {
            let percent = |node: &Node| node.as_str().is_some_and(|text| text.contains('%'));
            Ok(Some(if !percent(&left) && percent(right) { left } else { right.clone() }))
        }
        (TextKind::Enum(_) | TextKind::Duration | TextKind::DiskSize | TextKind::FileMode, _, None)
            if mode.overwrite =>
        {
            Ok(None)
        }
        // Two conditions never merge: the text of the condition is a private field there.
        (TextKind::SizeMatch, Some(_), Some(_)) => Err(conflict("a size condition cannot be merged into another one")),
        (_, left, None) => Ok(left),
        (_, _, Some(right)) => Ok(Some(right.clone())),
    }
}

fn url(left: &Node, right: &Node) -> Result<Node, Conflict> {
    let parse = |node: &Node| Url::parse(node.as_str().unwrap_or_default()).map_err(conflict);
    let (left, right) = (parse(left)?, parse(right)?);
    if left.user.is_some() && right.user.is_some() {
        return Err(conflict("a URL with a user cannot be merged into another one"));
    }
    Ok(Node::string(left.overlaid(&right).to_string()))
}

fn pointer(inner: Type, left: Option<Node>, right: Option<&Node>, mode: Mode) -> Result<Option<Node>, Conflict> {
    let left = left.filter(|left| !left.is_null());
    match (left, right.filter(|right| !right.is_null())) {
        (left, None) => Ok(left),
        (None, Some(right)) => Ok(Some(right.clone())),
        (Some(left), Some(right)) => {
            let mode = Mode { replace: mode.replace, overwrite: true };
            let merged = value(inner, set(inner, left), set_ref(inner, right), mode)?;
            Ok(Some(merged.unwrap_or_else(|| zero(inner))))
        }
    }
}

fn list(
    inner: Type,
    how: ListMerge,
    left: Option<Node>,
    right: Option<&Node>,
    mode: Mode,
) -> Result<Option<Node>, Conflict> {
    let Some(right) = right else { return Ok(left) };
    let items = right.as_sequence().unwrap_or_default();
    let absent = left.is_none();
    let mut merged = into_items(left);
    match how {
        ListMerge::Append if mode.replace => return Ok(Some(right.clone())),
        ListMerge::Append => merged.extend(items.iter().cloned()),
        ListMerge::ReplaceBy(key) => {
            // Only what was there before is replaced, and of equals the last.
            let before = merged.len();
            for item in items {
                match merged[..before].iter().rposition(|left| same_key(left, item, key)) {
                    Some(position) => merged[position] = item.clone(),
                    None => merged.push(item.clone()),
                }
            }
        }
        ListMerge::By(_) | ListMerge::Devices => {
            for (index, item) in items.iter().enumerate() {
                if item.is_null() {
                    return Err(conflict("an item of the list is null").below(&format!("[{index}]")));
                }
                let found = merged.iter().position(|left| matches(how, left, item));
                match found {
                    Some(position) => {
                        let left = std::mem::replace(&mut merged[position], Node::null());
                        let result = value(inner, Some(left), Some(item), PLAIN);
                        let result = result.map_err(|error| error.below(&format!("[{index}]")))?;
                        merged[position] = result.unwrap_or_else(|| zero(inner));
                    }
                    None => merged.push(item.clone()),
                }
            }
            if absent && merged.is_empty() {
                return Ok(None);
            }
        }
    }
    Ok(Some(Node::sequence(merged)))
}

fn matches(how: ListMerge, left: &Node, right: &Node) -> bool {
    match how {
        ListMerge::By(key) => same_key(left, right, key),
        ListMerge::Devices => match (right.get("interface"), right.get("deviceSelector")) {
            (Some(_), _) => same_key(left, right, "interface"),
            // `physical` is a pointer there, and pointers of two documents are never equal.
            (None, Some(wanted)) => {
                left.get("deviceSelector").is_some_and(|selector| selector.same_content(wanted))
                    && wanted.get("physical").is_none()
            }
            (None, None) => false,
        },
        _ => false,
    }
}

fn same_key(left: &Node, right: &Node, key: &str) -> bool {
    !left.is_null() && left.get(key).and_then(Node::as_str) == right.get(key).and_then(Node::as_str)
}

fn map(inner: Type, left: Option<Node>, right: Option<&Node>, mode: Mode) -> Result<Option<Node>, Conflict> {
    match right {
        None => Ok(left),
        Some(right) if mode.replace => Ok(Some(right.clone())),
        Some(right) => entries(left, right, |left, right| {
            let merged = value(inner, set(inner, left), set_ref(inner, right), PLAIN)?;
            Ok(Some(merged.unwrap_or_else(|| zero(inner))))
        }),
    }
}

fn structure(
    body: &'static Struct,
    left: Option<Node>,
    right: Option<&Node>,
    mode: Mode,
) -> Result<Option<Node>, Conflict> {
    match (left, right) {
        (None, None) => Ok(None),
        (left, None) if mode.replace => Ok(left),
        (_, Some(right)) if mode.replace => Ok(Some(right.clone())),
        // Absent on the right is a struct of zeros: expressions and sizes in it take even those.
        (left, right) => {
            let nothing = Node::new(Value::Mapping(Vec::new()));
            let merged = fields(body, left.unwrap_or_else(|| nothing.clone()), right.unwrap_or(&nothing))?;
            Ok(Some(merged).filter(|merged| merged.as_mapping().is_some_and(|entries| !entries.is_empty())))
        }
    }
}

fn fields(body: &'static Struct, left: Node, right: &Node) -> Result<Node, Conflict> {
    let mark = left.mark;
    let mut old = match left.value {
        Value::Mapping(entries) => entries,
        _ => Vec::new(),
    };
    let mut merged = Vec::with_capacity(old.len());
    for field in body.fields {
        let position = old.iter().position(|entry| entry.key.as_str() == Some(field.name));
        let (key, left) = match position.map(|position| old.swap_remove(position)) {
            Some(entry) => (entry.key, Some(entry.value)),
            None => (Node::string(field.name), None),
        };
        let mode = Mode { replace: field.replace(), overwrite: false };
        let result = value(field.ty, left, right.get(field.name), mode).map_err(|error| error.below(field.name))?;
        merged.extend(result.map(|value| Entry { key, value }));
    }
    let mut node = Node::new(Value::Mapping(merged));
    node.mark = mark;
    Ok(node)
}

/// Merges the entries of mappings with free keys; keys of the left whose value is null count as missing.
fn entries(
    left: Option<Node>,
    right: &Node,
    mut merge: impl FnMut(Node, &Node) -> Result<Option<Node>, Conflict>,
) -> Result<Option<Node>, Conflict> {
    let mut merged = match left.map(|left| left.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => Vec::new(),
    };
    for entry in right.as_mapping().unwrap_or_default() {
        let key = entry.key.as_scalar();
        match merged.iter_mut().find(|left| left.key.as_scalar() == key) {
            Some(slot) if !slot.value.is_null() => {
                let left = std::mem::replace(&mut slot.value, Node::null());
                let name = key.map_or("", |key| key.text.as_str());
                slot.value = merge(left, &entry.value).map_err(|error| error.below(name))?.unwrap_or_else(Node::null);
            }
            Some(slot) => slot.value = entry.value.clone(),
            None => merged.push(entry.clone()),
        }
    }
    sort_keys(&mut merged);
    Ok(Some(Node::new(Value::Mapping(merged))))
}

/// An argument: an empty text changes nothing, a list replaces.
fn argument(left: Node, right: &Node) -> Node {
    let empty = right.as_scalar().is_some_and(|scalar| scalar.text.is_empty());
    if empty && left.as_scalar().is_some() { left } else { right.clone() }
}

/// Values of a mapping of anything merge by their type in Go.
fn any(left: Node, right: &Node) -> Result<Node, Conflict> {
    let (left_type, right_type) = (go_type(&left), go_type(right));
    if left_type == "nil" {
        return Ok(right.clone());
    }
    // Talos panics here.
    if right_type == "nil" {
        return Err(conflict("null cannot take the place of a value; use $patch: delete"));
    }
    if left_type != right_type {
        return Err(conflict(&format!("merge type mismatch left {left_type} right {right_type}")));
    }
    match (left.value, &right.value) {
        (Value::Mapping(old), Value::Mapping(_)) => {
            let merged =
                entries(Some(Node::new(Value::Mapping(old))), right, |left, right| any(left, right).map(Some))?;
            Ok(merged.unwrap_or_else(Node::null))
        }
        (Value::Sequence(mut items), Value::Sequence(more)) => {
            items.extend(more.iter().cloned());
            Ok(Node::sequence(items))
        }
        (Value::Scalar(old), Value::Scalar(new)) => {
            let keep = match new.tag {
                Tag::Str => new.text.is_empty(),
                Tag::Int | Tag::Float => new.text.parse::<f64>() == Ok(0.0),
                Tag::Timestamp => return Err(conflict("a date cannot be merged into another one")),
                Tag::Bool | Tag::Null => false,
            };
            Ok(if keep { Node::new(Value::Scalar(old)) } else { right.clone() })
        }
        (left, _) => Ok(Node::new(left)),
    }
}

fn go_type(node: &Node) -> &'static str {
    match &node.value {
        Value::Sequence(_) => "[]interface {}",
        Value::Mapping(entries) => {
            let text = |entry: &Entry| entry.key.as_scalar().is_some_and(|key| key.tag == Tag::Str);
            if entries.iter().all(text) { "map[string]interface {}" } else { "map[interface {}]interface {}" }
        }
        Value::Scalar(scalar) => match scalar.tag {
            Tag::Null => "nil",
            Tag::Bool => "bool",
            Tag::Int if integer_value(&scalar.text).is_some_and(|value| value > i128::from(i64::MAX)) => "uint64",
            Tag::Int => "int",
            Tag::Float => "float64",
            Tag::Timestamp => "time.Time",
            Tag::Str => "string",
        },
    }
}

/// A written value as field value: its zero becomes absent.
fn set(ty: Type, node: Node) -> Option<Node> {
    if is_zero(ty, &node) { None } else { Some(node) }
}

fn set_ref(ty: Type, node: &Node) -> Option<&Node> {
    if is_zero(ty, node) { None } else { Some(node) }
}

fn is_zero(ty: Type, node: &Node) -> bool {
    match ty {
        Type::Pointer(_) => node.is_null(),
        Type::List(..) | Type::Map(_) | Type::Args | Type::Any => false,
        // Bytes that were written are not the absent ones, even when there are none of them.
        Type::Text(TextKind::Base64 | TextKind::PemKey | TextKind::Hardware) => false,
        ty => node.same_content(&zero(ty)),
    }
}

fn into_items(node: Option<Node>) -> Vec<Node> {
    match node.map(|node| node.value) {
        Some(Value::Sequence(items)) => items,
        _ => Vec::new(),
    }
}

fn conflict(message: &str) -> Conflict {
    Conflict { path: String::new(), message: message.into() }
}

impl Conflict {
    fn below(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }
}
