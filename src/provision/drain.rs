//! Pods leave a node before it reboots, and may come back after, whatever happened in between.

use std::future::Future;
use std::time::Duration;

use crate::client::kubernetes::{Cluster, DrainOptions, KubernetesError};
use crate::provision::error::Cause;
use crate::provision::wait::{Limits, bounded};
use crate::talos::secret::Secret;

/// Limit for moving the pods away, or half of the time that is left: a PodDisruptionBudget may never let one go.
const DRAIN: Duration = Duration::from_secs(5 * 60);

/// Tries for the uncordon: the API server may be the one that is busy.
const UNCORDON_TRIES: u32 = 5;

/// Runs `work` on a cordoned and drained node and uncordons it afterwards, always: also when the drain or the work failed.
/// Without a kubeconfig, or for a node that Kubernetes does not know, `work` just runs. A node that was unschedulable
/// before stays so.
pub async fn around<T>(
    kubeconfig: Option<&Secret<String>>,
    node: &str,
    limits: &Limits,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    let Some(kubeconfig) = kubeconfig else {
        return work.await;
    };
    let cluster = Cluster::from_kubeconfig(kubeconfig).await.map_err(Cause::Kubernetes)?;
    let Some(before) = cluster.node(node).await.map_err(Cause::Kubernetes)? else {
        return work.await;
    };
    let emptied = async { empty(&cluster, node, limits).await.map_err(Cause::Kubernetes) };
    let result = match bounded(limits, emptied).await.map_err(Cause::ended) {
        Ok(()) => work.await,
        Err(cause) => Err(cause),
    };
    if !before.unschedulable
        && let Err(error) = uncordon(&cluster, node).await
    {
        tracing::warn!(node, %error, "the node could not be uncordoned");
        // The work's own failure says more; its success must not hide that no pod will come back.
        return result.and(Err(Cause::Kubernetes(error)));
    }
    result
}

/// Cordons and drains.
pub async fn empty(cluster: &Cluster, node: &str, limits: &Limits) -> Result<(), KubernetesError> {
    cluster.cordon(node).await?;
    let within = DRAIN.min(limits.left() / 2);
    let evicted = cluster.drain(node, &DrainOptions { within, ..DrainOptions::default() }).await?;
    tracing::info!(node, evicted, "node drained");
    Ok(())
}

async fn uncordon(cluster: &Cluster, node: &str) -> Result<(), KubernetesError> {
    let mut tries = 0;
    loop {
        match cluster.uncordon(node).await {
            Err(error) if error.is_transient() && tries < UNCORDON_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1 << tries)).await;
            }
            done => return done,
        }
    }
}
