//! Reads `.xz` files block by block (the .xz file format, version 1.2.1).
//!
//! Talos compresses disk images with `xz -0 -T0` (Talos v1.12.2 pkg/imager/post.go), which makes independent blocks of
//! 1 MiB and writes their sizes into their headers. Equal compressed blocks hold equal bytes, so of the thousands of
//! blocks of zeros one is decoded; the others are decoded in parallel. Blocks that are too large to hold, or do not say
//! how large they are, are decoded as they arrive.

mod block;
mod chain;
mod check;
mod container;
mod flow;
mod header;
mod index;
mod memo;
mod pool;
mod queue;

use bytes::Bytes;

pub use self::block::BlockError;
use self::{
    block::Block,
    check::Check,
    container::{FOOTER_LEN, STREAM_HEADER_LEN, StreamFlags},
    flow::{Flow, FlowStep},
    header::BlockHeader,
    index::{IndexReader, Records},
    memo::{MEMO_BLOCK, Memo},
    pool::Pool,
    queue::Queue,
};
use super::{
    extents::{Piece, Step},
    input::Input,
};

/// How many blocks an `.xz` file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// In all of its streams.
    pub total: u64,
    /// Those that were decoded; the others were equal to one of these.
    pub decoded: u64,
}

/// Reads any number of concatenated streams.
pub(super) struct Reader {
    state: State,
    pool: Pool,
    queue: Queue,
    memo: Memo,
    /// Room for a short block that arrived in pieces.
    joined: Box<[u8]>,
    flags: StreamFlags,
    records: Records,
    /// Of all streams.
    blocks: u64,
    flows: u64,
    raw: u64,
}

/// What comes next.
enum State {
    StreamHeader,
    BlockOrIndex,
    Block(BlockHeader),
    Flow(Box<Flow>),
    Index(Box<IndexReader>),
    Footer {
        index_len: u64,
    },
    /// Nothing, zeros, or another stream; so many padding bytes were seen.
    Padding(u64),
}

/// What one look at the input brought.
enum Parsed {
    Progress,
    Piece(Piece),
    NeedInput,
    /// Blocks handed to other threads must be delivered first.
    Drain,
    End,
}

impl Reader {
    /// Decodes in `threads` other threads, or with none in this one.
    pub fn new(threads: usize) -> Self {
        Self {
            state: State::StreamHeader,
            pool: Pool::new(threads),
            queue: Queue::default(),
            memo: Memo::default(),
            joined: vec![0; MEMO_BLOCK].into(),
            flags: StreamFlags { check: Check::None },
            records: Records::default(),
            blocks: 0,
            flows: 0,
            raw: 0,
        }
    }

    pub fn step(&mut self, input: &mut Input) -> Result<Step, XzError> {
        loop {
            if self.queue.is_full() || self.queue.is_ready() {
                return self.deliver();
            }
            match self.parse(input)? {
                Parsed::Progress => {}
                Parsed::Piece(piece) => {
                    self.raw += piece.len();
                    return Ok(Step::Piece(piece));
                }
                Parsed::NeedInput if !input.ended() => return Ok(Step::NeedInput),
                _ if !self.queue.is_empty() => return self.deliver(),
                Parsed::Drain => {}
                Parsed::End => return Ok(Step::End),
                Parsed::NeedInput => return Err(XzError::Truncated { raw: self.raw }),
            }
        }
    }

    /// How many blocks there were until now.
    pub fn blocks(&self) -> Blocks {
        Blocks { total: self.blocks, decoded: self.pool.submitted() + self.flows }
    }

    /// Waits for the oldest block.
    fn deliver(&mut self) -> Result<Step, XzError> {
        match self.queue.pop() {
            Some((_, Ok(piece))) => {
                self.raw += piece.len();
                Ok(Step::Piece(piece))
            }
            Some((number, Err(source))) => Err(XzError::Block { number, source }),
            None => Ok(Step::NeedInput),
        }
    }

    /// Reads one part. Where a part does not say what follows it, a block or the index does.
    fn parse(&mut self, input: &mut Input) -> Result<Parsed, XzError> {
        match std::mem::replace(&mut self.state, State::BlockOrIndex) {
            State::StreamHeader => self.stream_header(input),
            State::BlockOrIndex => self.block_or_index(input),
            State::Block(header) => self.block(header, input),
            State::Flow(flow) => self.flow(flow, input),
            State::Index(index) => self.index(index, input),
            State::Footer { index_len } => self.footer(index_len, input),
            State::Padding(len) => self.padding(len, input),
        }
    }

    fn stream_header(&mut self, input: &mut Input) -> Result<Parsed, XzError> {
        let Some(header) = input.take(STREAM_HEADER_LEN) else {
            return self.wait(State::StreamHeader);
        };
        let flags = StreamFlags::from_header(&header)?;
        if flags != self.flags {
            // The same block bytes mean something else under another check.
            self.memo = Memo::default();
        }
        self.flags = flags;
        self.records = Records::default();
        Ok(Parsed::Progress)
    }

    fn block_or_index(&mut self, input: &mut Input) -> Result<Parsed, XzError> {
        let Some(first) = input.front().first().copied() else {
            return Ok(Parsed::NeedInput);
        };
        if first == 0 {
            self.state = State::Index(Box::new(IndexReader::new(&self.records)));
            return Ok(Parsed::Progress);
        }
        let number = self.blocks + 1;
        let mut bytes = [0; header::MAX_LEN];
        let bytes = &mut bytes[..header::len(first)];
        if input.peek(bytes) < bytes.len() {
            return Ok(Parsed::NeedInput);
        }
        let header = BlockHeader::parse(bytes).map_err(|source| XzError::Block { number, source })?;
        self.blocks = number;
        if header.whole_len(self.flags.check).is_some() {
            self.state = State::Block(header);
            return Ok(Parsed::Progress);
        }
        input.skip(header.len);
        let flow = Flow::new(header, self.flags.check).map_err(|source| XzError::Block { number, source })?;
        self.flows += 1;
        self.state = State::Flow(Box::new(flow));
        Ok(Parsed::Drain)
    }

    /// A block that fits into memory and says how long it is.
    fn block(&mut self, header: BlockHeader, input: &mut Input) -> Result<Parsed, XzError> {
        let check = self.flags.check;
        let Some((len, unpadded, raw)) = header.whole_len(check) else {
            return Ok(Parsed::Progress);
        };
        if input.len() < len {
            return self.wait(State::Block(header));
        }
        self.records.add(unpadded, raw);
        if len > MEMO_BLOCK {
            if let Some(bytes) = input.take(len) {
                let job = self.pool.submit(Block { bytes, header, check });
                self.queue.push(self.blocks, job);
            }
            return Ok(Parsed::Progress);
        }
        let key = input.look(len, &mut self.joined);
        if let Some(job) = self.memo.get(key) {
            self.queue.push_known(self.blocks, job);
            input.skip(len);
            return Ok(Parsed::Progress);
        }
        let key: Box<[u8]> = key.into();
        let bytes = Bytes::copy_from_slice(&key);
        input.skip(len);
        let job = self.pool.submit(Block { bytes, header, check });
        self.memo.put(key, raw, job.clone());
        self.queue.push(self.blocks, job);
        Ok(Parsed::Progress)
    }

    /// A block that is decoded as it arrives.
    fn flow(&mut self, mut flow: Box<Flow>, input: &mut Input) -> Result<Parsed, XzError> {
        if !self.queue.is_empty() {
            self.state = State::Flow(flow);
            return Ok(Parsed::Drain);
        }
        let step = flow.step(input).map_err(|source| XzError::Block { number: self.blocks, source })?;
        match step {
            FlowStep::End { unpadded, raw } => {
                self.records.add(unpadded, raw);
                Ok(Parsed::Progress)
            }
            FlowStep::NeedInput => self.wait(State::Flow(flow)),
            FlowStep::Piece(piece) => {
                self.state = State::Flow(flow);
                Ok(Parsed::Piece(piece))
            }
        }
    }

    fn index(&mut self, mut index: Box<IndexReader>, input: &mut Input) -> Result<Parsed, XzError> {
        while !input.front().is_empty() {
            let used = index.feed(input.front())?;
            input.advance(used);
            if let Some(index_len) = index.finished() {
                self.state = State::Footer { index_len };
                return Ok(Parsed::Progress);
            }
        }
        self.wait(State::Index(index))
    }

    fn footer(&mut self, index_len: u64, input: &mut Input) -> Result<Parsed, XzError> {
        let Some(footer) = input.take(FOOTER_LEN) else {
            return self.wait(State::Footer { index_len });
        };
        self.flags.check_footer(&footer, index_len)?;
        self.state = State::Padding(0);
        Ok(Parsed::Progress)
    }

    fn padding(&mut self, mut len: u64, input: &mut Input) -> Result<Parsed, XzError> {
        while let Some(byte) = input.front().first() {
            if *byte != 0 {
                if !len.is_multiple_of(4) {
                    return Err(XzError::Padding);
                }
                self.state = State::StreamHeader;
                return Ok(Parsed::Progress);
            }
            let zeros = input.front().iter().take_while(|byte| **byte == 0).count();
            input.advance(zeros);
            len += zeros as u64;
        }
        self.state = State::Padding(len);
        match input.ended() {
            true if !len.is_multiple_of(4) => Err(XzError::Padding),
            true => Ok(Parsed::End),
            false => Ok(Parsed::NeedInput),
        }
    }

    fn wait(&mut self, state: State) -> Result<Parsed, XzError> {
        self.state = state;
        Ok(Parsed::NeedInput)
    }
}

/// Why an `.xz` file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XzError {
    /// A stream does not begin as one.
    #[error("the stream header {what}")]
    StreamHeader {
        /// A predicate.
        what: &'static str,
    },
    /// The integrity check is of a kind that nobody has defined, so nothing could be verified.
    #[error("the integrity check of type {id} is not supported")]
    UnsupportedCheck {
        /// From the stream header.
        id: u8,
    },
    /// A block is damaged or cannot be read here.
    #[error("decoding block {number}")]
    Block {
        /// From 1, through all streams.
        number: u64,
        /// What is wrong with it.
        source: BlockError,
    },
    /// The list of blocks does not match the blocks.
    #[error("the index {what}")]
    Index {
        /// A predicate.
        what: &'static str,
    },
    /// A stream does not end as one.
    #[error("the stream footer {what}")]
    Footer {
        /// A predicate.
        what: &'static str,
    },
    /// Zeros after a stream must come in fours.
    #[error("the padding after a stream is not a multiple of four bytes")]
    Padding,
    /// The file ends too early.
    #[error("the file is cut off after {raw} decoded bytes")]
    Truncated {
        /// Bytes decoded before the end.
        raw: u64,
    },
}

#[cfg(test)]
mod tests;
