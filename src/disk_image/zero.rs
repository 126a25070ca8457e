//! Which of an image's zeros must be written to a disk that may hold something else.

use std::{fmt, ops::Range, str::FromStr};

use super::{
    extents::{Extent, GRANULE},
    fat::FatMap,
    gpt::GptError,
    layout::Layout,
};

/// How much of what is zero in the image becomes zero on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroMode {
    /// Everything inside of partitions, and where partition tables are.
    #[default]
    Partitions,
    /// As `Partitions`, without the free clusters of the EFI file system.
    Needed,
    /// Everything, as if the image had been copied byte by byte.
    All,
}

/// What to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZeroPlan {
    /// Bytes on the disk, ascending and apart; whole granules, except at the end of the image. The first MiB counts
    /// like the rest: whoever zeroes it beforehand anyway may skip what falls into it.
    pub ranges: Vec<Range<u64>>,
    /// Why more is zeroed than was asked for, in sentences.
    pub fallbacks: Vec<String>,
}

impl ZeroPlan {
    /// Bytes of all ranges together.
    pub fn size(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

/// Chooses among the holes between `extents` (ascending, in whole granules) of an image of `raw_size` bytes.
pub fn zero_plan(mode: ZeroMode, raw_size: u64, extents: &[Extent], layout: &Result<Layout, GptError>) -> ZeroPlan {
    let holes = holes(raw_size, extents);
    let mut fallbacks = Vec::new();
    let cares = match (mode, layout) {
        (ZeroMode::All, _) => vec![Care::whole(0..raw_size)],
        (_, Err(error)) => {
            fallbacks.push(format!("everything is zeroed: {error}"));
            vec![Care::whole(0..raw_size)]
        }
        (mode, Ok(layout)) => cares(mode, raw_size, layout, &mut fallbacks),
    };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for care in cares {
        holes.iter().for_each(|hole| care.clip(hole, raw_size, &mut ranges));
    }
    ZeroPlan { ranges: merge(ranges), fallbacks }
}

/// A part of the disk whose zeros matter, except those in free clusters of its file system.
struct Care<'a> {
    range: Range<u64>,
    fat: Option<&'a FatMap>,
}

impl Care<'_> {
    fn whole(range: Range<u64>) -> Self {
        Self { range, fat: None }
    }

    /// Adds what matters of `hole`, in whole granules: a hole is zero in all of its granules.
    fn clip(&self, hole: &Range<u64>, raw_size: u64, ranges: &mut Vec<Range<u64>>) {
        let granule = GRANULE as u64;
        let start = hole.start.max(self.range.start - self.range.start % granule);
        let end = hole.end.min(self.range.end.checked_next_multiple_of(granule).unwrap_or(u64::MAX)).min(raw_size);
        if start >= end {
            return;
        }
        let Some(fat) = self.fat else {
            ranges.push(start..end);
            return;
        };
        for at in (start..end).step_by(GRANULE) {
            let inside = at.max(self.range.start)..(at + granule).min(end).min(self.range.end);
            if inside.start < inside.end
                && fat.is_needed(inside.start - self.range.start..inside.end - self.range.start)
            {
                push(ranges, at..(at + granule).min(end));
            }
        }
    }
}

fn cares<'a>(mode: ZeroMode, raw_size: u64, layout: &'a Layout, fallbacks: &mut Vec<String>) -> Vec<Care<'a>> {
    let gpt = &layout.gpt;
    let mut cares = vec![Care::whole(0..gpt.usable.start), Care::whole(gpt.usable.end..raw_size)];
    for partition in &gpt.partitions {
        let efi = layout.efi.as_ref().filter(|efi| mode == ZeroMode::Needed && efi.number == partition.number);
        let fat = match efi.map(|efi| &efi.fat) {
            Some(Ok(map)) => Some(map),
            Some(Err(error)) => {
                fallbacks
                    .push(format!("all of partition {} ({}) is zeroed: {error}", partition.number, partition.name));
                None
            }
            None => None,
        };
        cares.push(Care { range: partition.range.clone(), fat });
    }
    cares
}

fn holes(raw_size: u64, extents: &[Extent]) -> Vec<Range<u64>> {
    let mut holes = Vec::new();
    let mut at = 0;
    for extent in extents {
        if extent.offset > at {
            holes.push(at..extent.offset);
        }
        at = at.max(extent.offset.saturating_add(extent.len));
    }
    if at < raw_size {
        holes.push(at..raw_size);
    }
    holes
}

fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged = Vec::new();
    ranges.into_iter().for_each(|range| push(&mut merged, range));
    merged
}

/// Appends a range that starts nowhere before the last one.
fn push(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end >= range.start && last.start <= range.start => last.end = last.end.max(range.end),
        _ => ranges.push(range),
    }
}

impl FromStr for ZeroMode {
    type Err = ZeroModeError;

    fn from_str(text: &str) -> Result<Self, ZeroModeError> {
        MODES.iter().find(|(_, name)| *name == text).map(|(mode, _)| *mode).ok_or(ZeroModeError)
    }
}

impl fmt::Display for ZeroMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MODES.iter().find(|(mode, _)| mode == self).map_or("", |(_, name)| name))
    }
}

/// The text names no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"partitions\", \"needed\" or \"all\"")]
pub struct ZeroModeError;

const MODES: [(ZeroMode, &str); 3] =
    [(ZeroMode::Partitions, "partitions"), (ZeroMode::Needed, "needed"), (ZeroMode::All, "all")];

#[cfg(test)]
#[path = "zero/tests.rs"]
mod tests;
