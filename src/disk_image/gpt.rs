//! Reads GUID partition tables (UEFI specification 2.10, section 5).

use std::{fmt, ops::Range};

/// A partition table whose primary header and entries are sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpt {
    /// The unit of the table: 512 or 4096 bytes.
    pub sector_size: u32,
    /// Of the disk.
    pub guid: Guid,
    /// Where partitions may lie, in bytes; everything outside belongs to the table and its backup.
    pub usable: Range<u64>,
    /// Where the backup header is, in bytes.
    pub backup_header: u64,
    /// In the order of the table, without unused entries.
    pub partitions: Vec<Partition>,
    entries_len: usize,
    entries_crc: u32,
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1, as in `/dev/sda1`.
    pub number: u32,
    /// Its label, such as "EFI" or "META".
    pub name: String,
    /// What it is for.
    pub type_guid: Guid,
    /// Of this partition alone.
    pub guid: Guid,
    /// On the disk, in bytes.
    pub range: Range<u64>,
}

/// A GUID in its on-disk order (the first three groups are little-endian); prints in the usual order, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// C12A7328-F81F-11D2-BA4B-00A0C93EC93B
    pub const EFI_SYSTEM: Self =
        Self([0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B]);
}

impl Gpt {
    /// Reads the protective boot record and the primary table from the first bytes of the disk.
    ///
    /// 1 MiB is enough for any usual table. `disk_size` is that of the image, in bytes.
    ///
    /// # Errors
    /// Says what is missing or wrong; nothing is guessed.
    pub fn parse(head: &[u8], disk_size: u64) -> Result<Self, GptError> {
        check_protective_record(head)?;
        let (sector_size, header) = find_primary(head)?;
        let table =
            header.entries_lba.checked_mul(u64::from(sector_size)).and_then(|start| usize::try_from(start).ok());
        let table = table.and_then(|start| head.get(start..start.checked_add(header.entries_len()?)?));
        let table = table.ok_or(GptError::Layout { what: "the entries are not in the first MiB" })?;
        if crc32fast::hash(table) != header.entries_crc {
            return Err(GptError::EntriesChecksum);
        }
        header.into_gpt(sector_size, table, disk_size)
    }

    /// Which bytes of the disk [`Gpt::check_backup`] wants to see.
    pub fn backup_range(&self) -> Range<u64> {
        let sector = u64::from(self.sector_size);
        let entries = (self.entries_len as u64).next_multiple_of(sector);
        self.backup_header.saturating_sub(entries)..self.backup_header.saturating_add(sector)
    }

    /// Compares the backup table with the primary one; `tail` are the bytes at [`Gpt::backup_range`].
    ///
    /// # Errors
    /// When it is missing, damaged, or describes something else.
    pub fn check_backup(&self, tail: &[u8]) -> Result<(), GptError> {
        let sector = self.sector_size as usize;
        let entries = self.entries_len.next_multiple_of(sector);
        let (Some(table), Some(header)) = (tail.get(..self.entries_len), tail.get(entries..entries + sector)) else {
            return Err(GptError::Backup { what: "is not there" });
        };
        let lba = self.backup_header / u64::from(self.sector_size);
        let header = Header::read(header, lba).map_err(|_| GptError::Backup { what: "has a damaged header" })?;
        let entries_end = header.entries_lba.checked_add((entries / sector) as u64);
        let same_place = header.alternate_lba == 1 && entries_end == Some(lba);
        let usable = self.usable.start / u64::from(self.sector_size)..self.usable.end / u64::from(self.sector_size);
        if !same_place || header.guid != self.guid || header.usable() != usable {
            return Err(GptError::Backup { what: "describes another table" });
        }
        if header.entries_crc != self.entries_crc || crc32fast::hash(table) != self.entries_crc {
            return Err(GptError::Backup { what: "has other entries" });
        }
        Ok(())
    }

    /// The first partition with this label.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }
}

/// The fields of a header that hold up on their own.
struct Header {
    alternate_lba: u64,
    first_usable: u64,
    last_usable: u64,
    guid: Guid,
    entries_lba: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

impl Header {
    /// Reads one sector that should hold the header of sector `lba`.
    fn read(sector: &[u8], lba: u64) -> Result<Self, GptError> {
        if !sector.starts_with(SIGNATURE) || sector.len() < HEADER_LEN {
            return Err(GptError::Missing);
        }
        let header_len = u32_at(sector, 12) as usize;
        let Some(header) = sector.get(..header_len).filter(|_| header_len >= HEADER_LEN) else {
            return Err(GptError::Layout { what: "the header has an impossible length" });
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header[..16]);
        crc.update(&[0; 4]);
        crc.update(&header[20..]);
        if crc.finalize() != u32_at(header, 16) {
            return Err(GptError::HeaderChecksum);
        }
        if u32_at(header, 8) != 0x0001_0000 {
            return Err(GptError::Layout { what: "the revision is not 1.0" });
        }
        if u64_at(header, 24) != lba {
            return Err(GptError::Layout { what: "the header belongs to another sector" });
        }
        Ok(Self {
            alternate_lba: u64_at(header, 32),
            first_usable: u64_at(header, 40),
            last_usable: u64_at(header, 48),
            guid: guid_at(header, 56),
            entries_lba: u64_at(header, 72),
            entry_count: u32_at(header, 80),
            entry_size: u32_at(header, 84),
            entries_crc: u32_at(header, 88),
        })
    }

    fn entries_len(&self) -> Option<usize> {
        // 128 times a power of two, says the specification; the bound keeps the product small.
        let sound = self.entry_size >= 128 && self.entry_size.is_power_of_two() && self.entry_size <= 4096;
        let len = u64::from(self.entry_count) * u64::from(self.entry_size);
        (sound && len > 0).then(|| usize::try_from(len).ok())?
    }

    fn usable(&self) -> Range<u64> {
        self.first_usable..self.last_usable.saturating_add(1)
    }

    fn into_gpt(self, sector_size: u32, table: &[u8], disk_size: u64) -> Result<Gpt, GptError> {
        let sector = u64::from(sector_size);
        let sectors = disk_size / sector;
        let table_end = self.entries_lba.saturating_add((table.len() as u64).div_ceil(sector));
        let usable = self.usable();
        if self.entries_lba < 2 || usable.start < table_end || usable.end < usable.start {
            return Err(GptError::Layout { what: "the usable range overlaps the table" });
        }
        if usable.end > self.alternate_lba || self.alternate_lba >= sectors {
            return Err(GptError::Layout { what: "the table is for a larger disk" });
        }
        let mut partitions = Vec::new();
        for (entry, number) in table.chunks_exact(self.entry_size as usize).zip(1..) {
            if guid_at(entry, 0) != UNUSED {
                partitions.push(Partition::read(entry, number, &usable, sector)?);
            }
        }
        check_overlaps(&partitions)?;
        Ok(Gpt {
            sector_size,
            guid: self.guid,
            usable: usable.start * sector..usable.end * sector,
            backup_header: self.alternate_lba * sector,
            partitions,
            entries_len: table.len(),
            entries_crc: self.entries_crc,
        })
    }
}

impl Partition {
    fn read(entry: &[u8], number: u32, usable: &Range<u64>, sector: u64) -> Result<Self, GptError> {
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        if first < usable.start || last < first || last >= usable.end {
            return Err(GptError::PartitionRange { number });
        }
        let name: Vec<u16> =
            entry[56..128].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        let name_len = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
        Ok(Self {
            number,
            name: String::from_utf16_lossy(&name[..name_len]),
            type_guid: guid_at(entry, 0),
            guid: guid_at(entry, 16),
            // `into_gpt` has checked that the end of the usable range, in bytes, is on the disk.
            range: first * sector..(last + 1) * sector,
        })
    }
}

fn check_protective_record(head: &[u8]) -> Result<(), GptError> {
    let protective = |entry: &[u8]| entry[4] == 0xEE;
    match head.get(..512) {
        Some(record) if record[510..] == [0x55, 0xAA] => {
            if record[446..510].chunks_exact(16).any(protective) {
                Ok(())
            } else {
                Err(GptError::NotProtective)
            }
        }
        _ => Err(GptError::NoBootRecord),
    }
}

/// The header is in sector 1, whatever a sector is; when neither place holds one, the error is that of 512 bytes.
fn find_primary(head: &[u8]) -> Result<(u32, Header), GptError> {
    let at = |sector_size: usize| Header::read(head.get(sector_size..2 * sector_size).unwrap_or_default(), 1);
    match at(512) {
        Ok(header) => Ok((512, header)),
        Err(error) => at(4096).map(|header| (4096, header)).map_err(|other| match error {
            GptError::Missing => other,
            error => error,
        }),
    }
}

fn check_overlaps(partitions: &[Partition]) -> Result<(), GptError> {
    let mut by_start: Vec<&Partition> = partitions.iter().collect();
    by_start.sort_by_key(|partition| partition.range.start);
    match by_start.windows(2).find(|pair| pair[0].range.end > pair[1].range.start) {
        Some(pair) => Err(GptError::Overlap { first: pair[0].number, second: pair[1].number }),
        None => Ok(()),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn guid_at(bytes: &[u8], at: usize) -> Guid {
    Guid(std::array::from_fn(|index| bytes[at + index]))
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes_le(self.0).fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// Why there is no partition table to rely on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GptError {
    /// The first sector has no signature.
    #[error("the image has no boot record")]
    NoBootRecord,
    /// The boot record does not point to a GUID partition table.
    #[error("the boot record of the image is not a protective one")]
    NotProtective,
    /// No header, neither with 512 nor with 4096 bytes per sector.
    #[error("the image has no GUID partition table")]
    Missing,
    /// The header is damaged.
    #[error("the checksum of the partition table header does not match")]
    HeaderChecksum,
    /// The entries are damaged.
    #[error("the checksum of the partition table entries does not match")]
    EntriesChecksum,
    /// The header says something impossible.
    #[error("in the partition table, {what}")]
    Layout {
        /// A clause.
        what: &'static str,
    },
    /// A partition ends before it starts, or lies outside of the usable range.
    #[error("partition {number} lies outside of the disk")]
    PartitionRange {
        /// From 1.
        number: u32,
    },
    /// Two partitions share sectors.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// The one that starts first.
        first: u32,
        /// The other.
        second: u32,
    },
    /// The backup table at the end of the image does not match.
    #[error("the backup partition table {what}")]
    Backup {
        /// A predicate.
        what: &'static str,
    },
}

const SIGNATURE: &[u8] = b"EFI PART";
const HEADER_LEN: usize = 92;
const UNUSED: Guid = Guid([0; 16]);

#[cfg(test)]
#[path = "gpt/tests.rs"]
pub(super) mod tests;
