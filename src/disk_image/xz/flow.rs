//! Blocks that are decoded as they arrive.

use liblzma::stream::{Action, Status, Stream};

use super::{
    block::BlockError,
    check::{Check, Checker},
    header::BlockHeader,
};
use crate::disk_image::{extents::Piece, input::Input};

/// A block of any length, with or without sizes in its header.
pub(super) struct Flow {
    header: BlockHeader,
    check: Check,
    checker: Checker,
    decoder: Stream,
    part: Part,
}

enum Part {
    Data,
    /// Padding and check.
    Rest,
}

pub(super) enum FlowStep {
    Piece(Piece),
    NeedInput,
    End { unpadded: u64, raw: u64 },
}

impl Flow {
    /// What `header` announces comes next in the input.
    pub fn new(header: BlockHeader, check: Check) -> Result<Self, BlockError> {
        let decoder = header.chain.decoder(header.raw)?;
        Ok(Self { checker: check.start(), header, check, decoder, part: Part::Data })
    }

    pub fn step(&mut self, input: &mut Input) -> Result<FlowStep, BlockError> {
        let mut out = Vec::new();
        if let Part::Data = self.part {
            out.reserve_exact(PIECE);
            self.inflate(input, &mut out)?;
        }
        if !out.is_empty() {
            self.checker.update(&out);
            return Ok(FlowStep::Piece(Piece::of(out)));
        }
        match self.part {
            Part::Data => Ok(FlowStep::NeedInput),
            Part::Rest => self.finish(input),
        }
    }

    /// Fills `out` as far as the input goes.
    fn inflate(&mut self, input: &mut Input, out: &mut Vec<u8>) -> Result<(), BlockError> {
        while out.len() < PIECE {
            let before = (self.decoder.total_in(), out.len());
            let left = self.header.compressed.unwrap_or(u64::MAX).saturating_sub(before.0);
            let bytes = input.front();
            let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            let status = self.decoder.process_vec(bytes, out, Action::Run).map_err(BlockError::Data)?;
            input.advance((self.decoder.total_in() - before.0) as usize);
            let (compressed, raw) = (self.decoder.total_in(), self.decoder.total_out());
            if self.header.raw.is_some_and(|announced| raw > announced) {
                return Err(BlockError::Size);
            }
            if let Status::StreamEnd = status {
                if self.header.compressed.unwrap_or(compressed) != compressed || self.header.raw.unwrap_or(raw) != raw {
                    return Err(BlockError::Size);
                }
                self.part = Part::Rest;
                return Ok(());
            }
            if before == (compressed, out.len()) {
                // Without progress: either there is no more for now, or there never will be.
                return if left == 0 { Err(BlockError::Size) } else { Ok(()) };
            }
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut Input) -> Result<FlowStep, BlockError> {
        let (compressed, raw) = (self.decoder.total_in(), self.decoder.total_out());
        // Headers are multiples of four bytes long, so the data alone decide about the padding.
        let padding = (compressed.next_multiple_of(4) - compressed) as usize;
        let Some(rest) = input.take(padding + self.check.len()) else {
            return Ok(FlowStep::NeedInput);
        };
        let (padding, check) = rest.split_at(padding);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(BlockError::Padding);
        }
        if !self.checker.clone().matches(check) {
            return Err(BlockError::Checksum);
        }
        Ok(FlowStep::End { unpadded: self.header.len as u64 + compressed + self.check.len() as u64, raw })
    }
}

const PIECE: usize = 256 << 10;
