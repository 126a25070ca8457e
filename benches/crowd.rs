//! Sixteen nodes in one apply: how often the image is downloaded and decoded, and how much memory the provider takes.
//!
//! `cargo bench --bench crowd`, with terraform or tofu on PATH and 3 GB below the directory for temporary files.
//!
//! - `TALOSOCI_BENCH_NODES`: how many nodes (16).
//! - `TALOSOCI_BENCH_PAYLOAD`: MiB that cannot be compressed in the image (120, as in the oracle image).
//!
//! The image has the data of the oracle image and less of its zeros, since the simulator's firmware compares whole disks;
//! zeros are no more to the provider than a number. The simulator answers in this process; only the provider's own memory is counted. All flashes run at once.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use talosoci::sim::{BootVerdict, Event, ImageSize, ImageStore, NodeOptions, SimNode, World, WorldOptions};
use talosoci::talos::secrets::SecretsBundle;
use tempfile::TempDir;

mod stage;

use stage::{CONFIG, Outcome, SECRETS, Watch, cli, override_provider, run, say};

fn main() -> Outcome {
    let Some(cli) = cli() else {
        say("skipped, neither terraform nor tofu was found");
        return Ok(());
    };
    tokio::runtime::Runtime::new()?.block_on(crowd(&cli))
}

async fn crowd(cli: &Path) -> Outcome {
    let count = number("TALOSOCI_BENCH_NODES", 16)?;
    let payload = number("TALOSOCI_BENCH_PAYLOAD", 120)?;
    let images = ImageStore::with_size(ImageSize { disk: payload + 200, efi: payload + 180, payload });
    let secrets = Some(SecretsBundle::parse(SECRETS)?);
    let world = World::start_with(WorldOptions { secrets, images, ..WorldOptions::default() }).await?;
    let folder = TempDir::new()?;
    let mut nodes = Vec::new();
    for index in 0..count {
        let name = format!("worker{index}");
        fs::write(folder.path().join(format!("{name}.yaml")), CONFIG.replace("cloudbox2", &name))?;
        nodes.push(world.add_node(NodeOptions { name, ..NodeOptions::default() }).await?);
    }
    describe(folder.path(), &world, &nodes)?;
    let watch = Watch::start();
    let began = Instant::now();
    // The log tells of every decode.
    let log = folder.path().join("apply.log");
    let logged = [("TF_LOG", "INFO".as_ref()), ("TF_LOG_PATH", log.as_os_str())];
    let parallelism = format!("-parallelism={count}");
    let applied = tokio::task::block_in_place(|| {
        run(cli, folder.path(), &["apply", "-auto-approve", "-no-color", &parallelism], &logged)
    });
    let (wall, cost) = (began.elapsed(), watch.end());
    let events = world.journal();
    let happened = |wanted: fn(&Event) -> bool| events.iter().filter(|entry| wanted(&entry.event)).count();
    let downloads =
        happened(|event| matches!(event, Event::Factory { request, .. } if request.starts_with("GET /image/")));
    let decodes = fs::read_to_string(&log)?.matches("disk image decoded and prepared").count();
    say(&format!("nodes                          {count}, image with {payload} MiB of data"));
    say(&format!(
        "flashed and booted             {}",
        happened(|event| { matches!(event, Event::Boot(BootVerdict::Flashed { .. })) })
    ));
    say(&format!("joined                         {}", happened(|event| matches!(event, Event::Joined))));
    say(&format!("downloads, decodes             {downloads}, {decodes}"));
    say(&format!("apply                          {:.1} s", wall.as_secs_f64()));
    say(&format!("processor time of the provider {:.1} s", cost.processor.as_secs_f64()));
    say(&format!("peak memory of the provider    {:.1} MiB", cost.peak_mib));
    if applied.is_err() {
        for entry in events.iter().filter(|entry| matches!(entry.event, Event::Boot(_) | Event::Fault(_))) {
            say(&entry.to_string());
        }
    }
    applied
}

fn number(name: &str, default: u64) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(env::var(name).ok().map(|text| text.parse()).transpose()?.unwrap_or(default))
}

fn describe(folder: &Path, world: &World, nodes: &[SimNode]) -> Outcome {
    fs::write(folder.join("talosconfig"), world.talosconfig(vec![])?)?;
    fs::write(folder.join("kubeconfig"), world.kubeconfig()?)?;
    fs::write(folder.join("id_ed25519"), world.ssh_keys().private_openssh())?;
    let machines: Vec<_> = nodes
        .iter()
        .map(|node| {
            serde_json::json!({
                "host": node.host().to_string(),
                "talos_port": node.talos_port(),
                "ssh_port": node.ssh_port(),
                "host_key": node.host_key(),
            })
        })
        .collect();
    let cloud = serde_json::json!({ "factory_url": world.factory_url(), "nodes": machines });
    fs::write(folder.join("simulator.json"), cloud.to_string())?;
    fs::write(folder.join("main.tf"), CONFIGURATION)?;
    override_provider(folder)
}

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    talosoci = { source = "talosoci/talosoci" }
  }
}
locals {
  cloud = jsondecode(file("${path.module}/simulator.json"))
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
resource "talosoci_node" "worker" {
  count      = length(local.cloud.nodes)
  hostname   = "worker${count.index}"
  endpoint   = local.cloud.nodes[count.index].host
  talos_port = local.cloud.nodes[count.index].talos_port
  image      = talosoci_image.worker
  activation = "auto"
  flash = {
    disk = "/dev/sda"
    ssh = {
      port        = local.cloud.nodes[count.index].ssh_port
      user        = "root"
      private_key = file("id_ed25519")
      host_key    = local.cloud.nodes[count.index].host_key
    }
  }
  machine_configuration_wo = file("worker${count.index}.yaml")
  timeouts                 = { create = "10m" }
}
"#;
