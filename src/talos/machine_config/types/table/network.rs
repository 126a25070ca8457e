//! Types of `network` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, Int, List, Map, Pointer, Str, Struct, Text, Uint};
use super::super::model::{Field as F, ListMerge as L, OMIT, REPLACE, SECRET, SINCE_13, SINCE_14, Struct as S, TextKind as T};
use super::{enums};

pub(super) static BGP_INSTANCE_CONFIG: S = S { name: "BGPInstanceConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("vrf", Str, OMIT | SINCE_14),
    F::new("localASN", Uint(32), SINCE_14),
    F::new("routerID", Text(T::Address), OMIT | SINCE_14),
    F::new("routeSource", Text(T::Address), OMIT | SINCE_14),
    F::new("advertise", List(&Str, L::Append), OMIT | REPLACE | SINCE_14),
    F::new("multipath", Pointer(&Bool), OMIT | SINCE_14),
    F::new("maxPaths", Uint(8), OMIT | SINCE_14),
    F::new("installRoutes", Pointer(&Bool), OMIT | SINCE_14),
    F::new("importRoutes", List(&Struct(&BGP_IMPORT_ROUTE), L::Append), OMIT | REPLACE | SINCE_14),
    F::new("neighbors", List(&Struct(&BGP_NEIGHBOR_CONFIG), L::Append), OMIT | REPLACE | SINCE_14),
] };

pub(super) static BGP_IMPORT_ROUTE: S = S { name: "BGPImportRoute", fields: &[
    F::new("bgpInstance", Str, SINCE_14),
    F::new("prefixes", List(&Text(T::Prefix), L::Append), SINCE_14),
] };

pub(super) static BGP_NEIGHBOR_CONFIG: S = S { name: "BGPNeighborConfig", fields: &[
    F::new("address", Text(T::Address), OMIT | SINCE_14),
    F::new("link", Str, OMIT | SINCE_14),
    F::new("peerASN", Uint(32), OMIT | SINCE_14),
    F::new("localASN", Uint(32), OMIT | SINCE_14),
    F::new("passive", Bool, OMIT | SINCE_14),
    F::new("holdTime", Text(T::Duration), OMIT | SINCE_14),
    F::new("bfd", Pointer(&Struct(&BGPBFD_CONFIG)), OMIT | SINCE_14),
] };

pub(super) static BGPBFD_CONFIG: S = S { name: "BGPBFDConfig", fields: &[
    F::new("transmitInterval", Text(T::Duration), OMIT | SINCE_14),
    F::new("receiveInterval", Text(T::Duration), OMIT | SINCE_14),
    F::new("detectMultiplier", Uint(8), OMIT | SINCE_14),
] };

pub(super) static BLACKHOLE_ROUTE_CONFIG: S = S { name: "BlackholeRouteConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("name", Str, SINCE_13),
    F::new("metric", Uint(32), OMIT | SINCE_13),
] };

pub(super) static BOND_CONFIG: S = S { name: "BondConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("hardwareAddr", Text(T::Hardware), OMIT),
    F::new("links", List(&Str, L::Append), OMIT),
    F::new("bondMode", Pointer(&Text(T::Enum(&enums::BOND_MODE))), OMIT),
    F::new("miimon", Pointer(&Uint(32)), OMIT),
    F::new("updelay", Pointer(&Uint(32)), OMIT),
    F::new("downdelay", Pointer(&Uint(32)), OMIT),
    F::new("useCarrier", Pointer(&Bool), OMIT),
    F::new("xmitHashPolicy", Pointer(&Text(T::Enum(&enums::BOND_XMIT_HASH_POLICY))), OMIT),
    F::new("arpInterval", Pointer(&Uint(32)), OMIT),
    F::new("arpIpTargets", List(&Text(T::Address), L::Append), OMIT),
    F::new("nsIp6Targets", List(&Text(T::Address), L::Append), OMIT),
    F::new("arpValidate", Pointer(&Text(T::Enum(&enums::ARP_VALIDATE))), OMIT),
    F::new("arpAllTargets", Pointer(&Text(T::Enum(&enums::ARP_ALL_TARGETS))), OMIT),
    F::new("lacpRate", Pointer(&Text(T::Enum(&enums::LACP_RATE))), OMIT),
    F::new("failOverMac", Pointer(&Text(T::Enum(&enums::FAIL_OVER_MAC))), OMIT),
    F::new("adSelect", Pointer(&Text(T::Enum(&enums::AD_SELECT))), OMIT),
    F::new("adActorSysPrio", Pointer(&Uint(16)), OMIT),
    F::new("adUserPortKey", Pointer(&Uint(16)), OMIT),
    F::new("adLACPActive", Pointer(&Text(T::Enum(&enums::ADLACP_ACTIVE))), OMIT),
    F::new("primaryReselect", Pointer(&Text(T::Enum(&enums::PRIMARY_RESELECT))), OMIT),
    F::new("resendIGMP", Pointer(&Uint(32)), OMIT),
    F::new("minLinks", Pointer(&Uint(32)), OMIT),
    F::new("lpInterval", Pointer(&Uint(32)), OMIT),
    F::new("packetsPerSlave", Pointer(&Uint(32)), OMIT),
    F::new("numPeerNotif", Pointer(&Uint(8)), OMIT),
    F::new("tlbLogicalLb", Pointer(&Uint(8)), OMIT),
    F::new("allSlavesActive", Pointer(&Uint(8)), OMIT),
    F::new("peerNotifDelay", Pointer(&Uint(32)), OMIT),
    F::new("missedMax", Pointer(&Uint(8)), OMIT),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static ADDRESS_CONFIG: S = S { name: "AddressConfig", fields: &[
    F::new("address", Text(T::Prefix), 0),
    F::new("routePriority", Pointer(&Uint(32)), OMIT),
] };

pub(super) static ROUTE_CONFIG: S = S { name: "RouteConfig", fields: &[
    F::new("destination", Text(T::Prefix), OMIT),
    F::new("gateway", Text(T::Address), OMIT),
    F::new("source", Text(T::Address), OMIT),
    F::new("metric", Uint(32), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("table", Text(T::Enum(&enums::ROUTING_TABLE)), OMIT),
] };

pub(super) static BRIDGE_CONFIG: S = S { name: "BridgeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("hardwareAddr", Text(T::Hardware), OMIT),
    F::new("links", List(&Str, L::Append), OMIT),
    F::new("stp", Struct(&BRIDGE_STP_CONFIG), OMIT),
    F::new("vlan", Struct(&BRIDGE_VLAN_CONFIG), OMIT),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static BRIDGE_STP_CONFIG: S = S { name: "BridgeSTPConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT),
] };

pub(super) static BRIDGE_VLAN_CONFIG: S = S { name: "BridgeVLANConfig", fields: &[
    F::new("filtering", Pointer(&Bool), OMIT),
] };

pub(super) static DHC_PV4_CONFIG: S = S { name: "DHCPv4Config", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("routeMetric", Uint(32), OMIT),
    F::new("ignoreHostname", Pointer(&Bool), OMIT),
    F::new("ignoreRoutes", Pointer(&Bool), OMIT | SINCE_14),
    F::new("clientIdentifier", Pointer(&Text(T::Enum(&enums::CLIENT_IDENTIFIER))), OMIT),
    F::new("duidRaw", Text(T::Hardware), OMIT),
] };

pub(super) static DHC_PV6_CONFIG: S = S { name: "DHCPv6Config", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("routeMetric", Uint(32), OMIT),
    F::new("ignoreHostname", Pointer(&Bool), OMIT),
    F::new("clientIdentifier", Pointer(&Text(T::Enum(&enums::CLIENT_IDENTIFIER))), OMIT),
    F::new("duidRaw", Text(T::Hardware), OMIT),
] };

pub(super) static DUMMY_LINK_CONFIG: S = S { name: "DummyLinkConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("hardwareAddr", Text(T::Hardware), OMIT),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static ETHERNET_CONFIG: S = S { name: "EthernetConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("features", Map(&Bool), OMIT),
    F::new("rings", Pointer(&Struct(&ETHERNET_RINGS_CONFIG)), OMIT),
    F::new("channels", Pointer(&Struct(&ETHERNET_CHANNELS_CONFIG)), OMIT),
    F::new("wakeOnLan", List(&Text(T::Enum(&enums::WOL_MODE)), L::Append), OMIT),
] };

pub(super) static ETHERNET_RINGS_CONFIG: S = S { name: "EthernetRingsConfig", fields: &[
    F::new("rx", Pointer(&Uint(32)), OMIT),
    F::new("tx", Pointer(&Uint(32)), OMIT),
    F::new("rx-mini", Pointer(&Uint(32)), OMIT),
    F::new("rx-jumbo", Pointer(&Uint(32)), OMIT),
    F::new("rx-buf-len", Pointer(&Uint(32)), OMIT),
    F::new("cqe-size", Pointer(&Uint(32)), OMIT),
    F::new("tx-push", Pointer(&Bool), OMIT),
    F::new("rx-push", Pointer(&Bool), OMIT),
    F::new("tx-push-buf-len", Pointer(&Uint(32)), OMIT),
    F::new("tcp-data-split", Pointer(&Bool), OMIT),
] };

pub(super) static ETHERNET_CHANNELS_CONFIG: S = S { name: "EthernetChannelsConfig", fields: &[
    F::new("rx", Pointer(&Uint(32)), OMIT),
    F::new("tx", Pointer(&Uint(32)), OMIT),
    F::new("other", Pointer(&Uint(32)), OMIT),
    F::new("combined", Pointer(&Uint(32)), OMIT),
] };

pub(super) static H_CLOUD_VIP_CONFIG: S = S { name: "HCloudVIPConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("link", Str, 0),
    F::new("apiToken", Str, SECRET),
] };

pub(super) static HTTP_PROBE_CONFIG: S = S { name: "HTTPProbeConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("interval", Text(T::Duration), OMIT | SINCE_14),
    F::new("failureThreshold", Int(64), OMIT | SINCE_14),
    F::new("url", Text(T::Url), SINCE_14),
    F::new("timeout", Text(T::Duration), OMIT | SINCE_14),
] };

pub(super) static HOSTNAME_CONFIG: S = S { name: "HostnameConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("auto", Pointer(&Text(T::Enum(&enums::AUTO_HOSTNAME_KIND))), OMIT),
    F::new("hostname", Str, OMIT),
] };

pub(super) static KUBE_SPAN_CONFIG: S = S { name: "KubeSpanConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_13),
    F::new("advertiseKubernetesNetworks", Pointer(&Bool), OMIT | SINCE_13),
    F::new("allowDownPeerBypass", Pointer(&Bool), OMIT | SINCE_13),
    F::new("harvestExtraEndpoints", Pointer(&Bool), OMIT | SINCE_13),
    F::new("mtu", Pointer(&Uint(32)), OMIT | SINCE_13),
    F::new("filters", Pointer(&Struct(&KUBE_SPAN_FILTERS_CONFIG)), OMIT | SINCE_13),
] };

pub(super) static KUBE_SPAN_FILTERS_CONFIG: S = S { name: "KubeSpanFiltersConfig", fields: &[
    F::new("endpoints", List(&Str, L::Append), OMIT | SINCE_13),
    F::new("excludeAdvertisedNetworks", List(&Text(T::Prefix), L::Append), OMIT | SINCE_13),
] };

pub(super) static KUBESPAN_ENDPOINTS_CONFIG: S = S { name: "KubespanEndpointsConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("extraAnnouncedEndpoints", List(&Text(T::AddressPort), L::Append), 0),
] };

pub(super) static LAYER2_VIP_CONFIG: S = S { name: "Layer2VIPConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("link", Str, 0),
] };

pub(super) static LINK_ALIAS_CONFIG: S = S { name: "LinkAliasConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("selector", Struct(&LINK_SELECTOR), OMIT),
] };

pub(super) static LINK_SELECTOR: S = S { name: "LinkSelector", fields: &[
    F::new("match", Text(T::Cel), OMIT),
] };

pub(super) static LINK_CONFIG: S = S { name: "LinkConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static DEFAULT_ACTION_CONFIG: S = S { name: "DefaultActionConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("ingress", Text(T::Enum(&enums::DEFAULT_ACTION)), 0),
] };

pub(super) static RULE_CONFIG: S = S { name: "RuleConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("portSelector", Struct(&RULE_PORT_SELECTOR), 0),
    F::new("ingress", List(&Struct(&INGRESS_RULE), L::Append), REPLACE),
] };

pub(super) static RULE_PORT_SELECTOR: S = S { name: "RulePortSelector", fields: &[
    F::new("ports", List(&Text(T::PortRange), L::Append), REPLACE),
    F::new("protocol", Text(T::Enum(&enums::PROTOCOL)), 0),
] };

pub(super) static INGRESS_RULE: S = S { name: "IngressRule", fields: &[
    F::new("subnet", Text(T::Prefix), 0),
    F::new("except", Text(T::Prefix), OMIT),
] };

pub(super) static RESOLVER_CONFIG: S = S { name: "ResolverConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("nameservers", List(&Struct(&NAMESERVER_CONFIG), L::Append), OMIT),
    F::new("searchDomains", Struct(&SEARCH_DOMAINS_CONFIG), OMIT),
    F::new("hostDNS", Struct(&HOST_DNS_CONFIG), OMIT | SINCE_14),
] };

pub(super) static NAMESERVER_CONFIG: S = S { name: "NameserverConfig", fields: &[
    F::new("address", Text(T::Address), 0),
    F::new("protocol", Text(T::Enum(&enums::DNS_PROTOCOL)), OMIT | SINCE_14),
    F::new("tlsServerName", Str, OMIT | SINCE_14),
] };

pub(super) static SEARCH_DOMAINS_CONFIG: S = S { name: "SearchDomainsConfig", fields: &[
    F::new("domains", List(&Str, L::Append), OMIT),
    F::new("disableDefault", Pointer(&Bool), OMIT),
] };

pub(super) static HOST_DNS_CONFIG: S = S { name: "HostDNSConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("forwardKubeDNSToHost", Pointer(&Bool), OMIT | SINCE_14),
    F::new("resolveMemberNames", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static ROUTING_RULE_CONFIG: S = S { name: "RoutingRuleConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("name", Str, SINCE_13),
    F::new("src", Text(T::Prefix), OMIT | SINCE_13),
    F::new("dst", Text(T::Prefix), OMIT | SINCE_13),
    F::new("table", Text(T::Enum(&enums::ROUTING_TABLE)), SINCE_13),
    F::new("action", Text(T::Enum(&enums::ROUTING_RULE_ACTION)), OMIT | SINCE_13),
    F::new("iifName", Str, OMIT | SINCE_13),
    F::new("oifName", Str, OMIT | SINCE_13),
    F::new("fwMark", Uint(32), OMIT | SINCE_13),
    F::new("fwMask", Uint(32), OMIT | SINCE_13),
] };

pub(super) static STATIC_HOST_CONFIG: S = S { name: "StaticHostConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("hostnames", List(&Str, L::Append), 0),
] };

pub(super) static TCP_PROBE_CONFIG: S = S { name: "TCPProbeConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("name", Str, SINCE_13),
    F::new("interval", Text(T::Duration), OMIT | SINCE_13),
    F::new("failureThreshold", Int(64), OMIT | SINCE_13),
    F::new("endpoint", Str, SINCE_13),
    F::new("timeout", Text(T::Duration), OMIT | SINCE_13),
] };

pub(super) static TIME_SYNC_CONFIG: S = S { name: "TimeSyncConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("enabled", Pointer(&Bool), OMIT),
    F::new("bootTimeout", Text(T::Duration), OMIT),
    F::new("ntp", Pointer(&Struct(&NTP_CONFIG)), OMIT),
    F::new("ptp", Pointer(&Struct(&PTP_CONFIG)), OMIT),
] };

pub(super) static NTP_CONFIG: S = S { name: "NTPConfig", fields: &[
    F::new("servers", List(&Str, L::Append), OMIT),
    F::new("useNTS", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static PTP_CONFIG: S = S { name: "PTPConfig", fields: &[
    F::new("devices", List(&Str, L::Append), OMIT),
] };

pub(super) static VLAN_CONFIG: S = S { name: "VLANConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("vlanID", Uint(16), OMIT),
    F::new("vlanMode", Pointer(&Text(T::Enum(&enums::VLAN_PROTOCOL))), OMIT),
    F::new("parent", Str, OMIT),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static VRF_CONFIG: S = S { name: "VRFConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("name", Str, SINCE_13),
    F::new("hardwareAddr", Text(T::Hardware), OMIT | SINCE_13),
    F::new("links", List(&Str, L::Append), OMIT | SINCE_13),
    F::new("table", Text(T::Enum(&enums::ROUTING_TABLE)), SINCE_13),
    F::new("up", Pointer(&Bool), OMIT | SINCE_13),
    F::new("mtu", Uint(32), OMIT | SINCE_13),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT | SINCE_13),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT | SINCE_13),
    F::new("multicast", Pointer(&Bool), OMIT | SINCE_13),
] };

pub(super) static VETH_CONFIG: S = S { name: "VethConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("peer", Struct(&VETH_PEER_CONFIG), SINCE_14),
    F::new("up", Pointer(&Bool), OMIT | SINCE_14),
    F::new("mtu", Uint(32), OMIT | SINCE_14),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT | SINCE_14),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT | SINCE_14),
    F::new("multicast", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static VETH_PEER_CONFIG: S = S { name: "VethPeerConfig", fields: &[
    F::new("name", Str, SINCE_14),
    F::new("up", Pointer(&Bool), OMIT | SINCE_14),
    F::new("mtu", Uint(32), OMIT | SINCE_14),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT | SINCE_14),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT | SINCE_14),
    F::new("multicast", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static WIREGUARD_CONFIG: S = S { name: "WireguardConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("privateKey", Str, OMIT | SECRET),
    F::new("listenPort", Int(64), OMIT),
    F::new("firewallMark", Int(64), OMIT),
    F::new("peers", List(&Struct(&WIREGUARD_PEER), L::Append), OMIT),
    F::new("up", Pointer(&Bool), OMIT),
    F::new("mtu", Uint(32), OMIT),
    F::new("addresses", List(&Struct(&ADDRESS_CONFIG), L::Append), OMIT),
    F::new("routes", List(&Struct(&ROUTE_CONFIG), L::Append), OMIT),
    F::new("multicast", Pointer(&Bool), OMIT),
] };

pub(super) static WIREGUARD_PEER: S = S { name: "WireguardPeer", fields: &[
    F::new("publicKey", Str, OMIT),
    F::new("presharedKey", Str, OMIT | SECRET),
    F::new("endpoint", Text(T::AddressPort), OMIT),
    F::new("persistentKeepaliveInterval", Text(T::Duration), OMIT),
    F::new("allowedIPs", List(&Text(T::Prefix), L::Append), OMIT),
] };
