//! Byte sizes as github.com/dustin/go-humanize reads and writes them.

/// Reads `1.5 GiB`, `100MB`, `4096`; `None` when it is no size.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.' || *c == ',').count();
    let number: f64 = text[..digits].replace(',', "").parse().ok()?;
    let unit = text[digits..].trim().to_lowercase();
    let factor: f64 = match unit.as_str() {
        "" | "b" => 1.0,
        unit => {
            let (letter, rest) = unit.split_at_checked(1)?;
            let power = "kmgtpe".find(letter)? as i32 + 1;
            match rest {
                "ib" | "i" => 1024f64.powi(power),
                "b" | "" => 1000f64.powi(power),
                _ => return None,
            }
        }
    };
    let bytes = number * factor;
    // Go refuses what does not fit 64 bits.
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Writes bytes in the largest unit of 1000 with one decimal: `1.1 GB`.
pub(crate) fn format(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let exponent = ((bytes as f64).ln() / 1000f64.ln()).floor();
    let value = (bytes as f64 / 1000f64.powf(exponent) * 10.0 + 0.5).floor() / 10.0;
    let unit = UNITS[(exponent as usize).min(UNITS.len() - 1)];
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_go_humanize_does() {
        let cases = [
            ("1GiB", Some(1 << 30)),
            ("100MB", Some(100_000_000)),
            ("1.5k", Some(1500)),
            ("1,000", Some(1000)),
            ("4096", Some(4096)),
            ("5 Gi", Some(5 << 30)),
            ("16EiB", None),
            ("x", None),
            ("-1GB", None),
            ("1 parsec", None),
            ("1é", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_written_as_go_humanize_does() {
        for (bytes, expected) in [(0, "0 B"), (999, "999 B"), (100_000_000, "100 MB"), (1_100_000_000, "1.1 GB")] {
            assert_eq!(format(bytes), expected);
        }
    }
}
