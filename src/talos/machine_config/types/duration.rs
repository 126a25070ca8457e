//! Go's `time.Duration` notation.

const NANO: i128 = 1;
const MICRO: i128 = 1_000;
const MILLI: i128 = 1_000_000;
const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;

/// Reads `1h30m`, `-1.5s`, `0`; nanoseconds, or `None`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (value, after) = term(rest)?;
        total = total.checked_add(value)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Writes nanoseconds as Go does: `1h30m0s`, `1.5s`, `0s`.
pub(crate) fn format(nanoseconds: i64) -> String {
    let total = i128::from(nanoseconds).abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if total == 0 {
        return "0s".into();
    }
    let text = match total {
        n if n < MICRO => format!("{n}ns"),
        n if n < MILLI => format!("{}µs", decimal(n, MICRO)),
        n if n < SECOND => format!("{}ms", decimal(n, MILLI)),
        n => {
            let seconds = format!("{}s", decimal(n % MINUTE, SECOND));
            match (n / HOUR, n % HOUR / MINUTE) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

/// One number with its unit, and what follows.
fn term(text: &str) -> Option<(i128, &str)> {
    let number = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (digits, rest) = text.split_at(number);
    let unit_length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_length);
    let unit = match unit {
        "ns" => NANO,
        "us" | "µs" | "μs" => MICRO,
        "ms" => MILLI,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Beyond 18 digits a fraction of an hour is below a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let part =
        if fraction.is_empty() { 0 } else { fraction.parse::<i128>().ok()? * unit / 10i128.pow(fraction.len() as u32) };
    Some((whole.checked_mul(unit)?.checked_add(part)?, rest))
}

fn decimal(value: i128, unit: i128) -> String {
    let fraction = value % unit;
    if fraction == 0 {
        return (value / unit).to_string();
    }
    let width = unit.to_string().len() - 1;
    let digits = format!("{fraction:0width$}");
    format!("{}.{}", value / unit, digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        let cases = [
            ("1h30m", "1h30m0s"),
            ("90m", "1h30m0s"),
            ("1.5s", "1.5s"),
            ("0", "0s"),
            ("-5s", "-5s"),
            ("100ms", "100ms"),
            ("1us", "1µs"),
            ("1500ns", "1.5µs"),
            ("24h", "24h0m0s"),
            (".5h", "30m0s"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(format).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "5", "h", "1x", "1h ", "1.2.3s", "9999999h99999999999999999h"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
