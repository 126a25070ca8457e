//! Writes trees as YAML that Go's library reads back to the same content.

use super::{Node, Scalar, Tag, Value, resolve_plain};

/// Writes documents in block style, four spaces a level as talosctl does, `---` between documents.
pub fn emit<'a>(documents: impl IntoIterator<Item = &'a Node>) -> String {
    let mut out = String::new();
    for (index, document) in documents.into_iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        match &document.value {
            Value::Mapping(entries) if !entries.is_empty() => mapping(&mut out, document, 0),
            Value::Sequence(items) if !items.is_empty() => sequence(&mut out, document, 0),
            _ => {
                inline(&mut out, document, 0);
                out.push('\n');
            }
        }
    }
    out
}

const STEP: usize = 4;
/// The longest key written as `key: value`; Go's scanner looks no further than 1024 characters.
const SIMPLE_KEY: usize = 128;

fn mapping(out: &mut String, node: &Node, indent: usize) {
    for (index, entry) in node.as_mapping().unwrap_or_default().iter().enumerate() {
        // The first key stands where the caller's cursor already is.
        if index > 0 {
            pad(out, indent);
        }
        let start = out.len();
        match &entry.key.value {
            Value::Scalar(scalar) => out.push_str(&key(scalar)),
            _ => out.push_str("null"),
        }
        if out.len() - start > SIMPLE_KEY {
            let text = out.split_off(start);
            out.push_str(&format!("? {text}\n"));
            pad(out, indent);
        }
        out.push(':');
        // Below `- ` a mapping stands two columns in; what it holds goes to the next full step.
        child(out, &entry.value, indent / STEP * STEP + STEP);
    }
}

fn sequence(out: &mut String, node: &Node, indent: usize) {
    for (index, item) in node.as_sequence().unwrap_or_default().iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        out.push('-');
        match &item.value {
            Value::Mapping(entries) if !entries.is_empty() => {
                out.push(' ');
                mapping(out, item, indent + 2);
            }
            Value::Sequence(items) if !items.is_empty() => {
                out.push(' ');
                sequence(out, item, indent + 2);
            }
            _ => {
                out.push(' ');
                inline(out, item, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn child(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Mapping(entries) if !entries.is_empty() => {
            out.push('\n');
            pad(out, indent);
            mapping(out, node, indent);
        }
        Value::Sequence(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, indent);
            sequence(out, node, indent);
        }
        _ => {
            out.push(' ');
            inline(out, node, indent);
            out.push('\n');
        }
    }
}

fn inline(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Scalar(scalar) if scalar.tag == Tag::Str && suits_literal(&scalar.text) => {
            literal(out, &scalar.text, indent);
        }
        Value::Scalar(scalar) => out.push_str(&flow_scalar(scalar)),
        Value::Sequence(_) => out.push_str("[]"),
        Value::Mapping(_) => out.push_str("{}"),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn key(scalar: &Scalar) -> String {
    flow_scalar(scalar)
}

/// A scalar on one line.
fn flow_scalar(scalar: &Scalar) -> String {
    match scalar.tag {
        Tag::Null => "null".into(),
        Tag::Str => string(&scalar.text),
        Tag::Bool | Tag::Int | Tag::Float | Tag::Timestamp => scalar.text.clone(),
    }
}

fn string(text: &str) -> String {
    if !text.chars().all(is_printable) || text.contains('\n') {
        return double_quoted(text);
    }
    // Words that some reader takes for something else get double quotes, as Go does it.
    if resolve_plain(text) != Tag::Str || is_yaml_1_1_boolean(text) || is_base_60(text) || text == "<<" {
        return double_quoted(text);
    }
    if suits_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02X}", c as u32)),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// A `|` block reads back exactly when no line needs an escape and the first line sets the indentation.
fn suits_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        && !text.lines().any(|line| !line.is_empty() && line.trim_matches([' ', '\t']).is_empty())
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            // At the top of a document a block must still be indented.
            pad(out, indent.max(STEP));
            out.push_str(line);
        }
    }
    // The caller ends the last line; a kept block owns the others.
    out.extend(std::iter::repeat_n('\n', (text.len() - body.len()).saturating_sub(1)));
}

fn suits_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first_is_indicator = match bytes.first() {
        None => true,
        Some(b'-' | b'?' | b':') => bytes.get(1).is_none_or(|b| matches!(b, b' ' | b',' | b'[' | b']' | b'{' | b'}')),
        Some(b) => b",[]{}#&*!|>'\"%@`".contains(b),
    };
    !first_is_indicator
        && !text.starts_with([' ', '\t'])
        && !text.ends_with([' ', '\t', ':'])
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.contains('\t')
        && !text.contains(": ")
        && !text.contains(" #")
}

fn is_printable(c: char) -> bool {
    // U+0085, U+2028 and U+2029 are line breaks to a YAML 1.1 reader, U+FEFF a byte order mark.
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn is_yaml_1_1_boolean(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF"
    )
}

/// `12:30:45`, which YAML 1.1 reads as a number to the base of 60.
fn is_base_60(text: &str) -> bool {
    text.contains(':')
        && text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-')
        && text.bytes().all(|b| b.is_ascii_digit() || b":._+-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, parse_stream};
    use super::*;

    fn round(node: &Node) -> Node {
        let text = emit([node]);
        let mut documents = parse_stream(&text, &Limits::default()).unwrap_or_else(|e| panic!("{e}:\n{text}"));
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn awkward_strings_read_back_as_they_were() {
        let texts = [
            "",
            " ",
            "a",
            "off",
            "y",
            "null",
            "~",
            "5",
            "0644",
            "1e3",
            "02:00:17:27:16:32",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "-a",
            "-",
            "--- a",
            "...",
            "a\nb",
            "a\nb\n",
            "a\nb\n\n",
            "\n",
            "\na",
            "  a\nb",
            "a\n  b",
            "a\n \nb",
            "a\tb",
            "\ta",
            "it's",
            "\"q\"",
            "%a",
            "@a",
            "`a",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "a:",
            "a: ",
            ":a",
            "?",
            "?a",
            "? a",
            "é",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{1}",
            "\u{7f}",
            "a\r\nb",
            "a\rb",
            "<<",
            "[a]",
            "{a}",
            "a, b",
            "a]b",
            "2020-01-01",
            "${X}",
            "$patch",
            "=",
            "\\",
            "a\\nb",
            "😀",
            "x\n\ty\n",
            "ends with space \nb",
        ];
        for text in texts {
            let node = Node::mapping([
                ("value", Node::string(text)),
                ("list", Node::sequence(vec![Node::string(text), Node::mapping([(text, Node::string("v"))])])),
            ]);
            assert!(round(&node).same_content(&node), "{text:?}:\n{}", emit([&node]));
            let alone = Node::string(text);
            assert!(round(&alone).same_content(&alone), "{text:?} alone:\n{}", emit([&alone]));
        }
    }

    #[test]
    fn the_layout_is_talosctls() {
        let text = "machine:\n    certSANs:\n        - a\n        - b\n    files:\n        - content: |\n            x\n            y\n          op: create\n    network: {}\n    list: []\n";
        let node = parse_stream(text, &Limits::default()).expect("valid YAML").remove(0);
        assert_eq!(emit([&node]), text);
    }

    #[test]
    fn long_keys_are_written_as_explicit_ones() {
        let node = Node::mapping([("k".repeat(3000), Node::string("v"))]);
        assert!(round(&node).same_content(&node));
    }
}
