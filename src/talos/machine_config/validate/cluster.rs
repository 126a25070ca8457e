//! The `cluster` section of the v1alpha1 document.

use std::collections::HashSet;

use super::super::types::url::Url;
use super::super::yaml::Node;
use super::notation::{endpoint, is_dns_name, is_subnet_or_address};
use super::{Read, Report};

pub(super) fn validate(cluster: Option<&Node>, control_plane: bool, report: &mut Report) {
    let Some(cluster) = cluster.filter(|cluster| !cluster.is_null()) else {
        report.error("cluster", "cluster instructions are required");
        return;
    };
    match cluster.at("controlPlane.endpoint").and_then(Node::as_str) {
        // Since 1.14 KubeClusterConfig may have it.
        None if !cluster.has("controlPlane") && !report.releases.before(14) => {}
        None => {
            report.error("cluster.controlPlane.endpoint", "cluster controlplane endpoint is required");
            return;
        }
        Some(url) => {
            if let Err(message) = endpoint(url) {
                report.error("cluster.controlPlane.endpoint", format!("invalid controlplane endpoint: {message}"));
            }
        }
    }
    let domain = cluster.text("network.dnsDomain");
    if !domain.is_empty() && !is_dns_name(domain) {
        report.error("cluster.network.dnsDomain", format!("{domain:?} is not a valid DNS name"));
    }
    external_provider(cluster, report);
    if let Some(etcd) = cluster.get("etcd") {
        if control_plane {
            validate_etcd(etcd, report);
        } else {
            report.error("cluster.etcd", "etcd config is only allowed on control plane machines");
        }
    }
    if !control_plane && !cluster.text("ca.key").is_empty() {
        report.error("cluster.ca.key", "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)");
    }
    inline_manifests(cluster, report);
    discovery(cluster, report);
    api_server(cluster, report);
    for (field, name) in [("controllerManager", "controller-manager"), ("scheduler", "scheduler")] {
        resources(cluster, field, name, report);
    }
}

/// The network plugin, which matters on control planes only.
pub(super) fn network_plugin(cluster: Option<&Node>, report: &mut Report) {
    const PATH: &str = "cluster.network.cni";
    let plugin = cluster.and_then(|cluster| cluster.at("network.cni"));
    let name = plugin.map_or("flannel", |plugin| plugin.text("name"));
    let urls = plugin.map_or(&[][..], |plugin| plugin.items("urls"));
    let arguments = plugin.map_or(&[][..], |plugin| plugin.items("flannel.extraArgs"));
    match name {
        "flannel" | "none" if !urls.is_empty() => {
            report.error(PATH, format!("\"urls\" field should be empty for {name:?} CNI"));
        }
        "flannel" | "none" => {}
        "custom" => {
            if urls.is_empty() {
                report.warning(PATH, "\"urls\" field should not be empty for \"custom\" CNI");
            }
            for url in urls {
                if let Err(message) = endpoint(url.text("")) {
                    report.error(format!("{PATH}.urls"), message);
                }
            }
        }
        _ => report.error(PATH, "cni name should be one of [\"flannel\", \"custom\", \"none\"]"),
    }
    if matches!(name, "none" | "custom") && !arguments.is_empty() {
        report.error(PATH, format!("\"flanneldExtraArgs\" field should be empty for {name:?} CNI"));
    }
    if matches!(name, "none" | "custom")
        && plugin.is_some_and(|plugin| plugin.flag("flannel.kubeNetworkPoliciesEnabled"))
    {
        report.error(PATH, format!("\"flannelKubeNetworkPoliciesEnabled\" should not be enabled for {name:?} CNI"));
    }
}

fn external_provider(cluster: &Node, report: &mut Report) {
    const PATH: &str = "cluster.externalCloudProvider";
    let Some(provider) = cluster.get("externalCloudProvider") else { return };
    let manifests = provider.items("manifests");
    if !provider.flag("enabled") {
        if !manifests.is_empty() {
            report.error(PATH, "external cloud provider is disabled, but manifests are provided");
        }
        return;
    }
    for url in manifests.iter().map(|item| item.text("")) {
        if let Err(message) = endpoint(url) {
            report.error(PATH, format!("invalid external cloud provider manifest url {url:?}: {message}"));
        }
    }
}

fn validate_etcd(etcd: &Node, report: &mut Report) {
    if !etcd.has("ca") {
        report.error("cluster.etcd.ca", "key/cert combination should not be empty");
    }
    let single = etcd.text("subnet");
    let advertised = etcd.items("advertisedSubnets");
    if !single.is_empty() && !advertised.is_empty() {
        report.error("cluster.etcd.subnet", "etcd subnet can't be set when advertised subnets are set");
    }
    let texts = |items: &[Node]| items.iter().map(|item| item.text("").to_owned()).collect::<Vec<_>>();
    let advertises = match (advertised, single) {
        ([], "") => Vec::new(),
        ([], single) => vec![single.to_owned()],
        (advertised, _) => texts(advertised),
    };
    let listens = match etcd.items("listenSubnets") {
        [] => texts(advertised),
        listens => texts(listens),
    };
    for (what, subnets) in [("advertised", advertises), ("listen", listens)] {
        for subnet in subnets.iter().filter(|subnet| !is_subnet_or_address(subnet)) {
            report.error(format!("cluster.etcd.{what}Subnets"), format!("etcd {what} subnet is not valid: {subnet:?}"));
        }
    }
}

fn inline_manifests(cluster: &Node, report: &mut Report) {
    let mut names = HashSet::new();
    for (index, manifest) in cluster.items("inlineManifests").iter().enumerate() {
        let path = format!("cluster.inlineManifests[{index}].name");
        let name = manifest.text("name");
        if name.trim().is_empty() {
            report.error(&path, "inline manifest name can't be empty");
        }
        if !names.insert(name) {
            report.error(&path, format!("inline manifest name {name:?} is duplicate"));
        }
    }
}

fn discovery(cluster: &Node, report: &mut Report) {
    const PATH: &str = "cluster.discovery.registries.service";
    let Some(discovery) = cluster.get("discovery").filter(|discovery| discovery.flag("enabled")) else { return };
    if discovery.flag("registries.service.disabled") {
        return;
    }
    let text = discovery.text("registries.service.endpoint");
    if !text.is_empty() {
        // `url.ParseRequestURI` wants an absolute URL or path, and knows no fragment.
        match Url::parse(text) {
            Ok(url) if !url.scheme.is_empty() && url.opaque.is_empty() || text.starts_with('/') => {
                let path = text.split_once('#').map_or(url.path.as_str(), |_| "#");
                if !path.is_empty() && path != "/" {
                    report.error(format!("{PATH}.endpoint"), "cluster discovery service path should be empty");
                }
            }
            Ok(url) if !url.opaque.is_empty() => {}
            Ok(_) => report.error(format!("{PATH}.endpoint"), "cluster discovery service registry endpoint is invalid"),
            Err(message) => {
                let message = format!("cluster discovery service registry endpoint is invalid: {message}");
                report.error(format!("{PATH}.endpoint"), message);
            }
        }
    }
    for field in ["id", "secret"] {
        if cluster.text(field).is_empty() {
            report.error(format!("cluster.{field}"), format!("cluster discovery service requires .cluster.{field}"));
        }
    }
}

fn api_server(cluster: &Node, report: &mut Report) {
    const PATH: &str = "cluster.apiServer";
    let Some(server) = cluster.get("apiServer") else { return };
    if let Some(authorizers) = server.get("authorizationConfig") {
        for entry in server.get("extraArgs").and_then(Node::as_mapping).unwrap_or_default() {
            let name = entry.key.as_str().unwrap_or_default();
            if name == "authorization-mode" || name.starts_with("authorization-webhook-") {
                report.error(
                    format!("{PATH}.extraArgs"),
                    format!("{name} cannot be used in conjunction with AuthorizationConfig"),
                );
                return;
            }
        }
        for (index, authorizer) in authorizers.as_sequence().unwrap_or_default().iter().enumerate() {
            let message = match (authorizer.text("type"), authorizer.text("name")) {
                ("", _) => "authorizer type must be set",
                (_, "") => "authorizer name must be set",
                ("Node" | "RBAC" | "Webhook", _) => continue,
                _ => "authorizer type is not allowed, allowed types are [Node RBAC Webhook]",
            };
            report.error(
                format!("{PATH}.authorizationConfig[{index}]"),
                format!("apiserver authorization config validation failed: {message}"),
            );
            return;
        }
    }
    resources(cluster, "apiServer", "apiserver", report);
}

fn resources(cluster: &Node, field: &str, name: &str, report: &mut Report) {
    for part in ["requests", "limits"] {
        let path = format!("{field}.resources.{part}");
        let unknown = cluster.at(&path).and_then(Node::as_mapping).unwrap_or_default().iter();
        let unknown = unknown.filter_map(|entry| entry.key.as_str()).find(|key| !["memory", "cpu"].contains(key));
        if let Some(key) = unknown {
            let message = format!("{name} resource validation failed: unsupported pod resource {key:?}");
            report.error(format!("cluster.{path}"), message);
            return;
        }
    }
}
