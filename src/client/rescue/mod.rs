//! The rescue shell: any Linux from which the disk to flash is free.
//!
//! All that is asked of it is a POSIX `sh` with `dd`, `sync` and `sha256sum`, and root (or `sudo` without a
//! password). Nothing is installed on it.

/// One SSH connection.
pub mod session;

/// What the shell and its disk are.
pub mod probe;
