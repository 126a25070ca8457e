//! Nodes: get, list, patch, delete.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde_json::{Value, json};

use super::{Api, ok, status, table};
use crate::sim::{journal::Event, node_object::NodeObject};

pub async fn list(State(api): State<Api>, headers: HeaderMap) -> Response {
    let nodes = api.cluster.nodes();
    if table::wanted(&headers) {
        return ok(&table::of_nodes(&nodes));
    }
    let items: Vec<_> = nodes.iter().map(NodeObject::to_json).collect();
    ok(&json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}))
}

pub async fn one(State(api): State<Api>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match api.cluster.node(&name) {
        Some(node) if table::wanted(&headers) => ok(&table::of_nodes(&[node])),
        Some(node) => ok(&node.to_json()),
        None => missing(&name),
    }
}

/// Who writes; the API server takes the start of the user agent when it is not said.
fn writer(uri: &Uri, headers: &HeaderMap) -> String {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let said = pairs.into_iter().find_map(|(name, value)| (name == "fieldManager").then(|| value.into_owned()));
    let agent = || headers.get("user-agent")?.to_str().ok()?.split('/').next().map(str::to_owned);
    said.or_else(agent).unwrap_or_else(|| "unknown".to_owned())
}

/// Merge patches of `spec.unschedulable`, labels and annotations; the three patch formats mean the same for these.
pub async fn patch(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let patch: Value = match serde_json::from_slice(&body) {
        Ok(patch) => patch,
        Err(error) => return status(StatusCode::BAD_REQUEST, "BadRequest", &error.to_string()),
    };
    let patch = if patch.is_array() { from_json_patch(&patch) } else { patch };
    write(&api, &name, &patch, &writer(&uri, &headers))
}

/// A whole object: the same fields count.
pub async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut object) => {
            if object["spec"].get("unschedulable").is_none() {
                object["spec"]["unschedulable"] = json!(false);
            }
            write(&api, &name, &object, &writer(&uri, &headers))
        }
        Err(error) => status(StatusCode::BAD_REQUEST, "BadRequest", &error.to_string()),
    }
}

pub async fn delete(State(api): State<Api>, Path(name): Path<String>) -> Response {
    match api.cluster.remove(&name) {
        Some(_) => {
            api.journal.node(&name, Event::NodeObject { change: "deleted".to_owned() });
            status(StatusCode::OK, "", "")
        }
        None => missing(&name),
    }
}

fn write(api: &Api, name: &str, patch: &Value, writer: &str) -> Response {
    let changed = api.cluster.change(name, |node| {
        let before = node.unschedulable;
        match &patch["spec"]["unschedulable"] {
            Value::Bool(value) => node.unschedulable = *value,
            Value::Null if patch["spec"].get("unschedulable").is_some() => node.unschedulable = false,
            _ => {}
        }
        if before != node.unschedulable {
            writer.clone_into(&mut node.cordoned_by);
        }
        merge(&mut node.labels, &patch["metadata"]["labels"]);
        merge(&mut node.annotations, &patch["metadata"]["annotations"]);
        node.version += 1;
        (before, node.clone())
    });
    let Some((before, node)) = changed else { return missing(name) };
    if before != node.unschedulable {
        let change = if node.unschedulable { "cordoned" } else { "uncordoned" }.to_owned();
        api.journal.node(name, Event::NodeObject { change });
    }
    ok(&node.to_json())
}

fn merge(map: &mut std::collections::BTreeMap<String, String>, patch: &Value) {
    for (key, value) in patch.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => drop(map.insert(key.clone(), text.clone())),
            Value::Null => drop(map.remove(key)),
            _ => {}
        }
    }
}

/// `[{"op": "add", "path": "/spec/unschedulable", "value": true}]` as a merge patch.
fn from_json_patch(patch: &Value) -> Value {
    let mut merged = json!({});
    for operation in patch.as_array().into_iter().flatten() {
        if operation["path"] == "/spec/unschedulable" {
            let value = if operation["op"] == "remove" { Value::Null } else { operation["value"].clone() };
            merged["spec"]["unschedulable"] = value;
        }
    }
    merged
}

fn missing(name: &str) -> Response {
    status(StatusCode::NOT_FOUND, "NotFound", &format!("nodes {name:?} not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_patch_of_cordon_means_what_the_merge_patch_means() {
        let patch = json!([{"op": "add", "path": "/spec/unschedulable", "value": true}]);
        assert_eq!(from_json_patch(&patch), json!({"spec": {"unschedulable": true}}));
    }
}
