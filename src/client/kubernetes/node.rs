//! Nodes: reading, finding, cordoning, deleting.

use std::net::IpAddr;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Cluster, KubernetesError};

/// Annotation of a node that this provider has cordoned: it was schedulable before. Written and removed together with
/// the cordon itself, so that a run that is killed in between leaves a node that says who cordoned it.
pub const CORDON_MARK: &str = "talosoci/cordoned";

/// Who the API server notes down as the one that cordoned.
const MANAGER: &str = "terraform-provider-talosoci";

/// What Kubernetes knows of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Condition Ready is True.
    pub ready: bool,
    /// Why it is not ready: reason and message of the condition.
    pub not_ready_because: Option<String>,
    /// Cordoned.
    pub unschedulable: bool,
    /// The cordon is this provider's own: the node carries [`CORDON_MARK`], and nobody else has cordoned it since.
    pub cordoned_by_us: bool,
    /// It carries [`CORDON_MARK`], whoever cordoned it, if anybody.
    pub marked: bool,
    /// `v1.35.0`.
    pub kubelet_version: String,
    /// `Talos (v1.12.2)`.
    pub os_image: String,
    /// Addresses of type InternalIP.
    pub internal_ips: Vec<IpAddr>,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// SMBIOS UUID, as the kubelet writes it.
    pub system_uuid: String,
    /// `oci://…`, when a cloud provider or the kubelet set it.
    pub provider_id: Option<String>,
}

/// What identifies a machine, whatever its node is called. Any match counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// SMBIOS UUID, in either case.
    pub system_uuid: Option<String>,
    /// Provider id.
    pub provider_id: Option<String>,
    /// One of its internal addresses.
    pub internal_ip: Option<IpAddr>,
}

impl Cluster {
    /// One node; `None` when it is not registered.
    ///
    /// # Errors
    /// As any call.
    pub async fn node(&self, name: &str) -> Result<Option<NodeState>, KubernetesError> {
        let action = format!("reading node {name}");
        let found = self.call(&action, self.nodes_api().get_opt(name)).await?;
        Ok(found.map(NodeState::from))
    }

    /// All nodes.
    ///
    /// # Errors
    /// As any call.
    pub async fn nodes(&self) -> Result<Vec<NodeState>, KubernetesError> {
        let listed = self.call("listing nodes", self.nodes_api().list(&ListParams::default())).await?;
        Ok(listed.items.into_iter().map(NodeState::from).collect())
    }

    /// The nodes that are this machine; more than one when it registered under several names.
    ///
    /// # Errors
    /// As any call.
    pub async fn nodes_of(&self, machine: &Machine) -> Result<Vec<NodeState>, KubernetesError> {
        Ok(self.nodes().await?.into_iter().filter(|node| machine.is(node)).collect())
    }

    /// Keeps new pods away from a node, and marks it with `why` as cordoned by us. Both are one write.
    ///
    /// # Errors
    /// `NotFound` without such a node; else as any call.
    pub async fn cordon(&self, name: &str, why: &str) -> Result<(), KubernetesError> {
        self.set_unschedulable(name, Some(why)).await
    }

    /// Lets new pods onto a node again, and takes the mark off. Both are one write.
    ///
    /// # Errors
    /// `NotFound` without such a node; else as any call.
    pub async fn uncordon(&self, name: &str) -> Result<(), KubernetesError> {
        self.set_unschedulable(name, None).await
    }

    /// Takes a mark off that means nothing any more, and leaves all else as it is.
    ///
    /// # Errors
    /// `NotFound` without such a node; else as any call.
    pub async fn unmark(&self, name: &str) -> Result<(), KubernetesError> {
        let patch = json!({ "metadata": { "annotations": { CORDON_MARK: null } } });
        self.patch(&format!("taking the mark off node {name}"), name, patch).await
    }

    /// Removes a node from the cluster; false when there was none.
    ///
    /// # Errors
    /// As any call.
    pub async fn delete_node(&self, name: &str) -> Result<bool, KubernetesError> {
        let action = format!("deleting node {name}");
        let nodes = self.nodes_api();
        match self.call(&action, nodes.delete(name, &DeleteParams::default())).await {
            Ok(_) => Ok(true),
            Err(KubernetesError::Api { code: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn set_unschedulable(&self, name: &str, why: Option<&str>) -> Result<(), KubernetesError> {
        let action = format!("{} node {name}", if why.is_some() { "cordoning" } else { "uncordoning" });
        let patch = json!({
            "metadata": { "annotations": { CORDON_MARK: why } },
            "spec": { "unschedulable": why.is_some() },
        });
        self.patch(&action, name, patch).await
    }

    async fn patch(&self, action: &str, name: &str, patch: serde_json::Value) -> Result<(), KubernetesError> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let nodes = self.nodes_api();
        self.call(action, nodes.patch(name, &params, &Patch::Merge(patch))).await.map(|_| ())
    }

    fn nodes_api(&self) -> Api<core::Node> {
        Api::all(self.client.clone())
    }
}

impl Machine {
    fn is(&self, node: &NodeState) -> bool {
        let uuid = self.system_uuid.as_deref().filter(|uuid| !uuid.is_empty());
        let provider = self.provider_id.as_deref().filter(|id| !id.is_empty());
        uuid.is_some_and(|uuid| uuid.eq_ignore_ascii_case(&node.system_uuid))
            || provider.is_some_and(|id| node.provider_id.as_deref() == Some(id))
            || self.internal_ip.is_some_and(|ip| node.internal_ips.contains(&ip))
    }
}

impl From<core::Node> for NodeState {
    fn from(node: core::Node) -> Self {
        let spec = node.spec.unwrap_or_default();
        let status = node.status.unwrap_or_default();
        let info = status.node_info.unwrap_or_default();
        let ready = status.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "Ready");
        let is_ready = ready.as_ref().is_some_and(|condition| condition.status == "True");
        let unschedulable = spec.unschedulable.unwrap_or_default();
        let marked = node.metadata.annotations.unwrap_or_default().contains_key(CORDON_MARK);
        let others = cordoned_by_another(&node.metadata.managed_fields.unwrap_or_default());
        Self {
            name: node.metadata.name.unwrap_or_default(),
            ready: is_ready,
            not_ready_because: ready.filter(|_| !is_ready).map(because),
            unschedulable,
            cordoned_by_us: unschedulable && marked && !others,
            marked,
            provider_id: spec.provider_id.filter(|id| !id.is_empty()),
            kubelet_version: info.kubelet_version,
            os_image: info.os_image,
            machine_id: info.machine_id,
            system_uuid: info.system_uuid,
            internal_ips: internal_ips(status.addresses.unwrap_or_default()),
        }
    }
}

/// Whether the API server notes that somebody else wrote `spec.unschedulable` last. The mark outlives an operator who
/// uncordons the node and cordons it again for reasons of his own.
fn cordoned_by_another(managed: &[ManagedFieldsEntry]) -> bool {
    let owns = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.is_some_and(|fields| fields.pointer("/f:spec/f:unschedulable").is_some())
    };
    let mut owners = managed.iter().filter(owns).peekable();
    owners.peek().is_some() && owners.all(|entry| entry.manager.as_deref() != Some(MANAGER))
}

fn because(condition: core::NodeCondition) -> String {
    let parts = [condition.reason, condition.message];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

fn internal_ips(addresses: Vec<core::NodeAddress>) -> Vec<IpAddr> {
    let internal = addresses.into_iter().filter(|address| address.type_ == "InternalIP");
    internal.filter_map(|address| address.address.parse().ok()).collect()
}
