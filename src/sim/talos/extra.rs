//! Calls that `talosctl` and the siderolabs provider make and the provider of this repository does not: their messages
//! are not among the wire's, so they are decoded and answered here.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use prost::Message;
use time::OffsetDateTime;
use tonic::Status;

use super::{
    archive::tar_gz,
    boot,
    machine::Machine,
    machine_service::timestamp,
    routing::{Fixed, frame},
};
use crate::{sim::pki::Authority, wire::common::Data};

/// The calls that are answered here.
pub fn knows(path: &str) -> bool {
    CALLS.contains(&path)
}

const CALLS: [&str; 10] = [
    "/machine.MachineService/EtcdStatus",
    "/machine.MachineService/GenerateClientConfiguration",
    "/machine.MachineService/ImagePull",
    "/machine.MachineService/Kubeconfig",
    "/machine.MachineService/MetaDelete",
    "/machine.MachineService/MetaWrite",
    "/machine.MachineService/Rollback",
    "/machine.MachineService/ServiceRestart",
    "/machine.MachineService/ServiceStart",
    "/machine.MachineService/ServiceStop",
];

/// Answers one of them.
pub async fn answer(machine: &Arc<Machine>, path: &str, request: Request) -> Result<Response, Status> {
    let body = to_bytes(request.into_body(), 4 * 1024 * 1024).await.map_err(|e| Status::internal(e.to_string()))?;
    let message = body.get(5..).unwrap_or_default();
    let method = path.rsplit('/').next().unwrap_or_default();
    let reply = match method {
        "Kubeconfig" => kubeconfig(machine)?,
        "GenerateClientConfiguration" => client_configuration(machine, decode(message)?)?,
        "ServiceRestart" | "ServiceStart" | "ServiceStop" => service(machine, method, decode(message)?)?,
        "Rollback" => rollback(machine),
        "ImagePull" => image_pull(machine, decode(message)?).await?,
        "EtcdStatus" => etcd_status(machine)?,
        // Meta: taken and forgotten.
        _ => wrap(&[]),
    };
    Ok(response(&reply))
}

/// One `XResponse` with one `X` in it.
fn wrap(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut out);
    out.extend_from_slice(message);
    out
}

fn response(message: &[u8]) -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    let frames = [http_body::Frame::data(frame(message)), http_body::Frame::trailers(trailers)].into();
    let mut response = Response::new(Body::new(Fixed(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Status> {
    T::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

fn only_control_planes(machine: &Machine, what: &str) -> Result<(), Status> {
    let (control_plane, newer) =
        machine.boot(|boot| (boot.is_control_plane(), boot.entry.version.minor_pair() >= (1, 13))).unwrap_or_default();
    match (control_plane, newer) {
        (true, _) => Ok(()),
        (false, false) if what == "client configuration" => {
            Err(Status::failed_precondition("client configuration (talosconfig) can't be generated on worker nodes"))
        }
        _ => Err(Status::unimplemented(format!("{what} is only available on control plane nodes"))),
    }
}

/// A tar.gz with one file, in one chunk of the stream.
fn kubeconfig(machine: &Machine) -> Result<Vec<u8>, Status> {
    only_control_planes(machine, "kubeconfig")?;
    let config = machine.boot(|boot| boot.config.clone()).flatten();
    let endpoint = config.as_ref().and_then(|config| config.parsed.cluster_endpoint()).unwrap_or_default();
    let name = config.as_ref().and_then(|config| config.parsed.cluster_name()).unwrap_or_default();
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {endpoint}\nusers:\n\
         - name: admin@{name}\n  user: {{}}\ncontexts:\n- name: admin@{name}\n  context:\n    cluster: {name}\n    \
         user: admin@{name}\ncurrent-context: admin@{name}\n"
    );
    Ok(Data { metadata: None, bytes: tar_gz("kubeconfig", text.as_bytes()) }.encode_to_vec())
}

#[derive(Clone, PartialEq, Message)]
struct ClientConfigurationRequest {
    #[prost(string, repeated, tag = "1")]
    roles: Vec<String>,
    #[prost(message, optional, tag = "2")]
    crt_ttl: Option<prost_types::Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct ClientConfiguration {
    #[prost(bytes = "vec", tag = "2")]
    ca: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    crt: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    talosconfig: Vec<u8>,
}

fn client_configuration(machine: &Machine, request: ClientConfigurationRequest) -> Result<Vec<u8>, Status> {
    only_control_planes(machine, "client configuration")?;
    if request.crt_ttl.is_none_or(|ttl| ttl.seconds <= 0) {
        return Err(Status::unknown("crt_ttl should be positive"));
    }
    let config = machine.boot(|boot| boot.config.clone()).flatten().ok_or_else(|| Status::unavailable("no config"))?;
    let ca = config.parsed.os_ca_certificate().unwrap_or_default();
    let key = config.parsed.os_ca_key().map(|key| key.expose().clone()).unwrap_or_default();
    let failed = |error: crate::sim::pki::PkiError| Status::unknown(error.to_string());
    let authority = Authority::from_pem("machine.ca", &ca, &key).map_err(failed)?;
    let roles: Vec<&str> = request.roles.iter().map(String::as_str).collect();
    let pair = authority.client(&roles, "", machine.now()).map_err(failed)?;
    let message = ClientConfiguration {
        ca: ca.into_bytes(),
        crt: pair.certificate.into_bytes(),
        key: pair.key.into_bytes(),
        talosconfig: Vec::new(),
    };
    Ok(wrap(&message.encode_to_vec()))
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceReply {
    #[prost(string, tag = "2")]
    resp: String,
}

fn service(machine: &Machine, method: &str, Named { id }: Named) -> Result<Vec<u8>, Status> {
    if machine.boot(|boot| boot.service(&id).is_some()) != Some(true) {
        return Err(Status::unknown(format!("service {id:?} is not defined")));
    }
    let done = match method {
        "ServiceRestart" => "restarted",
        "ServiceStart" => "started",
        _ => "stopped",
    };
    machine.say(&format!("service[{id}]: {done} through the API"));
    Ok(wrap(&ServiceReply { resp: format!("Service {id:?} {done}") }.encode_to_vec()))
}

fn rollback(machine: &Arc<Machine>) -> Vec<u8> {
    machine.with(|state| {
        let disk = &mut state.disk;
        if disk.fallback.is_some() {
            std::mem::swap(&mut disk.entry, &mut disk.fallback);
        }
    });
    boot::reboot_soon(machine, "reboot", String::new());
    wrap(&[])
}

#[derive(Clone, PartialEq, Message)]
struct ImagePullRequest {
    #[prost(int32, tag = "1")]
    namespace: i32,
    #[prost(string, tag = "2")]
    reference: String,
}

async fn image_pull(machine: &Machine, request: ImagePullRequest) -> Result<Vec<u8>, Status> {
    machine.take(machine.world.timings.pull).await;
    let catalog = &machine.world.catalog;
    super::entry::entry_of_installer(catalog, &request.reference).map_err(Status::not_found)?;
    Ok(wrap(&[]))
}

#[derive(Clone, PartialEq, Message)]
struct EtcdStatusReply {
    #[prost(message, optional, tag = "2")]
    member: Option<EtcdMemberStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct EtcdMemberStatus {
    #[prost(string, tag = "1")]
    protocol_version: String,
    #[prost(int64, tag = "2")]
    db_size: i64,
    #[prost(uint64, tag = "4")]
    leader: u64,
    #[prost(uint64, tag = "10")]
    member_id: u64,
}

fn etcd_status(machine: &Machine) -> Result<Vec<u8>, Status> {
    only_control_planes(machine, "etcd status")?;
    if machine.boot(|boot| boot.runs("etcd")) != Some(true) {
        return Err(Status::unknown("context deadline exceeded"));
    }
    let id = 0x51b7_9c3e_2a4d_0001;
    let member =
        EtcdMemberStatus { protocol_version: "3.6.7".to_owned(), db_size: 2_000_000, leader: id, member_id: id };
    Ok(wrap(&EtcdStatusReply { member: Some(member) }.encode_to_vec()))
}

/// `time.TimeService/Time`, kept beside the others for its one message.
#[derive(Clone, PartialEq, Message)]
struct TimeReply {
    #[prost(string, tag = "2")]
    server: String,
    #[prost(message, optional, tag = "3")]
    local: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "4")]
    remote: Option<prost_types::Timestamp>,
}

/// The node's clock beside the real one.
pub fn time(machine: &Machine) -> Response {
    let reply = TimeReply {
        server: "169.254.169.254".to_owned(),
        local: Some(timestamp(machine.now())),
        remote: Some(timestamp(OffsetDateTime::now_utc())),
    };
    response(&Bytes::from(wrap(&reply.encode_to_vec())))
}
