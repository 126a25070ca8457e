//! Documents of the running system (Talos `types/runtime`).

use std::path::{Component, Path};

use super::super::yaml::Node;
use super::documents::{nanoseconds, require_name, url};
use super::notation::split_host_port;
use super::{Read, Report, cel};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "EnvironmentConfig" => environment(root, report),
        "EtcFileConfig" => etc_file(root, report),
        "EventSinkConfig" => event_sink(root, report),
        "ExtensionServiceConfig" => extension_service(root, report),
        "KernelModuleConfig" => drop(require_name(root, "name is required", report)),
        "KmsgLogConfig" => kmsg_log(root, report),
        "OOMConfig" => out_of_memory(root, report),
        "SysctlConfig" => parameters("sysctl", root, report),
        "SysfsConfig" => parameters("sysfs", root, report),
        "UnattendedInstallConfig" => unattended_install(root, report),
        "WatchdogTimerConfig" => watchdog(root, report),
        // Neither has a rule in Talos v1.14 (security_profile_config.go, udev_rules.go).
        "SecurityProfileConfig" | "UdevRulesConfig" => {}
        _ => return false,
    }
    true
}

fn event_sink(root: &Node, report: &mut Report) {
    if split_host_port(root.text("endpoint")).is_none() {
        report.error("endpoint", "event sink endpoint: host and port are expected");
    }
}

fn kmsg_log(root: &Node, report: &mut Report) {
    if !require_name(root, "name is required", report) {
        return;
    }
    let Some(url) = url(root, "url") else {
        report.error("url", "url is required");
        return;
    };
    if !["tcp", "udp"].contains(&url.scheme.as_str()) {
        report.error("url", "url scheme must be tcp:// or udp://");
    } else if !["", "/"].contains(&url.path.as_str()) {
        report.error("url", "url path must be empty");
    } else if url.port().is_empty() {
        report.error("url", "url port is required");
    }
}

fn out_of_memory(root: &Node, report: &mut Report) {
    for (field, what, result, environment) in [
        ("triggerExpression", "OOM trigger expression", cel::Type::Bool, cel::Environment::OomTrigger),
        ("cgroupRankingExpression", "OOM cgroup scoring expression", cel::Type::Double, cel::Environment::OomScoring),
    ] {
        if let Some(expression) = root.get(field).and_then(Node::as_str)
            && let Err(message) = cel::check(expression, environment, result, report.releases)
        {
            report.error(field, format!("{what} is invalid: {message}"));
        }
    }
    if nanoseconds(root, "sampleInterval") < 0 {
        report.error("sampleInterval", "OOM sample interval must be longer than 0");
    }
}

fn watchdog(root: &Node, report: &mut Report) {
    const MINIMUM: i64 = 10_000_000_000;
    let timeout = nanoseconds(root, "timeout");
    if root.text("device").is_empty() {
        report.error("device", "watchdog device: empty value");
    } else if timeout != 0 && timeout < MINIMUM {
        report.error("timeout", "watchdog timeout: minimum value is 10s");
    }
}

fn extension_service(root: &Node, report: &mut Report) {
    let name = root.text("name");
    let files = root.items("configFiles");
    if name.is_empty() {
        report.error("name", "name is required");
    } else if files.is_empty() && root.items("environment").is_empty() {
        report.error("configFiles", format!("no config files found for extension {name:?}"));
    } else if let Some(index) = files.iter().position(|file| file.text("content").is_empty()) {
        report.error(
            format!("configFiles[{index}].content"),
            format!("extension content is required for extension {name:?}"),
        );
    } else if let Some(index) = files.iter().position(|file| file.text("mountPath").is_empty()) {
        report.error(
            format!("configFiles[{index}].mountPath"),
            format!("extension mount path is required for extension {name:?}"),
        );
    }
}

fn environment(root: &Node, report: &mut Report) {
    for entry in root.get("variables").and_then(Node::as_mapping).unwrap_or_default() {
        let name = entry.key.as_str().unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
            report.error("variables", format!("invalid environment variable name: {name:?}"));
        }
    }
}

/// Talos v1.14 `pkg/machinery/config/types/runtime/etc_file.go`.
fn etc_file(root: &Node, report: &mut Report) {
    const FILES: [&str; 7] =
        ["resolv.conf", "hosts", "machine-id", "extensions.yaml", "localtime", "os-release", "xattr.conf"];
    const FOLDERS: [&str; 12] = [
        "apparmor.d",
        "apparmor",
        "ca-certificates",
        "cni",
        "cri",
        "iscsi",
        "kubernetes",
        "lvm",
        "nvme",
        "pki",
        "selinux",
        "ssl",
    ];
    let name = root.text("name");
    let below = |folder: &&str| name.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if name.is_empty() {
        report.error("name", "the name of a file below /etc cannot be empty");
    } else if !is_local(name) || name.starts_with('.') {
        report.error("name", format!("{name:?} must be a local path below /etc"));
    } else if FILES.contains(&name) || FOLDERS.iter().any(below) {
        report.error("name", format!("{name:?} is managed by Talos"));
    }
}

/// Go's `filepath.IsLocal`: relative, and never above where it starts.
fn is_local(path: &str) -> bool {
    let mut depth = 0i64;
    !path.is_empty()
        && Path::new(path).components().all(|component| {
            depth += match component {
                Component::Normal(_) => 1,
                Component::ParentDir => -1,
                Component::CurDir => 0,
                Component::RootDir | Component::Prefix(_) => return false,
            };
            depth >= 0
        })
}

/// Talos v1.14 `pkg/machinery/config/types/runtime/sysctl.go` and `sysfs.go`.
fn parameters(what: &str, root: &Node, report: &mut Report) {
    let entries = root.get("params").and_then(Node::as_mapping).unwrap_or_default();
    if entries.iter().any(|entry| entry.key.as_str() == Some("")) {
        report.error("params", format!("{what} key cannot be empty"));
    }
}

/// Talos v1.14 `pkg/machinery/config/types/runtime/unattended_install.go`. Its message names a volume selector; the
/// field is the disk selector.
fn unattended_install(root: &Node, report: &mut Report) {
    const SELECTOR: &str = "provisioning.diskSelector.match";
    if root.text("installer.image").is_empty() {
        let message =
            "no installer image is set: installing fails unless Talos was booted from media of the Image Factory";
        report.note("installer.image", message);
    }
    match root.at(SELECTOR).and_then(Node::as_str) {
        None => report.error(SELECTOR, "a disk selector is required"),
        Some(expression) => {
            if let Err(message) = cel::check(expression, cel::Environment::Disk, cel::Type::Bool, report.releases) {
                report.error(SELECTOR, format!("disk selector is invalid: {message}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn the_running_system_is_judged_as_talos_does() {
        let document = |kind: &str, rest: &str| format!("{{apiVersion: v1alpha1, kind: {kind}, {rest}}}");
        let file = |name: &str| document("EtcFileConfig", &format!("name: '{name}', contents: a"));
        let install = |rest: &str| document("UnattendedInstallConfig", rest);
        let disk = "provisioning: {diskSelector: {match: disk.size > 10u * GB}}";
        expect(&[
            (&file("nfsmount.conf"), ""),
            (&file("a/../b.conf"), ""),
            (&file("crio.conf"), ""),
            (&file(""), "name: the name of a file"),
            (&file("/etc/a"), "name: \"/etc/a\" must be a local path"),
            (&file("a/../../b"), "name: \"a/../../b\" must be a local path"),
            (&file(".a"), "name: \".a\" must be a local path"),
            (&file("hosts"), "name: \"hosts\" is managed by Talos"),
            (&file("cri"), "name: \"cri\" is managed by Talos"),
            (&file("cri/a"), "name: \"cri/a\" is managed by Talos"),
            (&document("KernelModuleConfig", "name: br_netfilter, parameters: [a=b]"), ""),
            (&document("KernelModuleConfig", "parameters: [a=b]"), "name: name is required"),
            (&document("SysctlConfig", "params: {net.ipv4.ip_forward: '1'}"), ""),
            (&document("SysctlConfig", "params: {'': '1'}"), "params: sysctl key cannot be empty"),
            (&document("SysfsConfig", "params: {devices.a: '1'}"), ""),
            (&document("SysfsConfig", "params: {'': '1'}"), "params: sysfs key cannot be empty"),
            (&document("UdevRulesConfig", "rules: ['']"), ""),
            (&document("SecurityProfileConfig", "workloadIsolation: true"), ""),
            (&install(&format!("installer: {{image: a}}, {disk}")), ""),
            (&install(disk), "note: installer.image: no installer image"),
            (&install("installer: {image: a}"), "provisioning.diskSelector.match: a disk selector is required"),
            (
                &install("installer: {image: a}, provisioning: {diskSelector: {match: disk.size}}"),
                "provisioning.diskSelector.match: disk selector is invalid",
            ),
        ]);
    }
}
