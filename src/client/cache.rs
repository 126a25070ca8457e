//! Downloaded disk images, kept by digest so that every node and every run shares one download and one decode.
//!
//! Layout below the cache directory: `<sha256>.image` holds the compressed image, `<sha256>.prepared` what it decodes to
//! without the zeros ([`PreparedImage`]), `<key>.ref` the digest that a URL last gave, and `<key>.lock` serialises those who
//! want the same URL, in this process and others. A file is written under another name and renamed when complete and synced,
//! so a crash leaves no half image under a digest, and whoever only reads needs no lock.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use url::Url;

use crate::client::factory::{Factory, FactoryError};
use crate::client::file;
use crate::disk_image::DecodeError;

mod ground;
mod prepared;
mod preparing;
mod shelf;

pub use ground::{linked_by_another, user};
pub use prepared::{PreparedImage, ReadError};

use preparing::{Failure, Preparation, Source};
use shelf::Shelf;

/// Total size that [`ImageCache`] keeps by default: a dozen images of 265 MB, compressed and prepared.
pub const DEFAULT_LIMIT: u64 = 4 << 30;

/// Chunks of a download that wait for the decoder.
const ARRIVING: usize = 8;

/// Pause between two tries for a lock that another holds while it downloads.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// A directory of disk images.
#[derive(Clone, Debug)]
pub struct ImageCache {
    shelf: Shelf,
    limit: u64,
}

/// A complete compressed image on the local disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedImage {
    /// Where it lies.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// What is done for an image that is not in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetching {
    /// Another run, or another node of this one, is at the same image.
    Waiting,
    /// It comes.
    Downloading {
        /// Bytes had.
        done: u64,
        /// Bytes in all, when known.
        total: Option<u64>,
    },
    /// It is decoded.
    Preparing {
        /// Compressed bytes read.
        done: u64,
        /// Compressed bytes in all.
        total: u64,
    },
}

/// Hears what is done, often; must not block.
pub type OnFetch<'a> = &'a (dyn Fn(Fetching) + Send + Sync);

/// Which image, and where from.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Whom to ask.
    pub factory: &'a Factory,
    /// For what.
    pub url: &'a Url,
    /// Hex SHA-256 of the only content that is accepted.
    pub pinned: Option<&'a str>,
}

/// Why an image is not in the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory or a file in it cannot be used.
    #[error("using the image cache at {path}")]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than this user may write there, and so decide what is flashed.
    #[error("using the image cache at {path}: {why}")]
    Untrusted {
        /// The directory.
        path: PathBuf,
        /// Who, and how.
        why: String,
    },
    /// The download failed.
    #[error("downloading {url}")]
    Download {
        /// What was downloaded.
        url: Url,
        /// Why.
        #[source]
        source: FactoryError,
    },
    /// What was downloaded is no complete image.
    #[error("checking the disk image from {url}")]
    Decode {
        /// What was downloaded.
        url: Url,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The compressed image, or the decoded data, does not fit.
    #[error("the image cache at {path} has no room for the disk image: {needed} bytes are needed")]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// Bytes of the file that did not fit.
        needed: u64,
    },
    /// The work was given up.
    #[error("the disk image was not prepared")]
    Stopped,
    /// What was downloaded is not what was pinned.
    #[error("the image at {url} has sha256 {found}, but {wanted} is pinned")]
    Digest {
        /// What was downloaded.
        url: Url,
        /// The pin.
        wanted: String,
        /// What came.
        found: String,
    },
}

impl CacheError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Directory { .. } => vec![
                "set cache_dir in the provider block to a directory that is writable and has room for the image".into(),
            ],
            Self::Untrusted { path, .. } => vec![
                "whoever may write there decides what is flashed: set cache_dir in the provider block, or HOME or \
                 XDG_CACHE_HOME, so that it is a directory of your own"
                    .into(),
                format!(
                    "if only you have written there, take it back with `chown -R $(id -u)` and `chmod -R go-w` on {}",
                    path.display()
                ),
                "nothing was written to the machine".into(),
            ],
            Self::NoRoom { .. } => vec![
                "make room there, or set cache_dir in the provider block to a directory on a larger disk".into(),
                "nothing was written to the machine".into(),
            ],
            Self::Decode { source, .. } => source
                .hint()
                .map(str::to_owned)
                .into_iter()
                .chain([
                    "the damaged download was removed from the cache: apply again; if it is wrong again, the Factory \
                     serves a bad image"
                        .into(),
                    "nothing was written to the machine".into(),
                ])
                .collect(),
            Self::Stopped => Vec::new(),
            Self::Download { source, .. } => source.hints(),
            Self::Digest { .. } => vec![
                "the Factory may have rebuilt the image (its partition ids are random before Talos 1.14): check what is \
                 served now, and pin that digest if it is the one you trust"
                    .into(),
                "nothing was written to the machine".into(),
            ],
        }
    }
}

impl ImageCache {
    /// A cache below `directory`, which is made when first used.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { shelf: Shelf(directory.into()), limit: DEFAULT_LIMIT }
    }

    /// Keeps at most `limit` bytes besides the image in use.
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// The image ready to be written to disks: from the cache when it is there and whole; else it is decoded once, to its
    /// end, and downloaded before that unless the compressed image is there.
    ///
    /// # Errors
    /// When there is no such image, or no room for it. A damaged image is in the cache no more.
    pub async fn prepare(&self, wanted: Wanted<'_>, tell: OnFetch<'_>) -> Result<PreparedImage, CacheError> {
        let key = self.begin(wanted.url)?;
        loop {
            if let Some(found) = self.look(&key, wanted.pinned).await {
                return Ok(found);
            }
            let (lock, waited) = self.lock(&key, tell).await?;
            if waited {
                // What was waited for is read without the lock, by all who waited at the same time.
                drop(lock);
                continue;
            }
            // Between the look and the lock another may have come and gone.
            return match self.look(&key, wanted.pinned).await {
                Some(found) => Ok(found),
                None => self.make(wanted, &key, tell).await,
            };
        }
    }

    /// The compressed image: from the cache when its digest still holds, else downloaded.
    ///
    /// # Errors
    /// When there is no such image, or no room for it.
    pub async fn fetch(&self, wanted: Wanted<'_>, tell: OnFetch<'_>) -> Result<CachedImage, CacheError> {
        let key = self.begin(wanted.url)?;
        let (_lock, _) = self.lock(&key, tell).await?;
        if let Some(image) = self.compressed(&key, wanted.pinned).await {
            return Ok(image);
        }
        let image = self.download(wanted, &key, tell, None).await?;
        self.shelf.evict(&image.sha256, self.limit);
        Ok(image)
    }

    /// Makes the directory, and tidies it up; gives the name that stands for a URL there.
    fn begin(&self, url: &Url) -> Result<String, CacheError> {
        if let Some(why) = self.shelf.make().map_err(|source| broken(&self.shelf.0, source))? {
            return Err(CacheError::Untrusted { path: self.shelf.0.clone(), why });
        }
        self.shelf.tidy();
        Ok(hex::encode(Sha256::digest(url.as_str().as_bytes())))
    }

    /// Waits for others that want the same URL, and says whether there was one; the lock ends with the returned file.
    async fn lock(&self, key: &str, tell: OnFetch<'_>) -> Result<(File, bool), CacheError> {
        let path = self.shelf.lock(key);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| broken(&path, source))?;
        let mut waited = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok((file, waited)),
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut waited, true) {
                        tell(Fetching::Waiting);
                    }
                    tokio::time::sleep(LOCK_INTERVAL).await;
                }
                Err(TryLockError::Error(source)) => return Err(broken(&path, source)),
            }
        }
    }

    /// What the URL should give, as far as it is known.
    fn digest(&self, key: &str, pinned: Option<&str>) -> Option<String> {
        match pinned {
            Some(digest) => Some(digest.to_ascii_lowercase()).filter(|digest| shelf::is_digest(digest)),
            None => self.shelf.referenced(key),
        }
    }

    /// The prepared image, if there is a sound one.
    async fn look(&self, key: &str, pinned: Option<&str>) -> Option<PreparedImage> {
        let digest = self.digest(key, pinned)?;
        let path = self.shelf.prepared(&digest);
        let opened = tokio::task::spawn_blocking(move || PreparedImage::open(&path)).await.ok()?;
        match opened {
            Ok(found) if found.image().compressed_sha256.to_string() == digest => {
                self.shelf.touch(&digest);
                tracing::info!(path = %found.path().display(), "prepared disk image found in the cache");
                Some(found)
            }
            Ok(found) => {
                tracing::warn!(path = %found.path().display(), "a prepared image of another name is made anew");
                None
            }
            Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, reason, "the prepared image is made anew");
                None
            }
        }
    }

    /// Decodes what is in the cache, or else what comes. Only for whoever holds the lock.
    async fn make(&self, wanted: Wanted<'_>, key: &str, tell: OnFetch<'_>) -> Result<PreparedImage, CacheError> {
        self.shelf.sweep(key);
        if let Some(image) = self.named(key, wanted.pinned) {
            let done = match File::open(&image.path) {
                Ok(file) => self.keep(Preparation::start(Source::File(file), self.shelf.part(key)), &image, tell).await,
                Err(error) => Err(Failure::Read(error)),
            };
            match done {
                Err(Failure::Read(_) | Failure::Decode(_) | Failure::OtherDigest) => {
                    tracing::warn!(path = %image.path.display(), "the cached disk image is damaged; downloading it again");
                }
                done => return self.made(done, wanted.url, &image),
            }
        }
        let (arrived, arriving) = mpsc::channel(ARRIVING);
        let preparation = Preparation::start(Source::Download(arriving), self.shelf.part(key));
        let image = match self.download(wanted, key, tell, Some(arrived)).await {
            Ok(image) => image,
            Err(error) => {
                // It ends as well, and leaves nothing.
                let _ = preparation.end(|_| ()).await;
                return Err(error);
            }
        };
        let done = self.keep(preparation, &image, tell).await;
        let made = self.made(done, wanted.url, &image)?;
        self.shelf.evict(&image.sha256, self.limit);
        Ok(made)
    }

    fn made(
        &self,
        done: Result<PreparedImage, Failure>,
        url: &Url,
        image: &CachedImage,
    ) -> Result<PreparedImage, CacheError> {
        let failure = match done {
            Ok(prepared) => return Ok(prepared),
            Err(failure) => failure,
        };
        Err(match failure {
            Failure::Read(source) => broken(&image.path, source),
            Failure::Write(path, source) => broken(&path, source),
            Failure::NoRoom(needed) => CacheError::NoRoom { path: self.shelf.0.clone(), needed },
            Failure::Decode(source) => {
                self.shelf.remove(&image.sha256);
                CacheError::Decode { url: url.clone(), source }
            }
            // The file is ours alone, and was hashed a moment ago.
            Failure::OtherDigest => broken(&image.path, io::Error::other("it changed while it was read")),
            Failure::Stopped => CacheError::Stopped,
        })
    }

    /// Waits for what is made of an image, and gives it its name.
    async fn keep(
        &self,
        preparation: Preparation,
        image: &CachedImage,
        tell: OnFetch<'_>,
    ) -> Result<PreparedImage, Failure> {
        let prepared = preparation.end(|done| tell(Fetching::Preparing { done, total: image.size })).await?;
        let made = prepared.keep(&image.sha256, &self.shelf.prepared(&image.sha256))?;
        tracing::info!(path = %made.path().display(), bytes = made.image().data_size(), "disk image decoded and prepared");
        Ok(made)
    }

    /// The compressed image as its name says it is.
    fn named(&self, key: &str, pinned: Option<&str>) -> Option<CachedImage> {
        let sha256 = self.digest(key, pinned)?;
        let path = self.shelf.compressed(&sha256);
        let size = fs::metadata(&path).ok()?.len();
        Some(CachedImage { path, size, sha256 })
    }

    /// The compressed image if its digest holds.
    async fn compressed(&self, key: &str, pinned: Option<&str>) -> Option<CachedImage> {
        let image = self.named(key, pinned)?;
        let path = image.path.clone();
        let found = tokio::task::spawn_blocking(move || file::look(&path)).await.ok()?.ok()??;
        if found.sha256 != image.sha256 {
            return None;
        }
        self.shelf.touch(&image.sha256);
        tracing::info!(path = %image.path.display(), "disk image found in the cache");
        Some(image)
    }

    /// Downloads. Who decodes meanwhile gets the bytes as they arrive.
    async fn download(
        &self,
        wanted: Wanted<'_>,
        key: &str,
        tell: OnFetch<'_>,
        mut decoder: Option<mpsc::Sender<Option<Bytes>>>,
    ) -> Result<CachedImage, CacheError> {
        let Wanted { factory, url, pinned } = wanted;
        let part = self.shelf.part(key);
        let failed = |source| CacheError::Download { url: url.clone(), source };
        let mut body = factory.open(url).await.map_err(failed)?;
        let total = body.size();
        match (ground::room(&self.shelf.0), total) {
            (Some(room), Some(needed)) if needed > room => {
                return Err(CacheError::NoRoom { path: self.shelf.0.clone(), needed });
            }
            // One that never ends must not fill the disk.
            (Some(room), None) => body = body.at_most(room / 10 * 9),
            _ => {}
        }
        let broken = |path: &Path, source: io::Error| match total {
            Some(needed) if ground::is_full(&source) => CacheError::NoRoom { path: self.shelf.0.clone(), needed },
            _ => broken(path, source),
        };
        let mut file = tokio::fs::File::create(&part.0).await.map_err(|source| broken(&part.0, source))?;
        let mut hash = Sha256::new();
        let mut size = 0u64;
        while let Some(chunk) = body.chunk().await.map_err(failed)? {
            hash.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(|source| broken(&part.0, source))?;
            if let Some(listening) = &decoder
                && listening.send(Some(chunk)).await.is_err()
            {
                // It has found a flaw, and says so when the digest is known: that tells a damaged image from another one.
                decoder = None;
            }
            tell(Fetching::Downloading { done: size, total });
        }
        if let Some(listening) = decoder {
            let _ = listening.send(None).await;
        }
        // Only this tells of a last write that failed.
        file.flush().await.map_err(|source| broken(&part.0, source))?;
        file.sync_all().await.map_err(|source| broken(&part.0, source))?;
        let sha256 = hex::encode(hash.finalize());
        if let Some(wanted) = pinned
            && !wanted.eq_ignore_ascii_case(&sha256)
        {
            return Err(CacheError::Digest { url: url.clone(), wanted: wanted.to_owned(), found: sha256 });
        }
        let path = self.shelf.compressed(&sha256);
        fs::rename(&part.0, &path).map_err(|source| broken(&path, source))?;
        let reference = self.shelf.reference(key);
        fs::write(&reference, &sha256).map_err(|source| broken(&reference, source))?;
        Ok(CachedImage { path, size, sha256 })
    }
}

fn broken(path: &Path, source: io::Error) -> CacheError {
    CacheError::Directory { path: path.to_owned(), source }
}
