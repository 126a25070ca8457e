//! The tables that `kubectl get` asks for.

use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::sim::node_object::NodeObject;

/// Whether the client asks for a table.
pub fn wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("as=Table")
}

/// Nodes as a table.
pub fn of_nodes(nodes: &[NodeObject]) -> Value {
    let columns = ["Name", "Status", "Roles", "Age", "Version", "Internal-IP", "External-IP", "OS-Image"];
    let definitions: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let priority = u8::from(index > 4);
            json!({"name": name, "type": "string", "format": "", "description": "", "priority": priority})
        })
        .collect();
    let rows: Vec<_> = nodes
        .iter()
        .map(|node| {
            let mut status = if node.ready { "Ready" } else { "NotReady" }.to_owned();
            if node.unschedulable {
                status.push_str(",SchedulingDisabled");
            }
            let age = (OffsetDateTime::now_utc() - node.created).whole_seconds();
            json!({
                "cells": [node.name, status, "<none>", format!("{age}s"), node.kubelet_version, node.internal_ip, "<none>",
                          node.os_image],
                "object": node.to_json(),
            })
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "1"},
        "columnDefinitions": definitions, "rows": rows,
    })
}
