//! A connection that remembers its first words: a server that is no SSH server, or that is too busy, says so before it hangs up.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much is remembered, in bytes.
const WORDS: usize = 200;

/// What was said first; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    /// On one line; empty when nothing was said, or an SSH server has introduced itself.
    pub(super) fn text(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String =
            String::from_utf8_lossy(&words).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Banners may come before.
        if text.split(' ').any(|word| word.starts_with("SSH-")) { String::new() } else { text }
    }

    /// Whether a server that said so will listen a little later: what OpenSSH says when it takes no connection at the moment.
    pub(super) fn heals(text: &str) -> bool {
        text.starts_with("Exceeded MaxStartups") || text.starts_with("Not allowed at this time")
    }
}

/// The connection.
pub(super) struct Listening {
    stream: TcpStream,
    words: Words,
    left: usize,
}

impl Listening {
    pub(super) fn to(stream: TcpStream, words: Words) -> Self {
        Self { stream, words, left: WORDS }
    }
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.left > 0 {
            let new = &buf.filled()[before..];
            let new = &new[..new.len().min(self.left)];
            self.words.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(new);
            self.left -= new.len();
        }
        done
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
