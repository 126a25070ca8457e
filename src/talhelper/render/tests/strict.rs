//! Mistakes are found, all of them, and named.

use super::*;

#[test]
fn what_is_no_platform_and_other_releases_are_refused_where_talhelper_is_silent() {
    let error = failure(rendered(&folder("talhelper/cloud-mode-no-url"), "cloudbox2"));
    assert!(error.contains("talconfig.yaml:15: machineSpec.mode \"cloud\" is no platform"), "{error}");
    let error = failure(rendered(&folder("talhelper/v1.11.6"), "cloudbox2"));
    assert!(error.contains("talosVersion v1.11.6") && error.contains("not supported here"), "{error}");
    assert!(error.contains("hint: render this node with talhelper itself"), "{error}");
    let error = failure(rendered(&folder("talhelper/template"), "cloudbox2"));
    assert!(error.contains("talconfig.yaml:28: the Go template in nodes[1].patches[0]"), "{error}");
    assert!(error.contains("machine_configuration"), "{error}");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let mut folder = folder("guide");
    let talconfig = folder["talconfig.yaml"]
        .replace("clusterName:", "clusterNmae:")
        .replace("    installDisk: /dev/sda", "    instalDisk: /dev/sda")
        .replace("controlPlane: true", "controlplane: true")
        .replace("          - 10.0.0.214/24", "          - 10.0.0.300/24")
        .replace("hardwareAddr:", "hardwareAdr:")
        .replace("gateway: 10.0.0.1", "gateway: home")
        .replace("v1.35.0", "v1.36.0");
    folder.insert("talconfig.yaml".into(), talconfig);
    let error = failure(rendered(&folder, "cloudbox2"));
    for wanted in [
        "talconfig.yaml:1: unknown key \"clusterNmae\" in talconfig; did you mean \"clusterName\"?",
        "talconfig.yaml:1: clusterName is missing",
        "talconfig.yaml:3: kubernetesVersion must be from v1.30 to v1.35 for Talos v1.12.2",
        "talconfig.yaml:8: unknown key \"controlplane\" in nodes[0]; did you mean \"controlPlane\"?",
        "talconfig.yaml:13: unknown key \"instalDisk\" in nodes[1]; did you mean \"installDisk\"?",
        "nodes[1].installDisk is missing",
        "unknown key \"hardwareAdr\" in nodes[1].networkInterfaces[0].deviceSelector; did you mean \"hardwareAddr\"?",
        "nodes[1].networkInterfaces[0].deviceSelector selects nothing",
        "nodes[1].networkInterfaces[0].addresses[0] must be an address or a prefix",
        "nodes[1].networkInterfaces[0].routes[0].gateway must be an IP address",
    ] {
        assert!(error.contains(wanted), "{wanted} in\n{error}");
    }
}

#[test]
fn features_that_are_not_supported_are_named_with_the_way_around() {
    for (feature, wanted) in [
        ("extraManifests: [a.yaml]", "nodes[1].extraManifests is not supported"),
        ("machineDisks: [{device: /dev/sdb}]", "nodes[1].machineDisks is not supported"),
        ("nodeLabels: {a: '{{ .MachineConfig.MachineType }}'}", "the Go template in nodes[1].nodeLabels.a"),
    ] {
        let folder = edited("    certSANs:", &format!("    {feature}\n    certSANs:"));
        let error = failure(rendered(&folder, "cloudbox2"));
        assert!(error.contains(wanted) && error.contains("machine_configuration"), "{error}");
    }
    for feature in
        ["bond: {interfaces: [a]}", "vlans: [{vlanId: 5}]", "wireguard: {}", "ignore: true", "cidr: 1.2.3.4/5"]
    {
        let folder = edited("        dhcp: false", &format!("        {feature}"));
        let error = failure(rendered(&folder, "cloudbox2"));
        let key = feature.split(':').next().unwrap();
        let wanted = format!("nodes[1].networkInterfaces[0].{key} is not supported here");
        assert!(error.contains(&wanted), "{error}");
    }
    // Another node may use them: only its keys are looked at.
    let folder =
        edited("    installDisk: /dev/nvme0n1\n", "    installDisk: /dev/nvme0n1\n    extraManifests: [a.yaml]\n");
    assert!(rendered(&folder, "cloudbox2").is_ok());
}

#[test]
fn what_talhelper_stops_at_is_refused_though_talos_would_not_care() {
    let url = "    talosImageURL: factory.talos.dev/oracle-installer/${SCHEMATIC_ID}\n";
    for (from, to, wanted) in [
        ("clusterName:", "cniConfig: {name: cilium}\nclusterName:", "cniConfig.name must be flannel, custom or none"),
        ("clusterName:", "cniConfig: {}\nclusterName:", "cniConfig.name must be flannel, custom or none"),
        ("clusterName:", "cniConfig: {name: custom}\nclusterName:", "cniConfig.urls must name the manifests"),
        (
            "clusterName:",
            "cniConfig: {name: none, urls: ['https://a/b']}\nclusterName:",
            "cniConfig.urls is for the CNI",
        ),
        ("      mode: cloud\n", "      bootMethod: usb\n", "machineSpec.bootMethod must be iso, disk-image or pxe"),
        ("      mode: cloud\n", "      imageSuffix: raw.xz\n", "machineSpec.imageSuffix must be one of iso"),
        (
            "      mode: cloud\n",
            "      bootMethod: pxe\n      imageSuffix: iso\n",
            "imageSuffix must be absent for pxe",
        ),
        ("clusterName:", "patches: ['']\nclusterName:", "patches[0] is empty"),
        ("clusterName:", "patches: [\" \\n\"]\nclusterName:", "patches[0] is empty"),
        (url, "    talosImageURL: installer\n", "talosImageURL must be a registry and a path"),
        (url, "    talosImageURL: siderolabs/installer\n", "talosImageURL must be a registry and a path"),
        (url, "    talosImageURL: docker.io/installer\n", "talosImageURL must be a registry and a path"),
        (url, "    talosImageURL: ghcr.io/Siderolabs/installer\n", "talosImageURL must be a registry and a path"),
    ] {
        let error = failure(rendered(&edited(from, to), "cloudbox2"));
        assert!(error.contains(wanted), "{wanted} in\n{error}");
    }
    for (from, to) in [
        ("      mode: cloud\n", "      bootMethod: disk-image\n      imageSuffix: raw.xz\n"),
        (url, "    talosImageURL: localhost:5000/a__b/installer\n"),
        ("clusterName:", "cniConfig: {name: custom, urls: ['https://a/b.yaml']}\nclusterName:"),
    ] {
        let got = rendered(&edited(from, to), "cloudbox2");
        assert!(got.is_ok(), "{to}: {:?}", got.err());
    }
}

#[test]
fn a_global_patch_that_undoes_a_nodes_patch_is_warned_of() {
    let mut folder = folder("talhelper/groups");
    let got = rendered(&folder, "cloudbox2").unwrap();
    assert_eq!(got.warnings.len(), 1, "{:?}", got.warnings);
    assert!(got.warnings[0].starts_with("machine.sysctls.a is set by a patch of cloudbox2"), "{:?}", got.warnings);
    let calm = folder["talconfig.yaml"].replace("{a: global, b: global}", "{b: global}");
    folder.insert("talconfig.yaml".into(), calm);
    assert_eq!(rendered(&folder, "cloudbox2").unwrap().warnings, [""; 0]);
}

#[test]
fn a_patch_that_does_not_apply_is_named() {
    let folder = edited("              enabled: false", "              enabeld: false");
    let error = failure(rendered(&folder, "cloudbox2"));
    assert!(error.contains("talconfig.yaml: applying nodes[1].patches[1] (line 33)"), "{error}");
    assert!(error.contains("enabeld"), "{error}");
    let folder = edited("    patches:\n", "    patches:\n      - patch.yaml\n");
    let error = failure(rendered(&folder, "cloudbox2"));
    assert!(error.contains("nodes[1].patches[0] is no patch; a patch in a file is written \"@FILE\""), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    let error = failure(rendered(&folder("guide"), "cloudbox3"));
    assert_eq!(error, "talconfig.yaml has no node with the hostname \"cloudbox3\"; it has mini1, cloudbox2");
    let mut none = folder("guide");
    none.remove("talsecret.yaml");
    let error = failure(rendered(&none, "cloudbox2"));
    assert!(error.contains("none of talsecret.yaml, talsecret.sops.yaml"), "{error}");
    none.insert("talsecret.yaml".into(), text("guide/talsecret.yaml").replace("trustdinfo", "trustdInfo"));
    let error = failure(rendered(&none, "cloudbox2"));
    assert!(error.contains("reading talsecret.yaml: line 7, column 1: unknown key \"trustdInfo\""), "{error}");
    none.remove("talconfig.yaml");
    assert!(failure(rendered(&none, "cloudbox2")).contains("reading talconfig.yaml: there is no such file"));
    none.insert("talconfig.yaml".into(), "# nothing\n".into());
    assert!(failure(rendered(&none, "cloudbox2")).contains("talconfig.yaml:1: the file is empty"));
    none.insert("talconfig.yaml".into(), "a: {b: ${A}}\n".into());
    assert!(failure(rendered(&none, "cloudbox2")).starts_with("talconfig.yaml:1: "));
}

#[test]
fn documents_are_judged_as_talhelper_does_and_newer_ones_by_the_release_that_has_them() {
    let with = |document: &str| {
        let patch = format!("    patches:\n      - '{{apiVersion: v1alpha1, {document}}}'\n");
        rendered(&edited("    patches:\n", &patch), "cloudbox2")
    };
    // Names like this are refused since 1.13 only, which talhelper does not know.
    assert!(with("kind: LinkAliasConfig, name: net%x, selector: {match: \"true\"}").is_ok());
    assert!(with("kind: SysctlConfig, params: {a: b}").is_ok());
    let error = failure(with("kind: SysctlConfig, params: {\"\": b}"));
    assert!(error.contains("SysctlConfig.params: sysctl key cannot be empty"), "{error}");
}
