//! The zero ranges of an image: which of them matter, and making them zero.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::remote::Remote;
use super::{Cause, Meter};
use crate::disk_image::{Digest, Extent, Gpt, HEAD, Image};

/// Which zero ranges of the image are made zero on the disk. The rest of the disk keeps what it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zero {
    /// Everything in a partition, and the backup partition table.
    #[default]
    Partitions,
    /// Of the partitions only what a file system or Talos reads before it writes.
    Needed,
    /// The whole image.
    All,
}

/// What [`make`] did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Written, and still to be read back.
    pub(super) written: Vec<Range<u64>>,
    /// Bytes found zero as they were.
    pub(super) verified: u64,
}

/// The ranges to make zero, in ascending order, beyond the first MiB.
pub(super) fn ranges(image: &Image, gpt: &Gpt, zero: Zero) -> Vec<Range<u64>> {
    let mut wanted: Vec<Range<u64>> = match zero {
        Zero::All => vec![HEAD..image.raw_size],
        Zero::Partitions | Zero::Needed => {
            let mut wanted: Vec<_> = gpt.partitions.iter().map(|partition| partition.range.clone()).collect();
            wanted.push(gpt.usable.end..image.raw_size);
            wanted
        }
    };
    wanted.sort_by_key(|range| range.start);
    wanted.into_iter().flat_map(|range| without(range.start.max(HEAD)..range.end, &image.extents)).collect()
}

/// Makes the ranges zero. What is zero already is only read: on an empty disk that saves half of the time.
pub(super) async fn make(remote: &mut Remote, ranges: Vec<Range<u64>>, meter: &Meter<'_>) -> Result<Done, Cause> {
    let mut done = Done::default();
    let mut zeros = Zeros::default();
    for range in ranges {
        let mut dirty = false;
        for chunk in chunks(range) {
            let len = chunk.end - chunk.start;
            if !dirty && remote.hash(chunk.clone()).await? == zeros.of(len).await {
                done.verified += len;
            } else {
                dirty = true;
                remote.zero(chunk.clone()).await?;
                done.written.push(chunk);
            }
            meter.add(len);
        }
    }
    Ok(done)
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
struct Zeros(HashMap<u64, Digest>);

impl Zeros {
    async fn of(&mut self, len: u64) -> Digest {
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

/// `range` without the extents, which are in ascending order.
fn without(range: Range<u64>, extents: &[Extent]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    let mut at = range.start;
    for extent in extents.iter().filter(|extent| extent.offset < range.end && extent.offset + extent.len > range.start) {
        if at < extent.offset {
            left.push(at..extent.offset);
        }
        at = extent.offset + extent.len;
    }
    if at < range.end {
        left.push(at..range.end);
    }
    left
}

fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let starts = (range.start / CHUNK..range.end.div_ceil(CHUNK)).map(|index| index * CHUNK);
    starts.map(move |start| start.max(range.start)..(start + CHUNK).min(range.end)).filter(|chunk| !chunk.is_empty())
}

/// What one answer of the remote side stands for, at most, in bytes.
const CHUNK: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len: u64) -> Extent {
        Extent { offset, len, sha256: Digest([0; 32]) }
    }

    #[test]
    fn what_holds_data_is_not_made_zero() {
        let extents = [extent(0, 10), extent(20, 10), extent(30, 5), extent(50, 50)];
        assert_eq!(without(0..100, &extents), [10..20, 35..50]);
        assert_eq!(without(22..40, &extents), [35..40]);
        assert_eq!(without(60..70, &extents), []);
        assert_eq!(without(100..120, &extents), [100..120]);
    }

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
