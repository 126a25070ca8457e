//! Files that are complete or not there: written under another name, synced, and only then renamed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// A file that goes away unless it was renamed.
#[derive(Debug)]
pub(super) struct Part(pub(super) PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Already gone after the rename.
        let _ = fs::remove_file(&self.0);
    }
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// What became of a file that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, or was before.
    Gone,
    /// It has another content than the one to be removed, and stays.
    Kept,
}

/// Why a file was not read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be removed.
    #[error("removing {path}")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, a device or the like is there.
    #[error("{path} is there, and no file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// It would have been another than it had to be.
    #[error("what was written to {path} has sha256 {found}, not {expected}")]
    Other {
        /// The file.
        path: PathBuf,
        /// What it had to be.
        expected: String,
        /// What it would have been.
        found: String,
    },
}

impl FileError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                vec!["make room there, or choose a path on a larger disk; nothing was left behind".into()]
            }
            Self::Read { .. } | Self::Write { .. } | Self::Remove { .. } => {
                vec!["check the permissions of the file and of its directory".into()]
            }
            Self::NotAFile { .. } => vec!["choose the path of a file".into()],
            Self::Other { .. } => vec!["apply again: a file in the cache changed while it was read".into()],
        }
    }
}

/// Writes a file as `fill` does, making its directory when there is none. What was at `path` is replaced in one step, and
/// only if all went well. With `expected` (hex SHA-256) only that content is let through.
///
/// # Errors
/// When it cannot be written, or `fill` fails.
pub fn write(
    path: &Path,
    expected: Option<&str>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Content, FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let target = target(path)?;
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(FileError::NotAFile { path: path.to_owned() });
    };
    fs::create_dir_all(folder).map_err(failed)?;
    sweep(folder, name);
    let mut part_name = OsString::from(".");
    part_name.push(name);
    part_name.push(format!(".{}.part", std::process::id()));
    let part = Part(folder.join(part_name));
    // Its name can be guessed: what another put there is neither followed nor written to.
    let _ = fs::remove_file(&part.0);
    let file = File::create_new(&part.0).map_err(failed)?;
    // Tells others that it is at work. Where there are no locks, it goes without.
    let _ = file.try_lock();
    let mut sink = Sink { file: BufWriter::with_capacity(1 << 18, file), hash: Sha256::new(), size: 0 };
    fill(&mut sink).and_then(|()| sink.flush()).map_err(failed)?;
    sink.file.get_ref().sync_all().map_err(failed)?;
    let content = Content { size: sink.size, sha256: hex::encode(sink.hash.finalize()) };
    match expected {
        Some(expected) if expected != content.sha256 => {
            Err(FileError::Other { path: path.to_owned(), expected: expected.to_owned(), found: content.sha256 })
        }
        _ => {
            fs::rename(&part.0, &target).map_err(failed)?;
            Ok(content)
        }
    }
}

/// What is in the file, or `None` when there is none.
///
/// # Errors
/// When that cannot be found out.
pub fn look(path: &Path) -> Result<Option<Content>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(Some(Content { size, sha256: hex::encode(hash.finalize()) }));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}

/// Removes a file, but only with this content (hex SHA-256).
///
/// # Errors
/// When it cannot be read or removed.
pub fn remove(path: &Path, sha256: &str) -> Result<Removal, FileError> {
    match look(path)? {
        None => Ok(Removal::Gone),
        Some(content) if content.sha256 != sha256 => Ok(Removal::Kept),
        Some(_) => {
            fs::remove_file(path).map_err(|source| FileError::Remove { path: path.to_owned(), source })?;
            Ok(Removal::Gone)
        }
    }
}

/// Removes what runs that were killed left half-written of this file: nobody holds a lock on it, and nobody is about to take one.
fn sweep(folder: &Path, name: &OsStr) {
    let begins = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let process = found.to_str().and_then(|found| found.strip_prefix(&begins)?.strip_suffix(".part"));
        if !process.is_some_and(|process| !process.is_empty() && process.bytes().all(|digit| digit.is_ascii_digit())) {
            continue;
        }
        let fresh = |found: fs::Metadata| found.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age < ABOUT_TO));
        if entry.metadata().is_ok_and(|found| found.is_file() && !fresh(found))
            && File::options().write(true).open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            // Only room is lost when it stays.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Far more than passes between the making of a file and its lock.
const ABOUT_TO: Duration = Duration::from_secs(60);

/// Behind a link stands what is written; the link stays.
fn target(path: &Path) -> Result<PathBuf, FileError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(FileError::NotAFile { path: path.to_owned() }),
        Ok(_) => fs::canonicalize(path).map_err(|source| FileError::Read { path: path.to_owned(), source }),
        // A plain name has an empty parent, which is no directory that can be made.
        Err(_) => Ok(if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Hashes what passes.
struct Sink {
    file: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn put(path: &Path, bytes: &[u8]) -> Result<Content, FileError> {
        write(path, None, |out| out.write_all(bytes))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_with_its_directory_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/image");
        put(&path, b"before").unwrap();
        let content = put(&path, b"abc").unwrap();
        assert_eq!(content, Content { size: 3, sha256: ABC.into() });
        assert_eq!(look(&path).unwrap(), Some(content));
        assert_eq!(names(path.parent().unwrap()), ["image"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        put(&path, b"abc").unwrap();
        let error = write(&path, None, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the source broke"))
        });
        assert!(matches!(error, Err(FileError::Write { .. })));
        let error = write(&path, Some(&"0".repeat(64)), |out| out.write_all(b"other"));
        assert!(matches!(error, Err(FileError::Other { .. })));
        assert_eq!(look(&path).unwrap().unwrap().sha256, ABC);
        assert_eq!(names(folder.path()), ["image"]);
    }

    #[test]
    fn a_file_goes_only_with_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        put(&path, b"changed").unwrap();
        assert_eq!(remove(&path, ABC).unwrap(), Removal::Kept);
        put(&path, b"abc").unwrap();
        assert_eq!(remove(&path, ABC).unwrap(), Removal::Gone);
        assert_eq!(remove(&path, ABC).unwrap(), Removal::Gone);
        assert_eq!(look(&path).unwrap(), None);
        assert_eq!(look(&path.join("below")).unwrap(), None);
    }

    #[test]
    fn what_is_no_file_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(put(folder.path(), b"abc"), Err(FileError::NotAFile { .. })));
        assert!(matches!(put(Path::new("/dev/null"), b"abc"), Err(FileError::NotAFile { .. })));
        assert!(matches!(look(folder.path()), Err(FileError::NotAFile { .. })));
        assert!(matches!(remove(folder.path(), ABC), Err(FileError::NotAFile { .. })));
    }

    #[test]
    fn a_link_that_waits_at_the_name_of_the_part_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("image"), folder.path().join("other"));
        put(&other, b"precious").unwrap();
        let part = folder.path().join(format!(".image.{}.part", std::process::id()));
        std::os::unix::fs::symlink(&other, part).unwrap();
        put(&path, b"abc").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"precious");
        assert!(!path.is_symlink());
    }

    #[test]
    fn what_killed_runs_left_goes_and_what_is_at_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let old = |name: &str| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
            file
        };
        for name in [".image.4194305.part", ".other.4194305.part", ".image.mine.part"] {
            old(name);
        }
        let held = old(".image.4194306.part");
        held.lock().unwrap();
        File::create(folder.path().join(".image.4194307.part")).unwrap();
        put(&folder.path().join("image"), b"abc").unwrap();
        let kept = [".image.4194306.part", ".image.4194307.part", ".image.mine.part", ".other.4194305.part", "image"];
        assert_eq!(names(folder.path()), kept);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        put(&file, b"before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        put(&link, b"abc").unwrap();
        assert!(link.is_symlink());
        assert_eq!(look(&file).unwrap().unwrap().sha256, ABC);
    }
}
