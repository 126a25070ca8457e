//! The Image Factory over HTTP, and the Kubernetes API through kube-rs.

use k8s_openapi::api::core::v1::{Node, Pod as CorePod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, Client, Config,
    api::{EvictParams, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use talosoci::sim::{Entry, Event, Fault, Pod, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    configs::TAILSCALE,
    road::{wait, world},
    rules::joined,
    talos::DEADLINE,
};

/// Status line, headers and body of one request.
async fn http(world: &World, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Vec<u8>) {
    let address = world.factory_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: factory\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A torn answer ends with an error, and what came before counts.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end");
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).to_ascii_lowercase();
    let status = head[9..12].parse().expect("a status");
    (status, head, answer[split + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_factory_answers_as_the_real_one() {
    let world = world().await;
    let (status, _, body) = http(&world, "POST", "/schematics", "", TAILSCALE).await;
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    assert_eq!(status, 201);
    assert!(String::from_utf8_lossy(&body).contains(&format!("\"id\":\"{id}\"")));
    let (status, _, body) = http(&world, "GET", &format!("/schematics/{id}"), "", "").await;
    assert_eq!((status, String::from_utf8_lossy(&body).contains("siderolabs/tailscale")), (200, true));
    let bad = http(&world, "POST", "/schematics", "", "customisation: {}").await;
    assert_eq!(bad.0, 400);
    assert!(String::from_utf8_lossy(&bad.2).starts_with("invalid schematic: "));

    let unknown = format!("/image/{}/v1.12.2/oracle-arm64.raw.xz", "0".repeat(64));
    let (status, _, body) = http(&world, "HEAD", &unknown, "", "").await;
    assert_eq!((status, body.len()), (404, 0));
    let (status, _, body) = http(&world, "GET", &format!("/image/{id}/v1.12.99/oracle-arm64.raw.xz"), "", "").await;
    assert_eq!((status, &*body), (404, &b"version v1.12.99 is not available\n"[..]));

    let path = format!("/image/{id}/v1.12.2/oracle-arm64.raw.xz");
    let head = http(&world, "HEAD", &path, "", "").await;
    let (status, headers, body) = http(&world, "GET", &path, "Range: bytes=5-9\r\n", "").await;
    assert_eq!((head.0, status), (200, 200), "ranges are ignored");
    assert!(headers.contains(&format!("content-length: {}", body.len())) && !headers.contains("etag"));
    assert!(head.1.contains(&format!("content-length: {}", body.len())));
    assert_eq!(http(&world, "GET", &format!("{path}.sha256"), "", "").await.0, 402);
    let (_, _, extensions) = http(&world, "GET", "/version/v1.12.2/extensions/official", "", "").await;
    assert!(String::from_utf8_lossy(&extensions).contains("\"siderolabs/tailscale\""));
    let (_, _, versions) = http(&world, "GET", "/versions", "", "").await;
    assert!(String::from_utf8_lossy(&versions).contains("\"v1.12.2\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_factory_breaks_as_told() {
    let world = world().await;
    let id = world.register_schematic(TAILSCALE).expect("a schematic");
    let path = format!("/image/{id}/v1.12.2/oracle-arm64.raw.xz");
    let whole = http(&world, "GET", &path, "", "").await.2.len();
    world.fault(None, Fault::FactoryTruncates(1000), 1);
    assert_eq!(http(&world, "GET", &path, "", "").await.2.len(), 1000);
    world.fault(None, Fault::FactoryHtml, 1);
    assert!(http(&world, "GET", &path, "", "").await.2.starts_with(b"<!DOCTYPE html>"));
    world.fault(None, Fault::FactoryStatus(503), 1);
    assert_eq!(http(&world, "GET", &path, "", "").await.0, 503);
    world.fault(None, Fault::FactoryRedirects, 1);
    let (status, headers, _) = http(&world, "GET", &path, "", "").await;
    assert_eq!(status, 303);
    let location = headers.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location").to_owned();
    assert_eq!(http(&world, "GET", &location, "", "").await.2.len(), whole);
}

async fn kubernetes(world: &World) -> Client {
    let config = Kubeconfig::from_yaml(&world.kubeconfig().expect("a kubeconfig")).expect("parsed");
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a config");
    Client::try_from(config).expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kube_rs_cordons_evicts_and_deletes() {
    let world = world().await;
    let node = joined(&world, "v1.12.2").await;
    let client = kubernetes(&world).await;
    let nodes: Api<Node> = Api::all(client.clone());
    let found = nodes.get("cloudbox2").await.expect("a Node");
    let info = found.status.and_then(|status| status.node_info).expect("facts");
    assert_eq!((info.kubelet_version.as_str(), info.system_uuid.as_str()), ("v1.35.0", node.uuid()));
    nodes.cordon("cloudbox2").await.expect("cordoned");
    assert!(world.node_object("cloudbox2").expect("a Node").unschedulable);
    let managed = nodes.get("cloudbox2").await.expect("a Node").metadata.managed_fields.unwrap_or_default();
    let writes = |entry: &ManagedFieldsEntry| entry.fields_v1.as_ref()?.0.pointer("/f:spec/f:unschedulable").cloned();
    assert_eq!(managed.iter().filter(|entry| writes(entry).is_some()).count(), 1, "{managed:?}");
    nodes.uncordon("cloudbox2").await.expect("uncordoned");
    assert!(!world.node_object("cloudbox2").expect("a Node").unschedulable);

    let pod = |name: &str, protected| Pod {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        node: "cloudbox2".to_owned(),
        owner: Some("ReplicaSet".to_owned()),
        mirror: false,
        protected,
    };
    world.add_pod(pod("web", false));
    world.add_pod(pod("database", true));
    let pods: Api<CorePod> = Api::namespaced(client, "default");
    let here = ListParams::default().fields("spec.nodeName=cloudbox2");
    assert_eq!(pods.list(&here).await.expect("a list").items.len(), 2);
    pods.evict("web", &EvictParams::default()).await.expect("evicted");
    let params = EvictParams::default();
    // kube-rs repeats a call that was answered with 429 for minutes; the first refusal is enough.
    let refused = |entry: &Entry| matches!(entry.event, Event::Kubernetes { status: 429, .. });
    tokio::select! {
        _ = pods.evict("database", &params) => panic!("evicted in spite of its budget"),
        _ = wait(&world, refused) => {}
    }
    assert_eq!(world.pods().len(), 1);
    nodes.delete("cloudbox2", &Default::default()).await.expect("deleted");
    assert_eq!(world.node_object("cloudbox2"), None);
}
