//! The story: from a rescue shell to a Ready node.
//!
//! [`run`] knows the order; every phase looks before it acts, so a run that is started again skips what is done
//! (DESIGN.md D3). A connection never outlives a reboot: each look dials anew (D4).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::cache::ImageCache;
use crate::client::factory::Factory;
use crate::client::rescue::session::Accepted;
use crate::client::talos::Address;
use crate::node::spec::{Activation, Flash, NodeSpec};
use crate::node::temporary::Temporary;
use crate::provision::diagnose::diagnose;
use crate::provision::duties::Duties;
use crate::provision::error::{Cause, Failure, chain};
use crate::provision::examine::{Patient, examine};
use crate::provision::facts::Facts;
use crate::provision::journal::{Event, Journal};
use crate::provision::observe::Observation;
use crate::provision::phase::{Phase, sequence};
use crate::provision::transcript::{Outcome, Transcript};
use crate::provision::wait::Limits;
use crate::talos::machine_config::MachineConfig;
use crate::talos::talosconfig::ClientCredentials;

/// Letting a node go.
pub mod destroy;
/// The guide's troubleshooting as rules.
pub mod diagnose;
/// Pods leave before a reboot and may come back after.
pub mod drain;
/// What an update promised to do.
pub mod duties;
/// How a run fails.
pub mod error;
/// Looking at a node for what may be wrong.
pub mod examine;
/// What was learned from a node.
pub mod facts;
/// What an update will do.
pub mod foresee;
/// What people watch while a run goes on.
pub mod journal;
/// What is at the address right now.
pub mod observe;
/// A disk image as a file, for other tools.
pub mod output;
/// The phases and their order.
pub mod phase;
/// Reading a node that exists.
pub mod refresh;
/// What each phase did.
pub mod transcript;
/// Changing a node that exists.
pub mod update;
/// Waiting for conditions.
pub mod wait;

mod boot;
mod bootstrap;
mod configure;
mod flash;
mod image;
mod join;
mod shell;
mod upgrade;

/// Lifetime of the administrator certificate for the temporary cluster: longer than any create.
const CREDENTIALS_LIFETIME: time::Duration = time::Duration::hours(24);

/// Everything a run needs, made before the first packet.
#[derive(Clone)]
pub struct Job {
    spec: NodeSpec,
    temporary: Temporary,
    temporary_credentials: ClientCredentials,
    places: Places,
    limits: Limits,
    known: Option<Known>,
    /// The host key that is trusted for this run, where the first one is.
    accepted: Accepted,
}

/// A node as an earlier run left it, and what this one is to do about it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// UUID of the machine.
    pub machine_uuid: Option<String>,
    /// Name of the node, which a new configuration may change.
    pub node_name: Option<String>,
    /// Where it answered.
    pub host: Option<String>,
    /// What the plan promised to do.
    pub duties: Duties,
    /// Hash of the configuration that the plan promised, where that was known.
    pub config_hash: Option<String>,
}

/// Where images come from and are kept.
#[derive(Clone)]
pub struct Places {
    /// The Image Factory.
    pub factory: Arc<Factory>,
    /// Downloaded images.
    pub cache: ImageCache,
    /// Where runs are told to whoever watches; `None` for nobody.
    pub journal: Option<PathBuf>,
}

impl Job {
    /// A job for `spec`, to be done before its own limit or until `stop`.
    pub fn new(spec: NodeSpec, places: Places, stop: CancellationToken, now: OffsetDateTime) -> Result<Self, Cause> {
        let temporary = Temporary::derive(&spec).map_err(Cause::Temporary)?;
        let temporary_credentials = temporary.credentials(now, CREDENTIALS_LIFETIME).map_err(Cause::Temporary)?;
        let limits = Limits { deadline: Instant::now() + spec.create_timeout, stop, journal: Journal::default() };
        Ok(Self { spec, temporary, temporary_credentials, places, limits, known: None, accepted: Accepted::default() })
    }

    /// The same for a node that exists, to be done within `limit`.
    #[must_use]
    pub fn on_known(mut self, known: Known, limit: Duration) -> Self {
        self.limits.deadline = Instant::now() + limit;
        self.known = Some(known);
        self
    }

    /// The same, told to whoever watches.
    fn watched(&self) -> Self {
        let journal = Journal::open(self.places.journal.as_deref(), &self.spec.hostname);
        let mut job = self.clone();
        job.limits.journal = journal;
        job
    }

    /// The configuration that the node is to have.
    pub fn config(&self) -> &MachineConfig {
        &self.spec.worker.config
    }

    /// Hash of its content.
    pub fn config_hash(&self) -> &str {
        &self.spec.worker.hash
    }

    /// Name that the node has in Kubernetes before anything is changed.
    fn node_name(&self) -> &str {
        self.known.as_ref().and_then(|known| known.node_name.as_deref()).unwrap_or(&self.spec.node_name)
    }

    fn address(&self) -> Address {
        let address = Address::new(self.spec.endpoint.host.clone(), self.spec.endpoint.talos_port);
        match self.known.as_ref().and_then(|known| known.host.as_deref()) {
            Some(former) if former != address.host => address.formerly(former),
            _ => address,
        }
    }

    /// The same of a node whose certificate must name its address by now.
    fn settled(&self) -> Self {
        let mut job = self.clone();
        if let Some(known) = &mut job.known {
            known.host = None;
        }
        job
    }

    /// Hash of the configuration that the node is to have in the end. Values that are made anew at each run may have changed
    /// since it was applied; what is not applied now stays what it was.
    fn wanted_hash(&self) -> &str {
        let kept = self.known.as_ref().filter(|known| !known.duties.apply);
        kept.and_then(|known| known.config_hash.as_deref()).unwrap_or(&self.spec.worker.hash)
    }

    fn duties(&self) -> Duties {
        self.known.as_ref().map(|known| known.duties).unwrap_or_default()
    }
}

/// A note for the transcript, or why a phase failed.
type Step<T = String> = Result<T, Cause>;

/// Runs the phases of a create. On failure nothing needs to be undone: the next run goes on from what it sees.
pub async fn run(job: &Job) -> Result<Facts, Box<Failure>> {
    let job = &job.watched();
    let mut phases = sequence(matches!(job.spec.flash, Flash::Ssh(_)), job.spec.activation);
    let mut transcript = Transcript::of(&phases).told_to(&job.limits.journal);
    let first = phases[0];
    let mut seen = match observe::first(job).await {
        Ok(seen) => seen,
        Err(cause) => {
            // Else whoever watches would think that it goes on for ever.
            job.limits.journal.enter(first.name());
            transcript.end(first, Outcome::Failed, chain(&cause));
            // A worker that an earlier run handed over to, and that never opened its API, looks like this.
            return Err(diagnosed(job, fail(job, first, cause, &transcript)).await);
        }
    };
    tracing::info!(endpoint = %job.spec.endpoint, %seen, "machine found");
    let mut facts = None;
    let mut image = None;
    let mut next = 0;
    while let Some(phase) = phases.get(next).copied() {
        next += 1;
        transcript.start(phase);
        if phase != Phase::Join && seen.is_past(phase) {
            transcript.end(phase, Outcome::Skipped, seen.to_string());
            continue;
        }
        let done = match phase {
            Phase::Image => image::run(job).await.map(|prepared| {
                let note = image::note(&prepared);
                image = Some(prepared);
                note
            }),
            Phase::Flash => flash::run(job, image.as_ref()).await,
            Phase::Boot => boot::run(job, &mut seen).await,
            Phase::Configure => configure::run(job, &mut seen).await,
            Phase::Bootstrap => bootstrap::run(job, &mut seen).await,
            Phase::Upgrade => upgrade::run(job, &mut seen).await,
            // No create has them.
            Phase::Apply | Phase::Verify | Phase::Uncordon => Ok(String::new()),
            Phase::Join => join::run(job, &seen).await.map(|learned| {
                let note = format!("Talos {} as {}", learned.talos_version, learned.node_name);
                facts = Some(learned);
                note
            }),
        };
        match done {
            Ok(note) => transcript.end(phase, Outcome::Done, note),
            Err(cause) => {
                transcript.end(phase, Outcome::Failed, chain(&cause));
                let failure = fail(job, phase, cause, &transcript);
                return Err(if phase == Phase::Join { diagnosed(job, failure).await } else { failure });
            }
        }
        if phase == Phase::Boot && needs_activation(job, &seen) {
            let extra = [Phase::Configure, Phase::Bootstrap, Phase::Upgrade];
            phases.splice(next..next, extra);
            transcript.insert_before_join(&extra);
        }
    }
    if facts.is_some() {
        drain::lift_any(job.spec.kubeconfig.as_ref(), job.node_name(), &job.limits).await;
        job.limits.journal.note(Event::Finished, "");
    }
    // The sequence ends with the join, which either failed above or left its facts.
    facts.ok_or_else(|| fail(job, Phase::Join, Cause::Stopped, &transcript))
}

/// Whether `activation = "auto"` has to take the long road after all.
fn needs_activation(job: &Job, seen: &Observation) -> bool {
    job.spec.activation == Activation::Auto
        && match seen {
            Observation::Maintenance(found) => !found.runs(&job.spec.image),
            Observation::Temporary(found) => !found.runs(&job.spec.image),
            _ => false,
        }
}

fn fail(job: &Job, phase: Phase, cause: Cause, transcript: &Transcript) -> Box<Failure> {
    let mut hints = cause.hints();
    hints.extend(observe::hints(phase, &cause, &job.spec));
    match phase {
        Phase::Flash => hints.extend(flash::hints(&job.spec.flash, &cause)),
        Phase::Join => hints.extend(join::hints(&cause)),
        Phase::Verify => hints.extend(update::hints(&cause, &job.spec)),
        _ => {}
    }
    hints.push(match &cause {
        Cause::Stopped => format!("apply again to go on in phase {phase}"),
        _ => format!("apply again when it is remedied: what is done is seen and skipped, phase {phase} is tried again"),
    });
    Box::new(Failure {
        phase,
        endpoint: job.spec.endpoint.to_string(),
        cause,
        transcript: transcript.clone(),
        hints,
        diagnosis: Vec::new(),
    })
}

/// A failure of a node that should be one of the cluster, or at least answer, with what can be found out about it.
async fn diagnosed(job: &Job, mut failure: Box<Failure>) -> Box<Failure> {
    if !matches!(failure.cause, Cause::TimedOut { .. }) {
        return failure;
    }
    let patient = Patient {
        address: job.address(),
        credentials: Some(&job.spec.credentials),
        kubeconfig: job.spec.kubeconfig.as_ref(),
        name: Some(job.node_name()),
    };
    failure.diagnosis = diagnose(&examine(&patient).await.evidence);
    failure
}
