//! Calls that `talosctl` and other clients make and the provider of this repository does not: their messages are not
//! among the wire's, so they are decoded and answered here.

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
    boot, containers, credentials, etcd, files, health, image_service,
    machine::Machine,
    proc,
    roles::Roles,
    routing::{Fixed, fine, frame},
    spec::{Field, Spec, Value, text},
    volumes,
};

/// The calls that are answered here.
pub fn knows(path: &str) -> bool {
    CALLS.contains(&path)
}

const CALLS: [&str; 47] = [
    "/cluster.ClusterService/HealthCheck",
    "/inspect.InspectService/ControllerRuntimeDependencies",
    "/machine.ImageService/List",
    "/machine.ImageService/Remove",
    "/machine.ImageService/Verify",
    "/machine.MachineService/CPUFreqStats",
    "/machine.MachineService/CPUInfo",
    "/machine.MachineService/Containers",
    "/machine.MachineService/Copy",
    "/machine.MachineService/DiskStats",
    "/machine.MachineService/DiskUsage",
    "/machine.MachineService/EtcdAlarmDisarm",
    "/machine.MachineService/EtcdAlarmList",
    "/machine.MachineService/EtcdDefragment",
    "/machine.MachineService/EtcdDowngradeCancel",
    "/machine.MachineService/EtcdDowngradeEnable",
    "/machine.MachineService/EtcdDowngradeValidate",
    "/machine.MachineService/EtcdForfeitLeadership",
    "/machine.MachineService/EtcdLeaveCluster",
    "/machine.MachineService/EtcdRecover",
    "/machine.MachineService/EtcdRemoveMemberByID",
    "/machine.MachineService/EtcdSnapshot",
    "/machine.MachineService/EtcdStatus",
    "/machine.MachineService/GenerateClientConfiguration",
    "/machine.MachineService/ImageList",
    "/machine.MachineService/ImagePull",
    "/machine.MachineService/Kubeconfig",
    "/machine.MachineService/List",
    "/machine.MachineService/LoadAvg",
    "/machine.MachineService/LogsContainers",
    "/machine.MachineService/Memory",
    "/machine.MachineService/MetaDelete",
    "/machine.MachineService/MetaWrite",
    "/machine.MachineService/Mounts",
    "/machine.MachineService/Netstat",
    "/machine.MachineService/NetworkDeviceStats",
    "/machine.MachineService/PacketCapture",
    "/machine.MachineService/Processes",
    "/machine.MachineService/Restart",
    "/machine.MachineService/Rollback",
    "/machine.MachineService/ServiceRestart",
    "/machine.MachineService/ServiceStart",
    "/machine.MachineService/ServiceStop",
    "/machine.MachineService/Stats",
    "/storage.StorageService/BlockDeviceWipe",
    "/time.TimeService/Time",
    "/time.TimeService/TimeCheck",
];

/// As large as the snapshot that a recovery sends may be here.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// Answers one of them.
pub async fn answer(machine: &Arc<Machine>, path: &str, request: Request) -> Result<Response, Status> {
    let admin = request.extensions().get::<Roles>().is_some_and(Roles::is_admin);
    let body = to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|e| Status::internal(e.to_string()))?;
    let message = body.get(5..).unwrap_or_default();
    let method = path.rsplit('/').next().unwrap_or_default();
    let one = |fields: Vec<Field>| vec![wrap(&Spec::Message(fields).proto())];
    let each = |items: Vec<Vec<Field>>| items.into_iter().map(|fields| Spec::Message(fields).proto()).collect();
    let messages: Vec<Vec<u8>> = match method {
        "CPUFreqStats" => one(proc::frequencies()),
        "CPUInfo" => one(proc::cpus()),
        "DiskStats" => one(proc::disks(machine)),
        "LoadAvg" => one(proc::load()),
        "Memory" => one(proc::memory()),
        "Mounts" => one(proc::mounts(machine)),
        "NetworkDeviceStats" => one(proc::network()),
        "Processes" => one(proc::processes(machine)),
        "Netstat" => one(proc::sockets(machine, decode::<NetstatRequest>(message)?.filter == 1)),
        "Containers" => one(containers::list(machine, &decode(message)?)?),
        "Stats" => one(containers::stats(machine, &decode(message)?)?),
        "List" if path.starts_with("/machine.ImageService") => {
            each(containers::service_images(machine, decode(message)?)?)
        }
        "ImageList" => each(containers::images(machine, &decode(message)?)?),
        "ImagePull" => containers::pull(machine, decode(message)?).await.map(|()| one(Vec::new()))?,
        "List" => each(files::list(machine, &decode(message)?)?),
        "DiskUsage" => each(files::usage(machine, &decode(message)?)),
        "Copy" => each(vec![copy(machine, &decode::<Named>(message)?.id)?]),
        "Kubeconfig" => vec![credentials::kubeconfig(machine)?],
        "GenerateClientConfiguration" => {
            vec![wrap(&credentials::client(machine, &decode(message)?)?.encode_to_vec())]
        }
        "ServiceRestart" | "ServiceStart" | "ServiceStop" => {
            one(service(machine, method, &decode::<Named>(message)?.id)?)
        }
        "Rollback" => one(rollback(machine)),
        "MetaWrite" | "MetaDelete" => one(meta(machine, method == "MetaWrite", decode(message)?)?),
        "LogsContainers" => one(logs(machine)),
        "Time" => one(time(machine, "time.cloudflare.com")),
        "TimeCheck" => one(time(machine, &decode::<Named>(message)?.id)),
        "ControllerRuntimeDependencies" => one(Vec::new()),
        "HealthCheck" => {
            let (progress, ended) = health::check(machine, &decode(message)?).await?;
            return Ok(response(each(progress), ended));
        }
        "PacketCapture" => {
            let name = decode::<Named>(message)?.id;
            return Err(Status::not_found(format!("interface {name:?} not found")));
        }
        "Restart" => {
            let id = decode::<RestartRequest>(message)?.id;
            return Err(Status::unknown(format!("container {id:?} not found")));
        }
        "BlockDeviceWipe" => return Err(volumes::refuse_wipe(machine, admin, &decode(message)?)),
        "Remove" => {
            image_service::remove(machine, decode(message)?)?;
            vec![Vec::new()]
        }
        // There are no rules for images here, and what no rule matches is let through.
        "Verify" => each(vec![vec![(2, "message", text("no matched rule"))]]),
        "EtcdSnapshot" => each(vec![etcd::answer(machine, method, message)?]),
        _ => one(etcd::answer(machine, method, message)?),
    };
    Ok(response(messages, Ok(())))
}

/// One `XResponse` with one `X` in it.
fn wrap(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut out);
    out.extend_from_slice(message);
    out
}

/// The bytes of a `common.Data`.
fn data(bytes: Vec<u8>) -> Field {
    (2, "bytes", Value::Bytes(bytes, String::new()))
}

/// A file or a directory as an archive. What goes wrong is told in the metadata of a message, and the call itself is fine
/// (Talos v1.12.2 v1alpha1_server.go Copy).
fn copy(machine: &Machine, path: &str) -> Result<Vec<Field>, Status> {
    if !path.starts_with('/') {
        return Err(Status::unknown(format!("path is not absolute {path}")));
    }
    Ok(match files::archive(machine, path) {
        Ok(entries) => vec![data(super::archive::tar_gz(&entries))],
        Err(error) => vec![(1, "metadata", Value::Message(vec![(2, "error", text(error))]))],
    })
}

/// Messages, and how the call ends after them.
fn response(messages: Vec<Vec<u8>>, ended: Result<(), Status>) -> Response {
    let trailers = match ended {
        Ok(()) => fine(),
        Err(status) => {
            let mut trailers = HeaderMap::new();
            // Our own words have nothing in them that a header could not hold.
            let _ = status.add_header(&mut trailers);
            trailers
        }
    };
    let frames = messages.iter().map(|message| http_body::Frame::data(frame(message)));
    let frames = frames.chain([http_body::Frame::<Bytes>::trailers(trailers)]).collect();
    let mut response = Response::new(Body::new(Fixed(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Status> {
    T::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

/// Any request whose first field is a text.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct NetstatRequest {
    /// 1 is `CONNECTED`.
    #[prost(int32, tag = "1")]
    filter: i32,
}

#[derive(Clone, PartialEq, Message)]
struct RestartRequest {
    #[prost(string, tag = "2")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct MetaRequest {
    #[prost(uint32, tag = "1")]
    key: u32,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Only the kubelet and extensions follow the API (Talos v1.12.2 internal/app/machined/pkg/system/system.go).
fn service(machine: &Machine, method: &str, id: &str) -> Result<Vec<Field>, Status> {
    let runs = machine.boot(|boot| boot.service(id).map(|_| boot.runs(id))).flatten();
    let Some(runs) = runs else {
        return Err(Status::unknown(format!("service {id:?} not defined")));
    };
    let (extension, kubelet) = (id.starts_with("ext-"), id == "kubelet");
    let (verb, done) = match method {
        "ServiceRestart" => ("restart", "restarted"),
        "ServiceStart" => ("start", "started"),
        _ => ("stop", "stopped"),
    };
    let (idle, allowed) = match verb {
        "start" => (runs, extension || kubelet),
        "stop" => (!runs, extension),
        _ => (false, extension || kubelet),
    };
    if !idle && !allowed {
        // One that does not run is started, which is what is refused then.
        let verb = if verb == "restart" && !runs { "start" } else { verb };
        return Err(Status::unknown(format!("service {id:?} doesn't support {verb} operation via API")));
    }
    machine.say(&format!("service[{id}]: {done} through the API"));
    Ok(vec![(2, "resp", text(format!("Service {id:?} {done}")))])
}

fn rollback(machine: &Arc<Machine>) -> Vec<Field> {
    machine.with(|state| {
        let disk = &mut state.disk;
        if disk.fallback.is_some() {
            std::mem::swap(&mut disk.entry, &mut disk.fallback);
        }
    });
    boot::reboot_soon(machine, "reboot", String::new());
    Vec::new()
}

fn meta(machine: &Machine, write: bool, request: MetaRequest) -> Result<Vec<Field>, Status> {
    let key = u8::try_from(request.key).map_err(|_| Status::invalid_argument("key must be a uint8"))?;
    let known = machine.with(|state| {
        if write {
            state.disk.meta.insert(key, request.value);
            return true;
        }
        state.disk.meta.remove(&key).is_some()
    });
    if known { Ok(Vec::new()) } else { Err(Status::not_found("meta key not found")) }
}

fn logs(machine: &Machine) -> Vec<Field> {
    let ids = machine.boot(|boot| boot.services.iter().map(|service| service.id).collect::<Vec<_>>());
    let mut ids = ids.unwrap_or_default();
    ids.sort_unstable();
    vec![(2, "ids", Value::List(ids.into_iter().map(text).collect()))]
}

/// The node's clock beside the real one.
fn time(machine: &Machine, server: &str) -> Vec<Field> {
    let stamp = |at: OffsetDateTime| {
        let seconds = Value::Int(at.unix_timestamp().unsigned_abs());
        Value::Message(vec![(1, "seconds", seconds), (2, "nanos", Value::Int(at.nanosecond().into()))])
    };
    vec![
        (2, "server", text(server)),
        (3, "localtime", stamp(machine.now())),
        (4, "remotetime", stamp(OffsetDateTime::now_utc())),
    ]
}
