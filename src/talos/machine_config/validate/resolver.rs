//! Name servers and the node's own DNS (Talos v1.14 `pkg/machinery/config/types/network/resolver.go`).

use super::super::yaml::Node;
use super::{Read, Report};

pub(super) fn validate(root: &Node, report: &mut Report) {
    if !root.flag("hostDNS.enabled") {
        for field in ["hostDNS.forwardKubeDNSToHost", "hostDNS.resolveMemberNames"] {
            if root.flag(field) {
                report.error(field, format!("{field} cannot be enabled when hostDNS.enabled is false"));
            }
        }
    }
    let servers = root.items("nameservers");
    for (index, server) in servers.iter().enumerate() {
        let path = |field: &str| format!("nameservers[{index}].{field}");
        let named = !server.text("tlsServerName").is_empty();
        match is_encrypted(server) {
            true if !named => report.error(path("tlsServerName"), "tlsServerName must be set for DoT and DoH"),
            false if named => report.error(path("tlsServerName"), "tlsServerName must be empty for Do53"),
            _ => {}
        }
        if server.text("address").is_empty() && report.releases.reach(14) {
            report.error(path("address"), "nameserver address must be a valid IP");
        }
    }
    if !servers.is_empty() && servers.iter().all(is_encrypted) {
        let message = "all nameservers use encrypted DNS, which needs a right clock: booting may stall where time servers are \
                       given by name; keep a plain nameserver, or give time servers by address";
        report.note("nameservers", message);
    }
}

/// Whether it is asked by another protocol than plain DNS.
pub(super) fn is_encrypted(server: &Node) -> bool {
    !["", "Do53"].contains(&server.text("protocol"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn resolvers_are_judged_as_talos_does() {
        let resolver = |rest: &str| format!("{{apiVersion: v1alpha1, kind: ResolverConfig, {rest}}}");
        let on = "hostDNS: {enabled: true, forwardKubeDNSToHost: true, resolveMemberNames: true}";
        expect(&[
            (&resolver("nameservers: [{address: 1.1.1.1}, {address: '::1', protocol: Do53}]"), ""),
            (
                &resolver(&format!(
                    "nameservers: [{{address: 1.1.1.1, protocol: DoT, tlsServerName: a}}, {{address: 1.1.1.1}}], {on}"
                )),
                "",
            ),
            (&resolver("hostDNS: {forwardKubeDNSToHost: true}"), "hostDNS.forwardKubeDNSToHost: hostDNS.forward"),
            (
                &resolver("hostDNS: {enabled: false, resolveMemberNames: true}"),
                "hostDNS.resolveMemberNames: hostDNS.resolve",
            ),
            (
                &resolver(&format!("nameservers: [{{address: 1.1.1.1, protocol: DoH}}, {{address: 1.1.1.1}}], {on}")),
                "nameservers[0].tlsServerName: tlsServerName must be set",
            ),
            (
                &resolver("nameservers: [{address: 1.1.1.1, tlsServerName: a}]"),
                "nameservers[0].tlsServerName: tlsServerName must be empty",
            ),
            (&resolver("nameservers: [{address: ''}]"), "nameservers[0].address: nameserver address"),
            (
                &resolver(&format!("nameservers: [{{address: 1.1.1.1, protocol: DoT, tlsServerName: a}}], {on}")),
                "note: nameservers: all nameservers",
            ),
            (
                &resolver("nameservers: [{address: 1.1.1.1, protocol: DoT, tlsServerName: a}, {address: 1.1.1.1}]"),
                "=machine.features.hostDNS: hostDNS must be enabled",
            ),
        ]);
    }
}
