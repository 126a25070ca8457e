//! What the provider itself costs: start, plans, the create's own overhead, memory.
//!
//! `cargo bench --bench road`, with terraform or tofu on PATH. Absolute times are of this computer; the overhead and the
//! memory are what to watch.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use talosoci::sim::{NodeOptions, SimNode, World, WorldOptions};
use talosoci::talos::secrets::SecretsBundle;
use tempfile::TempDir;

mod stage;

use stage::{BINARY, CONFIG, Outcome, SECRETS, Watch, cli, override_provider, run, say};

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
    runtime.block_on(roads(&cli))
}

async fn roads(cli: &Path) -> Outcome {
    let secrets = SecretsBundle::parse(SECRETS)?;
    let world = World::start_with(WorldOptions { secrets: Some(secrets), ..WorldOptions::default() }).await?;
    let node = world.add_node(NodeOptions::default()).await?;
    let folder = TempDir::new()?;
    describe(folder.path(), &world, &node)?;
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
    say(&format!("peak memory of the provider    {:.1} MiB during the create (300 MiB image)", watch.peak_mib()));
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

fn configuration(nodes: usize) -> String {
    let address = "127.0.0.1";
    format!(
        r#"
terraform {{
  required_providers {{
    talosoci = {{ source = "talosoci/talosoci" }}
  }}
}}
locals {{
  cloud   = jsondecode(file("${{path.module}}/simulator.json"))
  machine = local.cloud.nodes[0]
}}
provider "talosoci" {{
  image_factory_url = local.cloud.factory_url
  talosconfig       = file("talosconfig")
  kubeconfig        = file("kubeconfig")
}}
resource "talosoci_image" "worker" {{
  talos_version = "v1.12.2"
  extensions    = ["siderolabs/tailscale"]
}}
resource "talosoci_node" "node" {{
  count      = {nodes}
  hostname   = "cloudbox2"
  endpoint   = "{address}"
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

fn describe(folder: &Path, world: &World, node: &SimNode) -> Outcome {
    fs::write(folder.join("cloudbox2.yaml"), CONFIG)?;
    fs::write(folder.join("talosconfig"), world.talosconfig(vec![])?)?;
    fs::write(folder.join("kubeconfig"), world.kubeconfig()?)?;
    fs::write(folder.join("id_ed25519"), world.ssh_keys().private_openssh())?;
    let cloud = serde_json::json!({
        "factory_url": world.factory_url(),
        "nodes": [{ "talos_port": node.talos_port(), "ssh_port": node.ssh_port(), "host_key": node.host_key() }],
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
