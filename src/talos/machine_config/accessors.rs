//! What other layers read from a configuration.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MachineConfig;
use super::document::Document;
use super::yaml::Node;
use crate::talos::secret::Secret;

/// What a machine is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// The first control plane node of old configurations.
    Init,
    /// A control plane node.
    ControlPlane,
    /// A worker; also what an absent type means.
    Worker,
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        })
    }
}

/// What a document is; no two documents of a configuration share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId {
    /// `v1alpha1`.
    pub api_version: String,
    /// The kind; `v1alpha1` for the `machine`/`cluster` document, which has none.
    pub kind: String,
    /// The name, for kinds that have one.
    pub name: Option<String>,
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// A service of a system extension, with what it is given.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtensionService {
    /// The service's name, such as `tailscale`.
    pub name: String,
    /// `KEY=value` pairs; often secret.
    pub environment: Vec<String>,
}

impl fmt::Debug for ExtensionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtensionService({}, {} variables)", self.name, self.environment.len())
    }
}

impl MachineConfig {
    /// The machine's type; `None` when the text names a type that does not exist.
    pub fn machine_type(&self) -> Option<MachineType> {
        match self.text("machine.type").as_deref().unwrap_or("") {
            "init" => Some(MachineType::Init),
            "controlplane" => Some(MachineType::ControlPlane),
            "worker" | "join" | "" => Some(MachineType::Worker),
            _ => None,
        }
    }

    /// The token a machine shows to trustd.
    pub fn machine_token(&self) -> Option<Secret<String>> {
        self.text("machine.token").map(Secret::new)
    }

    /// The certificate authority of the Talos API, as PEM.
    pub fn os_ca_certificate(&self) -> Option<String> {
        self.pem("machine.ca.crt")
    }

    /// The key of the Talos API's authority, as PEM; control planes only.
    pub fn os_ca_key(&self) -> Option<Secret<String>> {
        self.pem("machine.ca.key").map(Secret::new)
    }

    /// The URL of the Kubernetes API.
    pub fn cluster_endpoint(&self) -> Option<String> {
        self.text_in("cluster.controlPlane.endpoint", "KubeClusterConfig", "endpoint")
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> Option<String> {
        self.text_in("cluster.clusterName", "KubeClusterConfig", "clusterName")
    }

    /// The cluster's id, which is what discovery knows it by.
    pub fn cluster_id(&self) -> Option<String> {
        self.text_in("cluster.id", "DiscoveryIdentityConfig", "clusterID")
    }

    /// The names and addresses beyond the node's own that its API certificate carries.
    pub fn cert_sans(&self) -> Vec<String> {
        strings(self.get("machine.certSANs"))
    }

    /// The installer image.
    pub fn install_image(&self) -> Option<String> {
        self.text_in("machine.install.image", "UnattendedInstallConfig", "installer.image")
    }

    /// The disk to install to.
    pub fn install_disk(&self) -> Option<String> {
        self.text("machine.install.disk")
    }

    /// The kubelet's image.
    pub fn kubelet_image(&self) -> Option<String> {
        self.text_in("machine.kubelet.image", "KubeletConfig", "image")
    }

    /// The subnets that the cluster takes the addresses of its pods from.
    pub fn pod_subnets(&self) -> Vec<String> {
        strings(self.either("cluster.network.podSubnets", "KubeNetworkConfig", "podSubnets"))
    }

    /// The subnets that the cluster takes the addresses of its services from.
    pub fn service_subnets(&self) -> Vec<String> {
        strings(self.either("cluster.network.serviceSubnets", "KubeNetworkConfig", "serviceSubnets"))
    }

    /// Where the kubelet takes the node's address from; entries that begin with `!` exclude.
    pub fn node_ip_subnets(&self) -> Vec<String> {
        strings(self.either("machine.kubelet.nodeIP.validSubnets", "KubeNodeConfig", "nodeIP.validSubnets"))
    }

    /// The host name the configuration sets: HostnameConfig, else `machine.network.hostname`.
    pub fn hostname(&self) -> Option<String> {
        let document = self.of_kind("HostnameConfig").find_map(|doc| non_empty(doc.root().get("hostname")?.as_str()));
        document.or_else(|| self.text("machine.network.hostname"))
    }

    /// The name that the kubelet of a node with this host name registers: its first label, unless the whole name is asked
    /// for (Talos v1.12.2 controllers/k8s/nodename.go; `KubeNodeConfig` since 1.14).
    pub fn kubernetes_name<'a>(&self, hostname: &'a str) -> &'a str {
        let asked = |node: Option<&Node>| node.and_then(Node::as_bool) == Some(true);
        let whole = asked(self.get("machine.kubelet.registerWithFQDN"))
            || self.of_kind("KubeNodeConfig").any(|document| asked(document.root().get("registerWithFQDN")));
        if whole { hostname } else { hostname.split('.').next().unwrap_or(hostname) }
    }

    /// What the documents are, in order.
    pub fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        self.documents.iter().map(Document::id)
    }

    /// The documents of a kind, in order.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().filter(move |document| document.id().kind == kind)
    }

    /// The services of system extensions that get a configuration.
    pub fn extension_services(&self) -> Vec<ExtensionService> {
        self.of_kind("ExtensionServiceConfig")
            .map(|document| ExtensionService {
                name: document.id().name.clone().unwrap_or_default(),
                environment: strings(document.root().get("environment")),
            })
            .collect()
    }

    /// A value of the `machine`/`cluster` document by path, such as `machine.network.interfaces[0].mtu`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.v1alpha1()?.root().at(path)
    }

    /// The `machine`/`cluster` document.
    pub fn v1alpha1(&self) -> Option<&Document> {
        self.documents.iter().find(|document| document.is_v1alpha1())
    }

    /// A value of the `machine`/`cluster` document, or of the document that took its place in 1.14.
    fn either(&self, path: &str, kind: &str, field: &str) -> Option<&Node> {
        let own = self.get(path).filter(|node| !node.is_null());
        own.or_else(|| self.documents.iter().find(|document| document.id().kind == kind)?.root().at(field))
    }

    fn text_in(&self, path: &str, kind: &str, field: &str) -> Option<String> {
        non_empty(self.either(path, kind, field)?.as_str())
    }

    fn text(&self, path: &str) -> Option<String> {
        non_empty(self.get(path)?.as_str())
    }

    fn pem(&self, path: &str) -> Option<String> {
        let bytes = STANDARD.decode(self.text(path)?).ok()?;
        String::from_utf8(bytes).ok()
    }
}

fn non_empty(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn strings(node: Option<&Node>) -> Vec<String> {
    let items = node.and_then(Node::as_sequence).unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
