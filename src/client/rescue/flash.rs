//! Writes an image to the disk of a rescue shell, so that the disk either boots exactly this image or does not boot at all.
//!
//! Only what is not zero travels. The first and the last MiB of the disk are wiped before anything else, the rest is written,
//! and after everything was read back from the disk and found right, the first MiB (boot record and partition table) follows.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::probe::{Facts, Kind, Privilege};
use super::session::{Rights, Session, compact, quote};
use crate::client::cache::PreparedImage;
use crate::disk_image::{Digest, Format, Gpt, HEAD, Image, ZeroMode};

mod content;
mod disk;
mod error;
mod in_place;
mod meter;
mod pieces;
mod remote;
mod wire;
mod zero;

pub use error::{Cause, FlashError};
pub use in_place::{Levers, Overwrite, Sight, System, overwrite, revisit};

use disk::Disk;
use meter::Meter;
use remote::Start;

/// How to flash.
#[derive(Clone, Debug)]
pub struct FlashOptions {
    /// Which zero ranges of the image are made zero on the disk.
    pub zero: ZeroMode,
    /// How long to try to get a broken connection back; the flash then goes on where it was.
    pub patience: Duration,
    /// Lets the rescue host download the image by itself; `None` sends it.
    pub pull: Option<Pull>,
}

/// An image that the rescue host downloads. What it is, is known from our own copy: only its extents are written, and
/// each must have the hash that it has here.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Where from. Redirections lead to `https` only, unless this is `http` itself.
    pub url: Url,
    /// How it is compressed.
    pub format: Format,
    /// How long the server may send nothing.
    pub idle: Duration,
}

impl Pull {
    /// With the usual patience.
    pub fn new(url: Url, format: Format) -> Self {
        Self { url, format, idle: Duration::from_secs(60) }
    }

    /// What `pull.sh` wants to be set before it.
    fn variables(&self) -> Result<String, Cause> {
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err(Cause::SecretUrl);
        }
        let packed = match self.format {
            Format::Xz => "xz",
            Format::Zstd => "zst",
            Format::Raw => "raw",
        };
        let plain = if self.url.scheme() == "https" { "" } else { "yes" };
        Ok(format!(
            "url={} plain={plain} packed={packed} idle={}",
            quote(self.url.as_str()),
            self.idle.as_secs().max(1)
        ))
    }
}

impl Default for FlashOptions {
    fn default() -> Self {
        Self { zero: ZeroMode::Partitions, patience: Duration::from_secs(120), pull: None }
    }
}

/// What is done at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the image's first MiB and comparing it with the disk. Nothing was written yet.
    Prepare,
    /// In place: bringing the image into RAM.
    Stage,
    /// In place: checking what is in RAM.
    Check,
    /// In place: stopping the system that runs.
    Stop,
    /// Making sure that the disk does not boot, whatever was on it.
    Wipe,
    /// Writing what is not zero.
    Write,
    /// Making zero what must be zero.
    Zero,
    /// Waiting for the disk, and reading everything back.
    Verify,
    /// Writing the first MiB.
    Finish,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done at the moment.
    pub phase: Phase,
    /// Bytes that the rescue host has confirmed in this phase.
    pub done: u64,
    /// Bytes of this phase, where that is known.
    pub total: Option<u64>,
    /// Bytes a second in this phase.
    pub rate: u64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flashed {
    /// Bytes of the decoded image.
    pub raw_bytes: u64,
    /// Bytes of the compressed image.
    pub compressed_bytes: u64,
    /// Of the compressed image.
    pub compressed_sha256: Digest,
    /// Bytes of data written.
    pub written_bytes: u64,
    /// Bytes of data found on the disk as they should be: an earlier flash had brought them there.
    pub kept_bytes: u64,
    /// Bytes of zeros written.
    pub zeroed_bytes: u64,
    /// Bytes read back and found right.
    pub verified_bytes: u64,
    /// From start to end.
    pub took: Duration,
}

/// Called now and then; must not block.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Flashes. The disk must have passed [`super::probe::refuse`].
///
/// Returns within a second of a cancellation.
///
/// # Errors
/// [`FlashError`] says in which phase, why, and whether the disk was touched; if it was, it does not boot.
pub async fn flash(
    session: &Session,
    facts: &Facts,
    image: &PreparedImage,
    options: &FlashOptions,
    progress: OnProgress<'_>,
    cancel: &CancellationToken,
) -> Result<Flashed, FlashError> {
    let meter = Meter::new(progress);
    let run = Run { session, facts, options, meter: &meter };
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Cause::Cancelled),
        result = run.all(image) => result,
    };
    result.map_err(|cause| FlashError {
        disk: facts.disk.path.clone(),
        phase: meter.phase(),
        disk_touched: meter.wiped(),
        cause,
    })
}

/// A flash under way.
struct Run<'a> {
    session: &'a Session,
    facts: &'a Facts,
    options: &'a FlashOptions,
    meter: &'a Meter<'a>,
}

impl Run<'_> {
    async fn all(&self, image: &PreparedImage) -> Result<Flashed, Cause> {
        let started = Instant::now();
        let size = self.facts.disk.size / SECTOR * SECTOR;
        let head = content::head(image).await?;
        self.check(image.image(), &head)?;
        let mut disk = Disk::open(self.session, self.start()?, size, self.meter).await?;

        let pull = self.options.pull.is_some();
        disk.look_for(&head, pull).await?;
        let kept_bytes = disk.keep(image).await?;
        let written = disk.write(image, pull).await?;
        let zeroed = disk.zero(zero::blanks(image.image(), self.options.zero)).await?;
        let verified = disk.verify(image, &zeroed.written).await?;
        let head_bytes = disk.finish(head).await?;

        let image = image.image();
        Ok(Flashed {
            raw_bytes: image.raw_size,
            compressed_bytes: image.compressed_size,
            compressed_sha256: image.compressed_sha256,
            written_bytes: written + head_bytes,
            kept_bytes,
            zeroed_bytes: zeroed.written.iter().map(|range| range.end - range.start).sum(),
            verified_bytes: kept_bytes + zeroed.verified + verified + HEAD,
            took: started.elapsed(),
        })
    }

    /// Whether this is an image of a whole disk, and of one like this.
    fn check(&self, image: &Image, head: &[u8]) -> Result<(), Cause> {
        let (expected, found) = (self.image_size(head)?, image.raw_size);
        if found != expected {
            return Err(Cause::WrongSize { expected, found });
        }
        let layout = image.layout.as_ref().map_err(|error| Cause::Partitions(error.clone()))?;
        layout.backup.clone().map_err(Cause::Partitions)
    }

    /// The size of the image by its partition table.
    fn image_size(&self, head: &[u8]) -> Result<u64, Cause> {
        let gpt = Gpt::parse(head, u64::MAX).map_err(Cause::Partitions)?;
        let sectors = self.facts.disk.sector_size;
        if gpt.sector_size != sectors && sectors != 0 {
            return Err(Cause::SectorSize { image: gpt.sector_size, disk: sectors });
        }
        // The backup header is in the last sector of an image.
        let needed = gpt.backup_header + u64::from(gpt.sector_size);
        let size = self.facts.disk.size;
        if needed > size { Err(Cause::TooLarge { needed, size }) } else { Ok(needed) }
    }

    fn rights(&self) -> Rights {
        match self.facts.privilege {
            Privilege::Root => Rights::Root,
            Privilege::None(_) => Rights::User,
        }
    }

    fn start(&self) -> Result<Start, Cause> {
        let Facts { hash_command, disk, .. } = self.facts;
        let hash = hash_command.as_deref().unwrap_or("sha256sum");
        let mut script = format!("disk={} sum={}\n", quote(&disk.device), quote(hash));
        if let Some(pull) = &self.options.pull {
            script += &format!("{}\n{}\n", pull.variables()?, compact(PULL));
        }
        script += &compact(SCRIPT);
        Ok(Start {
            rights: self.rights(),
            script,
            identity: (disk.kind == Kind::Block).then(|| format!("i {} {}", disk.number, disk.size / SECTOR)),
            patience: self.options.patience,
        })
    }
}

const SCRIPT: &str = include_str!("flash/flash.sh");
const PULL: &str = include_str!("flash/pull.sh");

const SECTOR: u64 = 512;

/// A provider runs several flashes at once, on any thread: this must compile.
#[cfg(test)]
fn _a_flash_may_move_between_threads(
    session: &Session,
    facts: &Facts,
    image: &PreparedImage,
    cancel: &CancellationToken,
) {
    fn movable(_: impl Send) {}
    movable(flash(session, facts, image, &FlashOptions::default(), &|_| (), cancel));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scripts_together_are_short_enough_for_dropbear() {
        let url = format!("https://factory.talos.dev/image/{}/v1.12.2/oracle-arm64.raw.xz", "0".repeat(64));
        let pull = Pull::new(url.parse().unwrap(), Format::Xz);
        let script = format!("{}{}\n{}", pull.variables().unwrap(), compact(PULL), compact(SCRIPT));
        // Each quote becomes four characters; the disk and that which becomes root come before.
        let len = quote(&script).len() + 300;
        assert!(len < 9000, "{len}");
    }

    #[test]
    fn a_url_with_a_password_is_not_given_away() {
        let pull = |url: &str| Pull::new(url.parse().unwrap(), Format::Xz).variables();
        assert!(matches!(pull("https://me:secret@factory.example/a.xz"), Err(Cause::SecretUrl)));
        assert!(matches!(pull("https://me@factory.example/a.xz"), Err(Cause::SecretUrl)));
        assert!(pull("https://factory.example/a.xz").unwrap().contains(" plain= "));
        assert!(pull("http://127.0.0.1:1/a.xz").unwrap().contains(" plain=yes "));
    }
}
