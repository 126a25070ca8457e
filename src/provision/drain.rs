//! Pods leave a node before it reboots, and may come back after, whatever happened in between.
//!
//! A cordon of ours carries a mark on the Kubernetes node itself ([`crate::client::kubernetes::CORDON_MARK`]): a run that
//! is killed before its uncordon leaves a node that says so, and the next run lifts it (DESIGN.md D31).

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::client::kubernetes::{Cluster, DrainOptions, KubernetesError, NodeState};
use crate::provision::error::{Cause, chain};
use crate::provision::journal::Event;
use crate::provision::wait::{Limits, bounded};
use crate::talos::secret::Secret;

/// Limit for moving the pods away, or half of the time that is left: a PodDisruptionBudget may never let one go.
const DRAIN: Duration = Duration::from_secs(5 * 60);

/// How long the uncordon is tried: the API server may be the one that is busy.
const LIFT: Duration = Duration::from_secs(60);

/// The same while Terraform waits for us to stop.
const LIFT_STOPPED: Duration = Duration::from_secs(10);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// What is to happen to the pods of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// They leave before the work and may come back after.
    Leave,
    /// They stay. A cordon that an earlier run left behind is lifted all the same.
    Stay,
}

/// Runs `work` on a cordoned and drained node and uncordons it afterwards, always: also when the drain or the work failed,
/// or when Terraform asked to stop. Without a kubeconfig, or for a node that Kubernetes does not know, `work` just runs. A
/// node that somebody else cordoned stays cordoned.
pub async fn around<T>(
    kubeconfig: Option<&Secret<String>>,
    node: &str,
    pods: Pods,
    limits: &Limits,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    let Some(kubeconfig) = kubeconfig else {
        return work.await;
    };
    if pods == Pods::Stay {
        let done = work.await?;
        // Work that needs no drain must not fail because Kubernetes cannot be asked.
        return match lift_leftover(kubeconfig, node, limits).await {
            Err(Cause::Kubernetes(error)) => {
                tracing::warn!(node, %error, "Kubernetes could not be asked whether the node is cordoned");
                Ok(done)
            }
            lifted => lifted.map(|()| done),
        };
    }
    let cluster = Cluster::from_kubeconfig(kubeconfig).await.map_err(Cause::Kubernetes)?;
    let Some(cordon) = Cordon::of(&cluster, node).await.map_err(Cause::Kubernetes)? else {
        return work.await;
    };
    let emptied = async { cordon.empty(limits).await.map_err(Cause::Kubernetes) };
    let result = match bounded(limits, emptied).await.map_err(Cause::ended) {
        Ok(()) => work.await,
        Err(cause) => Err(cause),
    };
    if let Err(error) = cordon.lift(limits).await {
        tracing::warn!(node, %error, "the node could not be uncordoned");
        // The work's own failure says more; its success must not hide that no pod will come back.
        return result.and(Err(still_cordoned(node, error)));
    }
    result
}

/// Lifts a cordon that an earlier run left behind. Kubernetes that cannot be asked is [`Cause::Kubernetes`]; a node that is
/// known to be cordoned by us and stays so is [`Cause::StillCordoned`].
async fn lift_leftover(kubeconfig: &Secret<String>, node: &str, limits: &Limits) -> Result<(), Cause> {
    let asked = async {
        let cluster = Cluster::from_kubeconfig(kubeconfig).await?;
        let left = match cluster.node(node).await? {
            Some(found) => ours(&cluster, node, &found).await? && found.unschedulable,
            None => false,
        };
        Ok::<_, KubernetesError>(left.then_some(cluster))
    };
    match asked.await.map_err(Cause::Kubernetes)? {
        None => Ok(()),
        Some(cluster) => {
            let cordon = Cordon { cluster: &cluster, node, ours: true };
            cordon.lift(limits).await.map_err(|error| still_cordoned(node, error))
        }
    }
}

/// Lifts what a destroy left on the Kubernetes node of a machine that is back under its name. A create that went well does not
/// fail for it: the next refresh tells of what is left.
pub async fn lift_any(kubeconfig: Option<&Secret<String>>, node: &str, limits: &Limits) {
    let Some(kubeconfig) = kubeconfig else { return };
    if let Err(cause) = lift_leftover(kubeconfig, node, limits).await {
        tracing::warn!(node, cause = chain(&cause), "the node may still be cordoned");
    }
}

/// The step `uncordon` of a plan: done, or an error that says that it was not.
pub async fn lift_promised(kubeconfig: Option<&Secret<String>>, node: &str, limits: &Limits) -> Result<(), Cause> {
    let Some(kubeconfig) = kubeconfig else { return Ok(()) };
    match lift_leftover(kubeconfig, node, limits).await {
        Err(Cause::Kubernetes(error)) => Err(still_cordoned(node, error)),
        lifted => lifted,
    }
}

fn still_cordoned(node: &str, source: KubernetesError) -> Cause {
    Cause::StillCordoned { node: node.to_owned(), source }
}

/// Whether an uncordon would be ours to do. A mark beside a cordon of somebody else, or beside none, is from a run that was
/// cut off long ago: it is taken off, so that nobody is told of it for ever.
async fn ours(cluster: &Cluster, node: &str, found: &NodeState) -> Result<bool, KubernetesError> {
    if found.marked && !found.cordoned_by_us {
        cluster.unmark(node).await?;
    }
    Ok(!found.unschedulable || found.cordoned_by_us)
}

/// A node whose pods are to leave.
pub struct Cordon<'a> {
    cluster: &'a Cluster,
    node: &'a str,
    /// It was schedulable before, or an earlier run of ours cordoned it and was cut off.
    ours: bool,
}

impl<'a> Cordon<'a> {
    /// Looks at the node; `None` when Kubernetes does not know it. It is not cordoned yet.
    pub async fn of(cluster: &'a Cluster, node: &'a str) -> Result<Option<Self>, KubernetesError> {
        let Some(found) = cluster.node(node).await? else { return Ok(None) };
        Ok(Some(Self { cluster, node, ours: ours(cluster, node, &found).await? }))
    }

    /// Cordons and drains.
    pub async fn empty(&self, limits: &Limits) -> Result<(), KubernetesError> {
        if self.ours {
            self.cluster.cordon(self.node, &why()).await?;
        }
        limits.journal.note(Event::Waiting, "the node is cordoned, its pods move away");
        let within = DRAIN.min(limits.left() / 2);
        let evicted = self.cluster.drain(self.node, &DrainOptions { within, ..DrainOptions::default() }).await?;
        tracing::info!(node = self.node, evicted, "node drained");
        limits.journal.note(Event::Waiting, &format!("{evicted} pods moved away"));
        Ok(())
    }

    /// Uncordons, unless the cordon is somebody else's. Bounded, and more tightly so after a stop.
    pub async fn lift(&self, limits: &Limits) -> Result<(), KubernetesError> {
        if !self.ours {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let limit = if limits.stop.is_cancelled() { LIFT_STOPPED } else { LIFT };
            match self.cluster.uncordon(self.node).await {
                Err(error) if error.is_transient() && began.elapsed() + PAUSE < limit => {
                    tokio::time::sleep(PAUSE).await;
                }
                // A node that is gone is not cordoned.
                Err(KubernetesError::Api { code: 404, .. }) => return Ok(()),
                done => {
                    if done.is_ok() {
                        tracing::info!(node = self.node, "node uncordoned");
                        limits.journal.note(Event::Waiting, "the node is uncordoned");
                    }
                    return done;
                }
            }
        }
    }
}

/// For people who look at the node.
fn why() -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    format!("drained by terraform-provider-talosoci since {now}")
}
