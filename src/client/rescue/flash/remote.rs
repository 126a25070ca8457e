//! The rescue host during a flash: one script after another, when a connection breaks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::wire::{Command, Job, Jobs, Wire, cut, digest, is_yes};
use super::{Cause, Meter};
use crate::client::rescue::session::{Rights, Session, SessionError};
use crate::disk_image::{Digest, Extent};

/// How the script is started, each time.
pub(super) struct Start {
    pub(super) rights: Rights,
    pub(super) script: String,
    /// How the answer begins that proves that the disk is the one that was checked; `None` takes any. The first answer is what
    /// all later ones must be: numbers and sizes alone may be those of another disk after a reboot.
    pub(super) identity: Option<String>,
    /// How long to try to get a broken connection back.
    pub(super) patience: Duration,
}

/// A rescue host at work on one disk.
pub(super) struct Remote<'a> {
    session: &'a Session,
    /// The connection that took the place of a broken one.
    replacement: Option<Session>,
    start: Start,
    wire: Wire,
}

impl<'a> Remote<'a> {
    pub(super) async fn start(session: &'a Session, mut start: Start) -> Result<Self, Cause> {
        let (wire, answer) = begin(session, &start).await?;
        start.identity = start.identity.map(|_| answer);
        Ok(Self { session, replacement: None, start, wire })
    }

    /// One command, one answer; asked again when the connection breaks, so it must bear to be done twice.
    pub(super) async fn ask(&mut self, command: &Command) -> Result<String, Cause> {
        loop {
            match self.wire.ask(command).await {
                Err(Cause::Session(error)) => self.reconnect(error).await?,
                answer => return answer,
            }
        }
    }

    /// Makes sure that the disk is still the one that was checked.
    pub(super) async fn same_disk(&mut self) -> Result<(), Cause> {
        let answer = self.ask(&Command::Identify).await?;
        identify(&self.start, &answer)
    }

    /// Makes a range zero.
    pub(super) async fn zero(&mut self, range: Range<u64>) -> Result<(), Cause> {
        for piece in cut(range)? {
            self.ask(&Command::Zero(piece)).await?;
        }
        Ok(())
    }

    /// Lets the disk forget a range: what it returns from there on is up to it, and to be looked at.
    pub(super) async fn forget(&mut self, range: Range<u64>) -> Result<(), Cause> {
        self.ask(&Command::Forget(range)).await?;
        Ok(())
    }

    /// Whether a range is zero as the disk returns it.
    pub(super) async fn is_empty(&mut self, range: Range<u64>) -> Result<bool, Cause> {
        let answer = self.ask(&Command::Empty(cut(range)?)).await?;
        Ok(is_yes(&answer))
    }

    /// The digest of a range as the disk returns it.
    pub(super) async fn hash(&mut self, range: Range<u64>) -> Result<Digest, Cause> {
        let answer = self.ask(&Command::Hash(cut(range)?)).await?;
        digest(&answer)
    }

    /// Makes sure that the rescue host can download the image, before anything depends on it.
    pub(super) async fn begin_pull(&mut self) -> Result<(), Cause> {
        loop {
            match self.wire.begin_pull().await {
                Err(Cause::Session(error)) => self.reconnect(error).await?,
                begun => return begun,
            }
        }
    }

    /// Writes one range.
    pub(super) async fn write(&mut self, offset: u64, bytes: Bytes) -> Result<(), Cause> {
        self.one(Job::Write(offset, bytes)).await
    }

    /// Compares one range with what it should be.
    pub(super) async fn verify(&mut self, extent: Extent) -> Result<(), Cause> {
        self.one(Job::Verify(extent)).await
    }

    /// Does jobs until there are no more, without waiting for each answer; `meter` hears of the bytes of each. What a broken
    /// connection left unconfirmed is done again over the next one.
    pub(super) async fn run(&mut self, mut jobs: impl Jobs, meter: Option<&Meter<'_>>) -> Result<(), Cause> {
        let open = Mutex::new(VecDeque::new());
        loop {
            match self.wire.run(&open, &mut jobs, meter).await {
                Err(Cause::Session(error)) => self.reconnect(error).await?,
                done => return done,
            }
        }
    }

    async fn one(&mut self, job: Job) -> Result<(), Cause> {
        self.run(vec![job].into_iter(), None).await
    }

    async fn reconnect(&mut self, mut error: SessionError) -> Result<(), Cause> {
        let deadline = Instant::now() + self.start.patience;
        loop {
            let fresh = again(self.session, error, deadline, CONNECT).await?;
            match begin(&fresh, &self.start).await {
                Ok((wire, _)) => {
                    self.wire = wire;
                    self.replacement = Some(fresh);
                    return Ok(());
                }
                Err(Cause::Session(next)) => error = next,
                Err(other) => return Err(other),
            }
        }
    }
}

/// Gets a broken connection back by `deadline`, with `limit` for one attempt.
///
/// # Errors
/// The reason of the last attempt; at once, when that does not heal.
pub(super) async fn again(
    session: &Session,
    mut error: SessionError,
    deadline: Instant,
    limit: Duration,
) -> Result<Session, SessionError> {
    while error.is_transient() && Instant::now() < deadline {
        tracing::warn!(%error, "the connection broke; connecting again");
        tokio::time::sleep(PAUSE).await;
        match session.reconnect(limit).await {
            Ok(fresh) => return Ok(fresh),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// Starts the script, and checks that it sees the right disk: after a reconnect the host may have rebooted. Gives what it said.
async fn begin(session: &Session, start: &Start) -> Result<(Wire, String), Cause> {
    let mut wire = Wire::start(session, start.rights, &start.script).await?;
    let answer = wire.ask(&Command::Identify).await?;
    identify(start, &answer)?;
    Ok((wire, answer))
}

fn identify(start: &Start, answer: &str) -> Result<(), Cause> {
    let Some(expected) = &start.identity else { return Ok(()) };
    let rest = answer.strip_prefix(expected.as_str());
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return Ok(());
    }
    Err(Cause::OtherDisk { expected: expected.clone(), found: answer.to_owned() })
}

/// Between two attempts to get a connection back.
const PAUSE: Duration = Duration::from_secs(1);

/// For one attempt.
const CONNECT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_known_by_what_was_checked_and_then_by_all_it_said_first() {
        let is = |expected: &str, answer: &str| {
            let identity = Some(expected.to_owned());
            let start = Start { rights: Rights::Root, script: String::new(), identity, patience: Duration::ZERO };
            identify(&start, answer).is_ok()
        };
        let (checked, first) = ("i 8:0 100", "i 8:0 100 9 2f0e ");
        assert!(is(checked, first) && is(first, first) && is(checked, checked));
        for other in ["i 8:0 1000 9 2f0e ", "i 8:16 100 9 2f0e ", "i 8:0 100 10 2f0e ", "i 8:0 100 9 77aa ", "i "] {
            assert!(!is(first, other), "{other}");
        }
        assert!(!is(checked, "i 8:0 1000 9 2f0e "));
    }
}
