//! `machine.network.interfaces` of the v1alpha1 document.

use std::collections::HashMap;

use super::super::yaml::Node;
use super::notation::{is_cidr, is_ip, is_ip_or_cidr, is_wireguard_key, split_host_port};
use super::{Read, Report};

pub(super) fn validate(network: &Node, report: &mut Report) {
    let devices = network.items("interfaces");
    let members = members(devices, report);
    for (index, device) in devices.iter().enumerate() {
        let path = format!("machine.network.interfaces[{index}]");
        if device.is_null() {
            report.error(&path, "empty device");
        } else if !device.flag("ignore") {
            let check = Check { device, path, members: &members };
            check.identity(report);
            check.addressing(report);
            check.routes(report);
        }
    }
}

/// Which link each member of a bond or bridge belongs to.
fn members<'a>(devices: &'a [Node], report: &mut Report) -> HashMap<&'a str, &'a str> {
    let mut members: HashMap<&str, &str> = HashMap::new();
    for (index, device) in devices.iter().enumerate() {
        let path = format!("machine.network.interfaces[{index}]");
        let name = device.text("interface");
        if device.has("bond") && device.has("bridge") {
            report.error(
                &path,
                format!(
                    "interface has both bridge and bond sections set {name:?}: config sections are mutually exclusive"
                ),
            );
        }
        if !device.items("bond.interfaces").is_empty() && !device.items("bond.deviceSelectors").is_empty() {
            report.error(
                &path,
                format!(
                    "interface {name:?} has both interfaces and selectors set: config sections are mutually exclusive"
                ),
            );
        }
        let list = if device.has("bridge") { "bridge.interfaces" } else { "bond.interfaces" };
        for member in device.items(list).iter().map(|item| item.text("")) {
            if let Some(other) = members.insert(member, name).filter(|other| *other != name) {
                let message =
                    format!("interface {member:?} is declared as part of two separate links: {other:?} and {name:?}");
                report.error(&path, message);
            }
        }
    }
    members
}

struct Check<'a> {
    device: &'a Node,
    path: String,
    members: &'a HashMap<&'a str, &'a str>,
}

impl Check<'_> {
    fn at(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn identity(&self, report: &mut Report) {
        const BOTH: &str = "[networking.os.device.interface], [networking.os.device.deviceSelector]";
        let named = !self.device.text("interface").is_empty();
        let selector = self.device.get("deviceSelector");
        match (named, selector) {
            (false, None) => report.error(&self.path, format!("{BOTH}: required either config section to be set")),
            (true, Some(_)) => report.error(&self.path, format!("{BOTH}: config sections are mutually exclusive")),
            _ => {}
        }
        if selector.is_some_and(|selector| selector.as_mapping().is_none_or(<[_]>::is_empty)) {
            let message = "[networking.os.device.deviceSelector]: config section should contain at least one field";
            report.error(self.at("deviceSelector"), message);
        }
        if let Some(bond) = self.device.get("bond") {
            check_bond(bond, &self.at("bond"), report);
        }
        if let Some(wireguard) = self.device.get("wireguard") {
            check_wireguard(wireguard, &self.at("wireguard"), report);
        }
        for (index, vlan) in self.device.items("vlans").iter().enumerate() {
            let path = self.at(&format!("vlans[{index}]"));
            let (cidr, addresses) = (vlan.text("cidr"), vlan.items("addresses"));
            if !addresses.is_empty() && !cidr.is_empty() {
                report.error(&path, "vlan can't have both .cidr and .addresses set");
            }
            check_addresses(cidr, addresses, &path, report);
        }
    }

    fn addressing(&self, report: &mut Report) {
        let (cidr, addresses) = (self.device.text("cidr"), self.device.items("addresses"));
        let addressed = !cidr.is_empty() || !addresses.is_empty();
        if self.members.contains_key(self.device.text("interface"))
            && (addressed || self.device.flag("dhcp") || self.device.has("vip"))
        {
            report.error(&self.path, "bonded/bridged interface shouldn't have any addressing methods configured");
        }
        if !addresses.is_empty() && !cidr.is_empty() {
            report.error(&self.path, "interface can't have both .cidr and .addresses set");
        }
        if !cidr.is_empty() {
            let message =
                "machine.network.interface.cidr is deprecated, please use machine.network.interface.addresses";
            report.warning(self.at("cidr"), message);
        }
        check_addresses(cidr, addresses, &self.path, report);
        if let Some(vip) = self.device.get("vip")
            && !is_ip(vip.text("ip"))
        {
            report.error(
                self.at("vip.ip"),
                format!("[networking.os.device.vip] failed to parse {:?} as IP address", vip.text("ip")),
            );
        }
    }

    fn routes(&self, report: &mut Report) {
        for (index, route) in self.device.items("routes").iter().enumerate() {
            let path = self.at(&format!("routes[{index}]"));
            let (network, gateway, source) = (route.text("network"), route.text("gateway"), route.text("source"));
            if network.is_empty() && gateway.is_empty() {
                report.error(&path, "either network or gateway should be set");
            }
            for (field, text, valid) in [
                ("network", network, is_cidr(network)),
                ("gateway", gateway, is_ip(gateway)),
                ("source", source, is_ip(source)),
            ] {
                if !text.is_empty() && !valid {
                    report.error(format!("{path}.{field}"), format!("{text:?}: invalid network address"));
                }
            }
        }
    }
}

fn check_addresses(cidr: &str, addresses: &[Node], path: &str, report: &mut Report) {
    if !cidr.is_empty() && !is_ip_or_cidr(cidr) {
        report.error(format!("{path}.cidr"), format!("failed to parse IP address {cidr:?}"));
    }
    for address in addresses.iter().map(|item| item.text("")).filter(|address| !is_ip_or_cidr(address)) {
        report.error(format!("{path}.addresses"), format!("failed to parse IP address {address:?}"));
    }
}

fn check_wireguard(wireguard: &Node, path: &str, report: &mut Report) {
    if !is_wireguard_key(wireguard.text("privateKey")) {
        report.error(format!("{path}.privateKey"), "private key is invalid");
    }
    for (index, peer) in wireguard.items("peers").iter().enumerate() {
        let path = format!("{path}.peers[{index}]");
        if !is_wireguard_key(peer.text("publicKey")) {
            report.error(format!("{path}.publicKey"), "public key invalid");
        }
        let endpoint = peer.text("endpoint");
        let has_port = split_host_port(endpoint)
            .is_some_and(|(host, _)| !host.contains(':') || super::super::types::text::address(host).is_some());
        if !endpoint.is_empty() && !has_port {
            report.error(format!("{path}.endpoint"), format!("peer endpoint {endpoint:?} is invalid"));
        }
        for address in peer.items("allowedIPs").iter().map(|item| item.text("")).filter(|address| !is_cidr(address)) {
            report.error(format!("{path}.allowedIPs"), format!("peer allowed IP {address:?} is invalid"));
        }
    }
}

/// The words a bond's fields may be; the empty one stands for the first.
const BOND_WORDS: [(&str, &[&str]); 8] = [
    ("mode", &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"]),
    ("xmitHashPolicy", &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"]),
    ("lacpRate", &["slow", "fast"]),
    ("arpValidate", &["none", "active", "backup", "all", "filter", "filter-active", "filter-backup"]),
    ("arpAllTargets", &["any", "all"]),
    ("primaryReselect", &["always", "better", "failure"]),
    ("failOverMac", &["none", "active", "follow"]),
    ("adSelect", &["stable", "bandwidth", "count"]),
];

fn check_bond(bond: &Node, path: &str, report: &mut Report) {
    for (field, words) in BOND_WORDS {
        let word = bond.text(field);
        if !word.is_empty() && !words.contains(&word) {
            report.error(format!("{path}.{field}"), format!("invalid {field} {word:?}"));
        }
    }
    let mode = match bond.text("mode") {
        // An unknown mode counts as the first one in what follows.
        word if BOND_WORDS[0].1.contains(&word) => word,
        _ => "balance-rr",
    };
    let interval = bond.int("miimon");
    for field in ["updelay", "downdelay"] {
        let delay = bond.int(field);
        match interval {
            0 if delay != 0 => {
                report.error(format!("{path}.{field}"), format!("bond.{field} can't be set if miiMon is zero"))
            }
            0 => {}
            interval if delay % interval != 0 => {
                report.error(format!("{path}.{field}"), format!("bond.{field} should be a multiple of miiMon"));
            }
            _ => {}
        }
    }
    let lacp = mode == "802.3ad";
    let balancing = matches!(mode, "balance-alb" | "balance-tlb");
    let rules = [
        ("arpIPTarget", !bond.items("arpIPTarget").is_empty()),
        ("lacpRate", !lacp && !bond.text("lacpRate").is_empty()),
        ("adActorSystem", !bond.text("adActorSystem").is_empty()),
        ("arpValidate", (lacp || balancing) && !bond.text("arpValidate").is_empty()),
        ("primary", !balancing && mode != "active-backup" && !bond.text("primary").is_empty()),
        ("arpInterval", (lacp || balancing) && bond.int("arpInterval") > 0),
        ("packetsPerSlave", mode != "balance-rr" && bond.int("packetsPerSlave") > 1),
        ("tlbDynamicLb", !balancing && bond.int("tlbDynamicLb") > 0),
        ("adActorSysPrio", !lacp && bond.int("adActorSysPrio") > 0),
        ("adUserPortKey", !lacp && bond.int("adUserPortKey") > 0),
    ];
    for (field, _) in rules.iter().filter(|(_, broken)| *broken) {
        report.error(format!("{path}.{field}"), format!("bond.{field} is not available in {mode} mode"));
    }
}
