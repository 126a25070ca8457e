//! What comes out is what talhelper makes.

use super::*;

#[test]
fn the_guides_node_is_rendered_as_talhelper_renders_it() {
    let got = rendered(&folder("guide"), "cloudbox2").unwrap();
    assert_same(&got, &text("guide/expected-talhelper-3.1.16.yaml"), "guide");
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    assert_eq!(got.schematic_id.unwrap().as_str(), id);
    assert_eq!(got.installer, format!("factory.talos.dev/oracle-installer/{id}:v1.12.2"));
    assert_eq!(got.talos_version.to_string(), "v1.12.2");
    assert_eq!(got.kubernetes_version, "1.35.0");
    assert_eq!(got.install_disk.as_deref(), Some("/dev/sda"));
    assert_eq!(got.cluster_endpoint, "https://192.168.1.50:6443");
    assert_eq!((got.cluster_name.as_str(), got.hostname.as_str()), ("eh-ops", "cloudbox2"));
    assert_eq!(got.ip_addresses, ["10.0.0.214"]);
    assert_eq!(got.warnings, [""; 0]);
    assert!(got.secrets.certs.os.has_key());
}

#[test]
fn variants_of_the_guide_are_rendered_as_talhelper_renders_them() {
    for case in [
        "groups",
        "iface-legacy-patch",
        "iface-name-dhcp",
        "ignorehostname",
        "nameservers-plus-patch",
        "no-image-url",
        "patch-delete-escaped",
        "v1.13.0",
    ] {
        let got = rendered(&folder(&format!("talhelper/{case}")), "cloudbox2");
        let got = got.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_same(&got, &text(&format!("talhelper/{case}/expected.yaml")), case);
    }
}

#[test]
fn a_patch_directive_needs_no_second_dollar_sign() {
    let got = rendered(&folder("talhelper/patch-delete"), "cloudbox2").unwrap();
    assert_same(&got, &text("talhelper/patch-delete-escaped/expected.yaml"), "patch-delete");
}

#[test]
fn what_talhelper_refuses_is_refused() {
    for (case, wanted) in [
        ("empty-var", "talconfig.yaml:24: variable ${tailscaleAuthKey} set but empty"),
        ("unset-var", "talconfig.yaml:14: variable ${SCHEMATIC_ID} not set"),
        ("json-patch", "JSON"),
        ("hostname-legacy-patch", "hostname"),
    ] {
        let error = failure(rendered(&folder(&format!("talhelper/{case}")), "cloudbox2"));
        assert!(error.contains(wanted), "{case}: {error}");
    }
}

#[test]
fn a_control_plane_is_the_generated_one_with_the_nodes_settings() {
    let folder = edited(
        "    installDisk: /dev/nvme0n1\n",
        "    installDisk: /dev/nvme0n1\n    ignoreHostname: true\n    talosImageURL: ghcr.io/siderolabs/installer\n",
    );
    let mut folder = folder;
    let talconfig = folder["talconfig.yaml"].replace("v1.35.0", "1.34.2");
    folder.insert("talconfig.yaml".into(), talconfig);
    let got = rendered(&folder, "mini1").unwrap();
    assert_same(&got, &text("gen/controlplane-eh-ops.yaml"), "mini1");
    assert_eq!(got.schematic_id, None);
    let labelled = folder["talconfig.yaml"]
        .replace("    ignoreHostname: true\n", "    ignoreHostname: true\n    nodeLabels: {zone: a}\n")
        + "additionalApiServerCertSans: [api.example]\nadditionalMachineCertSans: [m.example]\n";
    folder.insert("talconfig.yaml".into(), labelled);
    let got = rendered(&folder, "mini1").unwrap().config;
    let at = |path: &str| got.get(path).map(|node| format!("{node:?}"));
    assert_eq!(got.cert_sans(), ["m.example"]);
    assert!(at("machine.nodeLabels.zone").is_some());
    let yaml = got.to_yaml();
    assert!(!yaml.contains("exclude-from-external") && yaml.contains("api.example"), "{yaml}");
}

#[test]
fn other_kinds_of_documents_and_settings_reach_the_configuration() {
    let extra = r#"    disableSearchDomain: true
    nodeAnnotations: {team: ops}
    nodeTaints: {role: "edge:NoSchedule"}
    kernelModules: [{name: br_netfilter, parameters: [nf_conntrack_max=131072]}]
    ingressFirewall:
      defaultAction: block
      rules:
        - name: kubelet
          portSelector: {ports: [10250], protocol: tcp}
          ingress: [{subnet: 10.0.0.0/24}]
    userVolumes:
      - name: data
        provisioning: {diskSelector: {match: system_disk}, minSize: 10GiB}
    certSANs:
"#;
    let mut folder = edited("    certSANs:\n", extra);
    let talconfig = folder["talconfig.yaml"].clone()
        + "domain: home.local\nclusterPodNets: [10.1.0.0/16]\ncniConfig: {name: none}\ninlineManifests: [{name: ns, contents: \
           \"kind: Namespace\"}]\n";
    folder.insert("talconfig.yaml".into(), talconfig);
    let got = rendered(&folder, "cloudbox2").unwrap().config;
    let kinds: Vec<String> = got.documents().map(|id| id.kind.to_string()).collect();
    for kind in ["NetworkDefaultActionConfig", "NetworkRuleConfig", "UserVolumeConfig", "ResolverConfig"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind} in {kinds:?}");
    }
    let yaml = got.to_yaml();
    for wanted in [
        "disableDefault: true",
        "team: ops",
        "role: edge:NoSchedule",
        "br_netfilter",
        "dnsDomain: home.local",
        "10.1.0.0/16",
        "name: none",
        "kind: Namespace",
        "10GiB",
    ] {
        assert!(yaml.contains(wanted), "{wanted} in\n{yaml}");
    }
}

#[test]
fn interfaces_become_documents() {
    let devices = r#"      - interface: eth0
        mtu: 9000
        addresses: [10.0.0.5, "fd00::5"]
        vip: {ip: 10.0.0.9}
      - deviceSelector: {busPath: 0000:00:03*, driver: virtio_net, physical: true}
        dhcp: true
        dhcpOptions: {routeMetric: 50, ipv6: true}
        routes: [{network: "::/0", gateway: "fe80::1", metric: 7}]
      - deviceSelector:
"#;
    let folder = edited("      - deviceSelector:\n", devices);
    let got = rendered(&folder, "cloudbox2");
    let yaml = match got {
        Ok(got) => got.config.to_yaml(),
        // A virtual address is for control planes only, where the validator says so.
        Err(error) => panic!("{error:?}"),
    };
    let documents = content(&yaml);
    let has = |id: &str, part: &str| {
        let document = documents.get(id).unwrap_or_else(|| panic!("{id} in {:?}", documents.keys()));
        assert!(document.contains(part), "{part} in {document}");
    };
    has(
        "LinkAliasConfig ethSel0",
        r#"glob(\"0000:00:03*\", link.bus_path) && glob(\"virtio_net\", link.driver) && link.type == 1"#,
    );
    has("LinkAliasConfig ethSel1", "02:00:17:27:16:32");
    has("DHCPv4Config ethSel0", "routeMetric");
    has("DHCPv6Config ethSel0", "Int(50)");
    has("Layer2VIPConfig 10.0.0.9", "eth0");
    has("LinkConfig eth0", "fd00::5/128");
    has("LinkConfig eth0", "10.0.0.5/32");
    has("LinkConfig eth0", "Int(9000)");
    has("LinkConfig ethSel0", "fe80::1");
    assert!(!documents["LinkConfig ethSel0"].contains("destination"));
}
