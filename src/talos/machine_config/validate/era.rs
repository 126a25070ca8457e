//! Which Talos releases a configuration is judged for.
//!
//! Rules differ by release: some came, some went. Where nobody says which release is meant, the configuration
//! itself may: content that 1.14 brought can be meant for 1.14 only. Between what is left, the strictest counts.

use super::super::MachineConfig;
use super::super::document::Document;
use super::Read;

/// A range of minor releases of Talos 1; 12 stands for 1.12 and everything before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Releases {
    first: u8,
    last: u8,
}

impl Default for Releases {
    fn default() -> Self {
        Self { first: 12, last: 14 }
    }
}

impl Releases {
    /// That release alone; what is beyond the last known one counts as the last.
    pub(super) fn only((major, minor): (u64, u64)) -> Self {
        let minor = if major > 1 { 14 } else { u8::try_from(minor).unwrap_or(14).clamp(12, 14) };
        Self { first: minor, last: minor }
    }

    /// Every release that knows all of the configuration.
    pub(super) fn of(config: &MachineConfig) -> Self {
        let newest = Self::default();
        let fits = |minor: &u8| config.unknown_to((1, u64::from(*minor))).is_empty();
        let newer_words = config.documents.iter().any(has_words_of_1_14);
        let first = (newest.first..newest.last).find(fits).filter(|_| !newer_words).unwrap_or(newest.last);
        Self { first, ..newest }
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

/// New words in old fields, which the type table does not tell apart.
fn has_words_of_1_14(document: &Document) -> bool {
    let root = document.root();
    match document.id().kind.as_str() {
        "VolumeConfig" => PROMOTABLE.contains(&root.text("name")),
        "UserVolumeConfig" => root.text("filesystem.type") == "btrfs",
        _ => false,
    }
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
        ] {
            assert_eq!(of(text), (first, 14), "{text}");
        }
    }

    #[test]
    fn a_known_release_is_the_only_one() {
        for (release, minor) in [((1, 9), 12), ((1, 12), 12), ((1, 13), 13), ((1, 14), 14), ((1, 20), 14), ((2, 0), 14)]
        {
            assert_eq!(Releases::only(release), Releases { first: minor, last: minor });
        }
        let all = Releases::default();
        assert!(all.before(14) && all.reach(14) && !all.all_from(13) && all.all_from(12));
    }
}
