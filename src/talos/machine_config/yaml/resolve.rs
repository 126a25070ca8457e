//! What a plain scalar means: the rules of go.yaml.in/yaml/v4 `resolve.go`.

use super::Tag;

/// Resolves the text of a scalar written without quotes.
pub(crate) fn resolve_plain(text: &str) -> Tag {
    let Some(&first) = text.as_bytes().first() else {
        return Tag::Null;
    };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' if is_special_float(text) || is_go_float(text) => Tag::Float,
        b'0'..=b'9' | b'+' | b'-' => number(text),
        _ => Tag::Str,
    }
}

/// The value of an integer scalar, in any of Go's notations; `None` when the text is no integer that fits
/// a signed or an unsigned 64-bit number.
pub(crate) fn integer_value(text: &str) -> Option<i128> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    let magnitude = magnitude(digits)?;
    let value = if negative { -(magnitude as i128) } else { magnitude as i128 };
    // ParseUint takes no sign, ParseInt takes both.
    let fits = i64::try_from(value).is_ok() || (!plain.starts_with('+') && u64::try_from(value).is_ok());
    fits.then_some(value)
}

/// A timestamp as Go writes it: RFC 3339, without superfluous digits of the fraction.
pub(crate) fn canonical_timestamp(text: &str) -> String {
    let split = text.find([' ', 'T', 't']);
    let (date, clock) = split.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    let mut parts = date.splitn(3, '-');
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
    let (year, month, day) = (next(), next(), next());
    if clock.is_empty() {
        return format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
    }
    let (time, zone) = clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()));
    let (time, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let time: Vec<String> = time.split(':').map(|part| format!("{part:0>2}")).collect();
    let fraction = fraction[..fraction.len().min(9)].trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    let zone = if matches!(zone, "" | "+00:00" | "-00:00") { "Z" } else { zone };
    format!("{year:04}-{month:02}-{day:02}T{}{dot}{fraction}{zone}", time.join(":"))
}

fn word(text: &str) -> Tag {
    match text {
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Tag::Bool,
        "~" | "null" | "Null" | "NULL" => Tag::Null,
        _ => Tag::Str,
    }
}

fn number(text: &str) -> Tag {
    if is_special_float(text) || text == "-0" || text == "-0.0" {
        return Tag::Float;
    }
    if is_timestamp(text) {
        return Tag::Timestamp;
    }
    if integer_value(text).is_some() {
        return Tag::Int;
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if is_yaml_float(&plain) { Tag::Float } else { Tag::Str }
}

/// `strconv.ParseInt(_, 0, 64)` without the sign: base by prefix, a lone leading zero means octal.
fn magnitude(digits: &str) -> Option<u64> {
    let bytes = digits.as_bytes();
    let (radix, digits) = match bytes {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| (b as char).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

fn is_special_float(text: &str) -> bool {
    matches!(
        text,
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF"
    )
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and in the range of a float.
fn is_yaml_float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if whole == 0 && digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    } else if whole == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
    } else if !rest.is_empty() {
        return false;
    }
    // Go refuses what overflows to infinity; the text then stays a string.
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// What `strconv.ParseFloat` takes of a text that starts with a dot.
fn is_go_float(text: &str) -> bool {
    is_yaml_float(text)
}

/// The four layouts of `parseTimestamp`: a four-digit year, then a date, then perhaps a time.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 6 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let rest = &text[5..];
    let Some((month, rest)) = take_number(rest, 1, 12) else { return false };
    let Some((day, rest)) = rest.strip_prefix('-').and_then(|rest| take_number(rest, 1, 31)) else { return false };
    let year: u32 = text[..4].parse().unwrap_or(0);
    if day > days_in(month, year) {
        return false;
    }
    match rest.as_bytes().first() {
        None => true,
        Some(b' ') => take_time(&rest[1..]).is_some_and(str::is_empty),
        Some(b'T' | b't') => take_time(&rest[1..]).is_some_and(is_zone),
        _ => false,
    }
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// One or two digits within a range, and what follows.
fn take_number(text: &str, low: u32, high: u32) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let value = text.get(..digits)?.parse().ok()?;
    (low..=high).contains(&value).then_some((value, &text[digits..]))
}

/// `15:4:5` with an optional fraction; gives what follows.
fn take_time(text: &str) -> Option<&str> {
    // Go's "15" wants two digits.
    if !text.get(..2)?.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (_, rest) = take_number(text, 0, 23)?;
    let (_, rest) = take_number(rest.strip_prefix(':')?, 0, 59)?;
    let (_, rest) = take_number(rest.strip_prefix(':')?, 0, 59)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| &fraction[digits..])
}

fn is_zone(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let Some(offset) = text.strip_prefix(['+', '-']) else { return false };
    let Some((hours, minutes)) = offset.split_once(':') else { return false };
    hours.len() == 2
        && minutes.len() == 2
        && hours.parse::<u32>().is_ok_and(|h| h <= 24)
        && minutes.parse::<u32>().is_ok_and(|m| m < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_resolve_as_go_does() {
        let cases = [
            ("", Tag::Null),
            ("~", Tag::Null),
            ("Null", Tag::Null),
            ("nULL", Tag::Str),
            ("True", Tag::Bool),
            ("yes", Tag::Str),
            ("on", Tag::Str),
            ("off", Tag::Str),
            ("y", Tag::Str),
            ("0x10", Tag::Int),
            ("0644", Tag::Int),
            ("0o644", Tag::Int),
            ("0b11", Tag::Int),
            ("1_000", Tag::Int),
            ("+1", Tag::Int),
            ("08", Tag::Float),
            ("0_8", Tag::Float),
            ("-0", Tag::Float),
            ("1e3", Tag::Float),
            (".5", Tag::Float),
            ("5.", Tag::Float),
            (".inf", Tag::Float),
            ("-.inf", Tag::Float),
            ("1e999", Tag::Str),
            ("18446744073709551615", Tag::Int),
            ("18446744073709551616", Tag::Float),
            ("2020-01-01", Tag::Timestamp),
            ("2020-02-30", Tag::Str),
            ("2020-1-2T03:04:05Z", Tag::Timestamp),
            ("2020-1-2 03:04:05", Tag::Timestamp),
            ("2020-1-2 3:04:05", Tag::Str),
            ("12:30", Tag::Str),
            ("02:00:17:27:16:32", Tag::Str),
            ("10.0.0.1", Tag::Str),
            ("10.0.0.0/24", Tag::Str),
            ("-", Tag::Str),
            ("+", Tag::Str),
            ("0x", Tag::Str),
            ("é", Tag::Str),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve_plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn timestamps_have_one_form() {
        let cases = [
            ("2020-1-2", "2020-01-02T00:00:00Z"),
            ("2020-01-02 03:4:5.500", "2020-01-02T03:04:05.5Z"),
            ("2020-01-02t03:04:05+02:00", "2020-01-02T03:04:05+02:00"),
        ];
        for (text, expected) in cases {
            assert_eq!((resolve_plain(text), canonical_timestamp(text).as_str()), (Tag::Timestamp, expected), "{text}");
        }
    }

    #[test]
    fn integers_are_read_in_every_notation() {
        let cases = [
            ("0x10", Some(16)),
            ("0644", Some(420)),
            ("-0x1", Some(-1)),
            ("1_0", Some(10)),
            ("18446744073709551615", Some(u64::MAX as i128)),
            ("+18446744073709551615", None),
            ("-9223372036854775808", Some(i64::MIN as i128)),
            ("09", None),
        ];
        for (text, expected) in cases {
            assert_eq!(integer_value(text), expected, "{text}");
        }
    }
}
