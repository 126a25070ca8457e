//! What a rescue shell and its disk are: read before a byte is written, and judged.

use std::time::Duration;

use thiserror::Error;

use super::session::{Rights, Session, SessionError, compact, quote};

mod facts;
mod ground;
mod refuse;

pub use facts::{Disk, Facts, Imds, Kind, Mount, Partition, Privilege, UserData};
pub use ground::{Ground, Needs, refusals_in_place, refuse_in_place, survey};
pub use refuse::{Refusal, Requirements, refusals, refuse};

/// Collects the facts about the shell and one disk. Writes nothing.
///
/// # Errors
/// When the connection is lost, or what answers is no POSIX shell.
pub async fn probe(session: &Session, disk: &str) -> Result<Facts, ProbeError> {
    let output = session.run_with(Rights::RootIfPossible, &script(disk), DEADLINE).await?;
    facts::parse(disk, &output.stdout).ok_or_else(|| ProbeError::Unreadable {
        address: session.address().to_owned(),
        status: output.status,
        said: beginning(&output.stderr, &output.stdout),
    })
}

/// Why nothing is known about the shell.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The conversation failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The script did not run to its end.
    #[error("looking at {address}: the script did not run to its end (status {status}): {said}")]
    Unreadable {
        /// `host:port`.
        address: String,
        /// Exit status.
        status: u32,
        /// The beginning of what came instead.
        said: String,
    },
}

impl ProbeError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Session(error) => error.hints(),
            Self::Unreadable { .. } => vec![
                "the login shell must be able to run `sh`; a forced command or a restricted shell will not do"
                    .to_owned(),
            ],
        }
    }
}

fn script(disk: &str) -> String {
    format!("disk={} imds={IMDS}\n{}", quote(disk), compact(SCRIPT))
}

fn beginning(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(200).collect()
}

const SCRIPT: &str = include_str!("probe/probe.sh");

/// Oracle Cloud's instance metadata service, version 2 (it wants `Authorization: Bearer Oracle`).
const IMDS: &str = "http://169.254.169.254/opc/v2";

const DEADLINE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_short_enough_for_dropbear() {
        // Each quote becomes four characters; the rest of the command is that which becomes root.
        let script = script("/dev/disk/by-id/scsi-360a1b2c3d4e5f60718293a4b5c6d7e8f90");
        let len = quote(&script).len() + 200;
        assert!(len < 9000, "{len}");
    }
}
