//! Which Talos releases a configuration is judged for.
//!
//! Rules differ by release: some came, some went. Where nobody says which release is meant, the configuration
//! itself may: content that 1.14 brought can be meant for 1.14 only. Between what is left, the strictest counts.

use super::super::MachineConfig;
use super::super::document::Document;
use super::{Read, cel};
use crate::talos::version::TalosVersion;

/// A range of minor releases of Talos 1; 12 stands for 1.12 and everything before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Releases {
    first: u8,
    /// The patch release of the first.
    patch: u64,
    last: u8,
}

impl Default for Releases {
    fn default() -> Self {
        Self { first: 12, patch: 0, last: 14 }
    }
}

impl Releases {
    /// That release alone; what is beyond the last known one counts as the last.
    pub(super) fn only(version: &TalosVersion) -> Self {
        let (major, minor) = version.minor_pair();
        let minor = if major > 1 { 14 } else { u8::try_from(minor).unwrap_or(14).clamp(12, 14) };
        Self { first: minor, patch: version.patch, last: minor }
    }

    /// Every release that knows all of the configuration.
    pub(super) fn of(config: &MachineConfig) -> Self {
        let newest = Self::default();
        let fits = |minor: &u8| config.unknown_to((1, u64::from(*minor))).is_empty();
        let first = (newest.first..newest.last).find(fits).unwrap_or(newest.last);
        let words = config.documents.iter().map(newest_word).max().unwrap_or(first);
        Self { first: first.max(words), ..newest }
    }

    /// Whether one of them lacks a fix that came with 1.12.`patch_12` and 1.13.`patch_13`.
    pub(super) fn lack(self, patch_12: u64, patch_13: u64) -> bool {
        self.patch < [patch_12, patch_13, 0][usize::from(self.first - 12).min(2)]
    }

    /// Whether one of them is older than 1.`minor`: a rule that went with that release still counts.
    pub(super) fn before(self, minor: u8) -> bool {
        self.first < minor
    }

    /// Whether one of them is 1.`minor` or newer: an error that came with that release counts.
    pub(super) fn reach(self, minor: u8) -> bool {
        self.last >= minor
    }

    /// Whether all of them are: a warning that came with that release counts. Others cannot act on it.
    pub(super) fn all_from(self, minor: u8) -> bool {
        self.first >= minor
    }
}

/// The system volumes that 1.14 can put on a partition of their own (Talos v1.14
/// `pkg/machinery/config/types/block/volume_config.go`).
pub(super) const PROMOTABLE: [&str; 4] = ["ETCD", "CRI", "KUBELET", "LOG"];

/// The release of the newest word in an old field, which the type table does not tell.
fn newest_word(document: &Document) -> u8 {
    let root = document.root();
    let kind = document.id().kind.as_str();
    let newer = match kind {
        "VolumeConfig" => PROMOTABLE.contains(&root.text("name")),
        "UserVolumeConfig" => root.text("filesystem.type") == "btrfs",
        _ => false,
    };
    if newer {
        return 14;
    }
    let (path, environment) = match kind {
        "VolumeConfig" | "UserVolumeConfig" | "RawVolumeConfig" | "SwapVolumeConfig" => {
            ("provisioning.diskSelector.match", cel::Environment::Disk)
        }
        "ExistingVolumeConfig" => ("discovery.volumeSelector.match", cel::Environment::Volume),
        "LinkAliasConfig" => ("selector.match", cel::Environment::Link),
        _ => return 12,
    };
    let free = if root.text("provisioning.maxSize").starts_with('-') { 13 } else { 12 };
    cel::since(root.text(path), environment).max(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (u8, u8) {
        let releases = Releases::of(&MachineConfig::parse(text).expect("a configuration"));
        (releases.first, releases.last)
    }

    #[test]
    fn content_tells_the_oldest_release() {
        for (text, first) in [
            ("machine: {}", 12),
            ("{apiVersion: v1alpha1, kind: KubeSpanConfig}", 13),
            ("{apiVersion: v1alpha1, kind: SysctlConfig}", 14),
            ("{apiVersion: v1alpha1, kind: ResolverConfig, hostDNS: {enabled: true}}", 14),
            ("{apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL}", 12),
            ("{apiVersion: v1alpha1, kind: VolumeConfig, name: ETCD}", 14),
            ("{apiVersion: v1alpha1, kind: UserVolumeConfig, name: a, filesystem: {type: btrfs}}", 14),
            ("{apiVersion: v1alpha1, kind: LinkAliasConfig, name: a, selector: {match: has(link.vrf_master)}}", 13),
        ] {
            assert_eq!(of(text), (first, 14), "{text}");
        }
    }

    #[test]
    fn a_known_release_is_the_only_one() {
        for (version, minor) in
            [("v1.9.3", 12), ("v1.12.3", 12), ("v1.13.3", 13), ("v1.14.3-rc.1", 14), ("v1.20.3", 14), ("v2.0.3", 14)]
        {
            let version = version.parse().expect("a version");
            assert_eq!(Releases::only(&version), Releases { first: minor, patch: 3, last: minor });
        }
        let all = Releases::default();
        assert!(all.before(14) && all.reach(14) && !all.all_from(13) && all.all_from(12) && all.lack(1, 0));
        for (version, lacks) in
            [("v1.12.8", true), ("v1.12.9", false), ("v1.13.2", true), ("v1.13.3", false), ("v1.14.0", false)]
        {
            assert_eq!(Releases::only(&version.parse().expect("a version")).lack(9, 3), lacks, "{version}");
        }
    }
}
