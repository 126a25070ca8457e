//! Links (Talos `types/network`: link, bond, bridge, dummy, veth, vlan, vrf, wireguard, link_alias).

use super::super::yaml::Node;
use super::documents::{nanoseconds, require_name};
use super::notation::{is_unspecified, is_wireguard_key};
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "LinkConfig" | "DummyLinkConfig" | "BridgeConfig" => link(root, report),
        "BondConfig" => bond(root, report),
        "VethConfig" => veth(root, report),
        "VLANConfig" => vlan(root, report),
        "VRFConfig" => vrf(root, report),
        "WireguardConfig" => wireguard(root, report),
        "LinkAliasConfig" => link_alias(root, report),
        "EthernetConfig" => drop(require_name(root, "name is required", report)),
        _ => return false,
    }
    true
}

fn link(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    addresses_and_routes(root, report);
}

/// `CommonLinkConfig.Validate`.
fn addresses_and_routes(root: &Node, report: &mut Report) {
    addressing(root, "", report);
}

/// The same below a path that ends in a dot.
fn addressing(root: &Node, base: &str, report: &mut Report) {
    for (index, item) in root.items("addresses").iter().enumerate() {
        let path = format!("{base}addresses[{index}].address");
        match item.text("address") {
            "" => report.error(path, format!("address {index} must be specified")),
            text if is_unspecified(text) => report.error(path, format!("address {index} must be a valid IP address")),
            _ => {}
        }
    }
    for (index, route) in root.items("routes").iter().enumerate() {
        for (field, what) in [("destination", "IP prefix"), ("gateway", "IP address"), ("source", "IP address")] {
            if is_unspecified(route.text(field)) {
                report.error(
                    format!("{base}routes[{index}].{field}"),
                    format!("route {index} {field} must be a valid {what}"),
                );
            }
        }
    }
}

fn bond(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    if root.items("links").is_empty() {
        report.error("links", "at least one link must be specified");
    }
    if !root.has("bondMode") {
        report.error("bondMode", "bond mode must be specified");
    } else if root.text("bondMode") == "802.3ad" {
        for field in ["miimon", "updelay", "downdelay"].iter().filter(|field| !root.has(field)) {
            report.note(field, format!("{field} was not specified for 802.3ad bond"));
        }
    }
    addresses_and_routes(root, report);
}

fn vlan(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    if !(1..=4094).contains(&root.int("vlanID")) {
        report.error("vlanID", "vlanID must be specified and between 1 and 4094");
    }
    if root.text("parent").is_empty() {
        report.error("parent", "parent must be specified");
    }
    addresses_and_routes(root, report);
}

fn vrf(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let table = root.text("table");
    if ["", "unspec", "local", "main", "default"].contains(&table) {
        report.error("table", format!("cannot create vrf with reserved table {table:?}"));
    }
    addresses_and_routes(root, report);
}

fn wireguard(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    match root.text("privateKey") {
        "" => report.error("privateKey", "wireguard private key must be specified"),
        key if !is_wireguard_key(key) => report.error("privateKey", "wireguard private key is invalid"),
        _ => {}
    }
    if !(0..=65535).contains(&root.int("listenPort")) {
        report.error("listenPort", "wireguard listen port must be between 0 and 65535");
    }
    for (index, peer) in root.items("peers").iter().enumerate() {
        let path = |field: &str| format!("peers[{index}].{field}");
        let at = format!("(peer index {index})");
        match peer.text("publicKey") {
            "" => report.error(path("publicKey"), format!("wireguard peer public key must be specified {at}")),
            key if !is_wireguard_key(key) => {
                report.error(path("publicKey"), format!("wireguard peer public key is invalid {at}"));
            }
            _ => {}
        }
        let shared = peer.text("presharedKey");
        if !shared.is_empty() && !is_wireguard_key(shared) {
            report.error(path("presharedKey"), format!("wireguard peer preshared key is invalid {at}"));
        }
        if nanoseconds(peer, "persistentKeepaliveInterval") < 0 {
            let message = format!("wireguard peer persistent keepalive interval cannot be negative {at}");
            report.error(path("persistentKeepaliveInterval"), message);
        }
    }
    addresses_and_routes(root, report);
}

fn link_alias(root: &Node, report: &mut Report) {
    // A pattern since v1.13 (link_alias.go): one number at the end of the name.
    if require_name(root, "name must be specified", report)
        && let Some((prefix, verb)) = root.text("name").split_once('%')
        && (prefix.is_empty() || verb != "d")
        && report.releases.reach(13)
    {
        report.error("name", "the name of an alias for many links must end in %d and have something before it");
    }
    match root.at("selector.match").and_then(Node::as_str) {
        None => report.error("selector.match", "link selector is required"),
        Some(expression) => {
            if let Err(message) = cel::check(expression, cel::Environment::Link, cel::Type::Bool, report.releases) {
                report.error("selector.match", format!("link selector is invalid: {message}"));
            }
        }
    }
}

/// Talos v1.14 `pkg/machinery/config/types/network/veth.go`.
fn veth(root: &Node, report: &mut Report) {
    let (name, peer) = (root.text("name"), root.text("peer.name"));
    for (field, name) in [("name", name), ("peer.name", peer)] {
        if let Some(message) = link_name(name) {
            report.error(field, format!("{field} {message}"));
        }
    }
    if !name.is_empty() && name == peer {
        report.error("peer.name", "name and peer name must be different");
    }
    addressing(root, "", report);
    if let Some(peer) = root.get("peer") {
        addressing(peer, "peer.", report);
    }
}

/// What is wrong with the name of a link.
fn link_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("must be specified"),
        name if name.len() > 15 => Some("must not exceed 15 bytes"),
        "." | ".." => Some("must not be . or .."),
        name if name.contains(['/', ':']) => Some("must not contain '/' or ':'"),
        name if name.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            Some("must not contain whitespace or non-printable characters")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::MachineConfig;
    use super::super::tests::{expect, judge};

    #[test]
    fn veths_are_judged_as_talos_does() {
        let veth = "{apiVersion: v1alpha1, kind: VethConfig";
        expect(&[
            (
                &format!(
                    "{veth}, name: a, addresses: [{{address: 10.0.0.1/24}}], peer: {{name: b, routes: [{{gateway: 10.0.0.1}}]}}}}"
                ),
                "",
            ),
            (&format!("{veth}, peer: {{name: b}}}}"), "name: name must be specified"),
            (&format!("{veth}, name: a}}"), "peer.name: peer.name must be specified"),
            (
                &format!("{veth}, name: a, peer: {{name: a234567890123456}}}}"),
                "peer.name: peer.name must not exceed 15",
            ),
            (&format!("{veth}, name: .., peer: {{name: b}}}}"), "name: name must not be . or .."),
            (&format!("{veth}, name: a/b, peer: {{name: b}}}}"), "name: name must not contain '/'"),
            (&format!("{veth}, name: a b, peer: {{name: b}}}}"), "name: name must not contain whitespace"),
            (
                &format!("{veth}, name: a, addresses: [{{}}], peer: {{name: b}}}}"),
                "addresses[0].address: address 0 must be",
            ),
            (
                &format!("{veth}, name: a, peer: {{name: b, addresses: [{{}}]}}}}"),
                "peer.addresses[0].address: address 0 must be",
            ),
            (
                &format!("{veth}, name: a, peer: {{name: b, routes: [{{gateway: 0.0.0.0}}]}}}}"),
                "peer.routes[0].gateway: route 0 gateway",
            ),
        ]);
    }

    #[test]
    fn a_veth_configures_both_of_its_ends() {
        let veth = |name: &str, peer: &str| {
            format!("{{apiVersion: v1alpha1, kind: VethConfig, name: {name}, peer: {{name: {peer}}}}}\n---\n")
        };
        let link = "{apiVersion: v1alpha1, kind: LinkConfig, name: b}\n";
        assert!(MachineConfig::parse(&format!("{}{link}", veth("a", "c"))).is_ok());
        for text in [veth("a", "a"), format!("{}{link}", veth("a", "b")), veth("a", "b") + &veth("c", "b")] {
            let error = MachineConfig::parse(&text).expect_err(&text).to_string();
            assert!(error.contains("conflicting link configurations"), "{error}");
        }
    }

    #[test]
    fn an_alias_for_many_links_ends_in_its_number() {
        let alias = |name: &str| {
            format!("{{apiVersion: v1alpha1, kind: LinkAliasConfig, name: '{name}', selector: {{match: 'true'}}}}")
        };
        for name in ["net", "net%d"] {
            assert_eq!(judge(&alias(name)), Vec::<String>::new(), "{name}");
        }
        for name in ["%d", "net%s", "net%dx", "a%d%d"] {
            assert_eq!(judge(&alias(name)).len(), 1, "{name}");
        }
    }
}
