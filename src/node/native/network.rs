//! The network card: its name, addresses, routes and resolvers, as the documents of Talos 1.12.

use super::{NetworkDraft, Work, document};
use crate::node::given::Given;
use crate::talos::machine_config::yaml::Node;

/// What a link is called that is found by its hardware address: as talhelper calls it, so that both doors give one hash.
const ALIAS: &str = "ethSel0";

impl Work<'_> {
    pub(super) fn network(&mut self, network: &NetworkDraft) -> Vec<Node> {
        let mut documents = Vec::new();
        let address = self.text(&network.address, |open| &mut open.addresses);
        let routes = self.routes(network);
        let dhcp = network.dhcp.value() == Some(&true);
        self.open.addresses |= network.dhcp.is_unknown();
        self.open.routes |= network.dhcp.is_unknown();
        if let Some((name, alias)) = self.link(network) {
            documents.extend(alias);
            if address.is_some() || !routes.is_empty() {
                let mut link = document("LinkConfig", &name);
                if let Some(address) = address {
                    let address = Node::mapping([("address", Node::string(address))]);
                    link.push(("addresses", Node::sequence(vec![address])));
                }
                if !routes.is_empty() {
                    link.push(("routes", Node::sequence(routes)));
                }
                documents.push(Node::mapping(link));
            }
            if dhcp {
                documents.push(Node::mapping(document("DHCPv4Config", &name)));
            }
        }
        let nameservers = self.list(&network.nameservers, |open| &mut open.nameservers);
        if !nameservers.is_empty() {
            let servers = nameservers.into_iter().map(|server| Node::mapping([("address", Node::string(server))]));
            documents.push(Node::mapping([
                ("apiVersion", Node::string("v1alpha1")),
                ("kind", Node::string("ResolverConfig")),
                ("nameservers", Node::sequence(servers.collect())),
            ]));
        }
        documents
    }

    fn routes(&mut self, network: &NetworkDraft) -> Vec<Node> {
        let mut routes = Vec::new();
        if let Some(gateway) = self.text(&network.gateway, |open| &mut open.routes) {
            routes.push(Node::mapping([("gateway", Node::string(gateway))]));
        }
        self.open.routes |= network.routes.is_unknown();
        for (destination, gateway) in network.routes.value().into_iter().flatten() {
            let mut route = Vec::new();
            let destination = self.text(destination, |open| &mut open.routes);
            // Talos 1.12 refuses an explicit destination of everything.
            if let Some(destination) = destination.filter(|text| text != "0.0.0.0/0" && text != "::/0") {
                route.push(("destination", Node::string(destination)));
            }
            if let Some(gateway) = self.text(gateway, |open| &mut open.routes) {
                route.push(("gateway", Node::string(gateway)));
            }
            if !route.is_empty() {
                routes.push(Node::mapping(route));
            }
        }
        routes
    }

    /// The link's name, with the document that gives it to the card with the hardware address.
    fn link(&mut self, network: &NetworkDraft) -> Option<(String, Option<Node>)> {
        let alias = |hardware: &str| {
            let mut alias = document("LinkAliasConfig", ALIAS);
            let expression = format!("glob(\"{hardware}\", mac(link.hardware_addr))");
            alias.push(("selector", Node::mapping([("match", Node::string(expression))])));
            Some((ALIAS.to_owned(), Some(Node::mapping(alias))))
        };
        match (&network.mac_address, &network.interface) {
            (Given::Value(_), Given::Value(_)) => {
                self.findings.error(
                    "native-conflict",
                    "machine.network.interface",
                    "mac_address and interface both say which network card is meant",
                    "keep mac_address, which stays the same whatever the card is called",
                );
                None
            }
            // Talos writes it in lower case, Oracle in upper case.
            (Given::Value(hardware), _) if hardware.contains(['"', '\\']) => alias("invalid"),
            (Given::Value(hardware), _) => alias(&hardware.to_ascii_lowercase()),
            (Given::Absent, Given::Value(name)) => Some((name.clone(), None)),
            (Given::Absent, Given::Absent) => {
                let needed =
                    !network.address.is_absent() || !network.gateway.is_absent() || !network.routes.is_absent();
                if needed || network.dhcp.value() == Some(&true) {
                    self.missing(
                        "machine.network.mac_address",
                        "set it to the MAC address of the instance's VNIC, or set interface",
                    );
                }
                None
            }
            (Given::Unknown, _) | (_, Given::Unknown) => {
                self.open.link = true;
                alias("02:00:17:*")
            }
        }
    }
}
