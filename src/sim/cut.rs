//! A connection that can be cut from outside, as a machine does that loses power.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A TCP stream that two tokens can end: one resets it, as a power failure does; the other one ends it in good order.
pub struct Cut {
    stream: TcpStream,
    token: CancellationToken,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cut {
    /// Ties a stream to its tokens.
    pub fn new(stream: TcpStream, token: CancellationToken, close: CancellationToken) -> Self {
        // Latency matters more than packets on loopback; a socket that cannot be told so still works.
        let _ = stream.set_nodelay(true);
        let cut = Box::pin(token.clone().cancelled_owned());
        Self { stream, token, cut, closed: Box::pin(close.cancelled_owned()) }
    }

    /// The token that resets this stream.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.closed.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.cut.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        // So that dropping the socket sends a reset, as unplugging does in the end.
        let _ = self.stream.set_zero_linger();
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Cut {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.check(cx) {
            // The end of the stream, as the other side would see it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => Pin::new(&mut self.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
