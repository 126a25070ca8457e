//! Moving pods off a node through the eviction API, so that PodDisruptionBudgets are honoured.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::core::Status;
use tokio::time::{Instant, sleep_until};

use super::error::BlockedPod;
use super::{Cluster, KubernetesError};

/// How often to look again at what is left.
const POLL: Duration = Duration::from_secs(2);

/// The kubelet runs such a pod from a file; the API only mirrors it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// How to drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOptions {
    /// How long to wait for the pods to go.
    pub within: Duration,
    /// Seconds a pod gets to end; `None` for what it asks itself.
    pub grace_seconds: Option<u32>,
    /// How often to look.
    pub poll: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self { within: Duration::from_secs(300), grace_seconds: None, poll: POLL }
    }
}

/// A pod that has to go.
struct Guest {
    uid: String,
    namespace: String,
    name: String,
    leaving: bool,
}

impl Cluster {
    /// Evicts all pods of a node but those of DaemonSets, those that are files of the node, and those that are over.
    /// Returns how many went. Does not cordon.
    ///
    /// # Errors
    /// `Blocked` with what is left at the deadline and why; a refusal that will not heal at once.
    pub async fn drain(&self, node: &str, options: &DrainOptions) -> Result<usize, KubernetesError> {
        let end = Instant::now() + options.within;
        let mut evicted = BTreeSet::new();
        loop {
            let left = self.guests(node).await?;
            if left.is_empty() {
                return Ok(evicted.len());
            }
            let mut blocked = Vec::new();
            for guest in left {
                let reason = match self.evict(&guest, options).await? {
                    None => {
                        evicted.insert(guest.uid);
                        "it is still terminating".to_owned()
                    }
                    Some(reason) => reason,
                };
                blocked.push(BlockedPod { namespace: guest.namespace, name: guest.name, reason });
            }
            let next = Instant::now() + options.poll;
            if next > end {
                return Err(KubernetesError::Blocked { node: node.to_owned(), within: options.within, pods: blocked });
            }
            sleep_until(next).await;
        }
    }

    async fn guests(&self, node: &str) -> Result<Vec<Guest>, KubernetesError> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let here = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let listed = self.call(&format!("listing the pods of node {node}"), pods.list(&here)).await?;
        Ok(listed.items.iter().filter(|pod| must_go(pod)).map(Guest::from).collect())
    }

    /// `None` once the pod is on its way, else why it may not go yet.
    async fn evict(&self, guest: &Guest, options: &DrainOptions) -> Result<Option<String>, KubernetesError> {
        if guest.leaving {
            return Ok(None);
        }
        let action = format!("evicting pod {}/{}", guest.namespace, guest.name);
        let eviction = guest.eviction(options);
        match self.call(&action, self.post_eviction(guest, &eviction)).await {
            Ok(_) | Err(KubernetesError::Api { code: 404 | 409, .. }) => Ok(None),
            // 429: a disruption budget. 500: two budgets cover the pod, which the API cannot weigh. Others: transient.
            Err(error @ KubernetesError::Api { .. }) if error.is_transient() => Ok(Some(words(error))),
            Err(error) => Err(error),
        }
    }

    /// Not by `Api::evict`: kube 5.0.0 (kube-core src/subresource.rs) writes `delete_options` where the API reads
    /// `deleteOptions`, so that the precondition would be dropped without a word.
    async fn post_eviction(&self, guest: &Guest, eviction: &Eviction) -> Result<Status, kube::Error> {
        let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", guest.namespace, guest.name);
        let body = serde_json::to_vec(eviction).map_err(kube::Error::SerdeError)?;
        let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json").body(body);
        self.client.request(request.map_err(kube::Error::HttpError)?).await
    }
}

impl Guest {
    fn eviction(&self, options: &DrainOptions) -> Eviction {
        Eviction {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                grace_period_seconds: options.grace_seconds.map(i64::from),
                // A StatefulSet may have made a new pod of the same name elsewhere.
                preconditions: Some(Preconditions { uid: Some(self.uid.clone()), ..Preconditions::default() }),
                ..DeleteOptions::default()
            }),
        }
    }
}

fn words(error: KubernetesError) -> String {
    match error {
        KubernetesError::Api { message, .. } => message,
        other => other.to_string(),
    }
}

fn must_go(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let daemon = pod.owner_references().iter().any(|owner| owner.kind == "DaemonSet" && owner.controller == Some(true));
    let mirror = pod.annotations().contains_key(MIRROR);
    !daemon && !mirror && !matches!(phase, "Succeeded" | "Failed")
}

impl From<&Pod> for Guest {
    fn from(pod: &Pod) -> Self {
        Self {
            uid: pod.uid().unwrap_or_default(),
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            leaving: pod.metadata.deletion_timestamp.is_some(),
        }
    }
}
