//! Importing, renaming.

use talosoci::sim::Event;

use super::life::{add, joined};
use super::stage::Stage;

const NODE: &str = "talosoci_node.cloudbox2";

/// Forgets the node, and imports it.
async fn imported(stage: &Stage, id: &str) -> super::stage::Said {
    stage.run(&["state", "rm", NODE]).await.ok();
    stage.run(&["import", "-no-color", NODE, id]).await
}

fn touched(stage: &Stage) -> usize {
    stage.count(|event| {
        matches!(
            event,
            Event::DiskWrite { .. } | Event::ConfigApplied { .. } | Event::Reboot { .. } | Event::Upgraded { .. }
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_node_has_nothing_to_plan() {
    let Some(stage) = joined("v1.13.9").await else { return };
    let (host, port) = (stage.node.host(), stage.node.talos_port());
    // `activation` is of no interest to a node that exists, but it is an attribute: the import assumes its default.
    stage.replace("main.tf", "  activation = \"none\"\n", "");
    let before = touched(&stage);
    for id in [format!("cloudbox2@{host}:{port}"), format!("{host}:{port}")] {
        imported(&stage, &id).await.ok();
        stage.plan().await.ok().says("No changes.");
    }
    assert_eq!(touched(&stage), before, "{}", stage.journal());
    // A difference is found as it is for any node.
    super::life::live_change(&stage, "imported.example.com");
    let said = stage.plan().await.says("\"apply\"").says("imported.example.com");
    assert_eq!(said.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_cannot_know_is_noted_without_touching_the_node() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let (host, port) = (stage.node.host(), stage.node.talos_port());
    add(&stage, &format!("instance_id = {:?}\n  reflash = \"1\"", stage.node.instance_id()));
    stage.replace("main.tf", "{ method = \"none\" }", "{ disk = \"/dev/sda\", ssh = { private_key = file(local.cloud.ssh.private_key_path), host_key = local.machine.host_key } }");
    stage.replace("main.tf", "machine_configuration_wo", "machine_configuration");
    let before = touched(&stage);
    imported(&stage, &format!("cloudbox2@{host}:{port}")).await.ok();
    let said = stage.plan().await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(!said.text.contains("must be replaced"), "{}", said.text);
    let said = said.says("0 to add, 1 to change, 0 to destroy");
    drop(said);
    stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
    assert_eq!(touched(&stage), before, "{}", stage.journal());
    // From now on another value is a change.
    stage.replace("main.tf", "reflash = \"1\"", "reflash = \"2\"");
    stage.plan().await.says("must be replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_be_right_says_why() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let (host, port) = (stage.node.host(), stage.node.talos_port());
    imported(&stage, &format!("other@{host}:{port}")).await.failed().says("is named \"cloudbox2\", not \"other\"");
    stage.run(&["import", "-no-color", NODE, "@"]).await.failed().says("HOSTNAME@ENDPOINT");
    stage.node.power_off();
    stage
        .world
        .journal_book()
        .wait_for(std::time::Duration::from_secs(10), |entry| matches!(entry.event, Event::PowerOff { .. }))
        .await;
    stage.run(&["import", "-no-color", NODE, &format!("{host}:{port}")]).await.failed().says("could not be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_resource_moves_and_another_machine_replaces() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let main = stage
        .read("main.tf")
        .replace("talosoci_node\" \"cloudbox2\"", "talosoci_node\" \"worker\"")
        .replace("talosoci_node.cloudbox2", "talosoci_node.worker");
    stage.write(
        "main.tf",
        &format!("{main}\nmoved {{\n  from = talosoci_node.cloudbox2\n  to   = talosoci_node.worker\n}}\n"),
    );
    let said = stage.apply().await.ok();
    said.says("0 added, 0 changed, 0 destroyed");
    stage.plan().await.ok();
    add(&stage, "instance_id = \"ocid1.instance.oc1.iad.another\"");
    stage.plan().await.says("must be replaced");
}
