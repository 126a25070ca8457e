//! Small things that readers of YAML need about words: which known one was meant, and how Go sorts and prints them.

/// The known word nearest to a mistyped one, if it is near enough to be meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Puts pairs into the order in which go-yaml writes map keys: digits as numbers, letters after everything else.
///
/// Go's rule (`keyList.Less`) is no total order for every set of keys, so the library's sorts must not be used.
pub fn sort_keys<T>(pairs: &mut [(String, T)]) {
    for end in 1..pairs.len() {
        let mut at = end;
        while at > 0 && less(&pairs[at].0, &pairs[at - 1].0) {
            pairs.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn less(a: &str, b: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    keys_less(&left, &right)
}

fn keys_less(a: &[char], b: &[char]) -> bool {
    let Some(at) = a.iter().zip(b).position(|(x, y)| x != y) else {
        return a.len() < b.len();
    };
    let after_digit = at > 0 && a[at - 1].is_numeric();
    match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
        (true, true) => return a[at] < b[at],
        (left, right) if left || right => return if after_digit { left } else { right },
        _ => {}
    }
    let (mut left, mut right) = (0_i64, 0_i64);
    if a[at] == '0' || b[at] == '0' {
        let nonzero = a[..at].iter().rev().take_while(|c| c.is_numeric()).any(|c| *c != '0');
        (left, right) = (i64::from(nonzero), i64::from(nonzero));
    }
    let run = |chars: &[char], start: i64| {
        let digits: Vec<char> = chars[at..].iter().copied().take_while(|c| c.is_numeric()).collect();
        let value = digits.iter().fold(start, |value, c| {
            value.wrapping_mul(10).wrapping_add(i64::from(u32::from(*c)) - i64::from(u32::from('0')))
        });
        (value, digits.len())
    };
    let (left, left_len) = run(a, left);
    let (right, right_len) = run(b, right);
    (left, left_len, a[at]) < (right, right_len, b[at])
}

/// A float as Go's `strconv.FormatFloat(f, 'g', -1, 64)` writes it, with YAML's words for infinities and NaN.
pub fn go_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    // Rust's shortest digits are the same as Go's; only the choice of notation differs.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 || (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        let known = ["installDisk", "installDiskSelector", "hostname", "patches"];
        for (word, wanted) in [
            ("instalDisk", Some("installDisk")),
            ("installdisk", Some("installDisk")),
            ("hostnmae", Some("hostname")),
            ("patch", Some("patches")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word:?}");
        }
    }

    #[test]
    fn keys_sort_as_go_sorts_them() {
        let words = ["zeta", "alpha", "a10", "a2", "a", "_x", "B", "a02", "1", "a-b"];
        let mut pairs = words.map(|word| (word.to_owned(), ()));
        sort_keys(&mut pairs);
        let keys: Vec<_> = pairs.iter().map(|(key, ())| key.as_str()).collect();
        assert_eq!(keys, ["_x", "1", "B", "a", "a-b", "a2", "a02", "a10", "alpha", "zeta"]);
    }

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, wanted) in [
            (1.5, "1.5"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (-2.5e-7, "-2.5e-07"),
            (-0.0, "-0"),
            (f64::INFINITY, ".inf"),
            (f64::NAN, ".nan"),
        ] {
            assert_eq!(go_float(value), wanted);
        }
    }
}
