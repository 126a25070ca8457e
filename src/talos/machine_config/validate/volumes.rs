//! Volume documents (Talos `types/block`).

use std::collections::HashSet;

use super::super::types::bytes;
use super::super::yaml::Node;
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) {
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
                    if let Err(message) = cel::check(expression, cel::Environment::Volume, cel::Type::Bool) {
                        report
                            .error("discovery.volumeSelector.match", format!("volume selector is invalid: {message}"));
                    }
                }
            }
        }
        "ExternalVolumeConfig" => external_volume(root, report),
        "ZswapConfig" if root.has("maxPoolPercent") && !(0..=100).contains(&root.int("maxPoolPercent")) => {
            report.error("maxPoolPercent", "maxPoolPercent must be between 0 and 100");
        }
        _ => {}
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
    if !["STATE", "EPHEMERAL", "IMAGECACHE"].contains(&name) {
        report.error("name", "only [\"STATE\" \"EPHEMERAL\" \"IMAGECACHE\"] volumes are supported");
        return;
    }
    if name == "STATE" {
        if is_provisioned(root) {
            report.error("provisioning", "provisioning config is not allowed for the \"STATE\" volume");
        }
        if root.items("encryption.keys").iter().any(|key| key.flag("lockToState")) {
            report.error("encryption.keys", "state-locked key is not allowed for the \"STATE\" volume");
        }
    }
    provisioning(root, false, true, report);
    encryption(root, report);
}

fn user_volume(root: &Node, report: &mut Report) {
    name(root, Some(34), report);
    match root.text("volumeType") {
        "directory" => {
            let filesystem = !root.text("filesystem.type").is_empty() || root.has("filesystem.projectQuotaSupport");
            for (field, set) in
                [("provisioning", is_provisioned(root)), ("encryption", is_encrypted(root)), ("filesystem", filesystem)]
            {
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
            if let Err(message) = cel::check(expression, cel::Environment::Disk, cel::Type::Bool) {
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
    if !["", "xfs", "ext4"].contains(&kind) {
        report.error("filesystem.type", format!("unsupported filesystem type: {kind}"));
    } else if root.flag("filesystem.projectQuotaSupport") && kind == "ext4" {
        report.error("filesystem.projectQuotaSupport", "project quota support is only available for xfs filesystem");
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
