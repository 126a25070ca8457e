//! Phase boot: the machine leaves the rescue system and Talos answers.

use std::time::Duration;

use crate::client::rescue::session::Session;
use crate::client::rescue::{self};
use crate::node::spec::Flash;
use crate::provision::error::Cause;
use crate::provision::observe::{HANDSHAKE, Observation, talos, target};
use crate::provision::wait::{Look, until};
use crate::provision::{Job, Step};

/// A firmware boot of an arm64 instance takes minutes.
const BOOT: Duration = Duration::from_secs(15 * 60);

/// Reboots out of the rescue shell, where that is left to us, and waits for Talos.
pub async fn run(job: &Job, seen: &mut Observation) -> Step {
    let mut limit = BOOT;
    match &job.spec.flash {
        // It reboots by itself; maybe it is still being written.
        Flash::Ssh(flash) if flash.in_place => limit = 3 * BOOT,
        Flash::Ssh(flash) => {
            let session = Session::connect(&target(flash), HANDSHAKE).await.map_err(Cause::Session)?;
            rescue::reboot(&session).await.map_err(Cause::Session)?;
        }
        Flash::None => {}
    }
    *seen = until(&job.limits.within(limit), "Talos to boot", || async {
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
