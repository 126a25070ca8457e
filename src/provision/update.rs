//! Changing a node that exists: upgrade in place first, since new keys of a configuration may need the new Talos, then
//! the configuration. Pods leave before a reboot.

use std::sync::Mutex;
use std::time::Duration;

use crate::client::talos::{self, ConfigSource, Node, RebootMode, TalosError, Trust};
use crate::node::spec::ApplyMode;
use crate::provision::error::{Cause, Failure, chain};
use crate::provision::facts::Facts;
use crate::provision::join::{self, Configuration};
use crate::provision::observe::{self, HANDSHAKE, Observation};
use crate::provision::phase::Phase;
use crate::provision::refresh::config_hash;
use crate::provision::transcript::{Outcome, Transcript};
use crate::provision::wait::{Look, bounded, until};
use crate::provision::{Job, drain, upgrade};

/// Pulling the installer, writing it, and a firmware reboot.
const UPGRADE: Duration = Duration::from_secs(25 * 60);

/// Limit for applying a configuration, with a firmware reboot if it needs one.
const APPLY: Duration = Duration::from_secs(15 * 60);

/// Limit for the node's first answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Brings the node to its specification. On failure the node is as far as the transcript says; the next run goes on
/// from there.
pub async fn run(job: &Job) -> Result<Facts, Box<Failure>> {
    let mut transcript = Transcript::of(&[Phase::Upgrade, Phase::Apply]);
    let phase = Mutex::new(Phase::Upgrade);
    let done = steps(job, &mut transcript, &phase).await;
    done.map_err(|cause| {
        let phase = *phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        transcript.end(phase, Outcome::Failed, "");
        super::fail(job, phase, cause, &transcript)
    })
}

async fn steps(job: &Job, transcript: &mut Transcript, phase: &Mutex<Phase>) -> Result<Facts, Cause> {
    transcript.start(Phase::Upgrade);
    let needed = needed(job).await?;
    let kubeconfig = job.spec.kubeconfig.as_ref().filter(|_| job.spec.drain && needed.reboots());
    drain::around(kubeconfig, &job.spec.hostname, async {
        if needed.upgrade {
            transcript.end(Phase::Upgrade, Outcome::Done, upgraded(job).await?);
        } else {
            transcript.end(Phase::Upgrade, Outcome::Skipped, "the wanted version and schematic run already");
        }
        *phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Phase::Apply;
        transcript.start(Phase::Apply);
        let facts = applied(job).await?;
        transcript.end(Phase::Apply, Outcome::Done, "");
        Ok(facts)
    })
    .await
}

/// What has to be done, as the node itself sees it.
struct Needed {
    upgrade: bool,
    reboot: bool,
}

impl Needed {
    fn reboots(&self) -> bool {
        self.upgrade || self.reboot
    }
}

async fn needed(job: &Job) -> Result<Needed, Cause> {
    until(&job.limits.within(ANSWER), "the node to answer", || async {
        match observe::talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Joined) => match look(job).await {
                Ok(needed) => Look::Ready(needed),
                Err(Cause::Talos(error)) if error.is_transient() => Look::Pending(chain(&error)),
                Err(cause) => Look::Failed(cause),
            },
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    })
    .await
    .map_err(Cause::ended)
}

async fn look(job: &Job) -> Result<Needed, Cause> {
    let node = connect(job).await.map_err(Cause::Talos)?;
    join::right_node(job, &node).await?;
    let (version, schematic) = running(&node).await.map_err(Cause::Talos)?;
    let upgrade = !wanted(job, &version, schematic.as_deref());
    let reboot = match job.spec.apply_mode {
        ApplyMode::Reboot => !is_applied(job, &node, ConfigSource::Persistent).await.map_err(Cause::Talos)?,
        ApplyMode::Auto if !upgrade => dry_run_reboots(job, &node).await.map_err(Cause::Talos)?,
        ApplyMode::Auto | ApplyMode::NoReboot | ApplyMode::Staged => false,
    };
    Ok(Needed { upgrade, reboot })
}

/// Whether the node would reboot by itself: 1.12 and 1.13 do when a change cannot be made live, 1.14 never does.
async fn dry_run_reboots(job: &Job, node: &Node) -> Result<bool, TalosError> {
    let yaml = job.spec.worker.yaml();
    let applied = node.apply_configuration(yaml.expose(), talos::ApplyMode::Auto, true).await?;
    Ok(applied.mode == talos::ApplyMode::Reboot)
}

async fn connect(job: &Job) -> Result<Node, TalosError> {
    Node::connect(&job.address(), &Trust::Mutual(job.spec.credentials.clone()), HANDSHAKE).await
}

async fn running(node: &Node) -> Result<(String, Option<String>), TalosError> {
    Ok((node.version().await?.tag, node.extensions().await?.schematic().map(str::to_owned)))
}

fn wanted(job: &Job, version: &str, schematic: Option<&str>) -> bool {
    let image = &job.spec.image;
    version == image.talos_version.to_string() && schematic == Some(image.schematic.as_str())
}

async fn is_applied(job: &Job, node: &Node, source: ConfigSource) -> Result<bool, TalosError> {
    let found = node.machine_config(source).await?.as_ref().and_then(config_hash);
    Ok(found.as_deref() == Some(job.spec.worker.hash.as_str()))
}

/// Upgrades; done is what is observed, never what was asked.
async fn upgraded(job: &Job) -> Result<String, Cause> {
    let asked_in: Mutex<Option<String>> = Mutex::new(None);
    until(&job.limits.within(UPGRADE), "the upgraded node", || async {
        match observe::talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Joined) => match upgrade_step(job, &asked_in).await {
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

async fn upgrade_step(job: &Job, asked_in: &Mutex<Option<String>>) -> Result<Look<String, Cause>, TalosError> {
    let node = connect(job).await?;
    let (version, schematic) = running(&node).await?;
    if wanted(job, &version, schematic.as_deref()) {
        return Ok(Look::Ready(format!("Talos {version}, schematic as wanted")));
    }
    let boot = observe::boot(&node.boot_id().await?);
    let asked = asked_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    match asked {
        None => {
            *asked_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(boot);
            upgrade::install(job, &job.spec.credentials, &job.spec.image).await?;
            Ok(Look::Pending("the upgrade was requested".into()))
        }
        Some(before) if before == boot => Ok(Look::Pending("the upgrade was requested; not rebooted yet".into())),
        Some(_) => Ok(Look::Failed(Cause::UpgradeReverted {
            found: format!("Talos {version}, schematic {}", schematic.as_deref().unwrap_or("none")),
            wanted: format!("Talos {}, schematic {}", job.spec.image.talos_version, job.spec.image.schematic),
        })),
    }
}

/// Applies the configuration in the mode the user chose, and proves that the node is well with it.
async fn applied(job: &Job) -> Result<Facts, Cause> {
    let limits = job.limits.within(APPLY);
    bounded(&limits, async { send(job).await.map_err(Cause::Talos) }).await.map_err(Cause::ended)?;
    let source = match job.spec.apply_mode {
        ApplyMode::Staged => ConfigSource::Persistent,
        ApplyMode::Auto | ApplyMode::NoReboot | ApplyMode::Reboot => ConfigSource::Active,
    };
    join::prove(job, &limits, Configuration::MustBe(source)).await
}

async fn send(job: &Job) -> Result<(), TalosError> {
    let node = connect(job).await?;
    if is_applied(job, &node, ConfigSource::Persistent).await?
        && (job.spec.apply_mode == ApplyMode::Staged || is_applied(job, &node, ConfigSource::Active).await?)
    {
        return Ok(());
    }
    let mode = match job.spec.apply_mode {
        ApplyMode::Auto => talos::ApplyMode::Auto,
        ApplyMode::NoReboot => talos::ApplyMode::NoReboot,
        // Talos 1.14 has no mode REBOOT: staging and rebooting is the same on every release.
        ApplyMode::Staged | ApplyMode::Reboot => talos::ApplyMode::Staged,
    };
    let applied = match node.apply_configuration(job.spec.worker.yaml().expose(), mode, false).await {
        Ok(applied) => applied,
        // The proofs that follow show whether it took effect.
        Err(error) if error.may_have_taken_effect() => return Ok(()),
        Err(error) => return Err(error),
    };
    for warning in applied.warnings {
        tracing::warn!(%warning, "configuration accepted with a warning");
    }
    if job.spec.apply_mode == ApplyMode::Reboot {
        match node.reboot(RebootMode::Default).await {
            Err(error) if !error.may_have_taken_effect() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
