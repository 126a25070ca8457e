//! The layout that talhelper gives to YAML whose comments it takes out: go-yaml v3 reads nodes and writes them again,
//! with two blanks (`pkg/substitute/envsubst.go`). Blank lines go, lists are indented under their key, words and quotes
//! stay.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use super::{double_quoted, leading_tab};

/// The text as go-yaml v3 writes it again without comments. `None` when it is no YAML, and for the rarer parts of the
/// language, whose layout is not known here: anchors, tags, folded text, keys of more than one line.
pub fn relayout(text: &str) -> Option<String> {
    if leading_tab(text).is_some() {
        return None;
    }
    let options = granit_parser::options! { emit_comments: false };
    let mut open: Vec<(Part, Vec<Part>)> = Vec::new();
    let mut documents = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let part = match event {
            // The parser says `~` for what is not there.
            Event::Scalar(_, style, 0, None) if span.byte_range().is_none_or(|range| range.is_empty()) => {
                Part::Scalar(String::new(), style)
            }
            Event::Scalar(text, style, 0, None) => Part::Scalar(text.into_owned(), style),
            Event::SequenceStart(style, 0, None) => {
                open.push((Part::List(style == StructureStyle::Flow, Vec::new()), Vec::new()));
                continue;
            }
            Event::MappingStart(style, 0, None) => {
                open.push((Part::Map(style == StructureStyle::Flow, Vec::new()), Vec::new()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (shell, parts) = open.pop()?;
                shell.filled(parts)
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::DocumentStart(_, None) => continue,
            _ => return None,
        };
        match open.last_mut() {
            Some((_, parts)) => parts.push(part),
            None => documents.push(part),
        }
    }
    let mut out = String::with_capacity(text.len());
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        document.block(&mut out, 0)?;
    }
    (!documents.is_empty()).then_some(out)
}

enum Part {
    Scalar(String, ScalarStyle),
    /// Written in brackets or not.
    List(bool, Vec<Part>),
    /// Written in braces or not.
    Map(bool, Vec<(Part, Part)>),
}

impl Part {
    fn filled(self, parts: Vec<Self>) -> Self {
        match self {
            Self::Map(flow, _) => {
                let mut pairs = Vec::new();
                let mut parts = parts.into_iter();
                while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    pairs.push((key, value));
                }
                Self::Map(flow, pairs)
            }
            Self::List(flow, _) => Self::List(flow, parts),
            scalar => scalar,
        }
    }

    /// Writes it from where the line is at, to the end of a line. `indent` is that of its own items.
    fn block(&self, out: &mut String, indent: usize) -> Option<()> {
        match self {
            Self::List(false, items) => {
                for (index, item) in items.iter().enumerate() {
                    pad(out, index, indent);
                    out.push('-');
                    if !item.is_empty() {
                        out.push(' ');
                    }
                    item.block(out, indent + STEP)?;
                }
            }
            Self::Map(false, pairs) => {
                for (index, (key, value)) in pairs.iter().enumerate() {
                    pad(out, index, indent);
                    key.key(out, false)?;
                    out.push(':');
                    match value {
                        Self::List(false, _) | Self::Map(false, _) => {
                            out.push('\n');
                            out.extend(std::iter::repeat_n(' ', indent + STEP));
                        }
                        value if value.is_empty() => {}
                        _ => out.push(' '),
                    }
                    value.block(out, indent + STEP)?;
                }
            }
            Self::Scalar(text, ScalarStyle::Literal) => literal(out, text, indent.max(STEP))?,
            Self::Scalar(text, ScalarStyle::Plain) if text.is_empty() => out.push('\n'),
            part => {
                part.line(out, false)?;
                out.push('\n');
            }
        }
        Some(())
    }

    fn key(&self, out: &mut String, in_flow: bool) -> Option<()> {
        match self {
            // A longer one, or one that is no scalar, gets a question mark.
            Self::Scalar(text, _) if text.len() <= KEY_MAX => self.line(out, in_flow),
            _ => None,
        }
    }

    /// Writes it on one line.
    fn line(&self, out: &mut String, in_flow: bool) -> Option<()> {
        match self {
            Self::Scalar(text, style) => scalar(out, text, *style, in_flow)?,
            Self::List(true, items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.line(out, true)?;
                }
                out.push(']');
            }
            Self::Map(true, pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.key(out, true)?;
                    out.push_str(": ");
                    value.line(out, true)?;
                }
                out.push('}');
            }
            Self::List(false, _) | Self::Map(false, _) => return None,
        }
        Some(())
    }

    /// Whether nothing is written at all: a null that is only implied.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Scalar(text, ScalarStyle::Plain) if text.is_empty())
    }
}

fn scalar(out: &mut String, text: &str, style: ScalarStyle, in_flow: bool) -> Option<()> {
    if text.contains(['\n', '\r', '\t', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
        && style != ScalarStyle::DoubleQuoted
    {
        return None;
    }
    match style {
        // Go quotes some of these within brackets.
        ScalarStyle::Plain if text.is_empty() || in_flow && text.contains([':', '?']) => return None,
        ScalarStyle::Plain if text.starts_with("...") || text.starts_with("---") => return None,
        ScalarStyle::Plain => out.push_str(text),
        ScalarStyle::SingleQuoted => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        ScalarStyle::DoubleQuoted => out.push_str(&double_quoted(text)),
        _ => return None,
    }
    Some(())
}

/// A text of lines; those that Go would write in another way, or with an indicator of their indentation, are left.
fn literal(out: &mut String, text: &str, indent: usize) -> Option<()> {
    let awkward = text.starts_with([' ', '\n', '\t']) || text.is_empty() || text.ends_with("\n\n");
    if awkward || text.contains([' ', '\t']) && text.lines().any(|line| line.ends_with([' ', '\t'])) {
        return None;
    }
    out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out.push('\n');
    Some(())
}

/// Goes to the start of an item; the first one starts where the line is at.
fn pad(out: &mut String, index: usize, indent: usize) {
    if index > 0 {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

const STEP: usize = 2;
/// Go counts quotes and escapes, and stops at 128.
const KEY_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// The right sides are what go-yaml v3 wrote.
    #[test]
    fn yaml_is_laid_out_as_go_does() {
        for (text, wanted) in [
            ("# top\n\na: 1 # one\n\n# c\nb:\n- x\n-   y: 1\n    z: 2\n", "a: 1\nb:\n  - x\n  - y: 1\n    z: 2\n"),
            ("{\"j\": true,\n \"l\": [1,\n 2]}\n", "{\"j\": true, \"l\": [1, 2]}\n"),
            (
                "a:   'x'\nb:\n    c: |\n          l1\n            # l2\n\n          l3\n",
                "a: 'x'\nb:\n  c: |\n    l1\n      # l2\n\n    l3\n",
            ),
            ("a:\nb: ~\nc: \"\"\n", "a:\nb: ~\nc: \"\"\n"),
            ("one\ntwo\n", "one two\n"),
            ("---\na: b\n...\n---\n- - - 1\n", "a: b\n---\n- - - 1\n"),
            ("a: \"\\u00e9\\t${x}\"\n", "a: \"é\\t${x}\"\n"),
            ("a: |-\n  x\nb: [ ]\nc: { }\n", "a: |-\n  x\nb: []\nc: {}\n"),
            ("-\n- a\n", "-\n- a\n"),
            ("--- |\n text\n", "|\n  text\n"),
        ] {
            assert_eq!(relayout(text).as_deref(), Some(wanted), "{text:?}");
        }
    }

    #[test]
    fn what_is_rare_is_left_as_it_is() {
        for text in
            ["[a", "", "# c\n", "a: &x 1\nb: *x\n", "a: !!str 1\n", "a: >\n  b\n", "? [a]\n: b\n", "a: |\n   x \n"]
        {
            assert_eq!(relayout(text), None, "{text:?}");
        }
    }
}
