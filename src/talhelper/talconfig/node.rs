//! One node of talconfig.yaml, and the groups that nodes take their defaults from.

use super::cluster::FileText;
use super::section::{Section, as_written};
use crate::talos::schematic::{Schematic, SchematicError};
use crate::yaml::{At, Emit};

/// What only a node has.
pub(in crate::talhelper) struct NodeEntry {
    pub(in crate::talhelper) hostname: String,
    pub(in crate::talhelper) ip_addresses: Vec<String>,
    pub(in crate::talhelper) control_plane: bool,
    pub(in crate::talhelper) install_disk: String,
    pub(in crate::talhelper) install_disk_selector: Option<Emit>,
    pub(in crate::talhelper) ignore_hostname: bool,
    override_patches: bool,
    override_cert_sans: bool,
}

/// What a node and a group both may have. `None` means absent: an empty list is a value of its own.
#[derive(Default)]
pub(in crate::talhelper) struct NodeConfigs {
    pub(in crate::talhelper) labels: Option<Vec<(String, String)>>,
    pub(in crate::talhelper) annotations: Option<Vec<(String, String)>>,
    pub(in crate::talhelper) taints: Option<Vec<(String, String)>>,
    pub(in crate::talhelper) machine_files: Option<Vec<MachineFile>>,
    pub(in crate::talhelper) disable_search_domain: bool,
    pub(in crate::talhelper) kernel_modules: Option<Emit>,
    pub(in crate::talhelper) nameservers: Option<Vec<String>>,
    pub(in crate::talhelper) interfaces: Option<Vec<Interface>>,
    pub(in crate::talhelper) cert_sans: Option<Vec<String>>,
    pub(in crate::talhelper) patches: Option<Vec<Patch>>,
    pub(in crate::talhelper) image_url: Option<(String, At)>,
    pub(in crate::talhelper) schematic: Option<Schematic>,
    pub(in crate::talhelper) machine_spec: Option<MachineSpec>,
    pub(in crate::talhelper) firewall: Option<Firewall>,
    pub(in crate::talhelper) services: Option<Vec<Service>>,
    pub(in crate::talhelper) volumes: Option<Vec<Volume>>,
    pub(in crate::talhelper) user_volumes: Option<Vec<Volume>>,
}

/// `machineSpec`: only what reaches the machine configuration.
#[derive(Clone)]
pub(in crate::talhelper) struct MachineSpec {
    /// Empty for the default, `metal`.
    pub(in crate::talhelper) mode: String,
    /// Empty for the default, `amd64`.
    pub(in crate::talhelper) architecture: String,
    pub(in crate::talhelper) secure_boot: bool,
    pub(in crate::talhelper) at: At,
}

/// One patch, in place or as `@file`.
pub(in crate::talhelper) struct Patch {
    pub(in crate::talhelper) text: String,
    /// `nodes[1].patches[0]`
    pub(in crate::talhelper) path: String,
    pub(in crate::talhelper) line: usize,
}

/// One of `machineFiles`.
pub(in crate::talhelper) struct MachineFile {
    pub(in crate::talhelper) content: FileText,
    /// The other fields, as written.
    pub(in crate::talhelper) rest: Vec<(String, Emit)>,
}

/// One of `extensionServices`.
pub(in crate::talhelper) struct Service {
    pub(in crate::talhelper) name: String,
    pub(in crate::talhelper) config_files: Vec<(String, String)>,
    pub(in crate::talhelper) environment: Vec<String>,
}

/// `ingressFirewall`.
pub(in crate::talhelper) struct Firewall {
    pub(in crate::talhelper) default_action: String,
    /// The fields of each rule, as written.
    pub(in crate::talhelper) rules: Vec<Vec<(String, Emit)>>,
}

/// One of `volumes` or `userVolumes`: its fields, as written.
pub(in crate::talhelper) type Volume = Vec<(String, Emit)>;

/// One of `networkInterfaces` that is a plain link.
pub(in crate::talhelper) struct Interface {
    /// Empty when a selector finds the link.
    pub(in crate::talhelper) name: String,
    /// The conditions of the selector in CEL, in talhelper's order; empty when the link has a name.
    pub(in crate::talhelper) conditions: Vec<String>,
    /// Prefixes; a bare address is its own.
    pub(in crate::talhelper) addresses: Vec<String>,
    pub(in crate::talhelper) routes: Vec<Route>,
    pub(in crate::talhelper) mtu: u32,
    pub(in crate::talhelper) dhcp_v4: bool,
    pub(in crate::talhelper) dhcp_v6: bool,
    pub(in crate::talhelper) dhcp_metric: u32,
    pub(in crate::talhelper) vip: String,
}

/// A route; empty and 0 mean absent.
pub(in crate::talhelper) struct Route {
    pub(in crate::talhelper) destination: String,
    pub(in crate::talhelper) gateway: String,
    pub(in crate::talhelper) source: String,
    pub(in crate::talhelper) metric: u32,
    pub(in crate::talhelper) mtu: u32,
}

impl NodeConfigs {
    /// The node's values over its group's: whole values, but for patches (group first) and certSANs (node first).
    pub(in crate::talhelper) fn over(self, group: NodeConfigs, node: &NodeEntry) -> NodeConfigs {
        let patches = match (group.patches, self.patches) {
            (Some(group), Some(own)) if !node.override_patches => Some(group.into_iter().chain(own).collect()),
            (group, own) => own.or(group),
        };
        let cert_sans = match (self.cert_sans, group.cert_sans) {
            (Some(own), Some(group)) if !node.override_cert_sans => Some([own, group].concat()),
            (own, group) => own.or(group),
        };
        NodeConfigs {
            patches,
            cert_sans,
            labels: self.labels.or(group.labels),
            annotations: self.annotations.or(group.annotations),
            taints: self.taints.or(group.taints),
            machine_files: self.machine_files.or(group.machine_files),
            disable_search_domain: self.disable_search_domain || group.disable_search_domain,
            kernel_modules: self.kernel_modules.or(group.kernel_modules),
            nameservers: self.nameservers.or(group.nameservers),
            interfaces: self.interfaces.or(group.interfaces),
            image_url: self.image_url.or(group.image_url),
            schematic: self.schematic.or(group.schematic),
            machine_spec: self.machine_spec.or(group.machine_spec),
            firewall: self.firewall.or(group.firewall),
            services: self.services.or(group.services),
            volumes: self.volumes.or(group.volumes),
            user_volumes: self.user_volumes.or(group.user_volumes),
        }
    }
}

pub(super) fn entry(node: &Section<'_, '_>) -> NodeEntry {
    let addresses = node.required("ipAddress");
    let entry = NodeEntry {
        hostname: node.text("hostname"),
        ip_addresses: addresses.split(',').map(|address| address.trim().to_owned()).collect(),
        control_plane: node.boolean("controlPlane"),
        install_disk: node.text("installDisk"),
        install_disk_selector: node.raw("installDiskSelector"),
        ignore_hostname: node.boolean("ignoreHostname"),
        override_patches: node.boolean("overridePatches"),
        override_cert_sans: node.boolean("overrideMachineCertSANs"),
    };
    if entry.install_disk.is_empty() && entry.install_disk_selector.is_none() {
        node.findings().mistake(node.at(), format!("{} is missing", node.path("installDisk")));
    }
    if !is_hostname(&entry.hostname) {
        node.mistake("hostname", "is no valid hostname");
    }
    entry
}

pub(super) fn configs(node: &Section<'_, '_>) -> NodeConfigs {
    node.refuse(&["extraManifests", "machineDisks"]);
    let labels = templates_refused(node, "nodeLabels");
    let annotations = templates_refused(node, "nodeAnnotations");
    NodeConfigs {
        labels,
        annotations,
        taints: node.pairs("nodeTaints"),
        machine_files: machine_files(node),
        disable_search_domain: node.boolean("disableSearchDomain"),
        kernel_modules: node.raw("kernelModules"),
        nameservers: nameservers(node),
        interfaces: crate::talhelper::network::interfaces(node),
        cert_sans: node.texts("certSANs"),
        patches: patches(node),
        image_url: image_url(node),
        schematic: schematic(node),
        machine_spec: machine_spec(node),
        firewall: firewall(node),
        services: services(node),
        volumes: volumes(node, "volumes", &["name", "provisioning", "encryption"]),
        user_volumes: volumes(node, "userVolumes", &["name", "volumeType", "provisioning", "filesystem", "encryption"]),
    }
}

pub(super) fn patches(section: &Section<'_, '_>) -> Option<Vec<Patch>> {
    let texts = section.placed_texts("patches")?.into_iter().enumerate();
    let patch = |(index, (text, at)): (usize, (String, At))| {
        let path = format!("{}[{index}]", section.path("patches"));
        let one_word = !text.contains(['\n', ' ']) && !text.starts_with(['[', '{', '@']);
        if text.trim().is_empty() {
            // An empty file is no patch to talhelper, an empty text is one that does not load.
            section.findings().mistake(at, format!("{path} is empty"));
        } else if one_word {
            // Talos takes it for the name of a file that it does not find.
            let text = format!("{path} is no patch; a patch in a file is written \"@FILE\"");
            section.findings().mistake(at, text);
        }
        if !text.starts_with('@') && opens_template(&text) {
            section.findings().unsupported(at, &format!("the Go template in {path}"));
        }
        Patch { path, line: section.findings().line(at), text }
    };
    Some(texts.map(patch).collect())
}

/// Whether Go's text/template, through which talhelper runs patches, would find something to do.
pub(in crate::talhelper) fn opens_template(text: &str) -> bool {
    text.contains("{{")
}

fn templates_refused(node: &Section<'_, '_>, key: &str) -> Option<Vec<(String, String)>> {
    let pairs = node.pairs(key)?;
    for (name, _) in pairs.iter().filter(|(_, value)| opens_template(value) || value.contains("}}")) {
        let what = format!("the Go template in {}", node.path(&format!("{key}.{name}")));
        node.findings().unsupported(node.at_key(key), &what);
    }
    Some(pairs)
}

fn machine_files(node: &Section<'_, '_>) -> Option<Vec<MachineFile>> {
    const REST: [&str; 3] = ["permissions", "path", "op"];
    let sections = node.sections("machineFiles", &["content", "permissions", "path", "op", "skipEnvsubst"])?;
    let file = |section: &Section<'_, '_>| {
        if !matches!(section.text("op").as_str(), "create" | "append" | "overwrite") {
            section.mistake("op", "must be create, append or overwrite");
        }
        if !section.text("path").starts_with('/') {
            section.mistake("path", "must be an absolute path");
        }
        let rest = REST.iter().filter_map(|key| Some(((*key).to_owned(), section.raw(key)?)));
        MachineFile {
            content: FileText { text: section.text("content"), skip_envsubst: section.boolean("skipEnvsubst") },
            rest: rest.collect(),
        }
    };
    Some(sections.iter().map(file).collect())
}

fn nameservers(node: &Section<'_, '_>) -> Option<Vec<String>> {
    let servers = node.texts("nameservers")?;
    if servers.iter().any(|server| server.parse::<std::net::IpAddr>().is_err()) {
        node.mistake("nameservers", "must be IP addresses");
    }
    Some(servers)
}

fn image_url(node: &Section<'_, '_>) -> Option<(String, At)> {
    let url = node.text("talosImageURL");
    let at = node.at_key("talosImageURL");
    let (_, tag, digest) = crate::talos::image::split_reference(&url);
    if tag.is_some() || digest.is_some() || url.contains("://") {
        node.mistake("talosImageURL", "must be an image name without a scheme, tag or digest");
    } else if !url.is_empty() && !names_an_image(&url) {
        node.mistake(
            "talosImageURL",
            "must be a registry and a path of small letters, such as ghcr.io/siderolabs/installer",
        );
    }
    (!url.is_empty()).then_some((url, at))
}

/// A name in its full form, as distribution/reference `ParseNamed` demands it: the registry is never implied.
fn names_an_image(text: &str) -> bool {
    let Some((registry, path)) = text.split_once('/') else { return false };
    let sound = |part: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        bytes.iter().copied().all(allowed) && edge(bytes.first()) && edge(bytes.last())
    };
    let host = registry == "localhost" || registry.contains(['.', ':']);
    let short = matches!(registry, "docker.io" | "index.docker.io") && !path.contains('/');
    host && !short && path.split('/').all(sound)
}

fn schematic(node: &Section<'_, '_>) -> Option<Schematic> {
    let value = node.get("schematic")?;
    match Schematic::from_node(value) {
        Ok(schematic) => Some(schematic),
        Err(error) => {
            let (at, problem) = match error {
                SchematicError::Mistake { at, problem } => (at, problem),
                other => (value.at, other.to_string()),
            };
            node.findings().mistake(at, format!("{}: {problem}", node.path("schematic")));
            None
        }
    }
}

fn machine_spec(node: &Section<'_, '_>) -> Option<MachineSpec> {
    let known = ["mode", "arch", "secureboot", "useUKI", "bootMethod", "imageSuffix"];
    let section = node.section("machineSpec", &known)?;
    let _ = section.boolean("useUKI");
    let spec = MachineSpec {
        mode: section.text("mode"),
        architecture: section.text("arch"),
        secure_boot: section.boolean("secureboot"),
        at: section.at(),
    };
    check_suffix(&section);
    // Go's zero value counts as absent, so that the group's is taken.
    let texts = ["mode", "arch", "bootMethod", "imageSuffix"];
    let empty = texts.iter().all(|key| section.text(key).is_empty());
    let flags = section.boolean("secureboot") || section.boolean("useUKI");
    (!empty || flags).then_some(spec)
}

/// What `talhelper genurl` would make a URL of; without effect here, but talhelper stops at it.
fn check_suffix(spec: &Section<'_, '_>) {
    let (method, suffix) = (spec.text("bootMethod"), spec.text("imageSuffix"));
    let suffixes: &[&str] = match method.as_str() {
        "" | "iso" => &["iso"],
        "disk-image" => &["raw.zst", "raw.xz", "raw.tar.gz", "vhd.xz", "raw.gz", "ova", "qcow2"],
        "pxe" => &[],
        _ => return spec.mistake("bootMethod", "must be iso, disk-image or pxe"),
    };
    if !suffix.is_empty() && !suffixes.contains(&suffix.as_str()) {
        let text = match suffixes {
            [] => "must be absent for pxe".to_owned(),
            suffixes => format!("must be one of {} for this bootMethod", suffixes.join(", ")),
        };
        spec.mistake("imageSuffix", &text);
    }
}

fn firewall(node: &Section<'_, '_>) -> Option<Firewall> {
    let section = node.section("ingressFirewall", &["defaultAction", "rules"])?;
    let rules = section.sections("rules", &["name", "portSelector", "ingress"]).unwrap_or_default();
    Some(Firewall { default_action: section.text("defaultAction"), rules: rules.iter().map(as_pairs).collect() })
}

fn services(node: &Section<'_, '_>) -> Option<Vec<Service>> {
    let sections = node.sections("extensionServices", &["name", "configFiles", "environment"])?;
    let service = |section: &Section<'_, '_>| {
        let files = section.sections("configFiles", &["content", "mountPath"]).unwrap_or_default();
        let service = Service {
            name: section.required("name"),
            config_files: files.iter().map(|file| (file.text("content"), file.required("mountPath"))).collect(),
            environment: section.texts("environment").unwrap_or_default(),
        };
        if service.config_files.is_empty() && service.environment.is_empty() {
            let text = format!("{} needs environment or configFiles", section.path("").trim_end_matches('.'));
            section.findings().mistake(section.at(), text);
        }
        service
    };
    Some(sections.iter().map(service).collect())
}

fn volumes(node: &Section<'_, '_>, key: &str, known: &[&str]) -> Option<Vec<Volume>> {
    let sections = node.sections(key, known)?;
    let mut names = Vec::new();
    for section in &sections {
        let name = section.required("name");
        if names.contains(&name) {
            section.mistake("name", "is used twice");
        }
        names.push(name);
    }
    Some(sections.iter().map(as_pairs).collect())
}

fn as_pairs(section: &Section<'_, '_>) -> Vec<(String, Emit)> {
    let entries = section.entries().iter().filter(|entry| !entry.value.is_null());
    entries.map(|entry| (entry.key.clone(), as_written(&entry.value))).collect()
}

/// At most 255 characters in labels of letters, digits and inner hyphens.
fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let sound = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        sound && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.is_empty() || (text.len() <= 255 && text.split('.').all(label))
}

pub(super) const NODE_KEYS: [&str; 9] = [
    "hostname",
    "ipAddress",
    "controlPlane",
    "installDisk",
    "installDiskSelector",
    "ignoreHostname",
    "overridePatches",
    "overrideExtraManifests",
    "overrideMachineCertSANs",
];

pub(super) const GROUP_KEYS: [&str; 22] = [
    "nodeLabels",
    "nodeAnnotations",
    "nodeTaints",
    "machineDisks",
    "machineFiles",
    "disableSearchDomain",
    "kernelModules",
    "nameservers",
    "networkInterfaces",
    "extraManifests",
    "certSANs",
    "patches",
    "talosImageURL",
    "noSchematicValidate",
    "schematic",
    "imageSchematic",
    "machineSpec",
    "ingressFirewall",
    "extensionServices",
    "volumes",
    "userVolumes",
    "filenameTmpl",
];
