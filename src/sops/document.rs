//! Where the values of a YAML text stand, so that they can be replaced in place.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::SopsError;
use crate::yaml::{At, YamlError};

/// One value of the text. Values of the `sops` mapping are not among them.
pub(super) struct Value {
    /// The bytes it takes up, quotes included; those of a block start at its `|` or `>`.
    pub(super) range: Range<usize>,
    /// The keys above it; list positions are no part of it.
    pub(super) path: Vec<String>,
    pub(super) text: String,
    /// Neither quoted, nor a block, nor tagged.
    pub(super) plain: bool,
    /// `|` or `>`: ends with a line feed.
    pub(super) block: bool,
    /// Inside of `[…]` or `{…}`.
    pub(super) in_flow: bool,
    pub(super) line: usize,
}

/// One comment: the bytes behind its `#`.
pub(super) struct Comment {
    pub(super) range: Range<usize>,
    /// How many values stand before it.
    pub(super) after: usize,
}

/// All that is found in a text.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) values: Vec<Value>,
    pub(super) comments: Vec<Comment>,
    /// The bytes of each document's `sops` entry.
    pub(super) metadata: Vec<Range<usize>>,
    pub(super) documents: usize,
    /// Anchors, aliases or tags, or a document in one pair of braces: nothing that the writer here deals with.
    pub(super) elaborate: bool,
    frames: Vec<Frame>,
    skipping: Option<Skipping>,
    last_end: usize,
}

enum Frame {
    Map { key: Option<String>, flow: bool },
    List { flow: bool },
}

/// The `sops` entry of the current document, while inside of it.
struct Skipping {
    start: usize,
    depth: usize,
}

/// Finds all values and comments.
///
/// # Errors
/// Broken YAML, aliases, keys that are no strings, a document that is no mapping.
pub(super) fn scan(text: &str) -> Result<Scan, SopsError> {
    let mut scan = Scan::default();
    // A long comment is no attack here: the text is in memory already.
    let options = granit_parser::options! { max_buffered_comment_events: text.len() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let at = At { line: error.marker().line(), column: error.marker().col() + 1 };
            let problem = error.kind().to_string();
            SopsError::Yaml(YamlError { at, problem })
        })?;
        scan.take(text, event, &span)?;
    }
    Ok(scan)
}

impl Scan {
    fn take(&mut self, text: &str, event: Event<'_>, span: &Span) -> Result<(), SopsError> {
        // The parser reads from a string, so it knows all offsets.
        let range = span.byte_range().unwrap_or_default();
        let line = span.start.line();
        self.elaborate |= event.anchor_id().is_some_and(|id| id != 0) || event.tag().is_some();
        match event {
            Event::DocumentStart(..) => self.documents += 1,
            Event::Comment(..) if self.skipping.is_none() => {
                self.comments.push(Comment { range: range.start + 1..range.end, after: self.values.len() })
            }
            Event::Alias(_) => {
                return Err(self.unreadable(line, "is an alias, which sops does not write"));
            }
            Event::MappingStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                self.elaborate |= flow && self.frames.is_empty();
                self.open(Frame::Map { key: None, flow }, line)?;
            }
            Event::SequenceStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                self.open(Frame::List { flow }, line)?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(text, range.end),
            Event::Scalar(value, style, _, ref tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.scalar(text, value.into_owned(), style, plain, range, line)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        source: &str,
        text: String,
        style: ScalarStyle,
        plain: bool,
        range: Range<usize>,
        line: usize,
    ) -> Result<(), SopsError> {
        let depth = self.frames.len();
        if let Some(Frame::Map { key: key @ None, .. }) = self.frames.last_mut() {
            if depth == 1 && text == "sops" && self.skipping.is_none() {
                let start = range.start;
                self.skipping = Some(Skipping { start, depth });
            }
            *key = Some(text);
            self.last_end = range.end;
            return Ok(());
        }
        if self.frames.is_empty() {
            // A document of nothing but a comment or an empty one is null.
            return match text.is_empty() && plain {
                true => Ok(()),
                false => Err(self.unreadable(line, "stands where a mapping must")),
            };
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let range = match block {
            true => whole_block(source, self.last_end, range),
            false => range,
        };
        self.last_end = range.end.max(self.last_end);
        if self.skipping.is_none() {
            let path = self.path();
            self.values.push(Value { range, path, text, plain, block, in_flow: self.in_flow(), line });
        }
        self.value_done(source);
        Ok(())
    }

    fn open(&mut self, frame: Frame, line: usize) -> Result<(), SopsError> {
        match (self.frames.last(), &frame) {
            (None, Frame::List { .. }) => {
                return Err(self.unreadable(line, "is a list where a mapping must stand"));
            }
            (Some(Frame::Map { key: None, .. }), _) => {
                return Err(self.unreadable(line, "stands under a key that is no string"));
            }
            _ => self.frames.push(frame),
        }
        Ok(())
    }

    fn close(&mut self, source: &str, end: usize) {
        // Only the end of a flow collection is a character of its own.
        if let Some(Frame::Map { flow: true, .. } | Frame::List { flow: true }) = self.frames.pop() {
            self.last_end = end;
        }
        self.value_done(source);
    }

    fn value_done(&mut self, source: &str) {
        let depth = self.frames.len();
        if let Some(Frame::Map { key, .. }) = self.frames.last_mut() {
            *key = None;
        }
        if self.skipping.as_ref().is_some_and(|skipping| skipping.depth == depth)
            && let Some(skipping) = self.skipping.take()
        {
            let flow = self.in_flow();
            self.metadata.push(entry(source, skipping.start..self.last_end, flow));
        }
    }

    fn path(&self) -> Vec<String> {
        let keys = self.frames.iter().filter_map(|frame| match frame {
            Frame::Map { key, .. } => key.clone(),
            Frame::List { .. } => None,
        });
        keys.collect()
    }

    fn in_flow(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { flow: true, .. } | Frame::List { flow: true }))
    }

    fn unreadable(&self, line: usize, problem: &'static str) -> SopsError {
        SopsError::Value { line, path: self.path().join("."), problem }
    }
}

/// Replaces ranges; one that overlaps an earlier one is dropped.
pub(super) fn replace(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, new) in edits {
        if range.start < done {
            continue;
        }
        out.push_str(&text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// The parser's range of a block starts at its first text and ends in the next line's indentation;
/// this one goes from the `|` or `>` to the last line feed.
fn whole_block(source: &str, after: usize, content: Range<usize>) -> Range<usize> {
    let between = source.get(after..content.start).unwrap_or_default();
    let start = between.find(['|', '>']).map_or(content.start, |at| after + at);
    let end = source[..content.end].trim_end_matches(' ').len();
    start..end.max(content.start)
}

/// The whole entry: its lines in a block mapping, or up to and with one comma in braces.
fn entry(source: &str, range: Range<usize>, flow: bool) -> Range<usize> {
    let (before, after) = (&source[..range.start], &source[range.end..]);
    if flow {
        let blank_after = after.len() - after.trim_start().len();
        return match after.trim_start().starts_with(',') {
            true => range.start..range.end + blank_after + 1,
            false => match before.trim_end().strip_suffix(',') {
                Some(kept) => kept.len()..range.end,
                None => range,
            },
        };
    }
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let start = match before[line_start..].trim().is_empty() {
        true => line_start,
        false => range.start,
    };
    // The range of a block scalar ends behind its line feed already.
    let end = match before.len() < range.end && source[..range.end].ends_with('\n') {
        true => range.end,
        false => after.find('\n').map_or(source.len(), |at| range.end + at + 1),
    };
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> String {
        let scan = scan(text).unwrap();
        replace(text, scan.metadata.into_iter().map(|range| (range, String::new())).collect())
    }

    #[test]
    fn values_are_found_with_their_paths_and_places() {
        let text = "a: 'x'  # c\nb:\n  - |\n    l\n  - {k: v}\nsops:\n  mac: y\n";
        let scan = scan(text).unwrap();
        let found: Vec<_> =
            scan.values.iter().map(|value| (value.path.join(":"), &text[value.range.clone()], value.in_flow)).collect();
        assert_eq!(found, [("a".into(), "'x'", false), ("b".into(), "|\n    l\n", false), ("b:k".into(), "v", true)]);
        assert_eq!(&text[scan.comments[0].range.clone()], " c");
    }

    #[test]
    fn the_metadata_is_cut_out_whole_wherever_it_stands() {
        for (text, wanted) in [
            ("a: 1\nsops:\n    mac: x\n    age:\n        - enc: |\n            q\n", "a: 1\n"),
            ("sops:\n    mac: x # c\na: 1\n", "a: 1\n"),
            ("a: 1\nsops: {mac: x}\nb: 2\n", "a: 1\nb: 2\n"),
            ("{a: 1, sops: {mac: x}}\n", "{a: 1}\n"),
            ("{sops: {mac: x}, a: 1}\n", "{ a: 1}\n"),
            ("{\"sops\": {}}", "{}"),
            ("a: 1\nsops:\n  mac: x\n---\nb: 2\nsops:\n  mac: x\n", "a: 1\n---\nb: 2\n"),
            ("a: {sops: 1}\n", "a: {sops: 1}\n"),
        ] {
            let wanted = wanted.replace("{sops: {}}", "{}");
            assert_eq!(cut(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_sops_never_writes_is_refused() {
        for (text, wanted) in [
            ("a: &x 1\nb: *x\n", "alias"),
            ("- a\n", "mapping"),
            ("hello\n", "mapping"),
            ("? [a]\n: b\n", "no string"),
            ("a: [\n", "YAML"),
        ] {
            let error = scan(text).err().unwrap().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
        assert_eq!(scan("# nothing\n").unwrap().values.len(), 0);
    }
}
