//! Blocks seen before.

use std::{collections::HashMap, sync::Arc};

use super::pool::Job;

/// The most recently used short blocks by their bytes, within bounds. A block that repeats says little, so it is short.
#[derive(Default)]
pub(super) struct Memo {
    known: HashMap<Box<[u8]>, Known>,
    uses: u64,
}

struct Known {
    job: Arc<Job>,
    raw: u64,
    last_use: u64,
}

impl Memo {
    pub fn get(&mut self, block: &[u8]) -> Option<Arc<Job>> {
        let known = self.known.get_mut(block)?;
        self.uses += 1;
        known.last_use = self.uses;
        Some(known.job.clone())
    }

    /// Remembers a block of `raw` decoded bytes.
    pub fn put(&mut self, block: Box<[u8]>, raw: u64, job: Arc<Job>) {
        self.uses += 1;
        self.known.insert(
            block,
            Known {
                job,
                raw,
                last_use: self.uses,
            },
        );
        while self.known.len() > 1 && (self.known.len() > MAX_BLOCKS || self.size() > MAX_SIZE) {
            let oldest = self
                .known
                .iter()
                .min_by_key(|(_, known)| known.last_use)
                .map(|(block, _)| block.clone());
            match oldest {
                Some(oldest) => self.known.remove(&oldest),
                None => return,
            };
        }
    }

    /// In bytes. Blocks of zeros keep nothing but their compressed form.
    fn size(&self) -> u64 {
        let size = |(block, known): (&Box<[u8]>, &Known)| {
            block.len() as u64 + if known.job.is_zero() { 0 } else { known.raw }
        };
        self.known.iter().map(size).sum()
    }
}

/// The longest block that is remembered, compressed, in bytes.
pub(super) const MEMO_BLOCK: usize = 16 << 10;
const MAX_BLOCKS: usize = 64;
const MAX_SIZE: u64 = 4 << 20;
