//! A node that exists changes in place, by the cheapest action, and tells the truth when that fails.

use talosoci::sim::{Event, Fault, NodeOptions, Pod, Start};
use tonic::Code;

use super::stage::{Said, Stage};

/// The schematic of the guide.
const TAILSCALE: &str =
    "customization:\n    systemExtensions:\n        officialExtensions:\n            - siderolabs/tailscale\n";

/// A machine in maintenance mode with the guide's image, and a configuration that takes it from there: the short road.
pub async fn flashed(talos: &str) -> Option<Stage> {
    let start = Start::Flashed { schematic: TAILSCALE.into(), version: talos.into() };
    let stage = Stage::with(talos, NodeOptions { start, ..NodeOptions::default() }).await?;
    let main = stage.read("main.tf");
    let (before, rest) = main.split_once("  flash = {").expect("a flash block");
    let (_, after) = rest.split_once("  machine_configuration_wo").expect("a configuration after it");
    let short = format!(
        "{before}  flash      = {{ method = \"none\" }}\n  activation = \"none\"\n\n  machine_configuration_wo{after}"
    );
    stage.write("main.tf", &short);
    Some(stage)
}

/// The same, joined.
pub async fn joined(talos: &str) -> Option<Stage> {
    let stage = flashed(talos).await?;
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{talos}: {}\n{}", said.text, stage.journal());
    Some(stage)
}

/// Adds a line to the node's block.
pub fn add(stage: &Stage, line: &str) {
    stage.replace("main.tf", "  activation = \"none\"\n", &format!("  activation = \"none\"\n  {line}\n"));
}

/// A change that every release makes live.
pub fn live_change(stage: &Stage, san: &str) {
    stage.replace("cloudbox2.yaml", "  certSANs:\n", &format!("  certSANs:\n    - {san}\n"));
}

/// A change that 1.12 and 1.13 need a reboot for.
fn rebooting_change(stage: &Stage) {
    stage.replace("cloudbox2.yaml", "machine:\n", "machine:\n  env:\n    PROXY: s3cretvalue\n");
}

fn applies(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::ConfigApplied { .. }))
}

fn upgrades(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::Upgraded { .. }))
}

fn reboots(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::Reboot { .. }))
}

fn cordons(stage: &Stage, change: &str) -> usize {
    stage.count(|event| matches!(event, Event::NodeObject { change: seen } if seen == change))
}

async fn plans(stage: &Stage, parts: &[&str]) -> Said {
    let mut said = stage.plan().await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    for part in parts {
        said = said.says(part);
    }
    said
}

async fn applied(stage: &Stage) {
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_takes_its_cheapest_way_on_every_release() {
    for (talos, next) in [("v1.12.2", "v1.13.9"), ("v1.13.9", "v1.14.0"), ("v1.14.0-rc.1", "v1.14.0")] {
        let Some(stage) = joined(talos).await else { return };
        stage.plan().await.ok().says("No changes.");
        // Another configuration: applied, nothing else.
        live_change(&stage, "cloudbox2.example.com");
        plans(&stage, &["\"apply\"", "cloudbox2.example.com", "machine.certSANs"]).await;
        let (before, booted) = (applies(&stage), reboots(&stage));
        applied(&stage).await;
        assert_eq!(
            (applies(&stage), upgrades(&stage), reboots(&stage)),
            (before + 1, 0, booted),
            "{}",
            stage.journal()
        );
        // Another schematic of the same version: an upgrade, nothing else.
        stage.replace(
            "main.tf",
            "[\"siderolabs/tailscale\"]",
            "[\"siderolabs/tailscale\", \"siderolabs/iscsi-tools\"]",
        );
        plans(&stage, &["\"upgrade\"", "reboot_expected = false -> true"]).await;
        let before = applies(&stage);
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{talos}: {}\n{}", said.text, stage.journal());
        said.says("iscsi-tools");
        assert_eq!((applies(&stage), upgrades(&stage)), (before, 1), "{talos}: {}", stage.journal());
        assert_eq!(
            (cordons(&stage, "cordoned"), cordons(&stage, "uncordoned")),
            (1, 1),
            "{talos}: {}",
            stage.journal()
        );
        stage.plan().await.ok().says("No changes.");
        // Another version and another configuration: the upgrade comes first.
        stage.replace("main.tf", &format!("{talos:?}"), &format!("{next:?}"));
        live_change(&stage, "other.example.com");
        plans(&stage, &["\"upgrade\"", "\"apply\"", "other.example.com"]).await;
        applied(&stage).await;
        let order: Vec<_> = stage
            .world
            .journal()
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Upgraded { .. } => Some("upgrade"),
                Event::ConfigApplied { .. } => Some("apply"),
                _ => None,
            })
            .collect();
        assert!(order.ends_with(&["upgrade", "apply"]), "{talos}: {order:?}\n{}", stage.journal());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_needs_a_reboot_is_foretold_and_hidden_values_stay_hidden() {
    for (talos, expected) in [("v1.12.2", true), ("v1.13.9", true), ("v1.14.0", false)] {
        let Some(stage) = joined(talos).await else { return };
        rebooting_change(&stage);
        let said = plans(&stage, &["machine.env"]).await;
        // A create ends in a reboot, so that it stands at true before.
        assert_eq!(said.plain().contains("reboot_expected = true -> false"), !expected, "{talos}: {}", said.text);
        assert!(!said.text.contains("s3cretvalue"), "{}", said.text);
        let (booted, cordoned) = (reboots(&stage), cordons(&stage, "cordoned"));
        applied(&stage).await;
        let more = usize::from(expected);
        assert_eq!(
            (reboots(&stage), cordons(&stage, "cordoned")),
            (booted + more, cordoned + more),
            "{talos}: {}",
            stage.journal()
        );
        assert!(!stage.read("terraform.tfstate").contains("s3cretvalue"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apply_mode_is_obeyed() {
    // Staged: stored, and nothing more until the next reboot.
    let Some(stage) = joined("v1.13.9").await else { return };
    add(&stage, "apply_mode = \"staged\"");
    rebooting_change(&stage);
    let booted = reboots(&stage);
    applied(&stage).await;
    assert_eq!(reboots(&stage), booted, "{}", stage.journal());
    assert_eq!(stage.count(|event| matches!(event, Event::ConfigApplied { mode, .. } if mode == "STAGED")), 1);
    // Reboot: with one, whatever the change; 1.14 has no such mode of its own.
    stage.replace("main.tf", "\"staged\"", "\"reboot\"");
    live_change(&stage, "again.example.com");
    applied(&stage).await;
    assert_eq!(reboots(&stage), booted + 1, "{}", stage.journal());
    // No reboot: refused where the node cannot, and the state still tells the truth.
    stage.replace("main.tf", "\"reboot\"", "\"no_reboot\"");
    stage.replace("cloudbox2.yaml", "s3cretvalue", "0thervalue");
    stage.plan().await.says("The Node Would Refuse This Configuration");
    let said = stage.apply().await.failed().says("Failed in Phase Apply");
    assert!(!said.text.contains("0thervalue"), "{}", said.text);
    plans(&stage, &["~ config_hash", "machine.env.PROXY", "\"changing\" -> \"joined\""]).await;
    let Some(stage) = joined("v1.14.0").await else { return };
    add(&stage, "apply_mode = \"reboot\"");
    live_change(&stage, "again.example.com");
    let booted = reboots(&stage);
    applied(&stage).await;
    assert_eq!(reboots(&stage), booted + 1, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_update_leaves_the_truth_and_the_next_apply_finishes_it() {
    for talos in ["v1.12.2", "v1.13.9"] {
        let Some(stage) = joined(talos).await else { return };
        stage.replace("main.tf", &format!("{talos:?}"), "\"v1.14.0\"");
        live_change(&stage, "cloudbox2.example.com");
        // The installer fails: nothing has changed.
        stage.world.fault(None, Fault::FailUpgrade("no space left".into()), 1);
        stage.apply().await.failed().says("Failed in Phase Upgrade").says("apply again");
        assert!(!stage.world.node_object("cloudbox2").expect("the Node").unschedulable, "{}", stage.journal());
        plans(&stage, &["\"upgrade\"", "\"apply\"", &format!("talos_version = {talos:?} -> \"v1.14.0\"")]).await;
        // The upgrade goes well, the configuration is refused: half of the way is done, and stays done.
        let refuse = Fault::RefuseCall {
            method: "MachineService/ApplyConfiguration".into(),
            code: Code::Internal,
            message: "injected".into(),
        };
        stage.world.fault(None, refuse, talosoci::sim::ALWAYS);
        stage.apply().await.failed().says("Failed in Phase Apply");
        assert_eq!(upgrades(&stage), 1, "{}", stage.journal());
        stage.world.clear_faults();
        let said = plans(&stage, &["\"apply\""]).await;
        assert!(!said.text.contains("\"upgrade\""), "{}", said.text);
        applied(&stage).await;
        assert_eq!(upgrades(&stage), 1, "{}", stage.journal());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_well_after_a_change_is_proven_again() {
    let Some(stage) = joined("v1.12.2").await else { return };
    stage.replace("main.tf", "\"v1.12.2\"", "\"v1.13.9\"");
    add(&stage, "timeouts = { update = \"20s\" }");
    stage.world.switch(|switches| switches.auth_key = talosoci::sim::AuthKey::Expired);
    stage.apply().await.failed();
    assert!(!stage.world.node_object("cloudbox2").expect("the Node").unschedulable, "{}", stage.journal());
    stage.world.switch(|switches| switches.auth_key = talosoci::sim::AuthKey::Accepted);
    assert!(stage.node.wait_for_api(std::time::Duration::from_secs(20)).await);
    let said = plans(&stage, &["phase"]).await;
    assert!(said.text.contains("\"changing\" -> \"joined\""), "{}", said.text);
    applied(&stage).await;
    assert_eq!(upgrades(&stage), 1, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_may_not_go_stops_the_update_and_the_node_is_uncordoned() {
    let Some(stage) = joined("v1.12.2").await else { return };
    let pod = |name: &str, owner: &str, protected| Pod {
        namespace: "default".into(),
        name: name.into(),
        node: "cloudbox2".into(),
        owner: Some(owner.into()),
        mirror: false,
        protected,
    };
    stage.world.add_pod(pod("web", "ReplicaSet", false));
    stage.world.add_pod(pod("cilium", "DaemonSet", false));
    stage.world.add_pod(pod("db", "StatefulSet", true));
    stage.replace("main.tf", "\"v1.12.2\"", "\"v1.13.9\"");
    add(&stage, "timeouts = { update = \"12s\" }");
    let said = stage.apply().await.failed().says("default/db").says("disruption budget");
    assert_eq!(upgrades(&stage), 0, "{}\n{}", said.text, stage.journal());
    let node = stage.world.node_object("cloudbox2").expect("the Node");
    assert!(!node.unschedulable, "{}", stage.journal());
    let left: Vec<_> = stage.world.pods().into_iter().map(|pod| pod.name).collect();
    assert_eq!(left, ["cilium", "db"]);
    // Without draining it goes.
    stage.replace("main.tf", "timeouts = { update = \"12s\" }", "drain = false");
    applied(&stage).await;
    assert_eq!(upgrades(&stage), 1, "{}", stage.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_talos_refuses_is_refused_at_plan() {
    let Some(stage) = joined("v1.14.0").await else { return };
    stage.replace("main.tf", "\"v1.14.0\"", "\"v1.12.2\"");
    stage.plan().await.failed().says("Talos Refuses This Upgrade").says("too new").says("(rule upgrade-path)");
    assert_eq!(upgrades(&stage), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_in_an_update_is_not_a_failure() {
    for (talos, method) in [
        ("v1.12.2", "MachineService/Upgrade"),
        ("v1.13.9", "MachineService/Reboot"),
        ("v1.13.9", "MachineService/ApplyConfiguration"),
    ] {
        let Some(stage) = joined(talos).await else { return };
        stage.replace(
            "main.tf",
            "[\"siderolabs/tailscale\"]",
            "[\"siderolabs/tailscale\", \"siderolabs/iscsi-tools\"]",
        );
        live_change(&stage, "cloudbox2.example.com");
        stage.world.fault(None, Fault::DropReply { method: method.into() }, 1);
        applied(&stage).await;
        assert_eq!(upgrades(&stage), 1, "{method}: {}", stage.journal());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_taken_without_flashing() {
    let Some(stage) = joined("v1.13.9").await else { return };
    stage.replace("main.tf", "hostname   = \"cloudbox2\"", "hostname   = \"cloudbox3\"");
    // A kubelet takes a new name when it starts.
    add(&stage, "apply_mode = \"reboot\"");
    stage.replace("cloudbox2.yaml", "hostname: cloudbox2", "hostname: cloudbox3");
    plans(&stage, &["node_name = \"cloudbox2\" -> \"cloudbox3\"", "0 to add, 1 to change, 0 to destroy"]).await;
    applied(&stage).await;
    assert_eq!(stage.count(|event| matches!(event, Event::DiskWrite { .. } | Event::Wiped { .. })), 0);
}
