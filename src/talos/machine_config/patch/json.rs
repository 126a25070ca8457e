//! JSON patches (RFC 6902) as github.com/evanphx/json-patch v5.9.11 applies them.

use serde_json::{Map, Number, Value as Json};

use super::super::decode::canonical_float;
use super::super::yaml::{Entry, Node, Scalar, Style, Tag, Value, canonical_timestamp, integer_value};

/// One operation of a JSON patch.
pub(super) struct Operation {
    fields: Map<String, Json>,
    /// Written as YAML: a null to test for is then a value, which nothing absent equals.
    yaml: bool,
}

/// Reads a JSON patch: a JSON array or a YAML list of mappings. `None` when the text is neither.
pub(super) fn load(text: &str, documents: &[Node]) -> Option<Vec<Operation>> {
    if let Ok(operations) = serde_json::from_str::<Vec<Map<String, Json>>>(text) {
        return Some(operations.into_iter().map(|fields| Operation { fields, yaml: false }).collect());
    }
    let [document] = documents else {
        // No document at all is an empty patch.
        return documents.is_empty().then(Vec::new);
    };
    if document.is_null() {
        return Some(Vec::new());
    }
    let operation = |item| match from_yaml(item, false).ok()? {
        Json::Object(fields) => Some(Operation { fields, yaml: true }),
        _ => None,
    };
    document.as_sequence()?.iter().map(operation).collect()
}

/// Applies the operations in order.
pub(super) fn apply(document: &mut Json, operations: &[Operation]) -> Result<(), String> {
    operations.iter().try_for_each(|operation| apply_one(document, operation))
}

/// A YAML tree as JSON. `yaml_1_1`: plain words such as `on` are booleans, as the library in the middle of
/// Talos' round trip reads them.
pub(super) fn from_yaml(node: &Node, yaml_1_1: bool) -> Result<Json, String> {
    Ok(match &node.value {
        Value::Scalar(scalar) => scalar_to_json(scalar, yaml_1_1 && node.style == Style::Plain)?,
        Value::Sequence(items) => {
            Json::Array(items.iter().map(|item| from_yaml(item, yaml_1_1)).collect::<Result<_, _>>()?)
        }
        Value::Mapping(entries) => {
            let mut object = Map::new();
            for entry in entries {
                let key = from_yaml(&entry.key, yaml_1_1)?;
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                object.insert(key, from_yaml(&entry.value, yaml_1_1)?);
            }
            Json::Object(object)
        }
    })
}

/// JSON as a YAML tree, keys sorted.
pub(super) fn to_yaml(json: &Json) -> Node {
    match json {
        Json::Null => Node::null(),
        Json::Bool(value) => Node::boolean(*value),
        Json::Number(number) => {
            let text = number.to_string();
            match integer_value(&text) {
                Some(value) => Node::integer(value),
                None => Node::new(Value::Scalar(Scalar { tag: Tag::Float, text: canonical_float(&text) })),
            }
        }
        Json::String(text) => Node::string(text),
        Json::Array(items) => Node::sequence(items.iter().map(to_yaml).collect()),
        Json::Object(object) => {
            let mut entries: Vec<Entry> =
                object.iter().map(|(key, value)| Entry { key: Node::string(key), value: to_yaml(value) }).collect();
            super::super::decode::sort_keys(&mut entries);
            Node::new(Value::Mapping(entries))
        }
    }
}

fn scalar_to_json(scalar: &Scalar, yaml_1_1: bool) -> Result<Json, String> {
    Ok(match scalar.tag {
        Tag::Null => Json::Null,
        Tag::Bool => Json::Bool(scalar.text.eq_ignore_ascii_case("true")),
        Tag::Int => match integer_value(&scalar.text) {
            Some(value) => number(&value.to_string())?,
            None => Json::String(scalar.text.clone()),
        },
        Tag::Float => {
            let value: f64 = scalar.text.replace('_', "").parse().map_err(|_| "an infinite number cannot be JSON")?;
            if value.fract() == 0.0 && value.abs() < 1e15 {
                number(&format!("{value:.0}"))?
            } else {
                number(&value.to_string())?
            }
        }
        Tag::Str if yaml_1_1 => match scalar.text.as_str() {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Json::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Json::Bool(false),
            text => Json::String(text.into()),
        },
        Tag::Timestamp if !yaml_1_1 => Json::String(canonical_timestamp(&scalar.text)),
        Tag::Timestamp | Tag::Str => Json::String(scalar.text.clone()),
    })
}

fn number(text: &str) -> Result<Json, String> {
    text.parse::<Number>().map(Json::Number).map_err(|_| "a number cannot be written as JSON".into())
}

fn apply_one(document: &mut Json, operation: &Operation) -> Result<(), String> {
    let kind = operation.fields.get("op").and_then(Json::as_str).unwrap_or("unknown");
    let path = match kind {
        "add" | "remove" | "replace" | "move" | "test" | "copy" => text(operation, kind, "path")?,
        kind => return Err(format!("unexpected kind of operation: {kind:?}")),
    };
    let value = || operation.fields.get("value").cloned().unwrap_or(Json::Null);
    match kind {
        "add" => parent(document, path, kind)?.add(value()),
        "remove" => parent(document, path, kind)?.remove().map(drop),
        "replace" if path.is_empty() => {
            let value = value();
            if !value.is_object() && !value.is_array() {
                return Err("replace operation value must be an object or an array".into());
            }
            *document = value;
            Ok(())
        }
        "replace" => parent(document, path, kind)?.replace(value()),
        "test" if path.is_empty() => tested(*document == value(), path),
        "test" => {
            let found = parent(document, path, kind)?.get()?.cloned().unwrap_or(Json::Null);
            let null = operation.yaml && operation.fields.get("value") == Some(&Json::Null);
            tested(found == value() && !null, path)
        }
        "move" => {
            let moved = parent(document, text(operation, kind, "from")?, kind)?.remove()?;
            parent(document, path, kind)?.add(moved)
        }
        _ => {
            let copied = parent(document, text(operation, kind, "from")?, kind)?.get()?.cloned();
            parent(document, path, kind)?.add(copied.unwrap_or(Json::Null))
        }
    }
}

fn tested(equal: bool, path: &str) -> Result<(), String> {
    if equal { Ok(()) } else { Err(format!("testing value {path} failed")) }
}

fn text<'a>(operation: &'a Operation, kind: &str, key: &str) -> Result<&'a str, String> {
    operation.fields.get(key).and_then(Json::as_str).ok_or_else(|| format!("{kind} operation has no {key:?}"))
}

/// A place in a document: the collection and the key in it.
struct Place<'a> {
    collection: &'a mut Json,
    key: String,
    path: &'a str,
}

fn parent<'a>(document: &'a mut Json, path: &'a str, kind: &str) -> Result<Place<'a>, String> {
    let missing = || format!("{kind} operation does not apply: doc is missing path: {path:?}");
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() < 2 {
        return Err(missing());
    }
    let key = unescape(parts.pop().unwrap_or_default());
    let mut collection = document;
    for part in &parts[1..] {
        let part = unescape(part);
        collection = match collection {
            Json::Object(object) => object.get_mut(&part),
            Json::Array(items) => index(&part, items.len()).ok().and_then(|index| items.get_mut(index)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    if !collection.is_object() && !collection.is_array() {
        return Err(missing());
    }
    Ok(Place { collection, key, path })
}

impl Place<'_> {
    fn get(&mut self) -> Result<Option<&mut Json>, String> {
        match self.collection {
            Json::Object(object) => Ok(object.get_mut(&self.key)),
            Json::Array(items) => {
                let index = index(&self.key, items.len())?;
                items.get_mut(index).map(Some).ok_or_else(|| out_of_range(self.path))
            }
            _ => Ok(None),
        }
    }

    fn add(self, value: Json) -> Result<(), String> {
        match self.collection {
            Json::Object(object) => {
                object.insert(self.key, value);
            }
            Json::Array(items) if self.key == "-" => items.push(value),
            Json::Array(items) => {
                let index = index(&self.key, items.len() + 1)?;
                if index > items.len() {
                    return Err(out_of_range(self.path));
                }
                items.insert(index, value);
            }
            _ => {}
        }
        Ok(())
    }

    /// A missing key of an object is added: the library does not look.
    fn replace(self, value: Json) -> Result<(), String> {
        match self.collection {
            Json::Object(object) => {
                object.insert(self.key, value);
            }
            Json::Array(items) => {
                let index = index(&self.key, items.len())?;
                *items.get_mut(index).ok_or_else(|| out_of_range(self.path))? = value;
            }
            _ => {}
        }
        Ok(())
    }

    fn remove(self) -> Result<Json, String> {
        match self.collection {
            Json::Object(object) => object
                .shift_remove(&self.key)
                .ok_or_else(|| format!("error in remove for path: '{}': unable to remove nonexistent key", self.path)),
            Json::Array(items) => {
                let index = index(&self.key, items.len())?;
                if index >= items.len() {
                    return Err(out_of_range(self.path));
                }
                Ok(items.remove(index))
            }
            _ => Ok(Json::Null),
        }
    }
}

/// An index into a list of so many items; negative ones count from the end.
fn index(text: &str, length: usize) -> Result<usize, String> {
    let index: i64 = text.parse().map_err(|_| format!("value was not a proper array index: {text:?}"))?;
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).map_err(|_| format!("unable to access invalid index: {text}"))
}

fn out_of_range(path: &str) -> String {
    format!("unable to access invalid index in path: {path}")
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}
