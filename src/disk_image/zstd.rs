//! Reads `.zst` files, frame after frame.

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{
    extents::{Piece, Step, is_zero},
    input::Input,
};

/// Why a `.zst` file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZstdError {
    /// No decoder could be made.
    #[error("preparing to decode zstd data")]
    Prepare(#[source] std::io::Error),
    /// The bytes are damaged, or want more memory than there is (windows over 16 MiB).
    #[error("decoding zstd data after {raw} decoded bytes")]
    Data {
        /// Bytes decoded before.
        raw: u64,
        /// What the library says.
        source: std::io::Error,
    },
    /// The file ends too early.
    #[error("the zstd file is cut off after {raw} decoded bytes")]
    Truncated {
        /// Bytes decoded before the end.
        raw: u64,
    },
}

/// Decodes through the zstd C library, which checks the checksum of each frame that has one.
pub(super) struct Reader {
    decoder: Decoder<'static>,
    out: Vec<u8>,
    raw: u64,
    in_frame: bool,
    /// The last call filled the output, so there may be more without any input.
    pending: bool,
}

impl Reader {
    pub fn new() -> Result<Self, ZstdError> {
        let mut decoder = Decoder::new().map_err(ZstdError::Prepare)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(ZstdError::Prepare)?;
        Ok(Self { decoder, out: vec![0; PIECE], raw: 0, in_frame: true, pending: false })
    }

    pub fn step(&mut self, input: &mut Input) -> Result<Step, ZstdError> {
        let mut filled = 0;
        // The library counts calls without progress as errors.
        while filled < PIECE && (self.pending || input.len() > 0) {
            let raw = self.raw + filled as u64;
            let status = self
                .decoder
                .run_on_buffers(input.front(), &mut self.out[filled..])
                .map_err(|source| ZstdError::Data { raw, source })?;
            input.advance(status.bytes_read);
            filled += status.bytes_written;
            self.pending = filled == PIECE;
            if status.bytes_read + status.bytes_written > 0 {
                self.in_frame = status.remaining > 0;
            }
        }
        self.raw += filled as u64;
        match (filled, input.ended()) {
            (0, false) => Ok(Step::NeedInput),
            (0, true) if self.in_frame => Err(ZstdError::Truncated { raw: self.raw }),
            (0, true) => Ok(Step::End),
            _ => Ok(Step::Piece(self.piece(filled))),
        }
    }

    fn piece(&mut self, filled: usize) -> Piece {
        if is_zero(&self.out[..filled]) {
            return Piece::Zero(filled as u64);
        }
        let mut bytes = std::mem::replace(&mut self.out, vec![0; PIECE]);
        bytes.truncate(filled);
        Piece::Data(bytes.into())
    }
}

/// `zstd -18`, which Talos uses, has 8 MiB windows; a decoder needs little more than its window.
const WINDOW_LOG_MAX: u32 = 24;
const PIECE: usize = 256 << 10;
