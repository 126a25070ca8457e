//! "Did you mean": the known word closest to a misspelt one.

/// The closest of the known words, if it is close enough to be meant.
pub(in crate::talos::machine_config) fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / 4).clamp(1, 3);
    // Longer words than any key would only cost time.
    if word.len() > 64 {
        return None;
    }
    let scored = known.iter().map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), *candidate));
    scored.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Insertions, removals, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["disk", "diskSelector", "image", "wipe"];
        assert_eq!(closest("dsk", &known), Some("disk"));
        assert_eq!(closest("iamge", &known), Some("image"));
        assert_eq!(closest("diskselector", &known), Some("diskSelector"));
        assert_eq!(closest("bogus", &known), None);
    }
}
