//! The one way from compressed bytes to events.

use std::collections::VecDeque;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{
    digest::Digest,
    extents::{Event, Extent, Mapper, Piece, Step},
    gpt::GptError,
    input::Input,
    layout::{Layout, Survey},
    sniff::{Format, SNIFF_LEN, SniffError, sniff},
    xz::{self, BlockError, Blocks, XzError},
    zero::{ZeroMode, ZeroPlan, zero_plan},
    zstd::{self, ZstdError},
};

/// How to decode, and what is too much.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Decoding threads beside the one that calls; 0 decodes within the calls. Only block-wise `.xz` files use them.
    pub threads: usize,
    /// The largest image in bytes when decoded, such as the size of the disk.
    pub max_raw_size: u64,
    /// The largest [`Event::Data`] in bytes, in whole granules of 64 KiB; longer data is cut at multiples of it.
    pub max_extent: usize,
    /// The format, when the first bytes need not say it. Without a format, raw disks must have a master boot record.
    pub format: Option<Format>,
}

impl DecodeOptions {
    /// Two threads, extents of at most 4 MiB, the format found in the first bytes.
    pub fn new(max_raw_size: u64) -> Self {
        Self { threads: 2, max_raw_size, max_extent: 4 << 20, format: None }
    }
}

/// Decodes one image.
///
/// Push a chunk, then call [`Decoder::next_event`] until it returns `None`; [`Decoder::end_of_input`] after the last
/// chunk, `next_event` until `None` again, then [`Decoder::finish`]. Between two calls nothing happens but decoding
/// of at most a dozen megabytes in other threads, so a consumer that stops calling stops everything behind it.
/// A call may compute or wait for some milliseconds: from async code make them in a blocking task.
///
/// Memory stays below 32 MiB beside the chunks pushed and not yet read, and the events handed out.
///
/// Nothing may be trusted before `finish` returned: an image that was cut off shows only at its end.
pub struct Decoder {
    options: DecodeOptions,
    input: Input,
    source: Source,
    mapper: Mapper,
    ready: VecDeque<Event>,
    compressed: Compressed,
    raw_size: u64,
    extents: Vec<Extent>,
    survey: Survey,
}

/// An image that was decoded to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// What it was compressed with.
    pub format: Format,
    /// Bytes when decoded: what the disk must hold.
    pub raw_size: u64,
    /// Bytes pushed.
    pub compressed_size: u64,
    /// Of the bytes pushed.
    pub compressed_sha256: Digest,
    /// All data there was, in ascending order; everything between is zero.
    pub extents: Vec<Extent>,
    /// For `.xz` files, how many blocks there were.
    pub blocks: Option<Blocks>,
    /// Its partitions, or why they are not known; a Talos image always has them.
    pub layout: Result<Layout, GptError>,
}

impl Image {
    /// Bytes of all extents together.
    pub fn data_size(&self) -> u64 {
        self.extents.iter().map(|extent| extent.len).sum()
    }

    /// Which zeros of the image must be written to a disk that may hold something else.
    pub fn zero_plan(&self, mode: ZeroMode) -> ZeroPlan {
        zero_plan(mode, self.raw_size, &self.extents, &self.layout)
    }
}

struct Compressed {
    size: u64,
    sha256: Sha256,
}

enum Source {
    Unknown,
    Raw,
    Xz(Box<xz::Reader>),
    Zstd(Box<zstd::Reader>),
    Complete(Format, Option<Blocks>),
    Failed,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    pub fn new(options: DecodeOptions) -> Self {
        Self {
            mapper: Mapper::new(options.max_extent),
            options,
            input: Input::default(),
            source: Source::Unknown,
            ready: VecDeque::new(),
            compressed: Compressed { size: 0, sha256: Sha256::new() },
            raw_size: 0,
            extents: Vec::new(),
            survey: Survey::new(),
        }
    }

    /// Takes the next compressed bytes; any length will do, 64 KiB to 1 MiB is best.
    pub fn push(&mut self, bytes: Bytes) {
        self.compressed.size += bytes.len() as u64;
        self.compressed.sha256.update(&bytes);
        self.input.push(bytes);
    }

    /// There are no more compressed bytes.
    pub fn end_of_input(&mut self) {
        self.input.end();
    }

    /// The next event, or `None`: push more, or when the input has ended, the image is complete.
    ///
    /// # Errors
    /// Everything that is wrong with the image; after an error there is nothing more to get.
    pub fn next_event(&mut self) -> Result<Option<Event>, DecodeError> {
        let event = self.advance();
        match &event {
            Ok(Some(Event::Data { offset, bytes, sha256 })) => {
                if self.extents.len() == MAX_EXTENTS {
                    self.source = Source::Failed;
                    return Err(DecodeError::TooFragmented { limit: MAX_EXTENTS });
                }
                self.survey.data(*offset, bytes);
                self.extents.push(Extent { offset: *offset, len: bytes.len() as u64, sha256: *sha256 });
            }
            Err(_) => self.source = Source::Failed,
            _ => {}
        }
        event
    }

    /// Whether the end of the image was reached and every event was handed out.
    pub fn is_complete(&self) -> bool {
        matches!(self.source, Source::Complete(..)) && self.ready.is_empty()
    }

    /// What the image was.
    ///
    /// # Errors
    /// [`DecodeError::Unfinished`] unless the input has ended and `next_event` has returned its last `None`.
    pub fn finish(self) -> Result<Image, DecodeError> {
        let Source::Complete(format, blocks) = self.source else {
            return Err(DecodeError::Unfinished);
        };
        if !self.ready.is_empty() || !self.input.ended() {
            return Err(DecodeError::Unfinished);
        }
        Ok(Image {
            format,
            raw_size: self.raw_size,
            compressed_size: self.compressed.size,
            compressed_sha256: Digest(self.compressed.sha256.finalize().into()),
            extents: self.extents,
            blocks,
            layout: self.survey.finish(self.raw_size),
        })
    }

    fn advance(&mut self) -> Result<Option<Event>, DecodeError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let (format, step) = match &mut self.source {
                Source::Unknown => {
                    if !self.open()? {
                        return Ok(None);
                    }
                    continue;
                }
                Source::Raw => (Format::Raw, raw_step(&mut self.input)),
                Source::Xz(reader) => (Format::Xz, reader.step(&mut self.input)?),
                Source::Zstd(reader) => (Format::Zstd, reader.step(&mut self.input)?),
                Source::Complete(..) => return Ok(None),
                Source::Failed => return Err(DecodeError::Unfinished),
            };
            match step {
                Step::Piece(piece) => self.accept(piece)?,
                Step::NeedInput => return self.check_compressed_size().map(|()| None),
                Step::End => {
                    self.mapper.finish(&mut self.ready);
                    let blocks = match &self.source {
                        Source::Xz(reader) => Some(reader.blocks()),
                        _ => None,
                    };
                    self.source = Source::Complete(format, blocks);
                }
            }
        }
    }

    /// Chooses the reader as soon as enough has come.
    fn open(&mut self) -> Result<bool, DecodeError> {
        let mut head = [0; SNIFF_LEN];
        let head_len = self.input.peek(&mut head);
        if head_len < SNIFF_LEN && !self.input.ended() {
            return Ok(false);
        }
        let format = match self.options.format {
            Some(format) => format,
            None => sniff(&head[..head_len])?,
        };
        self.source = match format {
            Format::Raw => Source::Raw,
            Format::Xz => Source::Xz(Box::new(xz::Reader::new(self.options.threads))),
            Format::Zstd => Source::Zstd(Box::new(zstd::Reader::new()?)),
        };
        Ok(true)
    }

    fn accept(&mut self, piece: Piece) -> Result<(), DecodeError> {
        self.raw_size = self.raw_size.saturating_add(piece.len());
        if self.raw_size > self.options.max_raw_size {
            return Err(DecodeError::TooLarge { limit: self.options.max_raw_size });
        }
        self.mapper.feed(piece, &mut self.ready);
        Ok(())
    }

    /// Every format can carry endless bytes that decode to nothing.
    fn check_compressed_size(&self) -> Result<(), DecodeError> {
        let max = self.options.max_raw_size;
        let limit = max.saturating_add(max / 16).saturating_add(1 << 20);
        if self.compressed.size > limit {
            return Err(DecodeError::TooMuchInput { limit });
        }
        Ok(())
    }
}

fn raw_step(input: &mut Input) -> Step {
    let front = input.front().len();
    match (input.take(front), input.ended()) {
        (Some(bytes), _) if !bytes.is_empty() => Step::Piece(Piece::Data(bytes)),
        (_, true) => Step::End,
        (_, false) => Step::NeedInput,
    }
}

/// Why an image cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is no image that can be read.
    #[error("recognising the image")]
    Sniff(#[from] SniffError),
    /// The `.xz` file is damaged or cannot be read here.
    #[error("reading the xz image")]
    Xz(#[from] XzError),
    /// The `.zst` file is damaged or cannot be read here.
    #[error("reading the zstd image")]
    Zstd(#[from] ZstdError),
    /// The image is larger than allowed.
    #[error("the image is larger than {limit} bytes")]
    TooLarge {
        /// [`DecodeOptions::max_raw_size`].
        limit: u64,
    },
    /// So many bytes came that they cannot be an image of the allowed size.
    #[error("the compressed image goes on after {limit} bytes")]
    TooMuchInput {
        /// Derived from [`DecodeOptions::max_raw_size`].
        limit: u64,
    },
    /// Data and zeros alternate more often than in any disk image.
    #[error("the image has more than {limit} separate extents")]
    TooFragmented {
        /// How many would have been accepted.
        limit: usize,
    },
    /// The image was not read to its end, or reading it has failed before.
    #[error("the image was not decoded to its end")]
    Unfinished,
}

impl DecodeError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Sniff(error) => Some(error.hint()),
            Self::TooLarge { .. } => Some("choose a larger disk, or the image of another platform"),
            Self::Xz(XzError::Block { source: BlockError::Dictionary { .. }, .. }) => {
                Some("compress the image with `xz -6` or less")
            }
            Self::Xz(_) | Self::Zstd(_) | Self::TooMuchInput { .. } => {
                Some("remove the file from the cache and download it again")
            }
            Self::TooFragmented { .. } | Self::Unfinished => None,
        }
    }
}

const MAX_EXTENTS: usize = 128 << 10;

#[cfg(test)]
#[path = "decoder/tests.rs"]
mod tests;
