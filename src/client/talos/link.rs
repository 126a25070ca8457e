//! One TCP connection to one node: opened once, never again, and able to tell why it ended.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Longest banner kept of a peer that does not speak TLS, in bytes.
const BANNER_BYTES: usize = 80;

/// The first bytes a peer sent, to tell an SSH server from a Talos node.
#[derive(Clone, Debug, Default)]
pub(super) struct Banner(Arc<Mutex<Vec<u8>>>);

/// A stream that remembers the first bytes it received.
pub(super) struct Sniffed<S> {
    inner: S,
    banner: Banner,
}

/// What has happened on a connection so far.
#[derive(Clone, Debug, Default)]
pub(super) enum Progress {
    /// Nothing was received yet.
    #[default]
    Quiet,
    /// Something was received.
    Talking,
    /// The peer closed the connection.
    Ended,
    /// Reading or writing failed.
    Failed(Arc<io::Error>),
}

/// Follows a [`Watched`] stream from outside.
#[derive(Clone, Debug)]
pub(super) struct Observer(watch::Receiver<Progress>);

/// A stream that reports the first byte, the end, and the first error.
pub(super) struct Watched<S> {
    inner: S,
    progress: watch::Sender<Progress>,
}

impl Banner {
    /// The printable part of what was received, when it does not start like a TLS record.
    pub(super) fn foreign(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // RFC 8446 section 5.1: content types 20 to 23 open a TLS record.
        if matches!(bytes.first(), None | Some(20..=23)) {
            return None;
        }
        let first_line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let shown = first_line.iter().map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        });
        Some(shown.collect())
    }
}

impl<S> Sniffed<S> {
    pub(super) fn new(inner: S) -> (Self, Banner) {
        let banner = Banner::default();
        let sniffed = Self { inner, banner: banner.clone() };
        (sniffed, banner)
    }
}

impl Observer {
    /// Waits for the first byte, the end or an error, whichever comes first.
    pub(super) async fn first_sign(&mut self) -> Progress {
        match self.0.wait_for(|progress| !matches!(progress, Progress::Quiet)).await {
            Ok(progress) => progress.clone(),
            // The stream was dropped before anything came: the HTTP/2 layer gave up on it.
            Err(_) => Progress::Ended,
        }
    }

    /// What has happened so far.
    pub(super) fn now(&self) -> Progress {
        self.0.borrow().clone()
    }
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S) -> (Self, Observer) {
        let (progress, receiver) = watch::channel(Progress::Quiet);
        (Self { inner, progress }, Observer(receiver))
    }

    fn talked(&self) {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Quiet);
            if first {
                *progress = Progress::Talking;
            }
            first
        });
    }

    fn over(&self, end: Progress) {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Quiet | Progress::Talking);
            if first {
                *progress = end;
            }
            first
        });
    }

    fn failed<T>(&self, error: io::Error) -> Poll<io::Result<T>> {
        let kind = error.kind();
        let error = Arc::new(error);
        self.over(Progress::Failed(error.clone()));
        Poll::Ready(Err(io::Error::new(kind, error)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniffed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let mut kept = self.banner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BANNER_BYTES - kept.len().min(BANNER_BYTES);
        kept.extend(buf.filled()[before..].iter().take(room));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniffed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.talked();
                } else if buf.remaining() > 0 {
                    self.over(Progress::Ended);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => self.failed(error),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // A failing write is not recorded: the alert that explains it is still to be read.
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
