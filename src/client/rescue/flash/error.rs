//! Why a flash failed, and what that means for the disk.

use thiserror::Error;

use super::Phase;
use super::source::BoxError;
use crate::client::rescue::session::SessionError;
use crate::disk_image::{DecodeError, Digest, GptError};

/// A failed flash.
#[derive(Debug, Error)]
#[error("flashing {disk} ({phase})")]
pub struct FlashError {
    /// As it was asked for.
    pub disk: String,
    /// Where it failed.
    pub phase: Phase,
    /// Whether anything was written. The disk does not boot then, until a later flash has succeeded.
    pub disk_touched: bool,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why a flash failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The caller wanted it so.
    #[error("it was cancelled")]
    Cancelled,
    /// The compressed image stopped coming.
    #[error("reading the image")]
    Source(#[source] BoxError),
    /// The image is damaged, cut off, or no image.
    #[error("decoding the image")]
    Decode(#[source] DecodeError),
    /// It is no image of a whole disk.
    #[error("reading the partition table of the image")]
    Partitions(#[source] GptError),
    /// The disk is too small.
    #[error("the image needs {needed} bytes, the disk has {size}")]
    TooLarge {
        /// Bytes of the decoded image, as far as it is known.
        needed: u64,
        /// Bytes of the disk.
        size: u64,
    },
    /// The image is made for other sectors: no firmware would find its partitions.
    #[error("the image is made for sectors of {image} bytes, the disk has {disk}")]
    SectorSize {
        /// Of the image's partition table, in bytes.
        image: u32,
        /// Of the disk, in bytes.
        disk: u32,
    },
    /// The image is longer or shorter than its own partition table says.
    #[error("the image has {found} bytes, its partition table is made for {expected}")]
    WrongSize {
        /// Bytes by the table.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The image does not end on a sector.
    #[error("bytes {offset} to {end} of the image are no whole sectors")]
    NotSectors {
        /// Where.
        offset: u64,
        /// Up to where.
        end: u64,
    },
    /// It is another image than the pinned one.
    #[error("the compressed image has sha256 {found}, pinned is {expected}")]
    WrongDigest {
        /// As pinned.
        expected: Digest,
        /// As downloaded.
        found: Digest,
    },
    /// The path leads to another disk than the one that was looked at.
    #[error("the disk is not the one that was checked (now {found:?}, before {expected:?})")]
    OtherDisk {
        /// Number and sectors then.
        expected: String,
        /// Number and sectors now.
        found: String,
    },
    /// The disk returned something else than what was written.
    #[error("reading back {len} bytes at {offset}: the disk returned other data (sha256 {found}, written {expected})")]
    ReadBack {
        /// In bytes.
        offset: u64,
        /// In bytes.
        len: u64,
        /// Of what was written.
        expected: Digest,
        /// Of what was read.
        found: Digest,
    },
    /// The script on the rescue host gave up.
    #[error("the rescue host failed: {0}")]
    Remote(String),
    /// The rescue host is connected, but gets nothing done.
    #[error("the rescue host made no progress for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u64,
    },
    /// The connection failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A mistake in this program.
    #[error("this should not happen: {0}")]
    Internal(&'static str),
}

impl FlashError {
    /// What to do about it, and what state the disk is in.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = self.cause.hints();
        hints.push(match self.phase {
            _ if !self.disk_touched => format!("nothing was written to {}", self.disk),
            Phase::Finish => format!("the image on {} is complete, but its first MiB may not be: run again before rebooting", self.disk),
            _ => format!("{} holds a part of the image and does not boot (its first MiB is zero): run again, it goes on from there", self.disk),
        });
        hints
    }
}

impl Cause {
    fn hints(&self) -> Vec<String> {
        let text = match self {
            Self::Cancelled | Self::Internal(_) => return Vec::new(),
            Self::Session(error) => return error.hints(),
            Self::Source(_) => "check the way to the Image Factory",
            Self::Decode(DecodeError::Sniff(error)) => error.hint(),
            Self::Decode(DecodeError::TooLarge { .. }) | Self::TooLarge { .. } => {
                "resize the boot volume (the oracle image needs 9192 MiB), or is this the wrong disk?"
            }
            Self::Decode(_) | Self::WrongSize { .. } | Self::NotSectors { .. } => "the image was damaged or cut off on its way: run again",
            Self::Partitions(_) => "the image must be that of a whole disk with a GPT: the Factory's oracle-arm64.raw.xz",
            Self::SectorSize { .. } => "remove diskImage.sectorSize from the schematic: OCI volumes have sectors of 512 bytes",
            Self::WrongDigest { .. } => "correct the pinned sha256, or find out who changed the image (the Factory may have rebuilt it)",
            Self::OtherDisk { .. } => "name the disk by /dev/disk/by-id or /dev/oracleoci, and run again",
            Self::ReadBack { .. } => "the volume, or something that writes to it, is at fault: stop that, or use another volume",
            Self::Remote(said) if said.contains("No space left") => "the disk ended before the image: is it the right disk?",
            Self::Remote(said) if said.contains("Input/output error") => "the volume returns errors: look at `dmesg` on the rescue host",
            Self::Remote(_) => "look at `dmesg` on the rescue host",
            Self::Stalled { .. } => "look at `dmesg` on the rescue host: the volume may be detached or throttled",
        };
        vec![text.to_owned()]
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing",
            Self::Wipe => "wiping",
            Self::Write => "writing",
            Self::Zero => "zeroing",
            Self::Verify => "verifying",
            Self::Finish => "finishing",
        })
    }
}
