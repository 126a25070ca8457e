//! An image that was decoded once, and from which any number of disks can be written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::disk_image::{Digest, Image, PreparedError, PreparedMap, PreparedTrailer, Run, Slot};

/// A prepared image; clones share the open file, which stays readable when the cache drops its name.
#[derive(Clone, Debug)]
pub struct PreparedImage {
    path: PathBuf,
    file: Arc<File>,
    image: Arc<Image>,
}

/// Why a prepared image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("reading {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not, or no longer, what was written.
    #[error("using the prepared image {path}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: PreparedError,
    },
}

impl PreparedImage {
    /// Opens a prepared image and compares all of its data with the digests: 140 MB take a few tenths of a second.
    ///
    /// # Errors
    /// When there is none, or it is damaged or of another version.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let wrong = |source| ReadError::Content { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut trailer = [0; PreparedTrailer::LEN];
        let Some(at) = len.checked_sub(PreparedTrailer::LEN as u64) else {
            return Err(wrong(PreparedError::Unfinished));
        };
        file.read_exact_at(&mut trailer, at).map_err(failed)?;
        let trailer = PreparedTrailer::parse(&trailer, len).map_err(wrong)?;
        let range = trailer.map();
        let mut buffer = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut buffer, range.start).map_err(failed)?;
        let map = PreparedMap::parse(&trailer, &buffer).map_err(wrong)?;
        let slots = map.slots();
        let mut reassembly = map.reassemble();
        for slot in slots {
            buffer.resize(slot.extent.len as usize, 0);
            file.read_exact_at(&mut buffer, slot.position).map_err(failed)?;
            reassembly.data(&buffer).map_err(wrong)?;
        }
        let image = reassembly.finish().map_err(wrong)?;
        Ok(Self::of(path, file, image))
    }

    /// One that was just made.
    pub(super) fn of(path: &Path, file: File, image: Image) -> Self {
        Self { path: path.to_owned(), file: Arc::new(file), image: Arc::new(image) }
    }

    /// What it was made of.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the data of one extent, at most 1 MiB, and compares it with the digest. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read, or was damaged since it was opened.
    pub fn read(&self, Slot { position, extent }: Slot) -> Result<Bytes, ReadError> {
        let mut bytes = vec![0; extent.len as usize];
        let path = || self.path.clone();
        self.file.read_exact_at(&mut bytes, position).map_err(|source| ReadError::Io { path: path(), source })?;
        extent.check(&bytes).map_err(|source| ReadError::Content { path: path(), source })?;
        Ok(bytes.into())
    }

    /// The digest of a run, which is read for it. Blocks.
    ///
    /// # Errors
    /// As [`PreparedImage::read`].
    pub fn digest(&self, run: &Run) -> Result<Digest, ReadError> {
        let mut hash = Sha256::new();
        for slot in run.slots() {
            hash.update(self.read(*slot)?);
        }
        Ok(Digest(hash.finalize().into()))
    }
}
