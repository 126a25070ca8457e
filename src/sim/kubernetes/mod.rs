//! The Kubernetes API of the cluster: Nodes, pods, evictions; enough for kube-rs, `kubectl get`, `cordon` and `drain`.

mod discovery;
mod nodes;
mod pods;
mod table;
mod tls;

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

pub use pods::Pod;
pub use tls::listener;

use super::{
    cluster::Cluster,
    fault::{Fault, Faults},
    journal::{Event, Journal},
};

/// The API's state.
#[derive(Clone)]
pub struct Api {
    cluster: Arc<Cluster>,
    journal: Journal,
    faults: Faults,
    pods: Arc<Mutex<Vec<Pod>>>,
}

impl Api {
    /// The API of a cluster.
    pub fn new(cluster: Arc<Cluster>, journal: Journal, faults: Faults) -> Self {
        Self { cluster, journal, faults, pods: Arc::default() }
    }

    /// Puts a pod on a node.
    pub fn add_pod(&self, pod: Pod) {
        self.pods().push(pod);
    }

    /// All pods.
    pub fn pods(&self) -> std::sync::MutexGuard<'_, Vec<Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/version", get(discovery::version))
            .route("/healthz", get(discovery::healthy))
            .route("/livez", get(discovery::healthy))
            .route("/readyz", get(discovery::healthy))
            .route("/api", get(discovery::core_versions))
            .route("/apis", get(discovery::groups))
            .route("/api/v1", get(discovery::core))
            .route("/apis/apps/v1", get(discovery::apps))
            .route("/apis/policy/v1", get(discovery::policy))
            .route("/api/v1/nodes", get(nodes::list))
            .route("/api/v1/nodes/{name}", get(nodes::one).patch(nodes::patch).put(nodes::put).delete(nodes::delete))
            .route("/api/v1/pods", get(pods::list))
            .route("/api/v1/namespaces/{namespace}/pods", get(pods::list_in))
            .route("/api/v1/namespaces/{namespace}/pods/{name}", get(pods::one).delete(pods::delete))
            .route("/api/v1/namespaces/{namespace}/pods/{name}/eviction", post(pods::evict))
            .route("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}", get(pods::daemon_set))
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(self.clone(), record))
            .with_state(self)
    }
}

async fn record(State(api): State<Api>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let struck = api.faults.strike(&api.journal, None, |fault| match fault {
        Fault::KubernetesStatus(code) => StatusCode::from_u16(*code).ok(),
        _ => None,
    });
    let response = match struck {
        Some(code) => status(code, "InternalError", "the simulator was told to say so"),
        None => next.run(request).await,
    };
    api.journal.shared(Event::Kubernetes { request: line, status: response.status().as_u16() });
    response
}

async fn not_found() -> Response {
    status(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
}

/// A failure as Kubernetes words it.
fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": if code.is_success() { "Success" } else { "Failure" },
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn ok(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
