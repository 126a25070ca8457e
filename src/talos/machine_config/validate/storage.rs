//! LVM and RAID (Talos `types/storage`).

use super::super::types::bytes;
use super::super::yaml::Node;
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "LVMLogicalVolumeConfig" => logical_volume(root, report),
        // Talos v1.14 `pkg/machinery/config/types/storage/lvm_volume_group_config.go` and `raid_array_config.go`.
        "LVMVolumeGroupConfig" => members(root, 63, report),
        "RAIDArrayConfig" => members(root, 32, report),
        _ => return false,
    }
    true
}

fn name(root: &Node, limit: usize, report: &mut Report) {
    match root.text("name") {
        "" => report.error("name", "name is required"),
        name if name.len() > limit => {
            report.error("name", format!("name must be between 1 and {limit} characters long"));
        }
        _ => {}
    }
    if !root.text("name").chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        report.error("name", "name can only contain ASCII letters, digits, hyphens and underscores");
    }
}

/// What is made of all volumes that an expression selects.
fn members(root: &Node, limit: usize, report: &mut Report) {
    const SELECTOR: &str = "provisioning.volumeSelector.match";
    name(root, limit, report);
    match root.at(SELECTOR).and_then(Node::as_str) {
        None => report.error(SELECTOR, "a volume selector is required"),
        Some(expression) => {
            if let Err(message) = cel::check(expression, cel::Environment::Volume, cel::Type::Bool, report.releases) {
                report.error(SELECTOR, format!("volume selector is invalid: {message}"));
            }
        }
    }
}

/// Talos v1.14 `pkg/machinery/config/types/storage/lvm_logical_volume_config.go`.
fn logical_volume(root: &Node, report: &mut Report) {
    name(root, 63, report);
    let layout = match root.text("type") {
        "" => "linear",
        layout => layout,
    };
    for (field, layouts, least) in [("mirrors", ["raid1", "raid10"], 1), ("stripes", ["raid0", "raid10"], 2)] {
        if !root.has(field) {
            continue;
        }
        if !layouts.contains(&layout) {
            report.error(field, format!("{field} is only valid for {}, not {layout}", layouts.join("/")));
        } else if root.int(field) < least {
            report.error(field, format!("{field} must be at least {least}"));
        }
    }
    if root.text("provisioning.volumeGroup").is_empty() {
        report.error("provisioning.volumeGroup", "a volume group is required");
    }
    sizes(root, report);
}

fn sizes(root: &Node, report: &mut Report) {
    let (low, high) = (root.text("provisioning.minSize"), root.text("provisioning.maxSize"));
    if high.is_empty() {
        report.error("provisioning.maxSize", "a maximum size is required");
    }
    if high.starts_with('-') {
        report.error("provisioning.maxSize", "the maximum size must not be negative");
    }
    // Signs do not count here.
    let size = |text: &str| bytes::parse(text.trim_start_matches('-')).unwrap_or_default();
    if !low.is_empty() && !high.is_empty() && !high.contains('%') && size(low) > size(high) {
        report.error("provisioning.minSize", "the minimum size must not exceed the maximum size");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn lvm_and_raid_are_judged_as_talos_does() {
        let long = "a".repeat(33);
        let group = "{apiVersion: v1alpha1, kind: LVMVolumeGroupConfig";
        let array = "{apiVersion: v1alpha1, kind: RAIDArrayConfig";
        let volume = "{apiVersion: v1alpha1, kind: LVMLogicalVolumeConfig";
        let chosen = "provisioning: {volumeSelector: {match: volume.partition_label == 'x'}}";
        let sized = "provisioning: {volumeGroup: g, maxSize: 10GB}";
        expect(&[
            (&format!("{group}, name: vg_0-a, {chosen}}}"), ""),
            (&format!("{group}, {chosen}}}"), "name: name is required"),
            (&format!("{group}, name: a.b, {chosen}}}"), "name: name can only contain ASCII letters"),
            (&format!("{group}, name: {long}{long}, {chosen}}}"), "name: name must be between 1 and 63"),
            (&format!("{group}, name: a}}"), "provisioning.volumeSelector.match: a volume selector is required"),
            (
                &format!("{group}, name: a, provisioning: {{volumeSelector: {{match: volume.name}}}}}}"),
                "provisioning.volumeSelector.match: volume selector is invalid",
            ),
            (&format!("{array}, name: md0, level: raid1, {chosen}}}"), ""),
            (&format!("{array}, {chosen}}}"), "name: name is required"),
            (&format!("{array}, name: a b, {chosen}}}"), "name: name can only contain ASCII letters"),
            (&format!("{array}, name: {long}, {chosen}}}"), "name: name must be between 1 and 32"),
            (&format!("{array}, name: a}}"), "provisioning.volumeSelector.match: a volume selector is required"),
            (
                &format!("{array}, name: a, provisioning: {{volumeSelector: {{match: 'true &&'}}}}}}"),
                "provisioning.volumeSelector.match: volume selector is invalid",
            ),
            (&format!("{volume}, name: a, {sized}}}"), ""),
            (&format!("{volume}, name: a, type: raid10, mirrors: 1, stripes: 2, {sized}}}"), ""),
            (&format!("{volume}, name: a, provisioning: {{volumeGroup: g, minSize: 5TB, maxSize: 50%}}}}"), ""),
            (&format!("{volume}, {sized}}}"), "name: name is required"),
            (&format!("{volume}, name: a/b, {sized}}}"), "name: name can only contain ASCII letters"),
            (&format!("{volume}, name: {long}{long}, {sized}}}"), "name: name must be between 1 and 63"),
            (
                &format!("{volume}, name: a, mirrors: 1, {sized}}}"),
                "mirrors: mirrors is only valid for raid1/raid10, not linear",
            ),
            (&format!("{volume}, name: a, type: raid1, mirrors: 0, {sized}}}"), "mirrors: mirrors must be at least 1"),
            (
                &format!("{volume}, name: a, type: raid1, stripes: 2, {sized}}}"),
                "stripes: stripes is only valid for raid0/raid10, not raid1",
            ),
            (&format!("{volume}, name: a, type: raid0, stripes: 1, {sized}}}"), "stripes: stripes must be at least 2"),
            (
                &format!("{volume}, name: a, provisioning: {{maxSize: 1GB}}}}"),
                "provisioning.volumeGroup: a volume group is required",
            ),
            (
                &format!("{volume}, name: a, provisioning: {{volumeGroup: g}}}}"),
                "provisioning.maxSize: a maximum size is required",
            ),
            (
                &format!("{volume}, name: a, provisioning: {{volumeGroup: g, maxSize: '-1GB'}}}}"),
                "provisioning.maxSize: the maximum size must not be negative",
            ),
            (
                &format!("{volume}, name: a, provisioning: {{volumeGroup: g, minSize: 2GB, maxSize: 1GB}}}}"),
                "provisioning.minSize: the minimum size must not exceed the maximum size",
            ),
        ]);
    }
}
