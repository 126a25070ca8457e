//! A decoded image as a file: its data without its zeros, so that any number of disks can be written without decoding.
//!
//! First the data, extent after extent with nothing between; then the map of it; at the end a trailer of
//! [`PreparedTrailer::LEN`] bytes that says where the map is and what its digest is. The map has the digest of every
//! extent, so that a flaw anywhere is found. All numbers are little-endian. Such a file is made and read by the same
//! version on the same computer: any other version is refused, and the file made anew.

use std::ops::Range;

use super::{
    decoder::Image,
    digest::Digest,
    extents::{Extent, GRANULE, HEAD},
    layout::Survey,
    sniff::Format,
    xz::Blocks,
};

/// What is known of a prepared image: everything but its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMap {
    format: Format,
    blocks: Option<Blocks>,
    raw_size: u64,
    compressed_size: u64,
    compressed_sha256: Digest,
    extents: Vec<Extent>,
}

/// The end of a prepared image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedTrailer {
    map: Range<u64>,
    sha256: Digest,
}

/// Takes all data of a prepared image, in order, and becomes the image that it was made of.
#[derive(Debug)]
pub struct Reassembly {
    map: PreparedMap,
    survey: Survey,
    next: usize,
}

/// An extent, and where its data is in a prepared image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where its data begins in the file, in bytes.
    pub position: u64,
    /// What it is, and where it belongs.
    pub extent: Extent,
}

/// Slots that follow each other on the disk without a gap; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run(Vec<Slot>);

impl Image {
    /// What follows the data in a prepared image.
    pub fn prepared_end(&self) -> Vec<u8> {
        let map = PreparedMap {
            format: self.format,
            blocks: self.blocks,
            raw_size: self.raw_size,
            compressed_size: self.compressed_size,
            compressed_sha256: self.compressed_sha256,
            extents: self.extents.clone(),
        };
        let mut bytes = map.encode();
        let (len, sha256) = (bytes.len() as u64, Digest::of(&bytes));
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&sha256.0);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    /// Where its data is in the prepared image, in ascending order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        slots(&self.extents)
    }

    /// The data from `start` on, in runs that end at multiples of `largest` bytes at the latest.
    pub fn runs(&self, start: u64, largest: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for slot in self.slots().filter(|slot| slot.extent.offset >= start) {
            let Extent { offset, .. } = slot.extent;
            match runs.last_mut() {
                Some(run) if run.range().end == offset && !offset.is_multiple_of(largest) => run.0.push(slot),
                _ => runs.push(Run(vec![slot])),
            }
        }
        runs
    }
}

fn slots(extents: &[Extent]) -> impl Iterator<Item = Slot> + '_ {
    extents.iter().scan(0, |end, extent| {
        let position = *end;
        *end += extent.len;
        Some(Slot { position, extent: *extent })
    })
}

impl Run {
    /// Where on the disk, in bytes.
    pub fn range(&self) -> Range<u64> {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => first.extent.offset..last.extent.offset + last.extent.len,
            _ => 0..0,
        }
    }

    /// In bytes; never 0.
    pub fn size(&self) -> u64 {
        let range = self.range();
        range.end - range.start
    }

    /// What it is made of.
    pub fn slots(&self) -> &[Slot] {
        &self.0
    }
}

impl PreparedTrailer {
    /// In bytes.
    pub const LEN: usize = 8 + 32 + 4 + MAGIC.len();

    /// Reads the last bytes of a file of `file_len` bytes.
    ///
    /// # Errors
    /// When it is no prepared image, one of another version, or damaged.
    pub fn parse(bytes: &[u8; Self::LEN], file_len: u64) -> Result<Self, PreparedError> {
        let mut fields = Fields(bytes);
        let (len, sha256) = (fields.number()?, fields.digest()?);
        let version = u32::from_le_bytes(fields.array()?);
        if fields.0 != MAGIC {
            return Err(PreparedError::Unfinished);
        }
        if version != VERSION {
            return Err(PreparedError::Version { found: version });
        }
        let end = file_len.saturating_sub(Self::LEN as u64);
        match end.checked_sub(len) {
            Some(start) if len <= MAX_MAP => Ok(Self { map: start..end, sha256 }),
            _ => Err(PreparedError::Map { what: "its length" }),
        }
    }

    /// Which bytes of the file [`PreparedMap::parse`] wants.
    pub fn map(&self) -> Range<u64> {
        self.map.clone()
    }
}

impl PreparedMap {
    /// Reads the map.
    ///
    /// # Errors
    /// When it is damaged, or contradicts itself.
    pub fn parse(trailer: &PreparedTrailer, bytes: &[u8]) -> Result<Self, PreparedError> {
        if Digest::of(bytes) != trailer.sha256 {
            return Err(PreparedError::Map { what: "its digest" });
        }
        let map = Self::decode(&mut Fields(bytes))?;
        let (mut at, mut size) = (0, 0u64);
        for extent in &map.extents {
            let end = extent.offset.checked_add(extent.len).filter(|end| *end <= map.raw_size && extent.len > 0);
            let (Some(end), true) = (end, extent.offset >= at && extent.offset.is_multiple_of(GRANULE as u64)) else {
                return Err(PreparedError::Map { what: "the order of its extents" });
            };
            if extent.offset < HEAD && end > HEAD {
                return Err(PreparedError::Map { what: "an extent across the end of the first MiB" });
            }
            at = end;
            size += extent.len;
        }
        if size == trailer.map.start { Ok(map) } else { Err(PreparedError::Map { what: "the length of the data" }) }
    }

    /// Where the data of each extent is in the file, in the order in which [`Reassembly::data`] wants it.
    pub fn slots(&self) -> Vec<Slot> {
        slots(&self.extents).collect()
    }

    /// Begins to put the image together again.
    pub fn reassemble(self) -> Reassembly {
        Reassembly { map: self, survey: Survey::new(), next: 0 }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.extents.len() * EXTENT_LEN);
        bytes.push(FORMATS.iter().position(|format| *format == self.format).map_or(u8::MAX, |index| index as u8));
        bytes.push(u8::from(self.blocks.is_some()));
        let blocks = self.blocks.unwrap_or(Blocks { total: 0, decoded: 0 });
        for number in [blocks.total, blocks.decoded, self.raw_size, self.compressed_size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.compressed_sha256.0);
        for extent in &self.extents {
            bytes.extend_from_slice(&extent.offset.to_le_bytes());
            bytes.extend_from_slice(&extent.len.to_le_bytes());
            bytes.extend_from_slice(&extent.sha256.0);
        }
        bytes
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, PreparedError> {
        let [format, has_blocks] = fields.array()?;
        let format = *FORMATS.get(usize::from(format)).ok_or(PreparedError::Map { what: "the format" })?;
        let blocks = Blocks { total: fields.number()?, decoded: fields.number()? };
        let mut map = Self {
            format,
            blocks: (has_blocks != 0).then_some(blocks),
            raw_size: fields.number()?,
            compressed_size: fields.number()?,
            compressed_sha256: fields.digest()?,
            extents: Vec::with_capacity(fields.0.len() / EXTENT_LEN),
        };
        while !fields.0.is_empty() {
            let (offset, len) = (fields.number()?, fields.number()?);
            map.extents.push(Extent { offset, len, sha256: fields.digest()? });
        }
        Ok(map)
    }
}

impl Reassembly {
    /// Takes the data of the next extent.
    ///
    /// # Errors
    /// When it is not what it was.
    pub fn data(&mut self, bytes: &[u8]) -> Result<(), PreparedError> {
        let Some(extent) = self.map.extents.get(self.next) else {
            return Err(PreparedError::Map { what: "the number of its extents" });
        };
        extent.check(bytes)?;
        self.survey.data(extent.offset, bytes);
        self.next += 1;
        Ok(())
    }

    /// The image.
    ///
    /// # Errors
    /// When data is missing.
    pub fn finish(self) -> Result<Image, PreparedError> {
        let PreparedMap { format, blocks, raw_size, compressed_size, compressed_sha256, extents } = self.map;
        if self.next != extents.len() {
            return Err(PreparedError::Unfinished);
        }
        let layout = self.survey.finish(raw_size);
        Ok(Image { format, raw_size, compressed_size, compressed_sha256, extents, blocks, layout })
    }
}

impl Extent {
    /// Compares bytes with the digest.
    ///
    /// # Errors
    /// When they are others.
    pub fn check(&self, bytes: &[u8]) -> Result<(), PreparedError> {
        if bytes.len() as u64 == self.len && Digest::of(bytes) == self.sha256 {
            return Ok(());
        }
        Err(PreparedError::Data { offset: self.offset, len: self.len })
    }
}

/// What is left to read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], PreparedError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(PreparedError::Map { what: "its length" })?;
        self.0 = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u64, PreparedError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn digest(&mut self) -> Result<Digest, PreparedError> {
        Ok(Digest(self.array()?))
    }
}

/// Why a prepared image cannot be used; it can always be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparedError {
    /// It does not end as it should: it is something else, or was cut off.
    #[error("it does not end as a prepared image")]
    Unfinished,
    /// It was made by another version of this program.
    #[error("it has version {found} of the format, not {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// The map is damaged.
    #[error("its map is wrong: {what}")]
    Map {
        /// Where it shows.
        what: &'static str,
    },
    /// Data is damaged.
    #[error("the {len} bytes for offset {offset} of the disk are not what they were")]
    Data {
        /// On the disk, in bytes.
        offset: u64,
        /// In bytes.
        len: u64,
    },
}

const MAGIC: &[u8; 8] = b"TALOSPRE";

/// To be raised with every change of the format, and of how data is cut into extents.
const VERSION: u32 = 1;

const EXTENT_LEN: usize = 8 + 8 + 32;

/// In bytes; more extents than any image may have.
const MAX_MAP: u64 = 8 << 20;

/// By the number that stands for each.
const FORMATS: [Format; 3] = [Format::Raw, Format::Xz, Format::Zstd];

#[cfg(test)]
#[path = "prepared/tests.rs"]
mod tests;
