//! The rescue host: an SSH server, and a pretend Linux with the machine's disk.

mod filter;
mod host;
mod kernel;
mod options;
mod sandbox;
mod ssh;
mod sshd;

pub use host::{Context, Ending, run};
pub use options::{DiskContent, RescueOptions, RescueRoot};
pub use sandbox::Sandbox;
pub use sshd::login_name;
