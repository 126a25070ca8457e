//! Values: null, unknown, or known, at any depth.

use std::{collections::BTreeMap, fmt};

use super::{
    number::Number,
    path::{Path, Step},
    types::Type,
};

/// A value of a configuration, plan or state.
///
/// Lists, sets and tuples are all [`Value::List`], maps and objects [`Value::Map`]: which of them it is, the schema knows.
/// `Debug` shows the shape only, as any value may be a secret.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    /// Not set.
    #[default]
    Null,
    /// Not known before apply.
    Unknown,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// A list, a set or a tuple.
    List(Vec<Value>),
    /// A map or an object.
    Map(BTreeMap<String, Value>),
    /// A value of an attribute of type `dynamic`, which brings its own type.
    Dynamic(Box<(Type, Value)>),
}

static NULL: Value = Value::Null;
static UNKNOWN: Value = Value::Unknown;

impl Value {
    /// An object or a map.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A list.
    pub fn list<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// Not set.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Self::Null)
    }

    /// Not known at all; a list with an unknown element is not unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self.plain(), Self::Unknown)
    }

    /// Null, or known at least in its outline.
    pub fn is_known(&self) -> bool {
        !self.is_unknown()
    }

    /// Known to the last leaf.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(entries) => entries.values().all(Self::is_wholly_known),
            Self::Dynamic(inner) => inner.1.is_wholly_known(),
            _ => true,
        }
    }

    /// The value without the type that a dynamic one carries.
    pub fn plain(&self) -> &Value {
        match self {
            Self::Dynamic(inner) => inner.1.plain(),
            other => other,
        }
    }

    /// The attribute or map entry of that name; null when missing, unknown when the whole is unknown.
    pub fn get(&self, name: &str) -> &Value {
        match self.plain() {
            Self::Map(entries) => entries.get(name).unwrap_or(&NULL),
            Self::Unknown => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// The element at an index; null when missing, unknown when the whole is unknown.
    pub fn element(&self, index: usize) -> &Value {
        match self.plain() {
            Self::List(elements) => elements.get(index).unwrap_or(&NULL),
            Self::Unknown => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// The value at a path; null when missing, unknown when something on the way is unknown.
    pub fn at(&self, path: &Path) -> &Value {
        path.steps().iter().fold(self, |value, step| match step {
            Step::Attribute(name) | Step::Key(name) => value.get(name),
            Step::Index(index) => value.element(*index),
        })
    }

    /// The text of a known string.
    pub fn as_str(&self) -> Option<&str> {
        match self.plain() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A known boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain() {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A known number.
    pub fn as_number(&self) -> Option<&Number> {
        match self.plain() {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// A known whole number in range.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The elements of a known list, set or tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self.plain() {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of a known map or object.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self.plain() {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Sets an attribute or map entry. Anything but a map or object becomes an object with this one attribute.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        if let Self::Dynamic(inner) = self {
            return inner.1.set(name, value);
        }
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(BTreeMap::new());
        }
        if let Self::Map(entries) = self {
            entries.insert(name.into(), value.into());
        }
    }

    /// [`Value::set`], for building.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets what stands at a path; false, and nothing changed, when the way there does not exist.
    pub fn set_at(&mut self, path: &Path, value: impl Into<Value>) -> bool {
        let Some((last, way)) = path.steps().split_last() else {
            *self = value.into();
            return true;
        };
        let mut at = self;
        for step in way {
            at = match at.child_mut(step) {
                Some(child) => child,
                None => return false,
            };
        }
        match (at, last) {
            (Self::Map(entries), Step::Attribute(name) | Step::Key(name)) => {
                entries.insert(name.clone(), value.into());
                true
            }
            (at, last) => match at.child_mut(last) {
                Some(child) => {
                    *child = value.into();
                    true
                }
                None => false,
            },
        }
    }

    fn child_mut(&mut self, step: &Step) -> Option<&mut Value> {
        match (self, step) {
            (Self::Map(entries), Step::Attribute(name) | Step::Key(name)) => entries.get_mut(name),
            (Self::List(elements), Step::Index(index)) => elements.get_mut(*index),
            (Self::Dynamic(inner), step) => inner.1.child_mut(step),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unknown => f.write_str("Unknown"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Number(_) => f.write_str("Number"),
            Self::String(_) => f.write_str("String"),
            Self::List(elements) => f.debug_list().entries(elements).finish(),
            Self::Map(entries) => f.debug_map().entries(entries).finish(),
            Self::Dynamic(inner) => f.debug_tuple("Dynamic").field(&inner.0).field(&inner.1).finish(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Number(i64::from(int).into())
    }
}

impl From<u32> for Value {
    fn from(int: u32) -> Self {
        Self::Number(i64::from(int).into())
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Number(int.into())
    }
}

impl From<u64> for Value {
    fn from(int: u64) -> Self {
        Self::Number(int.into())
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Number(float.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::list(elements)
    }
}

impl<T: Into<Value>> From<BTreeMap<String, T>> for Value {
    fn from(entries: BTreeMap<String, T>) -> Self {
        Self::object(entries.into_iter().map(|(key, value)| (key, value.into())))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Value {
        Value::object([
            ("name", "a".into()),
            ("ssh", Value::object([("port", 22.into()), ("key", Value::Unknown)])),
            ("nets", Value::List(vec![Value::object([("ip", "::1".into())])])),
            ("any", Value::Dynamic(Box::new((Type::map(Type::Bool), Value::object([("on", true.into())]))))),
        ])
    }

    #[test]
    fn debug_shows_the_shape_and_no_content() {
        let shown = format!(
            "{:?}",
            Value::object([("token", vec!["hunter2"].into()), ("pin", 1234.into()), ("on", true.into())])
        );
        assert_eq!(shown, r#"{"on": Bool, "pin": Number, "token": [String]}"#);
    }

    #[test]
    fn what_is_missing_is_null_and_what_is_unknown_stays_unknown() {
        let node = node();
        for (path, expected) in [
            ("name", Value::from("a")),
            ("ssh.port", 22.into()),
            ("ssh.key", Value::Unknown),
            ("ssh.key.deeper", Value::Unknown),
            ("ssh.user", Value::Null),
            ("nets[0].ip", "::1".into()),
            ("nets[1].ip", Value::Null),
            ("any.on", true.into()),
            ("any[\"on\"]", true.into()),
            ("name.deeper", Value::Null),
        ] {
            assert_eq!(node.at(&path.into()), &expected, "{path}");
        }
        assert_eq!(Value::Unknown.get("a"), &Value::Unknown);
    }

    #[test]
    fn knowing_the_outline_is_not_knowing_all() {
        let node = node();
        assert!(node.is_known() && !node.is_wholly_known());
        assert!(Value::Null.is_wholly_known() && Value::Null.is_known());
        let dynamic = Value::Dynamic(Box::new((Type::Bool, Value::Null)));
        assert!(dynamic.is_null());
    }

    #[test]
    fn values_are_set_where_the_way_exists() {
        let mut node = node();
        assert!(node.set_at(&"ssh.user".into(), "root"));
        assert!(node.set_at(&"nets[0].ip".into(), "::2"));
        assert!(node.set_at(&"any.on".into(), false));
        assert!(!node.set_at(&"nets[3].ip".into(), "x"));
        assert!(!node.set_at(&"ssh.key.deeper".into(), "x"));
        assert_eq!(node.at(&"ssh.user".into()).as_str(), Some("root"));
        assert_eq!(node.at(&"nets[0].ip".into()).as_str(), Some("::2"));
        assert_eq!(node.at(&"any.on".into()).as_bool(), Some(false));
        assert_eq!(Value::Null.with("a", 1), Value::object([("a", 1.into())]));
    }

    #[test]
    fn an_option_is_null_or_its_value() {
        assert_eq!(Value::from(None::<String>), Value::Null);
        assert_eq!(Value::from(Some(vec![1_i64])), Value::List(vec![1.into()]));
    }
}
