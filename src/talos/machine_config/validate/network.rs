//! Network documents (Talos `types/network`).

use super::super::types::text::{address, prefix};
use super::super::yaml::Node;
use super::documents::{nanoseconds, require_name};
use super::notation::{is_subnet_or_address, is_unspecified, is_wireguard_key};
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) {
    match kind {
        "LinkConfig" | "DummyLinkConfig" | "BridgeConfig" => link(root, report),
        "BondConfig" => bond(root, report),
        "VLANConfig" => vlan(root, report),
        "VRFConfig" => vrf(root, report),
        "WireguardConfig" => wireguard(root, report),
        "LinkAliasConfig" => link_alias(root, report),
        "DHCPv4Config" | "DHCPv6Config" => dhcp(root, report),
        "EthernetConfig" => drop(require_name(root, "name is required", report)),
        "HCloudVIPConfig" | "Layer2VIPConfig" => shared_address(kind, root, report),
        "HostnameConfig" => hostname(root, report),
        "NetworkRuleConfig" => rule(root, report),
        "StaticHostConfig" => static_host(root, report),
        "TimeSyncConfig" => time_sync(root, report),
        "KubeSpanConfig" => kube_span(root, report),
        "BlackholeRouteConfig" if prefix(root.text("name")).is_none() => {
            report.error("name", "name must be a valid address prefix");
        }
        "RoutingRuleConfig" => routing_rule(root, report),
        "TCPProbeConfig" => tcp_probe(root, report),
        _ => {}
    }
}

/// What a network document and the v1alpha1 document must not both set.
pub(super) fn conflicts(kind: &str, v1alpha1: &Node, report: &mut Report) {
    let network = |field: &str| v1alpha1.at(&format!("machine.network.{field}"));
    let list = |field: &str| network(field).and_then(Node::as_sequence);
    match kind {
        "HostnameConfig" => {
            if !v1alpha1.text("machine.network.hostname").is_empty() {
                report.error("", "static hostname is already set in v1alpha1 config");
            } else if v1alpha1.flag("machine.features.stableHostname") {
                report.error("", "stable hostname is already set in v1alpha1 config");
            }
        }
        "ResolverConfig" => {
            let servers = list("nameservers").unwrap_or_default();
            if list("searchDomains").is_some() {
                report.error("", ".machine.network.searchDomains is already set in v1alpha1 config");
            } else if servers.iter().any(|server| address(server.text("")).is_some()) {
                report.error("", ".machine.network.nameservers is already set in v1alpha1 config");
            } else if v1alpha1.flag("machine.network.disableSearchDomain") {
                report.error("", ".machine.network.disableSearchDomain is already set in v1alpha1 config");
            }
        }
        "TimeSyncConfig" => {
            const BOTH: &str = "in both v1alpha1 and new-style configuration";
            if v1alpha1.flag("machine.time.disabled") {
                report.error("", format!("time sync cannot be disabled {BOTH}"));
            } else if !v1alpha1.items("machine.time.servers").is_empty() {
                report.error("", format!("time servers cannot be specified {BOTH}"));
            } else if v1alpha1.has("machine.time.bootTimeout") {
                report.error("", format!("boot timeout cannot be specified {BOTH}"));
            }
        }
        "KubeSpanConfig" if network("kubespan").is_some() => {
            report.error("", "kubespan is already configured in v1alpha1 machine.network.kubespan");
        }
        _ => {}
    }
}

fn link(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    addresses_and_routes(root, report);
}

/// `CommonLinkConfig.Validate`.
fn addresses_and_routes(root: &Node, report: &mut Report) {
    for (index, item) in root.items("addresses").iter().enumerate() {
        let path = format!("addresses[{index}].address");
        match item.text("address") {
            "" => report.error(path, format!("address {index} must be specified")),
            text if is_unspecified(text) => report.error(path, format!("address {index} must be a valid IP address")),
            _ => {}
        }
    }
    for (index, route) in root.items("routes").iter().enumerate() {
        for (field, what) in [("destination", "IP prefix"), ("gateway", "IP address"), ("source", "IP address")] {
            if is_unspecified(route.text(field)) {
                report
                    .error(format!("routes[{index}].{field}"), format!("route {index} {field} must be a valid {what}"));
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
    require_name(root, "name must be specified", report);
    match root.at("selector.match").and_then(Node::as_str) {
        None => report.error("selector.match", "link selector is required"),
        Some(expression) => {
            if let Err(message) = cel::check(expression, cel::Environment::Link, cel::Type::Bool) {
                report.error("selector.match", format!("link selector is invalid: {message}"));
            }
        }
    }
}

fn dhcp(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let duid = root.text("clientIdentifier") == "duid";
    let raw = !root.text("duidRaw").is_empty();
    if raw && !duid {
        report.error("duidRaw", "duidRaw can only be set if clientIdentifier is 'duid'");
    }
    if duid && !raw {
        report.error("duidRaw", "duidRaw must be set if clientIdentifier is 'duid'");
    }
}

fn shared_address(kind: &str, root: &Node, report: &mut Report) {
    if require_name(root, "name must be specified", report) && address(root.text("name")).is_none() {
        report.error("name", "name must be a valid IP address");
    }
    if root.text("link").is_empty() {
        report.error("link", "link must be specified");
    }
    if kind == "HCloudVIPConfig" && root.text("apiToken").is_empty() {
        report.error("apiToken", "apiToken must be specified");
    }
}

fn hostname(root: &Node, report: &mut Report) {
    let (auto, name) = (root.text("auto"), root.text("hostname"));
    // Talos v1.12.9 and later take `auto: off` alone; what must boot on 1.12 does not rely on it.
    if name.is_empty() && (auto.is_empty() || auto == "off") {
        report.error("", "either 'auto' or 'hostname' must be set");
    }
    if !auto.is_empty() && auto != "off" && !name.is_empty() {
        report.error("", "'auto' and 'hostname' cannot be set at the same time");
    }
    if !["", "off", "stable"].contains(&auto) {
        report.error("auto", format!("invalid value for 'auto': {auto}"));
    }
    if name.len() > 253 {
        report.error("hostname", format!("fqdn is too long: {}", name.len()));
    }
    let first = name.split('.').next().unwrap_or_default();
    if !name.is_empty() && !(1..=63).contains(&first.len()) {
        report.error("hostname", format!("invalid hostname {first:?}"));
    }
}

fn rule(root: &Node, report: &mut Report) {
    if !require_name(root, "name is required", report) {
        return;
    }
    let ports = root.items("portSelector.ports");
    if ports.is_empty() {
        report.error("portSelector.ports", "portSelector.ports is required");
        return;
    }
    if let Some(message) = overlapping_ports(ports) {
        report.error("portSelector.ports", message);
        return;
    }
    if let Some(index) = root.items("ingress").iter().position(|rule| rule.text("subnet").is_empty()) {
        report.error(format!("ingress[{index}].subnet"), "invalid subnet");
    }
}

fn overlapping_ports(ports: &[Node]) -> Option<String> {
    let mut ranges: Vec<(u16, u16)> = ports.iter().filter_map(port_range).collect();
    ranges.sort_by_key(|(low, _)| *low);
    for (index, (low, high)) in ranges.iter().enumerate() {
        if low > high {
            return Some(format!("invalid port range: {low}-{high}"));
        }
        if let Some((before, end)) = index.checked_sub(1).map(|index| ranges[index])
            && *low <= end
        {
            return Some(format!("invalid port range: {low}-{high}, overlaps with {before}-{end}"));
        }
    }
    None
}

fn port_range(node: &Node) -> Option<(u16, u16)> {
    let text = node.as_scalar()?.text.as_str();
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((low.parse().ok()?, high.parse().ok()?))
}

fn static_host(root: &Node, report: &mut Report) {
    require_name(root, "name is required", report);
    if address(root.text("name")).is_none() {
        report.error("name", "name must be a valid IP address");
    }
    if root.items("hostnames").is_empty() {
        report.error("hostnames", "at least one hostname is required");
    }
}

fn time_sync(root: &Node, report: &mut Report) {
    if nanoseconds(root, "bootTimeout") < 0 {
        report.error("bootTimeout", "bootTimeout cannot be negative");
    }
    if root.has("ntp") && root.has("ptp") {
        report.error("", "only one of ntp or ptp configuration can be specified");
    }
}

fn kube_span(root: &Node, report: &mut Report) {
    if root.has("mtu") && root.int("mtu") < 1280 {
        report.error("mtu", "kubespan link MTU must be at least 1280");
    }
    for subnet in root.items("filters.endpoints").iter().map(|item| item.text("")) {
        if !is_subnet_or_address(subnet) {
            report.error("filters.endpoints", format!("KubeSpan endpoint filter is not valid: {subnet:?}"));
        }
    }
}

fn routing_rule(root: &Node, report: &mut Report) {
    /// Priorities of the kernel's own rules and of KubeSpan's.
    const RESERVED: [u32; 4] = [0, 32500, 32766, 32767];
    match root.text("name").parse::<u32>() {
        Err(_) => report.error("name", "invalid name: must be priority parsable unsigned integer"),
        Ok(priority) if RESERVED.contains(&priority) => {
            report.error("name", "priority must be between 1 and 32765 (excluding reserved priorities)");
        }
        Ok(_) => {}
    }
    if root.text("table").is_empty() && ["", "unicast"].contains(&root.text("action")) {
        report.error("table", "either table or a non-unicast action must be specified");
    }
    if root.int("fwMask") != 0 && root.int("fwMark") == 0 {
        report.error("fwMask", "fwMask requires fwMark to be set");
    }
}

fn tcp_probe(root: &Node, report: &mut Report) {
    require_name(root, "probe name is required", report);
    if root.text("endpoint").is_empty() {
        report.error("endpoint", "TCP probe endpoint is required");
    }
    for field in ["timeout", "interval"].iter().filter(|field| nanoseconds(root, field) < 0) {
        report.error(field, format!("probe {field} cannot be negative"));
    }
    if root.int("failureThreshold") < 0 {
        report.error("failureThreshold", "probe failure threshold cannot be negative");
    }
}
