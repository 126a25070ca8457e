//! What clients ask before they ask for anything.

use axum::response::Response;
use serde_json::{Value, json};

use super::ok;

pub async fn version() -> Response {
    ok(&json!({
        "major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "0000000", "gitTreeState": "clean",
        "buildDate": "2025-12-17T00:00:00Z", "goVersion": "go1.25.5", "compiler": "gc", "platform": "linux/amd64",
    }))
}

pub async fn healthy() -> &'static str {
    "ok"
}

pub async fn core_versions() -> Response {
    ok(&json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
}

pub async fn groups() -> Response {
    let group = |name: &str| {
        let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
        json!({"name": name, "versions": [version.clone()], "preferredVersion": version})
    };
    ok(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps"), group("policy")]}))
}

pub async fn core() -> Response {
    let verbs = ["get", "list", "patch", "update", "delete"];
    ok(&resources(
        "v1",
        json!([
            {"name": "nodes", "singularName": "node", "namespaced": false, "kind": "Node", "shortNames": ["no"], "verbs": verbs},
            {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "shortNames": ["po"], "verbs": verbs},
            {"name": "pods/eviction", "singularName": "", "namespaced": true, "kind": "Eviction", "group": "policy",
             "version": "v1", "verbs": ["create"]},
        ]),
    ))
}

pub async fn apps() -> Response {
    ok(&resources(
        "apps/v1",
        json!([
            {"name": "daemonsets", "singularName": "daemonset", "namespaced": true, "kind": "DaemonSet", "verbs": ["get", "list"]},
        ]),
    ))
}

pub async fn policy() -> Response {
    ok(&resources("policy/v1", json!([])))
}

fn resources(version: &str, list: Value) -> Value {
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}
