//! The difference that a dry run shows: unified, three lines around each change.

/// What became of a line.
#[derive(Clone, Copy, PartialEq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

const AROUND: usize = 3;
/// The table of the comparison has as many cells at most; beyond, everything between the common ends counts as new.
const CELLS: usize = 16 << 20;

/// The difference of two texts; empty when there is none. `short` is how Talos counted before 1.12.5: a count of one is
/// left out, and a side without lines still names a line.
pub fn unified(old: &str, new: &str, short: bool) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let lines = compare(&old, &new);
    let mut out = String::new();
    let (mut start, mut seen) = (0, 0);
    while let Some(first) = (seen..lines.len()).find(|at| is_change(&lines, *at)) {
        // A hunk goes on as long as the next change is near.
        let mut last = first;
        while let Some(next) = (last + 1..lines.len().min(last + 2 * AROUND + 2)).find(|at| is_change(&lines, *at)) {
            last = next;
        }
        start = first.saturating_sub(AROUND).max(start);
        let end = lines.len().min(last + AROUND + 1);
        if out.is_empty() {
            out.push_str("--- a\n+++ b\n");
        }
        hunk(&mut out, &lines, start, end, short);
        (start, seen) = (end, end);
    }
    out
}

fn is_change(lines: &[Line<'_>], at: usize) -> bool {
    !matches!(lines[at], Line::Same(_))
}

fn hunk(out: &mut String, lines: &[Line<'_>], start: usize, end: usize, short: bool) {
    let count = |range: &[Line<'_>], side: fn(&Line<'_>) -> bool| range.iter().filter(|line| side(line)).count();
    let old: fn(&Line<'_>) -> bool = |line| !matches!(line, Line::New(_));
    let new: fn(&Line<'_>) -> bool = |line| !matches!(line, Line::Gone(_));
    let range = |side| {
        let (before, inside) = (count(&lines[..start], side), count(&lines[start..end], side));
        match (short, inside) {
            (true, 0 | 1) => format!("{}", before + 1),
            (false, 0) => format!("{before},0"),
            _ => format!("{},{inside}", before + 1),
        }
    };
    out.push_str(&format!("@@ -{} +{} @@\n", range(old), range(new)));
    for line in &lines[start..end] {
        let (mark, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Gone(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        out.push(mark);
        out.push_str(text);
        out.push('\n');
    }
}

/// A longest common subsequence, with what is gone before what is new.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut lines: Vec<_> = old[..head].iter().map(|text| Line::Same(text)).collect();
    if a.len().saturating_mul(b.len()) > CELLS {
        lines.extend(a.iter().map(|text| Line::Gone(text)));
        lines.extend(b.iter().map(|text| Line::New(text)));
    } else {
        middle(a, b, &mut lines);
    }
    lines.extend(old[old.len() - tail..].iter().map(|text| Line::Same(text)));
    lines
}

fn middle<'a>(a: &[&'a str], b: &[&'a str], lines: &mut Vec<Line<'a>>) {
    let width = b.len() + 1;
    // How many lines the rests from (i, j) have in common.
    let mut common = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            lines.push(Line::Gone(a[i]));
            i += 1;
        } else {
            lines.push(Line::New(b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_stands_among_its_neighbours() {
        let old: String = (1..=9).map(|line| format!("{line}\n")).collect();
        let new = old.replace("5\n", "five\n");
        let expected = "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(unified(&old, &new, true), expected);
        assert_eq!(unified(&old, &new, false), expected);
        assert_eq!(unified(&old, &old, false), "");
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own_and_near_ones_share_one() {
        let old: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let far = old.replacen("2\n", "two\n", 1).replace("19\n", "nineteen\n");
        let hunks = |new: &str| unified(&old, new, false).matches("@@ -").count();
        assert_eq!(hunks(&far), 2);
        assert_eq!(hunks(&old.replacen("3\n", "three\n", 1).replacen("9\n", "nine\n", 1)), 1);
    }

    #[test]
    fn the_counts_are_those_of_the_release() {
        assert_eq!(unified("", "a\nb\n", true), "--- a\n+++ b\n@@ -1 +1,2 @@\n+a\n+b\n");
        assert_eq!(unified("", "a\nb\n", false), "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(unified("a\n", "b\n", true), "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n");
        assert_eq!(unified("a\n", "b\n", false), "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-a\n+b\n");
    }
}
