//! The configuration as attributes: what the guide sets of a worker, and no more. Everything else is a patch.
//!
//! A value that is not known yet gets a placeholder and is noted in [`Open`], so that the rest is checked all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::node::checks::Open;
use crate::node::door::{Defaults, Opened, Place};
use crate::node::draft::{Draft, ImageDraft};
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::talos::image::InstallerReference;
use crate::talos::machine_config::MachineConfig;
use crate::talos::machine_config::generate::{self, GenerateSecrets, PemPair};
use crate::talos::machine_config::yaml::{Node, emit};
use crate::talos::secret::Secret;
use crate::talos::secrets::SecretsBundle;
use crate::talos::version::TalosVersion;

/// A list whose items may be unknown one by one.
pub type List = Given<Vec<Given<String>>>;

/// Names with values that may be unknown one by one.
pub type Map = Given<BTreeMap<String, Given<Secret<String>>>>;

/// The `machine` object.
#[derive(Clone, Debug, Default)]
pub struct MachineDraft {
    /// Disk that Talos is installed to.
    pub install_disk: Given<String>,
    /// Names and addresses on the node's certificate.
    pub cert_sans: List,
    /// The one network card.
    pub network: Given<NetworkDraft>,
    /// Subnets that the kubelet takes its address from.
    pub node_ip_subnets: List,
    /// Services of system extensions.
    pub extension_services: Given<Vec<Given<ServiceDraft>>>,
    /// Whether KubeSpan is on.
    pub kubespan: Given<bool>,
    /// Labels of the Kubernetes node.
    pub node_labels: Map,
    /// Taints of the Kubernetes node, as `value:effect`.
    pub node_taints: Map,
    /// Another kubelet than that of the cluster's Kubernetes version.
    pub kubelet_image: Given<String>,
    /// Token that the node shows to trustd.
    pub token: Given<Secret<String>>,
    /// Authority of the Talos API: base64 of its certificate's PEM.
    pub ca: Given<String>,
}

/// The `machine.network` object.
#[derive(Clone, Debug, Default)]
pub struct NetworkDraft {
    /// Address with prefix length.
    pub address: Given<String>,
    /// Hardware address that selects the card.
    pub mac_address: Given<String>,
    /// Name of the card, instead of `mac_address`.
    pub interface: Given<String>,
    /// Default gateway.
    pub gateway: Given<String>,
    /// Further routes: network, gateway.
    pub routes: Given<Vec<(Given<String>, Given<String>)>>,
    /// Whether the card is set up by DHCP.
    pub dhcp: Given<bool>,
    /// Resolvers.
    pub nameservers: List,
}

/// Content and mount path of a file.
pub type ConfigFile = (Given<Secret<String>>, Given<String>);

/// One of `machine.extension_services`.
#[derive(Clone, Debug, Default)]
pub struct ServiceDraft {
    /// Name, such as `tailscale`.
    pub name: Given<String>,
    /// Variables.
    pub environment: Map,
    /// Files: content, path in the service's container.
    pub config_files: Given<Vec<ConfigFile>>,
}

/// The `cluster` object.
#[derive(Clone, Debug, Default)]
pub struct ClusterDraft {
    /// Name.
    pub name: Given<String>,
    /// URL of the Kubernetes API.
    pub endpoint: Given<String>,
    /// Kubernetes version.
    pub kubernetes_version: Given<String>,
    /// Subnets of pods.
    pub pod_subnets: List,
    /// Subnets of services.
    pub service_subnets: List,
    /// Identity in discovery.
    pub id: Given<String>,
    /// Secret of discovery.
    pub secret: Given<Secret<String>>,
    /// Bootstrap token of Kubernetes.
    pub token: Given<Secret<String>>,
    /// Authority of Kubernetes: base64 of its certificate's PEM.
    pub ca: Given<String>,
    /// All secrets at once, or why they cannot be read.
    pub secrets: Given<Result<Arc<SecretsBundle>, String>>,
    /// Attribute that `secrets` came through.
    pub secrets_attribute: &'static str,
}

/// Renders the configuration that the attributes describe.
pub(super) fn open(draft: &Draft, place: Place, findings: &mut Findings) -> Opened {
    let shut = |config, defaults| Opened { config, open: Open::default(), place, defaults };
    let (machine, cluster) = match (&draft.machine, &draft.cluster) {
        (Given::Value(machine), Given::Value(cluster)) => (machine, cluster),
        (Given::Absent, _) | (_, Given::Absent) => {
            let (missing, there) =
                if draft.machine.is_absent() { ("machine", "cluster") } else { ("cluster", "machine") };
            findings.error(
                "native-missing",
                missing,
                format!("{there} is set without {missing}"),
                format!("set {missing} too"),
            );
            return shut(Given::Absent, Defaults::default());
        }
        _ => return shut(Given::Unknown, super::door::unknown()),
    };
    let mut work = Work { open: Open::default(), findings };
    let config = work.config(draft, machine, cluster);
    let authority = match &cluster.secrets {
        Given::Value(Ok(bundle)) if bundle.certs.os.has_key() => Given::Value(bundle.certs.os.clone()),
        Given::Unknown => Given::Unknown,
        _ => Given::Absent,
    };
    let defaults = Defaults { disk: machine.install_disk.clone(), authority, ..Defaults::default() };
    Opened { config: config.into(), open: work.open, place, defaults }
}

struct Work<'f> {
    open: Open,
    findings: &'f mut Findings,
}

impl Work<'_> {
    fn config(&mut self, draft: &Draft, machine: &MachineDraft, cluster: &ClusterDraft) -> Option<MachineConfig> {
        let secrets = self.secrets(machine, cluster)?;
        let name = self.needed(&cluster.name, "cluster.name", "cluster", |open| &mut open.other)?;
        let endpoint = self.needed(&cluster.endpoint, "cluster.endpoint", "https://192.0.2.1:6443", |open| {
            &mut open.cluster_endpoint
        })?;
        let kubernetes =
            self.needed(&cluster.kubernetes_version, "cluster.kubernetes_version", "", |open| &mut open.kubernetes)?;
        let version = draft.image.value().and_then(|image| image.talos_version.value()?.parse::<TalosVersion>().ok());
        if version.is_none() {
            // Its shape depends on the release; a wrong release is named by the rules for the image.
            self.open.other = true;
        }
        // 1.14 reads what is written for 1.13.
        let contract = version.as_ref().map_or((1, 12), TalosVersion::minor_pair).clamp((1, 12), (1, 13));
        let installer = self.installer(&draft.image);
        let disk = self.text(&machine.install_disk, |open| &mut open.other).unwrap_or_default();
        let mut input = generate::Input::new(&name, &endpoint, &kubernetes, contract, secrets.borrow());
        input.install_disk = &disk;
        input.install_image = &installer;
        input.additional_sans = self.list(&machine.cert_sans, |open| &mut open.cert_sans);
        for (given, subnets) in
            [(&cluster.pod_subnets, &mut input.pod_subnets), (&cluster.service_subnets, &mut input.service_subnets)]
        {
            let written = self.list(given, |open| &mut open.subnets);
            if !written.is_empty() {
                *subnets = written;
            }
        }
        let base = generate::worker(&input);
        let patches = self.patches(machine);
        let patches: Vec<&str> = patches.iter().map(|patch| patch.expose().as_str()).collect();
        let patched = base.map_err(|error| error.to_string()).and_then(|base| {
            if patches.is_empty() {
                return Ok(base);
            }
            base.patch(&patches).map(|patched| patched.config).map_err(|error| reason(&error))
        });
        match patched {
            Ok(config) => Some(config),
            Err(problem) => {
                self.findings.error(
                    "native-syntax",
                    "machine",
                    format!("no configuration comes of machine and cluster: {problem}"),
                    "correct the attributes, or give the whole configuration in machine_configuration",
                );
                None
            }
        }
    }

    /// The image's installer, or the one that goes with its schematic and release.
    fn installer(&mut self, image: &Given<ImageDraft>) -> String {
        let Some(image) = image.value() else {
            self.open.other |= image.is_unknown();
            return String::new();
        };
        if let Some(installer) = image.installer.value() {
            return installer.clone();
        }
        self.open.other |= image.installer.is_unknown() || image.schematic_id.is_unknown();
        let schematic = image.schematic_id.value().and_then(|id| id.parse().ok());
        let version = image.talos_version.value().and_then(|version| version.parse().ok());
        match (schematic, version) {
            (Some(schematic), Some(version)) => {
                InstallerReference::new("factory.talos.dev", "oracle", false, schematic, version).to_string()
            }
            _ => String::new(),
        }
    }

    /// The six values that a worker needs of the cluster's secrets: each from its attribute, or all from `secrets`.
    fn secrets(&mut self, machine: &MachineDraft, cluster: &ClusterDraft) -> Option<Values> {
        let bundle = match &cluster.secrets {
            Given::Value(Ok(bundle)) => Some(bundle),
            Given::Value(Err(problem)) => {
                self.findings.error(
                    "secrets-syntax",
                    cluster.secrets_attribute,
                    format!("the cluster's secrets cannot be read: {problem}"),
                    "give talos_machine_secrets.NAME.machine_secrets, or a talsecret.yaml",
                );
                return None;
            }
            Given::Unknown => {
                self.open.other = true;
                return Some(Values::default());
            }
            Given::Absent => None,
        };
        let all = bundle.map(|bundle| Values::of(bundle));
        let from = |pick: fn(&Values) -> &Secret<String>| all.as_ref().map(|all| pick(all).clone());
        let plain = |given: &Given<String>| given.clone().map(Secret::new);
        Some(Values {
            id: self.secret(plain(&cluster.id), from(|v| &v.id), "cluster.id")?,
            secret: self.secret(cluster.secret.clone(), from(|v| &v.secret), "cluster.secret")?,
            bootstrap_token: self.secret(cluster.token.clone(), from(|v| &v.bootstrap_token), "cluster.token")?,
            trustd_token: self.secret(machine.token.clone(), from(|v| &v.trustd_token), "machine.token")?,
            os_ca: self.certificate(&machine.ca, from(|v| &v.os_ca), "machine.ca")?,
            k8s_ca: self.certificate(&cluster.ca, from(|v| &v.k8s_ca), "cluster.ca")?,
        })
    }

    fn secret(
        &mut self,
        own: Given<Secret<String>>,
        other: Option<Secret<String>>,
        attribute: &str,
    ) -> Option<Secret<String>> {
        match (own, other) {
            (Given::Value(secret), _) => Some(secret),
            (Given::Unknown, _) => {
                self.open.other = true;
                Some(Secret::new(String::new()))
            }
            (Given::Absent, Some(secret)) => Some(secret),
            (Given::Absent, None) => {
                self.missing(attribute, "set it, or cluster.secrets or cluster.secrets_file, which hold all of them");
                None
            }
        }
    }

    fn certificate(
        &mut self,
        own: &Given<String>,
        other: Option<Secret<String>>,
        attribute: &str,
    ) -> Option<Secret<String>> {
        use base64::Engine as _;
        let Some(text) = own.value() else {
            return self.secret(own.clone().map(Secret::new), other, attribute);
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        match bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(pem) => Some(Secret::new(pem)),
            None => {
                self.findings.error(
                    "secrets-syntax",
                    attribute,
                    format!("{attribute} is not base64 of a PEM certificate"),
                    "copy the value of ca.crt from another node's configuration",
                );
                None
            }
        }
    }

    fn missing(&mut self, attribute: &str, remedy: &str) {
        self.findings.error("native-missing", attribute, format!("{attribute} is missing"), remedy);
    }

    fn needed(
        &mut self,
        given: &Given<String>,
        attribute: &str,
        placeholder: &str,
        open: fn(&mut Open) -> &mut bool,
    ) -> Option<String> {
        match given {
            Given::Value(text) => Some(text.clone()),
            Given::Unknown => {
                *open(&mut self.open) = true;
                Some(placeholder.to_owned())
            }
            Given::Absent => {
                self.missing(attribute, "set it as in the cluster's other configurations");
                None
            }
        }
    }

    fn text(&mut self, given: &Given<String>, open: fn(&mut Open) -> &mut bool) -> Option<String> {
        *open(&mut self.open) |= given.is_unknown();
        given.value().cloned()
    }

    /// The known items.
    fn list(&mut self, given: &List, open: fn(&mut Open) -> &mut bool) -> Vec<String> {
        let items = match given {
            Given::Unknown => {
                *open(&mut self.open) = true;
                return Vec::new();
            }
            Given::Absent => return Vec::new(),
            Given::Value(items) => items,
        };
        items.iter().filter_map(|item| self.text(item, open)).collect()
    }

    /// What lies over the generated configuration.
    fn patches(&mut self, machine: &MachineDraft) -> Vec<Secret<String>> {
        let mut documents = Vec::new();
        let settings = self.settings(machine);
        if !settings.is_empty() {
            documents.push(Node::mapping([("machine", Node::mapping(settings))]));
        }
        match &machine.extension_services {
            Given::Unknown => self.open.services = true,
            Given::Absent => {}
            Given::Value(services) => {
                let services = services.iter().filter_map(|service| match service {
                    Given::Value(service) => self.service(service),
                    _ => {
                        self.open.services = true;
                        None
                    }
                });
                documents.extend(services.collect::<Vec<_>>());
            }
        }
        match &machine.network {
            Given::Value(network) => documents.extend(self.network(network)),
            Given::Unknown => {
                for open in
                    [&mut self.open.addresses, &mut self.open.link, &mut self.open.routes, &mut self.open.nameservers]
                {
                    *open = true;
                }
            }
            Given::Absent => {}
        }
        documents.iter().map(|document| Secret::new(emit([document]))).collect()
    }

    fn settings(&mut self, machine: &MachineDraft) -> Vec<(&'static str, Node)> {
        let mut settings = Vec::new();
        let mut kubelet = Vec::new();
        let subnets = self.list(&machine.node_ip_subnets, |open| &mut open.node_ip);
        if !subnets.is_empty() {
            kubelet.push(("nodeIP", Node::mapping([("validSubnets", strings(subnets))])));
        }
        if let Some(image) = self.text(&machine.kubelet_image, |open| &mut open.kubernetes) {
            kubelet.push(("image", Node::string(image)));
        }
        if !kubelet.is_empty() {
            settings.push(("kubelet", Node::mapping(kubelet)));
        }
        self.open.other |= machine.kubespan.is_unknown();
        if let Some(on) = machine.kubespan.value() {
            let kubespan = Node::mapping([("enabled", Node::boolean(*on))]);
            settings.push(("network", Node::mapping([("kubespan", kubespan)])));
        }
        for (key, given) in [("nodeLabels", &machine.node_labels), ("nodeTaints", &machine.node_taints)] {
            let pairs = self.pairs(given, |open| &mut open.other);
            if !pairs.is_empty() {
                let pairs = pairs.into_iter().map(|(name, value)| (name, Node::string(value.expose().clone())));
                settings.push((key, Node::mapping(pairs)));
            }
        }
        settings
    }

    fn pairs(&mut self, given: &Map, open: fn(&mut Open) -> &mut bool) -> Vec<(String, Secret<String>)> {
        *open(&mut self.open) |= given.is_unknown();
        let mut pairs = Vec::new();
        for (name, value) in given.value().into_iter().flatten() {
            match value {
                Given::Value(value) => pairs.push((name.clone(), value.clone())),
                Given::Unknown => {
                    *open(&mut self.open) = true;
                    pairs.push((name.clone(), Secret::new("unknown".to_owned())));
                }
                Given::Absent => {}
            }
        }
        pairs
    }

    fn service(&mut self, service: &ServiceDraft) -> Option<Node> {
        let name = self.text(&service.name, |open| &mut open.services)?;
        let mut fields = vec![
            ("apiVersion", Node::string("v1alpha1")),
            ("kind", Node::string("ExtensionServiceConfig")),
            ("name", Node::string(name)),
        ];
        self.open.services |= service.config_files.is_unknown();
        let files: Vec<Node> = service
            .config_files
            .value()
            .into_iter()
            .flatten()
            .map(|(content, path)| {
                self.open.services |= content.is_unknown() || path.is_unknown();
                let content = content.value().map(|content| content.expose().clone()).unwrap_or_default();
                let path = path.value().cloned().unwrap_or_default();
                Node::mapping([("content", Node::string(content)), ("mountPath", Node::string(path))])
            })
            .collect();
        if !files.is_empty() {
            fields.push(("configFiles", Node::sequence(files)));
        }
        let pairs = self.pairs(&service.environment, |open| &mut open.services);
        if !pairs.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", value.expose()));
            fields.push(("environment", strings(pairs)));
        }
        Some(Node::mapping(fields))
    }

    fn network(&mut self, network: &NetworkDraft) -> Vec<Node> {
        let mut documents = Vec::new();
        let address = self.text(&network.address, |open| &mut open.addresses);
        let routes = self.routes(network);
        let dhcp = network.dhcp.value() == Some(&true);
        self.open.addresses |= network.dhcp.is_unknown();
        self.open.routes |= network.dhcp.is_unknown();
        if let Some((name, alias)) = self.link(network) {
            documents.extend(alias);
            if address.is_some() || !routes.is_empty() {
                let mut link = document("LinkConfig", &name);
                if let Some(address) = address {
                    let address = Node::mapping([("address", Node::string(address))]);
                    link.push(("addresses", Node::sequence(vec![address])));
                }
                if !routes.is_empty() {
                    link.push(("routes", Node::sequence(routes)));
                }
                documents.push(Node::mapping(link));
            }
            if dhcp {
                documents.push(Node::mapping(document("DHCPv4Config", &name)));
            }
        }
        let nameservers = self.list(&network.nameservers, |open| &mut open.nameservers);
        if !nameservers.is_empty() {
            let servers = nameservers.into_iter().map(|server| Node::mapping([("address", Node::string(server))]));
            documents.push(Node::mapping([
                ("apiVersion", Node::string("v1alpha1")),
                ("kind", Node::string("ResolverConfig")),
                ("nameservers", Node::sequence(servers.collect())),
            ]));
        }
        documents
    }

    fn routes(&mut self, network: &NetworkDraft) -> Vec<Node> {
        let mut routes = Vec::new();
        if let Some(gateway) = self.text(&network.gateway, |open| &mut open.routes) {
            routes.push(Node::mapping([("gateway", Node::string(gateway))]));
        }
        self.open.routes |= network.routes.is_unknown();
        for (destination, gateway) in network.routes.value().into_iter().flatten() {
            let mut route = Vec::new();
            let destination = self.text(destination, |open| &mut open.routes);
            // Talos 1.12 refuses an explicit destination of everything.
            if let Some(destination) = destination.filter(|text| text != "0.0.0.0/0" && text != "::/0") {
                route.push(("destination", Node::string(destination)));
            }
            if let Some(gateway) = self.text(gateway, |open| &mut open.routes) {
                route.push(("gateway", Node::string(gateway)));
            }
            if !route.is_empty() {
                routes.push(Node::mapping(route));
            }
        }
        routes
    }

    /// The link's name, with the document that gives it to the card with the hardware address.
    fn link(&mut self, network: &NetworkDraft) -> Option<(String, Option<Node>)> {
        let alias = |hardware: &str| {
            let mut alias = document("LinkAliasConfig", ALIAS);
            let expression = format!("glob(\"{hardware}\", mac(link.hardware_addr))");
            alias.push(("selector", Node::mapping([("match", Node::string(expression))])));
            Some((ALIAS.to_owned(), Some(Node::mapping(alias))))
        };
        match (&network.mac_address, &network.interface) {
            (Given::Value(_), Given::Value(_)) => {
                self.findings.error(
                    "native-conflict",
                    "machine.network.interface",
                    "mac_address and interface both say which network card is meant",
                    "keep mac_address, which stays the same whatever the card is called",
                );
                None
            }
            // Talos writes it in lower case, Oracle in upper case.
            (Given::Value(hardware), _) if hardware.contains(['"', '\\']) => alias("invalid"),
            (Given::Value(hardware), _) => alias(&hardware.to_ascii_lowercase()),
            (Given::Absent, Given::Value(name)) => Some((name.clone(), None)),
            (Given::Absent, Given::Absent) => {
                let needed =
                    !network.address.is_absent() || !network.gateway.is_absent() || !network.routes.is_absent();
                if needed || network.dhcp.value() == Some(&true) {
                    self.missing(
                        "machine.network.mac_address",
                        "set it to the MAC address of the instance's VNIC, or set interface",
                    );
                }
                None
            }
            (Given::Unknown, _) | (_, Given::Unknown) => {
                self.open.link = true;
                alias("02:00:17:*")
            }
        }
    }
}

/// What a link is called that is found by its hardware address: as talhelper calls it, so that both doors give one hash.
const ALIAS: &str = "ethSel0";

fn document(kind: &'static str, name: &str) -> Vec<(&'static str, Node)> {
    vec![("apiVersion", Node::string("v1alpha1")), ("kind", Node::string(kind)), ("name", Node::string(name))]
}

fn strings(items: impl IntoIterator<Item = String>) -> Node {
    Node::sequence(items.into_iter().map(Node::string).collect())
}

fn reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", reason(source)),
        None => error.to_string(),
    }
}

/// The values that a worker needs.
struct Values {
    id: Secret<String>,
    secret: Secret<String>,
    bootstrap_token: Secret<String>,
    trustd_token: Secret<String>,
    os_ca: Secret<String>,
    k8s_ca: Secret<String>,
}

impl Default for Values {
    fn default() -> Self {
        let empty = || Secret::new(String::new());
        Self {
            id: empty(),
            secret: empty(),
            bootstrap_token: empty(),
            trustd_token: empty(),
            os_ca: empty(),
            k8s_ca: empty(),
        }
    }
}

impl Values {
    fn of(bundle: &SecretsBundle) -> Self {
        Self {
            id: Secret::new(bundle.cluster.id.clone()),
            secret: bundle.cluster.secret.clone(),
            bootstrap_token: bundle.bootstrap_token.clone(),
            trustd_token: bundle.trustd_token.clone(),
            os_ca: Secret::new(bundle.certs.os.crt.clone()),
            k8s_ca: Secret::new(bundle.certs.k8s.crt.clone()),
        }
    }

    fn borrow(&self) -> GenerateSecrets<'_> {
        fn pair(crt: &Secret<String>) -> PemPair<'_> {
            PemPair { crt: crt.expose(), key: "" }
        }
        GenerateSecrets {
            cluster_id: self.id.expose(),
            cluster_secret: self.secret.expose(),
            bootstrap_token: self.bootstrap_token.expose(),
            trustd_token: self.trustd_token.expose(),
            os_ca: pair(&self.os_ca),
            k8s_ca: pair(&self.k8s_ca),
            ..GenerateSecrets::default()
        }
    }
}

#[cfg(test)]
mod tests;
