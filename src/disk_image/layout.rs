//! Watches an image go by and keeps its partition table and the map of its EFI file system.

use std::ops::Range;

use super::{
    extents::HEAD,
    fat::{FatError, FatMap, FatScan},
    gpt::{Gpt, GptError, Guid},
};

/// How the image is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// The primary partition table.
    pub gpt: Gpt,
    /// Whether the backup table at the end says the same.
    pub backup: Result<(), GptError>,
    /// The first partition of the EFI system type, if there is one.
    pub efi: Option<EfiPartition>,
}

/// The file system that the firmware boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EfiPartition {
    /// The number of the partition, from 1.
    pub number: u32,
    /// Which of its clusters matter, when that is certain.
    pub fat: Result<FatMap, FatError>,
}

/// Is shown the data of an image in ascending order; what it is not shown is zero.
#[derive(Debug)]
pub(super) struct Survey {
    head: Vec<u8>,
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    backup: Range<u64>,
    tail: Vec<u8>,
    efi: Option<(Range<u64>, Scan)>,
}

#[derive(Debug)]
enum Scan {
    Waiting,
    Running(FatScan),
    Failed(FatError),
}

impl Survey {
    pub fn new() -> Self {
        Self { head: vec![0; HEAD as usize], found: None }
    }

    pub fn data(&mut self, offset: u64, bytes: &[u8]) {
        if offset < HEAD {
            copy_overlap(&mut self.head, 0, offset, bytes);
            return;
        }
        if self.found.is_none() {
            self.found = Some(Found::new(&self.head));
        }
        if let Some(found) = &mut self.found {
            found.data(offset, bytes);
        }
    }

    /// The layout of the image, which is `raw_size` bytes long.
    pub fn finish(self, raw_size: u64) -> Result<Layout, GptError> {
        let head = &self.head[..raw_size.min(HEAD) as usize];
        let gpt = Gpt::parse(head, raw_size)?;
        let found = self.found.unwrap_or_else(|| Found::new(head));
        let efi = found.efi.zip(efi_number(&gpt)).map(|((_, scan), number)| {
            let fat = match scan {
                Scan::Waiting => Err(FatError::NoBootSector),
                Scan::Running(scan) => scan.finish(),
                Scan::Failed(error) => Err(error),
            };
            EfiPartition { number, fat }
        });
        Ok(Layout { backup: gpt.check_backup(&found.tail), gpt, efi })
    }
}

impl Found {
    /// Where to look. How large the image is shows only at its end, so any size is accepted until then.
    fn new(head: &[u8]) -> Self {
        let Ok(gpt) = Gpt::parse(head, u64::MAX) else {
            return Self { backup: 0..0, tail: Vec::new(), efi: None };
        };
        let backup = gpt.backup_range();
        let tail = vec![0; (backup.end - backup.start) as usize];
        let efi = gpt.partitions.iter().find(|partition| partition.type_guid == Guid::EFI_SYSTEM);
        let mut found = Self { backup, tail, efi: efi.map(|efi| (efi.range.clone(), Scan::Waiting)) };
        found.data(0, head);
        found
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) {
        copy_overlap(&mut self.tail, self.backup.start, offset, bytes);
        let Some((range, scan)) = &mut self.efi else {
            return;
        };
        let end = range.end.min(offset + bytes.len() as u64);
        let start = range.start.max(offset);
        if start >= end {
            return;
        }
        let part = &bytes[(start - offset) as usize..(end - offset) as usize];
        if let Scan::Waiting = scan {
            let boot = if start == range.start { part } else { &[] };
            *scan = match FatScan::new(boot, range.end - range.start) {
                Ok(started) => Scan::Running(started),
                Err(error) => Scan::Failed(error),
            };
        }
        if let Scan::Running(running) = scan {
            running.feed(start - range.start, part);
        }
    }
}

fn efi_number(gpt: &Gpt) -> Option<u32> {
    gpt.partitions.iter().find(|partition| partition.type_guid == Guid::EFI_SYSTEM).map(|efi| efi.number)
}

/// Copies what `bytes` at `offset` has for `kept`, which begins at `start`.
fn copy_overlap(kept: &mut [u8], start: u64, offset: u64, bytes: &[u8]) {
    let from = start.max(offset);
    let to = start.saturating_add(kept.len() as u64).min(offset.saturating_add(bytes.len() as u64));
    if from < to {
        let part = &bytes[(from - offset) as usize..(to - offset) as usize];
        kept[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
