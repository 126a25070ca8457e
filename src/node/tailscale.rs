//! What Tailscale needs to carry a node to a cluster at home.
//!
//! The extension runs containerboot, whose variables are those of the service's environment.

use std::net::IpAddr;

use crate::node::checks::Subject;
use crate::node::finding::Findings;
use crate::talos::machine_config::ExtensionService;
use crate::talos::machine_config::yaml::Node;
use crate::talos::schematic::{Parts, Schematic};

const EXTENSION: &str = "siderolabs/tailscale";

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let services = subject.config.extension_services();
    let service = services.iter().find(|service| service.name == "tailscale");
    extension(subject, service.is_some(), findings);
    let Some(service) = service else {
        path_to_the_cluster(subject, findings);
        return;
    };
    kubespan(subject, findings);
    if subject.open.services {
        return;
    }
    auth_key(subject, service, findings);
    accepted_routes(subject, service, findings);
}

fn extension(subject: &Subject<'_>, wanted: bool, findings: &mut Findings) {
    let Some(has) = has_extension(subject) else { return };
    if wanted && !has {
        findings.error(
            "tailscale-extension-missing",
            "image",
            format!("the configuration has an ExtensionServiceConfig for tailscale, but the schematic does not have {EXTENSION}"),
            format!("add {EXTENSION:?} to the extensions of the image"),
        );
    }
    if has && !wanted && !subject.open.services {
        findings.warning(
            "tailscale-service-missing",
            subject.place.at("machine.extension_services"),
            format!("the schematic has {EXTENSION}, but no ExtensionServiceConfig gives it a key: its service would wait for ever"),
            "add an extension service tailscale with TS_AUTHKEY, or take the extension out of the image",
        );
    }
}

/// Whether the image has the extension. Of an id alone that can be told for two schematics only.
fn has_extension(subject: &Subject<'_>) -> Option<bool> {
    let image = subject.image?;
    if let Some(schematic) = image.schematic_yaml.as_deref().and_then(|yaml| Schematic::parse(yaml).ok()) {
        return Some(schematic.extensions().iter().any(|name| name == EXTENSION));
    }
    let id_of = |extensions: &[&str]| {
        let extensions = extensions.iter().map(|name| (*name).to_owned()).collect();
        Schematic::from_parts(Parts { extensions, ..Parts::default() }).id()
    };
    if image.schematic == id_of(&[EXTENSION]) {
        Some(true)
    } else if image.schematic == id_of(&[]) {
        Some(false)
    } else {
        None
    }
}

fn auth_key(subject: &Subject<'_>, service: &ExtensionService, findings: &mut Findings) {
    // A configuration file may hold the key instead.
    if variable(service, "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR").is_some() {
        return;
    }
    let attribute = || subject.place.at("machine.extension_services");
    let key = variable(service, "TS_AUTHKEY").or_else(|| variable(service, "TS_AUTH_KEY")).unwrap_or_default();
    if key.is_empty() {
        findings.error(
            "tailscale-auth-key-missing",
            attribute(),
            "the extension service tailscale has no TS_AUTHKEY: the node could not log in to the tailnet",
            "add TS_AUTHKEY with a key from the admin console of Tailscale",
        );
        return;
    }
    let other_server = has_flag(service, "--login-server").is_some();
    if !key.starts_with("tskey-") && !key.starts_with("file:") && !other_server {
        findings.error(
            "tailscale-auth-key-shape",
            attribute(),
            "TS_AUTHKEY is not shaped like a key of Tailscale, which begins with tskey-",
            "copy the whole key from the admin console; a variable that was not put in shows here too",
        );
    }
    if key.starts_with("tskey-api-") {
        findings.error(
            "tailscale-auth-key-shape",
            attribute(),
            "TS_AUTHKEY is a key for Tailscale's API, which no node can log in with",
            "make an auth key (tskey-auth-…) in the admin console",
        );
    }
    tags(subject, service, key, findings);
}

fn tags(subject: &Subject<'_>, service: &ExtensionService, key: &str, findings: &mut Findings) {
    let tags = has_flag(service, "--advertise-tags").filter(|tags| !tags.is_empty());
    if key.starts_with("tskey-client-") && tags.is_none() {
        findings.error(
            "tailscale-tags",
            subject.place.at("machine.extension_services"),
            "TS_AUTHKEY is an OAuth client secret, with which a node logs in only under a tag",
            "add --advertise-tags=tag:… to TS_EXTRA_ARGS, with a tag that the client owns",
        );
    } else if let Some(tags) = tags.filter(|_| key.starts_with("tskey-auth-")) {
        findings.warning(
            "tailscale-tags",
            subject.place.at("machine.extension_services"),
            format!("TS_EXTRA_ARGS advertises {tags}: the login fails unless the key was made for these tags"),
            "make the auth key with these tags, or leave --advertise-tags out: a tagged key tags the node by itself",
        );
    }
}

/// The subnet router advertises the control plane's addresses; a node takes them only when told so.
fn accepted_routes(subject: &Subject<'_>, service: &ExtensionService, findings: &mut Findings) {
    let Some(address) = far_control_plane(subject) else { return };
    let accepted = has_flag(service, "--accept-routes").is_some_and(|value| value.is_empty() || value == "true");
    if !accepted {
        findings.error(
            "tailscale-accept-routes",
            subject.place.at("machine.extension_services"),
            format!("the control plane at {address} is private and not in the node's network, but the node does not accept the routes of the tailnet"),
            "add --accept-routes to TS_EXTRA_ARGS",
        );
    }
}

fn kubespan(subject: &Subject<'_>, findings: &mut Findings) {
    let old = subject.config.get("machine.network.kubespan.enabled").and_then(Node::as_bool);
    let new =
        subject.config.of_kind("KubeSpanConfig").next().and_then(|document| document.root().get("enabled")?.as_bool());
    if old == Some(true) || new == Some(true) {
        findings.warning(
            "kubespan-beside-tailscale",
            subject.place.at("machine.kubespan"),
            "KubeSpan is on beside Tailscale: both lay routes to the other nodes, and they get in each other's way",
            "switch KubeSpan off, or leave Tailscale out",
        );
    }
}

fn path_to_the_cluster(subject: &Subject<'_>, findings: &mut Findings) {
    let other = subject.config.get("machine.network.kubespan.enabled").and_then(Node::as_bool) == Some(true)
        || ["KubeSpanConfig", "WireguardConfig"].iter().any(|kind| subject.config.of_kind(kind).next().is_some());
    if subject.open.services || other {
        return;
    }
    if let Some(address) = far_control_plane(subject) {
        findings.warning(
            "control-plane-path",
            subject.place.at("cluster.endpoint"),
            format!("the control plane at {address} is private and not in the node's network, and nothing in the configuration leads there"),
            "add the extension service tailscale, unless the network of the instance is connected to it (VPN, FastConnect, peering)",
        );
    }
}

/// The control plane's address if only something like Tailscale leads there: it is private, and in no network that the
/// node may share with it. A VCN is at most a /16.
fn far_control_plane(subject: &Subject<'_>) -> Option<IpAddr> {
    if subject.open.cluster_endpoint || subject.open.addresses {
        return None;
    }
    let url = url::Url::parse(&subject.config.cluster_endpoint()?).ok()?;
    let address: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    let IpAddr::V4(v4) = address else { return None };
    let near = subject.layout.addresses.iter().any(|net| match net.addr() {
        IpAddr::V4(own) => own.octets()[..2] == v4.octets()[..2],
        IpAddr::V6(_) => false,
    });
    // Without static addresses the node's network is not known.
    (v4.is_private() && !near && !subject.layout.addresses.is_empty()).then_some(address)
}

fn variable<'a>(service: &'a ExtensionService, name: &str) -> Option<&'a str> {
    service.environment.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The value of a flag in `TS_EXTRA_ARGS`: empty when it has none, `None` when it is not there.
fn has_flag<'a>(service: &'a ExtensionService, flag: &str) -> Option<&'a str> {
    let mut words = variable(service, "TS_EXTRA_ARGS")?.split_whitespace();
    while let Some(word) = words.next() {
        // Go takes one dash or two.
        let bare = word.trim_start_matches('-');
        let (name, value) = bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
        if word.starts_with('-') && name == flag.trim_start_matches('-') {
            let next = || words.next().filter(|next| !next.starts_with('-')).unwrap_or_default();
            return Some(value.unwrap_or_else(next));
        }
    }
    None
}
