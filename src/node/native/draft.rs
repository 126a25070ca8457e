//! The attributes `machine` and `cluster`, as they were written: each of their values may be unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::node::given::Given;
use crate::talos::secret::Secret;
use crate::talos::secrets::SecretsBundle;

/// A list whose items may be unknown one by one.
pub type List = Given<Vec<Given<String>>>;

/// Names with values that may be unknown one by one.
pub type Map = Given<BTreeMap<String, Given<Secret<String>>>>;

/// The `machine` object.
#[derive(Clone, Debug, Default)]
pub struct MachineDraft {
    /// Disk that Talos is installed to.
    pub install_disk: Given<String>,
    /// Names and addresses on the node's certificate.
    pub cert_sans: List,
    /// The one network card.
    pub network: Given<NetworkDraft>,
    /// Subnets that the kubelet takes its address from.
    pub node_ip_subnets: List,
    /// Services of system extensions.
    pub extension_services: Given<Vec<Given<ServiceDraft>>>,
    /// Whether KubeSpan is on.
    pub kubespan: Given<bool>,
    /// Labels of the Kubernetes node.
    pub node_labels: Map,
    /// Taints of the Kubernetes node, as `value:effect`.
    pub node_taints: Map,
    /// Another kubelet than that of the cluster's Kubernetes version.
    pub kubelet_image: Given<String>,
    /// Token that the node shows to trustd.
    pub token: Given<Secret<String>>,
    /// Authority of the Talos API: base64 of its certificate's PEM.
    pub ca: Given<String>,
}

/// The `machine.network` object.
#[derive(Clone, Debug, Default)]
pub struct NetworkDraft {
    /// Address with prefix length.
    pub address: Given<String>,
    /// Hardware address that selects the card.
    pub mac_address: Given<String>,
    /// Name of the card, instead of `mac_address`.
    pub interface: Given<String>,
    /// Default gateway.
    pub gateway: Given<String>,
    /// Further routes: network, gateway.
    pub routes: Given<Vec<(Given<String>, Given<String>)>>,
    /// Whether the card is set up by DHCP.
    pub dhcp: Given<bool>,
    /// Resolvers.
    pub nameservers: List,
}

/// Content and mount path of a file.
pub type ConfigFile = (Given<Secret<String>>, Given<String>);

/// One of `machine.extension_services`.
#[derive(Clone, Debug, Default)]
pub struct ServiceDraft {
    /// Name, such as `tailscale`.
    pub name: Given<String>,
    /// Variables.
    pub environment: Map,
    /// Files: content, path in the service's container.
    pub config_files: Given<Vec<ConfigFile>>,
}

/// The `cluster` object.
#[derive(Clone, Debug, Default)]
pub struct ClusterDraft {
    /// Name.
    pub name: Given<String>,
    /// URL of the Kubernetes API.
    pub endpoint: Given<String>,
    /// Kubernetes version.
    pub kubernetes_version: Given<String>,
    /// Subnets of pods.
    pub pod_subnets: List,
    /// Subnets of services.
    pub service_subnets: List,
    /// Identity in discovery.
    pub id: Given<String>,
    /// Secret of discovery.
    pub secret: Given<Secret<String>>,
    /// Bootstrap token of Kubernetes.
    pub token: Given<Secret<String>>,
    /// Authority of Kubernetes: base64 of its certificate's PEM.
    pub ca: Given<String>,
    /// All secrets at once, or why they cannot be read.
    pub secrets: Given<Result<Arc<SecretsBundle>, String>>,
    /// Attribute that `secrets` came through.
    pub secrets_attribute: &'static str,
}
