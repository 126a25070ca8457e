//! Blocks that are decoded at once.

use bytes::Bytes;
use liblzma::stream::{Action, Status};

use super::{check::Check, header::BlockHeader};
use crate::disk_image::extents::Piece;

/// A block with both sizes in its header.
#[derive(Debug)]
pub(super) struct Block {
    /// From the header to the check.
    pub bytes: Bytes,
    pub header: BlockHeader,
    pub check: Check,
}

impl Block {
    /// An estimate of the memory that waiting for this block and decoding it takes: input, output and dictionary.
    pub fn cost(&self) -> u64 {
        self.bytes.len() as u64 + 2 * self.header.raw.unwrap_or(0)
    }

    /// Room for the content. Made by the thread that will also free it: allocators keep memory apart by threads.
    pub fn room(&self) -> Vec<u8> {
        // One byte more than there should be shows a block that goes on.
        Vec::with_capacity(self.header.raw.unwrap_or(0) as usize + 1)
    }

    /// The verified content, in the memory of `out`.
    pub fn decode(&self, mut out: Vec<u8>) -> Result<Piece, BlockError> {
        let (Some(compressed), Some(raw)) = (self.header.compressed, self.header.raw) else {
            return Err(BlockError::Header { what: "sizes" });
        };
        let data_end = self.header.len + compressed as usize;
        let (padding, check) = self.bytes[data_end..].split_at(data_end.next_multiple_of(4) - data_end);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(BlockError::Padding);
        }
        self.inflate(&self.bytes[self.header.len..data_end], raw as usize, &mut out)?;
        let mut checker = self.check.start();
        checker.update(&out);
        if !checker.matches(check) {
            return Err(BlockError::Checksum);
        }
        Ok(Piece::of(out))
    }

    fn inflate(&self, data: &[u8], raw: usize, out: &mut Vec<u8>) -> Result<(), BlockError> {
        let mut decoder = self.header.chain.decoder(self.header.raw)?;
        loop {
            let before = (decoder.total_in(), out.len());
            let rest = &data[before.0 as usize..];
            let status = decoder.process_vec(rest, out, Action::Run).map_err(BlockError::Data)?;
            let ended = matches!(status, Status::StreamEnd);
            if out.len() > raw || (ended && (out.len() != raw || decoder.total_in() != data.len() as u64)) {
                return Err(BlockError::Size);
            }
            if ended {
                return Ok(());
            }
            if before == (decoder.total_in(), out.len()) {
                return Err(BlockError::Size);
            }
        }
    }
}

/// What is wrong with a block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Something in its header is not possible.
    #[error("the {what} in the block header cannot be right")]
    Header {
        /// Which part.
        what: &'static str,
    },
    /// Its header is damaged.
    #[error("the checksum of the block header does not match")]
    HeaderChecksum,
    /// It was compressed in a way that is not known.
    #[error("filter {id:#x} is not supported here")]
    Filter {
        /// From the header.
        id: u64,
    },
    /// Decoding it takes too much memory.
    #[error("decoding takes a dictionary of {needs} bytes; at most {limit} are allowed")]
    Dictionary {
        /// In bytes.
        needs: u64,
        /// In bytes.
        limit: u64,
    },
    /// The library has no decoder for it.
    #[error("preparing the decoder")]
    Prepare(#[source] liblzma::stream::Error),
    /// Its data are damaged.
    #[error("the compressed data are damaged")]
    Data(#[source] liblzma::stream::Error),
    /// It does not end where its header says.
    #[error("the sizes in the block header do not match the data")]
    Size,
    /// The bytes after the data should be zero.
    #[error("the padding after the data is not zero")]
    Padding,
    /// The decoded bytes are not those that were compressed.
    #[error("the checksum of the decoded data does not match")]
    Checksum,
    /// The thread that decoded it ended.
    #[error("the decoding thread has died")]
    Thread,
}
