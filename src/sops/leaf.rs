//! Values with their types: what enters the MAC, and how they are written back.

use zeroize::Zeroizing;

use super::cipher::Opened;
use crate::yaml::{self, EmittedStyle, Resolved};

/// A value and the type that it was stored with.
pub(super) struct Leaf {
    kind: Kind,
    text: Zeroizing<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Time,
    Null,
}

impl Leaf {
    /// A decrypted value.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn opened(opened: &Opened<'_>) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(&opened.bytes).map_err(|_| "is no text")?;
        let sound = |kind, text: String| Leaf { kind, text: Zeroizing::new(text) };
        match opened.kind {
            "str" | "bytes" => Ok(sound(Kind::Text, text.to_owned())),
            "int" => match text.parse::<i64>() {
                Ok(value) => Ok(sound(Kind::Int, value.to_string())),
                Err(_) => Err("is marked as a whole number and is none"),
            },
            "float" => match text.parse::<f64>() {
                Ok(value) => Ok(sound(Kind::Float, go_fixed(value))),
                Err(_) => Err("is marked as a number and is none"),
            },
            // strconv.ParseBool
            "bool" => match text {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(sound(Kind::Bool, "True".into())),
                "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(sound(Kind::Bool, "False".into())),
                _ => Err("is marked as a boolean and is none"),
            },
            "time" => Ok(sound(Kind::Time, text.to_owned())),
            _ => Err("has a type that is not known here"),
        }
    }

    /// A value as YAML has it; `plain` if it is neither quoted, nor a block, nor tagged.
    pub(super) fn written(text: &str, plain: bool) -> Self {
        let resolved = if plain { yaml::resolve(text) } else { Resolved::Text };
        let (kind, text) = match resolved {
            Resolved::Null => (Kind::Null, String::new()),
            Resolved::Bool(true) => (Kind::Bool, "True".into()),
            Resolved::Bool(false) => (Kind::Bool, "False".into()),
            Resolved::Int(value) => (Kind::Int, value.to_string()),
            Resolved::Float(value) => (Kind::Float, go_fixed(value)),
            Resolved::Timestamp => (Kind::Time, rfc3339(text)),
            Resolved::Merge | Resolved::Text => (Kind::Text, text.to_owned()),
        };
        Leaf { kind, text: Zeroizing::new(text) }
    }

    /// What the MAC is computed over.
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The name of the type inside of `ENC[…]`; `None` for null, which is never encrypted.
    pub(super) fn kind_name(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Text => Some("str"),
            Kind::Int => Some("int"),
            Kind::Float => Some("float"),
            Kind::Bool => Some("bool"),
            Kind::Time => Some("time"),
            Kind::Null => None,
        }
    }

    /// The text, for stores that know no types.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The value as YAML on one line: quoted as Go quotes it, so that a string stays a string.
    pub(super) fn yaml(&self, in_flow: bool) -> String {
        let text = self.text.as_str();
        match self.kind {
            Kind::Text => match yaml::scalar_style(text, true) {
                EmittedStyle::Plain if !in_flow => text.to_owned(),
                EmittedStyle::Single => format!("'{}'", text.replace('\'', "''")),
                _ => yaml::double_quoted(text),
            },
            Kind::Bool => text.to_lowercase(),
            Kind::Float => text.parse().map_or_else(|_| text.to_owned(), yaml::go_float),
            Kind::Int | Kind::Time => text.to_owned(),
            Kind::Null => "null".into(),
        }
    }
}

/// `strconv.FormatFloat(f, 'f', -1, 64)`: shortest digits, never an exponent.
fn go_fixed(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.into()
    } else {
        value.to_string()
    }
}

/// A date or time in one of go-yaml's forms as Go's `time.Time` prints itself.
fn rfc3339(text: &str) -> String {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "0:0:0"),
    };
    let padded = |text: &str, separator: char, joined: &str| {
        let parts: Vec<String> = text.split(separator).map(|part| format!("{part:0>2}")).collect();
        parts.join(joined)
    };
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let fraction = match fraction.trim_end_matches('0') {
        "" => String::new(),
        // Go keeps nanoseconds.
        digits => format!(".{}", &digits[..digits.len().min(9)]),
    };
    let zone = match zone {
        "" | "+00:00" | "-00:00" => "Z",
        zone => zone,
    };
    format!("{}T{}{fraction}{zone}", padded(date, '-', "-"), padded(clock, ':', ":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_enter_the_mac_in_gos_forms() {
        for (text, wanted) in [
            ("0644", "420"),
            ("0x1F", "31"),
            ("true", "True"),
            ("FALSE", "False"),
            ("yes", "yes"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            (".inf", "+Inf"),
            ("~", ""),
            ("2020-1-2", "2020-01-02T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14 1:59:43", "2001-12-14T01:59:43Z"),
            ("hello", "hello"),
        ] {
            assert_eq!(Leaf::written(text, true).text(), wanted, "{text}");
            assert_eq!(Leaf::written(text, false).text(), text);
        }
    }

    #[test]
    fn a_string_that_looks_like_something_else_stays_a_string() {
        for (text, in_flow, wanted) in [
            ("123", false, "\"123\""),
            ("true", false, "\"true\""),
            ("plain words", false, "plain words"),
            ("plain, words", true, "\"plain, words\""),
            ("a: b", false, "'a: b'"),
            ("two\nlines\n", false, "\"two\\nlines\\n\""),
            ("", false, "\"\""),
        ] {
            assert_eq!(Leaf::written(text, false).yaml(in_flow), wanted);
        }
        for (text, wanted) in
            [("12", "12"), ("true", "true"), ("1e100", "1e+100"), ("2020-01-02", "2020-01-02T00:00:00Z")]
        {
            assert_eq!(Leaf::written(text, true).yaml(false), wanted);
        }
    }

    #[test]
    fn types_that_do_not_fit_are_refused() {
        for (kind, text, sound) in [
            ("int", "12", true),
            ("int", "1.5", false),
            ("float", "x", false),
            ("bool", "True", true),
            ("bool", "yes", false),
            ("comment", "x", false),
            ("str", "anything", true),
        ] {
            let opened = Opened { kind, bytes: Zeroizing::new(text.as_bytes().to_vec()) };
            assert_eq!(Leaf::opened(&opened).is_ok(), sound, "{kind} {text}");
        }
    }

    #[test]
    fn numbers_without_end_are_the_same_before_and_after() {
        for (text, wanted) in [(".inf", ".inf"), ("-.inf", "-.inf"), (".nan", ".nan"), ("-0.0", "-0")] {
            let written = Leaf::written(text, true);
            let opened = Opened { kind: "float", bytes: Zeroizing::new(written.bytes().to_vec()) };
            let opened = Leaf::opened(&opened).expect("a number");
            assert_eq!(opened.bytes(), written.bytes(), "{text}");
            assert_eq!(opened.yaml(false), wanted);
        }
    }
}
