//! Reads a stream of YAML documents into trees, within bounds.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag as YamlTag};

use crate::yaml::{LEADING_TAB, leading_tab};

use super::{Entry, Mark, Node, Origin, Scalar, Style, Tag, Value, resolve_plain};

/// How much a stream may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text.
    pub bytes: usize,
    /// Nodes of the finished trees, those that aliases and merge keys repeat included.
    pub nodes: usize,
    /// Collections within collections.
    pub depth: usize,
}

impl Default for Limits {
    /// 4 MiB is what the maintenance service of Talos 1.12 receives at most (gRPC's default limit).
    fn default() -> Self {
        Self { bytes: 4 << 20, nodes: 400_000, depth: 200 }
    }
}

/// A text that is not the YAML it should be. Messages never quote values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

impl YamlError {
    fn at(mark: Mark, message: impl Into<String>) -> Self {
        Self { line: mark.line, column: mark.column, message: message.into() }
    }
}

/// Reads every document of the stream. A document without content is a null node; a stream of nothing but
/// comments holds no documents.
pub fn parse_stream(text: &str, limits: &Limits) -> Result<Vec<Node>, YamlError> {
    if text.len() > limits.bytes {
        let message = format!("the text has {} bytes, more than the {} that Talos takes", text.len(), limits.bytes);
        return Err(YamlError::at(Mark { line: 1, column: 1 }, message));
    }
    if let Some(at) = leading_tab(text) {
        return Err(YamlError::at(Mark { line: at.line as u32, column: at.column as u32 }, LEADING_TAB));
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text.strip_prefix('\u{feff}').unwrap_or(text), options),
        anchors: HashMap::new(),
        nodes_left: limits.nodes,
        depth_left: limits.depth,
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next_event()? {
        match event {
            Event::DocumentStart(..) => reader.anchors.clear(),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            event => documents.push(reader.node(event, span)?),
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Finished anchored nodes; an anchor that is still open is not in it.
    anchors: HashMap<usize, Anchored>,
    nodes_left: usize,
    depth_left: usize,
}

struct Anchored {
    node: Node,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next_event(&mut self) -> Result<Option<(Event<'a>, Span)>, YamlError> {
        self.parser.next_event().transpose().map_err(|error| {
            let mark = Mark { line: error.marker().line() as u32, column: error.marker().col() as u32 + 1 };
            YamlError::at(mark, error.info())
        })
    }

    /// The next event inside a collection, which the parser always closes.
    fn inner_event(&mut self, opened: Mark) -> Result<(Event<'a>, Span), YamlError> {
        self.next_event()?.ok_or_else(|| YamlError::at(opened, "the collection that starts here has no end"))
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, YamlError> {
        let mark = Mark { line: span.start.line() as u32, column: span.start.col() as u32 + 1 };
        self.charge(1, mark)?;
        let before = self.nodes_left;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), mark)?, anchor),
            Event::SequenceStart(style, anchor, _) => (self.nested(mark, |r| r.sequence(style, mark))?, anchor),
            Event::MappingStart(style, anchor, _) => (self.nested(mark, |r| r.mapping(style, mark))?, anchor),
            Event::Alias(id) => return self.alias(id, mark),
            _ => return Err(YamlError::at(mark, "a value is expected here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes: before - self.nodes_left });
        }
        Ok(node)
    }

    fn nested<T>(&mut self, mark: Mark, read: impl FnOnce(&mut Self) -> Result<T, YamlError>) -> Result<T, YamlError> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(YamlError::at(mark, "the document is nested too deeply"));
        };
        self.depth_left = left;
        let result = read(self);
        self.depth_left += 1;
        result
    }

    fn charge(&mut self, nodes: usize, mark: Mark) -> Result<(), YamlError> {
        self.nodes_left = self
            .nodes_left
            .checked_sub(nodes)
            .ok_or_else(|| YamlError::at(mark, "the document is too large once its aliases are expanded"))?;
        Ok(())
    }

    fn alias(&mut self, id: usize, mark: Mark) -> Result<Node, YamlError> {
        let Some(nodes) = self.anchors.get(&id).map(|anchored| anchored.nodes) else {
            return Err(YamlError::at(mark, "the anchor contains itself"));
        };
        self.charge(nodes, mark)?;
        let mut node = self.anchors[&id].node.clone();
        node.mark = mark;
        node.origin.alias = true;
        Ok(node)
    }

    fn sequence(&mut self, style: StructureStyle, mark: Mark) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.inner_event(mark)? {
                (Event::SequenceEnd, _) => break,
                (event, span) => items.push(self.node(event, span)?),
            }
        }
        Ok(Node { value: Value::Sequence(items), style: collection_style(style), mark, origin: Origin::default() })
    }

    fn mapping(&mut self, style: StructureStyle, mark: Mark) -> Result<Node, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merge = None;
        let mut seen = HashMap::new();
        loop {
            let (event, span) = match self.inner_event(mark)? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let is_merge = is_merge_key(&event);
            let key = self.node(event, span)?;
            let Value::Scalar(scalar) = &key.value else {
                return Err(YamlError::at(key.mark, "a key must be a single value, not a collection"));
            };
            if let Some(line) = seen.insert(scalar.text.clone(), key.mark.line) {
                let message = format!("mapping key {:?} already defined at line {line}", scalar.text);
                return Err(YamlError::at(key.mark, message));
            }
            let (event, span) = self.inner_event(mark)?;
            let value = self.node(event, span)?;
            if is_merge {
                merge = Some(value);
            } else {
                entries.push(Entry { key, value });
            }
        }
        let origin = Origin { alias: false, merge_key: merge.is_some() };
        if let Some(source) = merge {
            merge_into(&mut entries, source)?;
        }
        Ok(Node { value: Value::Mapping(entries), style: collection_style(style), mark, origin })
    }
}

/// Adds what `<<` brings and the mapping itself does not set; of several sources the first wins.
fn merge_into(entries: &mut Vec<Entry>, source: Node) -> Result<(), YamlError> {
    const WANTED: &str = "map merge requires map or sequence of maps as the value";
    let mark = source.mark;
    let sources = match source.value {
        Value::Mapping(_) => vec![source],
        Value::Sequence(items) => items,
        Value::Scalar(_) => return Err(YamlError::at(mark, WANTED)),
    };
    let mut known: HashSet<String> = entries.iter().filter_map(|entry| key_text(entry).map(Into::into)).collect();
    for source in sources {
        let Value::Mapping(more) = source.value else {
            return Err(YamlError::at(mark, WANTED));
        };
        for entry in more {
            if key_text(&entry).is_some_and(|key| known.insert(key.into())) {
                entries.push(entry);
            }
        }
    }
    Ok(())
}

fn key_text(entry: &Entry) -> Option<&str> {
    entry.key.as_scalar().map(|scalar| scalar.text.as_str())
}

fn is_merge_key(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, _, tag) => {
            text == "<<" && tag.as_deref().is_none_or(|tag| tag.suffix() == "merge" || tag.suffix().is_empty())
        }
        _ => false,
    }
}

fn collection_style(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Plain,
        StructureStyle::Flow => Style::Flow,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&YamlTag>, mark: Mark) -> Result<Node, YamlError> {
    let node_style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    let untagged = if node_style == Style::Plain { resolve_plain(text) } else { Tag::Str };
    let mut text = text.to_owned();
    let tag = match tag.map(|tag| (tag.handle(), tag.suffix())) {
        Some(("tag:yaml.org,2002:", wanted)) => {
            if wanted == "binary" {
                text = binary(&text, mark)?;
            }
            tagged(wanted, resolve_plain(&text))
                .ok_or_else(|| YamlError::at(mark, format!("the value is not what its tag !!{wanted} says")))?
        }
        // The non-specific tag changes nothing in Go; a tag of somebody's own makes a string.
        Some((_, suffix)) if !suffix.is_empty() => Tag::Str,
        _ => untagged,
    };
    Ok(Node { value: Value::Scalar(Scalar { tag, text }), style: node_style, mark, origin: Origin::default() })
}

/// What a tagged scalar is; `None` where Go refuses the pair.
fn tagged(wanted: &str, resolved: Tag) -> Option<Tag> {
    match (wanted, resolved) {
        ("null", Tag::Null) => Some(Tag::Null),
        ("bool", Tag::Bool) => Some(Tag::Bool),
        ("int", Tag::Int) => Some(Tag::Int),
        ("float", Tag::Float | Tag::Int) => Some(Tag::Float),
        ("timestamp", Tag::Timestamp) => Some(Tag::Timestamp),
        ("null" | "bool" | "int" | "float" | "timestamp", _) => None,
        _ => Some(Tag::Str),
    }
}

fn binary(text: &str, mark: Mark) -> Result<String, YamlError> {
    let packed: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes =
        STANDARD.decode(packed).map_err(|_| YamlError::at(mark, "!!binary value contains invalid base64 data"))?;
    String::from_utf8(bytes).map_err(|_| YamlError::at(mark, "!!binary value is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut documents = parse_stream(text, &Limits::default()).expect("valid YAML");
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    fn failure(text: &str) -> String {
        parse_stream(text, &Limits::default()).expect_err("invalid YAML").to_string()
    }

    #[test]
    fn merge_keys_add_what_is_not_set() {
        let node = one("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc:\n  <<: [{x: 7}, *a]\n");
        assert_eq!(node.at("b.x").and_then(Node::as_integer), Some(1));
        assert_eq!(node.at("b.y").and_then(Node::as_integer), Some(3));
        assert_eq!(node.at("c.x").and_then(Node::as_integer), Some(7));
        assert_eq!(node.at("c.y").and_then(Node::as_integer), Some(2));
    }

    #[test]
    fn errors_name_line_and_column() {
        assert_eq!(failure("a: 1\nb: 2\na: 3\n"), "line 3, column 1: mapping key \"a\" already defined at line 1");
        assert!(failure("a: [1\nb").starts_with("line "));
        assert!(failure("a: *x").contains("line 1"));
        assert!(failure("<<: 1").contains("map merge requires map"));
        assert!(failure("\n\t# c\na: 1\n").starts_with("line 2, column 1: a tab before"));
    }

    #[test]
    fn a_bomb_is_stopped_early() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert!(failure(&bomb).contains("too large once its aliases are expanded"));
    }

    #[test]
    fn deep_nesting_is_stopped() {
        assert!(failure(&"[".repeat(1000)).starts_with("line 1"));
        let deep: String = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(failure(&deep).starts_with("line "));
    }

    #[test]
    fn what_is_longer_than_talos_takes_is_refused_unread() {
        assert!(failure(&"x".repeat((4 << 20) + 1)).contains("bytes, more than the"));
    }

    #[test]
    fn tags_decide_what_a_scalar_is() {
        let node = one("{a: !!str 5, b: !!binary aGk=, c: !own 5, d: ! 5, e: \"5\", f: !!int \"7\"}");
        let tag = |path: &str| node.at(path).and_then(Node::as_scalar).map(|scalar| scalar.tag);
        assert_eq!(tag("a"), Some(Tag::Str));
        assert_eq!(node.at("b").and_then(Node::as_str), Some("hi"));
        assert_eq!(tag("c"), Some(Tag::Str));
        assert_eq!(tag("e"), Some(Tag::Str));
        assert_eq!(tag("f"), Some(Tag::Int));
        assert!(failure("!!int x").contains("!!int"));
    }

    #[test]
    fn documents_are_told_apart() {
        let parse = |text| parse_stream(text, &Limits::default()).expect("valid YAML").len();
        assert_eq!(parse(""), 0);
        assert_eq!(parse("# only a comment\n"), 0);
        assert_eq!(parse("a: 1\n---\nb: 2\n"), 2);
        assert_eq!(parse("---\na: 1\n---\n"), 2);
    }
}
