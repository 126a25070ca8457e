//! Decodes a compressed image into a prepared one, while it is downloaded if it is.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ground::is_full;
use super::prepared::PreparedImage;
use crate::client::file::Part;
use crate::disk_image::{DecodeError, DecodeOptions, Decoder, Event, Image};

/// Larger than any disk image of Talos (9192 MiB in 1.14), so that an endless stream ends.
const LARGEST: u64 = 256 << 30;

/// Bytes read from the compressed file at once.
const CHUNK: usize = 1 << 20;

/// Bytes of one extent: what a flash holds in memory at once, several of them. A write of this size keeps a disk busy.
const EXTENT: usize = 1 << 20;

/// Why there is no prepared image.
#[derive(Debug)]
pub(super) enum Failure {
    /// The compressed image.
    Read(io::Error),
    /// The prepared image.
    Write(PathBuf, io::Error),
    /// The disk is full; so many bytes would have been written.
    NoRoom(u64),
    /// The compressed image is none.
    Decode(DecodeError),
    /// It is another than its name says.
    OtherDigest,
    /// Nobody wants it any more.
    Stopped,
}

/// Where the compressed image comes from.
pub(super) enum Source {
    File(File),
    /// As it arrives; `None` is its end. A download that fails ends without one.
    Download(mpsc::Receiver<Option<Bytes>>),
}

/// An image that is being decoded, by a thread of its own. Dropping it stops that.
pub(super) struct Preparation {
    task: JoinHandle<Result<Prepared, Failure>>,
    /// Compressed bytes that were read.
    seen: watch::Receiver<u64>,
    _stopped_with_us: DropGuard,
}

/// A prepared image without a name.
pub(super) struct Prepared {
    part: Part,
    file: File,
    image: Image,
}

impl Preparation {
    pub(super) fn start(source: Source, part: Part) -> Self {
        let stop = CancellationToken::new();
        let stopped_with_us = stop.clone().drop_guard();
        let (done, seen) = watch::channel(0);
        let task = tokio::task::spawn_blocking(move || Prepared::make(source, part, &stop, &done));
        Self { task, seen, _stopped_with_us: stopped_with_us }
    }

    /// Waits for its end. `tell` hears of compressed bytes.
    pub(super) async fn end(mut self, tell: impl Fn(u64)) -> Result<Prepared, Failure> {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.seen.changed() => tell(*self.seen.borrow_and_update()),
                made = &mut self.task => return made.unwrap_or(Err(Failure::Stopped)),
            }
        }
    }
}

impl Prepared {
    /// Decodes to the end.
    fn make(
        mut source: Source,
        part: Part,
        stop: &CancellationToken,
        done: &watch::Sender<u64>,
    ) -> Result<Self, Failure> {
        let mut sink = Sink::create(&part.0)?;
        let mut decoder = Decoder::new(DecodeOptions { max_extent: EXTENT, ..DecodeOptions::new(LARGEST) });
        let image = loop {
            let chunk = source.next()?;
            if stop.is_cancelled() {
                return Err(Failure::Stopped);
            }
            let read = chunk.as_ref().map(Bytes::len);
            match chunk {
                Some(bytes) => decoder.push(bytes),
                None => decoder.end_of_input(),
            }
            while let Some(event) = decoder.next_event().map_err(Failure::Decode)? {
                if let Event::Data { bytes, .. } = event {
                    sink.write(&bytes)?;
                }
            }
            match read {
                Some(read) => done.send_modify(|done| *done += read as u64),
                None => break decoder.finish().map_err(Failure::Decode)?,
            }
        };
        sink.write(&image.prepared_end())?;
        let file = sink.finish()?;
        Ok(Self { part, file, image })
    }

    /// Gives it its name, if it is made of what has this digest (hex). Everything is on the disk by now.
    pub(super) fn keep(self, sha256: &str, target: &Path) -> Result<PreparedImage, Failure> {
        if self.image.compressed_sha256.to_string() != sha256 {
            return Err(Failure::OtherDigest);
        }
        fs::rename(&self.part.0, target).map_err(|source| Failure::Write(target.to_owned(), source))?;
        Ok(PreparedImage::of(target, self.file, self.image))
    }
}

impl Source {
    /// The next bytes, or `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::File(file) => {
                let mut chunk = vec![0; CHUNK];
                let read = file.read(&mut chunk).map_err(Failure::Read)?;
                chunk.truncate(read);
                Ok((read > 0).then(|| Bytes::from(chunk)))
            }
            Self::Download(arriving) => arriving.blocking_recv().ok_or(Failure::Stopped),
        }
    }
}

/// Where the data goes. On a full disk it only counts on, so that it can be said how much is needed.
struct Sink<'a> {
    path: &'a Path,
    file: File,
    full: bool,
    size: u64,
}

impl<'a> Sink<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        // Written and then read through the same handle, whatever becomes of the name.
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        Ok(Self { path, file: file.map_err(|source| Failure::Write(path.to_owned(), source))?, full: false, size: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.size += bytes.len() as u64;
        if self.full {
            return Ok(());
        }
        match self.file.write_all(bytes) {
            Err(error) if is_full(&error) => {
                self.full = true;
                // Others may need the room meanwhile.
                let _ = self.file.set_len(0);
                Ok(())
            }
            done => done.map_err(|source| Failure::Write(self.path.to_owned(), source)),
        }
    }

    fn finish(self) -> Result<File, Failure> {
        if self.full {
            return Err(Failure::NoRoom(self.size));
        }
        match self.file.sync_all() {
            Ok(()) => Ok(self.file),
            Err(error) if is_full(&error) => Err(Failure::NoRoom(self.size)),
            Err(source) => Err(Failure::Write(self.path.to_owned(), source)),
        }
    }
}
