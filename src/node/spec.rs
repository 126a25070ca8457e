//! The judgement: drafts in, findings and a node specification out.
//!
//! Validation, plan and apply all come through [`Parsed::of`], so a rule is written once. A value that is not known
//! yet is skipped, never blamed.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use url::Url;

use crate::node::draft::Draft;
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::worker::Worker;
use crate::node::{checks, door};
use crate::talos::image::{Architecture, InstallerReference};
use crate::talos::machine_config::MachineConfig;
use crate::talos::schematic::SchematicId;
use crate::talos::secret::Secret;
use crate::talos::talosconfig::ClientCredentials;
use crate::talos::version::TalosVersion;

/// Rules for the endpoint, the image and the flash target.
mod target;

/// What the node runs, where the door says it.
mod image;

/// Rules for credentials: whose they are, and whether they can work.
mod access;

/// Limit for a whole create when the user sets none; a first image build alone may take 20 minutes.
pub const DEFAULT_CREATE_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// Limit for the join phase when the user sets none.
pub const DEFAULT_JOIN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Where SSH and the Talos API answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// IP address or DNS name.
    pub host: String,
    /// Port of the Talos API.
    pub talos_port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.talos_port)
        } else {
            write!(f, "{}:{}", self.host, self.talos_port)
        }
    }
}

/// What the node is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Talos release.
    pub talos_version: TalosVersion,
    /// Schematic whose extensions must be active.
    pub schematic: SchematicId,
    /// Compressed disk image; needed to flash.
    pub url: Option<Url>,
    /// Installer with the same schematic and version; needed to upgrade.
    pub installer: InstallerReference,
    /// Pinned SHA-256 of the compressed disk image, lower-case hex.
    pub sha256: Option<String>,
    /// The schematic in canonical YAML, where it is known and not its id alone.
    pub schematic_yaml: Option<String>,
    /// Whether the schematic must still be made known to the Image Factory.
    pub unregistered: bool,
}

impl Image {
    /// The processor that the disk image is for, as its file name says.
    pub fn architecture(&self) -> Architecture {
        match &self.url {
            Some(url) if url.path().contains("-amd64") => Architecture::Amd64,
            _ => Architecture::Arm64,
        }
    }
}

/// How the image comes onto the disk.
#[derive(Clone, Debug)]
pub enum Flash {
    /// It is there already: the machine runs Talos in maintenance mode.
    None,
    /// Written over SSH, from a rescue shell or below the running system.
    Ssh(Box<SshFlash>),
}

impl Flash {
    /// The disk that is written.
    pub fn disk(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Ssh(flash) => Some(&flash.disk),
        }
    }
}

/// A flash over SSH.
#[derive(Clone, Debug)]
pub struct SshFlash {
    /// Target disk, an absolute path below `/dev`.
    pub disk: String,
    /// Whether the disk is that of the running system, which is overwritten on purpose.
    pub in_place: bool,
    /// Who brings the image there.
    pub source: Source,
    /// Which zero ranges are written.
    pub zero: Zero,
    /// Allow the disk that the rescue system runs from.
    pub allow_root_disk: bool,
    /// SSH host.
    pub host: String,
    /// SSH port.
    pub port: u16,
    /// SSH user: root, or one with password-less sudo.
    pub user: String,
    /// How the user proves itself.
    pub auth: SshAuth,
    /// How the host proves itself.
    pub host_key: HostKey,
}

/// How the SSH user proves itself.
#[derive(Clone, Debug)]
pub enum SshAuth {
    /// A private key in any of OpenSSH's formats.
    PrivateKey(Secret<String>),
    /// The keys of the running SSH agent.
    Agent,
}

/// How the rescue host proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// One of these keys (OpenSSH lines or `SHA256:` fingerprints).
    Pinned(Vec<String>),
    /// Listed in this known_hosts content.
    KnownHosts(String),
    /// Whatever it shows: a choice that the user made.
    AcceptNew,
}

/// Who brings the image to the rescue host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Source {
    /// We send it.
    #[default]
    Push,
    /// The rescue host downloads it.
    Pull,
}

/// Which zero ranges of the image are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Zero {
    /// All inside partitions, and the partition tables.
    #[default]
    Partitions,
    /// Only those that are read by someone: no free clusters.
    Needed,
    /// All.
    All,
}

/// How the system extensions become active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// Temporary control plane, bootstrap, upgrade.
    #[default]
    Upgrade,
    /// Like `Upgrade`, unless they are active in maintenance mode already.
    Auto,
    /// The worker configuration straight into maintenance mode.
    None,
}

/// How a later change of the configuration is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ApplyMode {
    /// As the release does it: live where it can, with a reboot where it must.
    #[default]
    Auto,
    /// Live, or not at all.
    NoReboot,
    /// At the next reboot, whenever that is.
    Staged,
    /// With a reboot now.
    Reboot,
}

/// What must hold before create is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// The Kubernetes node is Ready.
    pub kubernetes: bool,
    /// The extension services run.
    pub extensions: bool,
    /// Limit for the phase.
    pub timeout: Duration,
}

/// A node that can be provisioned: everything known, nothing wrong.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Name of the node.
    pub hostname: String,
    /// Name that it has in Kubernetes.
    pub node_name: String,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// OCID of the instance: tells the machine itself from a helper that has its disk attached.
    pub instance_id: Option<String>,
    /// What it is to run.
    pub image: Image,
    /// How the image comes onto the disk.
    pub flash: Flash,
    /// How the extensions become active.
    pub activation: Activation,
    /// Its real configuration.
    pub worker: Worker,
    /// Credentials of the real cluster.
    pub credentials: ClientCredentials,
    /// Kubeconfig of the real cluster.
    pub kubeconfig: Option<Secret<String>>,
    /// What must hold before create is done.
    pub join: Join,
    /// How a later change of the configuration is applied.
    pub apply_mode: ApplyMode,
    /// Whether pods leave the node before it reboots.
    pub drain: bool,
    /// Wait for the rescue shell of a machine where a node of another cluster answers.
    pub force: bool,
    /// Whether the disk may hold a Talos node that was configured before: `force`, or a value of `reflash`.
    pub over_talos: bool,
    /// Limit for the whole create.
    pub create_timeout: Duration,
}

/// A draft after judgement: what is known of it, part by part, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// What is wrong.
    pub findings: Findings,
    /// Name of the node.
    pub hostname: Given<String>,
    /// Name that it has in Kubernetes.
    pub node_name: Given<String>,
    /// Where it answers.
    pub endpoint: Given<Endpoint>,
    /// What it is to run.
    pub image: Given<Image>,
    /// How the image comes onto the disk.
    pub flash: Given<Flash>,
    /// Whether it does at all: known even while an address is not.
    pub flashes: Given<bool>,
    /// How the extensions become active.
    pub activation: Activation,
    /// Its real configuration.
    pub worker: Given<Worker>,
    /// Credentials of the real cluster.
    pub credentials: Given<ClientCredentials>,
    /// Kubeconfig of the real cluster.
    pub kubeconfig: Given<Secret<String>>,
    /// How a later change of the configuration is applied.
    pub apply_mode: ApplyMode,
    /// Limit for an update, where the user set one.
    pub update_timeout: Option<Duration>,
    /// Limit for a destroy, where the user set one.
    pub delete_timeout: Option<Duration>,
    drain: bool,
    join: JoinParts,
    force: bool,
    over_talos: bool,
    create_timeout: Option<Duration>,
    instance_id: Given<String>,
}

#[derive(Clone, Debug, Default)]
struct JoinParts {
    kubernetes: Option<bool>,
    extensions: Option<bool>,
    timeout: Option<Duration>,
}

impl Parsed {
    /// Judges a draft. `now` is for the validity of certificates.
    pub fn of(draft: &Draft, now: OffsetDateTime) -> Self {
        let mut findings = Findings::default();
        let opened = door::open(draft, &mut findings);
        let hostname = target::hostname(&draft.hostname.clone().or(opened.defaults.hostname.clone()), &mut findings);
        let endpoint = target::endpoint(&draft.endpoint, &draft.talos_port, &mut findings);
        let flash = target::flash(&draft.flash, &opened.defaults.disk, &endpoint, &mut findings);
        let image = target::image(&image::completed(draft, &opened.defaults, &flash), &flash, &mut findings)
            .map(|image| image::registering(image, draft, &opened.defaults));
        let activation = choice(&draft.activation, "activation", ACTIVATIONS, &mut findings);
        let version = image.value().map(|image| &image.talos_version);
        let (worker, known) = Worker::render(&opened, draft.patches(), &hostname, version, &mut findings);
        let node_name = kubernetes_name(&hostname, known.as_ref());
        let credentials = access::credentials(&draft.client, &opened.defaults.authority, now, &mut findings);
        access::same_cluster(&credentials, &worker, &mut findings);
        access::kubeconfig(&draft.kubeconfig, &mut findings);
        if let Some(config) = &known {
            if !opened.open.cert_sans {
                access::name_on_certificate(&endpoint, config, opened.place, &mut findings);
            }
            checks::run(config, opened.open, opened.place, endpoint.value(), image.value(), &mut findings);
        }
        let join = JoinParts {
            kubernetes: draft.join.kubernetes.value().copied(),
            extensions: draft.join.extensions.value().copied(),
            timeout: duration(&draft.join.timeout, "join.timeout", &mut findings),
        };
        if join.kubernetes == Some(true) && draft.kubeconfig.is_absent() {
            findings.error(
                "kubeconfig-missing",
                "join.kubernetes",
                "join.kubernetes is true, but there is no kubeconfig to ask with",
                "set kubeconfig here or in the provider block",
            );
        }
        let apply_mode = choice(&draft.apply_mode, "apply_mode", APPLY_MODES, &mut findings);
        let force = draft.force.value().copied().unwrap_or(false);
        let create_timeout = duration(&draft.timeouts.create, "timeouts.create", &mut findings);
        let update_timeout = duration(&draft.timeouts.update, "timeouts.update", &mut findings);
        let delete_timeout = duration(&draft.timeouts.delete, "timeouts.delete", &mut findings);
        Self {
            findings,
            hostname,
            node_name,
            endpoint,
            image,
            flash,
            activation,
            worker,
            credentials,
            flashes: target::flashes(&draft.flash),
            kubeconfig: draft.kubeconfig.clone(),
            apply_mode,
            drain: draft.drain.value().copied().unwrap_or(true),
            join,
            force,
            over_talos: force || draft.reflash.value().is_some(),
            create_timeout,
            update_timeout,
            delete_timeout,
            instance_id: draft.instance_id.clone(),
        }
    }

    /// The specification, once everything is known and nothing is wrong. `None` while something is unknown or an error
    /// was found.
    pub fn complete(&self) -> Option<NodeSpec> {
        if self.findings.has_errors() || self.kubeconfig.is_unknown() {
            return None;
        }
        let kubeconfig = self.kubeconfig.value().cloned();
        Some(NodeSpec {
            hostname: self.hostname.value()?.clone(),
            node_name: self.node_name.value()?.clone(),
            endpoint: self.endpoint.value()?.clone(),
            instance_id: self.instance_id.value().cloned(),
            image: self.image.value()?.clone(),
            flash: self.flash.value()?.clone(),
            activation: self.activation,
            worker: self.worker.value()?.clone(),
            credentials: self.credentials.value()?.clone(),
            join: Join {
                kubernetes: self.join.kubernetes.unwrap_or(kubeconfig.is_some()),
                extensions: self.join.extensions.unwrap_or(true),
                timeout: self.join.timeout.unwrap_or(DEFAULT_JOIN_TIMEOUT),
            },
            kubeconfig,
            apply_mode: self.apply_mode,
            drain: self.drain,
            force: self.force,
            over_talos: self.over_talos,
            create_timeout: self.create_timeout.unwrap_or(DEFAULT_CREATE_TIMEOUT),
        })
    }
}

/// A name without a domain is taken as it is; of one with a domain the configuration says how much counts.
fn kubernetes_name(hostname: &Given<String>, config: Option<&MachineConfig>) -> Given<String> {
    match (hostname, config) {
        (Given::Value(name), Some(config)) => Given::Value(config.kubernetes_name(name).to_owned()),
        (Given::Value(name), None) if name.contains('.') => Given::Unknown,
        _ => hostname.clone(),
    }
}

const ACTIVATIONS: &[(&str, Activation)] =
    &[("upgrade", Activation::Upgrade), ("auto", Activation::Auto), ("none", Activation::None)];

const APPLY_MODES: &[(&str, ApplyMode)] = &[
    ("auto", ApplyMode::Auto),
    ("no_reboot", ApplyMode::NoReboot),
    ("staged", ApplyMode::Staged),
    ("reboot", ApplyMode::Reboot),
];

/// One of a fixed set of words; the default when absent or unknown.
fn choice<T: Copy + Default>(
    given: &Given<String>,
    attribute: &str,
    choices: &[(&str, T)],
    findings: &mut Findings,
) -> T {
    let Some(word) = given.value() else {
        return T::default();
    };
    if let Some((_, choice)) = choices.iter().find(|(name, _)| name == word) {
        return *choice;
    }
    let known: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    findings.error(
        "unknown-choice",
        attribute,
        format!("{attribute} is {word:?}"),
        format!("write one of {}", known.join(", ")),
    );
    T::default()
}

/// A duration as Go writes it (`90s`, `15m`, `1h30m`).
fn duration(given: &Given<String>, attribute: &str, findings: &mut Findings) -> Option<Duration> {
    let text = given.value()?;
    let parsed = parse_duration(text);
    if parsed.is_none() {
        findings.error(
            "duration-syntax",
            attribute,
            format!("{text:?} is not a duration"),
            "write it with units, such as \"90s\", \"15m\" or \"1h30m\"",
        );
    }
    parsed
}

/// Parses `1h30m`, `90s`, `250ms`; `None` when it is not a positive duration.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = &rest[letters..];
    }
    (total > Duration::ZERO).then_some(total)
}

#[cfg(test)]
pub(super) mod tests;
