//! Environment files as joho/godotenv reads them; talhelper reads its talenv.yaml with it, YAML or not.

use super::envsubst::Variables;

/// Why a text is no environment file. Never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DotenvError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// Reads `key: value` and `key=value` lines, in order. `known` are the variables that values may refer to besides
/// those of the text itself.
///
/// # Errors
/// A name with a character that names cannot have, or a quote that does not end.
pub fn parse(text: &str, known: &Variables) -> Result<Vec<(String, String)>, DotenvError> {
    let source = text.replace("\r\n", "\n");
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = source.as_str();
    while let Some(statement) = statement_start(rest) {
        let line = 1 + source[..source.len() - statement.len()].matches('\n').count();
        let failed = |problem: String| DotenvError { line, problem };
        let (key, after) = key(statement).map_err(failed)?;
        let lookup = |name: &str| {
            let own = found.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
            own.or_else(|| known.get(name)).cloned().unwrap_or_default()
        };
        let (value, after) = value(after, &lookup).map_err(failed)?;
        found.push((key.to_owned(), value));
        rest = after;
    }
    Ok(found)
}

/// Skips blanks and comment lines.
fn statement_start(text: &str) -> Option<&str> {
    let mut text = text.trim_start();
    while text.starts_with('#') {
        text = text[text.find('\n')?..].trim_start();
    }
    (!text.is_empty()).then_some(text)
}

/// The name and what follows its `:` or `=`. Without either, all of it is the value of "".
fn key(text: &str) -> Result<(&str, &str), String> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with(is_blank) => rest.trim_start_matches(is_blank),
        _ => text,
    };
    for (at, c) in text.char_indices() {
        match c {
            '=' | ':' => {
                let rest = text[at + 1..].trim_start_matches(is_blank);
                return Ok((text[..at].trim_end(), rest));
            }
            c if is_blank(c) || c.is_alphanumeric() || matches!(c, '_' | '.' | '-') => {}
            '\n' => return Err("a line is no NAME: value".into()),
            c => return Err(format!("unexpected character {c:?} in a name")),
        }
    }
    Ok(("", text))
}

fn value<'t>(text: &'t str, lookup: &dyn Fn(&str) -> String) -> Result<(String, &'t str), String> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        let value = without_comment(line).trim_matches(is_blank);
        return Ok((expand(value, lookup), rest));
    };
    let bytes = text.as_bytes();
    let end = (1..bytes.len()).find(|&at| bytes[at] == quote as u8 && bytes[at - 1] != b'\\');
    let end = end.ok_or_else(|| "a quoted value has no end".to_owned())?;
    let value = text[..end].trim_matches(quote);
    let value = match quote {
        '"' => expand(&unescape(value), lookup),
        _ => value.to_owned(),
    };
    Ok((value, &text[end + 1..]))
}

/// Cuts at the last `#` that stands behind a blank.
fn without_comment(line: &str) -> &str {
    let start = line.char_indices().rev().find(|(at, c)| {
        let before = line[..*at].chars().next_back();
        *c == '#' && before.is_some_and(is_blank)
    });
    start.map_or(line, |(at, _)| &line[..at])
}

/// `\n` and `\r` become what they say, other backslashes go, but for one before a dollar sign.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('$')) | (_, None) => {
                out.push(c);
                continue;
            }
            ('\\', Some(other)) => out.push(*other),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

/// `$NAME` and `${NAME}` with capitals, digits and `_`; unknown ones become nothing, all else stays.
fn expand(text: &str, lookup: &dyn Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        let body = &from[1..];
        if let Some(before) = before.strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = body;
            continue;
        }
        out.push_str(before);
        let opened = body.strip_prefix('(').unwrap_or(body);
        let opened = opened.strip_prefix('{').unwrap_or(opened);
        let end = opened.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        let (name, after) = opened.split_at(end.unwrap_or(opened.len()));
        if name.is_empty() {
            out.push('$');
            rest = body;
        } else {
            out.push_str(&lookup(name));
            rest = after.strip_prefix('}').unwrap_or(after);
        }
    }
    out.push_str(rest);
    out
}

/// Blanks that do not end a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, DotenvError> {
        parse(text, &[("A".to_owned(), "1".to_owned())].into())
    }

    /// `"in" -> map["k":"v"] err=<nil>` lines of the golden file's second part.
    #[test]
    fn the_real_program_gives_the_same() {
        let golden = include_str!("../../tests/golden/talhelper/envsubst-and-dotenv.txt");
        let (_, cases) = golden.split_once("--- dotenv\n").unwrap();
        let (cases, _) = cases.split_once("--- whole-file").unwrap();
        let mut count = 0;
        for line in cases.lines() {
            let (input, rest) = line.split_once(" -> ").unwrap();
            let (map, error) = rest.split_once(" err=").unwrap();
            let got = parsed(&serde_json::from_str::<String>(input.trim()).unwrap());
            count += 1;
            if error != "<nil>" {
                assert!(got.is_err(), "{input} is {error} for the real program");
                continue;
            }
            let body = map.strip_prefix("map[").unwrap().strip_suffix(']').unwrap();
            let json = format!("{{{}}}", body.replace("\" \"", "\", \""));
            let wanted: std::collections::BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
            assert_eq!(got.unwrap().into_iter().collect::<std::collections::BTreeMap<_, _>>(), wanted, "{input}");
        }
        assert_eq!(count, 25);
    }

    #[test]
    fn later_lines_may_refer_to_earlier_ones() {
        let found = parsed("X=2\nY=\"$X-${A}-$NONE.\"\nZ: \\$X $(A) # c\n").unwrap();
        assert_eq!(found[1].1, "2-1-.");
        assert_eq!(found[2].1, "$X 1)");
    }

    #[test]
    fn errors_name_the_line_and_show_nothing_of_it() {
        let error = parsed("a: 1\n\n# c\n\"b\": hunter2\n").unwrap_err();
        assert_eq!(error, DotenvError { line: 4, problem: "unexpected character '\"' in a name".into() });
        let error = parsed("a: 'hunter2\n").unwrap_err();
        assert_eq!(error.problem, "a quoted value has no end");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-bA =:#'\"\\\\$\\{\\}\\n\u{e9}]{0,30}") {
            let _ = parsed(&text);
        }
    }
}
