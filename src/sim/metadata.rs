//! The instance metadata service of Oracle Cloud (version 2) as an instance sees it at 169.254.169.254.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::journal::{Event, Journal};

/// The facts of one instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The OCID.
    pub id: String,
    /// Its display name and hostname.
    pub name: String,
    /// `VM.Standard.A1.Flex`
    pub shape: String,
    /// Private address of the first interface, without a prefix length.
    pub private_ip: String,
    /// MAC address of the first interface.
    pub mac: String,
    /// `user_data` as the metadata service gives it out (base64); `None` when the instance was launched without.
    pub user_data: Option<String>,
}

/// The service of one instance.
#[derive(Debug, Clone)]
pub struct Metadata {
    node: String,
    instance: Arc<Mutex<Instance>>,
    journal: Journal,
}

impl Metadata {
    /// A service that tells these facts.
    pub fn new(node: &str, instance: Instance, journal: Journal) -> Self {
        Self { node: node.to_owned(), instance: Arc::new(Mutex::new(instance)), journal }
    }

    /// The facts.
    pub fn instance(&self) -> Instance {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the `user_data`; the real one can only be set at launch.
    pub fn set_user_data(&self, user_data: Option<String>) {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner).user_data = user_data;
    }

    /// Its routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/opc/v2/instance/", get(instance))
            .route("/opc/v2/instance/metadata/user_data", get(user_data))
            .route("/opc/v2/instance/{key}", get(one))
            .route("/opc/v2/instance/metadata/", get(metadata))
            .route("/opc/v2/vnics/", get(vnics))
            .layer(middleware::from_fn_with_state(self.clone(), authorize))
            .with_state(self)
    }
}

/// Version 2 answers only with this header; without it the real service says 403.
async fn authorize(State(service): State<Metadata>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let authorized = request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer Oracle");
    let response = if authorized { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() };
    service.journal.node(&service.node, Event::Metadata { request: line, status: response.status().as_u16() });
    response
}

fn facts(instance: &Instance) -> serde_json::Value {
    json!({
        "availabilityDomain": "EMIr:US-ASHBURN-AD-1",
        "canonicalRegionName": "us-ashburn-1",
        "displayName": instance.name,
        "faultDomain": "FAULT-DOMAIN-2",
        "hostname": instance.name,
        "id": instance.id,
        "image": "ocid1.image.oc1.iad.aaaaaaaapretend",
        "metadata": metadata_of(instance),
        "ociAdName": "iad-ad-1",
        "region": "iad",
        "shape": instance.shape,
        "shapeConfig": {"ocpus": 4.0, "memoryInGBs": 24.0},
        "state": "Running",
        "timeCreated": 1_760_000_000_000u64,
    })
}

fn metadata_of(instance: &Instance) -> serde_json::Value {
    let mut map = json!({"ssh_authorized_keys": "ssh-ed25519 AAAA… pretend"});
    if let Some(user_data) = &instance.user_data {
        map["user_data"] = json!(user_data);
    }
    map
}

async fn instance(State(service): State<Metadata>) -> Response {
    json(&facts(&service.instance()))
}

async fn metadata(State(service): State<Metadata>) -> Response {
    json(&metadata_of(&service.instance()))
}

async fn one(State(service): State<Metadata>, Path(key): Path<String>) -> Response {
    match facts(&service.instance()).get(&key) {
        Some(serde_json::Value::String(text)) => text.clone().into_response(),
        Some(value) => json(value),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn user_data(State(service): State<Metadata>) -> Response {
    match service.instance().user_data {
        Some(text) => text.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn vnics(State(service): State<Metadata>) -> Response {
    let Instance { private_ip, mac, .. } = service.instance();
    json(&json!([{
        "macAddr": mac,
        "privateIp": private_ip,
        "subnetCidrBlock": "10.0.0.0/24",
        "virtualRouterIp": "10.0.0.1",
        "vlanTag": 0,
        "vnicId": "ocid1.vnic.oc1.iad.pretend",
    }]))
}

fn json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
