//! What is said to `flash.sh` over one connection.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::content::Data;
use super::pieces::{Piece, pieces};
use super::{Cause, Meter};
use crate::client::cache::PreparedImage;
use crate::client::rescue::session::{Input, Lines, Rights, Session, SessionError};
use crate::disk_image::{Digest, Extent, HEAD, Run};

/// One line to the script; data follows a `Write`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Identify,
    Write(Piece),
    Zero(Piece),
    /// Let the disk forget these bytes.
    Forget(Range<u64>),
    /// Say whether all of this is zero.
    Empty(Vec<Piece>),
    Hash(Vec<Piece>),
    Sync,
    Quit,
    /// Start the download.
    Pull,
    /// Pass over so many blocks of the downloaded image.
    Skip(Piece),
    /// Write the next blocks of the downloaded image, and hash them.
    Fetch(Vec<Piece>),
}

/// The two ends of a running `flash.sh`.
pub(super) struct Wire {
    input: Input,
    lines: Lines,
    /// How far the downloaded image was read, once its download was started.
    pulled: Option<u64>,
}

/// A piece of work that may be done twice.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// Write these bytes at this offset.
    Write(u64, Bytes),
    /// Write a run of an image. It is read when it is sent: what is not yet confirmed takes no memory.
    Copy(PreparedImage, Run),
    /// Write this range from the image that the rescue host downloads, and compare what came with its digest. Only in
    /// ascending order.
    Pull(Extent),
    /// Compare this range with its digest.
    Verify(Extent),
    /// See that this range is zero.
    VerifyEmpty(Range<u64>),
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
        Ok(Self { input: process.input, lines: process.output, pulled: None })
    }

    /// One command, one answer.
    pub(super) async fn ask(&mut self, command: &Command) -> Result<String, Cause> {
        let line = Bytes::from(format!("{command}\n"));
        if let Err(error) = self.input.send(line).await {
            return Err(self.last_words(error).await);
        }
        let answer = answer(&mut self.lines).await?;
        check(command, &answer)?;
        Ok(answer)
    }

    /// Starts the download, and reads as much of the image as was pushed: whatever is wrong with the way shows here.
    pub(super) async fn begin_pull(&mut self) -> Result<(), Cause> {
        self.ask(&Command::Pull).await?;
        for piece in cut(0..HEAD)? {
            self.ask(&Command::Skip(piece)).await?;
        }
        self.pulled = Some(HEAD);
        Ok(())
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
        let Self { input, lines, pulled } = self;
        let mut sending = Sending { input, expected: sender, pulled };
        let sending = async move {
            for job in again {
                sending.send(job).await?;
            }
            while let Some(job) = jobs.next().await? {
                lock(open).push_back(job.clone());
                sending.send(job).await?;
            }
            Ok(())
        };
        let receiving = async {
            loop {
                // While the image is slow to come nothing is expected, and still the script may end.
                let commands = tokio::select! {
                    biased;
                    commands = expected.recv() => commands,
                    said = lines.next() => return Err(unasked(said)),
                };
                let Some(commands) = commands else { return Ok(()) };
                let mut last = String::new();
                for command in &commands {
                    last = answer(lines).await?;
                    check(command, &last)?;
                }
                let job = lock(open).front().cloned();
                let bytes = job.map_or(Ok(0), |job| job.confirm(&last))?;
                if let Some(meter) = meter {
                    meter.add(bytes);
                }
                lock(open).pop_front();
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

    /// What the script said before its input broke.
    async fn last_words(&mut self, error: SessionError) -> Cause {
        loop {
            match tokio::time::timeout(LAST_WORDS, answer(&mut self.lines)).await {
                Ok(Ok(_)) => {}
                Ok(Err(Cause::Session(_))) | Err(_) => return Cause::Session(error),
                Ok(Err(better)) => return better,
            }
        }
    }
}

/// The next answer, or the script's own words about why there is none.
async fn answer(lines: &mut Lines) -> Result<String, Cause> {
    match tokio::time::timeout(STALL, lines.next()).await {
        Err(_) => Err(Cause::Stalled { seconds: STALL.as_secs() }),
        Ok(Ok(Some(line))) if !line.starts_with('!') => Ok(line),
        Ok(said) => Err(unasked(said)),
    }
}

/// The end of a wire that sends.
struct Sending<'a> {
    input: &'a Input,
    expected: mpsc::UnboundedSender<Vec<Command>>,
    pulled: &'a mut Option<u64>,
}

impl Sending<'_> {
    /// Sends the commands of one job, and their data.
    async fn send(&mut self, job: Job) -> Result<(), Cause> {
        let write = |range| Ok::<_, Cause>(cut(range)?.into_iter().map(Command::Write).collect());
        let commands = match &job {
            Job::Write(offset, bytes) => write(*offset..offset + bytes.len() as u64)?,
            Job::Copy(_, run) => write(run.range())?,
            Job::Pull(extent) => self.pull(*extent)?,
            Job::Verify(extent) => vec![Command::Hash(cut(extent.offset..extent.offset + extent.len)?)],
            Job::VerifyEmpty(range) => vec![Command::Empty(cut(range.clone())?)],
        };
        let mut data = Data::of(&job);
        // The receiver lives as long as we do.
        let _ = self.expected.send(commands.clone());
        for command in commands {
            self.input.send(Bytes::from(format!("{command}\n"))).await?;
            let Command::Write(piece) = command else { continue };
            let mut left = piece.len();
            while left > 0 {
                let bytes = data.take(left).await?;
                left -= bytes.len() as u64;
                self.input.send(bytes).await?;
            }
        }
        Ok(())
    }

    /// What brings the downloaded image to an extent, and the extent to the disk. A script that was started after a broken
    /// connection downloads anew, and passes over what is on the disk.
    fn pull(&mut self, extent: Extent) -> Result<Vec<Command>, Cause> {
        let mut commands = Vec::new();
        let at = match *self.pulled {
            Some(at) => at,
            None => {
                commands.push(Command::Pull);
                0
            }
        };
        let end = extent.offset + extent.len;
        let gap = extent.offset.checked_sub(at).ok_or(Cause::Internal("the image is pulled out of order"))?;
        let pieces = cut(0..gap)?.into_iter().flat_map(Piece::parts);
        commands.extend(pieces.map(Command::Skip));
        commands.push(Command::Fetch(cut(extent.offset..end)?));
        *self.pulled = Some(end);
        Ok(commands)
    }
}

impl Job {
    /// Judges the last answer to it; gives the bytes that are now certain.
    fn confirm(&self, answer: &str) -> Result<u64, Cause> {
        match self {
            Self::Write(_, bytes) => Ok(bytes.len() as u64),
            Self::Copy(_, run) => Ok(run.size()),
            Self::Verify(extent) => {
                let found = digest(answer)?;
                if found == extent.sha256 {
                    return Ok(extent.len);
                }
                Err(Cause::ReadBack { offset: extent.offset, len: extent.len, expected: extent.sha256, found })
            }
            Self::VerifyEmpty(range) => {
                let (offset, len) = (range.start, range.end - range.start);
                if is_yes(answer) { Ok(len) } else { Err(Cause::NotEmpty { offset, len }) }
            }
            Self::Pull(extent) => {
                if digest(answer)? == extent.sha256 {
                    return Ok(extent.len);
                }
                Err(Cause::OtherImage { offset: extent.offset, len: extent.len })
            }
        }
    }
}

/// What it means when the script says something that is no answer, or nothing any more.
fn unasked(said: Result<Option<String>, SessionError>) -> Cause {
    match said {
        Err(error) => Cause::Session(error),
        Ok(None) => Cause::Remote("the script ended before its work".to_owned()),
        Ok(Some(line)) => match line.strip_prefix('!').map(str::trim) {
            Some(said) => match said.strip_prefix("pull: ") {
                Some(said) => Cause::Pull(said.trim().to_owned()),
                None => Cause::Remote(said.to_owned()),
            },
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
            Self::Forget(range) => write!(f, "d {} {}", range.start, range.end - range.start),
            Self::Empty(pieces) => list(f, "e", pieces),
            Self::Hash(pieces) => list(f, "h", pieces),
            Self::Sync => f.write_str("s"),
            Self::Quit => f.write_str("q"),
            Self::Pull => f.write_str("u"),
            Self::Skip(piece) => write!(f, "k {} {}", piece.size, piece.count),
            Self::Fetch(pieces) => list(f, "f", pieces),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, command: &str, pieces: &[Piece]) -> fmt::Result {
    f.write_str(command)?;
    pieces.iter().try_for_each(|piece| write!(f, " {piece}"))
}

pub(super) fn cut(range: Range<u64>) -> Result<Vec<Piece>, Cause> {
    let (offset, end) = (range.start, range.end);
    pieces(range).ok_or(Cause::NotSectors { offset, end })
}

/// Answers repeat the command; where something was asked, they have a value instead.
fn check(command: &Command, answer: &str) -> Result<(), Cause> {
    let fits = match command {
        Command::Identify => answer.starts_with("i "),
        Command::Empty(_) => matches!(answer, "e yes" | "e no"),
        Command::Hash(_) => answer.starts_with("h "),
        Command::Fetch(_) => answer.starts_with("f "),
        other => other.to_string() == answer,
    };
    if fits { Ok(()) } else { Err(Cause::Remote(format!("it answered {answer:?} to {:?}", command.to_string()))) }
}

/// Whether the answer to [`Command::Empty`], once checked, is yes.
pub(super) fn is_yes(answer: &str) -> bool {
    answer == "e yes"
}

pub(super) fn digest(answer: &str) -> Result<Digest, Cause> {
    let text = answer.strip_prefix("h ").or(answer.strip_prefix("f ")).unwrap_or(answer);
    text.parse().map_err(|_| Cause::Remote(format!("it answered {answer:?} where a digest should be")))
}

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
            (Command::Pull, "u"),
            (Command::Skip(piece(1048576, 0, 7)), "k 1048576 7"),
            (Command::Fetch(vec![piece(65536, 3, 4)]), "f 65536 3 4"),
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
