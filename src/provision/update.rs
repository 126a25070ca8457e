//! Changing a node that exists: upgrade in place first, since new keys of a configuration may need the new Talos, then
//! the configuration. Pods leave before a reboot.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::talos::{self, ConfigSource, Node, RebootMode, TalosError, Trust};
use crate::node::spec::{ApplyMode, Endpoint, NodeSpec};
use crate::provision::drain::Pods;
use crate::provision::duties::Duties;
use crate::provision::error::{Cause, Failure, chain};
use crate::provision::facts::Facts;
use crate::provision::join::{self, Configuration};
use crate::provision::journal::Event;
use crate::provision::observe::{self, HANDSHAKE, Observation};
use crate::provision::phase::Phase;
use crate::provision::refresh::config_hash;
use crate::provision::transcript::{Outcome, Transcript};
use crate::provision::wait::{Look, bounded, until};
use crate::provision::{Job, drain, upgrade};

/// Limit for a whole update when the user sets none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// Pulling the installer, writing it, and a firmware reboot.
const UPGRADE: Duration = Duration::from_secs(25 * 60);

/// Limit for applying a configuration, with a firmware reboot if it needs one.
const APPLY: Duration = Duration::from_secs(15 * 60);

/// Limit for the node's first answer.
const ANSWER: Duration = Duration::from_secs(60);

/// A machine that has not rebooted this long after an upgrade whose reply was lost is asked again.
const REPLY_LOST: Duration = Duration::from_secs(60);

/// Brings the node to its specification. On failure the node is as far as the transcript says; the next run goes on
/// from there.
pub async fn run(job: &Job) -> Result<Facts, Box<Failure>> {
    let job = &job.watched();
    let phases = phases(job.duties());
    let mut transcript = Transcript::of(&phases).told_to(&job.limits.journal);
    let phase = Mutex::new(phases[0]);
    match Box::pin(steps(job, &mut transcript, &phase)).await {
        Ok(facts) => {
            job.limits.journal.note(Event::Finished, "");
            Ok(facts)
        }
        Err(cause) => {
            let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
            transcript.end(phase, Outcome::Failed, chain(&cause));
            Err(super::diagnosed(job, super::fail(job, phase, cause, &transcript)).await)
        }
    }
}

/// What is told of: also what turns out to need no change.
fn phases(duties: Duties) -> Vec<Phase> {
    let verify = duties.verify.then_some(Phase::Verify);
    let rest: &[Phase] = if duties.only_verifies() { &[] } else { &[Phase::Upgrade, Phase::Apply, Phase::Join] };
    verify.into_iter().chain(rest.iter().copied()).chain(duties.uncordon.then_some(Phase::Uncordon)).collect()
}

/// What to do about a new address at which the machine was not found.
pub(super) fn hints(cause: &Cause, spec: &NodeSpec) -> Vec<String> {
    let Endpoint { host, talos_port } = &spec.endpoint;
    let more = match cause {
        Cause::TimedOut { .. } => Some(format!(
            "check that endpoint is right, and that the security list lets this computer reach {host} on port {talos_port}"
        )),
        Cause::WrongNode { .. } => Some(
            "if the instance was made anew, change instance_id or reflash, so that the node is provisioned there"
                .to_owned(),
        ),
        Cause::WrongName { .. } => Some(format!(
            "the plan took the node's own configuration for one that names {host}: let it be read at the old address once more, so \
             that the plan applies the wanted one"
        )),
        _ => None,
    };
    more.into_iter().chain(["nothing was changed, and the state keeps the old address".to_owned()]).collect()
}

/// What the node itself says that a change of its configuration would do; `None` when it does not say. Changes nothing.
pub async fn foresee(job: &Job, within: Duration) -> Option<Result<bool, TalosError>> {
    let asked = async {
        let node = connect(job).await.ok()?;
        match join::right_node(job, &node).await {
            Ok(()) => Some(dry_run_reboots(job, &node).await),
            Err(_) => None,
        }
    };
    tokio::time::timeout(within, asked).await.ok().flatten()
}

async fn steps(job: &Job, transcript: &mut Transcript, phase: &Mutex<Phase>) -> Result<Facts, Cause> {
    let enter = |next: Phase| *phase.lock().unwrap_or_else(PoisonError::into_inner) = next;
    let duties = job.duties();
    if duties.verify {
        transcript.start(Phase::Verify);
        // Nothing will give the node another certificate: this one must do.
        let settled = duties.only_verifies().then(|| job.settled());
        let facts = verified(settled.as_ref().unwrap_or(job)).await?;
        transcript.end(Phase::Verify, Outcome::Done, format!("{} answers there", facts.node_name));
        if duties.only_verifies() {
            return Ok(facts);
        }
    }
    enter(Phase::Upgrade);
    transcript.start(Phase::Upgrade);
    let needed = needed(job).await?;
    let pods = if job.spec.drain && needed.reboots() { Pods::Leave } else { Pods::Stay };
    let work = Box::pin(async {
        if needed.upgrade {
            transcript.end(Phase::Upgrade, Outcome::Done, upgraded(job).await?);
        } else {
            transcript.end(Phase::Upgrade, Outcome::Skipped, "the wanted version and schematic run already");
        }
        enter(Phase::Apply);
        transcript.start(Phase::Apply);
        let limits = job.limits.within(APPLY);
        let (outcome, note) = match duties.apply {
            true => bounded(&limits, send(job)).await.map_err(Cause::ended)?,
            false => (Outcome::Skipped, "the configuration stays as it is"),
        };
        transcript.end(Phase::Apply, outcome, note);
        enter(Phase::Join);
        transcript.start(Phase::Join);
        let facts = join::prove(job, &limits, configuration(job)).await?;
        transcript.end(Phase::Join, Outcome::Done, format!("Talos {} as {}", facts.talos_version, facts.node_name));
        Ok(facts)
    });
    let kubeconfig = job.spec.kubeconfig.as_ref();
    let facts = drain::around(kubeconfig, job.node_name(), pods, &job.limits, work).await?;
    if duties.uncordon {
        enter(Phase::Uncordon);
        transcript.start(Phase::Uncordon);
        drain::lift_promised(kubeconfig, job.node_name(), &job.limits).await?;
        transcript.end(Phase::Uncordon, Outcome::Done, "pods may come to the node");
    }
    Ok(facts)
}

/// What the proofs ask of the configuration: what was promised, and nothing of what was to be left alone.
fn configuration(job: &Job) -> Configuration {
    let source = match job.spec.apply_mode {
        ApplyMode::Staged => ConfigSource::Persistent,
        ApplyMode::Auto | ApplyMode::NoReboot | ApplyMode::Reboot => ConfigSource::Active,
    };
    let duties = job.duties();
    if duties.apply || duties.join { Configuration::MustBe(source) } else { Configuration::Stays(source) }
}

/// Waits until the machine of the state answers at its new address, to the credentials of the cluster.
async fn verified(job: &Job) -> Result<Facts, Cause> {
    answered(job, "the node to answer at its new address", || recognised(job)).await
}

async fn recognised(job: &Job) -> Result<Facts, Cause> {
    let node = connect(job).await.map_err(Cause::Talos)?;
    join::right_node(job, &node).await?;
    Facts::gather(&node).await.map_err(Cause::Talos)
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
    answered(job, "the node to answer", || look(job)).await
}

/// Waits until a node of the cluster answers, and to all that `ask` asks of it.
async fn answered<T, F>(job: &Job, awaited: &str, ask: impl Fn() -> F) -> Result<T, Cause>
where
    F: Future<Output = Result<T, Cause>>,
{
    until(&job.limits.within(ANSWER), awaited, || async {
        match joined(job).await {
            Look::Ready(()) => match ask().await {
                Ok(answer) => Look::Ready(answer),
                Err(Cause::Talos(error)) if error.is_transient() => Look::Pending(chain(&error)),
                Err(cause) => Look::Failed(cause),
            },
            Look::Pending(status) => Look::Pending(status),
            Look::Failed(cause) => Look::Failed(cause),
        }
    })
    .await
    .map_err(Cause::ended)
}

/// Whether a node of the cluster answers. A machine in maintenance mode never becomes one by waiting.
async fn joined(job: &Job) -> Look<(), Cause> {
    match observe::talos(job).await {
        Err(cause) => Look::Failed(cause),
        Ok(Observation::Joined) => Look::Ready(()),
        Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
        Ok(Observation::Maintenance(running)) => Look::Failed(Cause::WasReset { found: running.describe() }),
        Ok(other) => Look::Pending(other.to_string()),
    }
}

async fn look(job: &Job) -> Result<Needed, Cause> {
    let node = connect(job).await.map_err(Cause::Talos)?;
    join::right_node(job, &node).await?;
    let (version, schematic) = running(&node).await.map_err(Cause::Talos)?;
    let duties = job.duties();
    let upgrade = !wanted(job, &version, schematic.as_deref());
    if upgrade && !duties.upgrade {
        return Err(Cause::Drifted {
            found: format!("Talos {version}, schematic {}", schematic.as_deref().unwrap_or("none")),
            planned: format!("Talos {}, schematic {}", job.spec.image.talos_version, job.spec.image.schematic),
        });
    }
    let reboot = match job.spec.apply_mode {
        _ if !duties.apply => false,
        ApplyMode::Reboot => !is_applied(job, &node, ConfigSource::Active).await.map_err(Cause::Talos)?,
        ApplyMode::Auto if !upgrade => dry_run_reboots(job, &node).await.map_err(Cause::Talos)?,
        ApplyMode::Auto | ApplyMode::NoReboot | ApplyMode::Staged => false,
    };
    Ok(Needed { upgrade, reboot })
}

/// Whether the node would reboot by itself: 1.12 and 1.13 do when a change cannot be made live, 1.14 never does.
async fn dry_run_reboots(job: &Job, node: &Node) -> Result<bool, TalosError> {
    let yaml = job.spec.worker.yaml();
    let mode = match job.spec.apply_mode {
        ApplyMode::NoReboot => talos::ApplyMode::NoReboot,
        ApplyMode::Auto | ApplyMode::Staged | ApplyMode::Reboot => talos::ApplyMode::Auto,
    };
    let applied = node.apply_configuration(yaml.expose(), mode, true).await?;
    Ok(applied.mode == talos::ApplyMode::Reboot)
}

async fn connect(job: &Job) -> Result<Node, TalosError> {
    Node::connect(&job.address(), &Trust::Mutual(job.spec.credentials.clone()), HANDSHAKE).await
}

async fn running(node: &Node) -> Result<(String, Option<String>), TalosError> {
    let (version, extensions) = tokio::try_join!(node.version(), node.extensions())?;
    Ok((version.tag, extensions.schematic().map(str::to_owned)))
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
    let asked: Mutex<Option<Asked>> = Mutex::new(None);
    until(&job.limits.within(UPGRADE), "the upgraded node", || async {
        match joined(job).await {
            Look::Ready(()) => match upgrade_step(job, &asked).await {
                Ok(look) => look,
                Err(error) if error.is_transient() => Look::Pending(chain(&error)),
                Err(error) => Look::Failed(Cause::Talos(error)),
            },
            Look::Pending(status) => Look::Pending(status),
            Look::Failed(cause) => Look::Failed(cause),
        }
    })
    .await
    .map_err(Cause::ended)
}

/// An upgrade that was asked for.
#[derive(Clone)]
struct Asked {
    /// In which boot.
    boot: String,
    at: Instant,
    /// The node said that it will do it.
    accepted: bool,
}

async fn upgrade_step(job: &Job, asked: &Mutex<Option<Asked>>) -> Result<Look<String, Cause>, TalosError> {
    let node = connect(job).await?;
    let (version, schematic) = running(&node).await?;
    if wanted(job, &version, schematic.as_deref()) {
        return Ok(Look::Ready(format!("Talos {version}, schematic as wanted")));
    }
    let boot = observe::boot(&node.boot_id().await?);
    let before = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match before {
        Some(before) if before.boot != boot => Ok(Look::Failed(Cause::UpgradeReverted {
            found: format!("Talos {version}, schematic {}", schematic.as_deref().unwrap_or("none")),
            wanted: format!("Talos {}, schematic {}", job.spec.image.talos_version, job.spec.image.schematic),
        })),
        Some(before) if before.accepted || before.at.elapsed() < REPLY_LOST => {
            Ok(Look::Pending("the upgrade was requested; not rebooted yet".into()))
        }
        _ => {
            let done = upgrade::install(job, &job.spec.credentials, &job.spec.image).await;
            let lost = done.as_ref().err().is_some_and(TalosError::may_have_taken_effect);
            if done.is_ok() || lost {
                *asked.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Asked { boot, at: Instant::now(), accepted: done.is_ok() });
            }
            done.map(|()| Look::Pending("the upgrade was requested".into()))
        }
    }
}

/// Applies the configuration in the mode the user chose. Whether it took effect is proven later.
async fn send(job: &Job) -> Result<(Outcome, &'static str), Cause> {
    let node = connect(job).await.map_err(Cause::Talos)?;
    let persistent = is_applied(job, &node, ConfigSource::Persistent).await.map_err(Cause::Talos)?;
    if persistent
        && (job.spec.apply_mode == ApplyMode::Staged
            || is_applied(job, &node, ConfigSource::Active).await.map_err(Cause::Talos)?)
    {
        return Ok((Outcome::Skipped, "the node has the wanted configuration"));
    }
    let (mode, note) = match job.spec.apply_mode {
        ApplyMode::Auto => (talos::ApplyMode::Auto, "applied"),
        ApplyMode::NoReboot => (talos::ApplyMode::NoReboot, "applied without a reboot"),
        ApplyMode::Staged => (talos::ApplyMode::Staged, "staged for the next reboot"),
        // Talos 1.14 has no mode REBOOT: staging and rebooting is the same on every release.
        ApplyMode::Reboot => (talos::ApplyMode::Staged, "applied with a reboot"),
    };
    match node.apply_configuration(job.spec.worker.yaml().expose(), mode, false).await {
        Ok(applied) => {
            for warning in applied.warnings {
                tracing::warn!(%warning, "configuration accepted with a warning");
            }
        }
        // The proofs that follow show whether it took effect.
        Err(error) if error.may_have_taken_effect() => return Ok((Outcome::Done, "sent; the reply was lost")),
        Err(error) => return Err(Cause::Talos(error)),
    }
    if job.spec.apply_mode == ApplyMode::Reboot {
        match node.reboot(RebootMode::Default).await {
            Err(error) if !error.may_have_taken_effect() => return Err(Cause::Talos(error)),
            _ => {}
        }
    }
    Ok((Outcome::Done, note))
}
