//! The COSI resources we read, each as small as we need it.
//!
//! Type strings, ids and YAML keys are those of Talos v1.12.2 pkg/machinery/resources; unknown keys are skipped, so
//! newer versions read as well.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::state::Resource;

/// What the machine is doing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Stage {
    /// Before the first sequence.
    Unknown,
    /// Booting, or waiting for something.
    Booting,
    /// Installing to disk.
    Installing,
    /// Waiting for a configuration.
    Maintenance,
    /// Up.
    Running,
    /// On its way down.
    Rebooting,
    /// Powering off.
    ShuttingDown,
    /// Wiping.
    Resetting,
    /// Writing a new version.
    Upgrading,
    /// A stage that this provider does not know.
    Other(String),
}

/// Stage and readiness of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MachineStatus {
    /// What it is doing.
    pub stage: Stage,
    /// Whether it is ready for that.
    #[serde(default)]
    pub status: Readiness,
}

/// Readiness; only computed while booting and running, else always ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Readiness {
    /// Nothing is missing.
    pub ready: bool,
    /// What is missing.
    #[serde(deserialize_with = "super::state::or_default")]
    pub unmet_conditions: Vec<UnmetCondition>,
}

/// One thing a machine waits for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnmetCondition {
    /// `time`, `network`, `services`, `staticPods`, `nodeReady`.
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A system extension of the running image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// `tailscale`; `schematic` for the Factory's own marker.
    pub name: String,
    /// Its version; the schematic id for the marker.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// What the Factory wrote beside it: the schematic's YAML for the marker.
    pub extra_info: String,
}

/// All system extensions of the running image, with the Factory's marker among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<Extension>);

#[derive(Deserialize)]
pub(super) struct ExtensionSpec {
    #[serde(default)]
    metadata: ExtensionMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExtensionMetadata {
    name: String,
    version: String,
    author: String,
    extra_info: String,
}

#[derive(Deserialize)]
pub(super) struct VersionSpec {
    pub(super) version: String,
}

#[derive(Deserialize)]
pub(super) struct BootIdSpec {
    #[serde(rename = "bootID")]
    pub(super) boot_id: String,
}

#[derive(Deserialize)]
pub(super) struct CmdlineSpec {
    pub(super) cmdline: String,
}

#[derive(Deserialize)]
pub(super) struct ServiceConfigSpec {}

/// The whole configuration as one YAML string.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct ConfigSpec(pub(super) String);

/// Which machine configuration to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// The one in effect.
    Active,
    /// The one on disk: ahead of the active one after a staged apply, behind it after a try.
    Persistent,
}

/// The role of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineKind {
    /// No configuration yet.
    Unknown,
    /// The first control plane, in the old style.
    Init,
    /// A control plane.
    ControlPlane,
    /// A worker.
    Worker,
}

/// The node's host name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HostnameStatus {
    /// `cloudbox2`.
    pub hostname: String,
    /// Domain, may be empty.
    #[serde(default)]
    pub domainname: String,
}

impl HostnameStatus {
    /// The whole name: Talos keeps the first label and the domain apart.
    pub fn fqdn(&self) -> String {
        let Self { hostname, domainname } = self;
        if domainname.is_empty() { hostname.clone() } else { format!("{hostname}.{domainname}") }
    }
}

/// A list of the node's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeAddresses {
    /// With the length of their prefix.
    #[serde(default, deserialize_with = "prefixes")]
    pub addresses: Vec<IpNet>,
}

/// An address on a link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressStatus {
    /// With the length of its prefix.
    #[serde(deserialize_with = "prefix")]
    pub address: IpNet,
    /// `eth0`, `tailscale0`.
    #[serde(default)]
    pub link_name: String,
}

/// SMBIOS identity of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SystemInformation {
    /// Maker.
    pub manufacturer: String,
    /// Model.
    pub product_name: String,
    /// Serial number.
    #[serde(rename = "serialnumber")]
    pub serial_number: String,
    /// The UUID that the kubelet reports as `systemUUID`.
    pub uuid: String,
}

/// What the cloud told the node of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlatformMetadata {
    /// `oracle`.
    pub platform: String,
    /// Host name in the cloud.
    pub hostname: String,
    /// Region.
    pub region: String,
    /// Availability domain.
    pub zone: String,
    /// Shape.
    pub instance_type: String,
    /// OCID of the instance.
    pub instance_id: String,
    /// `oci://` and the OCID.
    pub provider_id: String,
}

/// Whether the clock follows NTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeStatus {
    /// In sync.
    pub synced: bool,
    /// Not wanted.
    #[serde(default)]
    pub sync_disabled: bool,
}

/// A running service; the resource exists only while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ServiceStatus {
    /// Running.
    pub running: bool,
    /// Its health check passes.
    #[serde(default)]
    pub healthy: bool,
    /// It has no health check, or none ran yet.
    #[serde(default)]
    pub unknown: bool,
}

/// The name under which the node registers in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Nodename {
    /// The name.
    pub nodename: String,
}

/// The node's own view of its Kubernetes Node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesNode {
    /// Its name.
    pub nodename: String,
    /// Condition Ready.
    #[serde(default)]
    pub node_ready: bool,
    /// Cordoned.
    #[serde(default)]
    pub unschedulable: bool,
    /// Labels.
    #[serde(default, deserialize_with = "super::state::or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "super::state::or_default")]
    pub annotations: BTreeMap<String, String>,
}

/// A route in the kernel (Talos v1.12.2 pkg/machinery/resources/network/route_status.go).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// `inet4` or `inet6`.
    pub family: String,
    /// Where it leads; `None` for a default route, whose destination is empty.
    #[serde(default, rename = "dst", deserialize_with = "optional")]
    pub destination: Option<IpNet>,
    /// Next hop; `None` for a network that the link itself is in.
    #[serde(default, deserialize_with = "optional")]
    pub gateway: Option<IpAddr>,
    /// `eth0`, `tailscale0`; empty for routes that lead nowhere.
    #[serde(default)]
    pub out_link_name: String,
    /// `main`, `local`, or a number: Tailscale keeps its routes in 52.
    #[serde(default)]
    pub table: String,
    /// `unicast`, `local`, `throw` …
    #[serde(default, rename = "type")]
    pub kind: String,
}

/// A disk. Its YAML has snake_case keys, unlike all the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// `/dev/sda`.
    pub dev_path: String,
    /// Bytes.
    pub size: u64,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// World-wide name.
    pub wwid: String,
    /// Cannot be written.
    pub readonly: bool,
    /// `virtio`, `nvme` …
    pub transport: String,
    /// `/dev/disk/by-id/…` and the like.
    #[serde(deserialize_with = "super::state::or_default")]
    pub symlinks: Vec<String>,
}

/// The disk Talos runs from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SystemDisk {
    /// `sda`.
    #[serde(rename = "diskID")]
    pub disk_id: String,
    /// `/dev/sda`.
    #[serde(rename = "devPath")]
    pub dev_path: String,
}

impl Extensions {
    pub(super) fn from_specs(specs: impl IntoIterator<Item = ExtensionSpec>) -> Self {
        let extensions = specs.into_iter().map(|spec| Extension {
            name: spec.metadata.name,
            version: spec.metadata.version,
            author: spec.metadata.author,
            extra_info: spec.metadata.extra_info,
        });
        Self(extensions.collect())
    }

    /// The schematic id of the running image; `None` when no Factory made it.
    pub fn schematic(&self) -> Option<&str> {
        self.named(SCHEMATIC).map(|marker| marker.version.as_str())
    }

    /// The extension of that name.
    pub fn named(&self, name: &str) -> Option<&Extension> {
        self.0.iter().find(|extension| extension.name == name)
    }

    /// The real extensions: without the Factory's marker and without the module index that Talos adds.
    pub fn real(&self) -> impl Iterator<Item = &Extension> {
        self.0.iter().filter(|extension| ![SCHEMATIC, MODULE_INDEX].contains(&extension.name.as_str()))
    }
}

impl Deref for Extensions {
    type Target = [Extension];

    fn deref(&self) -> &[Extension] {
        &self.0
    }
}

impl IntoIterator for Extensions {
    type Item = Extension;
    type IntoIter = std::vec::IntoIter<Extension>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<String> for Stage {
    fn from(name: String) -> Self {
        match name.as_str() {
            "unknown" => Self::Unknown,
            "booting" => Self::Booting,
            "installing" => Self::Installing,
            "maintenance" => Self::Maintenance,
            "running" => Self::Running,
            "rebooting" => Self::Rebooting,
            "shutting down" => Self::ShuttingDown,
            "resetting" => Self::Resetting,
            "upgrading" => Self::Upgrading,
            _ => Self::Other(name),
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Booting => "booting",
            Self::Installing => "installing",
            Self::Maintenance => "maintenance",
            Self::Running => "running",
            Self::Rebooting => "rebooting",
            Self::ShuttingDown => "shutting down",
            Self::Resetting => "resetting",
            Self::Upgrading => "upgrading",
            Self::Other(name) => name,
        })
    }
}

impl MachineStatus {
    /// Ready for what it is doing.
    pub fn is_ready(&self) -> bool {
        self.status.ready
    }

    /// What it waits for.
    pub fn unmet(&self) -> &[UnmetCondition] {
        &self.status.unmet_conditions
    }
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Go writes an address or a prefix that is not set as an empty string.
fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let text: String = super::state::or_default(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts: Vec<String> = super::state::or_default(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

macro_rules! resource {
    ($($spec:ty => $namespace:literal, $type:literal;)+) => {
        $(impl Resource for $spec {
            const NAMESPACE: &'static str = $namespace;
            const TYPE: &'static str = $type;
        })+
    };
}

resource! {
    MachineStatus => "runtime", "MachineStatuses.runtime.talos.dev";
    ExtensionSpec => "runtime", "ExtensionStatuses.runtime.talos.dev";
    VersionSpec => "runtime", "Versions.runtime.talos.dev";
    BootIdSpec => "runtime", "BootIDs.runtime.talos.dev";
    CmdlineSpec => "runtime", "KernelCmdlines.runtime.talos.dev";
    ServiceConfigSpec => "runtime", "ExtensionServiceConfigStatuses.runtime.talos.dev";
    PlatformMetadata => "runtime", "PlatformMetadatas.talos.dev";
    TimeStatus => "runtime", "TimeStatuses.v1alpha1.talos.dev";
    ServiceStatus => "runtime", "Services.v1alpha1.talos.dev";
    Disk => "runtime", "Disks.block.talos.dev";
    SystemDisk => "runtime", "SystemDisks.block.talos.dev";
    ConfigSpec => "config", "MachineConfigs.config.talos.dev";
    MachineKind => "config", "MachineTypes.config.talos.dev";
    HostnameStatus => "network", "HostnameStatuses.net.talos.dev";
    NodeAddresses => "network", "NodeAddresses.net.talos.dev";
    AddressStatus => "network", "AddressStatuses.net.talos.dev";
    RouteStatus => "network", "RouteStatuses.net.talos.dev";
    Nodename => "k8s", "Nodenames.kubernetes.talos.dev";
    KubernetesNode => "k8s", "NodeStatuses.kubernetes.talos.dev";
    SystemInformation => "hardware", "SystemInformations.hardware.talos.dev";
}

/// siderolabs/image-factory v1.5.0 internal/artifacts/schematic.go.
const SCHEMATIC: &str = "schematic";

/// A virtual extension with the rebuilt kernel module index (Talos v1.12.2 pkg/imager/extensions).
const MODULE_INDEX: &str = "modules.dep";
