//! Letting a node go: out of Kubernetes, and back to maintenance mode if the user wants it. The flashed image and META
//! stay: wiping the whole disk would leave a machine that does not boot.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::kubernetes::{Cluster, KubernetesError};
use crate::client::talos::{Address, Answer, Candidate, Node, ResetOptions, TalosError, Trust, detect};
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
}

/// Lets the node go as far as it can be reached, and says what was left undone.
pub async fn run(departure: &Departure) -> Vec<Left> {
    let mut left = Vec::new();
    let wishes = departure.wishes;
    let journal = &departure.limits.journal;
    let mut note = |what: &'static str, done: Result<(), String>| match done {
        Ok(()) => journal.note(Event::Done, ""),
        Err(why) => {
            journal.note(Event::Failed, &format!("{what}: {why}"));
            left.push(Left { what, why });
        }
    };
    if wishes.remove_kubernetes_node || (wishes.reset && departure.kubeconfig.is_some()) {
        journal.enter("leave");
        note("the Kubernetes node was not drained, or not removed", kubernetes(departure).await);
    }
    if wishes.reset {
        journal.enter("reset");
        note("the machine was not reset", reset(departure).await);
    }
    if left.is_empty() {
        journal.note(Event::Finished, "");
    }
    left
}

async fn kubernetes(departure: &Departure) -> Result<(), String> {
    let kubeconfig = departure.kubeconfig.as_ref().ok_or("there is no kubeconfig")?;
    let (name, limits) = (&departure.node_name, &departure.limits);
    let failed = |error: KubernetesError| chain(&error);
    let cluster = Cluster::from_kubeconfig(kubeconfig).await.map_err(failed)?;
    let Some(cordon) = Cordon::of(&cluster, name).await.map_err(failed)? else { return Ok(()) };
    let work = async {
        let drained = if departure.drain { cordon.empty(limits).await } else { Ok(()) };
        if departure.wishes.remove_kubernetes_node {
            cluster.delete_node(name).await?;
        }
        drained
    };
    match bounded(limits, work).await {
        Ok(()) => Ok(()),
        Err(Ended::Failed(error)) => Err(chain(&error)),
        Err(Ended::TimedOut { .. }) => Err("the time for the destroy was over".to_owned()),
        // The node stays, so its pods may come back.
        Err(Ended::Stopped { .. }) => Err(match cordon.lift(limits).await {
            Ok(()) => STOPPED.to_owned(),
            Err(error) => format!("{STOPPED}, and the node is still cordoned: {}", chain(&error)),
        }),
    }
}

async fn reset(departure: &Departure) -> Result<(), String> {
    if departure.limits.stop.is_cancelled() {
        return Err(STOPPED.to_owned());
    }
    let credentials = departure.credentials.as_ref().ok_or("there are no credentials of its cluster")?;
    let node = Node::connect(&departure.address, &Trust::Mutual(credentials.clone()), HANDSHAKE)
        .await
        .map_err(|error| chain(&error))?;
    same_machine(departure, &node).await?;
    let wishes = departure.wishes;
    let options =
        ResetOptions { graceful: wishes.graceful, reboot: wishes.reboot, wipe_state: true, wipe_ephemeral: true };
    match node.reset(&options).await {
        Ok(_) => {}
        // The reply may be lost in the reboot that the reset starts; what the machine does then decides.
        Err(error) if error.may_have_taken_effect() => {}
        Err(error) => return Err(chain(&error)),
    }
    gone(departure, credentials).await
}

/// A machine that is not the one of the state is another's, and stays as it is.
async fn same_machine(departure: &Departure, node: &Node) -> Result<(), String> {
    let failed = |error: TalosError| chain(&error);
    let uuid = node.system_uuid().await.map_err(failed)?;
    let name = node.hostname().await.map_err(failed)?.map(|status| status.hostname);
    match (&departure.machine_uuid, &uuid) {
        // Its name may have changed since (DESIGN.md D13).
        (Some(ours), Some(theirs)) if ours == theirs => Ok(()),
        (Some(ours), Some(theirs)) => Err(format!("another machine answers there: its UUID is {theirs}, not {ours}")),
        _ if name.as_ref().is_some_and(|name| *name != departure.node_name) => {
            Err(format!("another node answers there: {:?}", name.unwrap_or_default()))
        }
        _ => Ok(()),
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
