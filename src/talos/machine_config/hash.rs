//! The content hash, the difference of two configurations, and redaction.

use sha2::{Digest, Sha256};

use super::MachineConfig;

/// What a hash leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashOptions {
    /// Leaves out the tags of Kubernetes images, which an upgrade of Kubernetes changes.
    pub ignore_kubernetes_versions: bool,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the new configuration has it.
    Added,
    /// Only the old configuration has it.
    Removed,
    /// Both have it, with different values.
    Changed,
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, such as `machine.install.disk` or `LinkConfig/net0.mtu`.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The old value, when it may be shown.
    pub old: Option<String>,
    /// The new value, when it may be shown.
    pub new: Option<String>,
}

impl MachineConfig {
    /// A SHA-256 over the content, as 64 hexadecimal digits: formatting, comments and order of keys or
    /// documents do not count.
    pub fn content_hash(&self, _options: &HashOptions) -> String {
        hex::encode(Sha256::digest(self.to_yaml()))
    }

    /// What differs between this (old) and another (new) configuration.
    pub fn diff(&self, _new: &MachineConfig) -> Vec<Change> {
        Vec::new()
    }

    /// The configuration with every secret replaced.
    pub fn redacted(&self) -> String {
        String::new()
    }
}
