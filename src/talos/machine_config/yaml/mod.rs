//! A small YAML tree that reads scalars as Go's YAML library does.
//!
//! Talos decodes with go.yaml.in/yaml/v4 (v4.0.0-rc.3 in Talos v1.12.2): octal `0644`, plain `yes`
//! stays a string unless a boolean is wanted, merge keys are honoured. The tree keeps the text of every
//! scalar, because the wanted type decides what the text means.

mod emit;
mod parse;
mod resolve;

use std::fmt;

pub use emit::emit;
pub use parse::{Limits, YamlError, parse_stream};
pub(crate) use resolve::{canonical_timestamp, integer_value, resolve_plain};

/// Where a node starts in its source, both counted from 1; `0` for a node that was not read from text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Without quotes, or a collection in block style.
    #[default]
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a `|` or `>` block.
    Block,
    /// A collection in `[]` or `{}`.
    Flow,
}

/// What a scalar is, before a type is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false` (1.2 words only).
    Bool,
    /// A decimal, hexadecimal, octal or binary integer.
    Int,
    /// A floating-point number.
    Float,
    /// A date or an instant.
    Timestamp,
    /// Text.
    Str,
}

/// A scalar: its text and what it resolves to.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// What the text resolves to.
    pub tag: Tag,
    /// The text after YAML escapes were undone.
    pub text: String,
}

/// One key and its value.
#[derive(Clone)]
pub struct Entry {
    /// The key; a scalar in every document Talos accepts.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// The three shapes of a node.
#[derive(Clone)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the source.
    Mapping(Vec<Entry>),
}

/// One node of a YAML tree. `Debug` shows its shape only: configurations are full of secrets.
#[derive(Clone)]
pub struct Node {
    /// The content.
    pub value: Value,
    /// How it was written.
    pub style: Style,
    /// Where it was written.
    pub mark: Mark,
    /// What the source said in a roundabout way.
    pub(crate) origin: Origin,
}

/// Whether a node's content stands where the node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The node was an alias of an anchored one.
    pub(crate) alias: bool,
    /// The mapping had a merge key, already carried out.
    pub(crate) merge_key: bool,
}

impl Node {
    /// A node that comes from no text.
    pub fn new(value: Value) -> Self {
        Self { value, style: Style::Plain, mark: Mark::default(), origin: Origin::default() }
    }

    /// A text node.
    pub fn string(text: impl Into<String>) -> Self {
        Self::new(Value::Scalar(Scalar { tag: Tag::Str, text: text.into() }))
    }

    /// A boolean node.
    pub fn boolean(value: bool) -> Self {
        Self::new(Value::Scalar(Scalar { tag: Tag::Bool, text: value.to_string() }))
    }

    /// An integer node.
    pub fn integer(value: i128) -> Self {
        Self::new(Value::Scalar(Scalar { tag: Tag::Int, text: value.to_string() }))
    }

    /// A null node.
    pub fn null() -> Self {
        Self::new(Value::Scalar(Scalar { tag: Tag::Null, text: "null".into() }))
    }

    /// A list node.
    pub fn sequence(items: Vec<Node>) -> Self {
        Self::new(Value::Sequence(items))
    }

    /// A mapping node with text keys.
    pub fn mapping<K: Into<String>>(entries: impl IntoIterator<Item = (K, Node)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| Entry { key: Node::string(key), value });
        Self::new(Value::Mapping(entries.collect()))
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().filter(|scalar| scalar.tag != Tag::Null).map(|scalar| scalar.text.as_str())
    }

    /// The value of a boolean scalar.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_scalar()? {
            Scalar { tag: Tag::Bool, text } => Some(text.eq_ignore_ascii_case("true")),
            _ => None,
        }
    }

    /// The value of an integer scalar.
    pub fn as_integer(&self) -> Option<i128> {
        match self.as_scalar()? {
            Scalar { tag: Tag::Int, text } => integer_value(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether this is null (or absent text).
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { tag: Tag::Null, .. }))
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.iter().find(|entry| entry.key.as_str() == Some(key)).map(|entry| &entry.value)
    }

    /// The value under a key of a mapping, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Mapping(entries) => {
                entries.iter_mut().find(|entry| entry.key.as_str() == Some(key)).map(|entry| &mut entry.value)
            }
            _ => None,
        }
    }

    /// Follows a path such as `machine.network.interfaces[0].addresses`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        let mut node = self;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let (key, mut indexes) = part.split_once('[').map_or((part, ""), |(key, rest)| (key, rest));
            if !key.is_empty() {
                node = node.get(key)?;
            }
            while let Some((index, rest)) = indexes.split_once(']') {
                node = node.as_sequence()?.get(index.parse::<usize>().ok()?)?;
                indexes = rest.strip_prefix('[').unwrap_or("");
            }
        }
        Some(node)
    }

    /// Whether both trees hold the same content in the same order; places and styles do not count.
    pub fn same_content(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => {
                // A float without a fraction is written as an integer.
                let numbers = [a.tag, b.tag].iter().all(|tag| matches!(tag, Tag::Int | Tag::Float));
                (a.tag == b.tag || numbers) && (a.tag == Tag::Null || a.text == b.text)
            }
            (Value::Sequence(a), Value::Sequence(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_content(b))
            }
            (Value::Mapping(a), Value::Mapping(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| a.key.same_content(&b.key) && a.value.same_content(&b.value))
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(scalar) => write!(f, "{:?} scalar", scalar.tag),
            Value::Sequence(items) => write!(f, "sequence of {}", items.len()),
            Value::Mapping(entries) => write!(f, "mapping of {}", entries.len()),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} scalar", self.tag)
    }
}
