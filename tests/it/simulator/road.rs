//! The whole road, from the rescue shell to a joined worker.

use std::{process::Stdio, sync::OnceLock, time::Duration};

use talosoci::{
    sim::{Entry, Event, ImageSize, ImageStore, NodeOptions, SimNode, Start, World, WorldOptions},
    wire::machine::{
        ApplyConfigurationRequest, BootstrapRequest, RebootRequest, UpgradeRequest, apply_configuration_request::Mode,
    },
};
use tokio::process::Command;

use super::{
    configs::{TAILSCALE, Temporary, Worker, admin},
    talos::{DEADLINE, Trust, connect, dial, machine, yaml},
};

/// Small images, made once for all tests.
pub fn images() -> ImageStore {
    static IMAGES: OnceLock<ImageStore> = OnceLock::new();
    IMAGES.get_or_init(|| ImageStore::with_size(ImageSize { disk: 80, efi: 64, payload: 2 })).clone()
}

pub async fn world() -> World {
    let options = WorldOptions { images: images(), ..WorldOptions::default() };
    World::start_with(options).await.expect("a world")
}

/// A node that somebody has flashed with Tailscale in its image.
pub async fn flashed(world: &World, version: &str) -> SimNode {
    let start = Start::Flashed { schematic: TAILSCALE.to_owned(), version: version.to_owned() };
    world.add_node(NodeOptions { start, ..NodeOptions::default() }).await.expect("a node")
}

pub fn apply(config: String, mode: Mode) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest { data: config.into_bytes().into(), mode: mode.into(), ..Default::default() }
}

/// Runs a command on the rescue host with the real `ssh`.
async fn ssh(world: &World, node: &SimNode, command: &str) -> Option<std::process::Output> {
    let key = world.directory().join("id");
    if !key.exists() {
        std::fs::write(&key, world.ssh_keys().private_openssh()).expect("a key file");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
        let line = format!("[127.0.0.1]:{} {}\n", node.ssh_port(), node.host_key());
        std::fs::write(world.directory().join("known_hosts"), line).expect("known hosts");
    }
    let output = Command::new("ssh")
        .args(["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", world.directory().join("known_hosts").display()))
        .arg("-i")
        .arg(&key)
        .args(["-p", &node.ssh_port().to_string(), "ubuntu@127.0.0.1", command])
        .stdin(Stdio::null())
        .output()
        .await;
    match output {
        Ok(output) => Some(output),
        // This machine has no ssh: nothing to prove here.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("running ssh: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_own_commands_lead_from_the_rescue_shell_to_a_joined_worker() {
    let world = world().await;
    let node = world.add_node(NodeOptions::default()).await.expect("a node");
    let id = world.register_schematic(TAILSCALE).expect("a schematic");
    let url = format!("{}/image/{id}/v1.12.2/oracle-arm64.raw.xz", world.factory_url());

    let flash = format!("curl -sSfL {url} | xzcat | sudo dd of=/dev/sda bs=4M conv=fsync");
    let Some(output) = ssh(&world, &node, &flash).await else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _ = ssh(&world, &node, "sudo reboot").await;
    assert!(node.wait_for_stage("maintenance", DEADLINE).await, "{}", story(&world));

    let temporary = Temporary::new();
    let mut client = machine(&node, &Trust::Insecure).await;
    client.apply_configuration(apply(temporary.control_plane(""), Mode::Auto)).await.expect("applied");

    let mut client = machine(&node, &temporary.admin()).await;
    client.bootstrap(BootstrapRequest::default()).await.expect("bootstrapped");
    let before = node.boot_id();
    let image = format!("factory.talos.dev/oracle-installer/{id}:v1.12.2");
    let request = UpgradeRequest { image, preserve: true, ..UpgradeRequest::default() };
    client.upgrade(request).await.expect("upgraded");
    wait(&world, |entry| matches!(&entry.event, Event::Reboot { cause } if cause == "upgrade")).await;

    let channel = connect(&node, &temporary.admin()).await;
    assert_ne!(node.boot_id(), before);
    let extension = yaml(channel, "runtime", "ExtensionStatuses.runtime.talos.dev", "0").await;
    assert!(extension.contains("name: tailscale"), "{extension}");

    let mut client = machine(&node, &temporary.admin()).await;
    let worker = Worker::of(&world).to_yaml();
    client.apply_configuration(apply(worker, Mode::Staged)).await.expect("staged");
    client.reboot(RebootRequest::default()).await.expect("rebooted");
    wait(&world, |entry| entry.event == Event::Joined).await;

    let channel = connect(&node, &admin(&world)).await;
    let kind = yaml(channel, "config", "MachineTypes.config.talos.dev", "machine-type").await;
    assert_eq!(kind.trim(), "worker");
    let ready = |entry: &Entry| matches!(&entry.event, Event::NodeObject { change } if change == "Ready");
    wait(&world, ready).await;
    let object = world.node_object("cloudbox2").expect("a Node");
    assert_eq!((object.ready, object.kubelet_version.as_str()), (true, "v1.35.0"));
    assert!(dial(&node, &temporary.admin()).await.is_err() || talk_refused(&node, &temporary).await);
    assert!(world.told_to_take("cloudbox2") > Duration::from_millis(100));
}

async fn talk_refused(node: &SimNode, temporary: &Temporary) -> bool {
    super::talos::talk(node, &temporary.admin()).await.is_err()
}

pub async fn wait(world: &World, wanted: impl Fn(&Entry) -> bool) -> Entry {
    let found = world.journal_book().wait_for(DEADLINE, wanted).await;
    found.unwrap_or_else(|| panic!("it never happened:\n{}", story(world)))
}

pub fn story(world: &World) -> String {
    world.journal().iter().map(|entry| format!("{entry}\n")).collect()
}
