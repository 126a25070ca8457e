//! An ephemeral resource that makes another auth key each time that it is opened, which Terraform does for the plan and again for
//! the apply.

use talosoci::client::talos::{Address, ApplyMode, ConfigSource, Node, Trust};
use talosoci::sim::Event;

use super::life::{add, flashed};
use super::stage::Stage;
use super::stand_in::{Role, play};

const PATCH: &str = "config_patches_wo = [yamlencode({ apiVersion = \"v1alpha1\", kind = \"ExtensionServiceConfig\", \
                     name = \"tailscale\", environment = [\"TS_AUTHKEY=${ephemeral.mint_key.this.key}\", \
                     \"TS_EXTRA_ARGS=--accept-routes\"] })]";

/// A machine whose auth key is made at each run.
async fn minting(talos: &str) -> Option<Stage> {
    let stage = flashed(talos).await?;
    play(&stage, Role::Mint);
    stage.replace("main.tf", "required_providers {", "required_providers {\n    mint = { source = \"pretend/mint\" }");
    let main = stage.read("main.tf");
    stage.write("main.tf", &format!("{main}\nephemeral \"mint_key\" \"this\" {{}}\n"));
    let config = stage.read("cloudbox2.yaml");
    let (before, rest) =
        config.split_once("---\napiVersion: v1alpha1\nkind: ExtensionServiceConfig").expect("tailscale");
    let (_, after) = rest.split_once("---\n").expect("another document");
    stage.write("cloudbox2.yaml", &format!("{before}---\n{after}"));
    add(&stage, PATCH);
    Some(stage)
}

fn applies(stage: &Stage) -> usize {
    stage.count(|event| matches!(event, Event::ConfigApplied { .. }))
}

async fn node(stage: &Stage) -> Node {
    let credentials = stage.world.credentials(&["os:admin"]).expect("the world has an authority");
    let address = Address::new(stage.node.host().to_string(), stage.node.talos_port());
    Node::connect(&address, &Trust::Mutual(credentials), std::time::Duration::from_secs(10))
        .await
        .expect("the node answers")
}

/// The key that the node has.
async fn key(stage: &Stage) -> String {
    let yaml =
        node(stage).await.machine_config(ConfigSource::Persistent).await.expect("it answers").expect("it has one");
    let (_, rest) = yaml.expose().split_once("TS_AUTHKEY=").expect("a key");
    rest.split_whitespace().next().expect("a key").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_at_each_run_is_applied_once_and_plans_are_empty() {
    for talos in ["v1.12.2", "v1.14.0"] {
        let Some(stage) = minting(talos).await else { return };
        add(&stage, "config_wo_version = 1");
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{talos}: {}\n{}", said.text, stage.journal());
        let (first, before) = (key(&stage).await, applies(&stage));
        for _ in 0..2 {
            stage.plan().await.ok().says("No changes.");
        }
        stage.apply().await.ok().says("0 added, 0 changed");
        assert_eq!((key(&stage).await, applies(&stage)), (first.clone(), before), "{}", stage.journal());
        assert!(!stage.read("terraform.tfstate").contains("tskey"), "{}", stage.read("terraform.tfstate"));
        // An upgrade alone leaves the key alone.
        let next = if talos == "v1.12.2" { "v1.13.9" } else { "v1.14.0-rc.1" };
        if talos == "v1.12.2" {
            stage.replace("main.tf", &format!("{talos:?}"), &format!("{next:?}"));
            let said = stage.plan().await.says("\"upgrade\"");
            assert!(!said.text.contains("\"apply\""), "{}", said.text);
            let said = stage.apply().await;
            assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
            stage.plan().await.ok().says("No changes.");
            assert_eq!((key(&stage).await, applies(&stage)), (first.clone(), before), "{}", stage.journal());
        }
        // Another number brings the key of that run.
        stage.replace("main.tf", "config_wo_version = 1", "config_wo_version = 2");
        assert_eq!(stage.plan().await.says("config_hash").says("(known after apply)").code, Some(2));
        stage.apply().await.ok();
        let second = key(&stage).await;
        assert_ne!(first, second);
        stage.plan().await.ok().says("No changes.");
        // So does any other change of the configuration.
        super::life::live_change(&stage, "cloudbox2.example.com");
        // (That text is write-only itself: it is not compared.)
        stage.plan().await.ok().says("No changes.");
        stage.replace("main.tf", "machine_configuration_wo = file", "machine_configuration    = file");
        assert_eq!(stage.plan().await.says("config_hash").code, Some(2));
        stage.apply().await.ok();
        stage.plan().await.ok().says("No changes.");
        let third = key(&stage).await;
        assert_ne!(second, third);
        // Now that it is plain it is compared.
        super::life::live_change(&stage, "again.example.com");
        assert_eq!(stage.plan().await.says("config_hash").code, Some(2));
        stage.apply().await.ok();
        stage.plan().await.ok().says("No changes.");
        assert_ne!(third, key(&stage).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_shows_although_values_are_not_compared() {
    let Some(stage) = minting("v1.13.9").await else { return };
    add(&stage, "config_wo_version = 1");
    stage.apply().await.ok();
    let node = node(&stage).await;
    let config = node.machine_config(ConfigSource::Persistent).await.expect("it answers").expect("it has one");
    let theirs = config.expose().replace("certSANs:\n", "certSANs:\n        - theirs.example.com\n");
    assert_ne!(theirs, *config.expose());
    node.apply_configuration(&theirs, ApplyMode::NoReboot, false).await.expect("a live change");
    stage.plan().await.says("\"apply\"");
    stage.apply().await.ok();
    stage.plan().await.ok().says("No changes.");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_it_is_refused_before_anything_is_done() {
    let Some(stage) = minting("v1.13.9").await else { return };
    // Terraform's own words, which the guide names.
    stage.apply().await.failed().says("Provider produced inconsistent final plan").says(".config_hash");
    assert_eq!(applies(&stage), 0, "{}", stage.journal());
}
