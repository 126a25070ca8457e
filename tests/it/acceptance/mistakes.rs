//! Bad input fails soon, says why and what to do, and leaves the machine as it was.

use std::time::Duration;

use talosoci::sim::{Event, Fault, NodeOptions};

use super::stage::Stage;

/// The promise for every one of them.
const SOON: Duration = Duration::from_secs(15);

fn touched(event: &Event) -> bool {
    matches!(event, Event::DiskWrite { .. } | Event::ConfigApplied { .. } | Event::Reboot { .. } | Event::Wiped { .. })
}

/// How long the last run took that the provider's own journal knows of, from its beginning to its failure. The time of the
/// CLI, and of a busy computer to start it, is no promise of ours.
fn reported(stage: &Stage) -> Duration {
    let journal = stage.read("cache/terraform-provider-talosoci/journal.jsonl");
    let lines: Vec<serde_json::Value> =
        journal.lines().map(|line| serde_json::from_str(line).expect("a journal is JSON lines")).collect();
    let last = |event: &str| {
        let at = lines.iter().rev().find(|line| line["event"] == event).and_then(|line| line["at"].as_u64());
        at.unwrap_or_else(|| panic!("{event} is not in the journal:\n{journal}"))
    };
    Duration::from_millis(last("failed").checked_sub(last("run")).expect("a run begins before it fails"))
}

/// Applies, and expects a failure that says all of `parts`, soon, with the machine untouched.
async fn fails(stage: &Stage, parts: &[&str]) {
    // The image resource has its own time: only the node's promise is measured.
    stage.run(&["apply", "-auto-approve", "-no-color", "-target=talosoci_image.worker"]).await.ok();
    let mut said = stage.apply().await.failed();
    assert!(reported(stage) < SOON, "it took {:?}: {}", reported(stage), said.text);
    for part in parts {
        said = said.says(part);
    }
    assert_eq!(stage.count(touched), 0, "the machine was touched: {}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_key_is_refused() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    let other = talosoci::sim::SshKeys::generate().public_openssh();
    stage.pretend("host_key", other);
    fails(&stage, &["host key", "hint"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_disk_is_refused() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.replace("main.tf", "/dev/sda", "/dev/sdz");
    fails(&stage, &["/dev/sdz", "hint"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_image_digest_is_refused() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    let pin = "0".repeat(64);
    stage.replace(
        "main.tf",
        "  extensions    = [\"siderolabs/tailscale\"]",
        &format!("  extensions    = [\"siderolabs/tailscale\"]\n  sha256 = {pin:?}"),
    );
    fails(&stage, &["Failed in Phase Image", &pin, "nothing was written"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_instead_of_an_image_is_refused() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.run(&["apply", "-auto-approve", "-no-color", "-target=talosoci_image.worker"]).await.ok();
    stage.world.fault(None, Fault::FactoryHtml, talosoci::sim::ALWAYS);
    stage.apply().await.failed().says("Failed in Phase Image");
    assert_eq!(stage.count(touched), 0, "the machine was touched: {}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_data_that_talos_would_read_is_refused() {
    let user_data = "I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczogW2dpdF0K"; // #cloud-config
    let options = NodeOptions { user_data: Some(user_data.into()), ..NodeOptions::default() };
    let Some(stage) = Stage::with("v1.12.2", options).await else { return };
    fails(&stage, &["Failed in Phase Flash", "user_data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_certificate_will_not_name_is_refused_at_plan() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.pretend("host", "localhost");
    let said = stage.plan().await.failed().says("(rule endpoint-not-in-cert-sans)");
    said.says("will not name the endpoint localhost").says("add localhost to machine.certSANs");
    assert_eq!(stage.count(touched), 0);
}

/// The public address is behind NAT, so that the node does not know it; on loopback the plan lets that pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_another_name_is_refused() {
    let Some(stage) = Stage::with("v1.12.2", NodeOptions { behind_nat: true, ..NodeOptions::default() }).await else {
        return;
    };
    // A node of the cluster runs already; its certificate names its private address only.
    let said = stage.apply().await.failed().says("Failed in Phase Join");
    let said = said.says("certificate does not name 127.0.0.1").says("add 127.0.0.1 to machine.certSANs");
    assert!(!stage.read("terraform.tfstate").contains("talosoci_node"), "something was stored: {}", said.text);
    drop(said);
    let joined = stage.world.journal().len();

    // Seen before anything is done, it is refused at once and nothing is touched.
    let said = stage
        .apply()
        .await
        .failed()
        .says("does not name 127.0.0.1")
        .says("through an address that its certificate names");
    assert!(reported(&stage) < SOON, "it took {:?}: {}", reported(&stage), said.text);
    let since = stage.world.journal().into_iter().skip(joined).filter(|entry| touched(&entry.event)).count();
    assert_eq!(since, 0, "the machine was touched: {}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ca_is_refused_at_plan() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    let theirs = talosoci::sim::World::start().await.expect("another world starts");
    stage.write("cloudbox2.yaml", &rename(&theirs));
    stage.plan().await.failed().says("(rule client-other-cluster)").says("of the same cluster");
    assert_eq!(stage.count(touched), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_cluster_are_refused_at_plan() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    let other = talosoci::sim::World::start().await.expect("another world starts");
    stage.write("simulator/talosconfig", &other.talosconfig(vec![]).expect("it has an authority"));
    stage.plan().await.failed().says("signed by another CA");
    assert_eq!(stage.count(touched), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_never_touched() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.apply().await.ok();
    // The same machine, as another cluster would see it.
    let Some(other) = Stage::new("v1.12.2").await else { return };
    let theirs = talosoci::sim::World::start().await.expect("another world starts");
    other.write("cloudbox2.yaml", &rename(&theirs));
    other.write("simulator/talosconfig", &theirs.talosconfig(vec![]).expect("it has an authority"));
    other.pretend("talos_port", stage.node.talos_port());
    let before = stage.count(touched);
    other.run(&["apply", "-auto-approve", "-no-color", "-target=talosoci_image.worker"]).await.ok();
    other.apply().await.failed().says("belongs to another cluster");
    assert!(reported(&other) < SOON, "it took {:?}", reported(&other));
    assert_eq!(stage.count(touched), before, "the machine was touched: {}", stage.journal());
}

/// The guide's configuration with the authority of another cluster.
fn rename(world: &talosoci::sim::World) -> String {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(&world.secrets().certs.os.crt);
    let old = super::stage::CONFIG
        .lines()
        .find(|line| line.trim_start().starts_with("crt: "))
        .expect("machine.ca.crt is first");
    let old = old.trim().trim_start_matches("crt: ");
    super::stage::CONFIG.replacen(old, &ca, 1)
}
