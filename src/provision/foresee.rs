//! What an update will do, told from the two configurations and versions alone.

use crate::node::spec::ApplyMode;
use crate::talos::version::TalosVersion;

/// Whether applying changes of these paths in this mode makes a node with this Talos reboot.
pub fn apply_reboots<'a>(version: &TalosVersion, mode: ApplyMode, paths: impl IntoIterator<Item = &'a str>) -> bool {
    match mode {
        ApplyMode::Reboot => true,
        ApplyMode::Staged | ApplyMode::NoReboot => false,
        // Since 1.14 every change is made live, also one that takes effect only later.
        ApplyMode::Auto => version.minor_pair() < (1, 14) && paths.into_iter().any(needs_reboot),
    }
}

/// Whether Talos 1.12 and 1.13 cannot make a change of this path live (Talos v1.12.2
/// internal/app/machined/pkg/runtime/v1alpha1/v1alpha1_runtime.go, CanApplyImmediate). Only the v1alpha1 document is
/// compared there: others, whose paths start with their kind, never force a reboot.
fn needs_reboot(path: &str) -> bool {
    let mut parts = path.split(['.', '[']);
    match parts.next() {
        Some("version" | "persist") => true,
        Some("machine") => match parts.next() {
            Some("features") => parts.next().is_none_or(|feature| !LIVE_FEATURES.contains(&feature)),
            Some(section) => !LIVE.contains(&section),
            None => true,
        },
        // `debug`, `cluster`, and other documents.
        _ => false,
    }
}

const LIVE: &[&str] = &[
    "ca",
    "acceptedCAs",
    "time",
    "certSANs",
    "install",
    "network",
    "sysfs",
    "sysctls",
    "logging",
    "controlPlane",
    "kubelet",
    "kernel",
    "registries",
    "pods",
    "seccompProfiles",
    "nodeLabels",
    "nodeAnnotations",
    "nodeTaints",
];

const LIVE_FEATURES: &[&str] =
    &["kubernetesTalosAPIAccess", "kubePrism", "hostDNS", "imageCache", "nodeAddressSortAlgorithm"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_talos_cannot_make_live_reboots_and_only_before_1_14() {
        let old = TalosVersion::new(1, 13, 9);
        let new = TalosVersion::new(1, 14, 0);
        let cases: [(&str, bool); 8] = [
            ("machine.certSANs[1]", false),
            ("machine.kubelet.image", false),
            ("machine.token", true),
            ("machine.files[0].path", true),
            ("machine.features.kubePrism.port", false),
            ("machine.features.rbac", true),
            ("cluster.discovery.enabled", false),
            ("ExtensionServiceConfig/tailscale.environment[0]", false),
        ];
        for (path, reboots) in cases {
            assert_eq!(apply_reboots(&old, ApplyMode::Auto, [path]), reboots, "{path}");
            assert!(!apply_reboots(&new, ApplyMode::Auto, [path]), "{path}");
            assert!(apply_reboots(&new, ApplyMode::Reboot, [path]), "{path}");
            assert!(!apply_reboots(&old, ApplyMode::Staged, [path]), "{path}");
        }
    }
}
