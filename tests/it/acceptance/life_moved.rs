//! A node that answers at another address: who answers there is proven before anything is said to it.

use std::net::SocketAddr;

use talosoci::sim::{Event, NodeOptions, SimNode, Start};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::life::{add, joined, live_change};
use super::stage::{CONFIG, Stage};

/// The new address: this computer's as well, but on no certificate unless a configuration names it.
const NEW: &str = "127.0.0.9";

/// Answers at the new address in the name of a node, until it is dropped.
struct Moved(JoinHandle<()>);

impl Drop for Moved {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a node answer at the new address, and the configuration name that.
async fn moved(stage: &Stage, node: &SimNode) -> Moved {
    let listener = TcpListener::bind((NEW, 0)).await.expect("a loopback address");
    let port = listener.local_addr().expect("it is bound").port();
    let to = SocketAddr::new(node.host(), node.talos_port());
    stage.pretend("host", NEW);
    stage.pretend("talos_port", port);
    Moved(tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(to).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    }))
}

fn applies(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::ConfigApplied { .. }))
}

fn in_state(stage: &Stage) -> String {
    let state: serde_json::Value = serde_json::from_str(&stage.read("terraform.tfstate")).expect("a state");
    let resources = state["resources"].as_array().expect("resources");
    let node = resources.iter().find(|resource| resource["type"] == "talosoci_node").expect("the node");
    let attributes = &node["instances"][0]["attributes"];
    format!("{} {}", attributes["endpoint"].as_str().unwrap(), attributes["phase"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_alone_is_verified_and_nothing_is_applied() {
    let Some(stage) = joined("v1.12.2").await else { return };
    live_change(&stage, NEW);
    stage.apply().await.ok();
    let (before, _moved) = (applies(&stage), moved(&stage, &stage.node).await);
    let said = stage.plan().await.says("\"verify\"").says("0 to add, 1 to change, 0 to destroy");
    assert_eq!(said.code, Some(2));
    // It is not even asked how it is: a node that is not Ready may move.
    stage.world.cluster().change("cloudbox2", |node| node.ready = false);
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    assert_eq!(in_state(&stage), format!("{NEW} joined"));
    stage.plan().await.ok().says("No changes.");
    assert_eq!(applies(&stage), before, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_and_the_certificate_for_it_come_in_one_apply() {
    for mode in ["auto", "reboot"] {
        let Some(stage) = joined("v1.13.9").await else { return };
        add(&stage, &format!("apply_mode = {mode:?}"));
        let _moved = moved(&stage, &stage.node).await;
        live_change(&stage, NEW);
        stage.plan().await.says("\"verify\"").says("\"apply\"");
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{mode}: {}\n{}", said.text, stage.journal());
        stage.plan().await.ok().says("No changes.");
        assert_eq!(in_state(&stage), format!("{NEW} joined"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_name_the_new_address_is_refused_and_the_state_stays() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let old = stage.node.host().to_string();
    let moved = moved(&stage, &stage.node).await;
    // The plan takes a loopback address for named; a real one it refuses.
    stage.apply().await.failed().says("Failed in Phase Verify").says(&format!("does not name {NEW}"));
    assert_eq!(in_state(&stage), format!("{old} joined"));
    drop(moved);
    stage.pretend("host", old);
    stage.pretend("talos_port", stage.node.talos_port());
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_of_the_cluster_at_the_new_address_is_refused() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let old = stage.node.host().to_string();
    let start = Start::Installed {
        schematic:
            "customization:\n    systemExtensions:\n        officialExtensions:\n            - siderolabs/tailscale\n"
                .into(),
        version: "v1.12.2".into(),
        config: Some(
            CONFIG
                .replace("hostname: cloudbox2", "hostname: cloudbox3")
                .replace("certSANs:\n", &format!("certSANs:\n    - {NEW}\n")),
        ),
    };
    let options = NodeOptions { name: "cloudbox3".into(), start, ..NodeOptions::default() };
    let other = stage.world.add_node(options).await.expect("a node starts on loopback");
    assert!(other.wait_for_api(std::time::Duration::from_secs(30)).await, "{}", stage.journal());
    let (before, _moved) = (applies(&stage), moved(&stage, &other).await);
    // With a change besides: not a word of it is said to the wrong machine.
    live_change(&stage, NEW);
    let said = stage.apply().await.failed().says("Failed in Phase Verify").says("another node of the cluster");
    said.says(other.uuid()).says("change instance_id or reflash");
    assert_eq!(in_state(&stage), format!("{old} joined"));
    assert_eq!(applies(&stage), before, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_at_the_new_address_is_told_in_time() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let old = stage.node.host().to_string();
    add(&stage, "timeouts = { update = \"4s\" }");
    drop(moved(&stage, &stage.node).await);
    let said = stage.apply().await.failed().says("Failed in Phase Verify");
    said.says("security list").says("endpoint");
    assert_eq!(in_state(&stage), format!("{old} joined"));
}
