//! What the cache directory stands on: whose it is, and how much room there is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a directory is not to be trusted with what is flashed, or `None`. Root may do anything anyway.
pub(super) fn distrust(path: &Path) -> io::Result<Option<String>> {
    let us = user();
    if let Some(owner) = linked_by_another(path)? {
        return Ok(Some(format!("it is a symbolic link that user {owner} has made, and we are user {us}")));
    }
    let found = fs::metadata(path)?;
    if is_stranger(found.uid()) {
        return Ok(Some(format!("it belongs to user {}, and we are user {us}", found.uid())));
    }
    // A group of its owner's number is his alone, by the convention of systems whose umask lets a group write; of another it cannot
    // be told who is in it.
    let others = found.mode() & 0o002 != 0 || (found.mode() & 0o020 != 0 && found.gid() != found.uid());
    Ok(others.then(|| format!("other users may write to it (mode {:o})", found.mode() & 0o7777)))
}

/// Number of the user who made the symbolic link at a path, where that is somebody else.
pub fn linked_by_another(path: &Path) -> io::Result<Option<u32>> {
    let link = fs::symlink_metadata(path)?;
    Ok((link.is_symlink() && is_stranger(link.uid())).then(|| link.uid()))
}

fn is_stranger(uid: u32) -> bool {
    uid != user() && uid != 0
}

/// Number of the user that this program runs as.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Bytes that may still be written below a directory, where its file system tells.
pub(super) fn room(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether an error says that a disk is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    #[test]
    fn a_directory_is_trusted_only_if_nobody_else_may_write_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("cache"), folder.path().join("link"));
        fs::create_dir(&path).unwrap();
        let own_group = {
            let found = fs::metadata(&path).unwrap();
            found.gid() == found.uid()
        };
        for (mode, trusted) in [(0o700, true), (0o755, true), (0o775, own_group), (0o702, false), (0o1777, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(distrust(&path).unwrap().is_none(), trusted, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&path, &link).unwrap();
        assert_eq!(distrust(&link).unwrap(), None);
        // Only root may give a file away.
        if user() == 0 {
            lchown(&link, Some(4242), None).unwrap();
            assert!(distrust(&link).unwrap().unwrap().contains("symbolic link that user 4242"));
            assert_eq!(distrust(&path).unwrap(), None);
            chown(&path, None, Some(4242)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
            assert!(distrust(&path).unwrap().unwrap().contains("other users may write"));
            chown(&path, Some(4242), None).unwrap();
            assert!(distrust(&path).unwrap().unwrap().contains("belongs to user 4242"));
        }
    }

    #[test]
    fn there_is_room_somewhere() {
        assert!(room(&std::env::temp_dir()).is_some());
        assert_eq!(room(Path::new("/nowhere/at/all")), None);
    }
}
