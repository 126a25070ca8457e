//! Decodes a compressed image into a prepared one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

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

/// What is prepared, and where.
pub(super) struct Preparation {
    pub(super) compressed: PathBuf,
    /// Hex, of the compressed image.
    pub(super) sha256: String,
    pub(super) part: Part,
    pub(super) target: PathBuf,
}

impl Preparation {
    /// Decodes to the end, and gives the file its name only when everything is on the disk. `tell` hears of compressed bytes.
    pub(super) fn run(self, stop: &CancellationToken, tell: impl Fn(u64)) -> Result<PreparedImage, Failure> {
        let mut sink = Sink::create(&self.part.0)?;
        let image = self.decode(&mut sink, stop, tell)?;
        if image.compressed_sha256.to_string() != self.sha256 {
            return Err(Failure::OtherDigest);
        }
        sink.write(&image.prepared_end())?;
        let file = sink.finish()?;
        fs::rename(&self.part.0, &self.target).map_err(|source| Failure::Write(self.target.clone(), source))?;
        Ok(PreparedImage::of(&self.target, file, image))
    }

    fn decode(&self, sink: &mut Sink<'_>, stop: &CancellationToken, tell: impl Fn(u64)) -> Result<Image, Failure> {
        let mut file = File::open(&self.compressed).map_err(Failure::Read)?;
        let mut decoder = Decoder::new(DecodeOptions { max_extent: EXTENT, ..DecodeOptions::new(LARGEST) });
        let mut done = 0;
        loop {
            if stop.is_cancelled() {
                return Err(Failure::Stopped);
            }
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).map_err(Failure::Read)?;
            if read == 0 {
                decoder.end_of_input();
            } else {
                chunk.truncate(read);
                decoder.push(Bytes::from(chunk));
            }
            while let Some(event) = decoder.next_event().map_err(Failure::Decode)? {
                if let Event::Data { bytes, .. } = event {
                    sink.write(&bytes)?;
                }
            }
            done += read as u64;
            tell(done);
            if read == 0 {
                return decoder.finish().map_err(Failure::Decode);
            }
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
