//! Downloaded disk images, kept by digest so that every node and every run shares one download.
//!
//! Layout below the cache directory: `<sha256>.image` holds the compressed image, `<key>.ref` the digest that a URL
//! last gave, `<key>.lock` serialises processes that want the same URL. A file is written under another name and
//! renamed when complete and synced, so a crash leaves no half image under a digest.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::client::factory::{Factory, FactoryError};

/// Total size that [`ImageCache`] keeps by default: a few dozen images of 125 MB.
pub const DEFAULT_LIMIT: u64 = 4 << 30;

/// Pause between two tries for a lock that another process holds while it downloads.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// A directory of compressed disk images.
#[derive(Clone, Debug)]
pub struct ImageCache {
    directory: PathBuf,
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
    /// The download failed.
    #[error("downloading {url}")]
    Download {
        /// What was downloaded.
        url: Url,
        /// Why.
        #[source]
        source: FactoryError,
    },
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
        Self { directory: directory.into(), limit: DEFAULT_LIMIT }
    }

    /// Keeps at most `limit` bytes besides the image in use.
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// The image at `url`: from the cache when its digest still holds, else downloaded. With `pinned` (hex SHA-256)
    /// only that content is accepted. `progress` is told bytes had and, when known, bytes in all.
    pub async fn fetch(
        &self,
        factory: &Factory,
        url: &Url,
        pinned: Option<&str>,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<CachedImage, CacheError> {
        fs::create_dir_all(&self.directory).map_err(|source| self.broken(&self.directory, source))?;
        let key = hex::encode(Sha256::digest(url.as_str().as_bytes()));
        let _lock = self.lock(&key).await?;
        if let Some(image) = self.cached(&key, pinned).await? {
            tracing::info!(%url, path = %image.path.display(), "disk image found in the cache");
            return Ok(image);
        }
        let image = self.download(factory, url, &key, pinned, progress).await?;
        self.evict(&image.path);
        Ok(image)
    }

    /// Waits for other processes that download the same URL; the lock ends with the returned file.
    async fn lock(&self, key: &str) -> Result<File, CacheError> {
        let path = self.directory.join(format!("{key}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| self.broken(&path, source))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_INTERVAL).await,
                Err(TryLockError::Error(source)) => return Err(self.broken(&path, source)),
            }
        }
    }

    async fn cached(&self, key: &str, pinned: Option<&str>) -> Result<Option<CachedImage>, CacheError> {
        let digest = match pinned {
            Some(digest) => digest.to_owned(),
            None => match fs::read_to_string(self.directory.join(format!("{key}.ref"))) {
                Ok(digest) => digest.trim().to_owned(),
                Err(_) => return Ok(None),
            },
        };
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let path = self.image_path(&digest);
        let hashed = path.clone();
        let found = tokio::task::spawn_blocking(move || hash_file(&hashed)).await;
        match found {
            Ok(Ok((size, sha256))) if sha256 == digest => {
                touch(&path);
                Ok(Some(CachedImage { path, size, sha256 }))
            }
            _ => Ok(None),
        }
    }

    async fn download(
        &self,
        factory: &Factory,
        url: &Url,
        key: &str,
        pinned: Option<&str>,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<CachedImage, CacheError> {
        let part = Part(self.directory.join(format!("{key}.{}.part", std::process::id())));
        let failed = |source| CacheError::Download { url: url.clone(), source };
        let mut body = factory.open(url).await.map_err(failed)?;
        let total = body.size();
        let mut file = tokio::fs::File::create(&part.0).await.map_err(|source| self.broken(&part.0, source))?;
        let mut hash = Sha256::new();
        let mut size = 0u64;
        while let Some(chunk) = body.chunk().await.map_err(failed)? {
            hash.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(|source| self.broken(&part.0, source))?;
            progress(size, total);
        }
        file.sync_all().await.map_err(|source| self.broken(&part.0, source))?;
        let sha256 = hex::encode(hash.finalize());
        if let Some(wanted) = pinned
            && wanted != sha256
        {
            return Err(CacheError::Digest { url: url.clone(), wanted: wanted.to_owned(), found: sha256 });
        }
        let path = self.image_path(&sha256);
        fs::rename(&part.0, &path).map_err(|source| self.broken(&path, source))?;
        let reference = self.directory.join(format!("{key}.ref"));
        fs::write(&reference, &sha256).map_err(|source| self.broken(&reference, source))?;
        Ok(CachedImage { path, size, sha256 })
    }

    fn image_path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.image"))
    }

    /// Removes the images used longest ago until the rest fits the limit. Failing to is not worth failing a run: the
    /// directory is only larger than asked.
    fn evict(&self, keep: &Path) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let mut images: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "image") && entry.path() != keep)
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        images.sort();
        let mut total: u64 = images.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in images {
            if total <= self.limit {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                total -= size;
            }
        }
    }

    fn broken(&self, path: &Path, source: io::Error) -> CacheError {
        CacheError::Directory { path: path.to_owned(), source }
    }
}

/// A file that goes away unless it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Already gone after the rename; anything else is swept by the next download of the same process id.
        let _ = fs::remove_file(&self.0);
    }
}

fn touch(path: &Path) {
    // Only the order of eviction depends on it.
    if let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}
