//! The attributes as they were written, before anything is judged.

use std::sync::Arc;

use url::Url;

use crate::node::given::Given;
use crate::node::native::{ClusterDraft, MachineDraft};
use crate::talhelper::{Rendered, TalhelperError};
use crate::talos::secret::Secret;

/// A `talosoci_node` as the user wrote it, with the provider block's values already filled in where the resource has
/// none.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Name the node is to have.
    pub hostname: Given<String>,
    /// Address where SSH and the Talos API answer.
    pub endpoint: Given<String>,
    /// Port of the Talos API.
    pub talos_port: Given<i64>,
    /// OCID of the instance.
    pub instance_id: Given<String>,
    /// What the node is to run.
    pub image: Given<ImageDraft>,
    /// How the image comes onto the disk.
    pub flash: Given<FlashDraft>,
    /// `upgrade`, `auto` or `none`.
    pub activation: Given<String>,
    /// How later configuration changes are applied.
    pub apply_mode: Given<String>,
    /// Pods leave the node before it reboots.
    pub drain: Given<bool>,
    /// The real worker configuration, whichever of the two twins it came through.
    pub machine_configuration: Given<Secret<String>>,
    /// Attribute that `machine_configuration` came through, for messages.
    pub machine_configuration_attribute: &'static str,
    /// What came of rendering a node of a talconfig.yaml.
    pub talconfig: Given<Talconfig>,
    /// The machine's part of the configuration, as attributes.
    pub machine: Given<MachineDraft>,
    /// The cluster's part of the configuration, as attributes.
    pub cluster: Given<ClusterDraft>,
    /// Patches laid over the configuration, in order.
    pub config_patches: Patches,
    /// Patches laid over these; never stored.
    pub config_patches_wo: Patches,
    /// Client credentials of the real cluster.
    pub client: Given<ClientDraft>,
    /// Kubeconfig of the real cluster.
    pub kubeconfig: Given<Secret<String>>,
    /// Wait for the rescue shell of a machine where a node of another cluster answers.
    pub force: Given<bool>,
    /// Any text: the user wants the machine flashed anew.
    pub reflash: Given<String>,
    /// What must hold before create is done.
    pub join: JoinDraft,
    /// Limits for whole runs.
    pub timeouts: TimeoutsDraft,
    /// Image Factory that an image comes from when only its version and schematic are known.
    pub image_factory: Option<Url>,
}

/// A list of patches.
pub type Patches = Given<Vec<Given<Secret<String>>>>;

impl Draft {
    /// All patches in the order in which they are laid, each list with its attribute.
    pub fn patches(&self) -> [(&'static str, &Patches); 2] {
        [("config_patches", &self.config_patches), ("config_patches_wo", &self.config_patches_wo)]
    }
}

/// A node of a talconfig.yaml, or why nothing comes of it. The files are read before the judgement, which does no I/O.
pub type Talconfig = Result<Arc<Rendered>, Arc<TalhelperError>>;

/// The `image` object.
#[derive(Clone, Debug, Default)]
pub struct ImageDraft {
    /// Talos version, with or without `v`.
    pub talos_version: Given<String>,
    /// Schematic id, 64 hex digits.
    pub schematic_id: Given<String>,
    /// The schematic itself, as YAML: tells which extensions the image has.
    pub schematic_yaml: Given<String>,
    /// Where the compressed disk image is downloaded from.
    pub url: Given<String>,
    /// Installer image reference.
    pub installer: Given<String>,
    /// Pinned SHA-256 of the compressed disk image, 64 hex digits.
    pub sha256: Given<String>,
}

/// The `flash` object.
#[derive(Clone, Debug, Default)]
pub struct FlashDraft {
    /// `ssh`, `in_place` or `none`.
    pub method: Given<String>,
    /// `push` or `pull`.
    pub source: Given<String>,
    /// `partitions`, `needed` or `all`.
    pub zero: Given<String>,
    /// Target disk, such as `/dev/sda`.
    pub disk: Given<String>,
    /// Allow the disk that the rescue system runs from.
    pub allow_root_disk: Given<bool>,
    /// The rescue shell.
    pub ssh: SshDraft,
}

/// The `flash.ssh` object.
#[derive(Clone, Debug, Default)]
pub struct SshDraft {
    /// Host, when it differs from the node's endpoint.
    pub host: Given<String>,
    /// Port.
    pub port: Given<i64>,
    /// User.
    pub user: Given<String>,
    /// Private key text.
    pub private_key: Given<Secret<String>>,
    /// Use the SSH agent.
    pub agent: Given<bool>,
    /// Pinned host key: an OpenSSH line or `SHA256:` fingerprint.
    pub host_key: Given<String>,
    /// known_hosts content.
    pub known_hosts: Given<String>,
    /// `strict` or `accept-new`.
    pub host_key_policy: Given<String>,
}

/// Client credentials: base64 of PEM, or a talosconfig.
#[derive(Clone, Debug)]
pub enum ClientDraft {
    /// The object that the siderolabs provider gives.
    Object {
        /// Base64 of the CA certificate's PEM.
        ca_certificate: Given<String>,
        /// Base64 of the client certificate's PEM.
        client_certificate: Given<String>,
        /// Base64 of the client key's PEM.
        client_key: Given<Secret<String>>,
    },
    /// A talosconfig's text; its current context is used.
    Talosconfig(Secret<String>),
}

/// The `join` object.
#[derive(Clone, Debug, Default)]
pub struct JoinDraft {
    /// Wait for the Kubernetes node to be Ready.
    pub kubernetes: Given<bool>,
    /// Wait for the extension services to run.
    pub extensions: Given<bool>,
    /// Limit for the join phase, as a duration such as `15m`.
    pub timeout: Given<String>,
}

/// The `timeouts` object: durations such as `30m`.
#[derive(Clone, Debug, Default)]
pub struct TimeoutsDraft {
    /// Limit for a create.
    pub create: Given<String>,
    /// Limit for an update.
    pub update: Given<String>,
    /// Limit for a destroy.
    pub delete: Given<String>,
}
