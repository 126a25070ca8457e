//! Reads `.xz` files: for now all of it through liblzma's stream decoder.

use liblzma::stream::{Action, CONCATENATED, Status, Stream};

use super::{
    extents::{Piece, Step},
    input::Input,
};

/// Why an `.xz` file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XzError {
    /// liblzma refused the bytes.
    #[error("decoding xz data")]
    Data(#[source] liblzma::stream::Error),
    /// The file ends too early.
    #[error("the xz file is cut off after {raw} decoded bytes")]
    Truncated {
        /// Bytes decoded before the end.
        raw: u64,
    },
}

pub(super) struct Reader {
    stream: Stream,
}

impl Reader {
    pub fn new() -> Result<Self, XzError> {
        Ok(Self {
            stream: Stream::new_stream_decoder(MEMORY_LIMIT, CONCATENATED)
                .map_err(XzError::Data)?,
        })
    }

    pub fn step(&mut self, input: &mut Input) -> Result<Step, XzError> {
        let mut out = Vec::with_capacity(PIECE);
        while out.len() < PIECE {
            let last = input.len() == 0 && input.ended();
            if input.len() == 0 && !last {
                break;
            }
            let action = if last { Action::Finish } else { Action::Run };
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .process_vec(input.front(), &mut out, action)
                .map_err(XzError::Data)?;
            let used = self.stream.total_in() - before.0;
            input.advance(used as usize);
            if status == Status::StreamEnd {
                return Ok(if out.is_empty() {
                    Step::End
                } else {
                    Step::Piece(Piece::of(out))
                });
            }
            if last && self.stream.total_out() == before.1 {
                return Err(XzError::Truncated {
                    raw: self.stream.total_out(),
                });
            }
        }
        Ok(if out.is_empty() {
            Step::NeedInput
        } else {
            Step::Piece(Piece::of(out))
        })
    }
}

const MEMORY_LIMIT: u64 = 24 << 20;
const PIECE: usize = 256 << 10;
