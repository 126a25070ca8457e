//! What a plain scalar means to go-yaml (v3 and v4, `resolve.go` and `internal/libyaml/resolver.go`).

use time::{Date, Month};

/// The type and value of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are text.
    Bool(bool),
    /// Decimal, `0x`, `0o`, `0b` or with a leading zero (octal); `_` may separate digits.
    Int(i128),
    /// A float, `.inf` and `.nan`.
    Float(f64),
    /// A date or a date and time.
    Timestamp,
    /// `<<`
    Merge,
    /// Anything else.
    Text,
}

impl Resolved {
    /// The type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Timestamp => "a date",
            Self::Merge | Self::Text => "a string",
        }
    }
}

/// Types `text` as go-yaml types a plain scalar.
pub fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        "-0" | "-0.0" => return Resolved::Float(-0.0),
        "<<" => return Resolved::Merge,
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => float(text).map_or(Resolved::Text, Resolved::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => number(text),
        _ => Resolved::Text,
    }
}

fn number(text: &str) -> Resolved {
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let digits = text.replace('_', "");
    if let Some(int) = int(&digits) {
        return Resolved::Int(int);
    }
    float(&digits).map_or(Resolved::Text, Resolved::Float)
}

/// `strconv.ParseInt(s, 0, 64)`, then `ParseUint`: the base comes from the prefix, the range is -2^63 to 2^64-1.
fn int(text: &str) -> Option<i128> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -magnitude } else { magnitude };
    let signed = (i128::from(i64::MIN)..=i128::from(i64::MAX)).contains(&value);
    // ParseUint takes no sign at all.
    let unsigned = text == body && value <= i128::from(u64::MAX);
    (signed || unsigned).then_some(value)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`; what overflows is no float.
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|e| !e.is_empty() && all_digits(e));
    if !(mantissa_ok && exponent_ok) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The four formats of go-yaml: a date, a date and a time without zone, RFC 3339 with short fields and `T` or `t`.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((text.as_bytes()[at] == b' ', &text[at + 1..]))),
        None => (text, None),
    };
    is_date(date) && time.is_none_or(|(spaced, time)| is_time(time, spaced))
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (field(year, 4, 4), field(month, 1, 2), field(day, 1, 2)) else {
        return false;
    };
    let month = u8::try_from(month).ok().and_then(|m| Month::try_from(m).ok());
    let (Some(month), Ok(year), Ok(day)) = (month, i32::try_from(year), u8::try_from(day)) else {
        return false;
    };
    Date::from_calendar_date(year, month, day).is_ok()
}

fn is_time(text: &str, spaced: bool) -> bool {
    let clock = if spaced {
        text
    } else {
        let Some(clock) = text.strip_suffix('Z').or_else(|| without_offset(text)) else {
            return false;
        };
        clock
    };
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
    let fields: Vec<_> = clock.split(':').map(|part| field(part, 1, 2)).collect();
    let clock_ok = matches!(fields[..], [Some(h), Some(m), Some(s)] if h < 24 && m < 60 && s < 60);
    clock_ok && fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()))
}

/// Cuts `+07:00` off.
fn without_offset(text: &str) -> Option<&str> {
    let at = text.len().checked_sub(6)?;
    let (clock, offset) = (text.get(..at)?, text.get(at..)?);
    let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
    let sound = field(hours, 2, 2)? <= 24 && field(minutes, 2, 2)? < 60;
    sound.then_some(clock)
}

fn field(text: &str, shortest: usize, longest: usize) -> Option<u32> {
    let sound = (shortest..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten()
}

/// Words that were booleans in YAML 1.1; go-yaml reads them as strings and quotes them when it writes.
pub fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF"
    )
}

/// `12:30`, a base-60 number in YAML 1.1: `^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`.
pub fn is_base60(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (body, fraction) = body.split_once('.').map_or((body, ""), |(b, f)| (b, f));
    let mut parts = body.split(':');
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first_ok = parts.next().is_some_and(|first| first.starts_with(|c: char| c.is_ascii_digit()) && digits(first));
    let rest: Vec<_> = parts.collect();
    let sixty = |s: &&str| match s.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    first_ok && !rest.is_empty() && rest.iter().all(sixty) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_go_reads() {
        for (text, wanted) in [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("Null", Resolved::Null),
            ("nULL", Resolved::Text),
            ("true", Resolved::Bool(true)),
            ("FALSE", Resolved::Bool(false)),
            ("yes", Resolved::Text),
            ("off", Resolved::Text),
            ("0", Resolved::Int(0)),
            ("+1", Resolved::Int(1)),
            ("-12", Resolved::Int(-12)),
            ("0x1f", Resolved::Int(31)),
            ("-0X1F", Resolved::Int(-31)),
            ("0o17", Resolved::Int(15)),
            ("0b101", Resolved::Int(5)),
            ("0644", Resolved::Int(420)),
            ("08", Resolved::Float(8.0)),
            ("1_000", Resolved::Int(1000)),
            ("18446744073709551615", Resolved::Int(18_446_744_073_709_551_615)),
            ("-9223372036854775808", Resolved::Int(-9_223_372_036_854_775_808)),
            ("+18446744073709551615", Resolved::Float(18_446_744_073_709_551_615.0)),
            ("0x", Resolved::Text),
            ("-", Resolved::Text),
            ("1e3", Resolved::Float(1000.0)),
            ("1.", Resolved::Float(1.0)),
            (".5", Resolved::Float(0.5)),
            ("-.5", Resolved::Float(-0.5)),
            (".5.5", Resolved::Text),
            (".inf", Resolved::Float(f64::INFINITY)),
            ("-0", Resolved::Float(0.0)),
            ("1e999", Resolved::Text),
            ("infinity", Resolved::Text),
            ("2020-01-01", Resolved::Timestamp),
            ("2020-1-1", Resolved::Timestamp),
            ("2020-13-01", Resolved::Text),
            ("2020-02-30", Resolved::Text),
            ("2001-12-14t21:59:43.10-05:00", Resolved::Timestamp),
            ("2001-12-14 21:59:43.10", Resolved::Timestamp),
            ("2001-12-14T21:59:43", Resolved::Text),
            ("12:30", Resolved::Text),
            ("02:00:17:27:16:32", Resolved::Text),
            ("10.0.0.1", Resolved::Text),
            ("<<", Resolved::Merge),
            ("<", Resolved::Text),
        ] {
            assert_eq!(resolve(text), wanted, "{text:?}");
        }
        assert!(matches!(resolve(".nan"), Resolved::Float(f) if f.is_nan()));
    }

    #[test]
    fn old_booleans_and_base_sixty_are_known() {
        assert!(is_old_bool("off") && is_old_bool("Y") && !is_old_bool("true") && !is_old_bool("oN"));
        for (text, wanted) in [
            ("12:30", true),
            ("1:2:3", true),
            ("-1:59.5_0", true),
            ("1_0:00", true),
            ("12:60", false),
            ("12:300", false),
            ("12", false),
            (":30", false),
            ("_1:30", false),
            ("a:30", false),
            ("02:00:17:27:16:32", true),
        ] {
            assert_eq!(is_base60(text), wanted, "{text:?}");
        }
    }
}
