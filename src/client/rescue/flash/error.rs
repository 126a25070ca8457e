//! Why a flash failed, and what that means for the disk.

use thiserror::Error;

use super::Phase;
use crate::client::cache::ReadError;
use crate::client::rescue::session::SessionError;
use crate::disk_image::{Digest, GptError};

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
    /// The prepared image cannot be read any more.
    #[error("reading the image")]
    Image(#[source] ReadError),
    /// It is no image of a whole disk.
    #[error("reading the partition table of the image")]
    Partitions(#[source] GptError),
    /// The disk is too small.
    #[error("the image needs {needed} bytes, the disk has {size}")]
    TooLarge {
        /// Bytes of the decoded image.
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
        /// Bytes of the image.
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
    /// The path leads to another disk than the one that was looked at.
    #[error("the disk is not the one that was checked (now {found:?}, before {expected:?})")]
    OtherDisk {
        /// Number, sectors and more then.
        expected: String,
        /// The same now.
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
    /// The disk returned something else than zeros where it must be empty.
    #[error("reading back {len} bytes at {offset}: the disk returned other data than the zeros that belong there")]
    NotEmpty {
        /// In bytes.
        offset: u64,
        /// In bytes.
        len: u64,
    },
    /// The script on the rescue host gave up.
    #[error("the rescue host failed: {0}")]
    Remote(String),
    /// The rescue host could not download the image.
    #[error("the rescue host could not download the image: {0}")]
    Pull(String),
    /// The rescue host downloaded something else than what was verified here.
    #[error("the rescue host was served another image than the one verified here (bytes {offset} to {})", .offset + .len)]
    OtherImage {
        /// Where the difference is, in bytes of the decoded image.
        offset: u64,
        /// In bytes.
        len: u64,
    },
    /// The image is to be downloaded by the rescue host, and its URL holds a password.
    #[error("the image's URL holds a user name or password, which is not given to the rescue host")]
    SecretUrl,
    /// The running system was not overwritten, or not yet.
    #[error("the running system was not overwritten: {0}")]
    InPlace(String),
    /// The running system was overwritten, and the disk does not hold what was written.
    #[error("overwriting the running system failed: {0}")]
    InPlaceStuck(String),
    /// The running system may be overwriting itself, and cannot be looked at any more.
    #[error("the overwrite of the running system is out of sight")]
    OutOfSight(#[source] SessionError),
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
        if matches!(self.cause, Cause::InPlaceStuck(_) | Cause::OutOfSight(_)) {
            return hints;
        }
        hints.push(match self.phase {
            _ if !self.disk_touched => format!("nothing was written to {}", self.disk),
            Phase::Wipe => format!("it is not certain that {} does not boot: run again before it is rebooted", self.disk),
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
            Self::OutOfSight(error) => {
                let goes_on = "if the overwrite has begun it goes on by itself, and ends with a reboot into Talos: apply again to find out";
                return error.hints().into_iter().chain([goes_on.to_owned()]).collect();
            }
            Self::Pull(said) => return vec![pull_hint(said).to_owned(), PUSH.to_owned()],
            Self::OtherImage { .. } => {
                let why = "a proxy may answer in its place, or the Factory has built the image anew since it was downloaded here: remove it from cache_dir and run again";
                return vec![why.to_owned(), PUSH.to_owned()];
            }
            Self::SecretUrl => PUSH,
            Self::InPlace(_) => {
                "services that were stopped and file systems that became read-only are as before after a reboot; a rescue system (flash.method = \"ssh\") needs none of this"
            }
            Self::InPlaceStuck(_) => {
                "the machine runs from RAM and must not be rebooted, it would not boot: stop the instance, attach its boot volume to another one, and flash it from there with flash.method = \"ssh\""
            }
            Self::Image(_) => "its copy in cache_dir changed since it was checked: run again, it is made anew",
            Self::TooLarge { .. } => LARGER_DISK,
            Self::WrongSize { .. } | Self::NotSectors { .. } => INCOMPLETE,
            Self::Partitions(_) => {
                "the image must be that of a whole disk with a GPT: the Factory's oracle-arm64.raw.xz"
            }
            Self::SectorSize { .. } => {
                "remove diskImage.sectorSize from the schematic: OCI volumes have sectors of 512 bytes"
            }
            Self::OtherDisk { .. } => {
                "the rescue host was rebooted or its disks were attached anew: name the disk by /dev/disk/by-id or /dev/oracleoci, and run again"
            }
            Self::ReadBack { .. } | Self::NotEmpty { .. } => {
                "the volume, or something that writes to it, is at fault: stop that, or use another volume"
            }
            Self::Remote(said) if said.contains("No space left") => {
                "the disk ended before the image: is it the right disk?"
            }
            Self::Remote(said) if said.contains("Input/output error") => {
                "the volume returns errors: look at `dmesg` on the rescue host"
            }
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
            Self::Stage => "staging in RAM",
            Self::Check => "checking what is in RAM",
            Self::Stop => "stopping the system",
            Self::Wipe => "wiping",
            Self::Write => "writing",
            Self::Zero => "zeroing",
            Self::Verify => "verifying",
            Self::Finish => "finishing",
        })
    }
}

/// What usually stands behind the words of curl, wget and the unpackers.
fn pull_hint(said: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["resolve", "bad address", "Name or service not known"]) {
        "give the rescue host a DNS server (in OCI: 169.254.169.254), or a rescue system whose network is complete"
    } else if says(&["certificate", "Certificate", "CAfile"]) {
        "install ca-certificates on the rescue host, and check its clock"
    } else if says(&["is there", "not installed", "not supported"]) {
        "install curl (or wget) and xz on the rescue host"
    } else if says(&["No space left", "named pipe"]) {
        "free some space in /run or /tmp of the rescue host"
    } else {
        "check that the rescue host reaches the Image Factory over https"
    }
}

const PUSH: &str =
    "or set flash.source = \"push\": this computer sends the image, and the rescue host needs no internet";
const LARGER_DISK: &str = "resize the boot volume (the oracle image needs 9192 MiB), or is this the wrong disk?";
const INCOMPLETE: &str =
    "the image arrived as it was sent, and is not complete: remove it from cache_dir, and ask the Image Factory again";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_with_a_pull_has_its_remedy_and_push_is_always_one() {
        let table = [
            ("curl ended with status 6: curl: (6) Could not resolve host: factory.talos.dev", "DNS"),
            ("wget ended with status 1: wget: bad address 'factory.talos.dev'", "DNS"),
            (
                "curl ended with status 60: curl: (60) SSL certificate problem: unable to get local issuer",
                "ca-certificates",
            ),
            (
                "curl ended with status 77: curl: (77) error setting certificate verify locations: CAfile: /etc",
                "ca-certificates",
            ),
            ("the download ended with status 127: neither curl nor wget is there", "install curl"),
            ("unpacking .xz ended with status 127: xz is not installed", "install curl"),
            ("no room for a named pipe in /run, /dev/shm or /tmp", "free some space"),
            (
                "curl ended with status 22: curl: (22) The requested URL returned error: 404",
                "reaches the Image Factory",
            ),
        ];
        for (said, part) in table {
            let hints = Cause::Pull(said.to_owned()).hints();
            assert!(hints[0].contains(part), "{said}: {hints:?}");
            assert!(hints[1].contains("flash.source = \"push\""), "{hints:?}");
        }
    }
}
