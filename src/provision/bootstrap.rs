//! Phase bootstrap: the temporary cluster gets its one etcd member.

use std::sync::Mutex;
use std::time::Duration;

use crate::client::talos::{Node, TalosError, Trust};
use crate::provision::error::{Cause, chain};
use crate::provision::observe::{HANDSHAKE, Observation, Running, talos};
use crate::provision::wait::{Look, until};
use crate::provision::{Job, Step};

/// Pulling the etcd image over a slow line.
const BOOTSTRAP: Duration = Duration::from_secs(15 * 60);

/// Calls Bootstrap until etcd runs. The decision lives in the node's memory only, so a reboot right after the call
/// loses it (Talos v1.12.2 v1alpha1_server.go): it is called again in every boot that has no member.
pub async fn run(job: &Job, seen: &mut Observation) -> Step {
    let called_in = Mutex::new(None);
    *seen = until(&job.limits.within(BOOTSTRAP), "etcd of the temporary cluster", || look(job, &called_in))
        .await
        .map_err(Cause::ended)?;
    Ok("etcd has its member".into())
}

async fn look(job: &Job, called_in: &Mutex<Option<String>>) -> Look<Observation, Cause> {
    match talos(job).await {
        Err(cause) => Look::Failed(cause),
        Ok(Observation::Temporary(running)) if running.bootstrapped => Look::Ready(Observation::Temporary(running)),
        Ok(Observation::Temporary(running)) => {
            if remembered(called_in) == running.boot_id {
                return Look::Pending("bootstrap was called, etcd is starting".into());
            }
            match bootstrap(job).await {
                Ok(()) => {
                    remember(called_in, &running);
                    Look::Pending("bootstrap was called".into())
                }
                Err(error) => classify(error),
            }
        }
        Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
        Ok(other) => Look::Pending(other.to_string()),
    }
}

fn remembered(called_in: &Mutex<Option<String>>) -> Option<String> {
    called_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

fn remember(called_in: &Mutex<Option<String>>, running: &Running) {
    called_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone_from(&running.boot_id);
}

async fn bootstrap(job: &Job) -> Result<(), TalosError> {
    let node = Node::connect(&job.address(), &Trust::Mutual(job.temporary_credentials.clone()), HANDSHAKE).await?;
    // "Already" means that an earlier call took effect.
    node.bootstrap().await.map(drop)
}

fn classify<T>(error: TalosError) -> Look<T, Cause> {
    if error.is_transient() || error.is_not_ready_yet() {
        Look::Pending(chain(&error))
    } else {
        Look::Failed(Cause::Talos(error))
    }
}
