//! From text to tree, over granit's events.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{At, Entry, Node, Resolved, Scalar, Value, YamlError};

/// All documents of a stream, in order. A stream of nothing but comments has none.
///
/// # Errors
/// Broken syntax, a key used twice in one mapping, a key that is no scalar, a `<<` that merges no mapping,
/// aliases that would blow the document up.
pub fn parse_documents(text: &str) -> Result<Vec<Node>, YamlError> {
    if let Some(at) = leading_tab(text) {
        return Err(problem(at, LEADING_TAB));
    }
    let mut loader = Loader::default();
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(syntax)?;
        loader.take(event, &span)?;
    }
    Ok(loader.documents)
}

/// The only document of a stream, or `None` when there is none.
///
/// # Errors
/// As [`parse_documents`], and when there is a second document.
pub fn parse_single(text: &str) -> Result<Option<Node>, YamlError> {
    let mut documents = parse_documents(text)?.into_iter();
    let first = documents.next();
    match documents.next() {
        Some(second) => Err(problem(second.at, "a second document; only one is read here")),
        None => Ok(first),
    }
}

/// The text with its comments taken out; every line keeps its number.
///
/// # Errors
/// Broken syntax.
pub fn without_comments(text: &str) -> Result<String, YamlError> {
    if let Some(at) = leading_tab(text) {
        return Err(problem(at, LEADING_TAB));
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    // A long comment is no attack here: the text is in memory already.
    let options = granit_parser::options! { max_buffered_comment_events: text.len() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(syntax)?;
        let (Event::Comment(..), Some(range)) = (event, span.byte_range()) else {
            continue;
        };
        // With the blanks that lead to it: a text that is put into a configuration would keep them.
        out.push_str(text.get(done..range.start).unwrap_or_default().trim_end_matches([' ', '\t']));
        done = range.end.max(done);
    }
    out.push_str(&text[done..]);
    Ok(out)
}

/// The first tab that a line before the content begins with, be it blank or a comment: there, go-yaml takes blanks only.
pub fn leading_tab(text: &str) -> Option<At> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let body = line.trim_start_matches([' ', '\t']);
        if let Some(tab) = line[..line.len() - body.len()].find('\t') {
            return Some(At { line: index + 1, column: tab + 1 });
        }
        if !body.is_empty() && !body.starts_with('#') {
            break;
        }
    }
    None
}

/// What is said of it.
pub const LEADING_TAB: &str = "a tab before the first key; only blanks may stand there";

#[derive(Default)]
struct Loader {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copied: usize,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    at: At,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<(Node, Option<Node>)>),
}

impl Loader {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let at = at(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    tag: tag.as_deref().map(tag_name),
                };
                let value = Value::Scalar(scalar);
                self.place(Node { at, value }, anchor)?;
            }
            Event::Alias(id) => {
                let target = self.anchors.get(&id);
                let node = target.cloned().ok_or_else(|| problem(at, "an alias inside its own anchor"))?;
                self.copied += size(&node);
                if self.copied > ALIASED_NODES_MAX {
                    return Err(problem(at, "aliases expand to too many values"));
                }
                self.place(Node { at, ..node }, 0)?;
            }
            Event::SequenceStart(_, anchor, _) => self.start(anchor, at, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.start(anchor, at, Content::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::DocumentEnd => self.anchors.clear(),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, anchor: usize, at: At, content: Content) {
        self.open.push(Open { anchor, at, content });
    }

    fn end(&mut self) -> Result<(), YamlError> {
        // The parser sends an end only after its start.
        let Some(Open { anchor, at, content }) = self.open.pop() else {
            return Ok(());
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map(pairs) => Value::Map(entries(pairs)?),
        };
        self.place(Node { at, value }, anchor)
    }

    fn place(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(pairs)) => match pairs.last_mut() {
                Some((_, value @ None)) => *value = Some(node),
                _ => pairs.push((node, None)),
            },
        }
        Ok(())
    }
}

/// Makes unique text keys and merges `<<` in: what the mapping says itself wins, then the earlier merged one.
fn entries(pairs: Vec<(Node, Option<Node>)>) -> Result<Vec<Entry>, YamlError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
    let mut merges = Vec::new();
    for (key, value) in pairs {
        // The parser sends a value, empty if need be, after each key.
        let Some(value) = value else { continue };
        let Some(scalar) = key.as_scalar() else {
            return Err(problem(key.at, "a key that is a list or a mapping"));
        };
        if scalar.resolved() == Resolved::Merge {
            merges.push(value);
            continue;
        }
        if let Some(first) = entries.iter().find(|entry| entry.key == scalar.text) {
            let text = format!("key {:?} is already set on line {}", scalar.text, first.key_at.line);
            return Err(problem(key.at, text));
        }
        entries.push(Entry { key: scalar.text.clone(), key_at: key.at, value });
    }
    for source in merges {
        merge(&mut entries, source)?;
    }
    Ok(entries)
}

fn merge(entries: &mut Vec<Entry>, source: Node) -> Result<(), YamlError> {
    match source.value {
        Value::Map(merged) => {
            for entry in merged {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::List(sources) if sources.iter().all(|source| source.as_map().is_some()) => {
            sources.into_iter().try_for_each(|source| merge(entries, source))
        }
        _ => Err(problem(source.at, "<< takes a mapping or a list of mappings")),
    }
}

fn tag_name(tag: &Tag) -> String {
    match tag.suffix_in_namespace("tag:yaml.org,2002:") {
        Some(suffix) => suffix.into_owned(),
        None => tag.original(),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

fn at(marker: &Marker) -> At {
    At { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(error: ScanError) -> YamlError {
    YamlError {
        at: at(error.marker()),
        // Granit's messages name the rule, never the text.
        problem: error.kind().to_string(),
    }
}

fn problem(at: At, problem: impl Into<String>) -> YamlError {
    YamlError { at, problem: problem.into() }
}

/// Far more than any configuration needs, far less than an attack makes of a small file.
const ALIASED_NODES_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse_single(text).unwrap().unwrap()
    }

    fn text<'a>(node: &'a Node, path: &str) -> &'a str {
        let node = path.split('.').fold(node, |node, key| match key.parse::<usize>() {
            Ok(index) => &node.as_list().unwrap()[index],
            Err(_) => node.get(key).unwrap(),
        });
        &node.as_scalar().unwrap().text
    }

    #[test]
    fn places_keys_and_block_text_are_kept() {
        let node = one("# c\na:\n  - b: |\n      x\n      y\n    'c': d\n");
        assert_eq!(text(&node, "a.0.b"), "x\ny\n");
        assert_eq!(text(&node, "a.0.c"), "d");
        let entry = &node.get("a").unwrap().as_list().unwrap()[0].as_map().unwrap()[1];
        assert_eq!((entry.key_at.line, entry.key_at.column), (6, 5));
    }

    #[test]
    fn a_key_used_twice_is_an_error_with_both_lines() {
        let error = parse_single("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3, column 1: key \"a\" is already set on line 1");
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let node = one("base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [*b, {z: 4}]}\nthree: *b\n");
        assert_eq!((text(&node, "one.x"), text(&node, "one.y")), ("1", "3"));
        assert_eq!((text(&node, "two.y"), text(&node, "two.z")), ("2", "4"));
        assert_eq!(text(&node, "three.x"), "1");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (yaml, wanted) in [
            ("a: *nope\n", "line 1"),
            ("a: [1\n", "line"),
            ("[a]: 1\n", "a key that is a list"),
            ("a: {<<: 1}\n", "<< takes a mapping"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a:\n\t- b\n", "line 2"),
            ("\t\na: 1\n", "line 1, column 1: a tab before"),
            ("# c\n \t# d\na: 1\n", "line 2, column 2: a tab before"),
        ] {
            let error = parse_single(yaml).unwrap_err().to_string();
            assert!(error.contains(wanted), "{yaml:?}: {error}");
        }
    }

    #[test]
    fn tabs_may_follow_the_content_that_begins() {
        for yaml in ["a: 1\t# c\n", "a:\t1\n", "# c\t\n\na: 1\n", "{\n\t\"a\": 1\n}\n"] {
            assert_eq!(text(&one(yaml), "a"), "1", "{yaml:?}");
        }
        assert!(without_comments("\t# c\na: 1\n").is_err());
    }

    #[test]
    fn comments_go_and_lines_stay() {
        let text = "# top\na: 1 # x\nb: |\n  # text\n  y\n\nc: '# no' #yes\n# end";
        let bare = "\na: 1\nb: |\n  # text\n  y\n\nc: '# no'\n";
        assert_eq!(without_comments(text).unwrap(), bare);
        assert!(without_comments("a: {b: ${A}}").is_err());
        let long = format!("a:\n{}  - b\n", "  # line\n".repeat(500));
        assert_eq!(without_comments(&long).unwrap().lines().count(), 502);
    }

    #[test]
    fn a_small_file_cannot_grow_into_a_big_one() {
        let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = vec![format!("*a{}", level - 1); 10].join(", ");
            yaml.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        let error = parse_single(&yaml).unwrap_err();
        assert!(error.problem.contains("too many"), "{error}");
    }

    #[test]
    fn nothing_is_no_document_and_an_explicit_start_is_a_null_one() {
        assert!(parse_single("").unwrap().is_none());
        assert!(parse_single("# only a comment\n").unwrap().is_none());
        assert!(one("---\n").is_null());
        assert_eq!(parse_documents("a: 1\n---\nb: 2\n").unwrap().len(), 2);
    }
}
