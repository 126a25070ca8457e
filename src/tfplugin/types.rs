//! The types of values, in Terraform's own notation both ways.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value as Json, json};

/// A type of Terraform's type system ("cty").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// Any type; each value brings its own.
    Dynamic,
    /// `list(...)`
    List(Box<Type>),
    /// `set(...)`
    Set(Box<Type>),
    /// `map(...)`
    Map(Box<Type>),
    /// `object({...})`
    Object(BTreeMap<String, Type>),
    /// `tuple([...])`
    Tuple(Vec<Type>),
}

impl Type {
    /// `list(element)`
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// `set(element)`
    pub fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// `map(element)`
    pub fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// `object({...})`
    pub fn object<K: Into<String>>(attributes: impl IntoIterator<Item = (K, Type)>) -> Self {
        Self::Object(attributes.into_iter().map(|(name, of)| (name.into(), of)).collect())
    }

    /// The JSON form in which types travel: `"string"`, `["list","string"]`, `["object",{"a":"string"}]`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool => json!("bool"),
            Self::Number => json!("number"),
            Self::String => json!("string"),
            Self::Dynamic => json!("dynamic"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Object(attributes) => {
                let attributes: serde_json::Map<_, _> =
                    attributes.iter().map(|(name, of)| (name.clone(), of.to_json())).collect();
                json!(["object", attributes])
            }
            Self::Tuple(elements) => json!(["tuple", elements.iter().map(Self::to_json).collect::<Vec<_>>()]),
        }
    }

    /// Reads the JSON form; `None` when it is none. Optional object attributes (a third element) count as plain ones.
    pub fn from_json(json: &Json) -> Option<Self> {
        if let Json::String(name) = json {
            return match name.as_str() {
                "bool" => Some(Self::Bool),
                "number" => Some(Self::Number),
                "string" => Some(Self::String),
                "dynamic" => Some(Self::Dynamic),
                _ => None,
            };
        }
        let parts = json.as_array()?;
        let of = parts.get(1)?;
        match parts.first()?.as_str()? {
            "list" => Some(Self::list(Self::from_json(of)?)),
            "set" => Some(Self::set(Self::from_json(of)?)),
            "map" => Some(Self::map(Self::from_json(of)?)),
            "object" => {
                let attributes = of.as_object()?.iter();
                attributes
                    .map(|(name, of)| Some((name.clone(), Self::from_json(of)?)))
                    .collect::<Option<_>>()
                    .map(Self::Object)
            }
            "tuple" => of.as_array()?.iter().map(Self::from_json).collect::<Option<_>>().map(Self::Tuple),
            _ => None,
        }
    }
}

/// Terraform's own notation: `list(string)`, `object({ name = string })`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::Dynamic => f.write_str("any"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Set(element) => write!(f, "set({element})"),
            Self::Map(element) => write!(f, "map({element})"),
            Self::Object(attributes) => {
                let inner: Vec<_> = attributes.iter().map(|(name, of)| format!("{name} = {of}")).collect();
                write!(f, "object({{ {} }})", inner.join(", "))
            }
            Self::Tuple(elements) => {
                let inner: Vec<_> = elements.iter().map(Self::to_string).collect();
                write!(f, "tuple([{}])", inner.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_written_as_json() {
        for text in [
            r#""string""#,
            r#""dynamic""#,
            r#"["list","number"]"#,
            r#"["set",["map","bool"]]"#,
            r#"["object",{"a":"string","b":["list","dynamic"]}]"#,
            r#"["tuple",["string",["object",{}]]]"#,
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            let of = Type::from_json(&json).unwrap();
            assert_eq!(of.to_json().to_string(), text);
        }
    }

    #[test]
    fn optional_attributes_count_as_plain_ones() {
        let json = json!(["object", {"a": "string"}, ["a"]]);
        assert_eq!(Type::from_json(&json), Some(Type::object([("a", Type::String)])));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for json in
            [json!("text"), json!(["list"]), json!(["list", "text"]), json!(7), json!(["map", {"a": "b"}]), json!([])]
        {
            assert_eq!(Type::from_json(&json), None, "{json}");
        }
    }

    #[test]
    fn types_are_shown_in_the_notation_of_a_configuration() {
        let of = Type::object([("a", Type::list(Type::Dynamic)), ("b", Type::Tuple(vec![Type::Bool, Type::Number]))]);
        assert_eq!(of.to_string(), "object({ a = list(any), b = tuple([bool, number]) })");
    }
}
