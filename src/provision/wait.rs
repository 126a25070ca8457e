//! Waiting for a condition, with a deadline, a last status, and an ear for the stop signal.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::provision::journal::{Event, Journal};

/// Pause between two looks at a condition. Short against a reboot, long against a TLS handshake.
const INTERVAL: Duration = Duration::from_millis(500);

/// What one look at a condition found.
#[derive(Debug)]
pub enum Look<T, E> {
    /// It holds.
    Ready(T),
    /// Not yet; the text says what is there instead.
    Pending(String),
    /// It never will.
    Failed(E),
}

/// Why waiting ended without the condition.
#[derive(Debug)]
pub enum Ended<E> {
    /// The condition cannot come true any more.
    Failed(E),
    /// The deadline passed; carries what was seen last.
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// Terraform asked to stop; carries what was seen last.
    Stopped {
        /// What was seen last.
        last: String,
    },
}

/// Deadline and stop signal of one wait.
#[derive(Clone, Debug)]
pub struct Limits {
    /// When to give up.
    pub deadline: Instant,
    /// When to stop at once.
    pub stop: CancellationToken,
    /// Where it is told what is waited for.
    pub journal: Journal,
}

impl Limits {
    /// The same stop signal with a deadline at most `limit` from now.
    pub fn within(&self, limit: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + limit), ..self.clone() }
    }

    /// Time left before the deadline.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Looks again and again until the condition holds. A look that takes longer than the deadline is dropped.
pub async fn until<T, E, L, F>(limits: &Limits, what: impl fmt::Display, mut look: L) -> Result<T, Ended<E>>
where
    L: FnMut() -> F,
    F: Future<Output = Look<T, E>>,
{
    let started = Instant::now();
    let mut last = String::from("nothing yet");
    loop {
        let found = tokio::select! {
            biased;
            () = limits.stop.cancelled() => return Err(Ended::Stopped { last }),
            // Boxed: what is looked at may be a large future, and waits nest.
            found = tokio::time::timeout_at(limits.deadline, Box::pin(look())) => found,
        };
        match found {
            Err(_) => return Err(Ended::TimedOut { after: started.elapsed(), last }),
            Ok(Look::Ready(value)) => return Ok(value),
            Ok(Look::Failed(error)) => return Err(Ended::Failed(error)),
            Ok(Look::Pending(status)) => {
                if status != last {
                    tracing::info!(%what, %status, "waiting");
                    limits.journal.note(Event::Waiting, &format!("waiting for {what}: {status}"));
                }
                last = status;
            }
        }
        if Instant::now() + INTERVAL >= limits.deadline {
            return Err(Ended::TimedOut { after: started.elapsed(), last });
        }
        tokio::select! {
            biased;
            () = limits.stop.cancelled() => return Err(Ended::Stopped { last }),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Runs one action under the same limits.
pub async fn bounded<T, E>(limits: &Limits, action: impl Future<Output = Result<T, E>>) -> Result<T, Ended<E>> {
    let started = Instant::now();
    tokio::select! {
        biased;
        () = limits.stop.cancelled() => Err(Ended::Stopped { last: String::new() }),
        done = tokio::time::timeout_at(limits.deadline, action) => match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Ended::Failed(error)),
            Err(_) => Err(Ended::TimedOut { after: started.elapsed(), last: String::new() }),
        },
    }
}

/// Runs one action under the same limits that has to tidy up when it ends early: it is told so by its token, and has `grace` for it.
pub async fn orderly<T, E, F>(
    limits: &Limits,
    grace: Duration,
    action: impl FnOnce(CancellationToken) -> F,
) -> Result<T, Ended<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let cancel = CancellationToken::new();
    let mut action = Box::pin(action(cancel.clone()));
    let ended = tokio::select! {
        biased;
        () = limits.stop.cancelled() => Ended::Stopped { last: String::new() },
        () = tokio::time::sleep_until(limits.deadline) => {
            Ended::TimedOut { after: started.elapsed(), last: String::new() }
        }
        done = &mut action => return done.map_err(Ended::Failed),
    };
    cancel.cancel();
    // How it ends does not matter any more.
    let _ = tokio::time::timeout(grace, action).await;
    Err(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn limits(limit: Duration) -> Limits {
        Limits { deadline: Instant::now() + limit, stop: CancellationToken::new(), journal: Journal::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let found = until(&limits(Duration::from_secs(60)), "x", || {
            looks += 1;
            let now = looks;
            async move { if now < 4 { Look::<_, ()>::Pending(format!("{now}")) } else { Look::Ready(now) } }
        })
        .await;
        assert!(matches!(found, Ok(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_passed_deadline_tells_what_was_seen_last() {
        let found =
            until(&limits(Duration::from_secs(3)), "x", || async { Look::<(), ()>::Pending("refused".into()) }).await;
        assert!(matches!(found, Err(Ended::TimedOut { last, .. }) if last == "refused"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let found = until(&limits(Duration::from_secs(3)), "x", std::future::pending::<Look<(), ()>>).await;
        assert!(matches!(found, Err(Ended::TimedOut { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_signal_ends_the_wait_at_once() {
        let limits = limits(Duration::from_secs(3600));
        limits.stop.cancel();
        let found = until(&limits, "x", std::future::pending::<Look<(), ()>>).await;
        assert!(matches!(found, Err(Ended::Stopped { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_to_tidy_up_is_given_time_for_it_but_not_for_ever() {
        let stopped = limits(Duration::from_secs(3600));
        stopped.stop.cancel();
        for limits in [stopped, limits(Duration::from_secs(3))] {
            let tidied = AtomicBool::new(false);
            let tidy = async |cancel: CancellationToken| {
                cancel.cancelled().await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                tidied.store(true, Ordering::Relaxed);
                Ok::<(), ()>(())
            };
            let ended = orderly(&limits, Duration::from_secs(10), tidy).await;
            assert!(matches!(ended, Err(Ended::Stopped { .. } | Ended::TimedOut { .. })), "{ended:?}");
            assert!(tidied.load(Ordering::Relaxed));
            let ended = orderly(&limits, Duration::from_secs(10), |_| std::future::pending::<Result<(), ()>>()).await;
            assert!(ended.is_err());
        }
    }
}
