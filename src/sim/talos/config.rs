//! A machine configuration as a node holds it: the text, and what the pretend machine acts on.

use std::net::IpAddr;

use crate::talos::machine_config::{
    Document, MachineConfig, MachineType, Mode, Severity,
    yaml::{Node, Value, emit},
};
use crate::talos::version::TalosVersion;

/// A configuration that was accepted.
#[derive(Clone)]
pub struct Config {
    /// The text as it was sent.
    pub text: String,
    /// It parsed.
    pub parsed: MachineConfig,
}

impl Config {
    /// Reads a configuration as `configloader.NewFromBytes` of that version does.
    pub fn load(text: &[u8], version: &TalosVersion) -> Result<Self, String> {
        let text = String::from_utf8_lossy(text).into_owned();
        let parsed = super::decode::read(&text, version)?;
        Ok(Self { text, parsed })
    }

    /// Validates as a node of that version does; an installed machine never needs an install section, which is what the cloud mode
    /// means too. Answers the warnings.
    pub fn validate(&self, version: &TalosVersion) -> Result<Vec<String>, String> {
        let problems = self.parsed.validate_for(Mode::Cloud, version);
        let errors: Vec<_> =
            problems.iter().filter(|p| p.severity == Severity::Error).map(|p| format!("\t* {}\n", p.message)).collect();
        if !errors.is_empty() {
            // The shape of hashicorp/go-multierror, which Talos prints here.
            let count = if errors.len() == 1 { "1 error".to_owned() } else { format!("{} errors", errors.len()) };
            return Err(format!("{count} occurred:\n{}\n", errors.concat()));
        }
        Ok(problems.into_iter().map(|problem| problem.message).collect())
    }

    /// Whether there is a v1alpha1 document.
    pub fn is_complete(&self) -> bool {
        self.parsed.v1alpha1().is_some()
    }

    /// Whether it makes the machine a control plane node.
    pub fn is_control_plane(&self) -> bool {
        matches!(self.parsed.machine_type(), Some(MachineType::ControlPlane | MachineType::Init))
    }

    /// `worker`, `controlplane`, or `partial`.
    pub fn kind(&self) -> &'static str {
        match (self.is_complete(), self.is_control_plane()) {
            (false, _) => "partial",
            (true, true) => "controlplane",
            (true, false) => "worker",
        }
    }

    /// The environment of an extension service, when it is configured.
    pub fn extension_environment(&self, name: &str) -> Option<Vec<String>> {
        let services = self.parsed.extension_services();
        services.into_iter().find(|service| service.name == name).map(|service| service.environment)
    }

    /// A value of a text field by path.
    pub fn text_at(&self, path: &str) -> Option<String> {
        Some(self.parsed.get(path)?.as_str()?.to_owned()).filter(|text| !text.is_empty())
    }

    /// Additional names of the API certificate, as addresses and as names.
    pub fn sans(&self) -> (Vec<IpAddr>, Vec<String>) {
        let mut ips = Vec::new();
        let mut names = Vec::new();
        for san in self.parsed.cert_sans() {
            match san.parse() {
                Ok(ip) => ips.push(ip),
                Err(_) => names.push(san),
            }
        }
        (ips, names)
    }

    /// Addresses that the configuration gives to interfaces, without their prefixes.
    pub fn static_addresses(&self) -> Vec<IpAddr> {
        let interfaces = self.parsed.get("machine.network.interfaces").and_then(|node| node.as_sequence());
        let addresses = interfaces.unwrap_or_default().iter().filter_map(|one| one.get("addresses")?.as_sequence());
        let old = addresses.flatten().filter_map(|address| ip(address.as_str()?));
        let links = self.parsed.of_kind("LinkConfig").filter_map(|link| link.root().get("addresses")?.as_sequence());
        old.chain(links.flatten().filter_map(|address| ip(address.get("address")?.as_str()?))).collect()
    }

    /// Why a static configuration of the machine's own interface leads nowhere; `None` when it works, or when there is
    /// none and DHCP does it.
    pub fn network_trouble(&self, mac: &str, private_ip: IpAddr) -> Option<String> {
        let (addresses, leads_out) = self.own_interface(mac).or_else(|| self.own_link(mac))?;
        if addresses.is_empty() {
            return None;
        }
        if !addresses.iter().any(|address| ip(address) == Some(private_ip)) {
            return Some(format!("{} is not the address of this machine in its subnet", addresses.join(", ")));
        }
        (!leads_out).then(|| "there is no default route".to_owned())
    }

    /// The addresses of the interface in the v1alpha1 document, and whether it has a default route; none with DHCP.
    fn own_interface(&self, mac: &str) -> Option<(Vec<String>, bool)> {
        let interfaces = self.parsed.get("machine.network.interfaces").and_then(|node| node.as_sequence())?;
        let own = interfaces.iter().find(|interface| {
            let selected = interface.get("deviceSelector").and_then(|s| s.get("hardwareAddr")?.as_str());
            let named = interface.get("interface").and_then(|name| name.as_str());
            selected.is_some_and(|found| found.eq_ignore_ascii_case(mac)) || named == Some("eth0")
        })?;
        let addresses = own.get("addresses")?.as_sequence()?.iter().filter_map(|address| address.as_str());
        let dhcp = own.get("dhcp").and_then(|dhcp| dhcp.as_bool()) == Some(true);
        let addresses = addresses.filter(|_| !dhcp).map(str::to_owned).collect();
        Some((addresses, has_default_route(own, "network")))
    }

    /// The same of the documents: LinkConfig by the interface's name or by an alias that selects its MAC address.
    fn own_link(&self, mac: &str) -> Option<(Vec<String>, bool)> {
        let text = |document: &Document, path: &str| {
            document.root().at(path).and_then(|node| node.as_str()).unwrap_or_default().to_owned()
        };
        let by_mac =
            |alias: &&Document| text(alias, "selector.match").to_ascii_lowercase().contains(&mac.to_ascii_lowercase());
        let alias = self.parsed.of_kind("LinkAliasConfig").find(by_mac).map(|alias| text(alias, "name"));
        let is_own = |name: &str| name == "eth0" || Some(name) == alias.as_deref();
        let link = self.parsed.of_kind("LinkConfig").find(|link| is_own(&text(link, "name")))?;
        let dhcp = self.parsed.of_kind("DHCPv4Config").any(|dhcp| is_own(&text(dhcp, "name")));
        let addresses = link.root().get("addresses").and_then(|list| list.as_sequence()).unwrap_or_default();
        let addresses = addresses.iter().filter_map(|address| address.get("address")?.as_str());
        let addresses = addresses.filter(|_| !dhcp).map(str::to_owned).collect();
        Some((addresses, has_default_route(link.root(), "destination")))
    }

    /// What a change to `new` needs a reboot for in Talos before 1.14 (v1.12.2
    /// internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_runtime.go CanApplyImmediate): the v1alpha1 document as it is,
    /// and with what of the new one lies outside the list. `None` when nothing does.
    pub fn needs_reboot_for(&self, new: &Self) -> Option<(String, String)> {
        let (old, new) = (self.parsed.v1alpha1()?.root(), new.parsed.v1alpha1()?.root());
        let mut mixed = with_changes(old, new, |key| !matches!(key, "cluster" | "debug" | "machine"));
        if let (Some(old), Some(new)) = (old.get("machine"), new.get("machine")) {
            let mut machine = with_changes(old, new, |key| !IMMEDIATE.contains(&key) && key != "features");
            match (old.get("features"), new.get("features")) {
                (Some(old), Some(new)) => {
                    let features = with_changes(old, new, |key| !IMMEDIATE_FEATURES.contains(&key));
                    put(&mut machine, "features", Some(features));
                }
                (_, features) => put(&mut machine, "features", features.cloned()),
            }
            put(&mut mixed, "machine", Some(machine));
        }
        (!mixed.same_content(old)).then(|| (emit([old]), emit([&mixed])))
    }
}

/// A mapping with those keys of another that are chosen; what both lack or have empty stays as it is.
fn with_changes(old: &Node, new: &Node, chosen: impl Fn(&str) -> bool) -> Node {
    let mut out = old.clone();
    let keys = |node: &Node| -> Vec<String> {
        let entries = node.as_mapping().unwrap_or_default();
        entries.iter().filter_map(|entry| entry.key.as_str().map(str::to_owned)).collect()
    };
    for key in keys(old).into_iter().chain(keys(new)).filter(|key| chosen(key)) {
        let (before, after) = (old.get(&key), new.get(&key));
        let filled = |node: Option<&Node>| node.is_some_and(|node| !is_empty(node));
        if filled(before) || filled(after) {
            put(&mut out, &key, after.cloned());
        }
    }
    out
}

/// Sets a key of a mapping, or takes it out.
fn put(mapping: &mut Node, key: &str, value: Option<Node>) {
    let Value::Mapping(entries) = &mut mapping.value else { return };
    let at = entries.iter().position(|entry| entry.key.as_str() == Some(key));
    match (at, value) {
        (Some(at), Some(value)) => entries[at].value = value,
        (Some(at), None) => drop(entries.remove(at)),
        (None, Some(value)) => {
            if let Value::Mapping(more) = Node::mapping([(key, value)]).value {
                entries.extend(more);
            }
        }
        (None, None) => {}
    }
}

/// The address of `10.0.0.2/24`.
fn ip(address: &str) -> Option<IpAddr> {
    address.split('/').next()?.parse().ok()
}

fn has_default_route(interface: &Node, destination: &str) -> bool {
    let routes = interface.get("routes").and_then(|routes| routes.as_sequence()).unwrap_or_default();
    routes.iter().any(|route| {
        let text = |key: &str| route.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        matches!(text(destination), "" | "0.0.0.0/0") && !text("gateway").is_empty()
    })
}

fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.as_str() == Some("")
        || node.as_sequence().is_some_and(<[_]>::is_empty)
        || node.as_mapping().is_some_and(<[_]>::is_empty)
}

const IMMEDIATE: &[&str] = &[
    "ca",
    "acceptedCAs",
    "time",
    "certSANs",
    "install",
    "network",
    "sysfs",
    "sysctls",
    "logging",
    "controlPlane",
    "kubelet",
    "kernel",
    "registries",
    "pods",
    "seccompProfiles",
    "nodeLabels",
    "nodeAnnotations",
    "nodeTaints",
];

const IMMEDIATE_FEATURES: &[&str] =
    &["kubernetesTalosAPIAccess", "kubePrism", "hostDNS", "imageCache", "nodeAddressSortAlgorithm"];

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(machine: &str, cluster: &str) -> Config {
        let text = format!("version: v1alpha1\nmachine:\n{machine}cluster:\n{cluster}");
        Config::load(text.as_bytes(), &"v1.12.2".parse().expect("a version")).expect("a configuration")
    }

    #[test]
    fn the_address_of_a_link_document_is_held_against_the_machine() {
        let trouble = |document: &str| {
            let text = format!("machine: {{type: worker}}\n---\napiVersion: v1alpha1\n{document}");
            let config =
                Config::load(text.as_bytes(), &"v1.12.2".parse().expect("a version")).expect("a configuration");
            config.network_trouble("02:00:17:00:00:01", [10, 0, 0, 5].into())
        };
        let route = "routes: [{gateway: 10.0.0.1}]\n";
        let link = |address: &str, more: &str| {
            format!("kind: LinkConfig\nname: eth0\naddresses: [{{address: {address}}}]\n{more}")
        };
        assert_eq!(trouble(&link("10.0.0.5/24", route)), None);
        assert!(trouble(&link("10.0.0.6/24", route)).is_some_and(|words| words.contains("10.0.0.6/24")));
        assert!(trouble(&link("10.0.0.5/24", "")).is_some_and(|words| words.contains("default route")));
        let dhcp = "---\napiVersion: v1alpha1\nkind: DHCPv4Config\nname: eth0\n";
        assert_eq!(trouble(&link("10.0.0.6/24", dhcp)), None);
        let alias = "---\napiVersion: v1alpha1\nkind: LinkAliasConfig\nname: net0\nselector: {match: 'mac(link.permanent_addr) == \"02:00:17:00:00:01\"'}\n";
        let aliased = link("10.0.0.6/24", route).replace("eth0", "net0") + alias;
        assert!(trouble(&aliased).is_some());
    }

    #[test]
    fn a_change_of_type_needs_a_reboot_and_a_change_of_names_does_not() {
        let base = config("  type: controlplane\n  certSANs: [a]\n", "  clusterName: x\n");
        let renamed = config("  type: controlplane\n  certSANs: [b]\n", "  clusterName: y\n");
        assert_eq!(base.needs_reboot_for(&renamed), None);
        let worker = config("  type: worker\n  certSANs: [a]\n", "  clusterName: x\n");
        let (old, mixed) = base.needs_reboot_for(&worker).expect("a reboot");
        // Only what needs one is in the difference.
        assert_eq!(old.replace("type: controlplane", "type: worker"), mixed);
        let base = config("  type: worker\n  features: {rbac: true, hostDNS: {enabled: true}}\n", "  clusterName: x\n");
        let dns = config("  type: worker\n  features: {rbac: true, hostDNS: {enabled: false}}\n", "  clusterName: x\n");
        assert_eq!(base.needs_reboot_for(&dns), None);
        let rbac =
            config("  type: worker\n  features: {rbac: false, hostDNS: {enabled: false}}\n", "  clusterName: x\n");
        let (old, mixed) = base.needs_reboot_for(&rbac).expect("a reboot");
        assert_eq!(old.replace("rbac: true", "rbac: false"), mixed);
    }
}
