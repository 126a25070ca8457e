//! The disk of the rescue host, and the rule that it must not boot while it holds anything but a whole image.

use std::ops::Range;

use super::remote::{Remote, Start};
use super::source::Decoding;
use super::wire::{Command, Job, Jobs};
use super::zero::{self, Blank};
use super::{Cause, Meter, Phase};
use crate::client::rescue::session::Session;
use crate::disk_image::{Digest, Event, Extent, HEAD, Image};

pub(super) struct Disk<'a> {
    remote: Remote<'a>,
    meter: &'a Meter<'a>,
    /// Whole sectors, in bytes.
    size: u64,
    /// Its first MiB is that of the image: an earlier flash was complete. It is wiped before the first write.
    complete: bool,
    /// Up to here the disk was found to hold the image: it is not wiped any more.
    kept: u64,
}

/// What an earlier flash had already brought to the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// Extents that begin before are on the disk.
    pub(super) end: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
}

impl<'a> Disk<'a> {
    pub(super) async fn open(
        session: &'a Session,
        start: Start,
        size: u64,
        meter: &'a Meter<'a>,
    ) -> Result<Self, Cause> {
        Ok(Self { remote: Remote::start(session, start).await?, meter, size, complete: false, kept: 0 })
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

    /// Passes over what an earlier, interrupted flash of the same image has written; gives the first event it has not.
    ///
    /// Extents are written in order, so the first difference ends the search: on any other disk that is the first extent.
    pub(super) async fn keep(
        &mut self,
        decoding: &mut Decoding,
        first: Option<Event>,
    ) -> Result<(Kept, Option<Event>), Cause> {
        self.meter.begin(Phase::Write, None);
        let mut kept = Kept::default();
        let mut next = first;
        while let Some(event) = next {
            if let Event::Data { offset, bytes, sha256 } = &event {
                let len = bytes.len() as u64;
                self.fits(*offset, len)?;
                if self.remote.hash(*offset..offset + len).await? != *sha256 {
                    return Ok((kept, Some(event)));
                }
                kept = Kept { end: offset + len, bytes: kept.bytes + len };
                self.kept = kept.end;
                self.meter.add(len);
            }
            next = decoding.next().await?;
        }
        Ok((kept, None))
    }

    /// Writes all data from `first` on. A disk that is complete but for a flaw is wiped only now, with `pull` once the image comes.
    pub(super) async fn write(
        &mut self,
        decoding: &mut Decoding,
        first: Option<Event>,
        pull: bool,
    ) -> Result<u64, Cause> {
        let Some(first) = first else { return Ok(0) };
        if pull && self.complete {
            self.remote.begin_pull().await?;
        }
        self.before_writing().await?;
        self.meter.begin(Phase::Write, None);
        let mut sent = 0;
        let jobs = Writing { decoding, next: Some(first), size: self.size, sent: &mut sent, pull, meter: self.meter };
        self.remote.run(jobs, Some(self.meter)).await?;
        Ok(sent)
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

    /// Reads back what was written.
    pub(super) async fn verify(&mut self, image: &Image, kept: u64, zeroed: &[Range<u64>]) -> Result<u64, Cause> {
        let data = image.extents.iter().filter(|extent| extent.offset >= kept.max(HEAD)).copied();
        let mut empty = zeroed.to_vec();
        if !self.complete {
            // What was wiped beyond the image.
            empty.push(image.raw_size.max(self.tail().start)..self.size);
            empty.retain(|range| !range.is_empty());
        }
        let total =
            data.clone().map(|extent| extent.len).chain(empty.iter().map(|range| range.end - range.start)).sum();
        self.meter.begin(Phase::Verify, Some(total));
        self.remote.ask(&Command::Sync).await?;
        let jobs: Vec<Job> = data.map(Job::Verify).chain(empty.into_iter().map(Job::VerifyEmpty)).collect();
        self.remote.run(jobs.into_iter(), Some(self.meter)).await?;
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

    fn fits(&self, offset: u64, len: u64) -> Result<(), Cause> {
        fits(self.size, offset, len)
    }
}

/// The data of an image as it is decoded.
pub(super) struct Writing<'a, 'm> {
    pub(super) decoding: &'a mut Decoding,
    pub(super) next: Option<Event>,
    pub(super) size: u64,
    /// Bytes of data so far.
    pub(super) sent: &'a mut u64,
    /// The rescue host has the data: it needs only be told which.
    pub(super) pull: bool,
    pub(super) meter: &'a Meter<'m>,
}

impl Jobs for Writing<'_, '_> {
    async fn next(&mut self) -> Result<Option<Job>, Cause> {
        loop {
            let event = match self.next.take() {
                Some(event) => event,
                None => match self.decoding.next().await? {
                    Some(event) => event,
                    None => return Ok(None),
                },
            };
            if let Event::Data { offset, bytes, sha256 } = event {
                let len = bytes.len() as u64;
                fits(self.size, offset, len)?;
                *self.sent += len;
                self.meter.total(self.decoding.estimate(*self.sent));
                let extent = Extent { offset, len, sha256 };
                return Ok(Some(if self.pull { Job::Pull(extent) } else { Job::Write(offset, bytes) }));
            }
        }
    }
}

fn fits(size: u64, offset: u64, len: u64) -> Result<(), Cause> {
    let needed = offset + len;
    if needed > size { Err(Cause::TooLarge { needed, size }) } else { Ok(()) }
}
