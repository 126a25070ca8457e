//! A run that is cut off while a node's pods are away must not leave the node cordoned for ever, and a cordon of somebody
//! else is nobody's business.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use talosoci::client::kubernetes::CORDON_MARK;
use talosoci::sim::{ALWAYS, Event, Fault, NodeObject, Pod};
use tokio::process::Child;

use super::life::{add, joined};
use super::stage::Stage;

fn node(stage: &Stage) -> NodeObject {
    stage.world.node_object("cloudbox2").expect("the Node")
}

fn happened(stage: &Stage, change: &str) -> usize {
    stage.count(|event| matches!(event, Event::NodeObject { change: seen } if seen == change))
}

fn upgrades(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::Upgraded { .. }))
}

/// Starts a command that drains the node, which a pod under a disruption budget holds up; returns once it is cordoned.
async fn held_up(stage: &Stage, arguments: &[&str]) -> Child {
    stage.world.add_pod(Pod {
        namespace: "default".into(),
        name: "db".into(),
        node: "cloudbox2".into(),
        owner: Some("StatefulSet".into()),
        mirror: false,
        protected: true,
    });
    let child = stage.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the CLI");
    let cordoned = stage.world.journal_book().wait_for(
        Duration::from_secs(60),
        |entry| matches!(&entry.event, Event::NodeObject { change } if change == "cordoned"),
    );
    assert!(cordoned.await.is_some(), "{}", stage.journal());
    child
}

/// The process of our binary that this CLI started.
fn provider_of(cli: u32) -> Option<u32> {
    let ours = |process: &Path| {
        let exe = fs::read_link(process.join("exe")).ok()?;
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let same = exe == Path::new(env!("CARGO_BIN_EXE_terraform-provider-talosoci"));
        (same && parent == cli).then(|| process.file_name()?.to_str()?.parse().ok()).flatten()
    };
    fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| ours(&entry.path()))
}

fn signal(signal: &str, process: u32) {
    let done = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill is everywhere");
    assert!(done.success());
}

async fn ended(child: Child) -> String {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("it ends soon").expect("it was started");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const APPLY: [&str; 3] = ["apply", "-auto-approve", "-no-color"];

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_killed_in_a_drain_leaves_a_mark_and_the_next_apply_uncordons() {
    let Some(stage) = joined("v1.12.2").await else { return };
    stage.replace("main.tf", "\"v1.12.2\"", "\"v1.13.9\"");
    let child = held_up(&stage, &APPLY).await;
    let Some(provider) = provider_of(child.id().expect("it runs")) else {
        return eprintln!("skipped: processes cannot be looked up here");
    };
    signal("-KILL", provider);
    ended(child).await;
    assert!(node(&stage).unschedulable && node(&stage).annotations.contains_key(CORDON_MARK), "{}", stage.journal());
    let said = stage.plan().await.says("Node Left Cordoned").says("kubectl uncordon cloudbox2");
    let said = said.says("\"upgrade\"").says("\"uncordon\"").says("\"cordoned\" -> \"joined\"");
    assert_eq!(said.code, Some(2));
    // Also when there is nothing else to do.
    stage.replace("main.tf", "\"v1.13.9\"", "\"v1.12.2\"");
    let said = stage.plan().await.says("\"uncordon\"").says("reboot_expected");
    assert!(!said.text.contains("\"upgrade\""), "{}", said.text);
    stage.apply().await.ok();
    assert!(!node(&stage).unschedulable && !node(&stage).annotations.contains_key(CORDON_MARK), "{}", stage.journal());
    assert_eq!((upgrades(&stage), happened(&stage, "uncordoned")), (0, 1), "{}", stage.journal());
    let said = stage.plan().await.ok().says("No changes.");
    assert!(!said.text.contains("Cordoned"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kubeconfig_a_node_that_was_left_cordoned_is_only_told_of() {
    let Some(stage) = joined("v1.13.9").await else { return };
    stage.world.cluster().change("cloudbox2", |node| {
        node.unschedulable = true;
        node.annotations.insert(CORDON_MARK.into(), "drained by a run that was killed".into());
    });
    stage.replace("main.tf", "  kubeconfig        = file(local.cloud.kubeconfig)\n", "");
    let said = stage.plan().await.says("Node Left Cordoned").says("without changing any real infrastructure");
    assert!(!said.text.contains("\"uncordon\""), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncordon_that_was_planned_and_cannot_be_done_is_no_success() {
    let Some(stage) = joined("v1.13.9").await else { return };
    add(&stage, "join = { kubernetes = false }");
    stage.apply().await.ok();
    stage.world.cluster().change("cloudbox2", |node| {
        (node.unschedulable, node.cordoned_by) = (true, "terraform-provider-talosoci".into());
        node.annotations.insert(CORDON_MARK.into(), "drained by a run that was killed".into());
    });
    stage.world.fault(None, Fault::KubernetesStatus(403), ALWAYS);
    let said = stage.apply().await.failed().says("Failed in Phase Uncordon");
    said.says("uncordoning the Kubernetes node cloudbox2").says("kubectl uncordon cloudbox2");
    stage.plan().await.says("\"uncordon\"");
    stage.world.clear_faults();
    stage.apply().await.ok();
    assert!(!node(&stage).unschedulable && !node(&stage).annotations.contains_key(CORDON_MARK), "{}", stage.journal());
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_interrupted_in_its_drain_uncordons_before_it_ends() {
    let Some(stage) = joined("v1.13.9").await else { return };
    stage.replace("main.tf", "\"v1.13.9\"", "\"v1.14.0\"");
    let child = held_up(&stage, &APPLY).await;
    signal("-INT", child.id().expect("it runs"));
    let said = ended(child).await;
    assert!(said.contains("stopped on request"), "{said}");
    assert!(!node(&stage).unschedulable && !node(&stage).annotations.contains_key(CORDON_MARK), "{}", stage.journal());
    assert_eq!(upgrades(&stage), 0, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_that_is_interrupted_in_its_drain_uncordons_and_keeps_the_state() {
    let Some(stage) = joined("v1.12.2").await else { return };
    add(&stage, "on_destroy = { reset = true, remove_kubernetes_node = true }");
    stage.apply().await.ok();
    let child = held_up(&stage, &["destroy", "-auto-approve", "-no-color"]).await;
    signal("-INT", child.id().expect("it runs"));
    let said = ended(child).await;
    assert!(said.contains("Destroy Stopped"), "{said}");
    assert!(!node(&stage).unschedulable, "{}", stage.journal());
    assert_eq!(stage.node.stage(), "running");
    assert!(stage.read("terraform.tfstate").contains("talosoci_node"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_somebody_else_cordoned_stays_cordoned() {
    // With and without the mark of a run that was killed before somebody uncordoned and cordoned again.
    for marked in [false, true] {
        let Some(stage) = joined("v1.12.2").await else { return };
        stage.world.cluster().change("cloudbox2", |node| {
            (node.unschedulable, node.cordoned_by) = (true, "kubectl-cordon".into());
            if marked {
                node.annotations.insert(CORDON_MARK.into(), "drained by a run of long ago".into());
            }
        });
        if marked {
            stage.plan().await.says("\"uncordon\"");
            stage.apply().await.ok();
            assert!(node(&stage).unschedulable && !node(&stage).annotations.contains_key(CORDON_MARK));
        }
        stage.plan().await.ok().says("No changes.");
        stage.replace("main.tf", "\"v1.12.2\"", "\"v1.13.9\"");
        stage.apply().await.ok();
        assert_eq!((upgrades(&stage), happened(&stage, "uncordoned")), (1, 0), "{}", stage.journal());
        assert!(node(&stage).unschedulable && !node(&stage).annotations.contains_key(CORDON_MARK));
        stage.plan().await.ok().says("No changes.");
    }
}
