//! Volumes and filesystems (Talos `types/block`).

use std::collections::HashSet;

use super::super::types::bytes;
use super::super::yaml::Node;
use super::documents::nanoseconds;
use super::era::PROMOTABLE;
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "VolumeConfig" => system_volume(root, report),
        "UserVolumeConfig" => user_volume(root, report),
        "RawVolumeConfig" | "SwapVolumeConfig" => {
            name(root, Some(34), report);
            provisioning(root, true, true, report);
            encryption(root, report);
        }
        "ExistingVolumeConfig" => {
            name(root, None, report);
            match root.at("discovery.volumeSelector.match").and_then(Node::as_str) {
                None => report.error("discovery.volumeSelector.match", "volume selector is required"),
                Some(expression) => {
                    if let Err(message) =
                        cel::check(expression, cel::Environment::Volume, cel::Type::Bool, report.releases)
                    {
                        report
                            .error("discovery.volumeSelector.match", format!("volume selector is invalid: {message}"));
                    }
                }
            }
        }
        "ExternalVolumeConfig" => external_volume(root, report),
        "ZswapConfig" => {
            if root.has("maxPoolPercent") && !(0..=100).contains(&root.int("maxPoolPercent")) {
                report.error("maxPoolPercent", "maxPoolPercent must be between 0 and 100");
            }
        }
        "FilesystemScrubConfig" => scrub(root, "interval", report),
        // Talos v1.14 `pkg/machinery/config/types/block/filesystem_trim_config.go`.
        "FilesystemTrimConfig" => trim(root, "interval", report),
        _ => return false,
    }
    if ["VolumeConfig", "UserVolumeConfig", "ExistingVolumeConfig"].contains(&kind) {
        trim(root, "trim.interval", report);
        scrub(root, "scrub.interval", report);
    }
    true
}

/// Talos v1.14 `pkg/machinery/config/types/block/trim.go`.
fn trim(root: &Node, field: &str, report: &mut Report) {
    if nanoseconds(root, field) < 0 {
        report.error(field, "trim interval cannot be negative");
    }
}

/// Talos v1.14 `pkg/machinery/config/types/block/fs_scrub.go`, `scrub.go`.
fn scrub(root: &Node, field: &str, report: &mut Report) {
    const MINIMUM: i64 = 10_000_000_000;
    let interval = nanoseconds(root, field);
    if interval != 0 && interval < MINIMUM {
        report.error(field, "scrub interval: minimum value is 10s");
    }
}

/// A system volume's encryption must not be set twice.
pub(super) fn conflicts(root: &Node, v1alpha1: &Node, report: &mut Report) {
    let field = match root.text("name") {
        "STATE" => "state",
        "EPHEMERAL" => "ephemeral",
        _ => return,
    };
    if is_encrypted(root) && v1alpha1.has(&format!("machine.systemDiskEncryption.{field}")) {
        let name = root.text("name");
        let message =
            format!("system disk encryption for {name:?} is configured in both v1alpha1.Config and VolumeConfig");
        report.error("encryption", message);
    }
}

fn system_volume(root: &Node, report: &mut Report) {
    let name = root.text("name");
    let known = if PROMOTABLE.contains(&name) {
        !report.releases.before(14)
    } else {
        ["STATE", "EPHEMERAL", "IMAGECACHE"].contains(&name)
    };
    if !known {
        let message = "only STATE, EPHEMERAL and IMAGECACHE are supported; since 1.14 also ETCD, CRI, KUBELET and LOG";
        report.error("name", message);
        return;
    }
    system_volume_limits(name, root, report);
    provisioning(root, false, true, report);
    encryption(root, report);
}

/// What not every system volume may have (Talos v1.14 `pkg/machinery/config/types/block/volume_config.go`).
fn system_volume_limits(name: &str, root: &Node, report: &mut Report) {
    if name == "STATE" {
        if is_provisioned(root) {
            report.error("provisioning", "provisioning config is not allowed for the \"STATE\" volume");
        }
        if root.items("encryption.keys").iter().any(|key| key.flag("lockToState")) {
            report.error("encryption.keys", "state-locked key is not allowed for the \"STATE\" volume");
        }
    }
    let mounted = root.has("mount.secure") || root.has("mount.disableAccessTime");
    if mounted && ["STATE", "IMAGECACHE"].contains(&name) && report.releases.reach(14) {
        report.error("mount", format!("mount config is not allowed for the {name:?} volume"));
    }
    if name == "IMAGECACHE" && root.has("filesystem.xfs") {
        report.error("filesystem", "filesystem config is not allowed for the \"IMAGECACHE\" volume");
    }
    if mounted && PROMOTABLE.contains(&name) && !is_provisioned(root) {
        let message = format!("mount config for the {name:?} volume is only supported on a partition of its own");
        report.error("mount", message);
    }
}

fn user_volume(root: &Node, report: &mut Report) {
    name(root, Some(34), report);
    match root.text("volumeType") {
        "directory" => {
            let has = |fields: &[&str]| fields.iter().any(|field| root.has(field));
            let filesystem = has(&["filesystem.type", "filesystem.projectQuotaSupport", "filesystem.xfs"]);
            let mount = has(&["mount.disableAccessTime", "mount.secure"]);
            for (field, set) in [
                ("provisioning", is_provisioned(root)),
                ("encryption", is_encrypted(root)),
                ("filesystem", filesystem),
                ("mount", mount),
            ] {
                if set {
                    report.error(field, format!("{field} spec is invalid for volumeType directory"));
                }
            }
        }
        kind @ ("" | "partition" | "disk") => {
            provisioning(root, true, kind != "disk", report);
            filesystem(root, report);
            encryption(root, report);
        }
        kind => report.error("volumeType", format!("unsupported volume type {kind:?}")),
    }
}

fn external_volume(root: &Node, report: &mut Report) {
    name(root, Some(34), report);
    if root.text("filesystemType") != "virtiofs" {
        report.error("filesystemType", format!("invalid filesystem type: {}", root.text("filesystemType")));
    } else if !root.has("mount.virtiofs") {
        report.error("mount.virtiofs", "virtiofs mount spec is required");
    } else if root.text("mount.virtiofs.tag").is_empty() {
        report.error("mount.virtiofs.tag", "virtiofs tag is required");
    }
}

fn name(root: &Node, limit: Option<usize>, report: &mut Report) {
    let name = root.text("name");
    if name.is_empty() {
        report.error("name", "name is required");
    } else if limit.is_some_and(|limit| name.len() > limit) {
        report.error("name", format!("name must be between 1 and {} characters long", limit.unwrap_or_default()));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        report.error("name", "name can only contain lowercase and uppercase ASCII letters, digits, and hyphens");
    }
}

fn is_provisioned(root: &Node) -> bool {
    ["diskSelector.match", "grow", "minSize", "maxSize"].iter().any(|field| root.has(&format!("provisioning.{field}")))
}

fn is_encrypted(root: &Node) -> bool {
    !root.text("encryption.provider").is_empty() || !root.items("encryption.keys").is_empty()
}

fn provisioning(root: &Node, required: bool, sized: bool, report: &mut Report) {
    match root.at("provisioning.diskSelector.match").and_then(Node::as_str) {
        Some(expression) => {
            if let Err(message) = cel::check(expression, cel::Environment::Disk, cel::Type::Bool, report.releases) {
                report.error("provisioning.diskSelector.match", format!("disk selector is invalid: {message}"));
            }
        }
        None if required => report.error("provisioning.diskSelector.match", "disk selector is required"),
        None => {}
    }
    let (low, high) = (root.text("provisioning.minSize"), root.text("provisioning.maxSize"));
    if !sized {
        if !low.is_empty() || !high.is_empty() || root.has("provisioning.grow") {
            report.error("provisioning", "min size, max size and grow are not supported");
        }
        return;
    }
    if low.starts_with('-') {
        report.error("provisioning.minSize", "min size cannot be negative");
    }
    if high.starts_with('-') && report.releases.before(13) {
        // Talos v1.13 `pkg/machinery/config/types/block/byte_size.go`.
        report.error("provisioning.maxSize", "a size to leave free came with Talos 1.13");
    }
    let absolute = !high.is_empty() && !high.contains('%') && !high.starts_with('-');
    if !low.is_empty() && absolute {
        if bytes::parse(low) > bytes::parse(high) {
            report.error("provisioning.minSize", "min size is greater than max size");
        }
    } else if required && low.is_empty() && high.is_empty() {
        report.error("provisioning", "min size or max size is required");
    }
}

fn filesystem(root: &Node, report: &mut Report) {
    let kind = root.text("filesystem.type");
    let known = if kind == "btrfs" { !report.releases.before(14) } else { ["", "xfs", "ext4"].contains(&kind) };
    let xfs = ["", "xfs"].contains(&kind);
    if !known {
        report.error("filesystem.type", format!("unsupported filesystem type: {kind}"));
    } else if root.flag("filesystem.projectQuotaSupport") && !xfs {
        report.error("filesystem.projectQuotaSupport", "project quota support is only available for xfs filesystem");
    } else if root.has("filesystem.xfs") && !xfs {
        report.error("filesystem.xfs", "xfs options are only available for xfs filesystem");
    }
}

fn encryption(root: &Node, report: &mut Report) {
    if !is_encrypted(root) {
        return;
    }
    if root.text("encryption.provider") != "luks2" {
        report.error("encryption.provider", "unsupported encryption provider: none");
    }
    let keys = root.items("encryption.keys");
    if keys.is_empty() {
        report.error("encryption.keys", "encryption keys are required");
    }
    let mut slots = HashSet::new();
    for key in keys {
        let slot = key.int("slot");
        if !slots.insert(slot) {
            report.error("encryption.keys", format!("duplicate key slot {slot}"));
        }
        if !["static", "nodeID", "kms", "tpm"].iter().any(|kind| key.has(kind)) {
            let message = format!("at least one encryption key type must be specified for slot {slot}");
            report.error("encryption.keys", message);
        }
        for register in key.items("tpm.options.pcrs").iter().filter_map(Node::as_integer) {
            if !(0..=23).contains(&register) {
                report.error("encryption.keys", format!("TPM PCR {register} is out of range (0-23)"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, judge, judge_for};

    #[test]
    fn filesystems_are_judged_as_talos_does() {
        let trim = "{apiVersion: v1alpha1, kind: FilesystemTrimConfig";
        let scrub = "{apiVersion: v1alpha1, kind: FilesystemScrubConfig";
        let existing =
            "{apiVersion: v1alpha1, kind: ExistingVolumeConfig, name: a, discovery: {volumeSelector: {match: 'true'}}";
        let user = "{apiVersion: v1alpha1, kind: UserVolumeConfig, name: a, provisioning: {diskSelector: {match: 'true'}, minSize: 1GB}";
        let folder = "{apiVersion: v1alpha1, kind: UserVolumeConfig, name: a, volumeType: directory";
        expect(&[
            (&format!("{trim}, interval: 24h}}"), ""),
            (&format!("{trim}, interval: -1s}}"), "interval: trim interval cannot be negative"),
            (&format!("{scrub}, interval: 168h}}"), ""),
            (&format!("{scrub}}}"), ""),
            (&format!("{scrub}, interval: 9s}}"), "interval: scrub interval: minimum value is 10s"),
            (&format!("{existing}, trim: {{interval: 1h}}, scrub: {{interval: 1h}}}}"), ""),
            (&format!("{existing}, trim: {{interval: -1h}}}}"), "trim.interval: trim interval cannot be negative"),
            (&format!("{existing}, scrub: {{interval: 1s}}}}"), "scrub.interval: scrub interval: minimum"),
            (&format!("{user}, filesystem: {{type: xfs, xfs: {{minAllocationGroupSize: 1GiB}}}}}}"), ""),
            (&format!("{user}, filesystem: {{type: btrfs}}}}"), ""),
            (&format!("{user}, filesystem: {{type: vfat}}}}"), "filesystem.type: unsupported filesystem type"),
            (&format!("{user}, filesystem: {{type: ext4, xfs: {{}}}}}}"), "filesystem.xfs: xfs options are only"),
            (
                &format!("{user}, filesystem: {{type: btrfs, projectQuotaSupport: true}}}}"),
                "filesystem.projectQuotaSupport: project",
            ),
            (&format!("{user}, trim: {{interval: -1h}}}}"), "trim.interval: trim interval cannot be negative"),
            (&format!("{user}, scrub: {{interval: -1h}}}}"), "scrub.interval: scrub interval: minimum"),
            (&format!("{folder}}}"), ""),
            (&format!("{folder}, mount: {{secure: false}}}}"), "mount: mount spec is invalid for volumeType directory"),
            (&format!("{folder}, filesystem: {{xfs: {{}}}}}}"), "filesystem: filesystem spec is invalid"),
        ]);
    }

    #[test]
    fn system_volumes_are_judged_as_talos_does() {
        let volume =
            |name: &str, rest: &str| format!("{{apiVersion: v1alpha1, kind: VolumeConfig, name: {name}, {rest}}}");
        expect(&[
            (&volume("EPHEMERAL", "mount: {secure: false, disableAccessTime: true}, filesystem: {xfs: {}}"), ""),
            (&volume("ETCD", "provisioning: {minSize: 1GB}, mount: {secure: true}"), ""),
            (&volume("META", ""), "name: only STATE"),
            (&volume("STATE", "provisioning: {minSize: 1GB}"), "provisioning: provisioning config is not allowed"),
            (&volume("STATE", "mount: {secure: true}"), "mount: mount config is not allowed for the \"STATE\""),
            (
                &volume("IMAGECACHE", "mount: {secure: true}"),
                "mount: mount config is not allowed for the \"IMAGECACHE\"",
            ),
            (&volume("IMAGECACHE", "filesystem: {xfs: {}}"), "filesystem: filesystem config is not allowed"),
            (&volume("LOG", "mount: {secure: true}"), "mount: mount config for the \"LOG\" volume is only"),
            (&volume("CRI", "trim: {interval: -1h}"), "trim.interval: trim interval cannot be negative"),
            (&volume("KUBELET", "scrub: {interval: 1s}"), "scrub.interval: scrub interval: minimum"),
        ]);
    }

    #[test]
    fn a_size_to_leave_free_is_for_1_13_and_later() {
        let text = "{apiVersion: v1alpha1, kind: RawVolumeConfig, name: a, provisioning: {diskSelector: {match: 'true'}, maxSize: '-10GB'}}";
        assert_eq!(judge(text), Vec::<String>::new());
        assert_eq!(judge_for(text, "v1.13.0"), Vec::<String>::new());
        assert_eq!(judge_for(text, "v1.12.11").len(), 1);
    }

    #[test]
    fn what_came_with_1_14_is_refused_where_an_older_release_is_meant() {
        let etcd = "{apiVersion: v1alpha1, kind: VolumeConfig, name: ETCD}";
        let state = "{apiVersion: v1alpha1, kind: VolumeConfig, name: STATE, mount: {secure: true}}";
        for (text, version, problems) in
            [(etcd, "v1.13.9", 1), (etcd, "v1.14.0", 0), (state, "v1.13.9", 0), (state, "v1.14.0", 1)]
        {
            assert_eq!(judge_for(text, version).len(), problems, "{text} on {version}");
        }
    }
}
