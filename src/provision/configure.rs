//! Phase configure: the machine in maintenance mode gets the temporary control plane configuration.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::talos::{ApplyMode, ErrorKind, Node, TalosError, Trust};
use crate::provision::error::{Cause, chain};
use crate::provision::observe::{HANDSHAKE, Observation, talos};
use crate::provision::wait::{Look, until};
use crate::provision::{Job, Step};
use crate::talos::secret::Secret;

/// Starting apid takes seconds; pulling nothing is needed for it.
const CONFIGURE: Duration = Duration::from_secs(10 * 60);

/// After this long in maintenance mode, a configuration whose reply was lost is sent again.
const REPLY_LOST: Duration = Duration::from_secs(20);

/// Sends the configuration and waits for the API to answer to the temporary credentials.
pub async fn run(job: &Job, seen: &mut Observation) -> Step {
    let sender = Sender::new(job, job.temporary.yaml());
    *seen = until(&job.limits.within(CONFIGURE), "the temporary control plane to answer", || async {
        match talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Maintenance(running)) => sender.send(running.fingerprint.clone()).await,
            Ok(found @ Observation::Temporary(_)) => Look::Ready(found),
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    })
    .await
    .map_err(Cause::ended)?;
    Ok("temporary control plane answers".into())
}

/// Sends one configuration to a machine in maintenance mode, again only when the reply seems to be lost.
pub struct Sender<'a> {
    job: &'a Job,
    yaml: Secret<String>,
    sent: Mutex<Option<Instant>>,
}

impl<'a> Sender<'a> {
    /// A sender that has sent nothing yet.
    pub fn new(job: &'a Job, yaml: Secret<String>) -> Self {
        Self { job, yaml, sent: Mutex::new(None) }
    }

    /// Sends if it is time to.
    pub async fn send<T>(&self, fingerprint: Option<String>) -> Look<T, Cause> {
        {
            let mut sent = self.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if sent.is_some_and(|at| at.elapsed() < REPLY_LOST) {
                return Look::Pending("the configuration was sent; still in maintenance mode".into());
            }
            *sent = Some(Instant::now());
        }
        match self.apply(fingerprint).await {
            Ok(()) => Look::Pending("the configuration was accepted".into()),
            Err(error) if error.is_transient() => Look::Pending(chain(&error)),
            // Talos makes a new key when the node's addresses change: the next look pins that one.
            Err(error) if error.kind() == ErrorKind::UntrustedServer => Look::Pending(chain(&error)),
            Err(error) => Look::Failed(Cause::Talos(error)),
        }
    }

    /// AUTO is the one mode that every release takes in maintenance mode; the zero value of the enum is REBOOT, which
    /// 1.14 refuses, so the mode is always sent.
    async fn apply(&self, fingerprint: Option<String>) -> Result<(), TalosError> {
        let trust = Trust::Maintenance { fingerprint };
        let node = Node::connect(&self.job.address(), &trust, HANDSHAKE).await?;
        let applied = node.apply_configuration(self.yaml.expose(), ApplyMode::Auto, false).await?;
        for warning in applied.warnings {
            tracing::warn!(%warning, "configuration accepted with a warning");
        }
        Ok(())
    }
}
