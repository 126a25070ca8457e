//! Which clusters of a FAT32 file system are free (Microsoft FAT specification 1.03).

use std::ops::Range;

/// The geometry of a FAT32 file system; all offsets are bytes from the start of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Geometry {
    tables: Vec<Range<u64>>,
    data_start: u64,
    cluster_size: u64,
    clusters: u32,
    root_cluster: u32,
    media: u8,
    /// What the information sector says, unless it says that it does not know.
    free_clusters: Option<u32>,
}

/// Collects the allocation tables as they come by; what never comes is zero, that is free.
#[derive(Debug)]
pub struct FatScan {
    geometry: Geometry,
    used: Bits,
    /// The first two entries of the first table.
    reserved: [u8; 8],
}

/// A FAT32 file system that is understood, and which of its bytes matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatMap {
    geometry: Geometry,
    used: Bits,
}

impl FatScan {
    /// Reads the boot sector and the information sector after it; `start` must hold both.
    ///
    /// # Errors
    /// Whatever is not exactly as in a sound FAT32 file system: free clusters are only believed when all fits.
    pub fn new(start: &[u8], partition_len: u64) -> Result<Self, FatError> {
        let geometry = Geometry::parse(start, partition_len)?;
        let used = Bits::new(geometry.clusters as usize + 2);
        Ok(Self { geometry, used, reserved: [0; 8] })
    }

    /// Takes bytes of the partition; ranges that are not fed count as zero.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) {
        for (number, table) in self.geometry.tables.iter().enumerate() {
            let start = table.start.max(offset);
            let end = table.end.min(offset.saturating_add(bytes.len() as u64));
            if start >= end {
                continue;
            }
            let part = &bytes[(start - offset) as usize..(end - offset) as usize];
            for (at, byte) in (start - table.start..).zip(part) {
                if number == 0 && at < 8 {
                    self.reserved[at as usize] = *byte;
                }
                // The upper four bits of an entry are reserved and say nothing.
                let significant = if at % 4 == 3 { *byte & 0x0F } else { *byte };
                if significant != 0 {
                    self.used.set((at / 4) as usize);
                }
            }
        }
    }

    /// The map, once all of the partition has come by.
    ///
    /// # Errors
    /// When the tables contradict the rest of the file system.
    pub fn finish(self) -> Result<FatMap, FatError> {
        let entry = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| self.reserved[at + index]));
        if entry(0) & 0x0FFF_FFFF != 0x0FFF_FF00 | u32::from(self.geometry.media) {
            return Err(FatError::Contradiction { what: "the first table entry is not the media type" });
        }
        if entry(4) & CLEAN != CLEAN {
            return Err(FatError::Contradiction { what: "it was not unmounted cleanly" });
        }
        if !self.used.any(self.geometry.root_cluster as usize..self.geometry.root_cluster as usize + 1) {
            return Err(FatError::Contradiction { what: "its root directory is in a free cluster" });
        }
        let map = FatMap { geometry: self.geometry, used: self.used };
        match map.geometry.free_clusters {
            Some(free) if free != map.free_clusters() => {
                Err(FatError::Contradiction { what: "its count of free clusters is wrong" })
            }
            _ => Ok(map),
        }
    }
}

impl FatMap {
    /// How many clusters are free.
    pub fn free_clusters(&self) -> u32 {
        let used = self.used.count(2..self.geometry.clusters as usize + 2);
        self.geometry.clusters - used as u32
    }

    /// The size of a cluster in bytes.
    pub fn cluster_size(&self) -> u64 {
        self.geometry.cluster_size
    }

    /// Whether any byte of `range` (from the start of the partition) is not in a free cluster.
    pub fn is_needed(&self, range: Range<u64>) -> bool {
        let Geometry { data_start, cluster_size, clusters, .. } = self.geometry;
        let data_end = data_start + u64::from(clusters) * cluster_size;
        if range.is_empty() {
            return false;
        }
        if range.start < data_start || range.end > data_end {
            return true;
        }
        let first = (range.start - data_start) / cluster_size + 2;
        let end = (range.end - data_start).div_ceil(cluster_size) + 2;
        self.used.any(first as usize..end as usize)
    }
}

impl Geometry {
    fn parse(start: &[u8], partition_len: u64) -> Result<Self, FatError> {
        let boot = start.get(..512).ok_or(FatError::NoBootSector)?;
        if !matches!(boot[..3], [0xEB, _, 0x90] | [0xE9, _, _]) || boot[510..] != [0x55, 0xAA] {
            return Err(FatError::NoBootSector);
        }
        let sector = u64::from(u16_at(boot, 11));
        if !(512..=4096).contains(&sector) || !sector.is_power_of_two() {
            return Err(FatError::Layout { what: "sector size" });
        }
        let cluster_size = sector * u64::from(boot[13]);
        if !boot[13].is_power_of_two() || cluster_size > 64 << 10 {
            return Err(FatError::Layout { what: "cluster size" });
        }
        let (reserved, tables) = (u64::from(u16_at(boot, 14)), u64::from(boot[16]));
        if reserved < 2 || !(1..=2).contains(&tables) {
            return Err(FatError::Layout { what: "reserved sectors or number of tables" });
        }
        // These three are zero in FAT32 and only there.
        if u16_at(boot, 17) != 0 || u16_at(boot, 19) != 0 || u16_at(boot, 22) != 0 {
            return Err(FatError::NotFat32);
        }
        let (total, table_len) = (u64::from(u32_at(boot, 32)), u64::from(u32_at(boot, 36)));
        let data_sector = reserved + tables * table_len;
        if total * sector > partition_len || data_sector >= total {
            return Err(FatError::Layout { what: "total size" });
        }
        let clusters = (total - data_sector) * sector / cluster_size;
        if clusters < FAT32_MIN_CLUSTERS {
            return Err(FatError::NotFat32);
        }
        if clusters > MAX_CLUSTERS {
            return Err(FatError::TooLarge { clusters });
        }
        let flags = u16_at(boot, 40);
        if (clusters + 2) * 4 > table_len * sector || u16_at(boot, 42) != 0 || flags & NOT_MIRRORED != 0 {
            return Err(FatError::Layout { what: "tables" });
        }
        let root_cluster = u32_at(boot, 44);
        if !(2..clusters + 2).contains(&u64::from(root_cluster)) {
            return Err(FatError::Layout { what: "root directory" });
        }
        let table = |number: u64| (reserved + number * table_len) * sector;
        Ok(Self {
            tables: (0..tables).map(|number| table(number)..table(number + 1)).collect(),
            data_start: data_sector * sector,
            cluster_size,
            // Both fit: the number of clusters was bounded above.
            clusters: clusters as u32,
            root_cluster,
            media: boot[21],
            free_clusters: free_clusters(start, sector, u16_at(boot, 48))?,
        })
    }
}

fn free_clusters(start: &[u8], sector: u64, info_sector: u16) -> Result<Option<u32>, FatError> {
    let info = start.get(sector as usize..sector as usize + 512);
    match info {
        Some(info) if info_sector == 1 && info.starts_with(b"RRaA") && info[484..488] == *b"rrAa" => {
            Ok(Some(u32_at(info, 488)).filter(|free| *free != u32::MAX))
        }
        _ => Err(FatError::Layout { what: "information sector" }),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// Numbers beyond the end, as in the unused rest of a table, are ignored.
    fn set(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn any(&self, range: Range<usize>) -> bool {
        self.words(range).any(|word| word != 0)
    }

    fn count(&self, range: Range<usize>) -> usize {
        self.words(range).map(|word| word.count_ones() as usize).sum()
    }

    /// The words that hold `range`, with all bits outside of it cleared.
    fn words(&self, range: Range<usize>) -> impl Iterator<Item = u64> {
        let words = range.start / 64..range.end.div_ceil(64).min(self.0.len());
        words.map(move |index| {
            let above = u64::MAX << range.start.saturating_sub(index * 64).min(63);
            let keep = range.end - index * 64;
            let below = if keep < 64 { (1 << keep) - 1 } else { u64::MAX };
            self.0[index] & above & below
        })
    }
}

/// Why the free clusters of a file system are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FatError {
    /// The partition does not start with a FAT boot sector.
    #[error("there is no FAT boot sector")]
    NoBootSector,
    /// FAT12 or FAT16.
    #[error("the file system is not FAT32")]
    NotFat32,
    /// A field of the boot sector or of the information sector is impossible.
    #[error("the {what} of the FAT32 file system cannot be right")]
    Layout {
        /// Which field.
        what: &'static str,
    },
    /// More clusters than are tracked here.
    #[error("the FAT32 file system has {clusters} clusters, too many to track")]
    TooLarge {
        /// How many.
        clusters: u64,
    },
    /// The parts of the file system do not fit together.
    #[error("the FAT32 file system contradicts itself: {what}")]
    Contradiction {
        /// A clause.
        what: &'static str,
    },
}

/// Bits of the second table entry: unmounted cleanly, no disk errors.
const CLEAN: u32 = 0x0C00_0000;
/// In the flags: only one of the tables is kept up to date.
const NOT_MIRRORED: u16 = 0x80;
const FAT32_MIN_CLUSTERS: u64 = 65_525;
/// 64 GiB with clusters of 4 KiB; the map of used clusters takes 2 MiB then.
const MAX_CLUSTERS: u64 = 1 << 24;

#[cfg(test)]
#[path = "fat/tests.rs"]
pub(super) mod tests;
