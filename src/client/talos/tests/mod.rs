//! Conversations with pretend nodes, over real sockets.

mod calls;
mod connect;
mod events;
mod state;
mod upgrade;

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tonic::{Code, Status};

use super::pretend::{Authority, Clients, Pretend, Reply, got, many, one, refuse, resource};
use super::*;
use crate::wire::{common, cosi, google, machine};

const SOON: Duration = Duration::from_secs(10);

const ANYBODY: Trust = Trust::Maintenance { fingerprint: None };

/// What a healthy node says to every question that `connect` and `detect` ask.
fn healthy(path: &str, request: Bytes) -> Reply {
    if path != "/cosi.resource.State/Get" {
        return refuse(Status::unimplemented("method not implemented"));
    }
    let wanted = cosi::GetRequest::decode(request).unwrap();
    match wanted.r#type.as_str() {
        "MachineStatuses.runtime.talos.dev" => {
            got("machine", "stage: running\nstatus:\n    ready: true\n    unmetConditions: []\n")
        }
        "Versions.runtime.talos.dev" => got("version", "version: v1.12.2\n"),
        _ => refuse(Status::not_found("resource doesn't exist")),
    }
}

fn in_maintenance(path: &str, request: Bytes) -> Reply {
    match path {
        "/cosi.resource.State/Get" if request.windows(15).any(|part| part == b"MachineStatuses") => {
            got("machine", "stage: maintenance\nstatus:\n    ready: true\n    unmetConditions: []\n")
        }
        _ => healthy(path, request),
    }
}

async fn node_with(script: impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static) -> (Pretend, Node) {
    let authority = Authority::new();
    let pretend = Pretend::start(authority.server(&["127.0.0.1"]), Clients::Of(&authority), script).await;
    let node = Node::connect(&pretend.address, &Trust::Mutual(authority.admin()), SOON).await.unwrap();
    (pretend, node)
}

async fn failure(address: &Address, trust: &Trust) -> TalosError {
    Node::connect(address, trust, SOON).await.map(|_| ()).unwrap_err()
}

/// The whole chain, as a person reads it.
fn told(error: &TalosError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
