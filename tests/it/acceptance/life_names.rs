//! A name with a domain: Talos takes it apart, and Kubernetes knows the first label or the whole, as the configuration says.

use super::life::{add, flashed};
use super::stage::Stage;

const FQDN: &str = "cloudbox2.example.com";

/// A machine that is to get a name with a domain.
async fn named(registered: bool) -> Option<Stage> {
    let stage = flashed("v1.12.2").await?;
    stage.replace("main.tf", "hostname   = \"cloudbox2\"", &format!("hostname   = {FQDN:?}"));
    stage.replace("cloudbox2.yaml", "hostname: cloudbox2", &format!("hostname: {FQDN}"));
    if registered {
        add(&stage, "config_patches = [\"machine: {kubelet: {registerWithFQDN: true}}\"]");
    }
    Some(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_domain_joins_and_is_imported_under_either_name() {
    for (registered, node) in [(false, "cloudbox2"), (true, FQDN)] {
        let Some(stage) = named(registered).await else { return };
        stage.plan().await.says(&format!("node_name = {node:?}")).says(&format!("hostname = {FQDN:?}"));
        let said = stage.apply().await;
        assert_eq!(said.code, Some(0), "{}\n{}", said.text, stage.journal());
        said.says(&format!("{node} is Ready"));
        assert!(stage.world.node_object(node).is_some(), "{}", stage.journal());
        stage.plan().await.ok().says("No changes.");
        let (host, port) = (stage.node.host(), stage.node.talos_port());
        stage.replace("main.tf", "  activation = \"none\"\n", "");
        for name in [FQDN, node] {
            stage.run(&["state", "rm", "talosoci_node.cloudbox2"]).await.ok();
            let id = format!("{name}@{host}:{port}");
            stage.run(&["import", "-no-color", "talosoci_node.cloudbox2", &id]).await.ok();
            // A plain patch is all that an import cannot know.
            let said = stage.plan().await;
            assert_eq!(said.code, Some(if registered { 2 } else { 0 }), "{}", said.text);
            assert!(!said.text.contains("\"apply\""), "{}", said.text);
        }
    }
}
