//! Which ranges are made zero, in which steps.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::disk_image::{Digest, Extent, HEAD, Image, ZeroMode, zero_plan};

/// What was done about zero ranges.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Written, and still to be read back.
    pub(super) written: Vec<Range<u64>>,
    /// Bytes found zero, as they were or after the disk forgot them.
    pub(super) verified: u64,
}

/// A range to make zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blank {
    pub(super) range: Range<u64>,
    /// Whether nothing reads it before it is written again: free clusters, and what lies between partitions. There the disk may
    /// be asked to forget. What it then returns is seen to be zero; that it returns the same for ever is promised by some
    /// disks only (ATA's "deterministic read zero after trim", SCSI's LBPRZ), which is why other ranges are always written.
    pub(super) unread: bool,
}

/// What to make zero, in ascending order, beyond the first MiB.
pub(super) fn blanks(image: &Image, mode: ZeroMode) -> Vec<Blank> {
    let needed = zero_plan(ZeroMode::Needed, image.raw_size, &image.extents, &image.layout).ranges;
    ranges(image, mode).into_iter().flat_map(|range| split(range, &needed)).collect()
}

/// The parts of `range` that are in `needed`, and those that are not.
fn split(range: Range<u64>, needed: &[Range<u64>]) -> Vec<Blank> {
    let mut blanks = Vec::new();
    let mut at = range.start;
    let mut add = |end: u64, unread| {
        if end > at {
            blanks.push(Blank { range: at..end, unread });
            at = end;
        }
    };
    for part in needed.iter().filter(|part| part.start < range.end && part.end > range.start) {
        add(part.start, true);
        add(part.end.min(range.end), false);
    }
    add(range.end, true);
    blanks
}

/// The ranges to make zero, in ascending order, beyond the first MiB.
pub(super) fn ranges(image: &Image, mode: ZeroMode) -> Vec<Range<u64>> {
    let plan = zero_plan(mode, image.raw_size, &image.extents, &image.layout);
    for reason in &plan.fallbacks {
        tracing::info!(reason, "zeroing more than asked for");
    }
    let beyond = |range: Range<u64>| range.start.max(HEAD)..range.end;
    plan.ranges.into_iter().map(beyond).filter(|range| !range.is_empty()).collect()
}

/// The digests that ranges of zeros must have: for hosts that have nothing but a hash at hand.
pub(super) async fn expected(ranges: &[Range<u64>]) -> Vec<Extent> {
    let mut known = HashMap::new();
    let mut extents = Vec::new();
    for range in ranges {
        let len = range.end - range.start;
        let sha256 = match known.get(&len) {
            Some(digest) => *digest,
            // 64 MiB take a tenth of a second; a runtime that is shutting down cancels the task, and the flash with it.
            None => tokio::task::spawn_blocking(move || digest_of_zeros(len)).await.unwrap_or(Digest([0; 32])),
        };
        known.insert(len, sha256);
        extents.push(Extent { offset: range.start, len, sha256 });
    }
    extents
}

fn digest_of_zeros(len: u64) -> Digest {
    let block = [0; 64 << 10];
    let mut hash = Sha256::new();
    let mut left = len;
    while left > 0 {
        let n = left.min(block.len() as u64);
        hash.update(&block[..n as usize]);
        left -= n;
    }
    Digest(hash.finalize().into())
}

/// Cuts a long range.
pub(super) fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let starts = (range.start / CHUNK..range.end.div_ceil(CHUNK)).map(|index| index * CHUNK);
    starts.map(move |start| start.max(range.start)..(start + CHUNK).min(range.end)).filter(|chunk| !chunk.is_empty())
}

/// What one answer of the remote side stands for, at most, in bytes.
const CHUNK: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_cut_at_round_offsets() {
        let cut: Vec<_> = chunks(CHUNK - 512..2 * CHUNK + 512).collect();
        assert_eq!(cut, [CHUNK - 512..CHUNK, CHUNK..2 * CHUNK, 2 * CHUNK..2 * CHUNK + 512]);
        assert_eq!(chunks(5..5).count(), 0);
    }

    #[test]
    fn a_range_is_split_where_nobody_reads_it() {
        let shown = |range: Range<u64>, needed: &[Range<u64>]| {
            let word = |blank: Blank| {
                format!("{}-{}{}", blank.range.start, blank.range.end, if blank.unread { "?" } else { "" })
            };
            split(range, needed).into_iter().map(word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(10..20, &[]), "10-20?");
        assert_eq!(shown(10..20, std::slice::from_ref(&(0..30))), "10-20");
        assert_eq!(shown(10..20, &[0..5, 5..12, 14..15, 18..40, 50..60]), "10-12 12-14? 14-15 15-18? 18-20");
        assert_eq!(shown(10..20, &[0..10, 20..30]), "10-20?");
    }

    #[test]
    fn the_digest_of_zeros_is_that_of_zeros() {
        for len in [0, 1, 512, 70_000] {
            assert_eq!(digest_of_zeros(len), Digest::of(&vec![0; len as usize]));
        }
    }
}
