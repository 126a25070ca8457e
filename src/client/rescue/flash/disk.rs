//! The disk of the rescue host, and the rule that it must not boot while it holds anything but a whole image.

use std::ops::Range;

use super::content::{Hashed, copies, whole};
use super::remote::{Remote, Start};
use super::wire::{Command, Job};
use super::zero::{self, Blank};
use super::{Cause, Meter, Phase};
use crate::client::cache::PreparedImage;
use crate::client::rescue::session::Session;
use crate::disk_image::{Digest, Extent, HEAD, Run};

pub(super) struct Disk<'a> {
    remote: Remote<'a>,
    meter: &'a Meter<'a>,
    /// Whole sectors, in bytes.
    size: u64,
    /// Its first MiB is that of the image: an earlier flash was complete. It is wiped before the first write.
    complete: bool,
    /// Up to here the disk was found to hold the image behind its head: it is not wiped any more.
    kept: u64,
}

impl<'a> Disk<'a> {
    pub(super) async fn open(
        session: &'a Session,
        start: Start,
        size: u64,
        meter: &'a Meter<'a>,
    ) -> Result<Self, Cause> {
        Ok(Self { remote: Remote::start(session, start).await?, meter, size, complete: false, kept: HEAD })
    }

    /// Wipes the disk unless its first MiB is that of the image already; with `pull` only once the image comes.
    pub(super) async fn look_for(&mut self, head: &[u8], pull: bool) -> Result<(), Cause> {
        self.complete = self.remote.hash(0..HEAD).await? == Digest::of(head);
        if self.complete {
            return Ok(());
        }
        if pull {
            self.remote.begin_pull().await?;
        }
        self.wipe().await
    }

    /// Passes over what an earlier, interrupted flash of the same image has written; gives its bytes.
    ///
    /// Data is written in order, so the first difference ends the search: on any other disk that is the first run.
    pub(super) async fn keep(&mut self, image: &PreparedImage) -> Result<u64, Cause> {
        self.meter.begin(Phase::Write, None);
        let mut kept = 0;
        for run in image.image().runs(HEAD, AT_ONCE) {
            let (wanted, found) = tokio::try_join!(whole(image, &run), self.remote.hash(run.range()))?;
            if wanted.sha256 != found {
                break;
            }
            self.kept = run.range().end;
            kept += run.size();
            self.meter.add(run.size());
        }
        Ok(kept)
    }

    /// Writes all data that is not kept, and gives its bytes. A disk that is complete but for a flaw is wiped only now, with `pull`
    /// once the image comes.
    pub(super) async fn write(&mut self, image: &PreparedImage, pull: bool) -> Result<u64, Cause> {
        let runs = image.image().runs(self.kept, AT_ONCE);
        let total = runs.iter().map(Run::size).sum();
        if total == 0 {
            return Ok(0);
        }
        if pull && self.complete {
            self.remote.begin_pull().await?;
        }
        self.before_writing().await?;
        self.meter.begin(Phase::Write, Some(total));
        if pull {
            self.remote.run(Hashed { image, runs: runs.into(), job: Job::Pull }, Some(self.meter)).await?;
        } else {
            self.remote.run(copies(image, runs), Some(self.meter)).await?;
        }
        Ok(total)
    }

    /// Makes ranges zero. What is zero already is only read: on an empty disk that saves half of the time. So does a disk that
    /// forgets when it is asked to, where nobody reads what it has forgotten.
    pub(super) async fn zero(&mut self, blanks: Vec<Blank>) -> Result<zero::Done, Cause> {
        self.meter.begin(Phase::Zero, Some(blanks.iter().map(|blank| blank.range.end - blank.range.start).sum()));
        let mut done = zero::Done::default();
        for Blank { range, unread } in blanks {
            let end = range.end;
            let (mut dirty, mut forget) = (false, unread);
            for chunk in zero::chunks(range) {
                let len = chunk.end - chunk.start;
                let mut empty = !dirty && self.remote.is_empty(chunk.clone()).await?;
                if !empty && self.complete {
                    self.before_writing().await?;
                    self.meter.begin(Phase::Zero, None);
                }
                if !empty && std::mem::take(&mut forget) {
                    self.remote.forget(chunk.start..end).await?;
                    empty = self.remote.is_empty(chunk.clone()).await?;
                }
                if empty {
                    done.verified += len;
                } else {
                    dirty = true;
                    self.remote.zero(chunk.clone()).await?;
                    done.written.push(chunk);
                }
                self.meter.add(len);
            }
        }
        Ok(done)
    }

    /// Reads back what was written; gives its bytes.
    pub(super) async fn verify(&mut self, image: &PreparedImage, zeroed: &[Range<u64>]) -> Result<u64, Cause> {
        let runs = image.image().runs(self.kept, HASHED_AT_ONCE);
        let mut empty = zeroed.to_vec();
        if !self.complete {
            // What was wiped beyond the image.
            empty.push(image.image().raw_size.max(self.tail().start)..self.size);
            empty.retain(|range| !range.is_empty());
        }
        let total = runs.iter().map(Run::size).chain(empty.iter().map(|range| range.end - range.start)).sum();
        self.meter.begin(Phase::Verify, Some(total));
        self.remote.ask(&Command::Sync).await?;
        self.remote.run(Hashed { image, runs: runs.into(), job: Job::Verify }, Some(self.meter)).await?;
        let empty: Vec<Job> = empty.into_iter().map(Job::VerifyEmpty).collect();
        self.remote.run(empty.into_iter(), Some(self.meter)).await?;
        Ok(total)
    }

    /// Lets the disk boot.
    pub(super) async fn finish(&mut self, head: Vec<u8>) -> Result<u64, Cause> {
        self.meter.begin(Phase::Finish, Some(HEAD));
        let sha256 = Digest::of(&head);
        let mut written = 0;
        if !self.complete {
            self.remote.same_disk().await?;
            self.remote.write(0, head.into()).await?;
            self.remote.ask(&Command::Sync).await?;
            written = HEAD;
        }
        self.remote.verify(Extent { offset: 0, len: HEAD, sha256 }).await?;
        self.meter.add(HEAD);
        self.remote.ask(&Command::Quit).await?;
        Ok(written)
    }

    async fn before_writing(&mut self) -> Result<(), Cause> {
        if self.complete {
            self.complete = false;
            self.wipe().await?;
        }
        Ok(())
    }

    /// The first MiB holds what makes a disk boot, the last one a copy that some firmware restores from.
    async fn wipe(&mut self) -> Result<(), Cause> {
        self.meter.begin(Phase::Wipe, Some(2 * HEAD));
        for range in [0..HEAD, self.tail()] {
            self.remote.zero(range).await?;
            self.meter.add(HEAD);
        }
        self.remote.ask(&Command::Sync).await?;
        Ok(())
    }

    fn tail(&self) -> Range<u64> {
        self.size.saturating_sub(HEAD).max(self.kept)..self.size
    }
}

/// Bytes that one answer stands for: what a broken connection, or a flash that was given up, has written in vain. A slow line of
/// 1 MiB a second takes seconds for it; a rescue host spends more time on its processes when it is less.
pub(super) const AT_ONCE: u64 = 4 << 20;

/// The same where nothing but a digest travels.
pub(super) const HASHED_AT_ONCE: u64 = 32 << 20;
