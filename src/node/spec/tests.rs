//! A table of drafts and what is found in them.

use time::macros::datetime;

use super::*;
use crate::node::draft::{ClientDraft, FlashDraft, ImageDraft, SshDraft};
use crate::talos::pki;
use crate::talos::secrets::SecretsBundle;

pub(in crate::node) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
pub(in crate::node) const CONFIG: &str = include_str!("../../../tests/golden/guide/expected-talhelper-3.1.16.yaml");
pub(in crate::node) const SECRETS: &str = include_str!("../../../tests/golden/guide/talsecret.yaml");
pub(in crate::node) const SCHEMATIC: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";

pub(in crate::node) fn text(value: &str) -> Given<String> {
    Given::Value(value.to_owned())
}

/// Credentials of the guide's cluster.
fn client() -> ClientDraft {
    let secrets = SecretsBundle::parse(SECRETS).unwrap();
    client_of(&secrets.certs.os)
}

fn client_of(ca: &pki::CertificateAndKey) -> ClientDraft {
    use base64::Engine as _;
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let admin = pki::admin_certificate(ca, NOW, time::Duration::days(1)).unwrap();
    ClientDraft::Object {
        ca_certificate: text(&encode(&ca.crt)),
        client_certificate: text(&encode(&admin.crt)),
        client_key: Given::Value(Secret::new(encode(admin.key.expose()))),
    }
}

/// The guide's cloudbox2 with nothing wrong.
pub(in crate::node) fn draft() -> Draft {
    Draft {
        hostname: text("cloudbox2"),
        endpoint: text("150.136.211.213"),
        image: Given::Value(ImageDraft {
            talos_version: text("v1.12.2"),
            schematic_id: text(SCHEMATIC),
            url: text("https://factory.talos.dev/image/x/v1.12.2/oracle-arm64.raw.xz"),
            ..ImageDraft::default()
        }),
        flash: Given::Value(FlashDraft {
            disk: text("/dev/sda"),
            ssh: SshDraft {
                private_key: Given::Value(Secret::new("key".to_owned())),
                host_key: text("SHA256:abc"),
                ..SshDraft::default()
            },
            ..FlashDraft::default()
        }),
        machine_configuration: Given::Value(Secret::new(CONFIG.to_owned())),
        machine_configuration_attribute: "machine_configuration",
        client: Given::Value(client()),
        ..Draft::default()
    }
}

/// With one context `x` for a cluster, and one cluster.
fn kubeconfig(current: &str, wanted: &str, there: &str) -> Given<Secret<String>> {
    Given::Value(Secret::new(format!(
        "current-context: {current}\ncontexts: [{{name: x, context: {{cluster: {wanted}, user: u}}}}]\nclusters: [{{name: \
         {there}, cluster: {{server: 'https://192.168.1.50:6443'}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
    )))
}

fn rules(draft: &Draft) -> Vec<&'static str> {
    Parsed::of(draft, NOW).findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn the_guides_node_has_nothing_wrong() {
    let parsed = Parsed::of(&draft(), NOW);
    assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
    let spec = parsed.complete().unwrap();
    assert_eq!(spec.image.installer.to_string(), format!("factory.talos.dev/oracle-installer/{SCHEMATIC}:v1.12.2"));
    assert_eq!(spec.endpoint.to_string(), "150.136.211.213:50000");
    let mut with = draft();
    with.kubeconfig = kubeconfig("x", "c", "c");
    assert!(Parsed::of(&with, NOW).complete().is_some());
}

#[test]
fn a_patch_that_cannot_be_applied_is_told_with_its_line() {
    let mut draft = draft();
    draft.config_patches = Given::Value(vec![Given::Value(Secret::new("machine:\n\tsysctls: {a: b}\n".into()))]);
    let findings = Parsed::of(&draft, NOW).findings;
    let told = findings.iter().find(|finding| finding.rule == "config-patch").unwrap();
    assert!(told.message.contains("line 2, column 2"), "{}", told.message);
}

#[test]
fn a_configuration_is_judged_for_the_release_that_is_to_run() {
    let later = "apiVersion: v1alpha1\nkind: SysctlConfig\nparams: {a: b}";
    let judged = |version: &str| {
        let mut draft = draft();
        image(&mut draft).talos_version = text(version);
        draft.config_patches = Given::Value(vec![Given::Value(Secret::new(later.into()))]);
        rules(&draft).contains(&"config-validation")
    };
    assert!(judged("v1.13.9"));
    assert!(!judged("v1.14.0"));
}

#[test]
fn each_mistake_is_named_by_its_rule() {
    type Break = fn(&mut Draft);
    let cases: &[(&str, Break)] = &[
        ("hostname-missing", |d| {
            d.hostname = Given::Absent;
            edit(d, "auto: 'off'\nhostname: cloudbox2", "auto: stable");
        }),
        ("hostname-syntax", |d| d.hostname = text("Cloud_Box")),
        ("hostname-mismatch", |d| d.hostname = text("cloudbox3")),
        ("endpoint-missing", |d| d.endpoint = Given::Absent),
        ("endpoint-syntax", |d| d.endpoint = text("https://150.136.211.213:50000")),
        ("endpoint-not-in-cert-sans", |d| d.endpoint = text("150.136.211.214")),
        ("port-range", |d| d.talos_port = Given::Value(70000)),
        ("image-missing", |d| d.image = Given::Absent),
        ("image-syntax", |d| image(d).talos_version = text("latest")),
        ("image-syntax", |d| image(d).schematic_id = text("4a0d")),
        ("image-syntax", |d| image(d).sha256 = text("abc")),
        ("image-url-missing", |d| image(d).url = Given::Absent),
        ("talos-too-old", |d| image(d).talos_version = text("v1.11.5")),
        ("image-incomplete", |d| image(d).talos_version = Given::Absent),
        ("installer-platform", |d| {
            image(d).installer = text(&format!("factory.talos.dev/installer/{SCHEMATIC}:v1.12.2"))
        }),
        ("installer-mismatch", |d| {
            image(d).installer = text(&format!("factory.talos.dev/oracle-installer/{SCHEMATIC}:v1.12.3"))
        }),
        ("flash-missing", |d| d.flash = Given::Absent),
        ("unknown-choice", |d| flash(d).method = text("usb")),
        ("unknown-choice", |d| flash(d).source = text("torrent")),
        ("in-place-pull", |d| (flash(d).method, flash(d).source) = (text("in_place"), text("pull"))),
        ("disk-missing", |d| flash(d).disk = Given::Absent),
        ("disk-syntax", |d| flash(d).disk = text("/dev/sda; rm -rf /")),
        ("ssh-key-missing", |d| flash(d).ssh.private_key = Given::Absent),
        ("host-key-missing", |d| flash(d).ssh.host_key = Given::Absent),
        ("unknown-choice", |d| d.activation = text("always")),
        ("config-missing", |d| d.machine_configuration = Given::Absent),
        ("config-syntax", |d| d.machine_configuration = Given::Value(Secret::new("machine: [".into()))),
        ("config-not-a-worker", |d| edit(d, "type: worker", "type: controlplane")),
        ("config-ca", |d| edit(d, "  ca:\n    crt: LS0t", "  ca:\n    crt: LS0s")),
        ("config-twice", |d| d.machine = Given::Unknown),
        ("config-patch", |d| {
            d.config_patches = Given::Value(vec![Given::Value(Secret::new("machine: {instal: {}}".into()))])
        }),
        ("config-validation", |d| {
            edit(d, "  network:\n    kubespan", "  network:\n    nameservers: [1.1.1.1]\n    kubespan")
        }),
        ("config-validation", |d| edit(d, "cluster:\n  id", "cluster:\n  etcd: {}\n  id")),
        // The image runs v1.12.2.
        ("config-validation", |d| {
            let later = "apiVersion: v1alpha1\nkind: SysctlConfig\nparams: {a: b}";
            d.config_patches = Given::Value(vec![Given::Value(Secret::new(later.into()))])
        }),
        ("client-missing", |d| d.client = Given::Absent),
        ("client-syntax", |d| d.client = Given::Value(ClientDraft::Talosconfig(Secret::new("x".into())))),
        ("client-other-cluster", |d| d.client = Given::Value(foreign())),
        ("kubeconfig-syntax", |d| d.kubeconfig = Given::Value(Secret::new("clusters: [".into()))),
        ("kubeconfig-syntax", |d| d.kubeconfig = Given::Value(Secret::new(String::new()))),
        ("kubeconfig-syntax", |d| d.kubeconfig = kubeconfig("other", "c", "c")),
        ("kubeconfig-syntax", |d| d.kubeconfig = kubeconfig("x", "c", "d")),
        ("kubeconfig-missing", |d| d.join.kubernetes = Given::Value(true)),
        ("duration-syntax", |d| d.join.timeout = text("soon")),
        ("duration-syntax", |d| d.timeouts.create = text("30 minutes")),
        ("duration-syntax", |d| d.timeouts.update = text("half an hour")),
        ("duration-syntax", |d| d.timeouts.delete = text("15")),
    ];
    for (rule, break_it) in cases {
        let mut broken = draft();
        break_it(&mut broken);
        let found = rules(&broken);
        assert!(found.contains(rule), "{rule} was not found, but {found:?}");
        assert!(Parsed::of(&broken, NOW).complete().is_none(), "{rule}");
    }
}

/// The name, the disk and the credentials could all have come from it.
#[test]
fn a_door_that_does_not_open_is_all_that_is_blamed() {
    use crate::talhelper::TalhelperError;
    let absent = || TalhelperError::Absent { file: "talconfig.yaml".into() };
    let broken = |open: &dyn Fn(&mut Draft)| {
        let mut draft = draft();
        draft.machine_configuration = Given::Absent;
        (draft.hostname, draft.client, flash(&mut draft).disk) = (Given::Absent, Given::Absent, Given::Absent);
        open(&mut draft);
        rules(&draft)
    };
    assert_eq!(broken(&|d| d.talconfig = Given::Value(Err(std::sync::Arc::new(absent())))), ["talconfig"]);
    assert_eq!(broken(&|_| {}), ["config-missing"]);
    assert_eq!(broken(&|d| (d.machine, d.talconfig) = (Given::Unknown, Given::Unknown)), ["config-twice"]);
    let mut unreadable = draft();
    unreadable.hostname = Given::Absent;
    unreadable.machine_configuration = Given::Value(Secret::new("machine: [".into()));
    assert_eq!(rules(&unreadable), ["config-syntax"]);
}

#[test]
fn an_expired_client_certificate_is_found_at_plan() {
    let parsed = Parsed::of(&draft(), NOW + time::Duration::days(2));
    let rules: Vec<_> = parsed.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["client-certificate"]);
}

#[test]
fn what_is_not_known_yet_is_not_blamed() {
    type Hide = fn(&mut Draft);
    let cases: &[(&str, Hide)] = &[
        ("endpoint", |d| d.endpoint = Given::Unknown),
        ("image", |d| d.image = Given::Unknown),
        ("image.url", |d| image(d).url = Given::Unknown),
        ("flash", |d| d.flash = Given::Unknown),
        ("flash.ssh.host_key", |d| flash(d).ssh.host_key = Given::Unknown),
        ("machine_configuration", |d| d.machine_configuration = Given::Unknown),
        ("config_patches[0]", |d| d.config_patches = Given::Value(vec![Given::Unknown])),
        ("config_patches_wo[0]", |d| d.config_patches_wo = Given::Value(vec![Given::Unknown])),
        ("client", |d| d.client = Given::Unknown),
        ("kubeconfig", |d| d.kubeconfig = Given::Unknown),
    ];
    for (attribute, hide) in cases {
        let mut open = draft();
        hide(&mut open);
        let parsed = Parsed::of(&open, NOW);
        assert!(parsed.findings.is_empty(), "{attribute}: {:?}", parsed.findings);
        assert!(parsed.complete().is_none(), "{attribute}");
    }
}

#[test]
fn an_unknown_endpoint_still_lets_the_configuration_be_hashed() {
    let known = Parsed::of(&draft(), NOW).worker.into_value().unwrap().hash;
    let mut open = draft();
    open.endpoint = Given::Unknown;
    assert_eq!(Parsed::of(&open, NOW).worker.into_value().unwrap().hash, known);
}

#[test]
fn the_temporary_cluster_is_the_same_for_the_same_node_only() {
    use crate::node::temporary::Temporary;
    let spec = |draft: &Draft| Parsed::of(draft, NOW).complete().unwrap();
    let first = Temporary::derive(&spec(&draft())).unwrap().yaml();
    let again = Temporary::derive(&spec(&draft())).unwrap().yaml();
    assert!(first == again, "two runs derive different temporary clusters");
    let mut other = draft();
    let renamed = CONFIG.replace("hostname: cloudbox2", "hostname: cloudbox3");
    other.hostname = text("cloudbox3");
    other.machine_configuration = Given::Value(Secret::new(renamed));
    let other = Temporary::derive(&spec(&other)).unwrap().yaml();
    assert!(first != other, "two nodes share a temporary cluster");
}

#[test]
fn nothing_secret_of_the_real_cluster_is_in_the_temporary_configuration() {
    let spec = Parsed::of(&draft(), NOW).complete().unwrap();
    let yaml = crate::node::temporary::Temporary::derive(&spec).unwrap().yaml();
    for secret in ["sfvb1a.5iakl9guujud3xjq", "qmhd2a.tmbn1g1glrf2p3rd", "ZYvI18NcDUPprCE", "tskey-auth", "TJsUdDHOzz"]
    {
        assert!(CONFIG.contains(secret), "{secret} is no secret of the real configuration");
        assert!(!yaml.expose().contains(secret), "{secret}");
    }
}

#[test]
fn debug_of_a_specification_shows_no_secret() {
    let spec = Parsed::of(&draft(), NOW).complete().unwrap();
    let shown = format!("{spec:?}");
    for secret in ["sfvb1a", "tskey", "PRIVATE KEY"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// Changes the configuration; the text must be there.
pub(in crate::node) fn edit(draft: &mut Draft, old: &str, new: &str) {
    let Given::Value(text) = &draft.machine_configuration else { panic!("the draft has a configuration") };
    assert!(text.expose().contains(old), "{old:?} is not in the configuration");
    draft.machine_configuration = Given::Value(Secret::new(text.expose().replacen(old, new, 1)));
}

fn foreign() -> ClientDraft {
    let other = pki::temporary_secrets(b"another cluster", "test", pki::Validity::FIXED).unwrap();
    client_of(&other.certs.os)
}

pub(in crate::node) fn image(draft: &mut Draft) -> &mut ImageDraft {
    match &mut draft.image {
        Given::Value(image) => image,
        _ => panic!("the draft has an image"),
    }
}

pub(in crate::node) fn flash(draft: &mut Draft) -> &mut FlashDraft {
    match &mut draft.flash {
        Given::Value(flash) => flash,
        _ => panic!("the draft has a flash"),
    }
}

#[test]
fn patches_that_are_never_stored_are_laid_last_and_blamed_by_their_own_name() {
    let patch = |text: &str| Given::Value(vec![Given::Value(Secret::new(text.to_owned()))]);
    let mut patched = draft();
    patched.config_patches = patch("machine: {nodeLabels: {a: plain, b: plain}}");
    patched.config_patches_wo = patch("machine: {nodeLabels: {b: never-stored}}");
    let parsed = Parsed::of(&patched, NOW);
    let config = &parsed.worker.value().unwrap().config;
    assert_eq!(config.get("machine.nodeLabels.a").and_then(|node| node.as_str()), Some("plain"));
    assert_eq!(config.get("machine.nodeLabels.b").and_then(|node| node.as_str()), Some("never-stored"));
    patched.config_patches_wo = patch("machine: {instal: {}}");
    let findings = Parsed::of(&patched, NOW).findings;
    assert!(findings.iter().any(|finding| finding.attribute == "config_patches_wo[0]"), "{findings:?}");
}

#[test]
fn durations_are_read_as_go_writes_them() {
    let cases = [
        ("90s", Some(90)),
        ("15m", Some(900)),
        ("1h30m", Some(5400)),
        ("0s", None),
        ("5", None),
        ("", None),
        ("m", None),
    ];
    for (text, seconds) in cases {
        assert_eq!(parse_duration(text), seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn an_ipv6_endpoint_is_shown_in_brackets() {
    let endpoint = Endpoint { host: "fd00::1".into(), talos_port: 50000 };
    assert_eq!(endpoint.to_string(), "[fd00::1]:50000");
}
