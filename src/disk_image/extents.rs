//! Cuts decoded bytes into what must be written and what is zero.

use std::collections::VecDeque;

use bytes::Bytes;

use super::digest::Digest;

/// The unit of the map in bytes: a granule of this size is data as soon as one of its bytes is not zero.
pub const GRANULE: usize = 64 << 10;

/// The first bytes of the disk, written last so that a half-written disk never boots; no [`Event`] crosses this offset.
pub const HEAD: u64 = 1 << 20;

/// One step of the image, in ascending order without gaps or overlaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes to be written.
    Data {
        /// Where on the disk, in bytes; a multiple of [`GRANULE`].
        offset: u64,
        /// A multiple of [`GRANULE`] long, unless the image itself ends in between; cheap to clone.
        bytes: Bytes,
        /// Of `bytes`, to compare with what the disk returns.
        sha256: Digest,
    },
    /// A stretch that holds nothing but zeros, however long.
    Zero {
        /// Where on the disk, in bytes; a multiple of [`GRANULE`].
        offset: u64,
        /// In bytes; a multiple of [`GRANULE`], unless the image itself ends in between.
        len: u64,
    },
}

/// Where data was, and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// In bytes from the start of the disk.
    pub offset: u64,
    /// In bytes.
    pub len: u64,
    /// Of the bytes.
    pub sha256: Digest,
}

/// Decoded bytes that follow those before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Zero(u64),
    Data(Bytes),
}

impl Piece {
    /// Looks once whether there is anything but zeros.
    pub fn of(bytes: Vec<u8>) -> Self {
        if is_zero(&bytes) { Self::Zero(bytes.len() as u64) } else { Self::Data(bytes.into()) }
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Zero(len) => *len,
            Self::Data(bytes) => bytes.len() as u64,
        }
    }
}

/// What a reader of some format has to say next.
#[derive(Debug)]
pub(super) enum Step {
    Piece(Piece),
    NeedInput,
    End,
}

/// Turns pieces of any length into events; the events depend on the bytes alone, not on how they were cut.
#[derive(Debug)]
pub(super) struct Mapper {
    max_extent: usize,
    /// Everything before this offset is in `run` or was handed out.
    offset: u64,
    run: Run,
    partial: Partial,
}

#[derive(Debug)]
enum Run {
    Zero(u64),
    Data { parts: Vec<Bytes>, len: usize },
}

/// A granule of which only the first `len` bytes have come; while they are all zero `bytes` stays empty.
#[derive(Debug, Default)]
struct Partial {
    len: usize,
    bytes: Vec<u8>,
}

impl Mapper {
    /// `max_extent` is rounded down to whole granules.
    pub fn new(max_extent: usize) -> Self {
        let max_extent = (max_extent - max_extent % GRANULE).max(GRANULE);
        Self { max_extent, offset: 0, run: Run::Zero(0), partial: Partial::default() }
    }

    pub fn feed(&mut self, piece: Piece, ready: &mut VecDeque<Event>) {
        match piece {
            Piece::Zero(len) => self.feed_zeros(len, ready),
            Piece::Data(bytes) => self.feed_bytes(bytes, ready),
        }
    }

    /// The image ends here.
    pub fn finish(&mut self, ready: &mut VecDeque<Event>) {
        self.close_partial(ready);
        self.flush(ready);
    }

    fn feed_zeros(&mut self, mut len: u64, ready: &mut VecDeque<Event>) {
        if self.partial.len > 0 {
            let n = len.min((GRANULE - self.partial.len) as u64) as usize;
            self.partial.zeros(n);
            len -= n as u64;
            if self.partial.len < GRANULE {
                return;
            }
            self.close_partial(ready);
        }
        let rest = len % GRANULE as u64;
        self.zero(len - rest, ready);
        self.partial.zeros(rest as usize);
    }

    fn feed_bytes(&mut self, mut bytes: Bytes, ready: &mut VecDeque<Event>) {
        if self.partial.len > 0 {
            let n = bytes.len().min(GRANULE - self.partial.len);
            self.partial.bytes(&bytes.split_to(n));
            if self.partial.len < GRANULE {
                return;
            }
            self.close_partial(ready);
        }
        let mut whole = bytes.split_to(bytes.len() - bytes.len() % GRANULE);
        while !whole.is_empty() {
            let zero = is_zero(&whole[..GRANULE]);
            let run = whole.chunks_exact(GRANULE).take_while(|granule| is_zero(granule) == zero).count() * GRANULE;
            let run = whole.split_to(run);
            if zero { self.zero(run.len() as u64, ready) } else { self.data(run, ready) }
        }
        self.partial.bytes(&bytes);
    }

    fn close_partial(&mut self, ready: &mut VecDeque<Event>) {
        let Partial { len, bytes } = std::mem::take(&mut self.partial);
        if bytes.is_empty() { self.zero(len as u64, ready) } else { self.data(bytes.into(), ready) }
    }

    fn zero(&mut self, mut len: u64, ready: &mut VecDeque<Event>) {
        while len > 0 {
            if let Run::Data { .. } = self.run {
                self.flush(ready);
            }
            let n = len.min(self.before_head());
            if let Run::Zero(run) = &mut self.run {
                *run += n;
            }
            self.advance(n, ready);
            len -= n;
        }
    }

    fn data(&mut self, mut bytes: Bytes, ready: &mut VecDeque<Event>) {
        while !bytes.is_empty() {
            if let Run::Zero(_) = self.run {
                self.flush(ready);
                self.run = Run::Data { parts: Vec::new(), len: 0 };
            }
            // Where an extent must end: its cuts do not depend on where the data around it begins, so that most are
            // whole and lie on round offsets, which a disk likes best.
            let max_extent = self.max_extent as u64;
            let before_cut = self.before_head().min(max_extent - self.offset % max_extent);
            let Run::Data { parts, len } = &mut self.run else {
                continue;
            };
            let n = before_cut.min(bytes.len() as u64) as usize;
            parts.push(bytes.split_to(n));
            *len += n;
            self.advance(n as u64, ready);
            if n as u64 == before_cut {
                self.flush(ready);
            }
        }
    }

    fn advance(&mut self, n: u64, ready: &mut VecDeque<Event>) {
        self.offset += n;
        if self.offset == HEAD {
            self.flush(ready);
        }
    }

    fn before_head(&self) -> u64 {
        if self.offset < HEAD { HEAD - self.offset } else { u64::MAX }
    }

    fn flush(&mut self, ready: &mut VecDeque<Event>) {
        match std::mem::replace(&mut self.run, Run::Zero(0)) {
            Run::Zero(0) => {}
            Run::Zero(len) => ready.push_back(Event::Zero { offset: self.offset - len, len }),
            Run::Data { len: 0, .. } => {}
            Run::Data { parts, len } => {
                let bytes = join(parts, len);
                let sha256 = Digest::of(&bytes);
                ready.push_back(Event::Data { offset: self.offset - len as u64, bytes, sha256 });
            }
        }
    }
}

impl Partial {
    fn zeros(&mut self, n: usize) {
        self.len += n;
        if !self.bytes.is_empty() {
            self.bytes.resize(self.len, 0);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() && is_zero(bytes) {
            self.len += bytes.len();
            return;
        }
        self.bytes.resize(self.len, 0);
        self.bytes.extend_from_slice(bytes);
        self.len = self.bytes.len();
    }
}

/// Compares with zeros by blocks, which the C library does at memory speed in every build profile.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(GRANULE).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

/// One slice of all parts. A short one is copied, lest it keep alive the whole block that it was cut from.
fn join(mut parts: Vec<Bytes>, len: usize) -> Bytes {
    if parts.len() == 1
        && len >= SHORT
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let mut joined = Vec::with_capacity(len);
    parts.iter().for_each(|part| joined.extend_from_slice(part));
    joined.into()
}

/// In bytes; copying less than this is not noticed.
const SHORT: usize = 512 << 10;
static ZEROS: [u8; GRANULE] = [0; GRANULE];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 4 * GRANULE;

    fn events(pieces: impl IntoIterator<Item = Piece>) -> Vec<Event> {
        let (mut mapper, mut ready) = (Mapper::new(MAX), VecDeque::new());
        pieces.into_iter().for_each(|piece| mapper.feed(piece, &mut ready));
        mapper.finish(&mut ready);
        ready.into()
    }

    /// "D" and "Z" with offset and length in granules.
    fn shape(events: &[Event]) -> Vec<(char, u64, u64)> {
        let granule = GRANULE as u64;
        events
            .iter()
            .map(|event| match event {
                Event::Data { offset, bytes, sha256 } => {
                    assert_eq!(*sha256, Digest::of(bytes));
                    ('D', offset / granule, (bytes.len() as u64).div_ceil(granule))
                }
                Event::Zero { offset, len } => ('Z', offset / granule, len.div_ceil(granule)),
            })
            .collect()
    }

    fn ones(granules: usize) -> Piece {
        Piece::Data(vec![1; granules * GRANULE].into())
    }

    #[test]
    fn an_empty_image_has_no_events() {
        assert_eq!(events([]), []);
    }

    #[test]
    fn zero_runs_merge_whatever_their_pieces() {
        let zeros =
            [Piece::Zero(32 << 20), Piece::Data(vec![0; 3 << 20].into()), Piece::Zero(5), Piece::Zero((1 << 16) - 5)];
        assert_eq!(shape(&events(zeros)), [('Z', 0, 16), ('Z', 16, 545)]);
    }

    #[test]
    fn no_event_crosses_the_head() {
        assert_eq!(shape(&events([Piece::Zero(15 << 16), ones(2)])), [('Z', 0, 15), ('D', 15, 1), ('D', 16, 1)]);
    }

    #[test]
    fn extents_are_cut_at_round_offsets() {
        let pieces = [Piece::Zero(17 << 16), ones(3), ones(5), Piece::Zero(1 << 16), ones(1)];
        let expected =
            [('Z', 0, 16), ('Z', 16, 1), ('D', 17, 3), ('D', 20, 4), ('D', 24, 1), ('Z', 25, 1), ('D', 26, 1)];
        assert_eq!(shape(&events(pieces)), expected);
    }

    #[test]
    fn one_byte_makes_its_granule_data() {
        let pieces = [Piece::Zero((20 << 16) + 7), Piece::Data(vec![9].into()), Piece::Zero(3 << 16)];
        let events = events(pieces);
        assert_eq!(shape(&events), [('Z', 0, 16), ('Z', 16, 4), ('D', 20, 1), ('Z', 21, 3)]);
        let Event::Data { bytes, .. } = &events[2] else { panic!("no data") };
        assert_eq!((bytes.len(), bytes[7]), (GRANULE, 9));
        assert_eq!(events[3], Event::Zero { offset: 21 << 16, len: (2 << 16) + 8 });
    }

    #[test]
    fn a_tail_shorter_than_a_granule_keeps_its_length() {
        let events = events([Piece::Data(vec![1; 10].into())]);
        let bytes = vec![1; 10];
        assert_eq!(events, [Event::Data { offset: 0, sha256: Digest::of(&bytes), bytes: bytes.into() }]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn events_are_the_bytes_however_they_are_cut(
            runs in proptest::collection::vec((any::<bool>(), 1usize..200_000), 1..12),
            cuts in proptest::collection::vec(1usize..150_000, 1..8),
        ) {
            let image: Vec<u8> = runs.iter().flat_map(|&(zero, len)| vec![u8::from(!zero); len]).collect();
            let whole = events([Piece::Data(image.clone().into())]);
            let (mut pieces, mut rest, mut cut) = (Vec::new(), Bytes::from(image.clone()), cuts.iter().cycle());
            while !rest.is_empty() {
                let n = (*cut.next().unwrap()).min(rest.len());
                pieces.push(Piece::of(rest.split_to(n).to_vec()));
            }
            prop_assert_eq!(&events(pieces), &whole);
            let mut rebuilt = Vec::new();
            for event in &whole {
                match event {
                    Event::Data { offset, bytes, .. } => {
                        prop_assert_eq!(*offset, rebuilt.len() as u64);
                        prop_assert!(bytes.chunks(GRANULE).all(|granule| !is_zero(granule)));
                        rebuilt.extend_from_slice(bytes);
                    }
                    Event::Zero { offset, len } => {
                        prop_assert_eq!(*offset, rebuilt.len() as u64);
                        rebuilt.resize(rebuilt.len() + *len as usize, 0);
                    }
                }
            }
            prop_assert_eq!(rebuilt, image);
        }
    }
}
