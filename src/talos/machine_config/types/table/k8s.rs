//! Types of `k8s` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Args, Bool, Int, List, Map, Pointer, Str, Struct, Text, Uint, Unstructured};
use super::super::model::{Field as F, ListMerge as L, OMIT, REPLACE, SECRET, SINCE_14, Struct as S, TextKind as T};
use super::{shared};

pub(super) static KUBE_API_SERVER_CA_CONFIG: S = S { name: "KubeAPIServerCAConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("issuingCA", Pointer(&Struct(&shared::CERTIFICATE_AND_KEY)), OMIT | SINCE_14),
    F::new("acceptedCAs", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KUBE_API_SERVER_CONFIG: S = S { name: "KubeAPIServerConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("image", Str, SINCE_14),
    F::new("extraArgs", Args, OMIT | SINCE_14),
    F::new("env", Map(&Str), OMIT | SINCE_14),
    F::new("resources", Struct(&RESOURCES_CONFIG), OMIT | SINCE_14),
    F::new("apiPort", Pointer(&Int(64)), OMIT | SINCE_14),
    F::new("certExtraSANs", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("startupProbes", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static RESOURCES_CONFIG: S = S { name: "ResourcesConfig", fields: &[
    F::new("requests", Unstructured, OMIT | SINCE_14),
    F::new("limits", Unstructured, OMIT | SINCE_14),
] };

pub(super) static KUBE_ADMISSION_CONTROL_CONFIG: S = S { name: "KubeAdmissionControlConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("configuration", Unstructured, SINCE_14),
] };

pub(super) static KUBE_AGGREGATOR_CA_CONFIG: S = S { name: "KubeAggregatorCAConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("issuingCA", Pointer(&Struct(&shared::CERTIFICATE_AND_KEY)), OMIT | SINCE_14),
    F::new("acceptedCAs", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KUBE_AUDIT_POLICY_CONFIG: S = S { name: "KubeAuditPolicyConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("configuration", Unstructured, REPLACE | SINCE_14),
] };

pub(super) static KUBE_AUTHENTICATION_CONFIG: S = S { name: "KubeAuthenticationConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("configuration", Unstructured, REPLACE | SINCE_14),
] };

pub(super) static KUBE_AUTHORIZER_CONFIG: S = S { name: "KubeAuthorizerConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("type", Str, SINCE_14),
    F::new("webhook", Unstructured, OMIT | SINCE_14),
] };

pub(super) static KUBE_CLUSTER_CONFIG: S = S { name: "KubeClusterConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("clusterName", Str, SINCE_14),
    F::new("endpoint", Text(T::Url), SINCE_14),
] };

pub(super) static KUBE_CONTROLLER_MANAGER_CONFIG: S = S { name: "KubeControllerManagerConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("image", Str, SINCE_14),
    F::new("extraArgs", Args, OMIT | SINCE_14),
    F::new("env", Map(&Str), OMIT | SINCE_14),
    F::new("resources", Struct(&RESOURCES_CONFIG), OMIT | SINCE_14),
] };

pub(super) static KUBE_CORE_DNS_CONFIG: S = S { name: "KubeCoreDNSConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("image", Str, OMIT | SINCE_14),
] };

pub(super) static KUBE_CREDENTIAL_PROVIDER_CONFIG: S = S { name: "KubeCredentialProviderConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("configuration", Unstructured, REPLACE | SINCE_14),
] };

pub(super) static KUBE_ETCD_ENCRYPTION_CONFIG: S = S { name: "KubeEtcdEncryptionConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("config", Unstructured, SINCE_14 | SECRET),
] };

pub(super) static KUBE_EXTERNAL_MANIFEST_CONFIG: S = S { name: "KubeExternalManifestConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("headers", Map(&Str), OMIT | SINCE_14),
    F::new("url", Text(T::Url), SINCE_14),
] };

pub(super) static KUBE_FLANNEL_CNI_CONFIG: S = S { name: "KubeFlannelCNIConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("backendType", Str, SINCE_14),
    F::new("backendPort", Uint(16), OMIT | SINCE_14),
    F::new("backendMTU", Uint(32), OMIT | SINCE_14),
    F::new("backendExtraConfig", Unstructured, OMIT | SINCE_14),
    F::new("resources", Struct(&RESOURCES_CONFIG), OMIT | SINCE_14),
    F::new("extraArgs", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("kubeNetworkPoliciesEnabled", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static KUBE_INLINE_MANIFEST_CONFIG: S = S { name: "KubeInlineManifestConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("manifest", Str, SINCE_14 | SECRET),
] };

pub(super) static KUBE_NETWORK_CONFIG: S = S { name: "KubeNetworkConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("dnsDomain", Str, SINCE_14),
    F::new("podSubnets", List(&Text(T::Prefix), L::Append), REPLACE | SINCE_14),
    F::new("serviceSubnets", List(&Text(T::Prefix), L::Append), REPLACE | SINCE_14),
    F::new("nodeCIDRMaskSizeIPv4", Int(64), OMIT | SINCE_14),
    F::new("nodeCIDRMaskSizeIPv6", Int(64), OMIT | SINCE_14),
] };

pub(super) static KUBE_NODE_CONFIG: S = S { name: "KubeNodeConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("skipNodeRegistration", Pointer(&Bool), OMIT | SINCE_14),
    F::new("registerWithFQDN", Pointer(&Bool), OMIT | SINCE_14),
    F::new("nodeIP", Struct(&NODE_IP_CONFIG), SINCE_14),
    F::new("labels", Map(&Str), OMIT | SINCE_14),
    F::new("annotations", Map(&Str), OMIT | SINCE_14),
    F::new("taints", Map(&Str), OMIT | SINCE_14),
] };

pub(super) static NODE_IP_CONFIG: S = S { name: "NodeIPConfig", fields: &[
    F::new("validSubnets", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KUBE_PRISM_CONFIG: S = S { name: "KubePrismConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("port", Int(64), SINCE_14),
    F::new("tlsServerName", Str, OMIT | SINCE_14),
] };

pub(super) static KUBE_PROXY_CONFIG: S = S { name: "KubeProxyConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("image", Str, OMIT | SINCE_14),
    F::new("mode", Str, OMIT | SINCE_14),
    F::new("config", Unstructured, SINCE_14),
    F::new("extraArgs", Args, OMIT | SINCE_14),
    F::new("resources", Struct(&RESOURCES_CONFIG), OMIT | SINCE_14),
] };

pub(super) static KUBE_SCHEDULER_CONFIG: S = S { name: "KubeSchedulerConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("image", Str, SINCE_14),
    F::new("config", Unstructured, SINCE_14),
    F::new("extraArgs", Args, OMIT | SINCE_14),
    F::new("env", Map(&Str), OMIT | SINCE_14),
    F::new("resources", Struct(&RESOURCES_CONFIG), OMIT | SINCE_14),
] };

pub(super) static KUBE_SERVICE_ACCOUNT_CONFIG: S = S { name: "KubeServiceAccountConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("issuer", Struct(&ISSUER_SERVICE_ACCOUNT_CONFIG), SINCE_14),
    F::new("accepted", Struct(&ACCEPTED_SERVICE_ACCOUNT_CONFIG), OMIT | SINCE_14),
] };

pub(super) static ISSUER_SERVICE_ACCOUNT_CONFIG: S = S { name: "IssuerServiceAccountConfig", fields: &[
    F::new("privateKey", Str, SINCE_14 | SECRET),
    F::new("issuerURL", Text(T::Url), SINCE_14),
] };

pub(super) static ACCEPTED_SERVICE_ACCOUNT_CONFIG: S = S { name: "AcceptedServiceAccountConfig", fields: &[
    F::new("publicKeys", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("issuers", List(&Text(T::Url), L::Append), OMIT | SINCE_14),
    F::new("audiences", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KUBE_STATIC_POD_CONFIG: S = S { name: "KubeStaticPodConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("pod", Unstructured, REPLACE | SINCE_14),
] };

pub(super) static KUBE_TALOS_API_ACCESS_CONFIG: S = S { name: "KubeTalosAPIAccessConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("allowedRoles", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("allowedKubernetesNamespaces", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KUBELET_CONFIG: S = S { name: "KubeletConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("image", Str, SINCE_14),
    F::new("config", Unstructured, SINCE_14),
    F::new("extraArgs", Args, OMIT | SINCE_14),
    F::new("clusterDNS", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("defaultRuntimeSeccompProfileEnabled", Pointer(&Bool), OMIT | SINCE_14),
] };
