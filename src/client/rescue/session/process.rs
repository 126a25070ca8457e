//! A running script. Whatever the remote side does, neither sending nor receiving can hang.
//!
//! An SSH channel stalls in both directions when nobody reads it: a sender waits for a window that a dead script never
//! opens. So one task reads the channel from start to end, and tells senders when it is over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{mpsc, watch};

use super::{Output, SessionError};

/// A running script: both ends may be used from different tasks.
#[derive(Debug)]
pub struct Process {
    /// Its standard input.
    pub input: Input,
    /// Its standard output.
    pub output: Lines,
}

/// Standard input of a running script.
#[derive(Clone, Debug)]
pub struct Input {
    writer: Arc<ChannelWriteHalf<Msg>>,
    ended: watch::Receiver<Option<End>>,
    address: Arc<str>,
}

/// Standard output of a running script. Dropping it closes the channel.
#[derive(Debug)]
pub struct Lines {
    chunks: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    partial: Vec<u8>,
    ended: watch::Receiver<Option<End>>,
    address: Arc<str>,
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an exit status.
    Exited(u32),
    /// By a signal.
    Signalled(String),
    /// Nobody knows: the connection or the channel went away first.
    Lost,
    /// It was cut off because it wrote too much.
    TooMuchOutput,
}

#[derive(Clone, Debug)]
struct End {
    ending: Ending,
    stderr: String,
}

/// Starts the task that reads the channel.
pub(super) fn pump(channel: Channel<Msg>, address: Arc<str>) -> Process {
    let (reader, writer) = channel.split();
    let writer = Arc::new(writer);
    let (chunk_sender, chunks) = mpsc::unbounded_channel();
    let (end_sender, ended) = watch::channel(None);
    let waiting = Arc::new(AtomicUsize::new(0));
    tokio::spawn(read(reader, Arc::clone(&writer), chunk_sender, Arc::clone(&waiting), end_sender));
    Process {
        input: Input { writer, ended: ended.clone(), address: Arc::clone(&address) },
        output: Lines { chunks, waiting, partial: Vec::new(), ended, address },
    }
}

async fn read(
    mut reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    chunks: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
    end: watch::Sender<Option<End>>,
) {
    let mut ending = Ending::Lost;
    let mut stderr = Vec::new();
    loop {
        let message = tokio::select! {
            message = reader.wait() => message,
            () = chunks.closed() => None,
        };
        match message {
            None | Some(ChannelMsg::Close) => break,
            Some(ChannelMsg::Data { data }) => {
                if waiting.fetch_add(data.len(), Ordering::Relaxed) + data.len() > OUTPUT_LIMIT {
                    ending = Ending::TooMuchOutput;
                    break;
                }
                // Fails only when the receiver is gone, which the select above notices.
                let _ = chunks.send(data);
            }
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => keep_tail(&mut stderr, &data),
            Some(ChannelMsg::ExitStatus { exit_status }) => ending = Ending::Exited(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => ending = Ending::Signalled(format!("{signal_name:?}")),
            Some(_) => {}
        }
    }
    let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
    // Fails only when nobody is left to hear it.
    let _ = end.send(Some(End { ending, stderr }));
    drop(chunks);
    // The connection may be gone, and then so is the channel.
    let _ = writer.close().await;
}

fn keep_tail(tail: &mut Vec<u8>, data: &[u8]) {
    tail.extend_from_slice(data);
    if tail.len() > STDERR_LIMIT {
        tail.drain(..tail.len() - STDERR_LIMIT);
    }
}

impl Input {
    /// Sends bytes; waits while the remote side does not take them.
    ///
    /// # Errors
    /// As soon as the script has ended or the connection is lost.
    pub async fn send(&self, data: Bytes) -> Result<(), SessionError> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            end = ended.wait_for(Option::is_some) => {
                let end = end.ok().and_then(|end| end.clone());
                Err(ended_early(&self.address, end))
            }
            sent = self.writer.data_bytes(data) => sent.map_err(|_| SessionError::Lost { address: self.address.to_string() }),
        }
    }

    /// Closes the script's standard input.
    ///
    /// # Errors
    /// When the connection is lost; a script that has already ended is no error.
    pub async fn finish(&self) -> Result<(), SessionError> {
        if self.ended.borrow().is_some() {
            return Ok(());
        }
        self.writer.eof().await.map_err(|_| SessionError::Lost { address: self.address.to_string() })
    }
}

impl Lines {
    /// The next line without its end, or `None` when the script has closed its output and ended well (status 0).
    ///
    /// Cancel-safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// When the script ended in any other way, or the connection is lost.
    pub async fn next(&mut self) -> Result<Option<String>, SessionError> {
        loop {
            if let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                return Ok(Some(text(&line[..end])));
            }
            match self.chunks.recv().await {
                Some(chunk) => self.take(&chunk),
                None => break,
            }
        }
        let end = self.end().await;
        match end.ending {
            Ending::Exited(0) if self.partial.is_empty() => Ok(None),
            Ending::Exited(0) => Ok(Some(text(&std::mem::take(&mut self.partial)))),
            _ => Err(ended_early(&self.address, Some(end))),
        }
    }

    /// Reads to the end.
    pub(super) async fn collect(mut self) -> Result<Output, SessionError> {
        let mut stdout = std::mem::take(&mut self.partial);
        while let Some(chunk) = self.chunks.recv().await {
            stdout.extend_from_slice(&chunk);
            if stdout.len() > OUTPUT_LIMIT {
                return Err(ended_early(
                    &self.address,
                    Some(End { ending: Ending::TooMuchOutput, stderr: String::new() }),
                ));
            }
            self.waiting.fetch_sub(chunk.len(), Ordering::Relaxed);
        }
        let end = self.end().await;
        let status = match end.ending {
            Ending::Exited(status) => status,
            Ending::Signalled(_) => 128 + 15,
            Ending::Lost | Ending::TooMuchOutput => {
                return Err(ended_early(&self.address, Some(end)));
            }
        };
        Ok(Output { status, stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr: end.stderr })
    }

    fn take(&mut self, chunk: &Bytes) {
        self.partial.extend_from_slice(chunk);
        self.waiting.fetch_sub(chunk.len(), Ordering::Relaxed);
    }

    async fn end(&mut self) -> End {
        // The reading task always reports before it goes; if it was killed with its runtime, that is a lost connection.
        let lost = || End { ending: Ending::Lost, stderr: String::new() };
        self.ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone()).unwrap_or_else(lost)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(signal) => write!(f, "signal {signal}"),
            Self::Lost => f.write_str("connection lost"),
            Self::TooMuchOutput => f.write_str("too much output"),
        }
    }
}

fn ended_early(address: &str, end: Option<End>) -> SessionError {
    let address = address.to_owned();
    match end {
        None | Some(End { ending: Ending::Lost, .. }) => SessionError::Lost { address },
        Some(End { ending: Ending::TooMuchOutput, .. }) => SessionError::TooMuchOutput { address, limit: OUTPUT_LIMIT },
        Some(End { ending, stderr }) => {
            let said = if stderr.is_empty() { String::new() } else { format!(": {stderr}") };
            SessionError::EndedEarly { address, ending: ending.to_string(), said }
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()
}

/// Output that nobody has read yet, and output of a whole [`super::Session::run`], in bytes.
const OUTPUT_LIMIT: usize = 1 << 20;

/// How much of standard error is kept, in bytes.
const STDERR_LIMIT: usize = 16 << 10;
