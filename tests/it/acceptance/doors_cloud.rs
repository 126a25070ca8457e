//! Three nodes of one module beside `oci_core_instance`, which a stand-in plays: what Oracle assigns is known at apply.

use talosoci::sim::{Event, NodeOptions};

use super::stage::Stage;
use super::stand_in::{Role, play};

const NAMES: [&str; 3] = ["cloudbox1", "cloudbox2", "cloudbox3"];

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_join_though_their_addresses_are_unknown_at_plan() {
    let options = NodeOptions { name: NAMES[0].into(), ..NodeOptions::default() };
    let Some(stage) = Stage::with("v1.12.2", options).await else { return };
    let mut others = Vec::new();
    for name in &NAMES[1..] {
        others
            .push(stage.world.add_node(NodeOptions { name: (*name).into(), ..NodeOptions::default() }).await.unwrap());
    }
    let machines: serde_json::Map<String, serde_json::Value> = std::iter::once(&stage.node)
        .chain(&others)
        .map(|node| {
            let ports = serde_json::json!({ "talos_port": node.talos_port(), "ssh_port": node.ssh_port(), "host_key": node.host_key() });
            (node.name().to_owned(), ports)
        })
        .collect();
    stage.write("machines.json", &serde_json::Value::from(machines).to_string());
    stage.write("talsecret.yaml", include_str!("../../golden/guide/talsecret.yaml"));
    stage.write("main.tf", include_str!("doors_cloud/main.tf"));
    stage.write("worker/main.tf", include_str!("doors_cloud/worker.tf"));
    play(&stage, Role::Oracle);
    // The module is found by an init, which needs no network: every provider is overridden.
    stage.run(&["get", "-no-color"]).await.ok();

    let said = stage.run(&["plan", "-no-color", "-out=plan.bin"]).await.ok();
    assert_eq!(said.plain().matches("+ endpoint = (known after apply)").count(), 3, "{}", said.text);
    let said = said
        .says("Plan: 7 to add")
        .says("\"flash\",")
        .says("+ hostname = \"cloudbox3\"")
        .says("+ config_hash = (known after apply)");
    drop(said);
    let said = stage.run(&["apply", "-no-color", "plan.bin"]).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    assert_eq!(stage.count(|event| matches!(event, Event::Joined)), 3, "{}", stage.journal());
    stage.plan().await.ok().says("No changes.");
    assert!(!stage.read("terraform.tfstate").contains("tskey"), "the key is in the state");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_though_the_addresses_are_unknown() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.write("machines.json", r#"{"cloudbox1": {"talos_port": 1, "ssh_port": 1, "host_key": "SHA256:abc"}}"#);
    stage.write("talsecret.yaml", include_str!("../../golden/guide/talsecret.yaml"));
    stage.write("main.tf", include_str!("doors_cloud/main.tf"));
    stage.write(
        "worker/main.tf",
        &include_str!("doors_cloud/worker.tf")
            .replace("--accept-routes", "--ssh")
            .replace("10.0.0.0/24", "100.64.0.0/10"),
    );
    play(&stage, Role::Oracle);
    stage.run(&["get", "-no-color"]).await.ok();
    stage.plan().await.failed().says("(rule node-ip-tailscale)");
}
