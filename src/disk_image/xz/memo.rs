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
        self.known.insert(block, Known { job, raw, last_use: self.uses });
        while self.known.len() > 1 && (self.known.len() > MAX_BLOCKS || self.size() > MAX_SIZE) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last_use).map(|(block, _)| block.clone());
            match oldest {
                Some(oldest) => self.known.remove(&oldest),
                None => return,
            };
        }
    }

    /// In bytes. Blocks of zeros keep nothing but their compressed form.
    fn size(&self) -> u64 {
        let raw = |known: &Known| if known.job.is_zero() { 0 } else { known.raw };
        self.known.iter().map(|(block, known)| block.len() as u64 + raw(known)).sum()
    }
}

/// The longest block that is remembered, compressed, in bytes.
pub(super) const MEMO_BLOCK: usize = 16 << 10;
const MAX_BLOCKS: usize = 64;
const MAX_SIZE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk_image::xz::{block::Block, check::Check, header::BlockHeader, pool::Pool};

    /// A job that has failed, which is neither pending nor zero.
    fn job() -> Arc<Job> {
        let header = [0, 0xC0, 1, 1, 0x21, 1, 12, 0];
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        let header = BlockHeader::parse(&bytes).unwrap();
        bytes.extend_from_slice(&[9; 4]);
        Pool::new(0).submit(Block { bytes: Bytes::from(bytes), header, check: Check::None })
    }

    #[test]
    fn the_least_recently_used_block_is_forgotten() {
        let mut memo = Memo::default();
        for number in 0..MAX_BLOCKS as u8 {
            memo.put(Box::new([number]), 1, job());
        }
        assert!(memo.get(&[0]).is_some());
        memo.put(Box::new([200]), 1, job());
        assert!(memo.get(&[0]).is_some() && memo.get(&[1]).is_none() && memo.get(&[200]).is_some());
        assert_eq!(memo.known.len(), MAX_BLOCKS);
    }

    #[test]
    fn large_blocks_push_out_others() {
        let mut memo = Memo::default();
        for number in 0..10 {
            memo.put(Box::new([number]), MAX_SIZE / 4, job());
            assert!(memo.size() <= MAX_SIZE);
        }
        assert!(memo.get(&[9]).is_some() && memo.get(&[5]).is_none());
        memo.put(Box::new([99]), MAX_SIZE * 2, job());
        assert!(memo.get(&[99]).is_some() && memo.get(&[9]).is_none());
    }
}
