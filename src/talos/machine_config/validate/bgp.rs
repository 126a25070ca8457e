//! BGP (Talos v1.14 `pkg/machinery/config/types/network/bgp.go`).

use std::collections::HashSet;

use super::super::types::text::address;
use super::super::yaml::Node;
use super::documents::{nanoseconds, require_name};
use super::notation::{Subnet, is_ip};
use super::{Read, Report};

pub(super) fn instance(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    if root.int("localASN") == 0 {
        report.error("localASN", "localASN must be specified");
    }
    let router = root.text("routerID");
    if !router.is_empty() && (!is_ip(router) || router.contains(':')) {
        report.error("routerID", "routerID must be an IPv4 address");
    }
    let neighbors = root.items("neighbors");
    if neighbors.is_empty() {
        report.note("neighbors", "there are no neighbors");
    }
    let mut seen = HashSet::new();
    for (index, item) in neighbors.iter().enumerate() {
        let path = format!("neighbors[{index}]");
        let (at, link) = (item.text("address"), item.text("link"));
        let key = address(at).unwrap_or_else(|| link.to_owned());
        if at.is_empty() == link.is_empty() {
            report.error(&path, "exactly one of address or link must be set");
        } else if !seen.insert(key) {
            report.error(&path, format!("duplicate neighbor {:?}", if at.is_empty() { link } else { at }));
        }
        neighbor(item, &path, !root.text("vrf").is_empty(), report);
    }
    import_routes(root, report);
}

fn neighbor(neighbor: &Node, path: &str, in_vrf: bool, report: &mut Report) {
    if in_vrf && neighbor.has("bfd") {
        report.error(format!("{path}.bfd"), "bfd is not supported for instances that are bound to a VRF");
    }
    for field in ["holdTime", "bfd.transmitInterval", "bfd.receiveInterval"] {
        if nanoseconds(neighbor, field) < 0 {
            report.error(format!("{path}.{field}"), format!("{field} must not be negative"));
        }
    }
}

fn import_routes(root: &Node, report: &mut Report) {
    let mut sources = HashSet::new();
    // Subnets of the routes before, and the place of each.
    let mut imported: Vec<(String, Subnet)> = Vec::new();
    for (index, route) in root.items("importRoutes").iter().enumerate() {
        let path = format!("importRoutes[{index}]");
        let source = route.text("bgpInstance");
        if source.is_empty() {
            report.error(format!("{path}.bgpInstance"), "bgpInstance must be specified");
        } else if source == root.text("name") {
            report.error(format!("{path}.bgpInstance"), format!("cannot import from the same BGP instance {source:?}"));
        } else if !sources.insert(source) {
            report.error(format!("{path}.bgpInstance"), format!("duplicate source BGP instance {source:?}"));
        }
        if route.items("prefixes").is_empty() {
            report.error(format!("{path}.prefixes"), "at least one prefix must be specified");
        }
        for (index, item) in route.items("prefixes").iter().enumerate() {
            let path = format!("{path}.prefixes[{index}]");
            let Some(subnet) = Subnet::parse(item.text("")) else {
                report.error(path, "invalid prefix");
                continue;
            };
            if !subnet.is_masked() {
                report.error(&path, format!("prefix {subnet} must be masked"));
            }
            for (other, _) in imported.iter().filter(|(_, other)| other.overlaps(subnet)) {
                report.error(&path, format!("prefix {subnet} overlaps {other}"));
            }
            imported.push((path, subnet));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn instances_are_judged_as_talos_does() {
        let head = "{apiVersion: v1alpha1, kind: BGPInstanceConfig";
        let with = |rest: &str| format!("{head}, name: a, localASN: 1, neighbors: [{{link: eth0}}], {rest}}}");
        let neighbors = |list: &str| format!("{head}, name: a, localASN: 1, neighbors: [{list}]}}");
        let import = |list: &str| with(&format!("importRoutes: [{list}]"));
        expect(&[
            (&with("routerID: 10.0.0.1"), ""),
            (&neighbors("{address: 10.0.0.1, holdTime: 9s, bfd: {transmitInterval: 1s}}, {link: eth0}"), ""),
            (
                &import(
                    "{bgpInstance: b, prefixes: [10.0.0.0/8, 'fd00::/8']}, {bgpInstance: c, prefixes: [11.0.0.0/8]}",
                ),
                "",
            ),
            (&format!("{head}, localASN: 1, neighbors: [{{link: eth0}}]}}"), "name: name must be specified"),
            (&format!("{head}, name: a, neighbors: [{{link: eth0}}]}}"), "localASN: localASN must be specified"),
            (&with("routerID: '::1'"), "routerID: routerID must be an IPv4 address"),
            (&format!("{head}, name: a, localASN: 1}}"), "note: neighbors: there are no neighbors"),
            (&neighbors("{}"), "neighbors[0]: exactly one of address or link"),
            (&neighbors("{address: 10.0.0.1, link: eth0}"), "neighbors[0]: exactly one of address or link"),
            (&neighbors("{link: eth0}, {link: eth0}"), "neighbors[1]: duplicate neighbor \"eth0\""),
            (&neighbors("{link: eth0, holdTime: -1s}"), "neighbors[0].holdTime: holdTime must not be negative"),
            (&neighbors("{link: a, bfd: {transmitInterval: -1s}}"), "neighbors[0].bfd.transmitInterval: bfd.transmit"),
            (&neighbors("{link: a, bfd: {receiveInterval: -1s}}"), "neighbors[0].bfd.receiveInterval: bfd.receive"),
            (
                &format!("{head}, name: a, vrf: v, localASN: 1, neighbors: [{{link: eth0, bfd: {{}}}}]}}"),
                "neighbors[0].bfd: bfd is not supported",
            ),
            (&import("{prefixes: [10.0.0.0/8]}"), "importRoutes[0].bgpInstance: bgpInstance must be specified"),
            (&import("{bgpInstance: a, prefixes: [10.0.0.0/8]}"), "importRoutes[0].bgpInstance: cannot import"),
            (
                &import("{bgpInstance: b, prefixes: [10.0.0.0/8]}, {bgpInstance: b, prefixes: [11.0.0.0/8]}"),
                "importRoutes[1].bgpInstance: duplicate source",
            ),
            (&import("{bgpInstance: b}"), "importRoutes[0].prefixes: at least one prefix"),
            (&import("{bgpInstance: b, prefixes: ['']}"), "importRoutes[0].prefixes[0]: invalid prefix"),
            (
                &import("{bgpInstance: b, prefixes: [10.0.0.1/8]}"),
                "importRoutes[0].prefixes[0]: prefix 10.0.0.1/8 must",
            ),
            (
                &import("{bgpInstance: b, prefixes: [10.0.0.0/8, 10.1.0.0/16]}"),
                "importRoutes[0].prefixes[1]: prefix 10.1.0.0/16 overlaps importRoutes[0].prefixes[0]",
            ),
            (
                &import("{bgpInstance: b, prefixes: [10.0.0.0/8]}, {bgpInstance: c, prefixes: [10.1.0.0/16]}"),
                "importRoutes[1].prefixes[0]: prefix 10.1.0.0/16 overlaps importRoutes[0].prefixes[0]",
            ),
        ]);
    }
}
