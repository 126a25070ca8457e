//! Rules 5 and 6: the legacy upgrade, and the one of Talos 1.13; and what Reset leaves.

use std::time::Duration;

use prost::Message;
use talosoci::{
    sim::{BootVerdict, Event, Fault, SimNode, World},
    wire::{
        common::{ContainerDriver, ContainerdInstance, ContainerdNamespace},
        machine::{
            BootstrapRequest, EventsRequest, ImageServicePullRequest, InstallArtifactsSource,
            LifecycleServiceUpgradeRequest, RebootRequest, ResetPartitionSpec, ResetRequest, SequenceEvent,
            UpgradeRequest, image_service_client::ImageServiceClient, image_service_pull_response::Response as Pulled,
            lifecycle_service_client::LifecycleServiceClient, lifecycle_service_install_progress::Response as Progress,
            machine_service_client::MachineServiceClient, sequence_event::Action,
        },
    },
};
use tonic::{Code, transport::Channel};

use super::{
    configs::{TAILSCALE, Temporary},
    road::wait,
    rules::control_plane,
    talos::{DEADLINE, Trust, connect, get, machine, talk, yaml},
};

const SYSTEM: ContainerdInstance =
    ContainerdInstance { driver: ContainerDriver::Cri as i32, namespace: ContainerdNamespace::NsSystem as i32 };

fn request(image: String) -> UpgradeRequest {
    UpgradeRequest { image, preserve: true, force: true, ..UpgradeRequest::default() }
}

fn installer(world: &World, platform: &str, version: &str) -> String {
    let id = world.register_schematic(TAILSCALE).expect("a schematic");
    format!("factory.talos.dev/{platform}installer/{id}:{version}")
}

async fn after_reboot(world: &World, node: &SimNode, temporary: &Temporary, cause: &str) -> Channel {
    wait(world, |entry| matches!(&entry.event, Event::Reboot { cause: found } if found == cause)).await;
    connect(node, &temporary.admin()).await
}

async fn version(channel: Channel) -> (String, String, String) {
    let reply = MachineServiceClient::new(channel).version(()).await.expect("a version").into_inner();
    let message = reply.messages.into_iter().next().expect("one message");
    let platform = message.platform.expect("a platform");
    (message.version.expect("a version").tag, platform.name, platform.mode)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legacy_upgrade_pulls_answers_with_an_actor_and_reboots_into_the_new_entry() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let mut client = MachineServiceClient::new(channel.clone());
    let mut events = client.events(EventsRequest::default()).await.expect("events").into_inner();
    let hello = events.message().await.expect("a message").expect("the hello");
    assert_eq!(hello.data.expect("an Any").type_url, "");
    let boot = node.boot_id();
    let image = installer(&world, "oracle-", "v1.12.5");
    let reply = client.upgrade(request(image)).await.expect("accepted").into_inner().messages.remove(0);
    assert_eq!(reply.ack, "Upgrade request received");
    assert!(!reply.actor_id.is_empty() && reply.metadata.is_none());
    let mut sequence = Vec::new();
    // The stream ends when everything is stopped: an error or an end, both are what Talos does.
    while let Ok(Some(event)) = events.message().await {
        let Some(data) = event.data.filter(|data| data.type_url == "talos/runtime/machine.SequenceEvent") else {
            continue;
        };
        assert_eq!(event.actor_id, reply.actor_id);
        sequence.push(SequenceEvent::decode(&*data.value).expect("a sequence event"));
    }
    assert_eq!((sequence[0].sequence.as_str(), sequence[0].action()), ("upgrade", Action::Start));
    let channel = after_reboot(&world, &node, &temporary, "upgrade").await;
    assert_ne!(node.boot_id(), boot);
    assert_eq!(version(channel).await, ("v1.12.5".into(), "oracle".into(), "cloud".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_installer_without_a_platform_makes_an_oracle_node_a_metal_one() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    client.upgrade(request(installer(&world, "", "v1.12.2"))).await.expect("accepted");
    let channel = after_reboot(&world, &node, &temporary, "upgrade").await;
    let cmdline = yaml(channel.clone(), "runtime", "KernelCmdlines.runtime.talos.dev", "cmdline").await;
    assert!(cmdline.contains("talos.platform=metal") && !cmdline.contains("net.ifnames=0"), "{cmdline}");
    assert_eq!(version(channel).await, ("v1.12.2".into(), "metal".into(), "metal".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_image_is_refused_at_once_and_a_bad_installer_leaves_the_old_entry() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    let unknown = format!("factory.talos.dev/oracle-installer/{}:v1.12.2", "0".repeat(64));
    let status = client.upgrade(request(unknown.clone())).await.expect_err("unknown schematic");
    assert_eq!(status.code(), Code::Unknown);
    assert!(status.message().starts_with(&format!("error validating installer image {unknown:?}: ")), "{status}");
    world.fault(None, Fault::FailUpgrade("no space left on device".to_owned()), 1);
    client.upgrade(request(installer(&world, "oracle-", "v1.12.5"))).await.expect("accepted");
    let channel = after_reboot(&world, &node, &temporary, "failed upgrade").await;
    assert_eq!(version(channel).await.0, "v1.12.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_talos_refuses_and_entries_that_do_not_boot_end_in_the_old_one() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    client.upgrade(request(installer(&world, "oracle-", "v1.10.0"))).await.expect("accepted");
    let channel = after_reboot(&world, &node, &temporary, "failed upgrade").await;
    assert_eq!(version(channel.clone()).await.0, "v1.12.2");
    world.fault(None, Fault::NewEntryDoesNotBoot, 1);
    let mut client = MachineServiceClient::new(channel);
    client.upgrade(request(installer(&world, "oracle-", "v1.12.7"))).await.expect("accepted");
    let channel = after_reboot(&world, &node, &temporary, "upgrade").await;
    assert_eq!(version(channel).await.0, "v1.12.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_without_force_hangs_until_etcd_runs() {
    for (talos, preserve_skips) in [("v1.12.2", false), ("v1.12.9", true)] {
        let (world, node, temporary) = control_plane(talos, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        let mut patient = UpgradeRequest { force: false, ..request(installer(&world, "oracle-", talos)) };
        if preserve_skips {
            client.upgrade(patient).await.expect("preserve skips etcd");
            continue;
        }
        let answered = tokio::time::timeout(Duration::from_millis(300), client.upgrade(patient.clone())).await;
        assert!(answered.is_err(), "{talos} with preserve answered without etcd");
        client.bootstrap(BootstrapRequest::default()).await.expect("bootstrapped");
        patient.preserve = false;
        client.upgrade(patient).await.expect("etcd is healthy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifecycle_upgrade_wants_the_image_pulled_first_and_leaves_the_reboot_to_the_caller() {
    for talos in ["v1.13.9", "v1.14.0"] {
        let (world, node, temporary) = control_plane(talos, "").await;
        let channel = connect(&node, &temporary.admin()).await;
        node.wait_for_stage("booting", DEADLINE).await;
        wait_for_cri(channel.clone()).await;
        let image = installer(&world, "oracle-", "v1.14.0");
        let mut lifecycle = LifecycleServiceClient::new(channel.clone());
        let upgrade = LifecycleServiceUpgradeRequest {
            containerd: Some(SYSTEM),
            source: Some(InstallArtifactsSource { image_name: image.clone() }),
        };
        let status = lifecycle.upgrade(upgrade.clone()).await.expect_err("not pulled");
        assert_eq!(status.code(), Code::Internal);
        let words = format!(
            "upgrade failed: installer image {image:?} not found in containerd store: image {image:?}: not found"
        );
        assert_eq!(status.message(), words);
        let nothing = LifecycleServiceUpgradeRequest { containerd: Some(SYSTEM), source: None };
        let status = lifecycle.upgrade(nothing).await.expect_err("no image");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "installer image name is required"));

        let mut images = ImageServiceClient::new(channel.clone());
        let pull = ImageServicePullRequest { containerd: Some(SYSTEM), image_ref: image.clone() };
        let mut stream = images.pull(pull).await.expect("pulling").into_inner();
        let mut last = None;
        while let Some(message) = stream.message().await.expect("a message") {
            last = message.response;
        }
        assert!(matches!(last, Some(Pulled::Name(name)) if name.contains("@sha256:")));

        let boot = node.boot_id();
        let mut stream = lifecycle.upgrade(upgrade).await.expect("started").into_inner();
        let mut code = None;
        while let Some(message) = stream.message().await.expect("a message") {
            if let Some(Progress::ExitCode(found)) = message.progress.and_then(|progress| progress.response) {
                code = Some(found);
            }
        }
        assert_eq!((code, node.boot_id()), (Some(0), boot), "no reboot by itself");
        let mut client = MachineServiceClient::new(channel);
        client.reboot(RebootRequest::default()).await.expect("rebooted");
        let channel = after_reboot(&world, &node, &temporary, "reboot").await;
        assert_eq!(version(channel).await.0, "v1.14.0");
    }
}

async fn wait_for_cri(channel: Channel) {
    let running = async {
        while get(channel.clone(), "runtime", "Services.v1alpha1.talos.dev", "cri").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, running).await.expect("the CRI runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_1_13_are_unknown_to_1_12() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let pull = ImageServicePullRequest::default();
    let status = ImageServiceClient::new(channel).pull(pull).await.expect_err("unknown");
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "unknown service machine.ImageService"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_of_ephemeral_keeps_the_configuration_and_one_of_state_does_not() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    let wipe = |labels: &[&str]| ResetRequest {
        reboot: true,
        system_partitions_to_wipe: labels
            .iter()
            .map(|label| ResetPartitionSpec { label: (*label).to_owned(), wipe: true })
            .collect(),
        ..ResetRequest::default()
    };
    let status = client.reset(wipe(&["BOOT"])).await.expect_err("no such volume");
    assert!(status.message().starts_with("failed to get volume status with label \"BOOT\""), "{status}");
    client.reset(wipe(&["EPHEMERAL"])).await.expect("accepted");
    let channel = after_reboot(&world, &node, &temporary, "reset").await;
    let seen = world.journal().len();
    MachineServiceClient::new(channel).reset(wipe(&["STATE", "EPHEMERAL"])).await.expect("accepted");
    let again = |entry: &talosoci::sim::Entry| entry.event == Event::Stage("maintenance".to_owned());
    let found = world.journal_book().wait_for(DEADLINE, |entry| again(entry)).await;
    assert!(found.is_some() && node.wait_for_stage("maintenance", DEADLINE).await && world.journal().len() > seen);
    talk(&node, &Trust::Insecure).await.expect("back in maintenance mode");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_without_labels_destroys_the_disk() {
    let (world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    client.reset(ResetRequest { reboot: true, ..ResetRequest::default() }).await.expect("accepted");
    wait(&world, |entry| matches!(&entry.event, Event::Boot(BootVerdict::NoBootableDevice { .. }))).await;
}
