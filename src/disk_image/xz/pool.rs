//! Threads that decode blocks.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

use super::block::{Block, BlockError};
use crate::disk_image::extents::Piece;

/// Decodes blocks in other threads, or at once when there are none.
pub(super) struct Pool {
    sender: Option<Sender<Arc<Job>>>,
    workers: Vec<JoinHandle<()>>,
    submitted: u64,
}

/// A block that is being decoded, and then its content.
pub(super) struct Job {
    state: Mutex<JobState>,
    done: Condvar,
    cost: u64,
}

enum JobState {
    Waiting(Block, Vec<u8>),
    Running,
    Done(Piece),
    Failed(Option<BlockError>),
}

impl Pool {
    /// Starts up to `threads` threads; where the system allows fewer, fewer.
    pub fn new(threads: usize) -> Self {
        let (sender, receiver) = channel::<Arc<Job>>();
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |number| {
            let receiver = receiver.clone();
            Builder::new().name(format!("image-{number}")).spawn(move || work(&receiver)).ok()
        };
        let workers: Vec<_> = (0..threads).map_while(start).collect();
        Self { sender: (!workers.is_empty()).then_some(sender), workers, submitted: 0 }
    }

    /// How many blocks were submitted.
    pub fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Has a block decoded.
    pub fn submit(&mut self, block: Block) -> Arc<Job> {
        self.submitted += 1;
        let (cost, room) = (block.cost(), block.room());
        let job = Arc::new(Job { state: Mutex::new(JobState::Waiting(block, room)), done: Condvar::new(), cost });
        match &self.sender {
            Some(sender) if sender.send(job.clone()).is_ok() => {}
            _ => job.run(),
        }
        job
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has marked its job.
            let _ = worker.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Arc<Job>>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job.run(),
            Err(_) => return,
        }
    }
}

impl Job {
    /// What [`Block::cost`] said.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    pub fn is_done(&self) -> bool {
        matches!(*self.lock(), JobState::Done(_) | JobState::Failed(_))
    }

    /// Whether the content turned out to be nothing but zeros, which take no memory.
    pub fn is_zero(&self) -> bool {
        matches!(*self.lock(), JobState::Done(Piece::Zero(_)))
    }

    /// Waits for the content. An error is given once.
    pub fn wait(&self) -> Result<Piece, BlockError> {
        let mut state = self.lock();
        loop {
            match &mut *state {
                JobState::Done(piece) => return Ok(piece.clone()),
                JobState::Failed(error) => return Err(error.take().unwrap_or(BlockError::Thread)),
                JobState::Waiting(..) | JobState::Running => {
                    state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn run(&self) {
        let JobState::Waiting(block, room) = std::mem::replace(&mut *self.lock(), JobState::Running) else {
            return;
        };
        let mut outcome = Outcome { job: self, state: JobState::Failed(Some(BlockError::Thread)) };
        outcome.state = match block.decode(room) {
            Ok(piece) => JobState::Done(piece),
            Err(error) => JobState::Failed(Some(error)),
        };
    }

    fn lock(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports when dropped, so that nobody waits forever for a thread that panicked.
struct Outcome<'a> {
    job: &'a Job,
    state: JobState,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        *self.job.lock() = std::mem::replace(&mut self.state, JobState::Running);
        self.job.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_dies_is_reported_once_and_for_all() {
        let job = Job { state: Mutex::new(JobState::Running), done: Condvar::new(), cost: 0 };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| job.wait());
            drop(Outcome { job: &job, state: JobState::Failed(Some(BlockError::Thread)) });
            assert!(matches!(waiting.join().unwrap(), Err(BlockError::Thread)));
        });
        assert!(job.is_done() && !job.is_zero());
        assert!(matches!(job.wait(), Err(BlockError::Thread)));
    }
}
