//! Types of `v1alpha1_network` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, Int, List, Pointer, Str, Struct, Text, Uint};
use super::super::model::{Field as F, ListMerge as L, OMIT, SECRET, Struct as S, TextKind as T};

pub(super) static NETWORK_CONFIG: S = S { name: "NetworkConfig", fields: &[
    F::new("hostname", Str, OMIT),
    F::new("interfaces", List(&Pointer(&Struct(&DEVICE)), L::Devices), OMIT),
    F::new("nameservers", List(&Str, L::Append), OMIT),
    F::new("searchDomains", List(&Str, L::Append), OMIT),
    F::new("extraHostEntries", List(&Pointer(&Struct(&EXTRA_HOST)), L::Append), OMIT),
    F::new("kubespan", Pointer(&Struct(&NETWORK_KUBE_SPAN)), OMIT),
    F::new("disableSearchDomain", Pointer(&Bool), OMIT),
] };

pub(super) static DEVICE: S = S { name: "Device", fields: &[
    F::new("interface", Str, OMIT),
    F::new("deviceSelector", Pointer(&Struct(&NETWORK_DEVICE_SELECTOR)), OMIT),
    F::new("addresses", List(&Str, L::Append), OMIT),
    F::new("cidr", Str, OMIT),
    F::new("routes", List(&Pointer(&Struct(&ROUTE)), L::Append), OMIT),
    F::new("bond", Pointer(&Struct(&BOND)), OMIT),
    F::new("bridge", Pointer(&Struct(&BRIDGE)), OMIT),
    F::new("bridgePort", Pointer(&Struct(&BRIDGE_PORT)), OMIT),
    F::new("vlans", List(&Pointer(&Struct(&VLAN)), L::By("vlanId")), OMIT),
    F::new("mtu", Int(64), OMIT),
    F::new("dhcp", Pointer(&Bool), OMIT),
    F::new("ignore", Pointer(&Bool), OMIT),
    F::new("dummy", Pointer(&Bool), OMIT),
    F::new("dhcpOptions", Pointer(&Struct(&DHCP_OPTIONS)), OMIT),
    F::new("wireguard", Pointer(&Struct(&DEVICE_WIREGUARD_CONFIG)), OMIT),
    F::new("vip", Pointer(&Struct(&DEVICE_VIP_CONFIG)), OMIT),
] };

pub(super) static NETWORK_DEVICE_SELECTOR: S = S { name: "NetworkDeviceSelector", fields: &[
    F::new("busPath", Str, OMIT),
    F::new("hardwareAddr", Str, OMIT),
    F::new("permanentAddr", Str, OMIT),
    F::new("pciID", Str, OMIT),
    F::new("driver", Str, OMIT),
    F::new("physical", Pointer(&Bool), OMIT),
] };

pub(super) static ROUTE: S = S { name: "Route", fields: &[
    F::new("network", Str, 0),
    F::new("gateway", Str, 0),
    F::new("source", Str, OMIT),
    F::new("metric", Uint(32), OMIT),
    F::new("mtu", Uint(32), OMIT),
] };

pub(super) static BOND: S = S { name: "Bond", fields: &[
    F::new("interfaces", List(&Str, L::Append), 0),
    F::new("deviceSelectors", List(&Struct(&NETWORK_DEVICE_SELECTOR), L::Append), OMIT),
    F::new("arpIPTarget", List(&Str, L::Append), OMIT),
    F::new("mode", Str, 0),
    F::new("xmitHashPolicy", Str, OMIT),
    F::new("lacpRate", Str, OMIT),
    F::new("adActorSystem", Str, OMIT),
    F::new("arpValidate", Str, OMIT),
    F::new("arpAllTargets", Str, OMIT),
    F::new("primary", Str, OMIT),
    F::new("primaryReselect", Str, OMIT),
    F::new("failOverMac", Str, OMIT),
    F::new("adSelect", Str, OMIT),
    F::new("miimon", Uint(32), OMIT),
    F::new("updelay", Uint(32), OMIT),
    F::new("downdelay", Uint(32), OMIT),
    F::new("arpInterval", Uint(32), OMIT),
    F::new("resendIgmp", Uint(32), OMIT),
    F::new("minLinks", Uint(32), OMIT),
    F::new("lpInterval", Uint(32), OMIT),
    F::new("packetsPerSlave", Uint(32), OMIT),
    F::new("numPeerNotif", Uint(8), OMIT),
    F::new("tlbDynamicLb", Uint(8), OMIT),
    F::new("allSlavesActive", Uint(8), OMIT),
    F::new("useCarrier", Pointer(&Bool), OMIT),
    F::new("adActorSysPrio", Uint(16), OMIT),
    F::new("adUserPortKey", Uint(16), OMIT),
    F::new("peerNotifyDelay", Uint(32), OMIT),
] };

pub(super) static BRIDGE: S = S { name: "Bridge", fields: &[
    F::new("interfaces", List(&Str, L::Append), 0),
    F::new("stp", Pointer(&Struct(&STP)), OMIT),
    F::new("vlan", Pointer(&Struct(&BRIDGE_VLAN)), OMIT),
] };

pub(super) static STP: S = S { name: "STP", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
] };

pub(super) static BRIDGE_VLAN: S = S { name: "BridgeVLAN", fields: &[
    F::new("vlanFiltering", Pointer(&Bool), OMIT),
] };

pub(super) static BRIDGE_PORT: S = S { name: "BridgePort", fields: &[
    F::new("master", Str, OMIT),
] };

pub(super) static VLAN: S = S { name: "Vlan", fields: &[
    F::new("addresses", List(&Str, L::Append), OMIT),
    F::new("cidr", Str, OMIT),
    F::new("routes", List(&Pointer(&Struct(&ROUTE)), L::Append), 0),
    F::new("dhcp", Pointer(&Bool), OMIT),
    F::new("vlanId", Uint(16), 0),
    F::new("mtu", Uint(32), OMIT),
    F::new("vip", Pointer(&Struct(&DEVICE_VIP_CONFIG)), OMIT),
    F::new("dhcpOptions", Pointer(&Struct(&DHCP_OPTIONS)), OMIT),
] };

pub(super) static DEVICE_VIP_CONFIG: S = S { name: "DeviceVIPConfig", fields: &[
    F::new("ip", Str, OMIT),
    F::new("equinixMetal", Pointer(&Struct(&VIP_EQUINIX_METAL_CONFIG)), OMIT),
    F::new("hcloud", Pointer(&Struct(&VIPH_CLOUD_CONFIG)), OMIT),
] };

pub(super) static VIP_EQUINIX_METAL_CONFIG: S = S { name: "VIPEquinixMetalConfig", fields: &[
    F::new("apiToken", Str, SECRET),
] };

pub(super) static VIPH_CLOUD_CONFIG: S = S { name: "VIPHCloudConfig", fields: &[
    F::new("apiToken", Str, SECRET),
] };

pub(super) static DHCP_OPTIONS: S = S { name: "DHCPOptions", fields: &[
    F::new("routeMetric", Uint(32), 0),
    F::new("ipv4", Pointer(&Bool), OMIT),
    F::new("ipv6", Pointer(&Bool), OMIT),
    F::new("duidv6", Str, OMIT),
] };

pub(super) static DEVICE_WIREGUARD_CONFIG: S = S { name: "DeviceWireguardConfig", fields: &[
    F::new("privateKey", Str, OMIT | SECRET),
    F::new("listenPort", Int(64), OMIT),
    F::new("firewallMark", Int(64), OMIT),
    F::new("peers", List(&Pointer(&Struct(&DEVICE_WIREGUARD_PEER)), L::Append), OMIT),
] };

pub(super) static DEVICE_WIREGUARD_PEER: S = S { name: "DeviceWireguardPeer", fields: &[
    F::new("publicKey", Str, OMIT),
    F::new("endpoint", Str, OMIT),
    F::new("persistentKeepaliveInterval", Text(T::Duration), OMIT),
    F::new("allowedIPs", List(&Str, L::Append), OMIT),
] };

pub(super) static EXTRA_HOST: S = S { name: "ExtraHost", fields: &[
    F::new("ip", Str, 0),
    F::new("aliases", List(&Str, L::Append), 0),
] };

pub(super) static NETWORK_KUBE_SPAN: S = S { name: "NetworkKubeSpan", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("advertiseKubernetesNetworks", Pointer(&Bool), OMIT),
    F::new("allowDownPeerBypass", Pointer(&Bool), OMIT),
    F::new("harvestExtraEndpoints", Pointer(&Bool), OMIT),
    F::new("mtu", Pointer(&Uint(32)), OMIT),
    F::new("filters", Pointer(&Struct(&KUBE_SPAN_FILTERS)), OMIT),
] };

pub(super) static KUBE_SPAN_FILTERS: S = S { name: "KubeSpanFilters", fields: &[
    F::new("endpoints", List(&Str, L::Append), OMIT),
    F::new("excludeAdvertisedNetworks", List(&Str, L::Append), OMIT),
] };
