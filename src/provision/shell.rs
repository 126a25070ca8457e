//! The rescue shell: connecting to it, with patience for what heals.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::client::rescue::session::{Session, SessionError};
use crate::node::spec::SshFlash;
use crate::provision::Job;
use crate::provision::error::{Cause, chain};
use crate::provision::observe::{HANDSHAKE, target};
use crate::provision::wait::{Ended, Look, until};

/// How long a server that refuses, resets or drops connections is asked again: one that starts, or one that is asked by many at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects. What cannot heal, such as a wrong host key or a refused login, is told at once.
pub async fn shell(job: &Job, flash: &SshFlash) -> Result<Session, Cause> {
    let last: Mutex<Option<SessionError>> = Mutex::new(None);
    let target = target(job, flash);
    let connected = until(&job.limits.within(PATIENCE), "the rescue shell", || async {
        match Session::connect(&target, HANDSHAKE).await {
            Ok(session) => Look::Ready(session),
            Err(error) if error.is_transient() => {
                let status = chain(&error);
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Look::Pending(status)
            }
            Err(error) => Look::Failed(Cause::Session(error)),
        }
    })
    .await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    connected.map_err(|ended| match (ended, last) {
        (Ended::TimedOut { .. }, Some(error)) => Cause::Session(error),
        (ended, _) => Cause::ended(ended),
    })
}
