//! What talhelper adds to the generated configuration before any patch: changes of the v1alpha1 document,
//! and documents of other kinds, both written as strategic merge patches.

use super::network;
use super::talconfig::{Cluster, NodeConfigs, Service};
use crate::yaml::{self, Emit};

/// One document as a mapping.
pub(super) type Document = Vec<(String, Emit)>;

/// A document of a kind, its fields behind `apiVersion` and `kind`.
pub(super) fn document(kind: &str, fields: Vec<(String, Emit)>) -> Document {
    let mut document = vec![text("apiVersion", "v1alpha1"), text("kind", kind)];
    document.extend(fields);
    document
}

pub(super) fn text(key: &str, value: &str) -> (String, Emit) {
    (key.to_owned(), Emit::Text(value.to_owned()))
}

/// What is known of the node when its configuration is put together, files already read.
pub(super) struct Node<'a> {
    pub(super) hostname: &'a str,
    pub(super) ignore_hostname: bool,
    pub(super) control_plane: bool,
    pub(super) install_disk_selector: Option<&'a Emit>,
    pub(super) configs: &'a NodeConfigs,
    /// `machineFiles` with their contents.
    pub(super) machine_files: Vec<Emit>,
    /// `inlineManifests` with their contents.
    pub(super) inline_manifests: Vec<Emit>,
    /// For control planes that still have one.
    pub(super) aescbc_secret: Option<&'a str>,
}

/// The changes of the v1alpha1 document, each a patch of its own.
pub(super) fn overrides(cluster: &Cluster, node: &Node<'_>) -> Vec<String> {
    let mut patches = Vec::new();
    if node.control_plane && node.configs.labels.is_some() {
        // nodeLabels replace the label that the generator puts on control planes.
        patches.push("machine:\n    nodeLabels:\n        $patch: delete\n".to_owned());
    }
    let root: Document = [("machine", machine(cluster, node)), ("cluster", cluster_section(cluster, node))]
        .into_iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(key, fields)| (key.to_owned(), Emit::Map(fields)))
        .collect();
    if !root.is_empty() {
        patches.push(yaml::emit(&root));
    }
    patches
}

fn machine(cluster: &Cluster, node: &Node<'_>) -> Document {
    let configs = node.configs;
    let sans: Vec<String> = cluster.machine_sans.iter().chain(configs.cert_sans.iter().flatten()).cloned().collect();
    let mut fields = Document::new();
    list(&mut fields, "certSANs", sans.into_iter().map(Emit::Text).collect());
    if let Some(selector) = node.install_disk_selector {
        fields.push(("install".into(), Emit::Map(vec![("diskSelector".into(), selector.clone())])));
    }
    let modules =
        configs.kernel_modules.as_ref().filter(|modules| !matches!(modules, Emit::List(items) if items.is_empty()));
    if let Some(modules) = modules {
        fields.push(("kernel".into(), Emit::Map(vec![("modules".into(), modules.clone())])));
    }
    for (key, pairs) in
        [("nodeLabels", &configs.labels), ("nodeAnnotations", &configs.annotations), ("nodeTaints", &configs.taints)]
    {
        let pairs = pairs.iter().flatten().map(|(name, value)| text(name, value)).collect::<Vec<_>>();
        if !pairs.is_empty() {
            fields.push((key.into(), Emit::Map(pairs)));
        }
    }
    list(&mut fields, "files", node.machine_files.clone());
    fields
}

fn cluster_section(cluster: &Cluster, node: &Node<'_>) -> Document {
    let mut fields = Document::new();
    if let Some(cni) = &cluster.cni {
        fields.push(("network".into(), Emit::Map(vec![("cni".into(), cni.clone())])));
    }
    list(&mut fields, "inlineManifests", node.inline_manifests.clone());
    if node.control_plane {
        let mut api_server = Document::new();
        let sans = cluster.api_server_sans.iter().cloned().map(Emit::Text).collect();
        list(&mut api_server, "certSANs", sans);
        if !api_server.is_empty() {
            fields.push(("apiServer".into(), Emit::Map(api_server)));
        }
        if let Some(secret) = node.aescbc_secret {
            fields.push(text("aescbcEncryptionSecret", secret));
        }
    }
    fields
}

fn list(fields: &mut Document, key: &str, items: Vec<Emit>) {
    if !items.is_empty() {
        fields.push((key.into(), Emit::List(items)));
    }
}

/// The documents of other kinds, in talhelper's order, as one patch.
pub(super) fn additions(node: &Node<'_>) -> String {
    let configs = node.configs;
    let mut documents = Vec::new();
    let nameservers = configs.nameservers.as_deref().unwrap_or_default();
    if !nameservers.is_empty() || configs.disable_search_domain {
        documents.push(resolver(nameservers, configs.disable_search_domain));
    }
    documents.push(hostname(node));
    if let Some(firewall) = &configs.firewall {
        // What is left out is the word for Go's zero value.
        let action = if firewall.default_action.is_empty() { "accept" } else { &firewall.default_action };
        documents.push(document("NetworkDefaultActionConfig", vec![text("ingress", action)]));
        documents.extend(firewall.rules.iter().map(|rule| document("NetworkRuleConfig", rule.clone())));
    }
    documents.extend(configs.services.iter().flatten().map(service));
    for (kind, volumes) in [("VolumeConfig", &configs.volumes), ("UserVolumeConfig", &configs.user_volumes)] {
        documents.extend(volumes.iter().flatten().map(|volume| document(kind, volume.clone())));
    }
    documents.extend(network::documents(configs.interfaces.as_deref().unwrap_or_default()));
    let texts: Vec<String> = documents.iter().map(|document| yaml::emit(document)).collect();
    texts.join("---\n")
}

fn resolver(nameservers: &[String], disable_search_domain: bool) -> Document {
    let servers = nameservers.iter().map(|server| Emit::Map(vec![text("address", server)]));
    let domains = Emit::Map(vec![("disableDefault".into(), Emit::Bare(disable_search_domain.to_string()))]);
    let mut fields = Document::new();
    list(&mut fields, "nameservers", servers.collect());
    fields.push(("searchDomains".into(), domains));
    document("ResolverConfig", fields)
}

/// Merged over the generated `auto: stable`, which a name excludes.
fn hostname(node: &Node<'_>) -> Document {
    let fields = match node.ignore_hostname {
        true => vec![text("auto", "stable")],
        false => vec![text("auto", "off"), text("hostname", node.hostname)],
    };
    document("HostnameConfig", fields)
}

fn service(service: &Service) -> Document {
    let mut fields = vec![text("name", &service.name)];
    let files = service
        .config_files
        .iter()
        .map(|(content, path)| Emit::Map(vec![text("content", content), text("mountPath", path)]));
    list(&mut fields, "configFiles", files.collect());
    let environment = service.environment.iter().cloned().map(Emit::Text);
    list(&mut fields, "environment", environment.collect());
    document("ExtensionServiceConfig", fields)
}
