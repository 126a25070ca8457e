//! New configurations, as `talosctl gen config` writes them (Talos v1.12.2 and v1.13.9
//! `pkg/machinery/config/generate`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MachineConfig;
use super::document::Document;
use super::error::ConfigError;
use super::yaml::{self, Entry, Limits, Node, Value};

/// A certificate and its key, both as PEM text (`-----BEGIN ...`), not as base64 of it.
#[derive(Clone, Copy, Default)]
pub struct PemPair<'a> {
    /// The certificate.
    pub crt: &'a str,
    /// The key; unused for workers, which never carry one.
    pub key: &'a str,
}

/// The cluster's secrets. Tokens and base64 values are taken as they stand in `talsecret.yaml`;
/// certificates and keys are PEM text, which this module encodes.
///
/// A worker needs `cluster_id`, `cluster_secret`, `bootstrap_token`, `trustd_token` and the certificates of
/// `os_ca` and `k8s_ca`; the rest may be empty then.
#[derive(Clone, Copy, Default)]
pub struct GenerateSecrets<'a> {
    /// `cluster.id`: base64 of 32 bytes.
    pub cluster_id: &'a str,
    /// `cluster.secret`: base64 of 32 bytes.
    pub cluster_secret: &'a str,
    /// `secrets.bootstraptoken`.
    pub bootstrap_token: &'a str,
    /// `trustdinfo.token`.
    pub trustd_token: &'a str,
    /// The authority of the Talos API.
    pub os_ca: PemPair<'a>,
    /// The authority of the Kubernetes API.
    pub k8s_ca: PemPair<'a>,
    /// The authority of etcd.
    pub etcd_ca: PemPair<'a>,
    /// The authority of the aggregation layer.
    pub aggregator_ca: PemPair<'a>,
    /// The key that signs service account tokens, as PEM.
    pub service_account_key: &'a str,
    /// `secrets.secretboxencryptionsecret`: base64 of 32 bytes.
    pub secretbox_secret: &'a str,
}

/// What a configuration is generated from.
#[derive(Clone)]
pub struct Input<'a> {
    /// The cluster's name.
    pub cluster_name: &'a str,
    /// The URL of the Kubernetes API, such as `https://192.168.1.50:6443`.
    pub endpoint: &'a str,
    /// The Kubernetes version, with or without a leading `v`; empty leaves the images out.
    pub kubernetes_version: &'a str,
    /// The Talos minor release to generate for: `(1, 12)` or `(1, 13)`.
    pub contract: (u64, u64),
    /// The disk Talos is installed to; empty leaves it out.
    pub install_disk: &'a str,
    /// The installer image; empty leaves it out.
    pub install_image: &'a str,
    /// Names and addresses for the machine's certificate, and for the Kubernetes API's on control planes.
    pub additional_sans: Vec<String>,
    /// The cluster's secrets.
    pub secrets: GenerateSecrets<'a>,
    /// Whether members find each other through the discovery service. `talosctl` enables it.
    pub discovery: bool,
    /// The name of the network plugin (`none` for a cluster that runs no pods); empty means Talos' default.
    pub cni: &'a str,
    /// Whether pods may run on control planes.
    pub allow_scheduling_on_control_planes: bool,
    /// The DNS domain of the cluster.
    pub dns_domain: &'a str,
    /// The subnets of pods.
    pub pod_subnets: Vec<String>,
    /// The subnets of services.
    pub service_subnets: Vec<String>,
    /// Further documents, each a YAML text, appended in order.
    pub extra_documents: Vec<String>,
}

impl<'a> Input<'a> {
    /// The input with the defaults of `talosctl gen config`.
    pub fn new(
        cluster_name: &'a str,
        endpoint: &'a str,
        kubernetes_version: &'a str,
        contract: (u64, u64),
        secrets: GenerateSecrets<'a>,
    ) -> Self {
        Self {
            cluster_name,
            endpoint,
            kubernetes_version: kubernetes_version.strip_prefix('v').unwrap_or(kubernetes_version),
            contract,
            install_disk: "",
            install_image: "",
            additional_sans: Vec::new(),
            secrets,
            discovery: true,
            cni: "",
            allow_scheduling_on_control_planes: false,
            dns_domain: "cluster.local",
            pod_subnets: vec!["10.244.0.0/16".into()],
            service_subnets: vec!["10.96.0.0/12".into()],
            extra_documents: Vec::new(),
        }
    }
}

/// Why no configuration can be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The shape of another release's configuration is not known here.
    #[error("generating a configuration for Talos {0}.{1}: only the contracts 1.12 and 1.13 are known")]
    Contract(u64, u64),
    /// An extra document is no document.
    #[error("reading extra document {index}")]
    ExtraDocument {
        /// Which one, counted from 0.
        index: usize,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// What was put in makes no configuration.
    #[error("assembling the configuration")]
    Assemble(#[source] ConfigError),
}

/// The configuration of a worker.
pub fn worker(input: &Input<'_>) -> Result<MachineConfig, GenerateError> {
    check_contract(input)?;
    let secrets = &input.secrets;
    let machine = machine(input, "worker", PemPair { crt: secrets.os_ca.crt, key: "" }, false);
    let mut cluster = cluster_head(input);
    cluster.push(("ca", pem_pair(PemPair { crt: secrets.k8s_ca.crt, key: "" })));
    cluster.push(("discovery", discovery(input)));
    assemble(input, machine, Node::mapping(cluster))
}

/// The configuration of a control plane node.
pub fn controlplane(input: &Input<'_>) -> Result<MachineConfig, GenerateError> {
    check_contract(input)?;
    let secrets = &input.secrets;
    let machine = machine(input, "controlplane", secrets.os_ca, true);
    let mut cluster = cluster_head(input);
    if !secrets.secretbox_secret.is_empty() {
        cluster.push(("secretboxEncryptionSecret", Node::string(secrets.secretbox_secret)));
    }
    cluster.push(("ca", pem_pair(secrets.k8s_ca)));
    cluster.push(("aggregatorCA", pem_pair(secrets.aggregator_ca)));
    cluster.push(("serviceAccount", Node::mapping([("key", Node::string(encode(secrets.service_account_key)))])));
    cluster.push(("apiServer", api_server(input)));
    for (key, image) in
        [("controllerManager", "kube-controller-manager"), ("proxy", "kube-proxy"), ("scheduler", "kube-scheduler")]
    {
        cluster.push((key, Node::mapping(kubernetes_image(input, image))));
    }
    cluster.push(("discovery", discovery(input)));
    cluster.push(("etcd", Node::mapping([("ca", pem_pair(secrets.etcd_ca))])));
    if input.allow_scheduling_on_control_planes {
        cluster.push(("allowSchedulingOnControlPlanes", Node::boolean(true)));
    }
    assemble(input, machine, Node::mapping(cluster))
}

fn check_contract(input: &Input<'_>) -> Result<(), GenerateError> {
    match input.contract {
        (1, 12 | 13) => Ok(()),
        (major, minor) => Err(GenerateError::Contract(major, minor)),
    }
}

type Fields = Vec<(&'static str, Node)>;

fn machine(input: &Input<'_>, kind: &str, ca: PemPair<'_>, control_plane: bool) -> Node {
    let mut fields: Fields = vec![
        ("type", Node::string(kind)),
        ("token", Node::string(input.secrets.trustd_token)),
        ("ca", pem_pair(ca)),
        ("certSANs", strings(&input.additional_sans)),
        ("kubelet", kubelet(input)),
    ];
    // From 1.13 on the section is written only when something is in it.
    if input.contract < (1, 13) {
        fields.push(("network", Node::mapping::<&str>([])));
    }
    fields.push(("install", install(input)));
    fields.push(("features", features()));
    if control_plane {
        // constants.LabelExcludeFromExternalLB
        let label = ("node.kubernetes.io/exclude-from-external-load-balancers", Node::string(""));
        fields.push(("nodeLabels", Node::mapping([label])));
    }
    Node::mapping(fields)
}

fn kubelet(input: &Input<'_>) -> Node {
    let mut fields: Fields = Vec::new();
    if !input.kubernetes_version.is_empty() {
        let image = format!("ghcr.io/siderolabs/kubelet:v{}", input.kubernetes_version);
        fields.push(("image", Node::string(image)));
    }
    fields.push(("defaultRuntimeSeccompProfileEnabled", Node::boolean(true)));
    fields.push(("disableManifestsDirectory", Node::boolean(true)));
    Node::mapping(fields)
}

fn install(input: &Input<'_>) -> Node {
    let mut fields: Fields = Vec::new();
    for (key, value) in [("disk", input.install_disk), ("image", input.install_image)] {
        if !value.is_empty() {
            fields.push((key, Node::string(value)));
        }
    }
    fields.push(("wipe", Node::boolean(false)));
    fields.push(("grubUseUKICmdline", Node::boolean(true)));
    Node::mapping(fields)
}

fn features() -> Node {
    let prism = [("enabled", Node::boolean(true)), ("port", Node::integer(7445))];
    let dns = [("enabled", Node::boolean(true)), ("forwardKubeDNSToHost", Node::boolean(true))];
    Node::mapping([
        ("diskQuotaSupport", Node::boolean(true)),
        ("kubePrism", Node::mapping(prism)),
        ("hostDNS", Node::mapping(dns)),
    ])
}

fn cluster_head(input: &Input<'_>) -> Fields {
    let secrets = &input.secrets;
    let mut network: Fields = Vec::new();
    if !input.cni.is_empty() {
        network.push(("cni", Node::mapping([("name", Node::string(input.cni))])));
    }
    network.push(("dnsDomain", Node::string(input.dns_domain)));
    network.push(("podSubnets", strings(&input.pod_subnets)));
    network.push(("serviceSubnets", strings(&input.service_subnets)));
    vec![
        ("id", Node::string(secrets.cluster_id)),
        ("secret", Node::string(secrets.cluster_secret)),
        ("controlPlane", Node::mapping([("endpoint", Node::string(input.endpoint))])),
        ("clusterName", Node::string(input.cluster_name)),
        ("network", Node::mapping(network)),
        ("token", Node::string(secrets.bootstrap_token)),
    ]
}

fn discovery(input: &Input<'_>) -> Node {
    let registries = Node::mapping([
        ("kubernetes", Node::mapping([("disabled", Node::boolean(true))])),
        ("service", Node::mapping::<&str>([])),
    ]);
    Node::mapping([("enabled", Node::boolean(input.discovery)), ("registries", registries)])
}

fn api_server(input: &Input<'_>) -> Node {
    let mut fields: Fields = kubernetes_image(input, "kube-apiserver");
    if !input.additional_sans.is_empty() {
        fields.push(("certSANs", strings(&input.additional_sans)));
    }
    fields.push(("admissionControl", fixed(ADMISSION_CONTROL)));
    fields.push(("auditPolicy", fixed(AUDIT_POLICY)));
    Node::mapping(fields)
}

fn kubernetes_image(input: &Input<'_>, name: &str) -> Fields {
    if input.kubernetes_version.is_empty() {
        return Vec::new();
    }
    let image = format!("registry.k8s.io/{name}:v{}", input.kubernetes_version);
    vec![("image", Node::string(image))]
}

fn assemble(input: &Input<'_>, machine: Node, cluster: Node) -> Result<MachineConfig, GenerateError> {
    let v1alpha1 = Node::mapping([
        ("version", Node::string("v1alpha1")),
        ("debug", Node::boolean(false)),
        ("persist", Node::boolean(true)),
        ("machine", machine),
        ("cluster", cluster),
    ]);
    let hostname = Node::mapping([
        ("apiVersion", Node::string("v1alpha1")),
        ("kind", Node::string("HostnameConfig")),
        ("auto", Node::string("stable")),
    ]);
    let mut documents = Vec::new();
    for node in [v1alpha1, hostname] {
        documents.extend(Document::decode(&node).map_err(GenerateError::Assemble)?);
    }
    for (index, text) in input.extra_documents.iter().enumerate() {
        let extra = MachineConfig::parse(text).map_err(|source| GenerateError::ExtraDocument { index, source })?;
        documents.extend(extra.documents);
    }
    MachineConfig::from_documents(documents).map_err(GenerateError::Assemble)
}

fn pem_pair(pair: PemPair<'_>) -> Node {
    Node::mapping([("crt", Node::string(encode(pair.crt))), ("key", Node::string(encode(pair.key)))])
}

fn encode(pem: &str) -> String {
    STANDARD.encode(pem)
}

fn strings(values: &[String]) -> Node {
    Node::sequence(values.iter().map(Node::string).collect())
}

/// A constant of this file, which parses.
fn fixed(text: &str) -> Node {
    let parsed = yaml::parse_stream(text, &Limits::default()).ok().and_then(|documents| documents.into_iter().next());
    parsed.unwrap_or_else(|| Node::new(Value::Mapping(Vec::<Entry>::new())))
}

const ADMISSION_CONTROL: &str = "
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1alpha1
    kind: PodSecurityConfiguration
    defaults:
      audit: restricted
      audit-version: latest
      enforce: baseline
      enforce-version: latest
      warn: restricted
      warn-version: latest
    exemptions:
      namespaces: [kube-system]
      runtimeClasses: []
      usernames: []
";

const AUDIT_POLICY: &str = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}";
