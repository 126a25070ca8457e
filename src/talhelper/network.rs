//! networkInterfaces: reading plain links, and the documents that talhelper >= 3.1 makes of them for Talos >= 1.12.

use std::net::IpAddr;

use ipnet::IpNet;

use super::documents::{Document, document, text};
use super::talconfig::section::Section;
use super::talconfig::{Interface, Route};
use crate::yaml::Emit;

/// Reads the list; what is no plain link is reported as not supported.
pub(super) fn interfaces(node: &Section<'_, '_>) -> Option<Vec<Interface>> {
    let sections = node.sections("networkInterfaces", &DEVICE_KEYS)?;
    Some(sections.iter().map(interface).collect())
}

fn interface(section: &Section<'_, '_>) -> Interface {
    section.refuse(&["bond", "bridge", "bridgePort", "vlans", "wireguard", "cidr"]);
    for flag in ["ignore", "dummy"] {
        // talhelper drops them without a word.
        if section.boolean(flag) {
            section.findings().unsupported(section.at_key(flag), &section.path(flag));
        }
    }
    let options = section.section("dhcpOptions", &["routeMetric", "ipv4", "ipv6", "duidv6"]);
    if let Some(options) = &options {
        options.refuse(&["duidv6"]);
    }
    let dhcp = section.boolean("dhcp");
    let family = |key: &str, default: bool| {
        let set = options.as_ref().filter(|options| options.get(key).is_some());
        dhcp && set.map_or(default, |options| options.boolean(key))
    };
    let interface = Interface {
        name: section.text("interface"),
        conditions: conditions(section),
        addresses: addresses(section),
        routes: routes(section),
        mtu: section.number("mtu"),
        dhcp_v4: family("ipv4", true),
        dhcp_v6: family("ipv6", false),
        dhcp_metric: options.as_ref().map_or(0, |options| options.number("routeMetric")),
        vip: vip(section),
    };
    if interface.name.is_empty() == interface.conditions.is_empty() {
        let text = format!("{} needs either interface or deviceSelector", section.path("").trim_end_matches('.'));
        section.findings().mistake(section.at(), text);
    }
    interface
}

/// The CEL conditions of a device selector, in talhelper's order.
fn conditions(section: &Section<'_, '_>) -> Vec<String> {
    let keys: Vec<&str> = SELECTOR_FIELDS.iter().map(|(key, _)| *key).chain(["physical"]).collect();
    let Some(selector) = section.section("deviceSelector", &keys) else {
        return Vec::new();
    };
    let mut conditions = Vec::new();
    for (key, expression) in SELECTOR_FIELDS {
        let pattern = selector.text(key);
        if pattern.contains(['"', '\\', '\n']) {
            selector.mistake(key, "must not contain quotes, backslashes or line feeds");
        } else if !pattern.is_empty() {
            conditions.push(format!("glob(\"{pattern}\", {expression})"));
        }
    }
    if selector.get("physical").is_some() {
        let operator = if selector.boolean("physical") { "==" } else { "!=" };
        conditions.push(format!("link.type {operator} 1"));
    }
    if conditions.is_empty() {
        section.mistake("deviceSelector", "selects nothing");
    }
    conditions
}

fn addresses(section: &Section<'_, '_>) -> Vec<String> {
    let texts = section.placed_texts("addresses").unwrap_or_default();
    let read = |(index, (text, at)): (usize, (String, _))| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if net.is_err() {
            let path = section.path(&format!("addresses[{index}]"));
            section.findings().mistake(at, format!("{path} must be an address or a prefix"));
        }
        net.ok().map(|net| net.to_string())
    };
    texts.into_iter().enumerate().filter_map(read).collect()
}

fn routes(section: &Section<'_, '_>) -> Vec<Route> {
    let known = ["network", "gateway", "source", "metric", "mtu"];
    let sections = section.sections("routes", &known).unwrap_or_default();
    sections.iter().map(route).collect()
}

fn route(section: &Section<'_, '_>) -> Route {
    let ip = |key: &str| {
        let text = section.text(key);
        let ip = text.parse::<IpAddr>();
        if ip.is_err() && !text.is_empty() {
            section.mistake(key, "must be an IP address");
        }
        ip.map(|ip| ip.to_string()).unwrap_or_default()
    };
    let network = section.text("network");
    let destination = network.parse::<IpNet>().ok();
    if destination.is_none() && !network.is_empty() {
        section.mistake("network", "must be a prefix such as 10.0.0.0/24");
    }
    let gateway = ip("gateway");
    // Talos 1.12 refuses a written default destination: it follows from the gateway's family.
    let specific = destination.filter(|net| net.prefix_len() != 0 || !net.addr().is_unspecified());
    if gateway.is_empty() && specific.is_none() && (network.is_empty() || destination.is_some()) {
        let text = format!("{} needs a gateway", section.path("").trim_end_matches('.'));
        section.findings().mistake(section.at(), text);
    }
    Route {
        destination: specific.map(|net| net.to_string()).unwrap_or_default(),
        gateway,
        source: ip("source"),
        metric: section.number("metric"),
        mtu: section.number("mtu"),
    }
}

fn vip(section: &Section<'_, '_>) -> String {
    let Some(vip) = section.section("vip", &["ip", "equinixMetal", "hcloud"]) else {
        return String::new();
    };
    vip.refuse(&["equinixMetal", "hcloud"]);
    vip.text("ip")
}

/// The documents in talhelper's order: aliases, DHCP, virtual addresses, links.
pub(super) fn documents(interfaces: &[Interface]) -> Vec<Document> {
    let named: Vec<(String, &Interface)> = names(interfaces).into_iter().zip(interfaces).collect();
    let mut documents = Vec::new();
    for (name, interface) in named.iter().filter(|(_, interface)| !interface.conditions.is_empty()) {
        let selector = Emit::Map(vec![text("match", &interface.conditions.join(" && "))]);
        let fields = vec![text("name", name), ("selector".into(), selector)];
        documents.push(document("LinkAliasConfig", fields));
    }
    for (name, interface) in &named {
        let kinds = [("DHCPv4Config", interface.dhcp_v4), ("DHCPv6Config", interface.dhcp_v6)];
        for (kind, _) in kinds.into_iter().filter(|(_, wanted)| *wanted) {
            let mut fields = vec![text("name", name)];
            fields.extend(number("routeMetric", interface.dhcp_metric));
            documents.push(document(kind, fields));
        }
    }
    for (name, interface) in named.iter().filter(|(_, interface)| !interface.vip.is_empty()) {
        let fields = vec![text("name", &interface.vip), text("link", name)];
        documents.push(document("Layer2VIPConfig", fields));
    }
    documents.extend(named.iter().filter_map(|(name, interface)| link(name, interface)));
    documents
}

/// Links without a name of their own become `ethSel0`, `ethSel1` …
fn names(interfaces: &[Interface]) -> Vec<String> {
    let taken: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
    let mut aliases = (0..).map(|index| format!("ethSel{index}")).filter(|alias| !taken.contains(&alias.as_str()));
    let name = |interface: &Interface| match interface.name.as_str() {
        "" => aliases.next().unwrap_or_default(),
        name => name.to_owned(),
    };
    interfaces.iter().map(name).collect()
}

fn link(name: &str, interface: &Interface) -> Option<Document> {
    let mut fields = vec![text("name", name)];
    let bare = fields.len();
    fields.extend(number("mtu", interface.mtu));
    if !interface.addresses.is_empty() {
        let addresses = interface.addresses.iter().map(|address| Emit::Map(vec![text("address", address)]));
        fields.push(("addresses".into(), Emit::List(addresses.collect())));
    }
    if !interface.routes.is_empty() {
        let routes = interface.routes.iter().map(route_fields);
        fields.push(("routes".into(), Emit::List(routes.collect())));
    }
    (fields.len() > bare).then(|| document("LinkConfig", fields))
}

fn route_fields(route: &Route) -> Emit {
    let texts = [("destination", &route.destination), ("gateway", &route.gateway), ("source", &route.source)];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
    let mut fields: Vec<_> = texts.map(|(key, value)| text(key, value)).collect();
    fields.extend(number("metric", route.metric));
    fields.extend(number("mtu", route.mtu));
    Emit::Map(fields)
}

fn number(key: &str, value: u32) -> Option<(String, Emit)> {
    (value > 0).then(|| (key.to_owned(), Emit::Bare(value.to_string())))
}

const SELECTOR_FIELDS: [(&str, &str); 5] = [
    ("hardwareAddr", "mac(link.hardware_addr)"),
    ("permanentAddr", "mac(link.permanent_addr)"),
    ("busPath", "link.bus_path"),
    ("driver", "link.driver"),
    ("pciID", "link.pciid"),
];

const DEVICE_KEYS: [&str; 16] = [
    "interface",
    "deviceSelector",
    "addresses",
    "cidr",
    "routes",
    "bond",
    "bridge",
    "bridgePort",
    "vlans",
    "mtu",
    "dhcp",
    "ignore",
    "dummy",
    "dhcpOptions",
    "wireguard",
    "vip",
];
