//! Letting go: nothing by default, and as much as the user wants otherwise.

use std::time::{Duration, Instant};

use talosoci::client::kubernetes::CORDON_MARK;
use talosoci::sim::{ALWAYS, Event, Fault, Pod};
use tonic::Code;

use super::life::{add, joined};
use super::stage::{Said, Stage};

async fn destroy(stage: &Stage) -> Said {
    stage.run(&["destroy", "-auto-approve", "-no-color"]).await
}

fn wiped(stage: &Stage) -> Option<Vec<String>> {
    stage.world.journal().into_iter().find_map(|entry| match entry.event {
        Event::Wiped { labels } => Some(labels),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_nothing_happens_to_the_machine() {
    let Some(stage) = joined("v1.12.2").await else { return };
    destroy(&stage).await.ok();
    assert_eq!(wiped(&stage), None);
    assert_eq!(stage.node.stage(), "running");
    assert!(stage.world.node_object("cloudbox2").is_some());
    // What is there is found again: nothing is done twice.
    stage.apply().await.ok();
    assert_eq!(stage.count(|event| matches!(event, Event::Joined)), 1, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_leaves_a_machine_in_maintenance_mode_with_its_image() {
    for talos in ["v1.12.2", "v1.13.9", "v1.14.0"] {
        let Some(stage) = joined(talos).await else { return };
        add(&stage, "on_destroy = { reset = true, remove_kubernetes_node = true }");
        stage.apply().await.ok();
        stage.world.add_pod(Pod {
            namespace: "default".into(),
            name: "web".into(),
            node: "cloudbox2".into(),
            owner: Some("ReplicaSet".into()),
            mirror: false,
            protected: false,
        });
        let said = destroy(&stage).await.ok();
        assert!(!said.text.contains("Warning: Node Not Fully"), "{}", said.text);
        assert_eq!(wiped(&stage), Some(vec!["STATE".into(), "EPHEMERAL".into()]), "{}", stage.journal());
        assert_eq!(stage.node.stage(), "maintenance", "{}", stage.journal());
        assert!(stage.world.node_object("cloudbox2").is_none());
        assert!(stage.world.pods().is_empty());
        // And it can come back.
        stage.apply().await.ok();
        assert_eq!(stage.node.stage(), "running", "{}", stage.journal());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_without_reboot_ends_in_power_off() {
    let Some(stage) = joined("v1.13.9").await else { return };
    add(&stage, "on_destroy = { reset = true, reboot = false }");
    stage.apply().await.ok();
    let said = destroy(&stage).await.ok();
    assert!(!said.text.contains("Node Not Fully"), "{}", said.text);
    assert_eq!(stage.count(|event| matches!(event, Event::PowerOff { .. })), 1, "{}", stage.journal());
    assert!(stage.world.node_object("cloudbox2").is_some(), "removing the Node was not asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_kubernetes_node_can_be_removed() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { remove_kubernetes_node = true }");
    stage.apply().await.ok();
    destroy(&stage).await.ok();
    assert!(stage.world.node_object("cloudbox2").is_none(), "{}", stage.journal());
    assert_eq!(wiped(&stage), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_be_reached_is_let_go_with_a_warning() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true, remove_kubernetes_node = true }");
    stage.apply().await.ok();
    stage.node.power_off();
    stage
        .world
        .journal_book()
        .wait_for(Duration::from_secs(10), |entry| matches!(entry.event, Event::PowerOff { .. }))
        .await;
    let began = Instant::now();
    destroy(&stage).await.ok().says("Node Not Fully Cleaned Up").says("the machine was not reset");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(!stage.read("terraform.tfstate").contains("talosoci_node"));
    assert!(stage.world.node_object("cloudbox2").is_none(), "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_may_not_go_do_not_hold_a_destroy_for_ever() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true, remove_kubernetes_node = true }\n  timeouts = { delete = \"20s\" }");
    stage.apply().await.ok();
    stage.world.switch(|switches| switches.evictions_blocked = true);
    stage.world.add_pod(Pod {
        namespace: "default".into(),
        name: "db".into(),
        node: "cloudbox2".into(),
        owner: Some("StatefulSet".into()),
        mirror: false,
        protected: true,
    });
    destroy(&stage).await.ok().says("default/db");
    assert!(stage.world.node_object("cloudbox2").is_none(), "{}", stage.journal());
    assert!(wiped(&stage).is_some(), "{}", stage.journal());
}

fn refused_reset() -> Fault {
    let method = "MachineService/Reset".to_owned();
    Fault::RefuseCall { method, code: Code::Internal, message: "injected".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_refuses_its_reset_gets_its_pods_back() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true }");
    stage.apply().await.ok();
    stage.world.fault(None, refused_reset(), ALWAYS);
    let said = destroy(&stage).await.ok().says("the machine was not reset");
    assert!(!said.text.contains("cordoned"), "{}", said.text);
    let cordons =
        |change: &str| stage.count(|event| matches!(event, Event::NodeObject { change: seen } if seen == change));
    assert_eq!((cordons("cordoned"), cordons("uncordoned")), (1, 1), "{}", stage.journal());
    let node = stage.world.node_object("cloudbox2").expect("the Node");
    assert!(!node.unschedulable && !node.annotations.contains_key(CORDON_MARK), "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stays_cordoned_after_a_destroy_is_named_with_the_remedy() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true }");
    stage.apply().await.ok();
    stage.world.fault(None, refused_reset(), ALWAYS);
    let command = stage.command(&["destroy", "-auto-approve", "-no-color"]).output();
    let cordoned = stage.world.journal_book().wait_for(
        Duration::from_secs(60),
        |entry| matches!(&entry.event, Event::NodeObject { change } if change == "cordoned"),
    );
    let (output, ()) = tokio::join!(command, async {
        assert!(cordoned.await.is_some(), "{}", stage.journal());
        stage.world.fault(None, Fault::KubernetesStatus(403), ALWAYS);
    });
    let output = output.expect("the CLI");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let said = Said { code: output.status.code(), text }.ok();
    said.says("the Kubernetes node may still be cordoned").says("kubectl uncordon cloudbox2");
}

/// A graceful reset waits for its own Kubernetes node to be cordoned.
#[tokio::test(flavor = "multi_thread")]
async fn the_kubernetes_node_is_removed_after_the_reset() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true, remove_kubernetes_node = true }");
    stage.apply().await.ok();
    destroy(&stage).await.ok();
    let order: Vec<_> = stage
        .world
        .journal()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Wiped { .. } => Some("wiped"),
            Event::NodeObject { change } if change == "deleted" => Some("deleted"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["wiped", "deleted"], "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_after_a_reset_is_not_cordoned() {
    let Some(stage) = joined("v1.13.9").await else { return };
    add(&stage, "on_destroy = { reset = true }");
    stage.apply().await.ok();
    destroy(&stage).await.ok();
    assert!(stage.world.node_object("cloudbox2").expect("the Node").unschedulable, "{}", stage.journal());
    stage.apply().await.ok();
    assert!(!stage.world.node_object("cloudbox2").expect("the Node").unschedulable, "{}", stage.journal());
    stage.plan().await.ok().says("No changes.");
}
