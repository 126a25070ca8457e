//! Writes an image to the disk of a rescue shell, so that the disk either boots exactly this image or does not boot at all.
//!
//! Only what is not zero travels. The first and the last MiB of the disk are wiped before anything else, the rest is written,
//! and after everything was read back from the disk and found right, the first MiB (boot record and partition table) follows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::probe::{Facts, Kind, Privilege};
use super::session::{Rights, Session, quote};
use crate::disk_image::{Digest, Event, Gpt, HEAD, Image, ZeroMode};

mod error;
mod pieces;
mod remote;
mod source;
mod zero;

pub use error::{Cause, FlashError};
pub use source::{BoxError, ImageSource};

use remote::{Command, Remote};
use source::Decoding;

/// How to flash.
#[derive(Clone, Debug, Default)]
pub struct FlashOptions {
    /// Which zero ranges of the image are made zero on the disk.
    pub zero: ZeroMode,
    /// The SHA-256 that the compressed image must have; compared before the disk can boot.
    pub sha256: Option<Digest>,
}

/// What is done at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the image's first MiB and comparing it with the disk. Nothing was written yet.
    Prepare,
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
    /// Bytes of this phase; an estimate while the image is still being read, `None` while not even that is possible.
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
    image: ImageSource,
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
    result.map_err(|cause| FlashError::new(&facts.disk.path, meter.phase(), cause))
}

struct Run<'a> {
    session: &'a Session,
    facts: &'a Facts,
    options: &'a FlashOptions,
    meter: &'a Meter<'a>,
}

impl Run<'_> {
    async fn all(&self, image: ImageSource) -> Result<Flashed, Cause> {
        let started = Instant::now();
        let compressed_size = image.size();
        let mut remote = Remote::start(self.session, self.rights(), &self.script()).await?;
        self.same_disk(&mut remote).await?;
        let mut decoding = Decoding::start(image, self.facts.disk.size);
        let (head, first) = read_head(&mut decoding).await?;
        let gpt = self.partitions(&head)?;

        self.wipe(&mut remote).await?;
        let written = self.write(&mut remote, &mut decoding, first, compressed_size).await?;
        let image = decoding.image().ok_or(Cause::Internal("the image ended without a summary"))?;
        self.check(&image, &gpt)?;
        let zeroed = self.zero(&mut remote, &image).await?;
        let verified = self.verify(&mut remote, &image, &zeroed.written).await?;
        self.finish(&mut remote, head).await?;

        Ok(Flashed {
            raw_bytes: image.raw_size,
            compressed_bytes: image.compressed_size,
            compressed_sha256: image.compressed_sha256,
            written_bytes: written + HEAD,
            zeroed_bytes: zeroed.written.iter().map(|range| range.end - range.start).sum(),
            verified_bytes: verified + zeroed.verified + HEAD,
            took: started.elapsed(),
        })
    }

    /// The probe may be minutes old, and disks can change their names.
    async fn same_disk(&self, remote: &mut Remote) -> Result<(), Cause> {
        let disk = &self.facts.disk;
        let answer = remote.ask(&Command::Identify).await?;
        let expected = format!("i {} {}", disk.number, disk.size / 512);
        if disk.kind == Kind::Block && answer != expected {
            return Err(Cause::OtherDisk { expected, found: answer });
        }
        Ok(())
    }

    /// Reads the partition table, and from it the size of the image, before anything is written.
    fn partitions(&self, head: &[u8]) -> Result<Gpt, Cause> {
        // How large the image is, the table itself says.
        let gpt = Gpt::parse(head, u64::MAX).map_err(Cause::Partitions)?;
        let needed = image_end(&gpt);
        let size = self.facts.disk.size;
        if needed > size {
            return Err(Cause::TooLarge { needed, size });
        }
        Ok(gpt)
    }

    async fn wipe(&self, remote: &mut Remote) -> Result<(), Cause> {
        self.meter.begin(Phase::Wipe, Some(2 * HEAD));
        let size = self.facts.disk.size;
        let tail = size.saturating_sub(HEAD) / 512 * 512;
        for range in [0..HEAD.min(size), tail..size / 512 * 512] {
            remote.zero(range.clone()).await?;
            self.meter.add(range.end - range.start);
        }
        remote.ask(&Command::Sync).await?;
        Ok(())
    }

    async fn write(
        &self,
        remote: &mut Remote,
        decoding: &mut Decoding,
        first: Option<Event>,
        compressed_size: Option<u64>,
    ) -> Result<u64, Cause> {
        self.meter.begin(Phase::Write, None);
        let estimate = |sent: u64, consumed: u64| {
            let total = compressed_size.filter(|_| consumed > 0)?;
            u64::try_from(u128::from(sent) * u128::from(total) / u128::from(consumed)).ok()
        };
        remote
            .pipeline(
                async |feed| {
                    let mut sent = 0;
                    let mut next = first;
                    while let Some(event) = next {
                        if let Event::Data { offset, bytes, .. } = event {
                            self.fits(offset, bytes.len())?;
                            sent += bytes.len() as u64;
                            self.meter.total(estimate(sent, decoding.consumed()));
                            feed.write(offset, bytes).await?;
                        }
                        next = decoding.next().await?;
                    }
                    self.meter.total(Some(sent));
                    Ok(sent)
                },
                |bytes| self.meter.add(bytes),
            )
            .await
    }

    fn fits(&self, offset: u64, len: usize) -> Result<(), Cause> {
        let (needed, size) = (offset + len as u64, self.facts.disk.size);
        if needed > size { Err(Cause::TooLarge { needed, size }) } else { Ok(()) }
    }

    /// Whether the whole image is the right one. Until here it was only hoped.
    fn check(&self, image: &Image, gpt: &Gpt) -> Result<(), Cause> {
        let expected = image_end(gpt);
        if image.raw_size != expected {
            return Err(Cause::WrongSize { expected, found: image.raw_size });
        }
        let layout = image.layout.as_ref().map_err(|error| Cause::Partitions(error.clone()))?;
        layout.backup.clone().map_err(Cause::Partitions)?;
        match self.options.sha256 {
            Some(expected) if expected != image.compressed_sha256 => {
                Err(Cause::WrongDigest { expected, found: image.compressed_sha256 })
            }
            _ => Ok(()),
        }
    }

    async fn zero(&self, remote: &mut Remote, image: &Image) -> Result<zero::Done, Cause> {
        let ranges = zero::ranges(image, self.options.zero);
        self.meter.begin(Phase::Zero, Some(ranges.iter().map(|range| range.end - range.start).sum()));
        let mut done = zero::make(remote, ranges, self.meter).await?;
        // What was wiped beyond the image is to be proven as well.
        let size = self.facts.disk.size / 512 * 512;
        let tail = image.raw_size.max(size.saturating_sub(HEAD));
        if tail < size {
            done.written.push(tail..size);
        }
        Ok(done)
    }

    async fn verify(&self, remote: &mut Remote, image: &Image, zeroed: &[std::ops::Range<u64>]) -> Result<u64, Cause> {
        let extents: Vec<_> = image.extents.iter().filter(|extent| extent.offset >= HEAD).copied().collect();
        let zeros = zero::expected(zeroed).await;
        let all = || extents.iter().chain(&zeros);
        let total = all().map(|extent| extent.len).sum();
        self.meter.begin(Phase::Verify, Some(total));
        remote.ask(&Command::Sync).await?;
        remote
            .pipeline(
                async |feed| {
                    for extent in all() {
                        feed.verify(*extent).await?;
                    }
                    Ok(())
                },
                |bytes| self.meter.add(bytes),
            )
            .await?;
        Ok(total)
    }

    async fn finish(&self, remote: &mut Remote, head: Vec<u8>) -> Result<(), Cause> {
        self.meter.begin(Phase::Finish, Some(HEAD));
        self.same_disk(remote).await?;
        let sha256 = Digest::of(&head);
        remote.write(0, head.into()).await?;
        remote.ask(&Command::Sync).await?;
        remote.verify(crate::disk_image::Extent { offset: 0, len: HEAD, sha256 }).await?;
        self.meter.add(HEAD);
        remote.ask(&Command::Quit).await?;
        Ok(())
    }

    fn rights(&self) -> Rights {
        match self.facts.privilege {
            Privilege::Root => Rights::Root,
            Privilege::None(_) => Rights::User,
        }
    }

    fn script(&self) -> String {
        let hash = self.facts.hash_command.as_deref().unwrap_or("sha256sum");
        format!("disk={} sum={}\n{SCRIPT}", quote(&self.facts.disk.device), quote(hash))
    }
}

/// The first MiB of the image, and the first event after it.
async fn read_head(decoding: &mut Decoding) -> Result<(Vec<u8>, Option<Event>), Cause> {
    let mut head = vec![0; HEAD as usize];
    while let Some(event) = decoding.next().await? {
        match event {
            Event::Data { offset, bytes, .. } if offset < HEAD => {
                // No event crosses the end of the head.
                let at = offset as usize;
                head[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            Event::Zero { offset, .. } if offset < HEAD => {}
            later => return Ok((head, Some(later))),
        }
    }
    Ok((head, None))
}

/// The backup header is in the last sector of an image.
fn image_end(gpt: &Gpt) -> u64 {
    gpt.backup_header + u64::from(gpt.sector_size)
}

/// Counts, and tells the caller a few times a second.
pub(super) struct Meter<'a> {
    tell: OnProgress<'a>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    done: u64,
    total: Option<u64>,
    began: Instant,
    told: Option<Instant>,
}

impl<'a> Meter<'a> {
    fn new(tell: OnProgress<'a>) -> Self {
        let now = Instant::now();
        Self { tell, state: Mutex::new(State { phase: Phase::Prepare, done: 0, total: None, began: now, told: None }) }
    }

    fn phase(&self) -> Phase {
        self.change(|state| state.phase)
    }

    fn begin(&self, phase: Phase, total: Option<u64>) {
        let now = Instant::now();
        let shown = self.change(|state| {
            *state = State { phase, done: 0, total, began: now, told: None };
            state.shown(now)
        });
        (self.tell)(shown);
    }

    fn total(&self, total: Option<u64>) {
        self.change(|state| state.total = total.or(state.total));
    }

    fn add(&self, bytes: u64) {
        let now = Instant::now();
        let shown = self.change(|state| {
            state.done += bytes;
            let due = state.total == Some(state.done) || state.told.is_none_or(|told| now - told >= TELL_EVERY);
            due.then(|| {
                state.told = Some(now);
                state.shown(now)
            })
        });
        if let Some(shown) = shown {
            (self.tell)(shown);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn shown(&self, now: Instant) -> Progress {
        let seconds = (now - self.began).as_secs_f64();
        let rate = if seconds > 0.0 { (self.done as f64 / seconds) as u64 } else { 0 };
        Progress { phase: self.phase, done: self.done, total: self.total, rate }
    }
}

const SCRIPT: &str = include_str!("flash/flash.sh");

const TELL_EVERY: Duration = Duration::from_millis(250);
