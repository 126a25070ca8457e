//! Rules 1 to 4 and 7 to 9 of a faithful node: TLS, roles, routing, Bootstrap, configurations, the worker's port, COSI.

use std::{io, time::Duration};

use talosoci::{
    sim::{Event, Fault, NodeOptions, Start, World},
    wire::machine::{
        BootstrapRequest, ReadRequest, RebootRequest, apply_configuration_request::Mode,
        machine_service_client::MachineServiceClient,
    },
};
use tokio::net::TcpStream;
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

use super::{
    configs::{TAILSCALE, Temporary, Worker, admin},
    road::{apply, flashed, story, wait, world},
    talos::{DEADLINE, Trust, connect, dial, get, machine, server_certificate, talk, yaml},
};

pub const VERSIONS: [&str; 3] = ["v1.12.2", "v1.13.9", "v1.14.0"];

/// A node in maintenance mode, and a temporary cluster to make it part of.
async fn fresh(version: &str) -> (World, talosoci::sim::SimNode, Temporary) {
    let world = world().await;
    let node = flashed(&world, version).await;
    assert!(node.wait_for_stage("maintenance", DEADLINE).await, "{}", story(&world));
    (world, node, Temporary::new())
}

/// The same node as a control plane; its Tailscale is configured or not.
pub async fn control_plane(version: &str, more: &str) -> (World, talosoci::sim::SimNode, Temporary) {
    let (world, node, temporary) = fresh(version).await;
    let mut client = machine(&node, &Trust::Insecure).await;
    client.apply_configuration(apply(temporary.control_plane(more), Mode::Auto)).await.expect("applied");
    connect(&node, &temporary.admin()).await;
    (world, node, temporary)
}

fn refusal<T>(result: Result<T, Status>) -> (Code, String) {
    let status = result.err().expect("a refusal");
    (status.code(), status.message().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_mode_asks_for_no_certificate_and_answers_by_version() {
    for version in VERSIONS {
        let (_world, node, _) = fresh(version).await;
        let channel = connect(&node, &Trust::Insecure).await;
        let status = yaml(channel.clone(), "runtime", "MachineStatuses.runtime.talos.dev", "machine").await;
        assert!(status.starts_with("stage: maintenance\nstatus:\n    ready: true\n"), "{status}");
        let own = yaml(channel.clone(), "runtime", "Versions.runtime.talos.dev", "version").await;
        assert!(own.contains(&format!("version: {version}")), "{own}");
        let mut client = MachineServiceClient::new(channel.clone());
        let bootstrap = refusal(client.bootstrap(BootstrapRequest::default()).await);
        let reboot = refusal(client.reboot(RebootRequest::default()).await);
        let sensitive = refusal(get(channel, "config", "MachineConfigs.config.talos.dev", "v1alpha1").await);
        assert_eq!(sensitive, (Code::PermissionDenied, "not authorized".to_owned()));
        let plain = client.version(()).await;
        if version == "v1.12.2" {
            assert_eq!(bootstrap, (Code::Unimplemented, "method Bootstrap not implemented".to_owned()));
            assert_eq!(reboot, (Code::Unimplemented, "method Reboot not implemented".to_owned()));
            let words = "API is not implemented in maintenance mode";
            assert_eq!(refusal(plain), (Code::Unimplemented, words.to_owned()));
        } else {
            assert_eq!(bootstrap, (Code::PermissionDenied, "not authorized".to_owned()));
            assert_eq!(reboot, (Code::PermissionDenied, "not authorized".to_owned()));
            let message = plain.expect("answered").into_inner().messages.remove(0);
            assert_eq!((message.metadata, message.features), (None, None));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_boot_has_another_authority_in_maintenance_mode() {
    let (world, node, _) = fresh("v1.13.9").await;
    let before = (node.boot_id(), server_certificate(&node).await);
    node.power_cycle();
    wait(&world, |entry| matches!(&entry.event, Event::Reboot { .. })).await;
    assert!(node.wait_for_stage("maintenance", DEADLINE).await);
    let after = (node.boot_id(), server_certificate(&node).await);
    assert!(before.0 != after.0 && before.1 != after.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_in_maintenance_mode_takes_effect_by_mode_and_version() {
    for version in VERSIONS {
        let (_world, node, temporary) = fresh(version).await;
        let mut client = machine(&node, &Trust::Insecure).await;
        let config = temporary.control_plane("");
        let broken = refusal(client.apply_configuration(apply("machine: [".to_owned(), Mode::Auto)).await);
        let staged = client.apply_configuration(apply(config.clone(), Mode::Staged)).await;
        if version == "v1.12.2" {
            assert_eq!(broken.0, Code::Unknown, "{}", broken.1);
            assert!(broken.1.starts_with("failed to parse config: "), "{}", broken.1);
            let words = "apply configuration --mode='staged' is not supported in maintenance mode";
            assert_eq!(refusal(staged), (Code::Unimplemented, words.to_owned()));
        } else {
            assert_eq!(broken.0, Code::InvalidArgument, "{}", broken.1);
            let reply = staged.expect("stored").into_inner().messages.remove(0);
            assert_eq!(reply.mode(), Mode::Staged);
            assert_eq!(node.stage(), "maintenance", "a staged configuration waits for a reboot");
        }
        let reply = client.apply_configuration(apply(config, Mode::Reboot)).await.expect("applied");
        let effective = reply.into_inner().messages.remove(0).mode();
        assert_eq!(effective, if version == "v1.12.2" { Mode::Reboot } else { Mode::NoReboot });
        connect(&node, &temporary.admin()).await;
        assert!(talk(&node, &Trust::Insecure).await.is_err(), "the door for everybody is shut");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_client_certificates_of_the_right_authority_and_usage_get_in() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    talk(&node, &temporary.admin()).await.expect("the administrator");
    let stranger = Temporary::new();
    let Trust::Mutual(_, foreign) = stranger.admin() else { unreachable!() };
    let ca = temporary.os().certificate_pem().to_owned();
    let refused = [
        ("another cluster's administrator", Trust::Mutual(ca.clone(), foreign)),
        ("nobody", Trust::Anonymous(ca.clone())),
        ("one who trusts another authority", stranger.admin()),
    ];
    for (who, trust) in refused {
        assert!(talk(&node, &trust).await.is_err(), "{who} got in");
    }
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let now = time::OffsetDateTime::now_utc();
    let both = temporary.os().client_with_usages(&["os:admin"], "", now, vec![ServerAuth, ClientAuth]).expect("made");
    assert!(talk(&node, &Trust::Mutual(ca, both)).await.is_err(), "an extended key usage too many");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organizations_of_the_certificate_are_roles() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut reader = machine(&node, &temporary.client(&["os:reader"])).await;
    reader.version(()).await.expect("a reader may");
    let denied = (Code::PermissionDenied, "not authorized".to_owned());
    assert_eq!(refusal(reader.reboot(RebootRequest::default()).await), denied);
    let path = "/proc/sys/kernel/random/boot_id".to_owned();
    assert_eq!(refusal(reader.read(ReadRequest { path: path.clone() }).await), denied);
    let mut operator = machine(&node, &temporary.client(&["os:operator"])).await;
    assert_eq!(refusal(operator.bootstrap(BootstrapRequest::default()).await), denied);
    let mut all = machine(&node, &temporary.admin()).await;
    let mut stream = all.read(ReadRequest { path }).await.expect("an administrator may").into_inner();
    let data = stream.message().await.expect("a message").expect("the boot id");
    assert_eq!(String::from_utf8_lossy(&data.bytes).trim(), node.boot_id().expect("a boot"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_address_is_in_the_certificate_only_if_the_configuration_says_so() {
    let world = world().await;
    let start = Start::Flashed { schematic: TAILSCALE.to_owned(), version: "v1.12.2".to_owned() };
    let node = world.add_node(NodeOptions { start, behind_nat: true, ..NodeOptions::default() }).await.expect("a node");
    let temporary = Temporary::new();
    let mut client = machine(&node, &Trust::Insecure).await;
    let without = temporary.control_plane("").replace("certSANs: [127.0.0.1]", "certSANs: [150.136.211.213]");
    client.apply_configuration(apply(without, Mode::Auto)).await.expect("applied");
    wait(&world, |entry| entry.event == Event::ApiOpen("control plane".to_owned())).await;
    let error = dial(&node, &temporary.admin()).await.expect_err("the name is missing");
    let words = io::Error::other(error).into_inner().map(|inner| format!("{inner:?}")).unwrap_or_default();
    assert!(words.contains("NotValidForName"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_passes_calls_on_and_a_worker_does_not() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let mut client = MachineServiceClient::new(channel.clone());
    let direct = client.hostname(()).await.expect("direct").into_inner();
    assert_eq!(direct.messages[0].metadata, None);

    let reply = client.hostname(to(&[("nodes", "127.0.0.1"), ("nodes", "10.9.9.9")])).await.expect("a reply");
    let messages = reply.into_inner().messages;
    assert_eq!(messages.len(), 2);
    let unreachable = messages.iter().find(|m| m.hostname.is_empty()).and_then(|m| m.metadata.as_ref()).expect("one");
    assert_eq!((unreachable.hostname.as_str(), unreachable.status.as_ref().map(|s| s.code)), ("10.9.9.9", Some(14)));
    let own = messages.iter().find(|m| !m.hostname.is_empty()).expect("the other");
    assert_eq!(own.metadata.as_ref().expect("a name").hostname, "127.0.0.1");

    let twice = refusal(client.hostname(to(&[("node", "a"), ("node", "b")])).await);
    assert_eq!(twice, (Code::InvalidArgument, "node metadata must be single-valued".to_owned()));
    assert_eq!(refusal(client.hostname(to(&[("node", "elsewhere")])).await).0, Code::Unavailable);
    let cosi = to_many_cosi(channel).await;
    let words = "one-2-many proxying is not supported for COSI methods";
    assert_eq!(cosi, (Code::InvalidArgument, words.to_owned()));

    let world = world().await;
    let node = joined(&world, "v1.12.2").await;
    let mut client = machine(&node, &admin(&world)).await;
    client.hostname(to(&[("node", "cloudbox2")])).await.expect("its own name is served here");
    let words = "no request forwarding".to_owned();
    assert_eq!(refusal(client.hostname(to(&[("node", "elsewhere")])).await), (Code::PermissionDenied, words));
}

async fn to_many_cosi(channel: Channel) -> (Code, String) {
    use talosoci::wire::cosi::{GetRequest, state_client::StateClient};
    let mut request = to(&[("nodes", "127.0.0.1")]).map(|()| GetRequest::default());
    request.get_mut().id = "machine".to_owned();
    refusal(StateClient::new(channel).get(request).await)
}

fn to(pairs: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (key, value) in pairs {
        request.metadata_mut().append(*key, MetadataValue::from_static(value));
    }
    request
}

/// A worker that has joined, from its first configuration on.
pub async fn joined(world: &World, version: &str) -> talosoci::sim::SimNode {
    let start = Start::Installed {
        schematic: TAILSCALE.to_owned(),
        version: version.to_owned(),
        config: Some(Worker::of(world).to_yaml()),
    };
    let node = world.add_node(NodeOptions { start, ..NodeOptions::default() }).await.expect("a node");
    assert!(node.wait_for_stage("running", DEADLINE).await, "{}", story(world));
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_refuses_in_taloses_order_and_words() {
    for version in VERSIONS {
        let (_world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        client.bootstrap(BootstrapRequest::default()).await.expect("bootstrapped");
        let twice = refusal(client.bootstrap(BootstrapRequest::default()).await);
        assert_eq!(twice, (Code::AlreadyExists, "etcd data directory is not empty".to_owned()));

        let home = world().await;
        let worker = joined(&home, version).await;
        let mut client = machine(&worker, &admin(&home)).await;
        let refused = refusal(client.bootstrap(BootstrapRequest::default()).await);
        let expected = if version == "v1.12.2" {
            (Code::FailedPrecondition, "bootstrap can only be performed on a control plane node".to_owned())
        } else {
            (Code::Unimplemented, "bootstrap is only available on control plane nodes".to_owned())
        };
        assert_eq!(refused, expected, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_is_not_available_before_the_cri() {
    use talosoci::sim::{Timings, WorldOptions};
    let timings = Timings { cri: Duration::from_secs(120), ..Timings::default() };
    let images = super::road::images();
    let world = World::start_with(WorldOptions { images, timings, ..WorldOptions::default() }).await.expect("a world");
    let node = flashed(&world, "v1.12.2").await;
    let temporary = Temporary::new();
    let mut client = machine(&node, &Trust::Insecure).await;
    client.apply_configuration(apply(temporary.control_plane(""), Mode::Auto)).await.expect("applied");
    let mut client = machine(&node, &temporary.admin()).await;
    let refused = refusal(client.bootstrap(BootstrapRequest::default()).await);
    assert_eq!(refused, (Code::FailedPrecondition, "bootstrap is not available yet".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handover_to_a_worker_is_staged_everywhere_and_live_only_where_talos_does_so() {
    for version in VERSIONS {
        let (world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        let worker = Worker::of(&world).to_yaml();
        let reboot = client.apply_configuration(apply(worker.clone(), Mode::Reboot)).await;
        if version == "v1.14.0" {
            let words = "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead";
            assert_eq!(refusal(reboot), (Code::Unimplemented, words.to_owned()));
            client.apply_configuration(apply(worker, Mode::Auto)).await.expect("applied live");
            let boots = node.boot_id();
            assert!(dial(&node, &temporary.admin()).await.is_err(), "the old client is locked out");
            assert_eq!(node.boot_id(), boots, "without a reboot");
            continue;
        }
        reboot.expect("applied with a reboot");
        wait(&world, |entry| entry.event == Event::ApiOpen("worker".to_owned())).await;
        talk(&node, &admin(&world)).await.expect("the real cluster's administrator");
        assert!(talk(&node, &temporary.admin()).await.is_err(), "the temporary one is gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_becomes_reboot_when_the_type_changes_and_says_why() {
    let (world, node, temporary) = control_plane("v1.13.9", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    let worker = Worker::of(&world).to_yaml();
    let mut dry = apply(worker.clone(), Mode::Auto);
    dry.dry_run = true;
    let reply = client.apply_configuration(dry).await.expect("a dry run").into_inner().messages.remove(0);
    assert_eq!(reply.mode(), Mode::Reboot);
    assert!(reply.mode_details.starts_with("Dry run summary:\nApplied configuration with a reboot"), "{reply:?}");
    let words = refusal(client.apply_configuration(apply(worker.clone(), Mode::NoReboot)).await);
    assert_eq!(words.0, Code::InvalidArgument);
    assert!(words.1.starts_with("this config change can't be applied in immediate mode\ndiff:"), "{}", words.1);
    let reply = client.apply_configuration(apply(worker, Mode::Auto)).await.expect("applied");
    assert_eq!(reply.into_inner().messages.remove(0).mode(), Mode::Reboot);
    wait(&world, |entry| entry.event == Event::Joined).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_configuration_shows_as_persistent_but_not_as_active() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let mut client = MachineServiceClient::new(channel.clone());
    client.apply_configuration(apply(Worker::of(&world).to_yaml(), Mode::Staged)).await.expect("staged");
    let kind = "MachineConfigs.config.talos.dev";
    let active: String =
        serde_saphyr::from_str(&yaml(channel.clone(), "config", kind, "v1alpha1").await).expect("text");
    let stored: String = serde_saphyr::from_str(&yaml(channel, "config", kind, "persistent").await).expect("text");
    assert!(active.contains("type: controlplane") && stored.contains("type: worker"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_no_api_until_trustd_answers_and_then_only_for_the_real_cluster() {
    let home = world().await;
    home.switch(|switches| switches.trustd_reachable = false);
    let start = Start::Installed {
        schematic: TAILSCALE.to_owned(),
        version: "v1.12.2".to_owned(),
        config: Some(Worker::of(&home).to_yaml()),
    };
    let node = home.add_node(NodeOptions { start, ..NodeOptions::default() }).await.expect("a node");
    let refused = wait(
        &home,
        |entry| matches!(&entry.event, Event::JoinRefused { reason } if reason.contains("192.168.1.50:50001: i/o timeout")),
    );
    refused.await;
    let closed = TcpStream::connect((node.host(), node.talos_port())).await.expect_err("closed");
    assert_eq!(closed.kind(), io::ErrorKind::ConnectionRefused);
    home.switch(|switches| switches.trustd_reachable = true);
    talk_soon(&node, &admin(&home)).await;
    assert!(talk(&node, &Temporary::new().admin()).await.is_err());
}

async fn talk_soon(node: &talosoci::sim::SimNode, trust: &Trust) {
    connect(node, trust).await;
    talk(node, trust).await.expect("open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_bootstrap_is_called_again_after_the_reboot() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    world.fault(None, Fault::LoseBootstrap, 1);
    let mut client = machine(&node, &temporary.admin()).await;
    client.bootstrap(BootstrapRequest::default()).await.expect("answered");
    wait(&world, |entry| matches!(&entry.event, Event::Reboot { cause } if cause == "power failure")).await;
    let mut client = machine(&node, &temporary.admin()).await;
    client.bootstrap(BootstrapRequest::default()).await.expect("etcd had written nothing");
}
