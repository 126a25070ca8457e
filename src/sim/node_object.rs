//! A Kubernetes Node, as far as the simulator keeps one.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A Node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeObject {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `status.nodeInfo.kubeletVersion`
    pub kubelet_version: String,
    /// `status.nodeInfo.systemUUID`
    pub system_uuid: String,
    /// `status.nodeInfo.machineID`
    pub machine_id: String,
    /// `status.nodeInfo.bootID`
    pub boot_id: String,
    /// `status.nodeInfo.osImage`
    pub os_image: String,
    /// `spec.providerID`
    pub provider_id: String,
    /// The `InternalIP` address.
    pub internal_ip: String,
    /// `spec.unschedulable`
    pub unschedulable: bool,
    /// Who wrote `spec.unschedulable` last, as `metadata.managedFields` has it.
    pub cordoned_by: String,
    /// The `Ready` condition.
    pub ready: bool,
    /// Whether its kubelet stopped reporting: the `Ready` condition is then `Unknown`.
    pub silent: bool,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// `spec.taints`, as they stand in the object.
    pub taints: Vec<Value>,
    /// `metadata.creationTimestamp`
    pub created: OffsetDateTime,
    /// Counts changes: `metadata.resourceVersion`.
    pub version: u64,
}

impl NodeObject {
    /// Takes over what the kubelet reports after a reboot; what others wrote stays.
    pub fn refresh(&mut self, report: Self) {
        let Self { kubelet_version, system_uuid, machine_id, boot_id, os_image, provider_id, internal_ip, .. } = report;
        self.version += 1;
        (self.kubelet_version, self.system_uuid, self.machine_id) = (kubelet_version, system_uuid, machine_id);
        (self.boot_id, self.os_image, self.provider_id) = (boot_id, os_image, provider_id);
        (self.internal_ip, self.silent) = (internal_ip, false);
    }

    /// The object as the API gives it out.
    pub fn to_json(&self) -> Value {
        let created = self.created.format(&Rfc3339).unwrap_or_default();
        let mut spec = json!({"providerID": self.provider_id});
        if self.unschedulable {
            spec["unschedulable"] = json!(true);
        }
        let mut taints = self.taints.clone();
        if self.unschedulable {
            taints.push(json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}));
        }
        if !self.ready {
            taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
        }
        if !taints.is_empty() {
            spec["taints"] = json!(taints);
        }
        let mut managed = vec![json!({
            "manager": "kubelet",
            "operation": "Update",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {}}, "f:spec": {"f:providerID": {}}},
        })];
        if self.unschedulable {
            managed.push(json!({
                "manager": self.cordoned_by,
                "operation": "Update",
                "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:unschedulable": {}}},
            }));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "uid": self.uid,
                "resourceVersion": self.version.to_string(),
                "creationTimestamp": created,
                "labels": self.labels,
                "annotations": self.annotations,
                "managedFields": managed,
            },
            "spec": spec,
            "status": self.status(&created),
        })
    }

    fn status(&self, since: &str) -> Value {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": since,
                "lastTransitionTime": since,
            })
        };
        let ready = if self.ready {
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        } else if self.silent {
            condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        } else {
            let words = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                         message:Network plugin returns error: cni plugin not initialized";
            condition("Ready", "False", "KubeletNotReady", words)
        };
        json!({
            "addresses": [
                {"type": "InternalIP", "address": self.internal_ip},
                {"type": "Hostname", "address": self.name},
            ],
            "capacity": {"cpu": "4", "memory": "24332288Ki", "pods": "110"},
            "allocatable": {"cpu": "3950m", "memory": "23700000Ki", "pods": "110"},
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                ready,
            ],
            "nodeInfo": {
                "architecture": "arm64",
                "bootID": self.boot_id,
                "containerRuntimeVersion": "containerd://2.1.5",
                "kernelVersion": "6.18.2-talos",
                "kubeProxyVersion": "",
                "kubeletVersion": self.kubelet_version,
                "machineID": self.machine_id,
                "operatingSystem": "linux",
                "osImage": self.os_image,
                "systemUUID": self.system_uuid,
            },
        })
    }
}
