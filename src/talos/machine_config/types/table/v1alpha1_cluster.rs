//! Types of `v1alpha1_cluster` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Args, Bool, Int, List, Map, Pointer, Str, Struct, Text, Unstructured};
use super::super::model::{Field as F, ListMerge as L, OMIT, REPLACE, SECRET, SINCE_13, Struct as S, TextKind as T};
use super::{shared};

pub(super) static CLUSTER_CONFIG: S = S { name: "ClusterConfig", fields: &[
    F::new("id", Str, OMIT),
    F::new("secret", Str, OMIT | SECRET),
    F::new("controlPlane", Pointer(&Struct(&CONTROL_PLANE_CONFIG)), 0),
    F::new("clusterName", Str, OMIT),
    F::new("network", Pointer(&Struct(&CLUSTER_NETWORK_CONFIG)), OMIT),
    F::new("token", Str, OMIT | SECRET),
    F::new("aescbcEncryptionSecret", Str, OMIT | SECRET),
    F::new("secretboxEncryptionSecret", Str, OMIT | SECRET),
    F::new("ca", Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE_AND_KEY)), OMIT),
    F::new("acceptedCAs", List(&Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE)), L::Append), OMIT),
    F::new("aggregatorCA", Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE_AND_KEY)), OMIT),
    F::new("serviceAccount", Pointer(&Struct(&shared::PEM_ENCODED_KEY)), OMIT),
    F::new("apiServer", Pointer(&Struct(&API_SERVER_CONFIG)), OMIT),
    F::new("controllerManager", Pointer(&Struct(&CONTROLLER_MANAGER_CONFIG)), OMIT),
    F::new("proxy", Pointer(&Struct(&PROXY_CONFIG)), OMIT),
    F::new("scheduler", Pointer(&Struct(&SCHEDULER_CONFIG)), OMIT),
    F::new("discovery", Pointer(&Struct(&CLUSTER_DISCOVERY_CONFIG)), OMIT),
    F::new("etcd", Pointer(&Struct(&ETCD_CONFIG)), OMIT),
    F::new("coreDNS", Pointer(&Struct(&CORE_DNS)), OMIT),
    F::new("externalCloudProvider", Pointer(&Struct(&EXTERNAL_CLOUD_PROVIDER_CONFIG)), OMIT),
    F::new("extraManifests", List(&Str, L::Append), OMIT),
    F::new("extraManifestHeaders", Map(&Str), OMIT),
    F::new("inlineManifests", List(&Struct(&CLUSTER_INLINE_MANIFEST), L::Append), OMIT),
    F::new("adminKubeconfig", Pointer(&Struct(&ADMIN_KUBECONFIG_CONFIG)), OMIT),
    F::new("allowSchedulingOnMasters", Pointer(&Bool), OMIT),
    F::new("allowSchedulingOnControlPlanes", Pointer(&Bool), OMIT),
] };

pub(super) static CONTROL_PLANE_CONFIG: S = S { name: "ControlPlaneConfig", fields: &[
    F::new("endpoint", Pointer(&Text(T::Url)), 0),
    F::new("localAPIServerPort", Int(64), OMIT),
] };

pub(super) static CLUSTER_NETWORK_CONFIG: S = S { name: "ClusterNetworkConfig", fields: &[
    F::new("cni", Pointer(&Struct(&CNI_CONFIG)), OMIT),
    F::new("dnsDomain", Str, 0),
    F::new("podSubnets", List(&Str, L::Append), REPLACE),
    F::new("serviceSubnets", List(&Str, L::Append), REPLACE),
] };

pub(super) static CNI_CONFIG: S = S { name: "CNIConfig", fields: &[
    F::new("name", Str, OMIT),
    F::new("urls", List(&Str, L::Append), OMIT),
    F::new("flannel", Pointer(&Struct(&FLANNEL_CNI_CONFIG)), OMIT),
] };

pub(super) static FLANNEL_CNI_CONFIG: S = S { name: "FlannelCNIConfig", fields: &[
    F::new("extraArgs", List(&Str, L::Append), OMIT),
    F::new("kubeNetworkPoliciesEnabled", Pointer(&Bool), OMIT | SINCE_13),
] };

pub(super) static API_SERVER_CONFIG: S = S { name: "APIServerConfig", fields: &[
    F::new("image", Str, OMIT),
    F::new("extraArgs", Args, OMIT),
    F::new("extraVolumes", List(&Struct(&VOLUME_MOUNT_CONFIG), L::Append), OMIT),
    F::new("env", Map(&Str), OMIT),
    F::new("certSANs", List(&Str, L::Append), OMIT),
    F::new("disablePodSecurityPolicy", Pointer(&Bool), OMIT),
    F::new("admissionControl", List(&Pointer(&Struct(&ADMISSION_PLUGIN_CONFIG)), L::By("name")), OMIT),
    F::new("auditPolicy", Unstructured, OMIT | REPLACE),
    F::new("resources", Pointer(&Struct(&RESOURCES_CONFIG)), OMIT),
    F::new("authorizationConfig", List(&Pointer(&Struct(&AUTHORIZATION_CONFIG_AUTHORIZER_CONFIG)), L::Append), OMIT),
] };

pub(super) static VOLUME_MOUNT_CONFIG: S = S { name: "VolumeMountConfig", fields: &[
    F::new("hostPath", Str, 0),
    F::new("mountPath", Str, 0),
    F::new("readonly", Bool, OMIT),
] };

pub(super) static ADMISSION_PLUGIN_CONFIG: S = S { name: "AdmissionPluginConfig", fields: &[
    F::new("name", Str, 0),
    F::new("configuration", Unstructured, 0),
] };

pub(super) static RESOURCES_CONFIG: S = S { name: "ResourcesConfig", fields: &[
    F::new("requests", Unstructured, OMIT),
    F::new("limits", Unstructured, OMIT),
] };

pub(super) static AUTHORIZATION_CONFIG_AUTHORIZER_CONFIG: S = S { name: "AuthorizationConfigAuthorizerConfig", fields: &[
    F::new("type", Str, 0),
    F::new("name", Str, 0),
    F::new("webhook", Unstructured, OMIT),
] };

pub(super) static CONTROLLER_MANAGER_CONFIG: S = S { name: "ControllerManagerConfig", fields: &[
    F::new("image", Str, OMIT),
    F::new("extraArgs", Args, OMIT),
    F::new("extraVolumes", List(&Struct(&VOLUME_MOUNT_CONFIG), L::Append), OMIT),
    F::new("env", Map(&Str), OMIT),
    F::new("resources", Pointer(&Struct(&RESOURCES_CONFIG)), OMIT),
] };

pub(super) static PROXY_CONFIG: S = S { name: "ProxyConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
    F::new("image", Str, OMIT),
    F::new("mode", Str, OMIT),
    F::new("extraArgs", Args, OMIT),
] };

pub(super) static SCHEDULER_CONFIG: S = S { name: "SchedulerConfig", fields: &[
    F::new("image", Str, OMIT),
    F::new("extraArgs", Args, OMIT),
    F::new("extraVolumes", List(&Struct(&VOLUME_MOUNT_CONFIG), L::Append), OMIT),
    F::new("env", Map(&Str), OMIT),
    F::new("resources", Pointer(&Struct(&RESOURCES_CONFIG)), OMIT),
    F::new("config", Unstructured, OMIT),
] };

pub(super) static CLUSTER_DISCOVERY_CONFIG: S = S { name: "ClusterDiscoveryConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("registries", Struct(&DISCOVERY_REGISTRIES_CONFIG), 0),
] };

pub(super) static DISCOVERY_REGISTRIES_CONFIG: S = S { name: "DiscoveryRegistriesConfig", fields: &[
    F::new("kubernetes", Struct(&REGISTRY_KUBERNETES_CONFIG), 0),
    F::new("service", Struct(&REGISTRY_SERVICE_CONFIG), 0),
] };

pub(super) static REGISTRY_KUBERNETES_CONFIG: S = S { name: "RegistryKubernetesConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
] };

pub(super) static REGISTRY_SERVICE_CONFIG: S = S { name: "RegistryServiceConfig", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
    F::new("endpoint", Str, OMIT),
] };

pub(super) static ETCD_CONFIG: S = S { name: "EtcdConfig", fields: &[
    F::new("image", Str, OMIT),
    F::new("ca", Pointer(&Struct(&shared::PEM_ENCODED_CERTIFICATE_AND_KEY)), 0),
    F::new("extraArgs", Args, OMIT),
    F::new("subnet", Str, OMIT),
    F::new("advertisedSubnets", List(&Str, L::Append), OMIT),
    F::new("listenSubnets", List(&Str, L::Append), OMIT),
] };

pub(super) static CORE_DNS: S = S { name: "CoreDNS", fields: &[
    F::new("disabled", Pointer(&Bool), OMIT),
    F::new("image", Str, OMIT),
] };

pub(super) static EXTERNAL_CLOUD_PROVIDER_CONFIG: S = S { name: "ExternalCloudProviderConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("manifests", List(&Str, L::Append), OMIT),
] };

pub(super) static CLUSTER_INLINE_MANIFEST: S = S { name: "ClusterInlineManifest", fields: &[
    F::new("name", Str, 0),
    F::new("contents", Text(T::Manifest), SECRET),
] };

pub(super) static ADMIN_KUBECONFIG_CONFIG: S = S { name: "AdminKubeconfigConfig", fields: &[
    F::new("certLifetime", Text(T::Duration), OMIT),
] };
