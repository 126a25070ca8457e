//! Letting a node go: out of Kubernetes, and back to maintenance mode if the user wants it. The flashed image and META
//! stay: wiping the whole disk would leave a machine that does not boot.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::kubernetes::{Cluster, KubernetesError};
use crate::client::talos::{Address, Answer, Candidate, HostnameStatus, Node, ResetOptions, TalosError, Trust, detect};
use crate::provision::drain::Cordon;
use crate::provision::error::chain;
use crate::provision::journal::{Event, Journal};
use crate::provision::observe::HANDSHAKE;
use crate::provision::wait::{Ended, Limits, Look, bounded, until};
use crate::talos::secret::Secret;
use crate::talos::talosconfig::ClientCredentials;

/// Limit for the whole destroy when the user sets none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

const STOPPED: &str = "stopped on request";

/// What the user wants to happen to the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Wipe STATE and EPHEMERAL.
    pub reset: bool,
    /// Leave the cluster in good order while resetting.
    pub graceful: bool,
    /// Boot into maintenance mode after the reset instead of powering off.
    pub reboot: bool,
    /// Delete the Kubernetes node.
    pub remove_kubernetes_node: bool,
}

/// The node to let go.
pub struct Departure {
    /// Where it is.
    pub address: Address,
    /// Credentials of its cluster, if there are any.
    pub credentials: Option<ClientCredentials>,
    /// Kubeconfig of its cluster, if there is one.
    pub kubeconfig: Option<Secret<String>>,
    /// Name of its Kubernetes node.
    pub node_name: String,
    /// UUID of the machine as last seen.
    pub machine_uuid: Option<String>,
    /// What to do.
    pub wishes: Wishes,
    /// Whether its pods leave first.
    pub drain: bool,
    /// Deadline and stop signal.
    pub limits: Limits,
}

/// Something that was to be done and was not; the node is let go all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What was not done.
    pub what: &'static str,
    /// Why.
    pub why: String,
}

impl Departure {
    /// Deadline and stop signal of a destroy of `node`, told in the journal at `place`.
    pub fn limits(timeout: Duration, stop: CancellationToken, place: Option<&Path>, node: &str) -> Limits {
        Limits { deadline: tokio::time::Instant::now() + timeout, stop, journal: Journal::open(place, node) }
    }

    fn stopped(&self) -> bool {
        self.limits.stop.is_cancelled()
    }
}

/// Lets the node go as far as it can be reached, and says what was left undone. The Kubernetes node goes last: a graceful
/// reset waits up to a minute for it to be cordoned (Talos v1.12.2 v1alpha1_sequencer_tasks.go, CordonAndDrainNode), which
/// one that is gone never is.
pub async fn run(departure: &Departure) -> Vec<Left> {
    let wishes = departure.wishes;
    let mut report = Report { left: Vec::new(), journal: &departure.limits.journal };
    let mut cluster = None;
    if wishes.remove_kubernetes_node || (wishes.reset && departure.kubeconfig.is_some()) {
        report.journal.enter("leave");
        cluster = report.done("the Kubernetes node was neither drained nor removed", connected(departure).await);
    }
    let mut cordon = None;
    if let Some(cluster) = &cluster {
        match Cordon::of(cluster, &departure.node_name).await {
            Ok(found) => cordon = found.filter(|_| departure.drain),
            Err(error) => drop(report.done::<()>(NOT_DRAINED, Err(chain(&error)))),
        }
    }
    if let Some(cordon) = &cordon {
        report.done(NOT_DRAINED, drained(departure, cordon).await);
    }
    let mut fate = Fate::Stays;
    if wishes.reset {
        report.journal.enter("reset");
        let reset = reset(departure).await;
        fate = reset.as_ref().map_or_else(|unreset| unreset.fate, |()| Fate::Gone);
        report.done(NOT_RESET, reset.map_err(|unreset| unreset.why));
    }
    let mut removed = false;
    if let Some(cluster) = cluster.as_ref().filter(|_| wishes.remove_kubernetes_node && !departure.stopped()) {
        report.journal.enter("leave");
        let done = bounded(&departure.limits, cluster.delete_node(&departure.node_name)).await;
        removed = report.done("the Kubernetes node was not removed", done.map_err(told)).is_some();
    }
    if let Some(cordon) = cordon.filter(|_| !removed) {
        report.done(STILL_CORDONED, released(departure, &cordon, fate).await);
    }
    if report.left.is_empty() {
        report.journal.note(Event::Finished, "");
    }
    report.left
}

const NOT_DRAINED: &str = "the pods were not moved away";

const NOT_RESET: &str = "the machine was not reset";

const STILL_CORDONED: &str = "the Kubernetes node may still be cordoned";

/// What was done and what was not.
struct Report<'a> {
    left: Vec<Left>,
    journal: &'a Journal,
}

impl Report<'_> {
    fn done<T>(&mut self, what: &'static str, done: Result<T, String>) -> Option<T> {
        match done {
            Ok(done) => {
                self.journal.note(Event::Done, "");
                Some(done)
            }
            Err(why) => {
                self.journal.note(Event::Failed, &format!("{what}: {why}"));
                self.left.push(Left { what, why });
                None
            }
        }
    }
}

/// What is to be expected of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes on as it was.
    Stays,
    /// It was asked to reset, and was not seen to do it.
    Unsure,
    /// It was reset.
    Gone,
}

/// A reset that was not seen to be done.
struct Unreset {
    why: String,
    fate: Fate,
}

async fn connected(departure: &Departure) -> Result<Cluster, String> {
    let kubeconfig = departure.kubeconfig.as_ref().ok_or("there is no kubeconfig")?;
    Cluster::from_kubeconfig(kubeconfig).await.map_err(|error| chain(&error))
}

async fn drained(departure: &Departure, cordon: &Cordon<'_>) -> Result<(), String> {
    bounded(&departure.limits, cordon.empty(&departure.limits)).await.map_err(told)
}

/// A machine that goes on as it was gets its pods back. One that was reset does not: should it come back under its name,
/// the create that brings it back lifts the cordon.
async fn released(departure: &Departure, cordon: &Cordon<'_>, fate: Fate) -> Result<(), String> {
    let why = match fate {
        Fate::Gone => return Ok(()),
        Fate::Unsure => "its machine may be on its way to maintenance mode".to_owned(),
        Fate::Stays => match cordon.lift(&departure.limits).await {
            Ok(()) => return Ok(()),
            Err(error) => chain(&error),
        },
    };
    Err(format!("{why}; by hand, if the machine stays: kubectl uncordon {}", departure.node_name))
}

fn told(ended: Ended<KubernetesError>) -> String {
    match ended {
        Ended::Failed(error) => chain(&error),
        Ended::TimedOut { .. } => "the time for the destroy was over".to_owned(),
        Ended::Stopped { .. } => STOPPED.to_owned(),
    }
}

async fn reset(departure: &Departure) -> Result<(), Unreset> {
    let stays = |why: String| Unreset { why, fate: Fate::Stays };
    if departure.stopped() {
        return Err(stays(STOPPED.to_owned()));
    }
    let credentials = departure.credentials.as_ref();
    let credentials = credentials.ok_or_else(|| stays("there are no credentials of its cluster".to_owned()))?;
    let node = Node::connect(&departure.address, &Trust::Mutual(credentials.clone()), HANDSHAKE)
        .await
        .map_err(|error| stays(chain(&error)))?;
    same_machine(departure, &node).await.map_err(stays)?;
    let wishes = departure.wishes;
    let options =
        ResetOptions { graceful: wishes.graceful, reboot: wishes.reboot, wipe_state: true, wipe_ephemeral: true };
    match node.reset(&options).await {
        Ok(_) => {}
        // The reply may be lost in the reboot that the reset starts; what the machine does then decides.
        Err(error) if error.may_have_taken_effect() => {}
        Err(error) => return Err(stays(chain(&error))),
    }
    gone(departure, credentials).await.map_err(|why| Unreset { why, fate: Fate::Unsure })
}

/// A machine that is not the one of the state is another's, and stays as it is.
async fn same_machine(departure: &Departure, node: &Node) -> Result<(), String> {
    let failed = |error: TalosError| chain(&error);
    let uuid = node.system_uuid().await.map_err(failed)?;
    let name = node.hostname().await.map_err(failed)?;
    let ours = |name: &HostnameStatus| [&name.hostname, &name.fqdn()].contains(&&departure.node_name);
    match (&departure.machine_uuid, &uuid) {
        // Its name may have changed since (DESIGN.md D13).
        (Some(ours), Some(theirs)) if ours == theirs => Ok(()),
        (Some(ours), Some(theirs)) => Err(format!("another machine answers there: its UUID is {theirs}, not {ours}")),
        _ => match name {
            Some(name) if !ours(&name) => Err(format!("another node answers there: {:?}", name.fqdn())),
            _ => Ok(()),
        },
    }
}

/// Waits for maintenance mode, or for the machine to be off.
async fn gone(departure: &Departure, credentials: &ClientCredentials) -> Result<(), String> {
    let candidates = [Candidate { which: (), credentials }];
    let ended = until(&departure.limits, "the machine to be reset", || async {
        match detect(&departure.address, &candidates, HANDSHAKE).await.answer {
            Answer::Maintenance(_) => Look::Ready(()),
            Answer::Refused(_) | Answer::Unreachable(_) if !departure.wishes.reboot => Look::Ready(()),
            Answer::Refused(error) | Answer::Unreachable(error) => Look::Pending(chain(&error)),
            Answer::Mutual { .. } => Look::Pending("the node still answers".to_owned()),
            other => Look::<(), ()>::Pending(format!("{other:?}").chars().take(80).collect()),
        }
    })
    .await;
    match ended {
        Ok(()) => Ok(()),
        Err(Ended::Failed(())) => Ok(()),
        Err(Ended::TimedOut { last, .. }) => Err(format!("the reset was requested, but not seen to be done: {last}")),
        Err(Ended::Stopped { .. }) => Err("stopped on request after the reset was requested".to_owned()),
    }
}
