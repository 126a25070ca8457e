//! Reads a prepared image, one step at a time: a flash holds no more of it in memory than what is under way.

use std::collections::VecDeque;

use super::Cause;
use crate::client::cache::PreparedImage;
use crate::disk_image::{Event, Image, Stretch};

/// A prepared image that is being read.
pub(super) struct Reading {
    source: PreparedImage,
    stretches: VecDeque<Stretch>,
    /// Bytes of data in `stretches`.
    left: u64,
}

impl Reading {
    pub(super) fn new(source: PreparedImage) -> Self {
        let stretches = source.image().stretches().into();
        let left = source.image().data_size();
        Self { source, stretches, left }
    }

    /// The next event, or `None` at the end. A caller that drops the call may ask again.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Cause> {
        let Some(stretch) = self.stretches.front().copied() else { return Ok(None) };
        let source = self.source.clone();
        let event = tokio::task::spawn_blocking(move || source.event(stretch))
            .await
            .map_err(|_| Cause::Internal("the prepared image stopped"))?
            .map_err(|error| Cause::Source(error.into()))?;
        // Only now: a call that was dropped before has not happened.
        self.stretches.pop_front();
        if let Stretch::Data { extent, .. } = stretch {
            self.left -= extent.len;
        }
        Ok(Some(event))
    }

    /// What is being read.
    pub(super) fn whole(&self) -> &Image {
        self.source.image()
    }

    /// The image, when all of it was read.
    pub(super) fn image(&self) -> Option<Image> {
        self.stretches.is_empty().then(|| self.source.image().clone())
    }

    /// Bytes of data still to come.
    pub(super) fn left(&self) -> u64 {
        self.left
    }
}
