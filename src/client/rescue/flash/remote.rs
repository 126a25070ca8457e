//! Our side of the conversation with `flash.sh`.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Cause;
use super::pieces::{Piece, pieces};
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

/// A running `flash.sh`.
pub(super) struct Remote {
    input: Input,
    lines: Lines,
}

impl Remote {
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

    /// Makes a range zero.
    pub(super) async fn zero(&mut self, range: Range<u64>) -> Result<(), Cause> {
        for piece in cut(range)? {
            self.ask(&Command::Zero(piece)).await?;
        }
        Ok(())
    }

    /// The digest of a range as the disk returns it.
    pub(super) async fn hash(&mut self, range: Range<u64>) -> Result<Digest, Cause> {
        let command = Command::Hash(cut(range)?);
        let answer = self.ask(&command).await?;
        digest(&answer)
    }

    /// Writes one range.
    pub(super) async fn write(&mut self, offset: u64, bytes: Bytes) -> Result<(), Cause> {
        self.pipeline(async |feed| feed.write(offset, bytes.clone()).await, |_| ()).await
    }

    /// Compares one range with what it should be.
    pub(super) async fn verify(&mut self, extent: Extent) -> Result<(), Cause> {
        self.pipeline(async |feed| feed.verify(extent).await, |_| ()).await
    }

    /// Sends many commands without waiting for each answer; `confirmed` hears of the bytes of each as it is answered.
    ///
    /// What the script says about a failure wins over the broken pipe that follows from it.
    pub(super) async fn pipeline<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Feed) -> Result<T, Cause>,
        confirmed: impl Fn(u64),
    ) -> Result<T, Cause> {
        let (sender, mut expected) = mpsc::unbounded_channel::<Expected>();
        let mut feed = Feed { input: self.input.clone(), expected: sender };
        let sending = async move {
            let result = work(&mut feed).await;
            drop(feed);
            result
        };
        let receiving = async {
            while let Some(next) = expected.recv().await {
                let answer = self.answer().await?;
                next.check(&answer)?;
                confirmed(next.bytes());
            }
            Ok(())
        };
        tokio::pin!(sending, receiving);
        tokio::select! {
            sent = &mut sending => match sent {
                Ok(value) => receiving.await.map(|()| value),
                Err(Cause::Session(error)) => {
                    match tokio::time::timeout(LAST_WORDS, receiving).await {
                        Ok(Err(better)) => Err(better),
                        _ => Err(Cause::Session(error)),
                    }
                }
                Err(error) => Err(error),
            },
            // Ends well only after `sending` has dropped its feed.
            received = &mut receiving => match received {
                Ok(()) => sending.await,
                Err(error) => Err(error),
            },
        }
    }

    async fn answer(&mut self) -> Result<String, Cause> {
        match tokio::time::timeout(STALL, self.lines.next()).await {
            Err(_) => Err(Cause::Stalled { seconds: STALL.as_secs() }),
            Ok(Err(error)) => Err(Cause::Session(error)),
            Ok(Ok(None)) => Err(Cause::Remote("the script ended before its work".to_owned())),
            Ok(Ok(Some(line))) => match line.strip_prefix('!') {
                Some(said) => Err(Cause::Remote(said.trim().to_owned())),
                None => Ok(line),
            },
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

/// The sending end during [`Remote::pipeline`].
pub(super) struct Feed {
    input: Input,
    expected: mpsc::UnboundedSender<Expected>,
}

impl Feed {
    pub(super) async fn write(&mut self, offset: u64, mut bytes: Bytes) -> Result<(), Cause> {
        for piece in cut(offset..offset + bytes.len() as u64)? {
            // Fits: it is a part of what is in memory.
            let data = bytes.split_to(piece.len() as usize);
            self.send(Command::Write(piece), None).await?;
            self.input.send(data).await?;
        }
        Ok(())
    }

    pub(super) async fn verify(&mut self, extent: Extent) -> Result<(), Cause> {
        let pieces = cut(extent.offset..extent.offset + extent.len)?;
        self.send(Command::Hash(pieces), Some(extent)).await
    }

    async fn send(&mut self, command: Command, extent: Option<Extent>) -> Result<(), Cause> {
        let line = Bytes::from(format!("{command}\n"));
        // The receiver lives as long as the pipeline, and so do we.
        let _ = self.expected.send(Expected { command, extent });
        Ok(self.input.send(line).await?)
    }
}

struct Expected {
    command: Command,
    extent: Option<Extent>,
}

impl Expected {
    fn check(&self, answer: &str) -> Result<(), Cause> {
        check(&self.command, answer)?;
        let Some(extent) = self.extent else { return Ok(()) };
        let found = digest(answer)?;
        if found == extent.sha256 {
            return Ok(());
        }
        Err(Cause::ReadBack { offset: extent.offset, len: extent.len, expected: extent.sha256, found })
    }

    fn bytes(&self) -> u64 {
        match &self.command {
            Command::Write(piece) | Command::Zero(piece) => piece.len(),
            Command::Hash(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
            Command::Identify | Command::Sync | Command::Quit => 0,
        }
    }
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

fn cut(range: Range<u64>) -> Result<Vec<Piece>, Cause> {
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

fn digest(answer: &str) -> Result<Digest, Cause> {
    let text = answer.strip_prefix("h ").unwrap_or(answer);
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
        let expected = Expected { command: Command::Hash(vec![piece(512, 0, 1)]), extent: Some(extent) };
        assert!(expected.check(&format!("h {}", Digest::of(b"right"))).is_ok());
        assert!(matches!(expected.check(&format!("h {}", Digest::of(b"wrong"))), Err(Cause::ReadBack { .. })));
        assert!(matches!(expected.check("h nonsense"), Err(Cause::Remote(_))));
    }
}
