//! talhelper's talconfig.yaml, rendered without talhelper (as v3.1 and later do for Talos 1.12 and 1.13).
//!
//! The result is equal in content to `talhelper genconfig`, with three differences on purpose: mistakes that talhelper
//! passes over are errors with their line, variables come only from the files and values that are named, and nothing
//! is random. What is not supported is refused by name.

mod documents;
mod error;
mod files;
mod installer;
mod network;
mod overridden;
mod render;
mod talconfig;

pub mod dotenv;
pub mod envsubst;

use std::fmt;

use crate::sops::Keyring;
use crate::talos::machine_config::MachineConfig;
use crate::talos::schematic::{Schematic, SchematicId};
use crate::talos::secrets::SecretsBundle;
use crate::talos::version::TalosVersion;

pub use envsubst::Variables;
pub use error::{Finding, TalhelperError};
pub use render::render;

/// What a node is rendered from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// talconfig.yaml, as the user names it.
    pub talconfig: &'a str,
    /// The node's hostname in it.
    pub node: &'a str,
    /// The secrets file; talhelper's usual names beside talconfig.yaml are tried when there is none.
    pub secrets_file: Option<&'a str>,
    /// The env files, later ones over earlier ones; talhelper's usual names are tried when there are none.
    pub env_files: Option<&'a [String]>,
    /// Variables over those of the env files. The environment of the process is never read.
    pub env: &'a Variables,
    /// The keys for files that are encrypted with SOPS.
    pub keys: &'a Keyring,
    /// The way to the files.
    pub files: &'a dyn Files,
}

/// Reads files for this pure layer.
pub trait Files {
    /// The text of a file; `None` when there is no such file.
    ///
    /// # Errors
    /// Why the file cannot be read, in a few words.
    fn read(&self, name: FileName<'_>) -> Result<Option<String>, String>;
}

/// A file's name and what it is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileName<'a> {
    /// As the user gave it.
    Given(&'a str),
    /// Relative to the folder of talconfig.yaml.
    Beside(&'a str),
}

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given("") | Self::Beside("") => f.write_str("\"\""),
            Self::Given(name) | Self::Beside(name) => f.write_str(name),
        }
    }
}

/// A rendered node.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Its machine configuration.
    pub config: MachineConfig,
    /// The cluster's secrets, as far as the secrets file has them.
    pub secrets: SecretsBundle,
    /// The Talos release that it is for.
    pub talos_version: TalosVersion,
    /// The Kubernetes release, without a `v`.
    pub kubernetes_version: String,
    /// What is baked into the image: from `schematic`, or out of `talosImageURL` if that names one.
    pub schematic_id: Option<SchematicId>,
    /// The schematic itself, if talconfig.yaml has it; it must be known to the Factory before its images are.
    pub schematic: Option<Schematic>,
    /// The installer image with its tag.
    pub installer: String,
    /// The disk to install to, unless a selector finds it.
    pub install_disk: Option<String>,
    /// The cluster's name.
    pub cluster_name: String,
    /// The URL of the Kubernetes API.
    pub cluster_endpoint: String,
    /// The node's hostname.
    pub hostname: String,
    /// The node's `ipAddress` entries.
    pub ip_addresses: Vec<String>,
    /// `machineSpec.arch`, if it is set.
    pub architecture: Option<String>,
    /// What is legal but hardly meant.
    pub warnings: Vec<String>,
}
