//! Containers outside of Kubernetes (Talos v1.14 `pkg/machinery/config/types/container`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::types::bytes;
use super::super::yaml::Node;
use super::image_reference::is_pinned;
use super::{Read, Report};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    if kind != "ContainerConfig" {
        return false;
    }
    name(root, report);
    image(root, report);
    for (index, variable) in root.items("environment").iter().enumerate() {
        if !variable.text("").contains('=') {
            // What is there may be a secret.
            report.error(format!("environment[{index}]"), "a variable must be written as KEY=value");
        }
    }
    mounts(root, report);
    security(root, report);
    let mode = root.text("network.mode");
    if !["", "none", "host"].contains(&mode) {
        report.error("network.mode", format!("unsupported network mode {mode:?}, expected none or host"));
    }
    limits(root, report);
    dependencies(root, report);
    for field in ["runAs.uid", "runAs.gid"].iter().filter(|field| root.int(field) < 0) {
        report.error(field, format!("{field} must be non-negative, got {}", root.int(field)));
    }
    true
}

fn name(root: &Node, report: &mut Report) {
    match root.text("name") {
        "" => report.error("name", "name is required"),
        name if name.len() > 63 => report.error("name", "name must have 63 characters or fewer"),
        name if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') => {
            report.error("name", "name can only contain lowercase ASCII letters, digits and hyphens");
        }
        _ => {}
    }
}

fn image(root: &Node, report: &mut Report) {
    match root.text("image") {
        "" => report.error("image", "image is required"),
        image => match is_pinned(image) {
            None => report.error("image", format!("invalid image reference {image:?}")),
            Some(false) => {
                let message = format!("image {image:?} is not pinned by digest: another may run after a restart");
                report.note("image", message);
            }
            Some(true) => {}
        },
    }
}

/// `mounts.go`.
fn mounts(root: &Node, report: &mut Report) {
    let mut destinations = HashSet::new();
    for (index, mount) in root.items("mounts").iter().enumerate() {
        let path = format!("mounts[{index}]");
        let kinds: Vec<&str> = ["userVolume", "tmpfs", "hostPath"].into_iter().filter(|kind| mount.has(kind)).collect();
        let [kind] = kinds[..] else {
            report.error(&path, "exactly one of userVolume, tmpfs or hostPath must be set");
            continue;
        };
        let before = report.problems.len();
        let path = format!("{path}.{kind}");
        // The filter above found it.
        let Some(mount) = mount.get(kind) else { continue };
        if kind == "userVolume" && mount.text("name").is_empty() {
            report.error(format!("{path}.name"), "the name of a user volume is required");
        }
        if kind == "hostPath" {
            absolute(mount.text("source"), &format!("{path}.source"), report);
        }
        let destination = mount.text("destination");
        absolute(destination, &format!("{path}.destination"), report);
        mount_options(mount, &format!("{path}.options"), report);
        if report.problems.len() == before && !destinations.insert(destination) {
            report.error(format!("{path}.destination"), format!("duplicate destination {destination:?}"));
        }
    }
}

fn absolute(text: &str, path: &str, report: &mut Report) {
    if text.is_empty() {
        report.error(path, "a path is required");
    } else if !text.starts_with('/') {
        report.error(path, format!("{text:?} must be an absolute path"));
    }
}

fn mount_options(mount: &Node, path: &str, report: &mut Report) {
    const KNOWN: [&str; 8] = ["ro", "rw", "noexec", "nosuid", "nodev", "noatime", "rbind", "rshared"];
    let options: Vec<&str> = mount.items("options").iter().map(|item| item.text("")).collect();
    for option in options.iter().filter(|option| !KNOWN.contains(option)) {
        report.error(path, format!("unsupported mount option {option:?}"));
    }
    if options.contains(&"ro") && options.contains(&"rw") {
        report.error(path, "mount options ro and rw exclude each other");
    }
}

/// `security.go`.
fn security(root: &Node, report: &mut Report) {
    let profile = root.text("security.profile");
    if !["", "restricted", "privileged"].contains(&profile) {
        let message = format!("unsupported security profile {profile:?}, expected restricted or privileged");
        report.error("security.profile", message);
    }
    let names = |field: &str| -> Vec<&str> {
        root.items(&format!("security.capabilities.{field}")).iter().map(|item| item.text("")).collect()
    };
    let (added, dropped) = (names("add"), names("drop"));
    for (field, names) in [("add", &added), ("drop", &dropped)] {
        let path = format!("security.capabilities.{field}");
        for name in names {
            match *name {
                "ALL" if field == "drop" => {}
                "ALL" => report.error(&path, "ALL cannot be added, use the profile privileged instead"),
                "" => report.error(&path, "a capability needs a name"),
                name if name.starts_with("CAP_") => {
                    report.error(&path, format!("capability {name:?} must be given without the CAP_ prefix"));
                }
                name if !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => {
                    let message = format!("capability {name:?} may only contain upper case letters and underscores");
                    report.error(&path, message);
                }
                _ => {}
            }
        }
    }
    for name in added.iter().filter(|name| dropped.contains(name)) {
        report.error("security.capabilities", format!("capability {name:?} is both added and dropped"));
    }
}

/// `runtime.go`.
fn limits(root: &Node, report: &mut Report) {
    const MEMORY: &str = "resources.limits.memory";
    const CPU: &str = "resources.limits.cpu";
    let (memory, cpu) = (root.text(MEMORY), root.text(CPU));
    if !memory.is_empty() && bytes::parse(memory).is_none() {
        report.error(MEMORY, format!("{memory:?} is not a valid size"));
    }
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match cpu.strip_suffix('m') {
        None if cpu.is_empty() => {}
        None => report.error(CPU, format!("{cpu:?} must be expressed in millicores, such as 1500m")),
        Some(number) => match Some(number).filter(digits).and_then(|number| number.parse::<u64>().ok()) {
            None => report.error(CPU, format!("{cpu:?} is not a valid number of millicores")),
            Some(0) => report.error(CPU, format!("{cpu:?} must be greater than zero")),
            Some(_) => {}
        },
    }
}

fn dependencies(root: &Node, report: &mut Report) {
    const CONDITIONS: [&str; 4] = ["addresses", "connectivity", "hostname", "etcfiles"];
    for (index, path) in root.items("dependsOn.paths").iter().enumerate() {
        absolute(path.text(""), &format!("dependsOn.paths[{index}]"), report);
    }
    for condition in root.items("dependsOn.networks").iter().map(|item| item.text("")) {
        if !CONDITIONS.contains(&condition) {
            report.error("dependsOn.networks", format!("unsupported network condition {condition:?}"));
        }
    }
    for container in root.items("dependsOn.containers").iter().map(|item| item.text("")) {
        if container.is_empty() {
            report.error("dependsOn.containers", "the name of a container must not be empty");
        } else if container == root.text("name") {
            report.error("dependsOn.containers", format!("container {container:?} cannot depend on itself"));
        }
    }
}

/// Containers depend on containers that are there, and not in a circle (Talos v1.14
/// `pkg/machinery/config/container/container_deps.go`).
pub(super) fn validate_dependencies(roots: &[&Node], report: &mut Report) {
    let edges: BTreeMap<&str, Vec<&str>> = roots
        .iter()
        .map(|root| (root.text("name"), root.items("dependsOn.containers").iter().map(|item| item.text("")).collect()))
        .collect();
    for (name, wanted) in &edges {
        for missing in wanted.iter().filter(|wanted| !edges.contains_key(*wanted)) {
            report.error(
                format!("ContainerConfig/{name}.dependsOn.containers"),
                format!("container {name:?} depends on container {missing:?}, which is not configured"),
            );
        }
    }
    for name in edges.keys().filter(|name| reaches(name, name, &edges)) {
        let path = format!("ContainerConfig/{name}.dependsOn.containers");
        report.error(path, format!("container {name:?} depends on itself in the end"));
    }
}

fn reaches(from: &str, to: &str, edges: &BTreeMap<&str, Vec<&str>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for next in edges.get(name).into_iter().flatten() {
            if *next == to {
                return true;
            }
            if seen.insert(*next) {
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    const PINNED: &str = "image: nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn container(name: &str, rest: &str) -> String {
        format!("{{apiVersion: v1alpha1, kind: ContainerConfig, name: {name}, {PINNED}, {rest}}}")
    }

    #[test]
    fn containers_are_judged_as_talos_does() {
        let head = "{apiVersion: v1alpha1, kind: ContainerConfig";
        let long = "a".repeat(64);
        expect(&[
            (&container("a-1", ""), ""),
            (
                &container(
                    "a",
                    "mounts: [{userVolume: {name: v, destination: /v, options: [rw]}}, {tmpfs: {destination: /t}}, {hostPath: {source: /h, destination: /h}}]",
                ),
                "",
            ),
            (
                &container(
                    "a",
                    "security: {profile: privileged, capabilities: {add: [NET_ADMIN], drop: [ALL]}}, network: {mode: host}, resources: {limits: {cpu: 1500m, memory: 512MiB}}, runAs: {uid: 0, gid: 5}, environment: [A=b]",
                ),
                "",
            ),
            (&container("a", "dependsOn: {paths: [/x], networks: [addresses], time: true}"), ""),
            (&format!("{head}, {PINNED}}}"), "name: name is required"),
            (&container("A", ""), "name: name can only contain lowercase"),
            (&container(&long, ""), "name: name must have 63 characters"),
            (&format!("{head}, name: a}}"), "image: image is required"),
            (&format!("{head}, name: a, image: 'a b'}}"), "image: invalid image reference"),
            (&format!("{head}, name: a, image: nginx}}"), "note: image: image \"nginx\" is not pinned"),
            (&container("a", "environment: [A]"), "environment[0]: a variable must be written as KEY=value"),
            (&container("a", "mounts: [{}]"), "mounts[0]: exactly one of"),
            (
                &container("a", "mounts: [{tmpfs: {destination: /a}, hostPath: {source: /a, destination: /a}}]"),
                "mounts[0]: exactly one of",
            ),
            (&container("a", "mounts: [{userVolume: {destination: /v}}]"), "mounts[0].userVolume.name: the name"),
            (&container("a", "mounts: [{tmpfs: {size: 1MiB}}]"), "mounts[0].tmpfs.destination: a path is required"),
            (
                &container("a", "mounts: [{tmpfs: {destination: t}}]"),
                "mounts[0].tmpfs.destination: \"t\" must be an absolute path",
            ),
            (
                &container("a", "mounts: [{hostPath: {source: h, destination: /h}}]"),
                "mounts[0].hostPath.source: \"h\" must be an absolute path",
            ),
            (
                &container("a", "mounts: [{tmpfs: {destination: /t, options: [sync]}}]"),
                "mounts[0].tmpfs.options: unsupported mount option",
            ),
            (
                &container("a", "mounts: [{tmpfs: {destination: /t, options: [ro, rw]}}]"),
                "mounts[0].tmpfs.options: mount options ro and rw",
            ),
            (
                &container("a", "mounts: [{tmpfs: {destination: /t}}, {tmpfs: {destination: /t}}]"),
                "mounts[1].tmpfs.destination: duplicate destination",
            ),
            (&container("a", "security: {profile: x}"), "security.profile: unsupported security profile"),
            (
                &container("a", "security: {capabilities: {add: [ALL]}}"),
                "security.capabilities.add: ALL cannot be added",
            ),
            (
                &container("a", "security: {capabilities: {add: ['']}}"),
                "security.capabilities.add: a capability needs a name",
            ),
            (
                &container("a", "security: {capabilities: {drop: [CAP_KILL]}}"),
                "security.capabilities.drop: capability \"CAP_KILL\" must be given without",
            ),
            (
                &container("a", "security: {capabilities: {drop: [kill]}}"),
                "security.capabilities.drop: capability \"kill\" may only",
            ),
            (
                &container("a", "security: {capabilities: {add: [KILL], drop: [KILL]}}"),
                "security.capabilities: capability \"KILL\" is both",
            ),
            (&container("a", "network: {mode: bridge}"), "network.mode: unsupported network mode"),
            (
                &container("a", "resources: {limits: {memory: lots}}"),
                "resources.limits.memory: \"lots\" is not a valid size",
            ),
            (
                &container("a", "resources: {limits: {cpu: '1'}}"),
                "resources.limits.cpu: \"1\" must be expressed in millicores",
            ),
            (
                &container("a", "resources: {limits: {cpu: 1.5m}}"),
                "resources.limits.cpu: \"1.5m\" is not a valid number",
            ),
            (
                &container("a", "resources: {limits: {cpu: 0m}}"),
                "resources.limits.cpu: \"0m\" must be greater than zero",
            ),
            (&container("a", "dependsOn: {paths: [x]}"), "dependsOn.paths[0]: \"x\" must be an absolute path"),
            (&container("a", "dependsOn: {networks: [x]}"), "dependsOn.networks: unsupported network condition"),
            (&container("a", "runAs: {uid: -1}"), "runAs.uid: runAs.uid must be non-negative"),
            (&container("a", "runAs: {gid: -1}"), "runAs.gid: runAs.gid must be non-negative"),
        ]);
    }

    #[test]
    fn containers_depend_on_each_other_without_a_circle() {
        let after = |name: &str, other: &str| container(name, &format!("dependsOn: {{containers: [{other}]}}"));
        let chain = format!("{}\n---\n{}\n---\n{}", after("a", "b"), after("b", "c"), container("c", ""));
        let circle = format!("{}\n---\n{}\n---\n{}", after("a", "b"), after("b", "a"), after("c", "a"));
        assert_eq!(super::super::tests::judge(&chain), Vec::<String>::new());
        assert_eq!(
            super::super::tests::judge(&circle),
            [
                "ContainerConfig/a.dependsOn.containers: container \"a\" depends on itself in the end",
                "ContainerConfig/b.dependsOn.containers: container \"b\" depends on itself in the end",
            ]
        );
        let missing = super::super::tests::judge(&after("a", "x"));
        assert_eq!(missing.len(), 1);
        assert!(missing[0].ends_with("which is not configured"), "{missing:?}");
        assert_eq!(super::super::tests::judge(&after("a", "a")).len(), 2);
        // An empty name is also one that is not configured.
        assert_eq!(super::super::tests::judge(&after("a", "''")).len(), 2);
    }
}
