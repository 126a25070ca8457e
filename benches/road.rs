//! What the provider itself costs: start, plans, the create's own overhead, memory, and a refresh of 200 nodes.
//!
//! `cargo bench --bench road`, with terraform or tofu on PATH; `-- refresh` for the 200 nodes only. Absolute times are of
//! this computer; the overhead, the provider's processor time and the memory are what to watch. The simulator runs in this
//! process, so that its own work is told apart from the provider's, though both share the processors.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use talosoci::sim::{NodeOptions, SimNode, Start, World, WorldOptions};
use talosoci::talos::secrets::SecretsBundle;
use tempfile::TempDir;

mod stage;

use stage::{BINARY, CONFIG, Outcome, SECRETS, Watch, cli, override_provider, processor_time, run, say};

const TAILSCALE: &str =
    "customization:\n    systemExtensions:\n        officialExtensions:\n            - siderolabs/tailscale\n";

const ROUNDS: usize = 20;

fn main() -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    let size = fs::metadata(BINARY)?.len();
    say(&format!("binary                         {:.1} MiB", size as f64 / (1 << 20) as f64));
    say(&format!("spawn to handshake line        {:.1} ms (median of {ROUNDS})", handshake()?));
    let Some(cli) = cli() else {
        say("plans and creates: skipped, neither terraform nor tofu was found");
        return Ok(());
    };
    if !std::env::args().any(|argument| argument == "refresh") {
        runtime.block_on(roads(&cli))?;
    }
    runtime.block_on(refreshes(&cli))
}

/// Nodes of the large configuration.
const MANY: usize = 200;

/// The goal for a refresh and empty plan of [`MANY`] nodes.
const GOAL: &str = "under 5 s and 150 MiB";

/// A refresh and an empty plan of many nodes that are there and well.
async fn refreshes(cli: &Path) -> Outcome {
    let secrets = SecretsBundle::parse(SECRETS)?;
    let world = World::start_with(WorldOptions { secrets: Some(secrets), ..WorldOptions::default() }).await?;
    let mut nodes = Vec::new();
    for index in 0..MANY {
        let name = format!("worker{index}");
        let start = Start::Installed {
            schematic: TAILSCALE.into(),
            version: "v1.12.2".into(),
            config: Some(CONFIG.replace("cloudbox2", &name)),
        };
        nodes.push(world.add_node(NodeOptions { name, start, ..NodeOptions::default() }).await?);
    }
    for node in &nodes {
        if !node.wait_for_stage("running", Duration::from_secs(60)).await {
            return Err(format!("{} does not run", node.name()).into());
        }
    }
    let folder = TempDir::new()?;
    describe(folder.path(), &world, &nodes)?;
    fs::write(folder.path().join("main.tf"), installed(MANY))?;
    // Nothing is done to them: they have joined, and are only proven.
    let began = Instant::now();
    run(cli, folder.path(), &["apply", "-auto-approve", "-no-color"], &[])?;
    say(&format!("adopting {MANY} joined nodes      {:.2} s", began.elapsed().as_secs_f64()));
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let (watch, own) = (Watch::start(), processor_time(Path::new("/proc/self")));
        let began = Instant::now();
        run(cli, folder.path(), &["plan", "-no-color", "-detailed-exitcode"], &[])?;
        let wall = began.elapsed();
        let own = processor_time(Path::new("/proc/self")).saturating_sub(own);
        rounds.push((wall, watch.end(), own));
    }
    rounds.sort_by_key(|(wall, ..)| *wall);
    let (wall, cost, own) = rounds.swap_remove(rounds.len() / 2);
    say(&format!(
        "refresh and empty plan of {MANY} nodes: {:.2} s wall; processor: provider {:.2} s, simulator {:.2} s; peak memory of \
         the provider {:.1} MiB (median of 3; goal {GOAL})",
        wall.as_secs_f64(),
        cost.processor.as_secs_f64(),
        own.as_secs_f64(),
        cost.peak_mib
    ));
    Ok(())
}

async fn roads(cli: &Path) -> Outcome {
    let secrets = SecretsBundle::parse(SECRETS)?;
    let world = World::start_with(WorldOptions { secrets: Some(secrets), ..WorldOptions::default() }).await?;
    let node = world.add_node(NodeOptions::default()).await?;
    let folder = TempDir::new()?;
    describe(folder.path(), &world, std::slice::from_ref(&node))?;
    fs::write(folder.path().join("main.tf"), configuration(1))?;
    let one = median(5, || plan(cli, folder.path()))?;
    say(&format!("plan of 1 node                 {:.2} s (median of 5)", one.as_secs_f64()));
    fs::write(folder.path().join("main.tf"), configuration(200))?;
    let many = median(3, || plan(cli, folder.path()))?;
    say(&format!("plan of 200 nodes              {:.2} s (median of 3)", many.as_secs_f64()));
    fs::write(folder.path().join("main.tf"), configuration(1))?;
    let watch = Watch::start();
    let began = Instant::now();
    run(cli, folder.path(), &["apply", "-auto-approve", "-no-color", "-parallelism=1"], &[])?;
    let wall = began.elapsed();
    let told = world.told_to_take(node.name());
    say(&format!(
        "create                         {:.2} s, of which the simulator was told to take {:.2} s: overhead {:.2} s",
        wall.as_secs_f64(),
        told.as_secs_f64(),
        wall.saturating_sub(told).as_secs_f64()
    ));
    say(&format!("peak memory of the provider    {:.1} MiB during the create (300 MiB image)", watch.end().peak_mib));
    let second = median(3, || plan(cli, folder.path()))?;
    say(&format!("refresh and empty plan, 1 node {:.2} s (median of 3)", second.as_secs_f64()));
    Ok(())
}

/// Time from the start of the process to its first line, with the host's certificate as Terraform gives it.
fn handshake() -> Result<f64, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut child = Command::new(BINARY)
            .env("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        assert!(line.starts_with("1|6|"), "{line}");
        child.kill()?;
        child.wait()?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// The provider and the image of all configurations.
const HEAD: &str = r#"
terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
  }
}
locals {
  cloud   = jsondecode(file("${path.module}/simulator.json"))
  machine = local.cloud.nodes[0]
}
provider "talosoci" {
  image_factory_url = local.cloud.factory_url
  talosconfig       = file("talosconfig")
  kubeconfig        = file("kubeconfig")
}
resource "talosoci_image" "worker" {
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}
"#;

/// Nodes from a rescue shell.
fn configuration(nodes: usize) -> String {
    format!(
        r#"{HEAD}
resource "talosoci_node" "node" {{
  count      = {nodes}
  hostname   = "cloudbox2"
  endpoint   = "127.0.0.1"
  talos_port = local.machine.talos_port
  image      = talosoci_image.worker
  flash = {{
    disk = "/dev/sda"
    ssh = {{
      port        = local.machine.ssh_port
      user        = "root"
      private_key = file("id_ed25519")
      host_key    = local.machine.host_key
    }}
  }}
  machine_configuration_wo = file("cloudbox2.yaml")
}}
"#
    )
}

/// Nodes that have joined, each with a configuration of its own.
fn installed(nodes: usize) -> String {
    format!(
        r#"{HEAD}
resource "talosoci_node" "node" {{
  count      = {nodes}
  hostname   = local.cloud.nodes[count.index].name
  endpoint   = "127.0.0.1"
  talos_port = local.cloud.nodes[count.index].talos_port
  image      = talosoci_image.worker
  flash      = {{ method = "none" }}
  activation = "none"

  machine_configuration_wo = replace(file("cloudbox2.yaml"), "cloudbox2", local.cloud.nodes[count.index].name)
}}
"#
    )
}

fn describe(folder: &Path, world: &World, nodes: &[SimNode]) -> Outcome {
    let place = |node: &SimNode| {
        serde_json::json!({
            "name": node.name(), "talos_port": node.talos_port(), "ssh_port": node.ssh_port(), "host_key": node.host_key(),
        })
    };
    fs::write(folder.join("cloudbox2.yaml"), CONFIG)?;
    fs::write(folder.join("talosconfig"), world.talosconfig(vec![])?)?;
    fs::write(folder.join("kubeconfig"), world.kubeconfig()?)?;
    fs::write(folder.join("id_ed25519"), world.ssh_keys().private_openssh())?;
    let cloud = serde_json::json!({
        "factory_url": world.factory_url(),
        "nodes": nodes.iter().map(place).collect::<Vec<_>>(),
    });
    fs::write(folder.join("simulator.json"), cloud.to_string())?;
    override_provider(folder)
}

fn plan(cli: &Path, folder: &Path) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    run(cli, folder, &["plan", "-no-color"], &[])?;
    Ok(began.elapsed())
}

fn median(
    rounds: usize,
    mut measure: impl FnMut() -> Result<Duration, Box<dyn std::error::Error>>,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut times = (0..rounds).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[rounds / 2])
}
