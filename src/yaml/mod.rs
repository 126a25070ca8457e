//! YAML as a tree that keeps positions and what the author wrote, with Go's rules for what a plain word means.
//!
//! Talos, talhelper and the Image Factory read YAML with go-yaml, whose typing of plain scalars is neither
//! YAML 1.1 nor 1.2 (`yes` is a string, `0644` is 420). Readers here decide field by field, like Go does.

mod emit;
mod load;
mod relayout;
mod resolve;
mod words;

use std::fmt;

pub use emit::{Emit, EmittedStyle, double_quoted, emit, scalar_style};
pub use load::{LEADING_TAB, leading_tab, parse_documents, parse_single, without_comments};
pub use relayout::relayout;
pub use resolve::{Resolved, is_base60, is_old_bool, resolve};
pub use words::{go_float, nearest, sort_keys};

/// A place in a YAML text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A text that is no YAML, or more than is read here. Shows the place and the rule, never the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct YamlError {
    /// Where.
    pub at: At,
    /// What is wrong.
    pub problem: String,
}

/// One node of a document, with the place where it starts.
///
/// `Debug` shows the shape and the keys, never a scalar: the text may be a secret.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// Where the node starts.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Text, not yet typed.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are unique and `<<` is already merged in.
    Map(Vec<Entry>),
}

/// A scalar as written.
#[derive(Clone, PartialEq)]
pub struct Scalar {
    /// The text after escapes and folding.
    pub text: String,
    /// Written without quotes and without a block indicator: only then it may be something else than a string.
    pub plain: bool,
    /// The core tag's suffix (`str`, `int`, `binary` …) or the whole custom tag, if one is written.
    pub tag: Option<String>,
}

/// One pair of a mapping.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key starts.
    pub key_at: At,
    /// The value.
    pub value: Node,
}

impl Node {
    /// What the scalar means to Go when nothing says what it should be; `None` for lists and maps.
    pub fn resolved(&self) -> Option<Resolved> {
        self.as_scalar().map(Scalar::resolved)
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs, if it is a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key`, if the node is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.as_map()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Whether it is `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(self.resolved(), Some(Resolved::Null))
    }

    /// What the node is, for messages: "a mapping", "a list", "a number" …; never its content.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => scalar.resolved().kind(),
        }
    }
}

impl Scalar {
    /// What it means to Go when nothing says what it should be.
    pub fn resolved(&self) -> Resolved {
        match self.tag.as_deref() {
            None if self.plain => resolve(&self.text),
            Some("null" | "bool" | "int" | "float" | "timestamp") => resolve(&self.text),
            _ => Resolved::Text,
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(_) => f.write_str("(scalar)"),
            Value::List(items) => f.debug_list().entries(items).finish(),
            Value::Map(entries) => {
                f.debug_map().entries(entries.iter().map(|entry| (&entry.key, &entry.value))).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_keys_and_no_value() {
        let node = parse_single("a: hunter2\nb: [hunter2, {c: 1}]\n").unwrap().unwrap();
        assert_eq!(format!("{node:?}"), r#"{"a": (scalar), "b": [(scalar), {"c": (scalar)}]}"#);
    }

    #[test]
    fn a_node_says_what_it_is() {
        let node = parse_single("[1, 1.5, yes, true, ~, 2020-01-01, 'x', {}, [], '1']").unwrap().unwrap();
        let kinds: Vec<_> = node.as_list().unwrap().iter().map(Node::kind).collect();
        assert_eq!(
            kinds,
            [
                "a number",
                "a number",
                "a string",
                "a boolean",
                "null",
                "a date",
                "a string",
                "a mapping",
                "a list",
                "a string"
            ]
        );
    }

    #[test]
    fn a_tag_decides_the_type() {
        let node = parse_single("[!!str 1, !!int '1', !custom 1]").unwrap().unwrap();
        let kinds: Vec<_> = node.as_list().unwrap().iter().map(Node::kind).collect();
        assert_eq!(kinds, ["a string", "a number", "a string"]);
    }
}
