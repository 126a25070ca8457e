//! Writing block YAML as go-yaml v4 does with its defaults: four spaces, lists indented under their key, no folding.
//!
//! The Image Factory hashes this text, so every blank counts (`internal/libyaml/{representer,emitter}.go`).

use super::{Resolved, is_base60, is_old_bool, resolve};

/// A value to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Emit {
    /// A string, quoted as needed.
    Text(String),
    /// A number, boolean or null in its final form.
    Bare(String),
    /// A sequence.
    List(Vec<Emit>),
    /// A mapping, in this order.
    Map(Vec<(String, Emit)>),
}

/// How go-yaml writes a string in block context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmittedStyle {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|`
    Literal,
}

/// Writes a mapping as one document, with a final line feed.
pub fn emit(root: &[(String, Emit)]) -> String {
    let mut out = String::new();
    write_map(&mut out, root, 0);
    out
}

fn write_map(out: &mut String, pairs: &[(String, Emit)], indent: usize) {
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            pad(out, indent);
        }
        write_text(out, key, indent, true);
        out.push(':');
        let inner = INDENT * ((indent + INDENT) / INDENT);
        match value {
            Emit::List(items) if !items.is_empty() => {
                out.push('\n');
                pad(out, inner);
                write_list(out, items, inner);
            }
            Emit::Map(pairs) if !pairs.is_empty() => {
                out.push('\n');
                pad(out, inner);
                write_map(out, pairs, inner);
            }
            leaf => {
                out.push(' ');
                write_leaf(out, leaf, inner);
            }
        }
    }
}

fn write_list(out: &mut String, items: &[Emit], indent: usize) {
    // Inside a list only the "- " is stepped over.
    let inner = indent + 2;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Emit::List(items) if !items.is_empty() => write_list(out, items, inner),
            Emit::Map(pairs) if !pairs.is_empty() => write_map(out, pairs, inner),
            leaf => write_leaf(out, leaf, inner),
        }
    }
}

fn write_leaf(out: &mut String, leaf: &Emit, indent: usize) {
    match leaf {
        Emit::Bare(text) => out.push_str(text),
        Emit::Text(text) => {
            write_text(out, text, indent, false);
            if scalar_style(text, false) == EmittedStyle::Literal {
                return;
            }
        }
        Emit::List(_) => out.push_str("[]"),
        Emit::Map(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn write_text(out: &mut String, text: &str, indent: usize, key: bool) {
    match scalar_style(text, key) {
        EmittedStyle::Plain => out.push_str(text),
        EmittedStyle::Single => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        EmittedStyle::Double => write_double(out, text),
        EmittedStyle::Literal => write_literal(out, text, indent),
    }
}

/// Ends with a line feed, whatever the chomping.
fn write_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with(' ') {
        out.push_str(&INDENT.to_string());
    }
    let body = match text.strip_suffix('\n') {
        None => {
            out.push('-');
            text
        }
        Some(body) => {
            if body.is_empty() || body.ends_with('\n') {
                out.push('+');
            }
            body
        }
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
    out.push('\n');
}

/// A string in double quotes, escaped as Go escapes it.
pub fn double_quoted(text: &str) -> String {
    let mut out = String::new();
    write_double(&mut out, text);
    out
}

fn write_double(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            }),
        }
    }
    out.push('"');
}

/// The style that go-yaml (v4 as the Image Factory v1.5 pins it) picks for a string in block context.
pub fn scalar_style(text: &str, key: bool) -> EmittedStyle {
    let shape = Shape::of(text);
    let wanted = if text.contains('\n') {
        let more_than_blanks = text.len() >= 2 && !text.chars().all(char::is_whitespace);
        match more_than_blanks && !key {
            true => EmittedStyle::Literal,
            false => EmittedStyle::Double,
        }
    } else if is_old_bool(text) || is_base60(text) || text == "<<" {
        EmittedStyle::Single
    } else if resolve(text) == Resolved::Text {
        EmittedStyle::Plain
    } else {
        EmittedStyle::Double
    };
    match wanted {
        EmittedStyle::Plain if shape.plain_allowed => EmittedStyle::Plain,
        EmittedStyle::Plain | EmittedStyle::Single if shape.single_allowed => EmittedStyle::Single,
        EmittedStyle::Literal if shape.block_allowed => EmittedStyle::Literal,
        _ => EmittedStyle::Double,
    }
}

/// What the syntax allows for a text (`analyzeScalar`).
struct Shape {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let first = chars.first().copied().unwrap_or_default();
        let last = chars.last().copied().unwrap_or_default();
        let pair = |test: fn(char, char) -> bool| chars.windows(2).any(|w| test(w[0], w[1]));
        let space_break = pair(|a, b| a == ' ' && is_break(b));
        let break_space = pair(|a, b| is_break(a) && b == ' ');
        let tabs = chars.contains(&'\t');
        let special = chars.iter().any(|&c| c != '\t' && !is_printable(c));
        let edge = first == ' ' || last == ' ' || is_break(first) || is_break(last);
        let breaks = chars.iter().any(|&c| is_break(c));
        let single_allowed = !(break_space || space_break || tabs || special);
        Self {
            plain_allowed: single_allowed && !edge && !breaks && !block_indicators(text, &chars),
            single_allowed,
            block_allowed: !(chars.is_empty() || last == ' ' || space_break || special),
        }
    }
}

/// Whether a character would start something else than a plain scalar in block context.
fn block_indicators(text: &str, chars: &[char]) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let blank_at = |at: usize| chars.get(at).is_none_or(|c| matches!(c, ' ' | '\t'));
    chars.iter().enumerate().any(|(at, c)| match (at, c) {
        (0, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`') => true,
        (0, '?' | ':' | '-') => blank_at(1),
        (_, ':') => blank_at(at + 1),
        (_, '#') => matches!(chars[at - 1], ' ' | '\t' | '\0') || is_break(chars[at - 1]),
        _ => false,
    })
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml writes as it is; characters beyond the basic plane are escaped.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

const INDENT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_quoted_as_go_quotes_it() {
        use EmittedStyle::{Double, Literal, Plain, Single};
        for (text, wanted) in [
            ("siderolabs/tailscale", Plain),
            ("-console=tty1", Plain),
            ("a: b", Single),
            ("a:b", Plain),
            ("a:", Single),
            ("x #y", Single),
            ("x#y", Plain),
            ("*star", Single),
            ("@at", Single),
            (" lead", Single),
            ("trail ", Single),
            ("- dash", Single),
            ("-", Single),
            ("?x", Plain),
            ("{\"a\":1}", Single),
            ("it's", Plain),
            ("---", Single),
            ("...x", Single),
            ("", Double),
            ("true", Double),
            ("1", Double),
            ("0x1f", Double),
            ("1e3", Double),
            ("null", Double),
            ("~", Double),
            ("2020-01-01", Double),
            ("off", Single),
            ("y", Single),
            ("12:30", Single),
            ("<<", Single),
            ("a\nb", Literal),
            ("a\nb\n", Literal),
            ("a \nb", Double),
            ("a\r\nb", Double),
            ("\n", Double),
            (" \n ", Double),
            ("a\tb", Double),
            ("a\tb\nc", Literal),
            ("ü✓", Plain),
            ("\u{1f600}", Double),
            ("\u{1}", Double),
        ] {
            assert_eq!(scalar_style(text, false), wanted, "{text:?}");
        }
        assert_eq!(scalar_style("a\nb", true), Double);
    }

    #[test]
    fn blocks_nest_as_go_nests_them() {
        let text = |s: &str| Emit::Text(s.into());
        let doc = [(
            "a".to_owned(),
            Emit::List(vec![
                Emit::Map(vec![("k".into(), text("x\ny\n")), ("e".into(), Emit::Map(Vec::new()))]),
                text("p\nq"),
                text("  lead\nz\n\n"),
                Emit::List(vec![Emit::Bare("1".into()), Emit::List(Vec::new())]),
            ]),
        )];
        assert_eq!(
            emit(&doc),
            "a:\n    - k: |\n        x\n        y\n      e: {}\n    - |-\n      p\n      q\n    - |4+\n        lead\n      z\n\n    \
             - - 1\n      - []\n"
        );
    }

    #[test]
    fn escapes_are_those_of_go() {
        let mut out = String::new();
        write_double(&mut out, "a\"\\\t\u{1}\u{85}\u{1f600}\u{feff}é");
        assert_eq!(out, "\"a\\\"\\\\\\t\\x01\\N\\U0001F600\\uFEFFé\"");
    }
}
