//! Blocks in the order of the image, while they are decoded out of order.

use std::{collections::VecDeque, sync::Arc};

use super::{block::BlockError, pool::Job};
use crate::disk_image::extents::Piece;

/// Bounded in memory and in length.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    cost: u64,
}

struct Entry {
    number: u64,
    job: Arc<Job>,
    cost: u64,
}

impl Queue {
    /// Appends a block that is decoded for this place.
    pub fn push(&mut self, number: u64, job: Arc<Job>) {
        let cost = job.cost();
        self.cost += cost;
        self.entries.push_back(Entry { number, job, cost });
    }

    /// Appends a block that is decoded anyway.
    pub fn push_known(&mut self, number: u64, job: Arc<Job>) {
        self.entries.push_back(Entry { number, job, cost: 0 });
    }

    /// Nothing more should be appended before something was taken.
    pub fn is_full(&self) -> bool {
        self.cost >= MAX_COST || self.entries.len() >= MAX_LEN
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first block need not be waited for.
    pub fn is_ready(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.job.is_done())
    }

    /// Waits for the first block; gives its number and content.
    pub fn pop(&mut self) -> Option<(u64, Result<Piece, BlockError>)> {
        let entry = self.entries.pop_front()?;
        self.cost -= entry.cost;
        Some((entry.number, entry.job.wait()))
    }
}

/// In bytes; one more block may be begun just below this.
const MAX_COST: u64 = 8 << 20;
const MAX_LEN: usize = 4096;
