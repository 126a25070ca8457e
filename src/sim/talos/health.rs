//! `cluster.ClusterService/HealthCheck`: the checks of Talos in their order, as far as one node of its own cluster can
//! pass them.

use std::time::Duration;

use prost::Message;
use tokio::time::timeout;
use tonic::Status;

use super::{
    etcd::only_control_planes,
    machine::Machine,
    spec::{Field, text},
    state::{Boot, Stage, State},
};

#[derive(Clone, PartialEq, Message)]
pub struct HealthCheckRequest {
    #[prost(message, optional, tag = "1")]
    wait_timeout: Option<prost_types::Duration>,
}

type Check = (&'static str, fn(&Boot) -> bool);

/// Names are those of Talos v1.12.2 pkg/cluster/check/default.go.
const CHECKS: [Check; 16] = [
    ("etcd to be healthy", |boot| boot.runs("etcd")),
    ("etcd members to be consistent across nodes", |boot| boot.runs("etcd")),
    ("etcd members to be control plane nodes", |boot| boot.runs("etcd")),
    ("apid to be ready", |boot| boot.runs("apid")),
    ("all nodes memory sizes", |_| true),
    ("all nodes disk sizes", |_| true),
    ("no diagnostics", |_| true),
    ("kubelet to be healthy", |boot| boot.runs("kubelet")),
    ("all nodes to finish boot sequence", |boot| boot.stage == Stage::Running),
    ("all k8s nodes to report", |boot| boot.node_name.is_some()),
    ("all control plane static pods to be running", |boot| boot.node_name.is_some()),
    ("all control plane components to be ready", |boot| boot.node_name.is_some()),
    ("all k8s nodes to report ready", |boot| boot.own_node_ready),
    ("kube-proxy to report ready", |boot| boot.own_node_ready),
    ("coredns to report ready", |boot| boot.own_node_ready),
    ("all k8s nodes to report schedulable", |_| true),
];

/// Waits as long as it is told to; answers `cluster.HealthCheckProgress`es, and how it ended.
pub async fn check(
    machine: &Machine,
    request: &HealthCheckRequest,
) -> Result<(Vec<Vec<Field>>, Result<(), Status>), Status> {
    only_control_planes(machine, "kubeconfig")?;
    let wait = request.wait_timeout.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
    let passes = |state: &State| {
        let boot = state.boot.as_ref()?;
        CHECKS.iter().all(|(_, holds)| holds(boot)).then_some(())
    };
    let ended = timeout(wait, machine.until(passes)).await;
    let mut lines = vec![format!("discovered nodes: [\"{}\"]", machine.hardware.private_ip)];
    for (name, holds) in CHECKS {
        lines.push(format!("waiting for {name}: ..."));
        if machine.boot(holds) != Some(true) {
            break;
        }
        lines.push(format!("waiting for {name}: OK"));
    }
    let progress = lines.into_iter().map(|line| vec![(2, "message", text(line))]).collect();
    Ok((progress, ended.map_err(|_| Status::deadline_exceeded("context deadline exceeded"))))
}
