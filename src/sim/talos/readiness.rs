//! When a machine is ready (Talos v1.12.2 controllers/runtime/machine_status.go).

use super::state::{Boot, Stage};
use crate::sim::cluster::Cluster;

/// The unmet conditions; none outside of the stages booting and running.
pub fn unmet(boot: &Boot, cluster: &Cluster) -> Vec<(&'static str, String)> {
    if !matches!(boot.stage, Stage::Booting | Stage::Running) {
        return Vec::new();
    }
    let mut unmet = Vec::new();
    if !boot.time_synced {
        unmet.push(("time", "time is not synced".to_owned()));
    }
    let services = service_problems(boot);
    if !services.is_empty() {
        unmet.push(("services", services.join(", ")));
    }
    if boot.is_control_plane() && boot.runs("etcd") && !boot.runs("kubelet") {
        unmet.push(("staticPods", "kube-system/kube-apiserver pending".to_owned()));
    }
    if let Some(name) = &boot.node_name {
        // A control plane here is the only node of a cluster of its own.
        let own = boot.is_control_plane().then_some(boot.own_node_ready);
        match own.or_else(|| cluster.node(name).map(|node| node.ready)) {
            None => unmet.push(("nodeReady", format!("node {name:?} status is not available yet"))),
            Some(false) => unmet.push(("nodeReady", format!("node {name:?} is not ready"))),
            Some(true) => {}
        }
    }
    unmet
}

/// Services that exist as resources but are not healthy, and required ones that do not run.
fn service_problems(boot: &Boot) -> Vec<String> {
    let unhealthy = boot.services.iter().filter(|service| service.state == "Running" && service.healthy == Some(false));
    let mut problems: Vec<_> = unhealthy.map(|service| format!("{} not healthy", service.id)).collect();
    let required: &[&str] = if boot.is_control_plane() {
        &["apid", "machined", "kubelet", "etcd", "trustd"]
    } else {
        &["apid", "machined", "kubelet"]
    };
    problems.extend(required.iter().filter(|id| !boot.runs(id)).map(|id| format!("{id} not running")));
    problems
}
