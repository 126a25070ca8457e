//! Conversations with a small pretend API server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::client::talos::pretend::{Authority, Clients, server_config};

/// What the API server knows.
#[derive(Default)]
struct Store {
    nodes: BTreeMap<String, Value>,
    pods: Vec<Value>,
    /// Pods under a disruption budget, with how many more refusals there are.
    budgets: BTreeMap<String, usize>,
    evictions: Vec<String>,
}

type Shared = Arc<Mutex<Store>>;

struct Api {
    store: Shared,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    async fn start() -> Self {
        let (store, listener) = (
            Shared::default(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let address = listener.local_addr().unwrap();
        let routes = routes(store.clone());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            store,
            address,
            task,
        }
    }

    async fn start_tls(authority: &Authority) -> Self {
        let (store, listener) = (
            Shared::default(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let address = listener.local_addr().unwrap();
        let mut config = server_config(authority.server(&["127.0.0.1"]), Clients::Of(authority));
        config.alpn_protocols.clear();
        let listener = Tls {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let routes = routes(store.clone());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            store,
            address,
            task,
        }
    }

    async fn cluster(&self) -> Cluster {
        Cluster::from_kubeconfig(&kubeconfig(&format!("http://{}", self.address)))
            .await
            .unwrap()
    }

    fn put_node(&self, name: &str, value: Value) {
        self.store
            .lock()
            .unwrap()
            .nodes
            .insert(name.to_owned(), value);
    }

    fn put_pods(&self, pods: impl IntoIterator<Item = Value>) {
        self.store.lock().unwrap().pods.extend(pods);
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

fn routes(store: Shared) -> axum::Router {
    axum::Router::new()
        .route("/api/v1/nodes", get(list_nodes))
        .route(
            "/api/v1/nodes/{name}",
            get(get_node).patch(patch_node).delete(delete_node),
        )
        .route("/api/v1/pods", get(list_pods))
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            post(evict),
        )
        .with_state(store)
}

fn shown(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": message,
    });
    (code, shown(&status)).into_response()
}

fn not_found(name: &str) -> Response {
    failure(
        StatusCode::NOT_FOUND,
        "NotFound",
        &format!("nodes {name:?} not found"),
    )
}

async fn list_nodes(State(store): State<Shared>) -> Response {
    let items: Vec<_> = store.lock().unwrap().nodes.values().cloned().collect();
    shown(&json!({ "kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": items }))
}

async fn get_node(State(store): State<Shared>, Path(name): Path<String>) -> Response {
    match store.lock().unwrap().nodes.get(&name) {
        Some(node) => shown(node),
        None => not_found(&name),
    }
}

async fn patch_node(
    State(store): State<Shared>,
    Path(name): Path<String>,
    patch: String,
) -> Response {
    let patch: Value = serde_json::from_str(&patch).unwrap();
    match store.lock().unwrap().nodes.get_mut(&name) {
        Some(node) => {
            node["spec"]["unschedulable"] = patch["spec"]["unschedulable"].clone();
            shown(node)
        }
        None => not_found(&name),
    }
}

async fn delete_node(State(store): State<Shared>, Path(name): Path<String>) -> Response {
    match store.lock().unwrap().nodes.remove(&name) {
        Some(node) => shown(&node),
        None => not_found(&name),
    }
}

async fn list_pods(State(store): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap();
    let wanted = query
        .split("fieldSelector=spec.nodeName%3D")
        .nth(1)
        .unwrap()
        .to_owned();
    let store = store.lock().unwrap();
    let items: Vec<_> = store
        .pods
        .iter()
        .filter(|pod| pod["spec"]["nodeName"] == wanted.as_str())
        .cloned()
        .collect();
    shown(&json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items }))
}

async fn evict(
    State(store): State<Shared>,
    Path((_, name)): Path<(String, String)>,
    eviction: String,
) -> Response {
    let eviction: Value = serde_json::from_str(&eviction).unwrap();
    let mut store = store.lock().unwrap();
    assert_eq!(
        eviction["deleteOptions"]["preconditions"]["uid"],
        format!("uid-{name}"),
        "{eviction}"
    );
    store.evictions.push(name.clone());
    if let Some(refusals) = store
        .budgets
        .get_mut(&name)
        .filter(|refusals| **refusals > 0)
    {
        *refusals -= 1;
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        return failure(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
    }
    store
        .pods
        .retain(|pod| pod["metadata"]["name"] != name.as_str());
    let done = json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" });
    (StatusCode::CREATED, shown(&done)).into_response()
}

fn kubeconfig(server: &str) -> Secret<String> {
    Secret::new(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster:\n    server: {server}\n\
         contexts:\n- name: a\n  context:\n    cluster: a\n    user: a\nusers:\n- name: a\n  user:\n    token: TOP-SECRET\n"
    ))
}

fn node(name: &str, ready: &str) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": { "name": name },
        "spec": { "providerID": "oci://ocid1.instance.oc1..a" },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": "10.0.0.214" },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [{
                "type": "Ready", "status": ready, "reason": "KubeletNotReady", "message": "cni plugin not initialized",
            }],
            "nodeInfo": {
                "architecture": "arm64", "bootID": "b", "containerRuntimeVersion": "c", "kernelVersion": "k",
                "kubeProxyVersion": "", "kubeletVersion": "v1.35.0", "machineID": "m1", "operatingSystem": "linux",
                "osImage": "Talos (v1.12.2)", "systemUUID": "4C4C4544-0000-2010-8020-80C04F202020",
            },
        },
    })
}

fn pod(name: &str, more: &Value) -> Value {
    let mut pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}") },
        "spec": { "nodeName": "cloudbox2", "containers": [] },
        "status": { "phase": "Running" },
    });
    for (part, value) in more.as_object().unwrap() {
        for (key, value) in value.as_object().unwrap() {
            pod[part][key] = value.clone();
        }
    }
    pod
}

fn quick(within: Duration) -> DrainOptions {
    DrainOptions {
        within,
        poll: Duration::from_millis(10),
        grace_seconds: Some(30),
    }
}

#[tokio::test]
async fn a_ready_node_shows_what_identifies_it() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let found = api
        .cluster()
        .await
        .node("cloudbox2")
        .await
        .unwrap()
        .unwrap();
    assert!(found.ready && !found.unschedulable && found.not_ready_because.is_none());
    assert_eq!(
        (found.kubelet_version.as_str(), found.machine_id.as_str()),
        ("v1.35.0", "m1")
    );
    assert_eq!(
        found.internal_ips,
        ["10.0.0.214".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(
        found.provider_id.as_deref(),
        Some("oci://ocid1.instance.oc1..a")
    );
}

#[tokio::test]
async fn a_node_that_is_not_ready_says_why_and_a_missing_one_is_none() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "False"));
    let cluster = api.cluster().await;
    let found = cluster.node("cloudbox2").await.unwrap().unwrap();
    assert!(!found.ready);
    assert_eq!(
        found.not_ready_because.as_deref(),
        Some("KubeletNotReady: cni plugin not initialized")
    );
    assert_eq!(cluster.node("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_machine_is_found_by_any_of_its_identities() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let cluster = api.cluster().await;
    let by = |system_uuid: &str, provider_id: &str, ip: &str| Machine {
        system_uuid: Some(system_uuid.to_owned()),
        provider_id: Some(provider_id.to_owned()),
        internal_ip: ip.parse().ok(),
    };
    for (machine, found) in [
        (by("4c4c4544-0000-2010-8020-80c04f202020", "", ""), 1),
        (by("", "oci://ocid1.instance.oc1..a", ""), 1),
        (by("", "", "10.0.0.214"), 1),
        (by("other", "oci://other", "10.0.0.1"), 0),
        (Machine::default(), 0),
    ] {
        assert_eq!(
            cluster.nodes_of(&machine).await.unwrap().len(),
            found,
            "{machine:?}"
        );
    }
}

#[tokio::test]
async fn a_node_is_cordoned_uncordoned_and_deleted_once() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let cluster = api.cluster().await;
    cluster.cordon("cloudbox2").await.unwrap();
    assert!(
        cluster
            .node("cloudbox2")
            .await
            .unwrap()
            .unwrap()
            .unschedulable
    );
    cluster.uncordon("cloudbox2").await.unwrap();
    assert!(
        !cluster
            .node("cloudbox2")
            .await
            .unwrap()
            .unwrap()
            .unschedulable
    );
    assert!(cluster.delete_node("cloudbox2").await.unwrap());
    assert!(!cluster.delete_node("cloudbox2").await.unwrap());
    let error = cluster.cordon("cloudbox2").await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .starts_with("cordoning node cloudbox2 at http://127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_drain_moves_what_can_move_and_waits_for_a_budget() {
    let api = Api::start().await;
    let controlled_by = |kind: &str| {
        json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "o", "controller": true }
        ] } })
    };
    api.put_pods([
        pod("web", &controlled_by("ReplicaSet")),
        pod("bare", &json!({})),
        pod("cilium", &controlled_by("DaemonSet")),
        pod(
            "kube-proxy",
            &json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } }),
        ),
        pod("job", &json!({ "status": { "phase": "Succeeded" } })),
        pod("elsewhere", &json!({ "spec": { "nodeName": "other" } })),
    ]);
    api.store
        .lock()
        .unwrap()
        .budgets
        .insert("web".to_owned(), 2);
    let moved = api
        .cluster()
        .await
        .drain("cloudbox2", &quick(Duration::from_secs(20)))
        .await
        .unwrap();
    assert_eq!(moved, 2);
    let store = api.store.lock().unwrap();
    assert_eq!(
        store.evictions.iter().filter(|name| *name == "web").count(),
        3
    );
    assert_eq!(store.pods.len(), 4);
}

#[tokio::test]
async fn a_drain_that_cannot_end_names_the_pods_and_why() {
    let api = Api::start().await;
    api.put_pods([
        pod("web", &json!({})),
        pod(
            "slow",
            &json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }),
        ),
    ]);
    api.store
        .lock()
        .unwrap()
        .budgets
        .insert("web".to_owned(), usize::MAX);
    let error = api
        .cluster()
        .await
        .drain("cloudbox2", &quick(Duration::from_millis(100)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Blocked);
    let text = error.to_string();
    for part in [
        "2 pods",
        "default/web",
        "disruption budget",
        "default/slow",
        "terminating",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn structured_credentials_work_over_mutual_tls_and_a_wrong_ca_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let api = Api::start_tls(&authority).await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let parts = |ca: &Authority| {
        let admin = authority.admin();
        Parts {
            host: format!("https://{}", api.address),
            ca_certificate: ca.pem.clone(),
            client_certificate: admin.crt,
            client_key: admin.key,
        }
    };
    let cluster = Cluster::from_parts(&parts(&authority)).await.unwrap();
    assert_eq!(cluster.nodes().await.unwrap().len(), 1);

    let cluster = Cluster::from_parts(&parts(&other)).await.unwrap();
    let error = cluster.nodes().await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Tls, "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cluster = Cluster::from_kubeconfig(&kubeconfig(&server))
        .await
        .unwrap();
    let error = cluster.node("cloudbox2").await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Unreachable);
    assert!(
        error.is_transient() && error.to_string().contains(&server),
        "{error}"
    );
}

#[tokio::test]
async fn an_unusable_kubeconfig_is_refused_without_being_quoted() {
    for text in [
        kubeconfig("192.168.1.50").expose().clone(),
        kubeconfig("https://a:1")
            .expose()
            .replace("current-context: a", "current-context: b"),
        "users:\n- name: a\n  user:\n    token: [TOP-SECRET\n".to_owned(),
        "users: TOP-SECRET\n".to_owned(),
        String::new(),
    ] {
        let error = Cluster::from_kubeconfig(&Secret::new(text.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), KubernetesErrorKind::Config, "{text}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("TOP-SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_credential_plugin_that_is_missing_is_a_configuration_problem() {
    let text = kubeconfig("https://127.0.0.1:6443").expose().replace(
        "    token: TOP-SECRET\n",
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: talosoci-no-such-plugin\n      interactiveMode: Never\n",
    );
    let error = Cluster::from_kubeconfig(&Secret::new(text))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Config);
    assert!(
        error.to_string().contains("talosoci-no-such-plugin"),
        "{error}"
    );
}
