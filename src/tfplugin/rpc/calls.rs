//! Running calls: each to its end, stoppable, and unable to take the process down.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::tfplugin::{crash, diagnostic::Diagnostic};

/// The calls that are running.
#[derive(Default)]
pub struct Calls {
    stop: Mutex<CancellationToken>,
    running: TaskTracker,
}

impl Calls {
    /// The token of calls that start now.
    pub fn token(&self) -> CancellationToken {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cancels the calls that are running; those that start later get a fresh token, as the host may well go on
    /// after it asked to stop (it closes ephemeral resources, for one).
    pub fn stop(&self) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stop).cancel();
    }

    /// How many calls are running.
    #[cfg(test)]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Ends when no call is running.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
        self.running.reopen();
    }

    /// Runs one call in a task of its own, since tonic drops a handler when its connection goes, and a half-done change
    /// is worse than one that finishes unseen. A panic becomes a diagnostic.
    pub async fn run<T: Send + 'static>(
        &self,
        call: &'static str,
        of: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Diagnostic> {
        let span = tracing::info_span!("call", tf_rpc = call, tf_type = of);
        let guarded = async move {
            let started = Instant::now();
            let result = crash::guard(work).await;
            tracing::debug!(milliseconds = started.elapsed().as_millis() as u64, "answered");
            result
        };
        // The task ends early only when the runtime is shutting down: nobody reads the answer then.
        let ended = self.running.spawn(guarded.instrument(span)).await;
        ended.unwrap_or_else(|_| Err(Diagnostic::error("Provider ended", "The provider ended during the call.")))
    }
}
