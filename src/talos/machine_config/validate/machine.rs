//! The v1alpha1 document (Talos `types/v1alpha1/v1alpha1_validation.go`).

use std::collections::HashSet;

use super::super::yaml::Node;
use super::notation::is_subnet_or_address;
use super::{Mode, Read, Report, cluster, devices, k8s, labels, oci};

/// What `machine.type` means.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    ControlPlane,
    Worker,
    Unknown,
}

impl Role {
    /// The role in a v1alpha1 document with a machine section.
    pub(super) fn of(root: &Node) -> Self {
        match root.text("machine.type") {
            "init" | "controlplane" => Self::ControlPlane,
            "worker" | "join" | "" => Self::Worker,
            _ => Self::Unknown,
        }
    }
}

pub(super) fn validate(root: &Node, mode: Mode, report: &mut Report) {
    let Some(machine) = root.get("machine").filter(|machine| !machine.is_null()) else {
        report.error("machine", "machine instructions are required");
        return;
    };
    let kind = machine.text("type");
    let role = Role::of(root);
    deprecations(machine, report);
    cluster::validate(root.get("cluster"), role == Role::ControlPlane, report);
    if mode == Mode::Metal {
        install(machine, report);
    }
    host_dns(machine, report);
    if kind == "join" || kind.is_empty() {
        report.warning("machine.type", format!("use \"worker\" instead of {kind:?} for machine type"));
    }
    if role == Role::Unknown && kind != "unknown" {
        report.error("machine.type", format!("unknown machine type {kind:?}"));
    } else if role == Role::Unknown {
        report.error("machine.type", "unknown machine type");
    }
    authority(machine, role, report);
    if role == Role::ControlPlane {
        cluster::network_plugin(root.get("cluster"), report);
    }
    if role == Role::Worker {
        worker(root, machine, report);
    }
    if let Some(network) = machine.get("network") {
        devices::validate(network, report);
    }
    kube_span(root, machine, report);
    disks(machine, report);
    kubelet(machine, report);
    encryption(machine, report);
    logging(machine, report);
    extensions(machine, report);
    labels::validate(machine, "machine.", ["nodeLabels", "nodeAnnotations", "nodeTaints"], report);
    features(machine, role, report);
    if root.get("persist").and_then(Node::as_bool) == Some(false) {
        report.error("persist", ".persist should be enabled");
    }
    oci::validate(machine.get("baseRuntimeSpecOverrides"), "machine.baseRuntimeSpecOverrides", report);
    registries(machine, report);
}

fn install(machine: &Node, report: &mut Report) {
    let Some(install) = machine.get("install") else {
        // Since 1.14 installing is a matter of UnattendedInstallConfig.
        if report.releases.before(14) {
            report.error("machine.install", "install instructions are required in \"metal\" mode");
        }
        return;
    };
    let selector = install.get("diskSelector");
    let broken = selector.and_then(|selector| match (selector.text("name"), selector.text("type")) {
        ("", "" | "nvme" | "sd" | "hdd" | "ssd") => None,
        ("", kind) => Some(format!("unsupported disk type {kind:?}")),
        _ => Some("selector on name is not supported".into()),
    });
    if let Some(message) = &broken {
        report.error("machine.install.diskSelector", format!("install disk selector is invalid: {message}"));
    }
    if install.text("disk").is_empty() && (selector.is_none() || broken.is_some()) {
        report.error("machine.install", "either install disk or diskSelector should be defined");
    }
    if !install.items("extraKernelArgs").is_empty() && install.flag("grubUseUKICmdline") {
        let message = "install.extraKernelArgs and install.grubUseUKICmdline can't be used together";
        report.error("machine.install", message);
    }
}

/// Talos v1.13 and v1.14 `pkg/machinery/config/types/v1alpha1/v1alpha1_validation.go`.
fn host_dns(machine: &Node, report: &mut Report) {
    let forwards = machine.flag("features.hostDNS.forwardKubeDNSToHost");
    if forwards && !machine.flag("features.hostDNS.enabled") && report.releases.reach(13) {
        let message = "feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true";
        report.error("machine.features.hostDNS", message);
    }
}

/// What 1.14 has documents for (Talos v1.14 `v1alpha1_validation.go`); nobody else can do without.
fn deprecations(machine: &Node, report: &mut Report) {
    if !report.releases.all_from(14) {
        return;
    }
    if !machine.items("files").is_empty() {
        report.warning("machine.files", ".machine.files is deprecated, use documents made for the purpose");
    }
    if machine.has("baseRuntimeSpecOverrides") {
        let message = ".machine.baseRuntimeSpecOverrides is deprecated, use a CRIBaseRuntimeSpecConfig document";
        report.warning("machine.baseRuntimeSpecOverrides", message);
    }
}

fn authority(machine: &Node, role: Role, report: &mut Report) {
    let ca = machine.get("ca");
    let accepted = machine.items("acceptedCAs");
    if ca.is_none() && accepted.is_empty() {
        let message = "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)";
        report.error("machine.ca", message);
    }
    match (role, ca) {
        (Role::ControlPlane, None) => report.error("machine.ca", "issuing CA is required (.machine.ca)"),
        (Role::ControlPlane, Some(ca)) if ca.text("key").is_empty() => {
            report.error("machine.ca.key", "issuing CA key is required for controlplane nodes (.machine.ca.key)");
        }
        (Role::Worker, Some(ca)) => {
            if !ca.text("key").is_empty() {
                let message = "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)";
                report.error("machine.ca.key", message);
            }
            if ca.text("crt").is_empty() && accepted.is_empty() {
                let message = "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)";
                report.error("machine.ca.crt", message);
            }
        }
        _ => {}
    }
}

fn worker(root: &Node, machine: &Node, report: &mut Report) {
    for (index, device) in machine.items("network.interfaces").iter().enumerate() {
        let path = format!("machine.network.interfaces[{index}]");
        let vips = std::iter::once((path.clone(), device.has("vip")));
        let vlans = device.items("vlans").iter().enumerate();
        let vips = vips.chain(vlans.map(|(vlan, node)| (format!("{path}.vlans[{vlan}]"), node.has("vip"))));
        for (path, _) in vips.filter(|(_, vip)| *vip) {
            report.error(format!("{path}.vip"), "virtual (shared) IP is not allowed on non-controlplane nodes");
        }
    }
    if !root.text("cluster.ca.key").is_empty() {
        let message = "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)";
        report.error("cluster.ca.key", message);
    }
}

fn kube_span(root: &Node, machine: &Node, report: &mut Report) {
    const PATH: &str = "machine.network.kubespan";
    let Some(span) = machine.at("network.kubespan").filter(|span| span.flag("enabled")) else { return };
    if !matches!(span.int("mtu"), 0 | 1280..) {
        report.error(format!("{PATH}.mtu"), "kubespan link MTU must be at least 1280");
    }
    // Since 1.14 another document may have these.
    if report.releases.before(14) {
        if !root.flag("cluster.discovery.enabled") {
            report.error(PATH, ".cluster.discovery should be enabled when .machine.network.kubespan is enabled");
        }
        for field in ["id", "secret"] {
            if root.text(&format!("cluster.{field}")).is_empty() {
                report.error(PATH, format!(".cluster.{field} should be set when .machine.network.kubespan is enabled"));
            }
        }
    }
    for subnet in span.items("filters.endpoints").iter().map(|item| item.text("")) {
        if !is_subnet_or_address(subnet) {
            report.error(
                format!("{PATH}.filters.endpoints"),
                format!("KubeSpan endpoint filter is not valid: {subnet:?}"),
            );
        }
    }
    for subnet in span.items("filters.excludeAdvertisedNetworks").iter().map(|item| item.text("")) {
        if super::super::types::text::prefix(subnet).is_none() {
            let message = format!("KubeSpan exclude advertised networks filter is not valid: {subnet:?}");
            report.error(format!("{PATH}.filters.excludeAdvertisedNetworks"), message);
        }
    }
}

fn disks(machine: &Node, report: &mut Report) {
    for (index, disk) in machine.items("disks").iter().enumerate() {
        let path = format!("machine.disks[{index}]");
        if disk.is_null() {
            report.error(&path, format!("machine.disks[{index}] is null"));
            continue;
        }
        let partitions = disk.items("partitions");
        let all_but_last = partitions.len().saturating_sub(1);
        for (index, _) in partitions.iter().enumerate().take(all_but_last).filter(|(_, node)| !node.has("size")) {
            let message = "the partition is set to occupy the full disk, but it's not the last partition in the list";
            report.error(format!("{path}.partitions[{index}]"), message);
        }
    }
}

fn kubelet(machine: &Node, report: &mut Report) {
    let Some(kubelet) = machine.get("kubelet") else { return };
    for subnet in kubelet.items("nodeIP.validSubnets").iter().map(|item| item.text("")) {
        if !is_subnet_or_address(subnet) {
            let message = format!("kubelet nodeIP subnet is not valid: {subnet:?}");
            report.error("machine.kubelet.nodeIP.validSubnets", message);
        }
    }
    for field in
        k8s::PROTECTED.iter().filter(|field| kubelet.get("extraConfig").is_some_and(|extra| extra.get(field).is_some()))
    {
        let message = format!("kubelet configuration field {field:?} can't be overridden");
        report.error(format!("machine.kubelet.extraConfig.{field}"), message);
    }
}

fn encryption(machine: &Node, report: &mut Report) {
    for (field, label) in [("ephemeral", "EPHEMERAL"), ("state", "STATE")] {
        let path = format!("systemDiskEncryption.{field}");
        let Some(config) = machine.at(&path).filter(|config| !config.is_null()) else { continue };
        let path = format!("machine.{path}.keys");
        let keys = config.items("keys");
        if keys.is_empty() {
            report.error(&path, format!("partition {label:?}: no encryption keys provided"));
        }
        let mut slots = HashSet::new();
        for key in keys {
            let slot = key.int("slot");
            if !slots.insert(slot) {
                report.error(&path, format!("partition {label:?}: encryption key slot {slot} is already in use"));
            }
            if !["nodeID", "static", "kms", "tpm"].iter().any(|kind| key.has(kind)) {
                let message = format!(
                    "partition {label:?}: encryption key at slot {slot} doesn't have the configuration parameters"
                );
                report.error(&path, message);
            }
        }
    }
}

fn logging(machine: &Node, report: &mut Report) {
    for (index, destination) in machine.items("logging.destinations").iter().enumerate() {
        let path = format!("machine.logging.destinations[{index}]");
        let endpoint = destination.get("endpoint").and_then(Node::as_str);
        match endpoint.and_then(|text| super::super::types::url::Url::parse(text).ok()) {
            None => report.error(format!("{path}.endpoint"), "empty logging endpoint"),
            Some(url) => {
                if url.host.is_empty() {
                    report.error(format!("{path}.endpoint"), "empty logging endpoint's host");
                }
                if url.scheme != "tcp" && url.scheme != "udp" {
                    report.error(
                        format!("{path}.endpoint"),
                        format!("unexpected logging endpoint scheme {:?}", url.scheme),
                    );
                }
            }
        }
        let format = destination.text("format");
        if format != "json_lines" {
            report.error(format!("{path}.format"), format!("unknown logging format {format:?}"));
        }
    }
}

fn extensions(machine: &Node, report: &mut Report) {
    let mut seen = HashSet::new();
    for extension in machine.items("install.extensions") {
        let image = extension.text("image");
        if !seen.insert(image) {
            report.error("machine.install.extensions", format!("duplicate system extension {image:?}"));
        }
    }
    if !seen.is_empty() {
        let message = ".machine.install.extensions is deprecated, please see https://www.talos.dev/latest/talos-guides/install/boot-assets/";
        report.warning("machine.install.extensions", message);
    }
}

fn features(machine: &Node, role: Role, report: &mut Report) {
    let access = machine.at("features.kubernetesTalosAPIAccess").filter(|access| access.flag("enabled"));
    if let Some(access) = access {
        const PATH: &str = "machine.features.kubernetesTalosAPIAccess";
        if role != Role::ControlPlane {
            let message = "feature Kubernetes Talos API Access can only be enabled on control plane machines";
            report.error(PATH, message);
        }
        let known =
            |name: &str| k8s::ROLES.iter().any(|(role, since)| *role == name && !report.releases.before(*since));
        let names = access.items("allowedRoles").iter().map(|item| item.text(""));
        let unknown: Vec<&str> = names.filter(|name| !known(name)).collect();
        for name in unknown {
            let message = format!("invalid role {name:?} in allowed roles for Kubernetes Talos API Access");
            report.error(format!("{PATH}.allowedRoles"), message);
        }
    }
    let algorithm = machine.text("features.nodeAddressSortAlgorithm");
    if !["", "v1", "v2"].contains(&algorithm.to_lowercase().as_str()) {
        let message = format!("invalid node address sort algorithm: {algorithm:?}");
        report.error("machine.features.nodeAddressSortAlgorithm", message);
    }
}

fn registries(machine: &Node, report: &mut Report) {
    for field in ["config", "mirrors"] {
        let path = format!("registries.{field}");
        for entry in
            machine.at(&path).and_then(Node::as_mapping).unwrap_or_default().iter().filter(|e| e.value.is_null())
        {
            let key = entry.key.as_str().unwrap_or_default();
            report.error(format!("machine.{path}"), format!("registries.{field}[{key:?}] is null"));
        }
    }
}
