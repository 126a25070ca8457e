//! Values as JSON: states as they lie in a state file, and values for the author's own use.

use serde_json::{Map, Number as JsonNumber, Value as Json};
use thiserror::Error;

use super::{number::Number, path::Path, types::Type, value::Value};

/// The JSON there is no value of the type.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("reading {path}: expected {expected}, found {found}")]
pub struct JsonError {
    /// Where.
    pub path: Path,
    /// The type.
    pub expected: String,
    /// The kind of JSON there.
    pub found: &'static str,
}

/// Reads a state. Missing attributes are null, unknown ones are dropped: it may be of an older or newer provider.
pub fn from_json(json: &Json, of: &Type) -> Result<Value, JsonError> {
    read(json, of, &Path::root())
}

/// The value that plain JSON evidently is: objects are maps, arrays are lists, nothing is dynamic.
pub fn from_plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::from(Number::parse(&number.to_string())),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(elements) => Value::List(elements.iter().map(from_plain).collect()),
        Json::Object(entries) => Value::object(entries.iter().map(|(key, json)| (key.clone(), from_plain(json)))),
    }
}

/// The value as JSON, without types; `None` when a part of it is unknown (or a number is infinite).
pub fn to_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Unknown => return None,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.to_string().parse::<JsonNumber>().ok()?),
        Value::String(text) => Json::String(text.clone()),
        Value::List(elements) => Json::Array(elements.iter().map(to_json).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.clone(), to_json(value)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        Value::Dynamic(inner) => to_json(&inner.1)?,
    })
}

fn read(json: &Json, of: &Type, path: &Path) -> Result<Value, JsonError> {
    let wrong = || JsonError { path: path.clone(), expected: of.to_string(), found: kind(json) };
    Ok(match (of, json) {
        (_, Json::Null) => Value::Null,
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::Bool, Json::String(text)) => Value::Bool(text.parse().map_err(|_| wrong())?),
        (Type::Number, Json::Number(number)) => Value::Number(Number::parse(&number.to_string()).ok_or_else(wrong)?),
        (Type::Number, Json::String(text)) => Value::Number(Number::parse(text).ok_or_else(wrong)?),
        (Type::String, Json::String(text)) => Value::String(text.clone()),
        // What used to be a number or a boolean may have become text.
        (Type::String, Json::Number(number)) => Value::String(number.to_string()),
        (Type::String, Json::Bool(value)) => Value::String(value.to_string()),
        (Type::List(element) | Type::Set(element), Json::Array(elements)) => {
            let elements = elements.iter().enumerate();
            Value::List(elements.map(|(at, json)| read(json, element, &path.index(at))).collect::<Result<_, _>>()?)
        }
        (Type::Tuple(types), Json::Array(elements)) if types.len() == elements.len() => {
            let elements = types.iter().zip(elements).enumerate();
            Value::List(elements.map(|(at, (of, json))| read(json, of, &path.index(at))).collect::<Result<_, _>>()?)
        }
        (Type::Map(element), Json::Object(entries)) => {
            let entries = entries.iter();
            Value::Map(
                entries
                    .map(|(key, json)| Ok((key.clone(), read(json, element, &path.key(key.clone()))?)))
                    .collect::<Result<_, _>>()?,
            )
        }
        (Type::Object(attributes), Json::Object(entries)) => attributes_of(attributes, entries, path)?,
        (Type::Dynamic, Json::Object(entries)) => {
            let inner = entries.get("type").and_then(Type::from_json).ok_or_else(wrong)?;
            let value = read(entries.get("value").unwrap_or(&Json::Null), &inner, path)?;
            Value::Dynamic(Box::new((inner, value)))
        }
        _ => return Err(wrong()),
    })
}

fn attributes_of(
    attributes: &std::collections::BTreeMap<String, Type>,
    entries: &Map<String, Json>,
    path: &Path,
) -> Result<Value, JsonError> {
    let read = attributes.iter().map(|(name, of)| {
        let json = entries.get(name).unwrap_or(&Json::Null);
        Ok((name.clone(), read(json, of, &path.attribute(name.clone()))?))
    });
    read.collect::<Result<_, _>>().map(Value::Map)
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of() -> Type {
        Type::object([
            ("name", Type::String),
            ("size", Type::Number),
            ("nets", Type::list(Type::object([("ip", Type::String), ("up", Type::Bool)]))),
            ("labels", Type::map(Type::String)),
            ("any", Type::Dynamic),
        ])
    }

    #[test]
    fn a_state_is_read_and_what_it_lacks_is_null() {
        let json = json!({
            "name": "a", "gone": 1, "nets": [{"ip": "::1"}],
            "any": {"type": ["list", "string"], "value": ["x"]},
        });
        let expected = Value::object([
            ("name", "a".into()),
            ("size", Value::Null),
            ("nets", Value::List(vec![Value::object([("ip", "::1".into()), ("up", Value::Null)])])),
            ("labels", Value::Null),
            ("any", Value::Dynamic(Box::new((Type::list(Type::String), vec!["x"].into())))),
        ]);
        assert_eq!(from_json(&json, &of()), Ok(expected));
    }

    #[test]
    fn a_number_of_a_state_keeps_all_its_digits() {
        for text in ["1e30", "18446744073709551616", "0.1", "3.141592653589793238462643383279502884197"] {
            let json: Json = serde_json::from_str(&format!("{{\"size\":{text}}}")).unwrap();
            let value = from_json(&json, &of()).unwrap();
            assert_eq!(value.get("size"), &Value::Number(Number::parse(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_names_the_attribute() {
        let error = from_json(&json!({"nets": [{"ip": []}]}), &of()).unwrap_err();
        assert_eq!(error.to_string(), "reading nets[0].ip: expected string, found an array");
    }

    #[test]
    fn a_known_value_becomes_plain_json_and_an_unknown_one_none() {
        let value = Value::object([
            ("a", Value::from(1.5)),
            ("b", Value::Dynamic(Box::new((Type::Bool, true.into())))),
            ("c", Value::List(vec![Value::Null])),
        ]);
        assert_eq!(to_json(&value), Some(json!({"a": 1.5, "b": true, "c": [null]})));
        assert_eq!(to_json(&value.clone().with("d", Value::Unknown)), None);
        let plain = value.with("b", true);
        assert_eq!(from_plain(&to_json(&plain).unwrap()), plain);
    }
}
