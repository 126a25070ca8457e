//! Strict decoding: a YAML tree against the type table.
//!
//! The result holds only what is set: a field with its zero value is absent, unless its type tells absent from
//! zero. [`super::encode`] fills in what Talos writes for absent fields.

use super::error::ConfigError;
use super::types::{self, Field, Kind, Struct, TextKind, Type};
use super::yaml::{Entry, Mark, Node, Scalar, Tag, Value, integer_value};

mod any;
mod suggest;

pub(super) use any::canonical_float;
pub(super) use suggest::closest as closest_word;

/// Decodes the content of a document.
pub(super) fn document(kind: &'static Kind, root: &Node) -> Result<Node, ConfigError> {
    let mut decoder = Decoder { path: String::new(), unknown: None, since: kind.since };
    let node = decoder.fields(kind.body, root, root.origin.alias)?;
    match decoder.unknown {
        Some(error) => Err(error),
        None => Ok(node),
    }
}

/// The zero value of a type, written out.
pub(super) fn zero(ty: Type) -> Node {
    match ty {
        Type::Str => Node::string(""),
        Type::Bool => Node::boolean(false),
        Type::Int(_) | Type::Uint(_) | Type::Float => Node::integer(0),
        Type::Text(kind) => Node::new(Value::Scalar(types::text::zero(kind))),
        Type::Pointer(_) | Type::Any => Node::null(),
        Type::List(..) => Node::sequence(Vec::new()),
        Type::Map(_) | Type::Struct(_) | Type::Unstructured | Type::Args => Node::new(Value::Mapping(Vec::new())),
    }
}

struct Decoder {
    path: String,
    /// The first key nobody knows. Talos complains about those only when all else is well.
    unknown: Option<ConfigError>,
    /// The release the document's kind came with: later YAML libraries read a few things differently.
    since: u8,
}

impl Decoder {
    /// A value where absent and zero are one: `None` is the zero value.
    fn value(&mut self, ty: Type, node: &Node, aliased: bool) -> Result<Option<Node>, ConfigError> {
        if node.is_null() {
            return Ok(None);
        }
        let aliased = aliased || node.origin.alias;
        match ty {
            Type::Str => Ok(non_zero(self.string(node)?, |text| text.is_empty())),
            Type::Bool => self.boolean(node),
            Type::Int(bits) => self.integer(node, -(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
            Type::Uint(bits) => self.integer(node, 0, (1i128 << bits) - 1),
            Type::Float => self.float(node),
            Type::Text(kind) => self.text(kind, node),
            Type::Pointer(inner) => Ok(Some(self.present(*inner, node, aliased)?)),
            Type::List(inner, _) => Ok(Some(self.list(*inner, node, aliased)?)),
            Type::Map(inner) => Ok(Some(self.map(*inner, node, aliased)?)),
            Type::Struct(body) => Ok(Some(self.fields(body, node, aliased)?).filter(has_entries)),
            Type::Unstructured => {
                self.expect_mapping(node)?;
                Ok(Some(any::unstructured(node)).filter(has_entries))
            }
            Type::Args => Ok(Some(self.args(node)?)),
            Type::Any => Ok(Some(any::canonical(node))),
        }
    }

    /// A value where zero is not absent: behind a pointer, in a list, in a map.
    fn present(&mut self, ty: Type, node: &Node, aliased: bool) -> Result<Node, ConfigError> {
        Ok(self.value(ty, node, aliased)?.unwrap_or_else(|| placed(zero(ty), node.mark)))
    }

    fn fields(&mut self, body: &'static Struct, node: &Node, aliased: bool) -> Result<Node, ConfigError> {
        let entries = self.expect_mapping(node)?;
        if node.origin.merge_key && !aliased {
            self.note_unknown(body, "<<", node.mark);
        }
        let mut found: Vec<(usize, Entry)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = entry.key.as_scalar().map_or("", |scalar| scalar.text.as_str());
            let Some(index) = body.fields.iter().position(|field| field.name == key) else {
                if !aliased {
                    self.note_unknown(body, key, entry.key.mark);
                }
                continue;
            };
            let field: &Field = &body.fields[index];
            let value = self.within(key, |decoder| decoder.value(field.ty, &entry.value, aliased))?;
            if let Some(value) = value {
                found.push((index, Entry { key: placed(Node::string(key), entry.key.mark), value }));
            }
        }
        found.sort_by_key(|(index, _)| *index);
        if body.name.starts_with("PEMEncoded") {
            // siderolabs/crypto decodes certificate and key together: an absent one is set to no bytes.
            return Ok(placed(complete(body, found), node.mark));
        }
        Ok(placed(Node::new(Value::Mapping(found.into_iter().map(|(_, entry)| entry).collect())), node.mark))
    }

    fn list(&mut self, inner: Type, node: &Node, aliased: bool) -> Result<Node, ConfigError> {
        let Value::Sequence(items) = &node.value else {
            return Err(self.mismatch(node, "a list"));
        };
        let mut decoded = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = self.within(&format!("[{index}]"), |decoder| decoder.value(inner, item, aliased))?;
            match value {
                Some(value) => decoded.push(value),
                // Go keeps a null only where the type has one, and drops it elsewhere.
                None if item.is_null()
                    && !matches!(inner, Type::Pointer(_) | Type::Any | Type::List(..) | Type::Map(_)) => {}
                None => decoded.push(placed(zero(inner), item.mark)),
            }
        }
        Ok(placed(Node::sequence(decoded), node.mark))
    }

    fn map(&mut self, inner: Type, node: &Node, aliased: bool) -> Result<Node, ConfigError> {
        let mut decoded = Vec::new();
        for entry in self.expect_mapping(node)? {
            // Go drops an entry whose key is null.
            let Some(key) = entry.key.as_str() else { continue };
            let value = self.within(key, |decoder| decoder.present(inner, &entry.value, aliased))?;
            decoded.push(Entry { key: placed(Node::string(key), entry.key.mark), value });
        }
        sort_keys(&mut decoded);
        Ok(placed(Node::new(Value::Mapping(decoded)), node.mark))
    }

    fn args(&mut self, node: &Node) -> Result<Node, ConfigError> {
        static TEXTS: Type = Type::List(&Type::Str, types::ListMerge::Append);
        let mut decoded = Vec::new();
        for entry in self.expect_mapping(node)? {
            let Some(key) = entry.key.as_str() else { continue };
            let ty = if entry.value.as_sequence().is_some() { TEXTS } else { Type::Str };
            let value = self.within(key, |decoder| decoder.present(ty, &entry.value, false))?;
            decoded.push(Entry { key: placed(Node::string(key), entry.key.mark), value });
        }
        sort_keys(&mut decoded);
        Ok(placed(Node::new(Value::Mapping(decoded)), node.mark))
    }

    fn string<'a>(&self, node: &'a Node) -> Result<(&'a str, Mark), ConfigError> {
        match &node.value {
            Value::Scalar(scalar) => Ok((&scalar.text, node.mark)),
            _ => Err(self.mismatch(node, "a text")),
        }
    }

    fn boolean(&self, node: &Node) -> Result<Option<Node>, ConfigError> {
        let value = match &node.value {
            Value::Scalar(Scalar { tag: Tag::Bool, text }) => Some(text.eq_ignore_ascii_case("true")),
            Value::Scalar(Scalar { tag: Tag::Str, text }) => yaml_1_1_boolean(text),
            _ => None,
        };
        match value {
            Some(true) => Ok(Some(placed(Node::boolean(true), node.mark))),
            Some(false) => Ok(None),
            None => Err(self.mismatch(node, "true or false")),
        }
    }

    fn integer(&self, node: &Node, low: i128, high: i128) -> Result<Option<Node>, ConfigError> {
        let value = match &node.value {
            Value::Scalar(Scalar { tag: Tag::Int, text }) => integer_value(text),
            // Go cuts a number with a fraction; its later library takes none.
            Value::Scalar(Scalar { tag: Tag::Float, text }) => text
                .replace('_', "")
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite() && (self.since < 13 || value.fract() == 0.0))
                .map(|value| value.trunc() as i128),
            _ => None,
        };
        match value {
            Some(0) => Ok(None),
            Some(value) if (low..=high).contains(&value) => Ok(Some(placed(Node::integer(value), node.mark))),
            Some(_) => Err(self.mismatch(node, &format!("a whole number between {low} and {high}"))),
            None => Err(self.mismatch(node, "a whole number")),
        }
    }

    fn float(&self, node: &Node) -> Result<Option<Node>, ConfigError> {
        match &node.value {
            Value::Scalar(Scalar { tag: Tag::Int | Tag::Float, text }) => {
                let text = canonical_float(text);
                Ok(Some(placed(Node::new(Value::Scalar(Scalar { tag: Tag::Float, text })), node.mark)))
            }
            _ => Err(self.mismatch(node, "a number")),
        }
    }

    fn text(&self, kind: TextKind, node: &Node) -> Result<Option<Node>, ConfigError> {
        let Value::Scalar(scalar) = &node.value else {
            // In Go these are structs, which an empty mapping leaves at zero, except with the later library.
            let hollow = self.since < 13 && node.as_mapping().is_some_and(<[Entry]>::is_empty);
            return if hollow && kind.is_struct() { Ok(None) } else { Err(self.mismatch(node, "a single value")) };
        };
        // From v4.0.0-rc.4 on, Go's library takes a bare zero for a duration.
        if self.since >= 13 && matches!(kind, TextKind::Duration) && node.as_integer() == Some(0) {
            return Ok(None);
        }
        match types::text::read(kind, scalar) {
            Ok(scalar) => Ok(scalar.map(|scalar| placed(Node::new(Value::Scalar(scalar)), node.mark))),
            Err(expected) => Err(self.error(node.mark, &expected)),
        }
    }

    fn expect_mapping<'a>(&self, node: &'a Node) -> Result<&'a [Entry], ConfigError> {
        match &node.value {
            Value::Mapping(entries) => Ok(entries),
            _ => Err(self.mismatch(node, "a mapping")),
        }
    }

    fn within<T>(&mut self, key: &str, decode: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() && !key.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(key);
        let result = decode(self);
        self.path.truncate(length);
        result
    }

    fn note_unknown(&mut self, body: &Struct, key: &str, mark: Mark) {
        if self.unknown.is_none() {
            let known: Vec<_> = body.fields.iter().map(|field| field.name).collect();
            let message = match suggest::closest(key, &known) {
                Some(word) => format!("unknown key {key:?}, did you mean {word:?}?"),
                None => format!("unknown key {key:?}"),
            };
            self.unknown = Some(self.error(mark, &message));
        }
    }

    fn mismatch(&self, node: &Node, expected: &str) -> ConfigError {
        let found = match &node.value {
            Value::Scalar(scalar) => match scalar.tag {
                Tag::Null => "nothing",
                Tag::Bool => "a boolean",
                Tag::Int | Tag::Float => "a number",
                Tag::Timestamp => "a date",
                Tag::Str => "a text",
            },
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        };
        self.error(node.mark, &format!("{expected} is expected, found {found}"))
    }

    fn error(&self, mark: Mark, message: &str) -> ConfigError {
        let message = if self.path.is_empty() { message.to_owned() } else { format!("{}: {message}", self.path) };
        ConfigError::Document { line: mark.line, column: mark.column, message }
    }
}

/// Every field of the struct, the absent ones with their zero value.
fn complete(body: &Struct, mut found: Vec<(usize, Entry)>) -> Node {
    let mut entries = Vec::with_capacity(body.fields.len());
    for (index, field) in body.fields.iter().enumerate() {
        let position = found.iter().position(|(found, _)| *found == index);
        let value = position.map(|position| found.swap_remove(position).1.value);
        entries.push(Entry { key: Node::string(field.name), value: value.unwrap_or_else(|| zero(field.ty)) });
    }
    Node::new(Value::Mapping(entries))
}

/// The words of YAML 1.1, which Go takes where a boolean is wanted (quoted ones as well).
fn yaml_1_1_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn non_zero((text, mark): (&str, Mark), is_zero: impl Fn(&str) -> bool) -> Option<Node> {
    (!is_zero(text)).then(|| placed(Node::string(text), mark))
}

fn has_entries(node: &Node) -> bool {
    node.as_mapping().is_none_or(|entries| !entries.is_empty())
}

fn placed(mut node: Node, mark: Mark) -> Node {
    node.mark = mark;
    node
}

/// Go's maps have no order; sorted is the order Talos writes.
pub(super) fn sort_keys(entries: &mut [Entry]) {
    entries.sort_by(|a, b| {
        let text = |entry: &Entry| entry.key.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
        text(a).cmp(&text(b))
    });
}

#[cfg(test)]
mod tests;
