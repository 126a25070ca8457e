//! Cuts a range of the disk into runs of whole blocks, as large as `dd` can address them.

use std::ops::Range;

/// `count` blocks of `size` bytes from block `at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) size: u64,
    pub(super) at: u64,
    pub(super) count: u64,
}

impl Piece {
    pub(super) fn len(self) -> u64 {
        self.size * self.count
    }

    /// The same in parts that each end in time, whatever they wait for.
    pub(super) fn parts(self) -> impl Iterator<Item = Self> {
        let Self { size, at, count } = self;
        let most = PART / size;
        (0..count.div_ceil(most)).map(move |part| Self {
            size,
            at: at + part * most,
            count: most.min(count - part * most),
        })
    }
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.size, self.at, self.count)
    }
}

/// Pieces in ascending order that cover exactly `range`; `None` unless it begins and ends on a sector.
///
/// Large blocks in the middle keep the disk busy, smaller ones at both ends make it exact.
pub(super) fn pieces(range: Range<u64>) -> Option<Vec<Piece>> {
    if !range.start.is_multiple_of(SECTOR) || !range.end.is_multiple_of(SECTOR) {
        return None;
    }
    let mut found = Vec::new();
    cut(range, &SIZES, &mut found);
    Some(found)
}

fn cut(range: Range<u64>, sizes: &[u64], found: &mut Vec<Piece>) {
    let Some((&size, smaller)) = sizes.split_first() else { return };
    if range.is_empty() {
        return;
    }
    let (first, end) = (range.start.div_ceil(size), range.end / size);
    if first >= end {
        return cut(range, smaller, found);
    }
    cut(range.start..first * size, smaller, found);
    found.push(Piece { size, at: first, count: end - first });
    cut(end * size..range.end, smaller, found);
}

/// What one answer stands for, at most, where it is cheap: in bytes.
const PART: u64 = 1 << 30;

const SECTOR: u64 = 512;
const SIZES: [u64; 3] = [1 << 20, 64 << 10, SECTOR];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const M: u64 = 1 << 20;
    const K64: u64 = 64 << 10;

    fn shown(range: Range<u64>) -> Vec<String> {
        pieces(range).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_range_is_cut_into_the_largest_blocks() {
        assert_eq!(shown(M..5 * M), ["1048576 1 4"]);
        assert_eq!(shown(M - K64..2 * M + K64), ["65536 15 1", "1048576 1 1", "65536 32 1"]);
        assert_eq!(shown(K64..3 * K64), ["65536 1 2"]);
        assert_eq!(shown(K64 + 512..2 * K64), ["512 129 127"]);
        assert!(shown(M..M).is_empty());
    }

    #[test]
    fn a_long_piece_has_parts() {
        let parts = |count| Piece { size: M, at: 5, count }.parts().map(|part| part.to_string()).collect::<Vec<_>>();
        assert_eq!(parts(1), ["1048576 5 1"]);
        assert_eq!(parts(1025), ["1048576 5 1024", "1048576 1029 1"]);
        assert!(parts(0).is_empty());
    }

    #[test]
    fn half_sectors_cannot_be_cut() {
        assert_eq!(pieces(0..513), None);
        assert_eq!(pieces(1..512), None);
    }

    proptest! {
        #[test]
        fn pieces_cover_the_range_exactly(start in 0u64..1 << 16, len in 0u64..1 << 16) {
            let range = start * 512..(start + len) * 512;
            let mut at = range.start;
            for piece in pieces(range.clone()).unwrap() {
                prop_assert_eq!(piece.at * piece.size, at);
                prop_assert!(piece.count > 0);
                at += piece.len();
            }
            prop_assert_eq!(at, range.end);
        }
    }
}
