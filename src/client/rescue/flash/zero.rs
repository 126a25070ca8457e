//! Making ranges zero, and proving that they are.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::disk_image::{Digest, Extent, HEAD, Image, ZeroMode, zero_plan};

/// What was done about zero ranges.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Written, and still to be read back.
    pub(super) written: Vec<Range<u64>>,
    /// Bytes found zero as they were.
    pub(super) verified: u64,
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

/// The digests that ranges of zeros must have.
pub(super) async fn expected(ranges: &[Range<u64>]) -> Vec<Extent> {
    let mut zeros = Zeros::default();
    let mut extents = Vec::new();
    for range in ranges {
        let len = range.end - range.start;
        extents.push(Extent { offset: range.start, len, sha256: zeros.of(len).await });
    }
    extents
}

/// Digests of so many zero bytes.
#[derive(Default)]
pub(super) struct Zeros(HashMap<u64, Digest>);

impl Zeros {
    pub(super) async fn of(&mut self, len: u64) -> Digest {
        if let Some(known) = self.0.get(&len) {
            return *known;
        }
        // 64 MiB take a tenth of a second; a runtime that is shutting down cancels the task, and the flash with it.
        let digest = tokio::task::spawn_blocking(move || digest_of_zeros(len)).await.unwrap_or(Digest([0; 32]));
        self.0.insert(len, digest);
        digest
    }
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
    fn the_digest_of_zeros_is_that_of_zeros() {
        for len in [0, 1, 512, 70_000] {
            assert_eq!(digest_of_zeros(len), Digest::of(&vec![0; len as usize]));
        }
    }
}
