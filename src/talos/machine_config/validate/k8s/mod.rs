//! Kubernetes documents (Talos v1.14 `pkg/machinery/config/types/k8s`).

mod authorities;
mod components;
mod manifests;
mod network;
mod node;

use super::super::yaml::Node;
use super::{Read, Report, labels};

pub(super) use node::PROTECTED;

/// Kinds that only control plane machines may have (`ControlplaneOnlyDocument` of the types), sorted.
pub(super) const CONTROL_PLANE_ONLY: [&str; 14] = [
    "KubeAPIServerConfig",
    "KubeAdmissionControlConfig",
    "KubeAggregatorCAConfig",
    "KubeAuditPolicyConfig",
    "KubeAuthenticationConfig",
    "KubeAuthorizerConfig",
    "KubeControllerManagerConfig",
    "KubeCoreDNSConfig",
    "KubeEtcdEncryptionConfig",
    "KubeFlannelCNIConfig",
    "KubeProxyConfig",
    "KubeSchedulerConfig",
    "KubeServiceAccountConfig",
    "KubeTalosAPIAccessConfig",
];

/// Roles of the Talos API (Talos v1.14 `pkg/machinery/role/role.go`), with the release that brought them.
pub(super) const ROLES: [(&str, u8); 7] = [
    ("os:admin", 12),
    ("os:operator", 12),
    ("os:reader", 12),
    ("os:etcd:backup", 12),
    ("os:impersonator", 12),
    ("os:image:verifier", 13),
    ("os:meta:writer", 13),
];

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "KubeAPIServerConfig" => components::api_server(root, report),
        "KubeControllerManagerConfig" => components::controller_manager(root, report),
        "KubeSchedulerConfig" => components::scheduler(root, report),
        "KubeProxyConfig" => components::proxy(root, report),
        "KubeFlannelCNIConfig" => components::flannel(root, report),
        "KubePrismConfig" => components::prism(root, report),
        "KubeAPIServerCAConfig" => authorities::certificates(root, false, report),
        "KubeAggregatorCAConfig" => authorities::certificates(root, true, report),
        "KubeServiceAccountConfig" => authorities::service_account(root, report),
        "KubeEtcdEncryptionConfig" => authorities::etcd_encryption(root, report),
        "KubeAuthorizerConfig" => authorities::authorizer(root, report),
        "KubeAdmissionControlConfig" => {
            super::documents::require_name(root, "the name of an admission control plugin is required", report);
        }
        "KubeTalosAPIAccessConfig" => authorities::talos_api_access(root, report),
        "KubeExternalManifestConfig" => manifests::external(root, report),
        "KubeInlineManifestConfig" => manifests::name(root, "manifest name", report),
        "KubeStaticPodConfig" => manifests::static_pod(root, report),
        "KubeClusterConfig" => network::cluster(root, report),
        "KubeNetworkConfig" => network::network(root, report),
        "KubeNodeConfig" => node::node(root, report),
        "KubeletConfig" => node::kubelet(root, report),
        // No rules but their conflicts (audit_policy.go, authentication.go, coredns.go, credential_provider.go).
        "KubeAuditPolicyConfig" | "KubeAuthenticationConfig" | "KubeCoreDNSConfig" | "KubeCredentialProviderConfig" => {
        }
        _ => return false,
    }
    true
}

/// Whether a mapping has anything in it.
fn is_filled(root: &Node, field: &str) -> bool {
    root.get(field).and_then(Node::as_mapping).is_some_and(|entries| !entries.is_empty())
}
