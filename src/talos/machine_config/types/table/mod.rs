//! Which kinds of documents there are, and their types.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

mod block;
mod cluster;
mod container;
mod cri;
mod enums;
mod hardware;
mod k8s;
mod network;
mod runtime;
mod security;
mod shared;
mod siderolink;
mod storage;
mod v1alpha1;
mod v1alpha1_cluster;
mod v1alpha1_network;

use super::model::Kind;

/// Every kind, sorted; the first has no `kind` of its own.
pub(crate) static KINDS: &[Kind] = &[
    Kind { kind: "v1alpha1", named: false, since: 12, body: &v1alpha1::CONFIG },
    Kind { kind: "BGPInstanceConfig", named: true, since: 14, body: &network::BGP_INSTANCE_CONFIG },
    Kind { kind: "BlackholeRouteConfig", named: true, since: 13, body: &network::BLACKHOLE_ROUTE_CONFIG },
    Kind { kind: "BondConfig", named: true, since: 12, body: &network::BOND_CONFIG },
    Kind { kind: "BridgeConfig", named: true, since: 12, body: &network::BRIDGE_CONFIG },
    Kind { kind: "CRIBaseRuntimeSpecConfig", named: false, since: 14, body: &cri::CRI_BASE_RUNTIME_SPEC_CONFIG },
    Kind { kind: "CRICustomizationConfig", named: true, since: 14, body: &cri::CRI_CUSTOMIZATION_CONFIG },
    Kind { kind: "ContainerConfig", named: true, since: 14, body: &container::CONTAINER_CONFIG },
    Kind { kind: "DHCPv4Config", named: true, since: 12, body: &network::DHC_PV4_CONFIG },
    Kind { kind: "DHCPv6Config", named: true, since: 12, body: &network::DHC_PV6_CONFIG },
    Kind { kind: "DiscoveryIdentityConfig", named: false, since: 14, body: &cluster::DISCOVERY_IDENTITY_CONFIG },
    Kind { kind: "DiscoveryServiceConfig", named: true, since: 14, body: &cluster::DISCOVERY_SERVICE_CONFIG },
    Kind { kind: "DummyLinkConfig", named: true, since: 12, body: &network::DUMMY_LINK_CONFIG },
    Kind { kind: "EnvironmentConfig", named: false, since: 13, body: &runtime::ENVIRONMENT },
    Kind { kind: "EtcFileConfig", named: true, since: 14, body: &runtime::ETC_FILE_CONFIG },
    Kind { kind: "EthernetConfig", named: true, since: 12, body: &network::ETHERNET_CONFIG },
    Kind { kind: "EventSinkConfig", named: false, since: 12, body: &runtime::EVENT_SINK },
    Kind { kind: "ExistingVolumeConfig", named: true, since: 12, body: &block::EXISTING_VOLUME_CONFIG },
    Kind { kind: "ExtensionServiceConfig", named: true, since: 12, body: &runtime::SERVICE_CONFIG },
    Kind { kind: "ExternalVolumeConfig", named: true, since: 13, body: &block::EXTERNAL_VOLUME_CONFIG },
    Kind { kind: "FilesystemScrubConfig", named: false, since: 14, body: &block::FILESYSTEM_SCRUB_CONFIG },
    Kind { kind: "FilesystemTrimConfig", named: false, since: 14, body: &block::FILESYSTEM_TRIM_CONFIG },
    Kind { kind: "HCloudVIPConfig", named: true, since: 12, body: &network::H_CLOUD_VIP_CONFIG },
    Kind { kind: "HTTPProbeConfig", named: true, since: 14, body: &network::HTTP_PROBE_CONFIG },
    Kind { kind: "HostnameConfig", named: false, since: 12, body: &network::HOSTNAME_CONFIG },
    Kind { kind: "ImageCacheConfig", named: false, since: 14, body: &cri::IMAGE_CACHE_CONFIG },
    Kind { kind: "ImageVerificationConfig", named: false, since: 13, body: &security::IMAGE_VERIFICATION_CONFIG },
    Kind { kind: "KernelModuleConfig", named: true, since: 14, body: &runtime::KERNEL_MODULE_CONFIG },
    Kind { kind: "KmsgLogConfig", named: true, since: 12, body: &runtime::KMSG_LOG },
    Kind { kind: "KubeAPIServerCAConfig", named: false, since: 14, body: &k8s::KUBE_API_SERVER_CA_CONFIG },
    Kind { kind: "KubeAPIServerConfig", named: false, since: 14, body: &k8s::KUBE_API_SERVER_CONFIG },
    Kind { kind: "KubeAdmissionControlConfig", named: true, since: 14, body: &k8s::KUBE_ADMISSION_CONTROL_CONFIG },
    Kind { kind: "KubeAggregatorCAConfig", named: false, since: 14, body: &k8s::KUBE_AGGREGATOR_CA_CONFIG },
    Kind { kind: "KubeAuditPolicyConfig", named: false, since: 14, body: &k8s::KUBE_AUDIT_POLICY_CONFIG },
    Kind { kind: "KubeAuthenticationConfig", named: false, since: 14, body: &k8s::KUBE_AUTHENTICATION_CONFIG },
    Kind { kind: "KubeAuthorizerConfig", named: true, since: 14, body: &k8s::KUBE_AUTHORIZER_CONFIG },
    Kind { kind: "KubeClusterConfig", named: false, since: 14, body: &k8s::KUBE_CLUSTER_CONFIG },
    Kind { kind: "KubeControllerManagerConfig", named: false, since: 14, body: &k8s::KUBE_CONTROLLER_MANAGER_CONFIG },
    Kind { kind: "KubeCoreDNSConfig", named: false, since: 14, body: &k8s::KUBE_CORE_DNS_CONFIG },
    Kind { kind: "KubeCredentialProviderConfig", named: false, since: 14, body: &k8s::KUBE_CREDENTIAL_PROVIDER_CONFIG },
    Kind { kind: "KubeEtcdEncryptionConfig", named: false, since: 14, body: &k8s::KUBE_ETCD_ENCRYPTION_CONFIG },
    Kind { kind: "KubeExternalManifestConfig", named: true, since: 14, body: &k8s::KUBE_EXTERNAL_MANIFEST_CONFIG },
    Kind { kind: "KubeFlannelCNIConfig", named: false, since: 14, body: &k8s::KUBE_FLANNEL_CNI_CONFIG },
    Kind { kind: "KubeInlineManifestConfig", named: true, since: 14, body: &k8s::KUBE_INLINE_MANIFEST_CONFIG },
    Kind { kind: "KubeNetworkConfig", named: false, since: 14, body: &k8s::KUBE_NETWORK_CONFIG },
    Kind { kind: "KubeNodeConfig", named: false, since: 14, body: &k8s::KUBE_NODE_CONFIG },
    Kind { kind: "KubePrismConfig", named: false, since: 14, body: &k8s::KUBE_PRISM_CONFIG },
    Kind { kind: "KubeProxyConfig", named: false, since: 14, body: &k8s::KUBE_PROXY_CONFIG },
    Kind { kind: "KubeSchedulerConfig", named: false, since: 14, body: &k8s::KUBE_SCHEDULER_CONFIG },
    Kind { kind: "KubeServiceAccountConfig", named: false, since: 14, body: &k8s::KUBE_SERVICE_ACCOUNT_CONFIG },
    Kind { kind: "KubeSpanConfig", named: false, since: 13, body: &network::KUBE_SPAN_CONFIG },
    Kind { kind: "KubeSpanEndpointsConfig", named: false, since: 12, body: &network::KUBESPAN_ENDPOINTS_CONFIG },
    Kind { kind: "KubeStaticPodConfig", named: true, since: 14, body: &k8s::KUBE_STATIC_POD_CONFIG },
    Kind { kind: "KubeTalosAPIAccessConfig", named: false, since: 14, body: &k8s::KUBE_TALOS_API_ACCESS_CONFIG },
    Kind { kind: "KubeletConfig", named: false, since: 14, body: &k8s::KUBELET_CONFIG },
    Kind { kind: "LVMLogicalVolumeConfig", named: true, since: 14, body: &storage::LVM_LOGICAL_VOLUME_CONFIG },
    Kind { kind: "LVMVolumeGroupConfig", named: true, since: 14, body: &storage::LVM_VOLUME_GROUP_CONFIG },
    Kind { kind: "Layer2VIPConfig", named: true, since: 12, body: &network::LAYER2_VIP_CONFIG },
    Kind { kind: "LinkAliasConfig", named: true, since: 12, body: &network::LINK_ALIAS_CONFIG },
    Kind { kind: "LinkConfig", named: true, since: 12, body: &network::LINK_CONFIG },
    Kind { kind: "NetworkDefaultActionConfig", named: false, since: 12, body: &network::DEFAULT_ACTION_CONFIG },
    Kind { kind: "NetworkRuleConfig", named: true, since: 12, body: &network::RULE_CONFIG },
    Kind { kind: "OOMConfig", named: false, since: 12, body: &runtime::OOM },
    Kind { kind: "PCIDriverRebindConfig", named: true, since: 12, body: &hardware::PCI_DRIVER_REBIND_CONFIG },
    Kind { kind: "RAIDArrayConfig", named: true, since: 14, body: &storage::RAID_ARRAY_CONFIG },
    Kind { kind: "RawVolumeConfig", named: true, since: 12, body: &block::RAW_VOLUME_CONFIG },
    Kind { kind: "RegistryAuthConfig", named: true, since: 12, body: &cri::REGISTRY_AUTH_CONFIG },
    Kind { kind: "RegistryMirrorConfig", named: true, since: 12, body: &cri::REGISTRY_MIRROR_CONFIG },
    Kind { kind: "RegistryTLSConfig", named: true, since: 12, body: &cri::REGISTRY_TLS_CONFIG },
    Kind { kind: "ResolverConfig", named: false, since: 12, body: &network::RESOLVER_CONFIG },
    Kind { kind: "RoutingRuleConfig", named: true, since: 13, body: &network::ROUTING_RULE_CONFIG },
    Kind { kind: "SecurityProfileConfig", named: false, since: 14, body: &runtime::SECURITY_PROFILE_CONFIG },
    Kind { kind: "SideroLinkConfig", named: false, since: 12, body: &siderolink::CONFIG },
    Kind { kind: "StaticHostConfig", named: true, since: 12, body: &network::STATIC_HOST_CONFIG },
    Kind { kind: "SwapVolumeConfig", named: true, since: 12, body: &block::SWAP_VOLUME_CONFIG },
    Kind { kind: "SysctlConfig", named: false, since: 14, body: &runtime::SYSCTL_CONFIG },
    Kind { kind: "SysfsConfig", named: false, since: 14, body: &runtime::SYSFS_CONFIG },
    Kind { kind: "TCPProbeConfig", named: true, since: 13, body: &network::TCP_PROBE_CONFIG },
    Kind { kind: "TimeSyncConfig", named: false, since: 12, body: &network::TIME_SYNC_CONFIG },
    Kind { kind: "TrustedRootsConfig", named: true, since: 12, body: &security::TRUSTED_ROOTS_CONFIG },
    Kind { kind: "UdevRulesConfig", named: false, since: 14, body: &runtime::UDEV_RULES_CONFIG },
    Kind { kind: "UnattendedInstallConfig", named: false, since: 14, body: &runtime::UNATTENDED_INSTALL_CONFIG },
    Kind { kind: "UserVolumeConfig", named: true, since: 12, body: &block::USER_VOLUME_CONFIG },
    Kind { kind: "VLANConfig", named: true, since: 12, body: &network::VLAN_CONFIG },
    Kind { kind: "VRFConfig", named: true, since: 13, body: &network::VRF_CONFIG },
    Kind { kind: "VethConfig", named: true, since: 14, body: &network::VETH_CONFIG },
    Kind { kind: "VolumeConfig", named: true, since: 12, body: &block::VOLUME_CONFIG },
    Kind { kind: "WatchdogTimerConfig", named: false, since: 12, body: &runtime::WATCHDOG_TIMER },
    Kind { kind: "WireguardConfig", named: true, since: 12, body: &network::WIREGUARD_CONFIG },
    Kind { kind: "ZswapConfig", named: false, since: 12, body: &block::ZSWAP_CONFIG },
];
