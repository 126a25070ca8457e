mod changing;
mod offering;
mod planning;
mod probe;

use std::sync::Arc;

use super::{Server, wire};
use crate::{
    tfplugin::{Value, conform, msgpack},
    wire::tfplugin6::{provider_client::ProviderClient, provider_server::ProviderServer},
};

use probe::{Probe, schema};

fn server() -> Server {
    Server::new(Arc::new(Probe))
}

/// The generated client on the generated server, without a wire between them.
fn client(server: &Server) -> ProviderClient<ProviderServer<Server>> {
    ProviderClient::new(ProviderServer::new(server.clone()))
}

/// A value with all attributes of the resource.
fn full(entries: Vec<(&str, Value)>) -> Value {
    conform::conform(&schema().attributes, Value::object(entries)).0
}

fn sent(value: &Value) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue { msgpack: msgpack::encode(value), json: Vec::new() })
}

fn received(dynamic: Option<wire::DynamicValue>) -> Value {
    msgpack::decode(&dynamic.unwrap().msgpack, &schema().object_type()).unwrap()
}

fn summaries(diagnostics: &[wire::Diagnostic]) -> Vec<&str> {
    diagnostics.iter().map(|diagnostic| diagnostic.summary.as_str()).collect()
}

async fn apply(server: &Server, prior: Value, planned: Value, config: Value) -> wire::apply_resource_change::Response {
    let request = wire::apply_resource_change::Request {
        type_name: "probe_thing".into(),
        prior_state: sent(&prior),
        planned_state: sent(&planned),
        config: sent(&config),
        planned_private: b"before".to_vec(),
        provider_meta: None,
    };
    client(server).apply_resource_change(request).await.unwrap().into_inner()
}

async fn create(name: &str) -> wire::apply_resource_change::Response {
    let planned = full(vec![("id", Value::Unknown), ("name", name.into()), ("size", 1.into())]);
    let config = full(vec![("name", name.into()), ("secret", "s3cret".into())]);
    apply(&server(), Value::Null, planned, config).await
}

async fn plan(prior: Value, proposed: Value, config: Value) -> wire::plan_resource_change::Response {
    let request = wire::plan_resource_change::Request {
        type_name: "probe_thing".into(),
        prior_state: sent(&prior),
        proposed_new_state: sent(&proposed),
        config: sent(&config),
        prior_private: b"before".to_vec(),
        ..Default::default()
    };
    client(&server()).plan_resource_change(request).await.unwrap().into_inner()
}

async fn read(name: &str) -> wire::read_resource::Response {
    let request = wire::read_resource::Request {
        type_name: "probe_thing".into(),
        current_state: sent(&full(vec![("id", "i-1".into()), ("name", name.into())])),
        private: b"before".to_vec(),
        ..Default::default()
    };
    client(&server()).read_resource(request).await.unwrap().into_inner()
}
