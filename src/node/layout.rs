//! Addresses, routes and resolvers of a configuration, however they are written: as documents (`LinkConfig`, …), which
//! Talos has since 1.12, or under `machine.network`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::talos::machine_config::MachineConfig;
use crate::talos::machine_config::yaml::Node;

/// The network as the configuration lays it out.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Static addresses with their subnets.
    pub addresses: Vec<IpNet>,
    /// Static routes.
    pub routes: Vec<Route>,
    /// Whether any link is set up by DHCP. Talos does that by itself only when no link is configured.
    pub dhcp: bool,
    /// Hardware addresses that select links; they may be patterns.
    pub hardware: Vec<String>,
    /// Resolvers.
    pub nameservers: Vec<IpAddr>,
}

/// A route.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Destination; `None` for everything.
    pub destination: Option<IpNet>,
    /// Next hop; `None` for what is on the link.
    pub gateway: Option<IpAddr>,
}

impl Route {
    /// Whether it leads to everything.
    pub fn is_default(&self) -> bool {
        self.destination.is_none()
    }
}

impl Layout {
    /// Reads it off a configuration. What does not parse is left out: Talos' own rules name it.
    pub fn of(config: &MachineConfig) -> Self {
        let mut layout = Self::default();
        let mut configured = false;
        for kind in LINKS {
            for document in config.of_kind(kind) {
                configured = true;
                layout.link(document.root(), "destination");
            }
        }
        for kind in ["DHCPv4Config", "DHCPv6Config"] {
            layout.dhcp |= config.of_kind(kind).next().is_some();
        }
        for document in config.of_kind("LinkAliasConfig") {
            let selector = document.root().at("selector.match").and_then(Node::as_str);
            layout.hardware.extend(selector.map(hardware_in).unwrap_or_default());
        }
        for interface in items(config.get("machine.network.interfaces")) {
            if text(interface, "interface") == Some("lo")
                || interface.get("dummy").and_then(Node::as_bool) == Some(true)
            {
                continue;
            }
            configured = true;
            layout.interface(interface);
        }
        layout.dhcp |= !configured;
        layout.nameservers(config);
        layout
    }

    /// Whether an address is on one of the subnets, or on a route without a next hop.
    pub fn on_link(&self, address: &IpAddr) -> bool {
        self.addresses.iter().any(|net| net.contains(address))
            || self
                .routes
                .iter()
                .any(|route| route.gateway.is_none() && route.destination.is_some_and(|net| net.contains(address)))
    }

    fn interface(&mut self, interface: &Node) {
        self.link(interface, "network");
        self.dhcp |= interface.get("dhcp").and_then(Node::as_bool) == Some(true);
        for key in ["hardwareAddr", "permanentAddr"] {
            let selector = interface.get("deviceSelector").and_then(|selector| text(selector, key));
            self.hardware.extend(selector.map(str::to_owned));
        }
        for vlan in items(interface.get("vlans")) {
            self.link(vlan, "network");
            self.dhcp |= vlan.get("dhcp").and_then(Node::as_bool) == Some(true);
        }
    }

    fn link(&mut self, link: &Node, destination: &str) {
        for address in items(link.get("addresses")) {
            let written = address.as_str().or_else(|| text(address, "address"));
            self.addresses.extend(written.and_then(subnet));
        }
        for route in items(link.get("routes")) {
            let towards = text(route, destination).and_then(subnet).filter(|net| net.prefix_len() > 0);
            let gateway = text(route, "gateway").and_then(|gateway| gateway.parse().ok());
            self.routes.push(Route { destination: towards, gateway });
        }
    }

    fn nameservers(&mut self, config: &MachineConfig) {
        let old = items(config.get("machine.network.nameservers")).iter().filter_map(Node::as_str);
        self.nameservers.extend(old.filter_map(|text| text.parse::<IpAddr>().ok()));
        for document in config.of_kind("ResolverConfig") {
            let servers = items(document.root().get("nameservers")).iter().filter_map(|server| text(server, "address"));
            self.nameservers.extend(servers.filter_map(|text| text.parse::<IpAddr>().ok()));
        }
    }
}

/// A subnet; an address without a prefix length is alone in its own.
pub(super) fn subnet(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Items of a list; none when it is absent.
pub(super) fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_sequence).unwrap_or_default()
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The patterns that a selector compares a hardware address with: the quoted text of every condition that has one.
fn hardware_in(selector: &str) -> Vec<String> {
    let conditions = selector.split("&&").flat_map(|part| part.split("||"));
    conditions
        .filter(|condition| condition.contains("hardware_addr") || condition.contains("permanent_addr"))
        .filter_map(|condition| {
            let quote = condition.find(['"', '\''])?;
            let mark = condition[quote..].chars().next()?;
            condition[quote + 1..].split(mark).next().map(str::to_owned)
        })
        .collect()
}

/// Documents that carry addresses and routes (Talos v1.12.2 pkg/machinery/config/types/network).
const LINKS: [&str; 7] =
    ["LinkConfig", "BondConfig", "BridgeConfig", "VLANConfig", "VRFConfig", "VethConfig", "WireguardConfig"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let new = include_str!("../../tests/golden/guide/expected-talhelper-3.1.16.yaml");
        let old = include_str!("../../tests/golden/guide/expected-talhelper-3.0.45.yaml");
        for text in [new, old] {
            let layout = Layout::of(&MachineConfig::parse(text).unwrap());
            assert_eq!(layout.addresses, ["10.0.0.214/24".parse::<IpNet>().unwrap()]);
            assert_eq!(layout.hardware, ["02:00:17:27:16:32"]);
            assert_eq!(layout.nameservers, ["169.254.169.254".parse::<IpAddr>().unwrap()]);
            assert!(!layout.dhcp && layout.routes.len() == 2 && layout.routes[0].is_default());
            assert!(layout.on_link(&"169.254.169.254".parse().unwrap()));
            assert!(!layout.on_link(&"10.0.1.1".parse().unwrap()));
        }
    }

    #[test]
    fn a_machine_without_links_is_set_up_by_dhcp() {
        assert!(Layout::of(&MachineConfig::parse("machine:\n  type: worker\n").unwrap()).dhcp);
        let lo = "machine:\n  network:\n    interfaces:\n      - interface: lo\n        addresses: [10.9.9.9/32]\n";
        let layout = Layout::of(&MachineConfig::parse(lo).unwrap());
        assert!(layout.dhcp && layout.addresses.is_empty());
    }
}
