//! Reading: drift shows, and a node that cannot be read keeps its state.

use std::time::{Duration, Instant};

use talosoci::client::talos::{Address, ApplyMode, Node, Trust};
use talosoci::sim::{ALWAYS, Event, Fault};

use super::life::{joined, live_change};
use super::stage::{CONFIG, Stage};

/// An administrator with talosctl.
async fn somebody(stage: &Stage) -> Node {
    let credentials = stage.world.credentials(&["os:admin"]).expect("the world has an authority");
    let address = Address::new(stage.node.host().to_string(), stage.node.talos_port());
    Node::connect(&address, &Trust::Mutual(credentials), Duration::from_secs(10)).await.expect("the node answers")
}

/// Somebody upgrades the node to v1.12.3, and waits until it runs; gives the schematic.
async fn upgraded_by_somebody(stage: &Stage) -> String {
    let id = stage.world.register_schematic("customization:\n  systemExtensions:\n    officialExtensions: [siderolabs/tailscale, siderolabs/iscsi-tools]\n").expect("a schematic");
    let request = talosoci::client::talos::UpgradeRequest {
        image: format!("factory.talos.dev/oracle-installer/{id}:v1.12.3"),
        preserve: true,
        force: false,
        stage: false,
        powercycle: false,
    };
    somebody(stage).await.upgrade(&request, Duration::from_secs(30)).await.expect("an upgrade");
    let booted = stage.world.journal_book().wait_for(Duration::from_secs(30), |entry| {
        matches!(&entry.event, Event::Boot(talosoci::sim::BootVerdict::Installed { version, .. }) if version == "v1.12.3")
    });
    assert!(booted.await.is_some(), "{}", stage.journal());
    assert!(stage.node.wait_for_stage("running", Duration::from_secs(30)).await, "{}", stage.journal());
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_shows_in_the_plan_and_is_set_right() {
    let Some(stage) = joined("v1.13.9").await else { return };
    let theirs = stage.read("cloudbox2.yaml").replace("certSANs:\n", "certSANs:\n    - theirs.example.com\n");
    assert_ne!(theirs, CONFIG);
    somebody(&stage).await.apply_configuration(&theirs, ApplyMode::NoReboot, false).await.expect("a live change");
    let said = stage.plan().await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    said.says("\"apply\"").says("config_hash").says("theirs.example.com");
    stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_and_schematic_on_the_node_show_in_the_plan() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let id = upgraded_by_somebody(&stage).await;
    let said = stage.plan().await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    said.says("\"upgrade\"").says("\"v1.12.3\" -> \"v1.12.2\"").says(&id);
    stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_after_the_plan_is_not_undone_by_an_apply_that_planned_none() {
    let Some(stage) = joined("v1.12.2").await else { return };
    live_change(&stage, "cloudbox2.example.com");
    let plan = stage.run(&["plan", "-no-color", "-out=saved"]).await.ok();
    assert!(plan.text.contains("\"apply\"") && !plan.text.contains("\"upgrade\""), "{}", plan.text);
    upgraded_by_somebody(&stage).await;
    let said = stage.run(&["apply", "-no-color", "saved"]).await.failed();
    said.says("the node runs Talos v1.12.3").says("as when this was planned").says("plan again");
    assert_eq!(stage.count(|event| matches!(event, Event::Upgraded { .. })), 1, "{}", stage.journal());
    // Planned again, it is set right.
    stage.plan().await.says("\"upgrade\"");
    stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_formatting_is_no_change() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let reformat = |text: &str| format!("# seen again\n{}", text.replace("certSANs:\n", "certSANs: # names\n"));
    stage.write("cloudbox2.yaml", &reformat(CONFIG));
    stage.plan().await.ok().says("No changes.");
    // The same through the plain attribute, which is in the state as it was written.
    stage.replace("main.tf", "machine_configuration_wo", "machine_configuration");
    stage.apply().await.ok();
    stage.write("cloudbox2.yaml", CONFIG);
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_keeps_its_state() {
    let Some(stage) = joined("v1.12.2").await else { return };
    stage.world.fault(None, Fault::HalfOpen, ALWAYS);
    let began = Instant::now();
    stage.plan().await.ok().says("Node Not Refreshed").says("The state of the node at");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    stage.world.clear_faults();
    stage.node.power_off();
    stage
        .world
        .journal_book()
        .wait_for(Duration::from_secs(10), |entry| matches!(entry.event, Event::PowerOff { .. }))
        .await;
    stage.plan().await.ok().says("Node Not Refreshed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_in_maintenance_mode_or_another_machine_is_said_and_never_adopted() {
    let Some(mut stage) = joined("v1.12.2").await else { return };
    let options =
        talosoci::client::talos::ResetOptions { graceful: false, reboot: true, wipe_state: true, wipe_ephemeral: true };
    somebody(&stage).await.reset(&options).await.expect("a reset");
    stage
        .world
        .journal_book()
        .wait_for(Duration::from_secs(10), |entry| matches!(entry.event, Event::Wiped { .. }))
        .await;
    assert!(stage.node.wait_for_stage("maintenance", Duration::from_secs(30)).await, "{}", stage.journal());
    stage.plan().await.ok().says("Node Not Refreshed").says("maintenance mode");
    // A change is refused with the same words: nobody waits for a node that is gone.
    live_change(&stage, "cloudbox2.example.com");
    stage.apply().await.failed().says("it was reset").says("reflash");
    // Another machine of the same cluster at the same address.
    let Some(other) = joined("v1.12.2").await else { return };
    let state = stage.read("terraform.tfstate");
    let uuid = stage.node.uuid().to_owned();
    assert!(state.contains(&uuid));
    other.write(
        "terraform.tfstate",
        &other.read("terraform.tfstate").replace(other.node.uuid(), "00000000-0000-4000-8000-000000000000"),
    );
    other.plan().await.ok().says("Another Machine Answers").says("instance_id or reflash");
    let _ = &mut stage;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_certificate_changes_nothing_else() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let fresh = stage.world.talosconfig(vec![]).expect("the world has an authority");
    assert_ne!(stage.read("simulator/talosconfig"), fresh);
    stage.write("simulator/talosconfig", &fresh);
    stage.plan().await.ok().says("No changes.");
}
