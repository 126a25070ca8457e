//! The top of talconfig.yaml: what all nodes share.

use super::node::{self, GROUP_KEYS, NODE_KEYS, NodeConfigs, Patch};
use super::section::{Findings, Section};
use crate::yaml::{At, Emit, Node};

/// The whole file, with one node in full.
pub(in crate::talhelper) struct Cluster {
    pub(in crate::talhelper) name: String,
    pub(in crate::talhelper) talos_version: String,
    pub(in crate::talhelper) talos_version_at: At,
    pub(in crate::talhelper) kubernetes_version: String,
    pub(in crate::talhelper) kubernetes_version_at: At,
    pub(in crate::talhelper) endpoint: String,
    /// Empty for Talos' default.
    pub(in crate::talhelper) domain: String,
    pub(in crate::talhelper) pod_subnets: Vec<String>,
    pub(in crate::talhelper) service_subnets: Vec<String>,
    pub(in crate::talhelper) allow_scheduling: bool,
    pub(in crate::talhelper) machine_sans: Vec<String>,
    pub(in crate::talhelper) api_server_sans: Vec<String>,
    pub(in crate::talhelper) cni: Option<Emit>,
    pub(in crate::talhelper) inline_manifests: Vec<(String, FileText)>,
    pub(in crate::talhelper) patches: Vec<Patch>,
    pub(in crate::talhelper) registry: String,
    pub(in crate::talhelper) installer_template: String,
    /// The hostnames of all nodes.
    pub(in crate::talhelper) hostnames: Vec<String>,
    /// The node asked for, if it is there, with its group merged in.
    pub(in crate::talhelper) node: Option<(node::NodeEntry, NodeConfigs)>,
}

/// Text that is given in place, or as `@file`.
pub(in crate::talhelper) struct FileText {
    pub(in crate::talhelper) text: String,
    /// Leave the variables in the file alone.
    pub(in crate::talhelper) skip_envsubst: bool,
}

/// Reads the tree; mistakes go to `findings`.
pub(in crate::talhelper) fn read(root: &Node, wanted: &str, findings: &Findings<'_>) -> Cluster {
    let top = Section::new(findings, root, String::new(), &CLUSTER_KEYS);
    let factory = top.section("imageFactory", &FACTORY_KEYS);
    let factory_text = |key: &str| factory.as_ref().map(|section| section.text(key)).unwrap_or_default();
    check_addresses(&top);
    check_cni(&top);
    let texts = |key: &str| top.texts(key).unwrap_or_default();
    let (hostnames, node) = nodes(&top, wanted);
    Cluster {
        name: top.required("clusterName"),
        talos_version: top.required("talosVersion"),
        talos_version_at: top.at_key("talosVersion"),
        kubernetes_version: top.required("kubernetesVersion"),
        kubernetes_version_at: top.at_key("kubernetesVersion"),
        endpoint: top.required("endpoint"),
        domain: top.text("domain"),
        pod_subnets: texts("clusterPodNets"),
        service_subnets: texts("clusterSvcNets"),
        allow_scheduling: top.boolean("allowSchedulingOnMasters") | top.boolean("allowSchedulingOnControlPlanes"),
        machine_sans: texts("additionalMachineCertSans"),
        api_server_sans: texts("additionalApiServerCertSans"),
        cni: top.raw("cniConfig"),
        inline_manifests: inline_manifests(&top),
        patches: node::patches(&top).unwrap_or_default(),
        registry: factory_text("registryURL"),
        installer_template: factory_text("installerURLTmpl"),
        hostnames,
        node,
    }
}

/// All hostnames, and the wanted node. The other nodes' keys are checked, their values are not looked into:
/// they may use what is not supported here.
fn nodes(top: &Section<'_, '_>, wanted: &str) -> (Vec<String>, Option<(node::NodeEntry, NodeConfigs)>) {
    let known: Vec<&str> = NODE_KEYS.iter().chain(&GROUP_KEYS).copied().collect();
    let sections = top.sections("nodes", &known).unwrap_or_default();
    if sections.is_empty() {
        top.mistake("nodes", "is missing");
    }
    let hostnames: Vec<String> = sections.iter().map(|section| section.required("hostname")).collect();
    let found = hostnames.iter().position(|hostname| hostname == wanted && !wanted.is_empty());
    let node = found.map(|at| {
        let entry = node::entry(&sections[at]);
        let own = node::configs(&sections[at]);
        let group = if entry.control_plane { "controlPlane" } else { "worker" };
        let group = top.section(group, &GROUP_KEYS).map(|section| node::configs(&section));
        let merged = own.over(group.unwrap_or_default(), &entry);
        (entry, merged)
    });
    for group in ["controlPlane", "worker"] {
        let _ = top.section(group, &GROUP_KEYS);
    }
    (hostnames, node)
}

/// The endpoint and the subnets, as far as talhelper checks them.
fn check_addresses(top: &Section<'_, '_>) {
    let endpoint = top.text("endpoint");
    let url = url::Url::parse(&endpoint).ok();
    let sound = url.is_some_and(|url| url.scheme() == "https" && url.has_host());
    if !sound && !endpoint.is_empty() {
        top.mistake("endpoint", "must be a URL such as https://192.168.1.50:6443");
    }
    for key in ["clusterPodNets", "clusterSvcNets"] {
        let nets = top.texts(key).unwrap_or_default();
        if nets.iter().any(|net| net.parse::<ipnet::IpNet>().is_err()) {
            top.mistake(key, "must be prefixes such as 10.244.0.0/16");
        }
    }
}

/// The network plugin, as far as talhelper checks it: on workers Talos would not.
fn check_cni(top: &Section<'_, '_>) {
    let Some(cni) = top.section("cniConfig", &["name", "urls", "flannel"]) else { return };
    let urls = cni.texts("urls").unwrap_or_default();
    match cni.text("name").as_str() {
        "custom" if urls.is_empty() => cni.mistake("urls", "must name the manifests of a custom CNI"),
        "flannel" | "none" if !urls.is_empty() => cni.mistake("urls", "is for the CNI \"custom\" only"),
        "custom" | "flannel" | "none" => {}
        _ => cni.mistake("name", "must be flannel, custom or none"),
    }
}

fn inline_manifests(top: &Section<'_, '_>) -> Vec<(String, FileText)> {
    let sections = top.sections("inlineManifests", &["name", "contents", "skipEnvsubst"]);
    let manifest = |section: &Section<'_, '_>| {
        let contents = FileText { text: section.required("contents"), skip_envsubst: section.boolean("skipEnvsubst") };
        (section.required("name"), contents)
    };
    sections.unwrap_or_default().iter().map(manifest).collect()
}

const CLUSTER_KEYS: [&str; 18] = [
    "clusterName",
    "talosVersion",
    "kubernetesVersion",
    "endpoint",
    "domain",
    "allowSchedulingOnMasters",
    "allowSchedulingOnControlPlanes",
    "additionalMachineCertSans",
    "additionalApiServerCertSans",
    "inlineManifests",
    "clusterPodNets",
    "clusterSvcNets",
    "cniConfig",
    "patches",
    "nodes",
    "imageFactory",
    "controlPlane",
    "worker",
];

const FACTORY_KEYS: [&str; 5] = ["registryURL", "schematicEndpoint", "protocol", "installerURLTmpl", "ISOURLTmpl"];
