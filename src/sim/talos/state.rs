//! What a pretend node remembers: on its disk, and in memory since it booted.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use time::OffsetDateTime;

use super::config::Config;
use crate::talos::version::TalosVersion;
pub use crate::wire::machine::machine_status_event::MachineStage as Stage;

/// A system extension of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// `tailscale`
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// One line.
    pub description: String,
    /// `extraInfo`; the schematic's YAML for the extension `schematic`.
    pub extra: String,
}

/// What the boot loader can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The schematic's id; empty for installers that did not come from a factory.
    pub schematic: String,
    /// The Talos version.
    pub version: TalosVersion,
    /// The platform that is baked into the kernel command line.
    pub platform: String,
    /// The kernel command line.
    pub cmdline: String,
    /// System extensions, the schematic's own entry last.
    pub extensions: Vec<Extension>,
    /// Name of the UKI.
    pub uki: String,
}

impl BootEntry {
    /// Whether an extension is in it.
    pub fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|known| known.name == extension)
    }

    /// `cloud` or `metal`.
    pub fn mode(&self) -> &'static str {
        if self.platform == "metal" { "metal" } else { "cloud" }
    }
}

/// What survives a reboot.
#[derive(Debug, Default)]
pub struct Disk {
    /// The entry that boots next; `None` until an image was found.
    pub entry: Option<BootEntry>,
    /// The entry that boots when the next one does not.
    pub fallback: Option<BootEntry>,
    /// A hash of the partition table that Talos wrote; another one means that somebody flashed the disk.
    pub table: Option<[u8; 32]>,
    /// The configuration on STATE.
    pub config: Option<Config>,
    /// Whether /var/lib/etcd on EPHEMERAL holds data.
    pub etcd: bool,
    /// Images in containerd on EPHEMERAL, as (store, reference).
    pub images: HashSet<(i32, i32, String)>,
    /// The META partition.
    pub meta: BTreeMap<u8, Vec<u8>>,
    /// An upgrade that runs at the next boot.
    pub staged_upgrade: Option<String>,
    /// A random id on STATE (`cluster.Identity`).
    pub identity: String,
}

/// How the API port stands.
#[derive(Clone, Default)]
pub enum Serving {
    /// Connections are refused.
    #[default]
    Closed,
    /// Connections are accepted, but there is no certificate to show.
    NoCertificate,
    /// Maintenance mode: no client certificate is asked for.
    Maintenance(Arc<CertifiedKey>),
    /// Mutual TLS with these authorities.
    Mutual(Arc<CertifiedKey>, Vec<CertificateDer<'static>>),
}

impl Serving {
    /// Whether the port is open.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// A service as `ServiceList` shows it.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// `apid`, `ext-tailscale`, …
    pub id: &'static str,
    /// `Running`, `Waiting`, …
    pub state: &'static str,
    /// What happened to it: state, message, time.
    pub events: VecDeque<(&'static str, String, OffsetDateTime)>,
    /// Healthy or not; `None` when it has no health check.
    pub healthy: Option<bool>,
}

/// A running Talos.
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id`
    pub id: String,
    /// When it booted, by the node's clock.
    pub at: OffsetDateTime,
    /// What was booted.
    pub entry: BootEntry,
    /// Seconds by which the node's clock is ahead.
    pub clock_skew: i64,
    /// The machine's stage.
    pub stage: Stage,
    /// The configuration in effect.
    pub config: Option<Config>,
    /// Counts tries, so that only the last one is taken back.
    pub tries: u64,
    /// The services, in the order in which they were loaded.
    pub services: Vec<Service>,
    /// How the API port stands.
    pub serving: Serving,
    /// Whether the API port is open right now; it follows `serving`.
    pub listening: bool,
    /// Whether time is in sync.
    pub time_synced: bool,
    /// Whether Bootstrap was called and etcd has written nothing yet.
    pub bootstrapping: bool,
    /// A reboot that a REBOOT apply has started.
    pub apply_reboots: bool,
    /// Whether a configuration may be taken now (`another apply configuration is already in progress`).
    pub applying: bool,
    /// The sequence that runs, when it is not the boot itself.
    pub sequence: Option<&'static str>,
    /// Whether LifecycleService is at work.
    pub installing: bool,
    /// Whether Tailscale is up and has the routes.
    pub tailscale_up: bool,
    /// The Kubernetes Node's name, once the kubelet knows it.
    pub node_name: Option<String>,
    /// Whether the Node of a control plane of its own is ready.
    pub own_node_ready: bool,
    /// COSI versions: (type, id) to (version, created, updated, hash of the content).
    pub versions: HashMap<(String, String), (u64, OffsetDateTime, OffsetDateTime, u64)>,
}

impl Boot {
    /// A Talos that has just started.
    pub fn new(id: String, entry: BootEntry, now: OffsetDateTime, clock_skew: i64) -> Self {
        Self {
            id,
            at: now,
            entry,
            clock_skew,
            stage: Stage::Booting,
            config: None,
            tries: 0,
            services: Vec::new(),
            serving: Serving::Closed,
            listening: false,
            time_synced: false,
            bootstrapping: false,
            apply_reboots: false,
            applying: false,
            sequence: None,
            installing: false,
            tailscale_up: false,
            node_name: None,
            own_node_ready: false,
            versions: HashMap::new(),
        }
    }

    /// A service by id.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }

    /// Whether a service runs.
    pub fn runs(&self, id: &str) -> bool {
        self.service(id).is_some_and(|service| service.state == "Running")
    }

    /// Whether the configuration makes this a control plane.
    pub fn is_control_plane(&self) -> bool {
        self.config.as_ref().is_some_and(Config::is_control_plane)
    }

    /// Whether there is no complete configuration yet.
    pub fn in_maintenance(&self) -> bool {
        !self.config.as_ref().is_some_and(Config::is_complete)
    }
}

/// Everything about a node that changes.
#[derive(Default)]
pub struct State {
    /// What survives a reboot.
    pub disk: Disk,
    /// The running Talos, if it runs.
    pub boot: Option<Boot>,
}

/// What does not change while a node lives.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Display name in the cloud, and hostname unless the configuration says otherwise.
    pub name: String,
    /// SMBIOS UUID.
    pub uuid: String,
    /// OCID.
    pub instance_id: String,
    /// Kernel name of the disk.
    pub disk: String,
    /// Size of the disk.
    pub disk_bytes: u64,
    /// Serial of the disk.
    pub serial: String,
    /// `arm64`
    pub arch: String,
    /// Private address of the first interface.
    pub private_ip: IpAddr,
    /// MAC address of the first interface.
    pub mac: String,
    /// Addresses that clients dial: loopback here, in place of the private one.
    pub local_ips: Vec<IpAddr>,
    /// Addresses that reach the node through NAT: not in its certificate unless `machine.certSANs` names them.
    pub nat_ips: Vec<IpAddr>,
}

/// The word of a stage in YAML and in the journal.
pub fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Unknown => "unknown",
        Stage::Booting => "booting",
        Stage::Installing => "installing",
        Stage::Maintenance => "maintenance",
        Stage::Running => "running",
        Stage::Rebooting => "rebooting",
        Stage::ShuttingDown => "shutting down",
        Stage::Resetting => "resetting",
        Stage::Upgrading => "upgrading",
    }
}
