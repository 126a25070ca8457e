//! The unix socket that only its owner can open.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;
use uuid::Uuid;

/// A socket file (mode 0600) in a directory of its own (mode 0700); both are removed on drop.
#[derive(Debug)]
pub struct Socket {
    dir: PathBuf,
    path: PathBuf,
}

impl Socket {
    /// Listens in `dir`, or else in the system's directory for temporary files.
    ///
    /// The private directory closes the gap between making the socket and setting its mode.
    pub fn listen(dir: Option<&Path>) -> io::Result<(Self, UnixListener)> {
        let parent = dir.map_or_else(env::temp_dir, Path::to_owned);
        let name = format!("tf-{}", &Uuid::new_v4().simple().to_string()[..16]);
        let mut dir = parent.join(&name);
        if dir.join(FILE).as_os_str().len() > MAX_PATH {
            dir = Path::new("/tmp").join(&name);
        }
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let path = dir.join(FILE);
        let socket = Self { dir, path };
        let listener = UnixListener::bind(&socket.path)?;
        fs::set_permissions(&socket.path, fs::Permissions::from_mode(0o600))?;
        Ok((socket, listener))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.dir);
    }
}

const FILE: &str = "plugin";

/// What `sun_path` holds on Linux without its final zero; macOS has 103, and long directories for temporary files.
const MAX_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_can_open_it_and_it_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, _listener) = Socket::listen(Some(dir.path())).unwrap();
        assert_eq!(mode(socket.path()), 0o600);
        assert_eq!(mode(socket.path().parent().unwrap()), 0o700);
        drop(socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_a_socket_is_avoided() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(80));
        fs::create_dir(&long).unwrap();
        let (socket, _listener) = Socket::listen(Some(&long)).unwrap();
        assert!(socket.path().as_os_str().len() <= MAX_PATH);
        assert!(socket.path().starts_with("/tmp"));
    }
}
