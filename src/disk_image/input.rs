//! Compressed bytes that have arrived and wait to be read.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// A queue of chunks, read in order; slices of one chunk are handed out without copying.
#[derive(Debug, Default)]
pub(super) struct Input {
    chunks: VecDeque<Bytes>,
    len: usize,
    ended: bool,
}

impl Input {
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.chunks.push_back(bytes);
        }
    }

    pub fn end(&mut self) {
        self.ended = true;
    }

    /// No byte will follow those that are queued.
    pub fn ended(&self) -> bool {
        self.ended
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes at hand without copying; empty only when nothing is queued.
    pub fn front(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    /// Copies up to `out.len()` queued bytes without consuming them; says how many.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        for chunk in &self.chunks {
            let n = chunk.len().min(out.len() - filled);
            out[filled..filled + n].copy_from_slice(&chunk[..n]);
            filled += n;
        }
        filled
    }

    /// Consumes `n` bytes, at most what [`Input::front`] shows.
    pub fn advance(&mut self, n: usize) {
        let Some(front) = self.chunks.front_mut() else {
            return;
        };
        let n = n.min(front.len());
        front.advance(n);
        self.len -= n;
        if front.is_empty() {
            self.chunks.pop_front();
        }
    }

    /// Consumes `n` bytes, or all there are.
    pub fn skip(&mut self, mut n: usize) {
        while n > 0 && self.len > 0 {
            let part = n.min(self.front().len());
            self.advance(part);
            n -= part;
        }
    }

    /// Shows the next `n` bytes, which must be queued, without consuming them; copies them into `joined`, which has
    /// room for `n` bytes, when they lie in several chunks.
    pub fn look<'a>(&'a self, n: usize, joined: &'a mut [u8]) -> &'a [u8] {
        match self.front().get(..n) {
            Some(bytes) => bytes,
            None => {
                let len = self.peek(&mut joined[..n]);
                &joined[..len]
            }
        }
    }

    /// The next `n` bytes as one slice, or `None` when fewer are queued. A chunk is kept alive only for a slice of
    /// most of it.
    pub fn take(&mut self, n: usize) -> Option<Bytes> {
        if n > self.len {
            return None;
        }
        let front = self.front().len();
        if n <= front && n > front / 2 {
            let taken = self.chunks.front()?.slice(..n);
            self.advance(n);
            return Some(taken);
        }
        let mut joined = BytesMut::with_capacity(n);
        while joined.len() < n {
            let part = self.front();
            let part_len = part.len().min(n - joined.len());
            joined.extend_from_slice(&part[..part_len]);
            self.advance(part_len);
        }
        Some(joined.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(chunks: &[&'static [u8]]) -> Input {
        let mut input = Input::default();
        chunks.iter().for_each(|chunk| input.push(Bytes::from_static(chunk)));
        input
    }

    #[test]
    fn takes_join_chunks_and_refuse_what_has_not_arrived() {
        let mut input = queue(&[b"ab", b"", b"cde", b"f"]);
        assert_eq!(input.take(7), None);
        assert_eq!(input.take(4).as_deref(), Some(&b"abcd"[..]));
        assert_eq!(input.len(), 2);
        assert_eq!(input.front(), b"e");
        assert_eq!(input.take(2).as_deref(), Some(&b"ef"[..]));
        assert_eq!(input.front(), b"");
    }

    #[test]
    fn a_peek_consumes_nothing() {
        let input = queue(&[b"ab", b"cde"]);
        let mut out = [0; 4];
        assert_eq!(input.peek(&mut out), 4);
        assert_eq!(&out, b"abcd");
        let mut out = [0; 9];
        assert_eq!(input.peek(&mut out), 5);
        assert_eq!(input.len(), 5);
    }
}
