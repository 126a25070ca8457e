//! Changing a node that exists: upgrade in place first, since new keys of a configuration may need the new Talos, then
//! the configuration.

use std::sync::Mutex;
use std::time::Duration;

use crate::client::talos::{Node, TalosError, Trust};
use crate::provision::error::{Cause, Failure, chain};
use crate::provision::facts::Facts;
use crate::provision::observe::{self, HANDSHAKE, Observation, talos};
use crate::provision::phase::Phase;
use crate::provision::transcript::{Outcome, Transcript};
use crate::provision::wait::{Look, until};
use crate::provision::{Job, join, upgrade};

/// Pulling the installer, writing it, and a firmware reboot.
const UPGRADE: Duration = Duration::from_secs(25 * 60);

/// Brings the node to its specification. On failure the node is as far as the transcript says; the next run goes on
/// from there.
pub async fn run(job: &Job) -> Result<Facts, Box<Failure>> {
    let phases = [Phase::Upgrade, Phase::Join];
    let mut transcript = Transcript::of(&phases);
    transcript.start(Phase::Upgrade);
    match upgraded(job).await {
        Ok(note) => transcript.end(Phase::Upgrade, Outcome::Done, note),
        Err(cause) => {
            transcript.end(Phase::Upgrade, Outcome::Failed, "");
            return Err(super::fail(job, Phase::Upgrade, cause, &transcript));
        }
    }
    transcript.start(Phase::Join);
    match join::run(job, &Observation::Joined).await {
        Ok(facts) => {
            transcript.end(Phase::Join, Outcome::Done, "");
            Ok(facts)
        }
        Err(cause) => {
            transcript.end(Phase::Join, Outcome::Failed, "");
            Err(super::fail(job, Phase::Join, cause, &transcript))
        }
    }
}

/// Upgrades unless the wanted version and schematic run already; done is what is observed, never what was asked.
async fn upgraded(job: &Job) -> Result<String, Cause> {
    let asked_in: Mutex<Option<String>> = Mutex::new(None);
    until(&job.limits.within(UPGRADE), "the upgraded node", || async {
        match talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Joined) => match step(job, &asked_in).await {
                Ok(look) => look,
                Err(error) if error.is_transient() => Look::Pending(chain(&error)),
                Err(error) => Look::Failed(Cause::Talos(error)),
            },
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    })
    .await
    .map_err(Cause::ended)
}

async fn step(job: &Job, asked_in: &Mutex<Option<String>>) -> Result<Look<String, Cause>, TalosError> {
    let node = Node::connect(&job.address(), &Trust::Mutual(job.spec.credentials.clone()), HANDSHAKE).await?;
    let image = &job.spec.image;
    let found = node.extensions().await?.schematic().map(str::to_owned);
    let version = node.version().await?.tag;
    if found.as_deref() == Some(image.schematic.to_string().as_str()) && version == image.talos_version.to_string() {
        return Ok(Look::Ready(format!("Talos {version}, schematic as wanted")));
    }
    let boot = observe::boot(&node.boot_id().await?);
    let asked = asked_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    match asked {
        None => {
            *asked_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(boot);
            upgrade::install(job, &job.spec.credentials, image).await?;
            Ok(Look::Pending("the upgrade was requested".into()))
        }
        Some(before) if before == boot => Ok(Look::Pending("the upgrade was requested; not rebooted yet".into())),
        Some(_) => Ok(Look::Failed(Cause::UpgradeReverted {
            found: format!("Talos {version}, schematic {}", found.as_deref().unwrap_or("none")),
            wanted: format!("Talos {}, schematic {}", image.talos_version, image.schematic),
        })),
    }
}
