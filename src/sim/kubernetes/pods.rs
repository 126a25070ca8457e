//! Pods, as far as a drain needs them.

use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Api, ok, status};
use crate::sim::journal::Event;

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Node it runs on.
    pub node: String,
    /// Kind of its controller: `ReplicaSet`, `DaemonSet`, …; none for a bare pod.
    pub owner: Option<String>,
    /// Whether it is the mirror of a static pod.
    pub mirror: bool,
    /// Whether a PodDisruptionBudget forbids its eviction.
    pub protected: bool,
}

impl Pod {
    fn to_json(&self) -> Value {
        let owners: Vec<_> = self
            .owner
            .iter()
            .map(|kind| {
                json!({"apiVersion": "apps/v1", "kind": kind, "name": format!("{}-owner", self.name), "uid": "0",
                       "controller": true})
            })
            .collect();
        let mut annotations = json!({});
        if self.mirror {
            annotations["kubernetes.io/config.mirror"] = json!("0000");
        }
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "uid": format!("{}-{}", self.namespace, self.name),
                "ownerReferences": owners, "annotations": annotations, "resourceVersion": "1",
            },
            "spec": {"nodeName": self.node, "containers": [{"name": "main", "image": "example"}]},
            "status": {"phase": "Running"},
        })
    }
}

pub async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    listing(&api, None, query.as_deref())
}

pub async fn list_in(State(api): State<Api>, Path(namespace): Path<String>, RawQuery(query): RawQuery) -> Response {
    listing(&api, Some(&namespace), query.as_deref())
}

pub async fn one(State(api): State<Api>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let found = api.pods().iter().find(|pod| pod.namespace == namespace && pod.name == name).map(Pod::to_json);
    found.map_or_else(|| missing(&name), |pod| ok(&pod))
}

pub async fn delete(State(api): State<Api>, Path((namespace, name)): Path<(String, String)>) -> Response {
    if remove(&api, &namespace, &name) { status(StatusCode::OK, "", "") } else { missing(&name) }
}

pub async fn evict(State(api): State<Api>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let protected = api.pods().iter().any(|pod| pod.namespace == namespace && pod.name == name && pod.protected);
    if protected || api.cluster.switches().evictions_blocked {
        return status(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        );
    }
    if !remove(&api, &namespace, &name) {
        return missing(&name);
    }
    status(StatusCode::CREATED, "", "")
}

pub async fn daemon_set(Path((namespace, name)): Path<(String, String)>) -> Response {
    ok(&json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace}}))
}

fn listing(api: &Api, namespace: Option<&str>, query: Option<&str>) -> Response {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let selector = pairs.find(|(key, _)| key == "fieldSelector").map(|(_, value)| value).unwrap_or_default();
    let node = selector.split(',').find_map(|term| term.strip_prefix("spec.nodeName="));
    let fits = |pod: &&Pod| node.is_none_or(|node| pod.node == node) && namespace.is_none_or(|n| pod.namespace == n);
    let items: Vec<_> = api.pods().iter().filter(fits).map(Pod::to_json).collect();
    ok(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}))
}

fn remove(api: &Api, namespace: &str, name: &str) -> bool {
    let mut pods = api.pods();
    let Some(at) = pods.iter().position(|pod| pod.namespace == namespace && pod.name == name) else { return false };
    let pod = pods.remove(at);
    drop(pods);
    api.journal.node(&pod.node, Event::NodeObject { change: format!("lost pod {namespace}/{name}") });
    true
}

fn missing(name: &str) -> Response {
    status(StatusCode::NOT_FOUND, "NotFound", &format!("pods {name:?} not found"))
}
