//! Phase boot: the machine leaves the rescue system and Talos answers.

use std::time::Duration;

use crate::client::rescue;
use crate::client::rescue::probe::probe;
use crate::client::rescue::session::Session;
use crate::node::spec::{Flash, SshFlash};
use crate::provision::error::Cause;
use crate::provision::observe::{Observation, talos};
use crate::provision::shell::shell;
use crate::provision::wait::{Look, until};
use crate::provision::{Job, Step};

/// A firmware boot of an arm64 instance takes minutes.
const BOOT: Duration = Duration::from_secs(15 * 60);

/// Reboots out of the rescue shell, where that is left to us, and waits for Talos. A helper machine that only has the disk
/// attached is left alone: its user moves the disk while this waits.
pub async fn run(job: &Job, seen: &mut Observation) -> Step {
    let mut awaited = "Talos to boot".to_owned();
    match &job.spec.flash {
        // It reboots by itself.
        Flash::Ssh(flash) if flash.in_place => {}
        Flash::Ssh(flash) => {
            let session = shell(job, flash).await?;
            if is_helper(job, flash, &session).await? {
                awaited = format!(
                    "{} to be moved from {} to its own instance, and Talos to boot there",
                    flash.disk, flash.host
                );
                tracing::warn!(helper = %flash.host, "the disk is written: detach it from the helper, attach it to its instance, start that");
            } else {
                rescue::reboot(&session).await.map_err(Cause::Session)?;
            }
        }
        Flash::None => {}
    }
    *seen = until(&job.limits.within(BOOT), awaited, || async {
        match talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(Observation::Unreachable { why }) => Look::Pending(why),
            Ok(found) => Look::Ready(found),
        }
    })
    .await
    .map_err(Cause::ended)?;
    Ok(seen.to_string())
}

/// Whether the shell is that of another machine: the metadata service knows, where it answers and `instance_id` is set. A rescue system may run from a second disk of the machine itself, so a root
/// on another disk is not enough: that machine then answers at the endpoint.
async fn is_helper(job: &Job, flash: &SshFlash, session: &Session) -> Result<bool, Cause> {
    if flash.host == job.spec.endpoint.host {
        return Ok(false);
    }
    let facts = probe(session, &flash.disk).await.map_err(Cause::Probe)?;
    Ok(facts.is_of_another(job.spec.instance_id.as_deref()))
}
