//! The files of the cache directory: their names, their age, and which of them go.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::ground;
use crate::client::file::Part;

/// The cache directory.
#[derive(Clone, Debug)]
pub(super) struct Shelf(pub(super) PathBuf);

impl Shelf {
    /// Makes the directory, for this user alone: what lies here is flashed. Gives why one that is there is not to be used.
    pub(super) fn make(&self) -> io::Result<Option<String>> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        ground::distrust(&self.0)
    }

    pub(super) fn compressed(&self, digest: &str) -> PathBuf {
        self.0.join(format!("{digest}.image"))
    }

    pub(super) fn prepared(&self, digest: &str) -> PathBuf {
        self.0.join(format!("{digest}.prepared"))
    }

    pub(super) fn lock(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.lock"))
    }

    pub(super) fn reference(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.ref"))
    }

    /// The digest that a URL last gave.
    pub(super) fn referenced(&self, key: &str) -> Option<String> {
        let digest = fs::read_to_string(self.reference(key)).ok()?.trim().to_owned();
        is_digest(&digest).then_some(digest)
    }

    /// A file to be written.
    pub(super) fn part(&self, key: &str) -> Part {
        // A task of a run that was cancelled may still be about to notice it.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Part(self.0.join(format!("{key}.{process}.{count}.part")))
    }

    /// Removes what runs that were killed left half-written. Only for whoever holds the lock.
    pub(super) fn sweep(&self, key: &str) {
        for path in self.files() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(key) && name.ends_with(".part") {
                // Only room is lost when it stays.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Removes what killed runs left half-written of all images that nobody is at.
    pub(super) fn tidy(&self) {
        let key = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".part")?.to_owned();
            name.split('.').next().filter(|key| is_digest(key)).map(str::to_owned)
        };
        let keys: BTreeSet<String> = self.files().filter_map(key).collect();
        for key in keys {
            let Ok(lock) = File::options().create(true).truncate(false).write(true).open(self.lock(&key)) else {
                continue;
            };
            if lock.try_lock().is_ok() {
                self.sweep(&key);
            }
        }
    }

    /// Notes that an image is used. Only the order of eviction depends on it.
    pub(super) fn touch(&self, digest: &str) {
        for path in [self.compressed(digest), self.prepared(digest)] {
            if let Ok(file) = File::options().append(true).open(path) {
                let _ = file.set_modified(SystemTime::now());
            }
        }
    }

    /// Forgets an image.
    pub(super) fn remove(&self, digest: &str) {
        for path in [self.prepared(digest), self.compressed(digest)] {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the images used longest ago, compressed and prepared, until the rest fits `limit`. Failing to is not worth
    /// failing a run: the directory is only larger than asked.
    pub(super) fn evict(&self, keep: &str, limit: u64) {
        let mut images: HashMap<String, (SystemTime, u64)> = HashMap::new();
        for path in self.files() {
            let (Some(digest), Ok(metadata)) = (digest_of(&path), fs::metadata(&path)) else { continue };
            let image = images.entry(digest).or_insert((SystemTime::UNIX_EPOCH, 0));
            image.0 = image.0.max(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            image.1 += metadata.len();
        }
        images.remove(keep);
        let mut images: Vec<_> = images.into_iter().map(|(digest, (used, size))| (used, size, digest)).collect();
        images.sort();
        let mut total: u64 = images.iter().map(|(_, size, _)| size).sum();
        for (_, size, digest) in images {
            if total <= limit {
                break;
            }
            self.remove(&digest);
            total -= size;
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
    }
}

fn digest_of(path: &Path) -> Option<String> {
    let extension = path.extension()?;
    let stem = path.file_stem()?.to_str()?;
    (is_digest(stem) && (extension == "image" || extension == "prepared")).then(|| stem.to_owned())
}

pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
