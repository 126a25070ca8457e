//! Words that stand for numbers in Talos.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Enum;

pub(super) static ADLACP_ACTIVE: Enum = Enum { name: "ADLACPActive", values: &[("off", 0), ("on", 1)], numbers: None };
pub(super) static AD_SELECT: Enum = Enum { name: "ADSelect", values: &[("stable", 0), ("bandwidth", 1), ("count", 2)], numbers: None };
pub(super) static ARP_ALL_TARGETS: Enum = Enum { name: "ARPAllTargets", values: &[("any", 0), ("all", 1)], numbers: None };
pub(super) static ARP_VALIDATE: Enum = Enum { name: "ARPValidate", values: &[("none", 0), ("active", 1), ("backup", 2), ("all", 3), ("filter", 4), ("filter-active", 5), ("filter-backup", 6)], numbers: None };
pub(super) static AUTO_HOSTNAME_KIND: Enum = Enum { name: "AutoHostnameKind", values: &[("off", 0), ("talos-addr", 1), ("stable", 2)], numbers: None };
pub(super) static BOND_MODE: Enum = Enum { name: "BondMode", values: &[("balance-rr", 0), ("active-backup", 1), ("balance-xor", 2), ("broadcast", 3), ("802.3ad", 4), ("balance-tlb", 5), ("balance-alb", 6)], numbers: None };
pub(super) static BOND_XMIT_HASH_POLICY: Enum = Enum { name: "BondXmitHashPolicy", values: &[("layer2", 0), ("layer3+4", 1), ("layer2+3", 2), ("encap2+3", 3), ("encap3+4", 4)], numbers: None };
pub(super) static CLIENT_IDENTIFIER: Enum = Enum { name: "ClientIdentifier", values: &[("none", 0), ("mac", 1), ("duid", 2)], numbers: None };
pub(super) static DEFAULT_ACTION: Enum = Enum { name: "DefaultAction", values: &[("accept", 0), ("block", 1)], numbers: None };
pub(super) static DNS_PROTOCOL: Enum = Enum { name: "DNSProtocol", values: &[("Do53", 0), ("DoT", 1), ("DoH", 2)], numbers: None };
pub(super) static ENCRYPTION_PROVIDER_TYPE: Enum = Enum { name: "EncryptionProviderType", values: &[("none", 0), ("luks2", 1)], numbers: None };
pub(super) static FAIL_OVER_MAC: Enum = Enum { name: "FailOverMAC", values: &[("none", 0), ("active", 1), ("follow", 2)], numbers: Some((0, 2)) };
pub(super) static FILESYSTEM_TYPE: Enum = Enum { name: "FilesystemType", values: &[("none", 0), ("xfs", 1), ("vfat", 2), ("ext4", 3), ("iso9660", 4), ("swapi", 5), ("virtiofs", 6), ("btrfs", 7)], numbers: None };
pub(super) static LACP_RATE: Enum = Enum { name: "LACPRate", values: &[("slow", 0), ("fast", 1)], numbers: None };
pub(super) static LVM_LOGICAL_VOLUME_TYPE: Enum = Enum { name: "LVMLogicalVolumeType", values: &[("linear", 0), ("raid1", 1), ("raid0", 2), ("raid10", 3)], numbers: None };
pub(super) static MD_LEVEL: Enum = Enum { name: "MDLevel", values: &[("raid1", 0)], numbers: None };
pub(super) static MD_METADATA: Enum = Enum { name: "MDMetadata", values: &[("1.0", 0), ("1.2", 1)], numbers: None };
pub(super) static PRIMARY_RESELECT: Enum = Enum { name: "PrimaryReselect", values: &[("always", 0), ("better", 1), ("failure", 2)], numbers: None };
pub(super) static PROTOCOL: Enum = Enum { name: "Protocol", values: &[("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58)], numbers: None };
pub(super) static ROUTING_RULE_ACTION: Enum = Enum { name: "RoutingRuleAction", values: &[("unspec", 0), ("unicast", 1), ("blackhole", 6), ("unreachable", 7), ("prohibit", 8)], numbers: None };
pub(super) static ROUTING_TABLE: Enum = Enum { name: "RoutingTable", values: &[("unspec", 0), ("default", 253), ("main", 254), ("local", 255)], numbers: Some((1, 252)) };
pub(super) static VLAN_PROTOCOL: Enum = Enum { name: "VLANProtocol", values: &[("802.1q", 33024), ("802.1ad", 34984)], numbers: None };
pub(super) static VOLUME_TYPE: Enum = Enum { name: "VolumeType", values: &[("partition", 0), ("disk", 1), ("tmpfs", 2), ("directory", 3), ("symlink", 4), ("overlay", 5), ("external", 6)], numbers: None };
pub(super) static WOL_MODE: Enum = Enum { name: "WOLMode", values: &[("phy", 1), ("unicast", 2), ("multicast", 4), ("broadcast", 8), ("magic", 32), ("magicsecure", 64), ("filter", 128)], numbers: None };
