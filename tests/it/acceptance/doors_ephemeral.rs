//! The ephemeral configuration, through each door, into a write-only attribute: nothing of it is kept.

use super::stage::{ROAD, Stage, holds_no_canary};
use super::stand_in::{Role, play};

const TEXT: &str = r#"
ephemeral "talosoci_machine_configuration" "cloudbox2" {
  base           = file("cloudbox2.yaml")
  config_patches = [file("labels.yaml")]
}
"#;

const TALCONFIG: &str = r#"
ephemeral "talosoci_machine_configuration" "cloudbox2" {
  talconfig = {
    path         = "talconfig.yaml"
    node         = "cloudbox2"
    secrets_file = "talsecret.yaml"
    env_files    = ["talenv.yaml"]
  }
}
"#;

/// With an instance beside it, whose hardware address is not known at plan.
const NATIVE: &str = r#"
resource "oci_core_instance" "cloudbox2" {
  display_name = "cloudbox2"
}

ephemeral "talosoci_machine_configuration" "cloudbox2" {
  hostname      = "cloudbox2"
  talos_version = "v1.12.2"

  machine = {
    install_disk = "/dev/sda"
    cert_sans    = ["150.136.211.213", "10.0.0.214"]
    network = {
      address     = "10.0.0.214/24"
      mac_address = oci_core_instance.cloudbox2.mac_address
      gateway     = "10.0.0.1"
      routes      = [{ network = "169.254.0.0/16" }]
      nameservers = ["169.254.169.254"]
    }
    node_ip_subnets = ["10.0.0.0/24"]
    kubespan        = false
    extension_services = [{
      name        = "tailscale"
      environment = { TS_AUTHKEY = trimspace(file("auth.key")), TS_EXTRA_ARGS = "--accept-routes" }
    }]
  }

  cluster = {
    name               = "eh-ops"
    endpoint           = "https://192.168.1.50:6443"
    kubernetes_version = "v1.35.0"
    secrets_file       = "talsecret.yaml"
  }
}
"#;

/// Plans, applies and plans again with everything logged.
async fn leaves_nothing_behind(door: &str, planned: &str) {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.write("talconfig.yaml", include_str!("../../golden/guide/talconfig.yaml"));
    stage.write("talsecret.yaml", include_str!("../../golden/guide/talsecret.yaml"));
    stage.write("talenv.yaml", include_str!("../../golden/guide/talenv.yaml"));
    stage.write("auth.key", "tskey-auth-CANARY\n");
    stage.write("labels.yaml", "machine:\n  nodeLabels:\n    place: CANARY\n");
    let rendered = "ephemeral.talosoci_machine_configuration.cloudbox2.machine_configuration";
    stage.replace("main.tf", "file(\"cloudbox2.yaml\")", rendered);
    if door.contains("oci_core_instance") {
        play(&stage, Role::Oracle);
        stage.replace("main.tf", "required_providers {", "required_providers {\n    oci = { source = \"oracle/oci\" }");
    }
    stage.write("ephemeral.tf", door);

    let log = stage.folder.path().join("trace.log").display().to_string();
    let trace = [("TF_LOG", "TRACE"), ("TF_LOG_PATH", log.as_str())];
    let said = stage.run_with(&["plan", "-no-color", "-out=plan.bin"], &trace).await.ok().says(planned);
    holds_no_canary("what plan said", &said.text);
    holds_no_canary("the plan as JSON", &stage.run(&["show", "-json", "plan.bin"]).await.ok().text);
    let said = stage.run_with(&["apply", "-no-color", "plan.bin"], &trace).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    assert_eq!(stage.milestones(), ROAD, "{}", stage.journal());
    holds_no_canary("what apply said", &said.text);
    holds_no_canary("the state", &stage.read("terraform.tfstate"));
    holds_no_canary("the log", &stage.read("trace.log"));
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_with_patches_is_patched_and_forgotten() {
    leaves_nothing_behind(TEXT, "+ config_hash = \"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talconfig_is_rendered_and_forgotten() {
    leaves_nothing_behind(TALCONFIG, "+ config_hash = \"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_are_unknown_at_plan_are_rendered_at_apply_and_forgotten() {
    leaves_nothing_behind(NATIVE, "+ config_hash = (known after apply)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_it_is_told_at_its_attribute() {
    let Some(stage) = Stage::new("v1.12.2").await else { return };
    stage.write("ephemeral.tf", &TEXT.replace("[file(\"labels.yaml\")]", "[\"machine: {certSAN: [a]}\"]"));
    stage.plan().await.failed().says("config_patches").says("certSAN").says("(rule config-patch)");
}
