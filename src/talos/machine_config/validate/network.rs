//! Network documents (Talos `types/network`).

use super::super::types::text::{address, prefix};
use super::super::yaml::Node;
use super::documents::{nanoseconds, require_name, url};
use super::notation::{is_ip, is_subnet_or_address};
use super::{Read, Report, bgp, links, resolver};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "BGPInstanceConfig" => bgp::instance(root, report),
        "DHCPv4Config" | "DHCPv6Config" => dhcp(root, report),
        "HCloudVIPConfig" | "Layer2VIPConfig" => shared_address(kind, root, report),
        "HostnameConfig" => hostname(root, report),
        "NetworkRuleConfig" => rule(root, report),
        "StaticHostConfig" => static_host(root, report),
        "TimeSyncConfig" => time_sync(root, report),
        "KubeSpanConfig" => kube_span(root, report),
        "BlackholeRouteConfig" => {
            if prefix(root.text("name")).is_none() {
                report.error("name", "name must be a valid address prefix");
            }
        }
        "ResolverConfig" => resolver::validate(root, report),
        "RoutingRuleConfig" => routing_rule(root, report),
        "HTTPProbeConfig" => http_probe(root, report),
        "TCPProbeConfig" => tcp_probe(root, report),
        // No release has a rule for them (default_action_config.go, kubespan_endpoints.go).
        "NetworkDefaultActionConfig" | "KubeSpanEndpointsConfig" => {}
        _ => return links::validate(kind, root, report),
    }
    true
}

/// What a network document and the v1alpha1 document must not both set.
pub(super) fn conflicts(kind: &str, root: &Node, v1alpha1: &Node, report: &mut Report) {
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
            } else if root.has("hostDNS") && v1alpha1.has("machine.features.hostDNS") {
                report.error("hostDNS", ".machine.features.hostDNS is already set in v1alpha1 config");
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
    // v1.12.9 and v1.13.3 and later leave the name to others with `auto: off` alone (hostname.go).
    if name.is_empty() && (auto.is_empty() || auto == "off" && report.releases.lack(9, 3)) {
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
    // Talos v1.14 time_sync.go: certificates are for names.
    if root.flag("ntp.useNTS") {
        for server in root.items("ntp.servers").iter().map(|item| item.text("")).filter(|server| is_ip(server)) {
            report.error("ntp.servers", format!("NTS requires hostnames, not IP addresses: {server:?}"));
        }
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
    probe(root, report);
}

/// Talos v1.14 `pkg/machinery/config/types/network/http_probe.go`.
fn http_probe(root: &Node, report: &mut Report) {
    require_name(root, "probe name is required", report);
    match url(root, "url") {
        None => report.error("url", "HTTP probe URL is required"),
        Some(url) if !["http", "https"].contains(&url.scheme.as_str()) => {
            report.error("url", format!("HTTP probe URL scheme must be http or https, got {:?}", url.scheme));
        }
        Some(url) if !url.opaque.is_empty() || url.hostname().is_empty() => {
            report.error("url", "HTTP probe URL must name a host");
        }
        Some(_) => {}
    }
    probe(root, report);
}

/// What all probes have.
fn probe(root: &Node, report: &mut Report) {
    for field in ["timeout", "interval"].iter().filter(|field| nanoseconds(root, field) < 0) {
        report.error(field, format!("probe {field} cannot be negative"));
    }
    if root.int("failureThreshold") < 0 {
        report.error("failureThreshold", "probe failure threshold cannot be negative");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, judge, judge_for};

    #[test]
    fn hostnames_are_judged_as_talos_does() {
        let hostname = "{apiVersion: v1alpha1, kind: HostnameConfig";
        expect(&[
            (&format!("{hostname}, auto: stable}}"), ""),
            (&format!("{hostname}, auto: off, hostname: a}}"), ""),
            (&format!("{hostname}, hostname: a.b}}"), ""),
            (&format!("{hostname}}}"), "HostnameConfig: either 'auto' or 'hostname' must be set"),
            (
                &format!("{hostname}, auto: stable, hostname: a}}"),
                "HostnameConfig: 'auto' and 'hostname' cannot be set",
            ),
            (&format!("{hostname}, auto: talos-addr}}"), "auto: invalid value for 'auto'"),
            (&format!("{hostname}, hostname: {}}}", "a".repeat(64)), "hostname: invalid hostname"),
        ]);
    }

    #[test]
    fn a_hostname_may_be_left_to_others_since_1_12_9_and_1_13_3() {
        let text = "{apiVersion: v1alpha1, kind: HostnameConfig, auto: off}";
        for (version, problems) in
            [("v1.12.2", 1), ("v1.12.8", 1), ("v1.12.9", 0), ("v1.13.2", 1), ("v1.13.3", 0), ("v1.14.0-rc.1", 0)]
        {
            assert_eq!(judge_for(text, version).len(), problems, "{version}");
        }
        // Where the release is not known, what must boot on all of them does not rely on it.
        assert_eq!(judge(text).len(), 1);
        let newer = format!("{text}\n---\n{{apiVersion: v1alpha1, kind: SysctlConfig}}");
        assert_eq!(judge(&newer), Vec::<String>::new());
    }

    #[test]
    fn probes_are_judged_as_talos_does() {
        let http = "{apiVersion: v1alpha1, kind: HTTPProbeConfig";
        let tcp = "{apiVersion: v1alpha1, kind: TCPProbeConfig";
        expect(&[
            (&format!("{http}, name: a, url: 'https://a/b', interval: 1s, timeout: 1s, failureThreshold: 3}}"), ""),
            (&format!("{http}, url: 'https://a/b'}}"), "name: probe name is required"),
            (&format!("{http}, name: a}}"), "url: HTTP probe URL is required"),
            (&format!("{http}, name: a, url: 'ftp://a'}}"), "url: HTTP probe URL scheme must be"),
            (&format!("{http}, name: a, url: 'http:a'}}"), "url: HTTP probe URL must name a host"),
            (&format!("{http}, name: a, url: 'http://:80'}}"), "url: HTTP probe URL must name a host"),
            (&format!("{http}, name: a, url: 'http://a', timeout: -1s}}"), "timeout: probe timeout cannot be negative"),
            (
                &format!("{http}, name: a, url: 'http://a', interval: -1s}}"),
                "interval: probe interval cannot be negative",
            ),
            (&format!("{http}, name: a, url: 'http://a', failureThreshold: -1}}"), "failureThreshold: probe failure"),
            (&format!("{tcp}, name: a, endpoint: 'a:1'}}"), ""),
            (&format!("{tcp}, name: a}}"), "endpoint: TCP probe endpoint is required"),
        ]);
    }

    #[test]
    fn nts_wants_names() {
        let time = |servers: &str| {
            format!("{{apiVersion: v1alpha1, kind: TimeSyncConfig, ntp: {{useNTS: true, servers: [{servers}]}}}}")
        };
        expect(&[(&time("a.b"), ""), (&time("a.b, 10.0.0.1"), "ntp.servers: NTS requires hostnames")]);
    }
}
