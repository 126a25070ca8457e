//! The image as a flash takes it: read whenever it is sent or compared, and kept nowhere.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Cause;
use super::wire::{Job, Jobs};
use crate::client::cache::{PreparedImage, ReadError};
use crate::disk_image::{Extent, HEAD, Run, Slot};

/// The first MiB.
pub(super) async fn head(image: &PreparedImage) -> Result<Vec<u8>, Cause> {
    let mut head = vec![0; HEAD as usize];
    // No extent crosses the end of the head.
    for slot in image.image().slots().take_while(|slot| slot.extent.offset < HEAD) {
        let bytes = read(image, slot).await?;
        let at = slot.extent.offset as usize;
        head[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    Ok(head)
}

/// A run as one extent.
pub(super) async fn whole(image: &PreparedImage, run: &Run) -> Result<Extent, Cause> {
    let (offset, len) = (run.range().start, run.size());
    let (image, run) = (image.clone(), run.clone());
    let sha256 = blocking(move || image.digest(&run)).await?;
    Ok(Extent { offset, len, sha256 })
}

async fn read(image: &PreparedImage, slot: Slot) -> Result<Bytes, Cause> {
    let image = image.clone();
    blocking(move || image.read(slot)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ReadError> + Send + 'static) -> Result<T, Cause> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Cause::Internal("reading the image was stopped"))?.map_err(Cause::Image)
}

/// Jobs that write runs of an image.
pub(super) fn copies(image: &PreparedImage, runs: Vec<Run>) -> std::vec::IntoIter<Job> {
    runs.into_iter().map(|run| Job::Copy(image.clone(), run)).collect::<Vec<_>>().into_iter()
}

/// The bytes of one write, in order.
#[derive(Default)]
pub(super) struct Data<'a> {
    image: Option<&'a PreparedImage>,
    slots: std::slice::Iter<'a, Slot>,
    /// Read, and not yet taken.
    rest: Bytes,
}

impl<'a> Data<'a> {
    pub(super) fn of(job: &'a Job) -> Self {
        match job {
            Job::Write(_, bytes) => Self { rest: bytes.clone(), ..Self::default() },
            Job::Copy(image, run) => Self { image: Some(image), slots: run.slots().iter(), ..Self::default() },
            _ => Self::default(),
        }
    }

    /// The next bytes, at most `most` of them; an error when there are none.
    pub(super) async fn take(&mut self, most: u64) -> Result<Bytes, Cause> {
        if self.rest.is_empty() {
            let (Some(image), Some(slot)) = (self.image, self.slots.next()) else {
                return Err(Cause::Internal("there is less data than was announced"));
            };
            self.rest = read(image, *slot).await?;
        }
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Ok(self.rest.split_to(len))
    }
}

/// Jobs that need the digest of what they are about.
pub(super) struct Hashed<'a> {
    pub(super) image: &'a PreparedImage,
    pub(super) runs: VecDeque<Run>,
    pub(super) job: fn(Extent) -> Job,
}

impl Jobs for Hashed<'_> {
    async fn next(&mut self) -> Result<Option<Job>, Cause> {
        let Some(run) = self.runs.front() else { return Ok(None) };
        let extent = whole(self.image, run).await?;
        // Only now: a call that was dropped before has not happened.
        self.runs.pop_front();
        Ok(Some((self.job)(extent)))
    }
}
