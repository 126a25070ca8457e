//! A small pretend API server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::kubeconfig;
use crate::client::kubernetes::Cluster;
use crate::client::talos::pretend::{Authority, Clients, server_config};

/// What the API server knows.
#[derive(Default)]
pub(super) struct Store {
    pub(super) nodes: BTreeMap<String, Value>,
    pub(super) pods: Vec<Value>,
    /// Pods under a disruption budget, with how many more refusals there are.
    pub(super) budgets: BTreeMap<String, usize>,
    /// `Authorization` headers of the calls that list nodes.
    pub(super) tokens: Vec<String>,
    pub(super) evictions: Vec<String>,
}

type Shared = Arc<Mutex<Store>>;

pub(super) struct Api {
    pub(super) store: Shared,
    pub(super) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub(super) async fn start() -> Self {
        let (store, listener) = (Shared::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let routes = routes(store.clone());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { store, address, task }
    }

    pub(super) async fn start_tls(authority: &Authority) -> Self {
        let (store, listener) = (Shared::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let mut config = server_config(authority.server(&["127.0.0.1"]), Clients::Of(authority));
        config.alpn_protocols.clear();
        let listener = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let routes = routes(store.clone());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { store, address, task }
    }

    pub(super) async fn cluster(&self) -> Cluster {
        Cluster::from_kubeconfig(&kubeconfig(&format!("http://{}", self.address))).await.unwrap()
    }

    pub(super) fn put_node(&self, name: &str, value: Value) {
        self.store.lock().unwrap().nodes.insert(name.to_owned(), value);
    }

    pub(super) fn put_pods(&self, pods: impl IntoIterator<Item = Value>) {
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
        .route("/api/v1/nodes/{name}", get(get_node).patch(patch_node).delete(delete_node))
        .route("/api/v1/pods", get(list_pods))
        .route("/api/v1/namespaces/{namespace}/pods/{name}/eviction", post(evict))
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
    failure(StatusCode::NOT_FOUND, "NotFound", &format!("nodes {name:?} not found"))
}

async fn list_nodes(State(store): State<Shared>, headers: HeaderMap) -> Response {
    if let Some(token) = headers.get("authorization") {
        let token = token.to_str().unwrap().to_owned();
        store.lock().unwrap().tokens.push(token);
    }
    let items: Vec<_> = store.lock().unwrap().nodes.values().cloned().collect();
    shown(&json!({ "kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": items }))
}

async fn get_node(State(store): State<Shared>, Path(name): Path<String>) -> Response {
    match store.lock().unwrap().nodes.get(&name) {
        Some(node) => shown(node),
        None => not_found(&name),
    }
}

async fn patch_node(State(store): State<Shared>, Path(name): Path<String>, patch: String) -> Response {
    let patch: Value = serde_json::from_str(&patch).unwrap();
    match store.lock().unwrap().nodes.get_mut(&name) {
        Some(node) => {
            node["spec"]["unschedulable"] = patch["spec"]["unschedulable"].clone();
            for (key, value) in patch["metadata"]["annotations"].as_object().into_iter().flatten() {
                node["metadata"]["annotations"][key] = value.clone();
            }
            if let Some(annotations) = node["metadata"]["annotations"].as_object_mut() {
                annotations.retain(|_, value| !value.is_null());
            }
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
    let wanted = query.split("fieldSelector=spec.nodeName%3D").nth(1).unwrap().to_owned();
    let store = store.lock().unwrap();
    let items: Vec<_> = store.pods.iter().filter(|pod| pod["spec"]["nodeName"] == wanted.as_str()).cloned().collect();
    shown(&json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items }))
}

async fn evict(State(store): State<Shared>, Path((_, name)): Path<(String, String)>, eviction: String) -> Response {
    let eviction: Value = serde_json::from_str(&eviction).unwrap();
    let mut store = store.lock().unwrap();
    assert_eq!(eviction["deleteOptions"]["preconditions"]["uid"], format!("uid-{name}"), "{eviction}");
    store.evictions.push(name.clone());
    if let Some(refusals) = store.budgets.get_mut(&name).filter(|refusals| **refusals > 0) {
        *refusals -= 1;
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        return failure(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
    }
    store.pods.retain(|pod| pod["metadata"]["name"] != name.as_str());
    let done = json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" });
    (StatusCode::CREATED, shown(&done)).into_response()
}
