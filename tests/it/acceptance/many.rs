//! Many nodes in one apply: one download, one decode, and nobody suffers for another.

use talosoci::sim::{BootVerdict, Event, Fault, NodeOptions, SimNode};

use super::stage::{CONFIG, Stage};

const NODES: usize = 3;

/// A stage with several machines beside that of [`Stage::new`].
async fn crowd() -> Option<(Stage, Vec<SimNode>)> {
    let stage = Stage::new("v1.12.2").await?;
    let mut nodes = Vec::new();
    let mut cloud: serde_json::Value =
        serde_json::from_str(&stage.read("simulator/simulator.json")).expect("the stage wrote it");
    let mut machines = Vec::new();
    for number in 1..=NODES {
        let name = format!("worker{number}");
        let options = NodeOptions { name: name.clone(), ..NodeOptions::default() };
        let node = stage.world.add_node(options).await.expect("a node starts on loopback");
        machines.push(serde_json::json!({
            "host": node.host().to_string(),
            "talos_port": node.talos_port(),
            "ssh_port": node.ssh_port(),
            "host_key": node.host_key(),
        }));
        stage.write(&format!("{name}.yaml"), &CONFIG.replace("cloudbox2", &name));
        nodes.push(node);
    }
    cloud["nodes"] = machines.into();
    stage.write("simulator/simulator.json", &cloud.to_string());
    let main = stage.read("main.tf");
    let (before, _) = main.split_once("output \"phase\"").expect("the demo's outputs come last");
    let main = before
        .replace(
            "  hostname   = \"cloudbox2\"",
            &format!("  count      = {NODES}\n  hostname   = \"worker${{count.index + 1}}\""),
        )
        .replace("local.machine.", "local.cloud.nodes[count.index].")
        .replace("file(\"cloudbox2.yaml\")", "file(\"worker${count.index + 1}.yaml\")")
        // Short, since it is the flash that counts: the extensions are there already.
        .replace(
            "  image      = talosoci_image.worker\n",
            "  image      = talosoci_image.worker\n  activation = \"auto\"\n",
        );
    stage.write("main.tf", &main);
    Some((stage, nodes))
}

fn flashed(stage: &Stage, node: &SimNode) -> bool {
    let verdict = |event: &Event| matches!(event, Event::Boot(BootVerdict::Flashed { .. }));
    stage.world.journal().iter().any(|entry| entry.node.as_deref() == Some(node.name()) && verdict(&entry.event))
}

/// An apply, which fails, with a log of its own.
async fn apply(stage: &Stage, log: &str) -> String {
    let mut command = stage.command(&["apply", "-auto-approve", "-no-color"]);
    command.env("TF_LOG", "INFO").env("TF_LOG_PATH", stage.folder.path().join(log));
    let output = command.output().await.expect("the CLI can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_apply_share_one_download_and_one_decode_and_one_may_fail() {
    let Some((stage, nodes)) = crowd().await else { return };
    // The disk of the second ends in the middle of the image.
    stage.world.fault(Some("worker2"), Fault::DiskFull { at: 8 << 20 }, talosoci::sim::ALWAYS);
    let text = apply(&stage, "first.log").await;
    assert_eq!(text.matches("Failed in Phase Flash").count(), 1, "{text}");
    assert_eq!(text.matches("Failed in Phase").count(), 1, "{text}");
    let fine: Vec<bool> = nodes.iter().map(|node| flashed(&stage, node)).collect();
    assert_eq!(fine, [true, false, true], "{text}\n{}", stage.journal());
    // The others went all of the way.
    assert_eq!(stage.count(|event| matches!(event, Event::Joined)), 2, "{text}\n{}", stage.journal());
    assert_eq!((downloads(&stage), decodes(&stage, "first.log")), (1, 1), "{}", stage.journal());

    // The next apply tries only the one again, with what is in the cache.
    let before = stage.journal().len();
    let text = apply(&stage, "second.log").await;
    assert_eq!(text.matches("Failed in Phase Flash").count(), 1, "{text}");
    assert!(!stage.journal()[before..].contains("worker1      disk:"), "{}", stage.journal());
    assert_eq!((downloads(&stage), decodes(&stage, "second.log")), (1, 0), "{}", stage.journal());
}

/// How often the image itself was downloaded.
fn downloads(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::Factory { request, .. } if request.starts_with("GET /image/")))
}

/// How often an image was decoded.
fn decodes(stage: &Stage, log: &str) -> usize {
    stage.read(log).matches("disk image decoded and prepared").count()
}
