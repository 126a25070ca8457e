//! Three nodes of one module beside `oci_core_instance`, which a stand-in plays: what Oracle assigns is known at apply.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use talosoci::sim::{Event, NodeOptions};
use talosoci::tfplugin::resource::{CreateRequest, DeleteRequest, Outcome, ReadRequest, UpdateRequest};
use talosoci::tfplugin::serve::{self, Program};
use talosoci::tfplugin::{Attribute, Context, Diagnostics, Provider, Resource, Schema, Value};

use super::stage::Stage;

const NAMES: [&str; 3] = ["cloudbox1", "cloudbox2", "cloudbox3"];

/// Not a test, but the plugin process of the test below.
#[test]
fn plays_oracle_when_started_as_a_plugin() {
    if std::env::var_os("PLAY_ORACLE").is_none() {
        return;
    }
    const PROGRAM: Program =
        Program { name: "terraform-provider-oci", version: "0.0.0", about: "a stand-in", source: "oracle/oci" };
    let mut greeting = fs::OpenOptions::new().write(true).open("/dev/fd/3").unwrap();
    let served = serve::serve(&PROGRAM, false, Cloud::default, &mut greeting);
    std::process::exit(i32::from(served.is_err()));
}

#[derive(Default)]
struct Cloud;

#[async_trait]
impl Provider for Cloud {
    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _ctx: &Context, _config: Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn resources(&self) -> Vec<(&'static str, std::sync::Arc<dyn Resource>)> {
        vec![("oci_core_instance", std::sync::Arc::new(Instance))]
    }
}

struct Instance;

#[async_trait]
impl Resource for Instance {
    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("display_name").required(),
            Attribute::string("id").computed(),
            Attribute::string("public_ip").computed(),
            Attribute::string("private_ip").computed(),
            Attribute::string("mac_address").computed(),
        ])
    }

    async fn create(&self, _ctx: &Context, request: CreateRequest) -> Outcome {
        let mut state = request.planned;
        let name = state.get("display_name").as_str().unwrap_or_default().to_owned();
        let number = &name[name.len() - 1..];
        state.set("id", format!("ocid1.instance.oc1..{name}"));
        state.set("public_ip", "127.0.0.1");
        state.set("private_ip", format!("10.0.0.21{number}"));
        state.set("mac_address", format!("02:00:17:AB:CD:0{number}"));
        Outcome::state(state)
    }

    async fn read(&self, _ctx: &Context, request: ReadRequest) -> Outcome {
        Outcome::state(request.state)
    }

    async fn update(&self, _ctx: &Context, request: UpdateRequest) -> Outcome {
        Outcome::state(request.planned)
    }

    async fn delete(&self, _ctx: &Context, _request: DeleteRequest) -> Outcome {
        Outcome::gone()
    }
}

/// A program that plays Oracle: this test binary, started so that only the handshake is on stdout.
fn stand_in(folder: &Path) -> PathBuf {
    let plugins = folder.join("plugins");
    fs::create_dir(&plugins).unwrap();
    let path = plugins.join("terraform-provider-oci");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec 3>&1 1>/dev/null\nPLAY_ORACLE=1 exec '{}' --exact --nocapture \
         acceptance::doors_cloud::plays_oracle_when_started_as_a_plugin\n",
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    plugins
}

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
    fs::create_dir_all(stage.folder.path().join("worker")).unwrap();
    stage.write("worker/main.tf", include_str!("doors_cloud/worker.tf"));
    let plugins = stand_in(stage.folder.path());
    let override_line = format!("  dev_overrides {{\n    \"oracle/oci\" = {plugins:?}\n");
    stage.replace("cli.tfrc", "  dev_overrides {\n", &override_line);
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
    fs::create_dir_all(stage.folder.path().join("worker")).unwrap();
    stage.write(
        "worker/main.tf",
        &include_str!("doors_cloud/worker.tf")
            .replace("--accept-routes", "--ssh")
            .replace("10.0.0.0/24", "100.64.0.0/10"),
    );
    let plugins = stand_in(stage.folder.path());
    stage.replace(
        "cli.tfrc",
        "  dev_overrides {\n",
        &format!("  dev_overrides {{\n    \"oracle/oci\" = {plugins:?}\n"),
    );
    stage.run(&["get", "-no-color"]).await.ok();
    stage.plan().await.failed().says("(rule node-ip-tailscale)");
}
