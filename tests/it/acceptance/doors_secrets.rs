//! `cluster.secrets` takes the object of the siderolabs provider as it is: unknown at plan, sensitive in parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use talosoci::sim::World;
use talosoci::talos::pki::CertificateAndKey;

use super::stage::{ROAD, Stage};
use super::stand_in::{Role, play};

/// What the siderolabs provider would have made of the cluster that the world has. A key of the old cipher is null there.
fn made(world: &World) -> Value {
    let (bundle, client) = (world.secrets(), world.credentials(&["os:admin"]).expect("the world has an authority"));
    let pair =
        |pair: &CertificateAndKey| json!({"cert": BASE64.encode(&pair.crt), "key": BASE64.encode(pair.key.expose())});
    let certs = &bundle.certs;
    json!({
        "machine_secrets": {
            "cluster": {"id": bundle.cluster.id, "secret": bundle.cluster.secret.expose()},
            "secrets": {
                "bootstrap_token": bundle.bootstrap_token.expose(),
                "secretbox_encryption_secret": bundle.secretbox_encryption_secret.as_ref().map(|secret| secret.expose()),
                "aescbc_encryption_secret": null,
            },
            "trustdinfo": {"token": bundle.trustd_token.expose()},
            "certs": {
                "etcd": pair(certs.etcd.as_ref().expect("golden")),
                "k8s": pair(&certs.k8s),
                "k8s_aggregator": pair(certs.k8s_aggregator.as_ref().expect("golden")),
                "k8s_serviceaccount": {"key": BASE64.encode(certs.k8s_service_account.as_ref().expect("golden").expose())},
                "os": pair(&certs.os),
            },
        },
        "client_configuration": {
            "ca_certificate": BASE64.encode(&client.ca),
            "client_certificate": BASE64.encode(&client.crt),
            "client_key": BASE64.encode(client.key.expose()),
        },
    })
}

async fn stage() -> Option<Stage> {
    let stage = Stage::new("v1.12.2").await?;
    stage.write("main.tf", include_str!("doors_secrets.tf"));
    stage.write("talos_machine_secrets.json", &made(&stage.world).to_string());
    play(&stage, Role::Siderolabs);
    Some(stage)
}

/// Values of the golden bundle that must be hidden wherever they are shown.
fn shows_no_secret(stage: &Stage, text: &str) {
    let bundle = stage.world.secrets();
    for secret in [&bundle.cluster.secret, &bundle.bootstrap_token, &bundle.trustd_token] {
        assert!(!text.contains(secret.expose().as_str()), "a secret is shown:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_the_secrets_of_the_siderolabs_provider_as_they_are() {
    let Some(stage) = stage().await else { return };
    let said = stage
        .run(&["plan", "-no-color", "-out=plan.bin"])
        .await
        .ok()
        .says("Plan: 3 to add")
        .says("+ secrets = (sensitive value)")
        .says("\"flash\", + \"boot\",")
        .says("+ config_hash = (known after apply)");
    drop(said);
    let said = stage.run(&["apply", "-no-color", "plan.bin"]).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    shows_no_secret(&stage, &said.text);
    assert_eq!(stage.milestones(), ROAD, "{}", stage.journal());
    stage.plan().await.ok().says("No changes.");

    // All of it is known now, and a change is foretold.
    stage.replace(
        "main.tf",
        "kubespan        = false",
        "kubespan        = false\n    node_labels     = { place = \"oracle\" }",
    );
    let said = stage.plan().await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    shows_no_secret(&stage, &said.says("\"apply\"").text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_only_twin_keeps_them_out_of_the_state_and_a_refresh_says_what_it_lacks() {
    let Some(stage) = stage().await else { return };
    stage.replace("main.tf", "secrets            = talos", "secrets_wo         = talos");
    stage.replace("main.tf", "  client_configuration = talos_machine_secrets.this.client_configuration\n", "");
    let said = stage.apply().await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
    // They are credentials enough for an apply, but a refresh does not get them.
    stage
        .plan()
        .await
        .ok()
        .says("No changes.")
        .says("Node Not Refreshed")
        .says("client_configuration in the provider block");
    let state: Value = serde_json::from_str(&stage.read("terraform.tfstate")).expect("a state is JSON");
    let nodes = state["resources"].as_array().expect("there are resources");
    let node = nodes.iter().find(|resource| resource["type"] == "talosoci_node").expect("the node is there");
    shows_no_secret(&stage, &node.to_string());
}
