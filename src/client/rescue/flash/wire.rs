//! What is said to `flash.sh` over one connection.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::pieces::{Piece, pieces};
use super::{Cause, Meter};
use crate::client::rescue::session::{Input, Lines, Rights, Session, SessionError};
use crate::disk_image::{Digest, Extent};

/// One line to the script; data follows a `Write`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Identify,
    Write(Piece),
    Zero(Piece),
    Hash(Vec<Piece>),
    Sync,
    Quit,
}

/// The two ends of a running `flash.sh`.
pub(super) struct Wire {
    input: Input,
    lines: Lines,
}

/// A piece of work that may be done twice.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// Write these bytes at this offset.
    Write(u64, Bytes),
    /// Compare this range with its digest.
    Verify(Extent),
}

/// Where jobs come from.
pub(super) trait Jobs: Send {
    /// The next job; a caller that drops the call may ask again.
    fn next(&mut self) -> impl Future<Output = Result<Option<Job>, Cause>> + Send;
}

impl Jobs for std::vec::IntoIter<Job> {
    async fn next(&mut self) -> Result<Option<Job>, Cause> {
        Ok(Iterator::next(self))
    }
}

impl Wire {
    pub(super) async fn start(session: &Session, rights: Rights, script: &str) -> Result<Self, Cause> {
        let process = session.start(rights, script).await?;
        Ok(Self { input: process.input, lines: process.output })
    }

    /// One command, one answer.
    pub(super) async fn ask(&mut self, command: &Command) -> Result<String, Cause> {
        let line = Bytes::from(format!("{command}\n"));
        if let Err(error) = self.input.send(line).await {
            return Err(self.last_words(error).await);
        }
        let answer = self.answer().await?;
        check(command, &answer)?;
        Ok(answer)
    }

    /// Hands over jobs without waiting for each answer. A job is in `open` from before it is sent until it is confirmed, so
    /// after an error `open` holds what must be done again, in order.
    ///
    /// What the script says about a failure wins over the broken pipe that follows from it.
    pub(super) async fn run(
        &mut self,
        open: &Mutex<VecDeque<Job>>,
        jobs: &mut impl Jobs,
        meter: Option<&Meter<'_>>,
    ) -> Result<(), Cause> {
        let again: Vec<Job> = lock(open).iter().cloned().collect();
        let (sender, mut expected) = mpsc::unbounded_channel::<Vec<Command>>();
        let input = self.input.clone();
        // A server may take far more than its script has done; what it has not confirmed is kept here.
        let room = Semaphore::new(IN_FLIGHT as usize);
        let room = &room;
        let sending = async move {
            for job in again {
                take(room, &job).await;
                send(&input, &sender, job).await?;
            }
            while let Some(job) = jobs.next().await? {
                take(room, &job).await;
                lock(open).push_back(job.clone());
                send(&input, &sender, job).await?;
            }
            Ok(())
        };
        let receiving = async {
            loop {
                // While the image is slow to come nothing is expected, and still the script may end.
                let commands = tokio::select! {
                    biased;
                    commands = expected.recv() => commands,
                    said = self.lines.next() => return Err(unasked(said)),
                };
                let Some(commands) = commands else { return Ok(()) };
                let mut answer = String::new();
                for command in &commands {
                    answer = self.answer().await?;
                    check(command, &answer)?;
                }
                let job = lock(open).front().cloned();
                let bytes = job.map_or(Ok(0), |job| job.confirm(&answer))?;
                if let Some(meter) = meter {
                    meter.add(bytes);
                }
                if let Some(job) = lock(open).pop_front() {
                    room.add_permits(job.weight() as usize);
                }
            }
        };
        tokio::pin!(sending, receiving);
        tokio::select! {
            sent = &mut sending => match sent {
                Ok(()) => receiving.await,
                Err(Cause::Session(error)) => {
                    match tokio::time::timeout(LAST_WORDS, receiving).await {
                        Ok(Err(better)) => Err(better),
                        _ => Err(Cause::Session(error)),
                    }
                }
                Err(error) => Err(error),
            },
            // Ends well only after `sending` has dropped its end.
            received = &mut receiving => match received {
                Ok(()) => sending.await,
                Err(error) => Err(error),
            },
        }
    }

    async fn answer(&mut self) -> Result<String, Cause> {
        match tokio::time::timeout(STALL, self.lines.next()).await {
            Err(_) => Err(Cause::Stalled { seconds: STALL.as_secs() }),
            Ok(Ok(Some(line))) if !line.starts_with('!') => Ok(line),
            Ok(said) => Err(unasked(said)),
        }
    }

    /// What the script said before its input broke.
    async fn last_words(&mut self, error: SessionError) -> Cause {
        loop {
            match tokio::time::timeout(LAST_WORDS, self.answer()).await {
                Ok(Ok(_)) => {}
                Ok(Err(Cause::Session(_))) | Err(_) => return Cause::Session(error),
                Ok(Err(better)) => return better,
            }
        }
    }
}

/// Waits until so much was confirmed that another job may be under way.
async fn take(room: &Semaphore, job: &Job) {
    // It is never closed.
    if let Ok(permit) = room.acquire_many(job.weight()).await {
        permit.forget();
    }
}

/// Sends the commands of one job, and their data.
async fn send(input: &Input, expected: &mpsc::UnboundedSender<Vec<Command>>, job: Job) -> Result<(), Cause> {
    let (commands, mut data) = match job {
        Job::Write(offset, bytes) => {
            let pieces = cut(offset..offset + bytes.len() as u64)?;
            (pieces.into_iter().map(Command::Write).collect(), bytes)
        }
        Job::Verify(extent) => {
            let pieces = cut(extent.offset..extent.offset + extent.len)?;
            (vec![Command::Hash(pieces)], Bytes::new())
        }
    };
    // The receiver lives as long as we do.
    let _ = expected.send(commands.clone());
    for command in commands {
        input.send(Bytes::from(format!("{command}\n"))).await?;
        if let Command::Write(piece) = command {
            // Fits: it is a part of what is in memory.
            input.send(data.split_to(piece.len() as usize)).await?;
        }
    }
    Ok(())
}

impl Job {
    /// Bytes that it keeps in memory until it is confirmed, as they count towards [`IN_FLIGHT`].
    fn weight(&self) -> u32 {
        match self {
            Self::Write(_, bytes) => u32::try_from(bytes.len()).unwrap_or(IN_FLIGHT).min(IN_FLIGHT),
            Self::Verify(_) => 0,
        }
    }

    /// Judges the last answer to it; gives the bytes that are now certain.
    fn confirm(&self, answer: &str) -> Result<u64, Cause> {
        match self {
            Self::Write(_, bytes) => Ok(bytes.len() as u64),
            Self::Verify(extent) => {
                let found = digest(answer)?;
                if found == extent.sha256 {
                    return Ok(extent.len);
                }
                Err(Cause::ReadBack { offset: extent.offset, len: extent.len, expected: extent.sha256, found })
            }
        }
    }
}

/// What it means when the script says something that is no answer, or nothing any more.
fn unasked(said: Result<Option<String>, SessionError>) -> Cause {
    match said {
        Err(error) => Cause::Session(error),
        Ok(None) => Cause::Remote("the script ended before its work".to_owned()),
        Ok(Some(line)) => match line.strip_prefix('!') {
            Some(said) => Cause::Remote(said.trim().to_owned()),
            None => Cause::Remote(format!("it said {line:?} without being asked")),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identify => f.write_str("i"),
            Self::Write(piece) => write!(f, "w {piece}"),
            Self::Zero(piece) => write!(f, "z {piece}"),
            Self::Hash(pieces) => {
                f.write_str("h")?;
                pieces.iter().try_for_each(|piece| write!(f, " {piece}"))
            }
            Self::Sync => f.write_str("s"),
            Self::Quit => f.write_str("q"),
        }
    }
}

pub(super) fn cut(range: Range<u64>) -> Result<Vec<Piece>, Cause> {
    let (offset, end) = (range.start, range.end);
    pieces(range).ok_or(Cause::NotSectors { offset, end })
}

/// Answers repeat the command; a hash and an identity have a value instead.
fn check(command: &Command, answer: &str) -> Result<(), Cause> {
    let fits = match command {
        Command::Identify => answer.starts_with("i "),
        Command::Hash(_) => answer.starts_with("h "),
        other => other.to_string() == answer,
    };
    if fits { Ok(()) } else { Err(Cause::Remote(format!("it answered {answer:?} to {:?}", command.to_string()))) }
}

pub(super) fn digest(answer: &str) -> Result<Digest, Cause> {
    let text = answer.strip_prefix("h ").unwrap_or(answer);
    text.parse().map_err(|_| Cause::Remote(format!("it answered {answer:?} where a digest should be")))
}

/// Unconfirmed bytes at once: more than the window of 2 MiB that OpenSSH opens, so that it never has to wait for us.
const IN_FLIGHT: u32 = 3 << 20;

/// A disk that takes so long for one answer (at most 64 MiB) is broken. A dead connection is noticed by keepalives, sooner.
const STALL: Duration = Duration::from_secs(300);

/// How long to wait for the script's own words after its input broke.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(size: u64, at: u64, count: u64) -> Piece {
        Piece { size, at, count }
    }

    #[test]
    fn commands_are_written_as_the_script_reads_them() {
        let table = [
            (Command::Identify, "i"),
            (Command::Write(piece(65536, 16, 2)), "w 65536 16 2"),
            (Command::Zero(piece(1048576, 0, 1)), "z 1048576 0 1"),
            (Command::Hash(vec![piece(512, 1, 2), piece(65536, 3, 4)]), "h 512 1 2 65536 3 4"),
            (Command::Sync, "s"),
            (Command::Quit, "q"),
        ];
        for (command, text) in table {
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn an_answer_out_of_order_is_an_error() {
        let write = Command::Write(piece(65536, 16, 2));
        assert!(check(&write, "w 65536 16 2").is_ok());
        for wrong in ["w 65536 17 2", "z 65536 16 2", "", "w 65536 16 2 3"] {
            assert!(check(&write, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_hash_must_be_the_expected_one() {
        let extent = Extent { offset: 0, len: 512, sha256: Digest::of(b"right") };
        let job = Job::Verify(extent);
        assert!(job.confirm(&format!("h {}", Digest::of(b"right"))).is_ok());
        assert!(matches!(job.confirm(&format!("h {}", Digest::of(b"wrong"))), Err(Cause::ReadBack { .. })));
        assert!(matches!(job.confirm("h nonsense"), Err(Cause::Remote(_))));
    }
}
