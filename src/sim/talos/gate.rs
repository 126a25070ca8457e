//! What every call passes before it reaches a handler: faults, the services of this version, routing, roles. And the
//! journal of calls.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::Frame;
use tonic::{Code, Status, service::Routes};

use super::{
    cosi::Cosi,
    extra,
    image_service::Images,
    lifecycle::Lifecycle,
    machine::{Machine, OpenCall},
    machine_service::Api,
    roles::{self, Roles},
    routing::{self, Answers, Route},
    serve::Peer,
    storage::Storage,
};
use crate::{
    sim::{fault::Fault, journal::Event},
    talos::version::TalosVersion,
    wire::{
        cosi::state_server::StateServer,
        machine::{
            image_service_server::ImageServiceServer, lifecycle_service_server::LifecycleServiceServer,
            machine_service_server::MachineServiceServer,
        },
        storage::storage_service_server::StorageServiceServer,
    },
};

/// Talos' limit (constants GRPCMaxMessageSize); the maintenance service of 1.12 keeps gRPC's own 4 MiB.
const MESSAGE_LIMIT: usize = 32 * 1024 * 1024;
const MAINTENANCE_LIMIT: usize = 4 * 1024 * 1024;

/// All services of a node.
pub fn routes(machine: &Arc<Machine>) -> Routes {
    let own_server = machine.boot(|boot| boot.in_maintenance() && !boot.entry.version.maintenance_serves_apid());
    let limit = if own_server == Some(true) { MAINTENANCE_LIMIT } else { MESSAGE_LIMIT };
    let api = MachineServiceServer::new(Api(Arc::clone(machine))).max_decoding_message_size(limit);
    let router = Routes::new(api)
        .add_service(StateServer::new(Cosi(Arc::clone(machine))).max_decoding_message_size(limit))
        .add_service(LifecycleServiceServer::new(Lifecycle(Arc::clone(machine))))
        .add_service(ImageServiceServer::new(Images(Arc::clone(machine))))
        .add_service(StorageServiceServer::new(Storage(Arc::clone(machine))))
        .into_axum_router()
        .layer(middleware::from_fn_with_state(Arc::clone(machine), pass));
    Routes::from(router)
}

/// What a handler wants to have written into the journal about its arguments.
#[derive(Debug, Clone, Default)]
pub struct Note(Arc<Mutex<String>>);

impl Note {
    /// Writes the arguments down, without secrets.
    pub fn set<T>(request: &tonic::Request<T>, arguments: impl Into<String>) {
        if let Some(Self(slot)) = request.extensions().get() {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = arguments.into();
        }
    }
}

/// The roles of a caller, as a handler sees them.
pub fn caller<T>(request: &tonic::Request<T>) -> Roles {
    request.extensions().get::<Roles>().cloned().unwrap_or_default()
}

async fn pass(State(machine): State<Arc<Machine>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return refuse(Status::internal("a connection without a peer"));
    };
    // Streams end when the server does; whoever waits for one answer gets it first.
    let open = routing::has_one_answer(&path).then(|| machine.open_call());
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let response = match before(&machine, &path, &peer, &mut request).await {
        Err(status) => refuse(status),
        Ok((Route::Local, may)) => match may {
            Ok(()) => here(&machine, &path, request, next).await,
            Err(status) => refuse(status),
        },
        Ok((Route::Many(targets), may)) => {
            let answers = Answers::of(targets, &path);
            match may {
                // Each node judges for itself, so a refusal is that node's message.
                _ if !answers.wanted_here() => answers.without(),
                Ok(()) => answers.with(here(&machine, &path, request, next).await),
                Err(status) => answers.with(refuse(status)),
            }
        }
    };
    let status = response.headers().get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    let method = path.trim_start_matches('/');
    machine.note(Event::Rpc {
        method: method.split_once('.').map_or(method, |(_, rest)| rest).to_owned(),
        arguments: note.0.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        status: format!("{:?}", Code::from(status.unwrap_or(0))),
    });
    let dropped = machine.strike(|fault| match fault {
        Fault::DropReply { method } if path.ends_with(method.as_str()) => Some(()),
        _ => None,
    });
    if dropped.is_some() {
        peer.token.cancel();
        std::future::pending::<()>().await;
    }
    match open {
        Some(open) => response.map(|body| Body::new(Answer { body, _open: open })),
        None => response,
    }
}

/// The body of an answer, until which the call is open.
struct Answer {
    body: Body,
    _open: OpenCall,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The answer of this node itself.
async fn here(machine: &Arc<Machine>, path: &str, request: Request, next: Next) -> Response {
    if extra::knows(path) {
        return extra::answer(machine, path, request).await.unwrap_or_else(refuse);
    }
    name_unknown_method(path, next.run(request).await)
}

/// Where a call goes, and whether this node would answer it.
async fn before(
    machine: &Machine,
    path: &str,
    peer: &Peer,
    request: &mut Request,
) -> Result<(Route, Result<(), Status>), Status> {
    faults(machine, path, peer).await?;
    let version = machine.boot(|boot| boot.entry.version.clone()).ok_or_else(|| Status::unavailable("no system"))?;
    // A connection from maintenance mode is cut when the mode ends, so the peer knows.
    let maintenance = peer.maintenance;
    let roles = if maintenance { Roles::reader() } else { peer.roles.clone() };
    let route = if maintenance { Route::Local } else { routing::route(machine, path, request.headers(), &version)? };
    let may = is_served(path, &version, maintenance).and_then(|()| {
        let own_server = maintenance && !version.maintenance_serves_apid();
        if own_server || roles::may_call(path, &version, &roles) {
            Ok(())
        } else {
            Err(Status::permission_denied("not authorized"))
        }
    });
    request.extensions_mut().insert(roles);
    Ok((route, may))
}

async fn faults(machine: &Machine, path: &str, peer: &Peer) -> Result<(), Status> {
    let fits = |method: &String| path.ends_with(method.as_str());
    if let Some(by) = machine.strike(|f| match f {
        Fault::DelayCall { method, by } if fits(method) => Some(*by),
        _ => None,
    }) {
        tokio::time::sleep(by).await;
    }
    if machine.strike(|f| matches!(f, Fault::ResetCall { method } if fits(method)).then_some(())).is_some() {
        peer.token.cancel();
        std::future::pending::<()>().await;
    }
    let refused = machine.strike(|f| match f {
        Fault::RefuseCall { method, code, message } if fits(method) => Some(Status::new(*code, message.clone())),
        _ => None,
    });
    refused.map_or(Ok(()), Err)
}

/// Whether this version serves a method at all; the words are those of grpc-go and of Talos v1.12.2
/// internal/app/maintenance/server.go.
fn is_served(path: &str, version: &TalosVersion, maintenance: bool) -> Result<(), Status> {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let unknown_service = || Err(Status::unimplemented(format!("unknown service {service}")));
    let own_server = maintenance && !version.maintenance_serves_apid();
    if own_server {
        return match (service, method) {
            ("cosi.resource.State" | "storage.StorageService", _)
            | ("machine.MachineService", "ApplyConfiguration") => Ok(()),
            ("machine.MachineService", "Version" | "Upgrade" | "Reset" | "MetaWrite" | "MetaDelete") => {
                Err(Status::unimplemented("API is not implemented in maintenance mode"))
            }
            ("machine.MachineService", "GenerateClientConfiguration") => Err(Status::unimplemented(
                "client configuration (talosconfig) can't be generated in the maintenance mode",
            )),
            ("machine.MachineService", _) => Err(Status::unimplemented(format!("method {method} not implemented"))),
            _ => unknown_service(),
        };
    }
    if !roles::is_service(service, version) {
        return unknown_service();
    }
    // Nobody asks for a role before the method is known.
    if roles::is_known(path, version) { Ok(()) } else { Err(unknown_method(service, method)) }
}

fn unknown_method(service: &str, method: &str) -> Status {
    Status::unimplemented(format!("unknown method {method} for service {service}"))
}

/// The generated servers refuse unknown methods without a word; grpc-go has some.
fn name_unknown_method(path: &str, response: Response) -> Response {
    let headers = response.headers();
    let unimplemented = headers.get("grpc-status").is_some_and(|code| code == "12");
    if !unimplemented || headers.get("grpc-message").is_some_and(|message| !message.is_empty()) {
        return response;
    }
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    refuse(unknown_method(service, method))
}

/// A status as gRPC sends it when there is nothing else to send.
pub fn refuse(status: Status) -> Response {
    status.into_http::<axum::body::Body>().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str, version: &str, maintenance: bool) -> String {
        let version = version.parse().expect("a version");
        is_served(path, &version, maintenance).err().map(|status| status.message().to_owned()).unwrap_or_default()
    }

    #[test]
    fn maintenance_of_1_12_is_a_server_of_its_own() {
        let apid = "/machine.MachineService/Version";
        assert_eq!(words(apid, "v1.12.2", true), "API is not implemented in maintenance mode");
        assert_eq!(words(apid, "v1.13.9", true), "");
        assert_eq!(words("/machine.MachineService/Bootstrap", "v1.12.2", true), "method Bootstrap not implemented");
        assert_eq!(words("/time.TimeService/Time", "v1.12.2", true), "unknown service time.TimeService");
    }

    #[test]
    fn lifecycle_service_came_with_1_13() {
        let path = "/machine.LifecycleService/Upgrade";
        assert_eq!(words(path, "v1.12.11", false), "unknown service machine.LifecycleService");
        assert_eq!(words(path, "v1.13.0", false), "");
        let unheard = "unknown method Unheard for service machine.LifecycleService";
        assert_eq!(words("/machine.LifecycleService/Unheard", "v1.13.0", false), unheard);
    }
}
