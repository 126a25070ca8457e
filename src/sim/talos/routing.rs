//! The metadata `node` and `nodes` (Talos internal/app/apid/pkg/director/director.go): a control plane passes calls on,
//! to itself too; a worker does not.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Frame;
use prost::Message;
use tonic::Status;

use super::machine::Machine;
use crate::{
    talos::version::TalosVersion,
    wire::{common::Metadata, google},
};

/// Where a call goes.
pub enum Route {
    /// To this node, as it is.
    Local,
    /// Through the proxy: the answers carry the names.
    Many(Vec<Target>),
}

/// One destination of a call to many.
pub struct Target {
    name: String,
    trouble: Option<Status>,
}

const MANY: [&str; 5] = [
    "/machine.MachineService/",
    "/cluster.ClusterService/",
    "/inspect.InspectService/",
    "/storage.StorageService/",
    "/time.TimeService/",
];

/// Decides as apid's router does.
pub fn route(machine: &Machine, path: &str, headers: &HeaderMap, version: &TalosVersion) -> Result<Route, Status> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
    };
    if headers.contains_key("proxyfrom") {
        return Ok(Route::Local);
    }
    let (mut node, mut nodes) = (values("node"), values("nodes"));
    if node.len() > 1 {
        return Err(Status::invalid_argument("node metadata must be single-valued"));
    }
    let forwards = machine.boot(|boot| boot.is_control_plane()) == Some(true);
    if !forwards {
        let local = |names: &[String]| names.len() == 1 && is_local(machine, &names[0]);
        if local(&node) {
            node.clear();
        }
        if local(&nodes) {
            nodes.clear();
        }
    }
    if !nodes.is_empty() {
        refuse_one_to_many(path, version)?;
    }
    match (nodes.is_empty(), node.is_empty()) {
        (true, true) => Ok(Route::Local),
        _ if !forwards => Err(Status::permission_denied("no request forwarding")),
        (false, _) => {
            let target = |name: String| match dial(machine, &name) {
                // A name that cannot be dialled at all fails the whole call.
                Err(status) if status.code() == tonic::Code::Internal => Err(status),
                result => Ok(Target { trouble: result.err(), name }),
            };
            Ok(Route::Many(nodes.into_iter().map(target).collect::<Result<_, _>>()?))
        }
        (true, false) => dial(machine, &node[0]).map(|()| Route::Local),
    }
}

fn refuse_one_to_many(path: &str, version: &TalosVersion) -> Result<(), Status> {
    let newer = version.minor_pair() >= (1, 13);
    if newer && !MANY.iter().any(|service| path.starts_with(service)) {
        return Err(Status::invalid_argument(format!("one-2-many proxying is not supported for method {path}")));
    }
    if !newer && path.starts_with("/cosi.") {
        return Err(Status::invalid_argument("one-2-many proxying is not supported for COSI methods"));
    }
    Ok(())
}

fn is_local(machine: &Machine, name: &str) -> bool {
    name == machine.hostname()
        || name == machine.fqdn()
        || name.parse().is_ok_and(|ip| machine.addresses().contains(&ip))
}

/// The proxy dials `<name>:50000`, also for its own node.
fn dial(machine: &Machine, name: &str) -> Result<(), Status> {
    let has_port = name.parse::<std::net::Ipv6Addr>().is_err() && name.contains(':');
    if name.is_empty() || has_port {
        return Err(Status::internal(format!("invalid target {name:?}")));
    }
    if is_local(machine, name) {
        return Ok(());
    }
    let words = if name.parse::<std::net::IpAddr>().is_ok() {
        format!("dial tcp {name}:50000: i/o timeout")
    } else {
        format!("dial tcp: lookup {name} on 127.0.0.53:53: no such host")
    };
    let words = format!("connection error: desc = \"transport: Error while dialing: {words}\"");
    Err(Status::unavailable(words))
}

/// Runs the call here for the targets that are this node, and puts names on the answers.
pub async fn run_many(targets: Vec<Target>, path: &str, request: Request, next: Next) -> Response {
    let streamed = ["/Events", "/Dmesg", "/Logs", "/Read", "/List", "/DiskUsage", "/Kubeconfig", "/Copy"]
        .iter()
        .any(|suffix| path.ends_with(suffix));
    let mut failures = Vec::new();
    let mut here = None;
    for Target { name, trouble } in targets {
        match trouble {
            None => here = Some(name),
            Some(status) => failures.push((name, status)),
        }
    }
    let head: Vec<Bytes> = failures.iter().map(|(name, status)| failure(name, status, streamed)).collect();
    let Some(name) = here else {
        // The call as a whole is fine; each message says what is wrong with its node.
        let bytes = head.concat();
        let message = if streamed { bytes.into() } else { frame(&bytes) };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", 0.into());
        let frames = [Frame::data(message), Frame::trailers(trailers)].into();
        let mut response = Response::new(Body::new(Fixed(frames)));
        let grpc = axum::http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(axum::http::header::CONTENT_TYPE, grpc);
        return response;
    };
    let response = next.run(request).await;
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, Body::new(Named { inner: body, name, streamed, head, buffer: BytesMut::new() }))
}

/// The message of a target that could not be asked: nothing but metadata.
fn failure(name: &str, status: &Status, streamed: bool) -> Bytes {
    let metadata = Metadata {
        hostname: name.to_owned(),
        error: format!("rpc error: code = {:?} desc = {}", status.code(), status.message()),
        status: Some(google::rpc::Status {
            code: status.code() as i32,
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    };
    let element = field_one(&metadata.encode_to_vec());
    if streamed { frame(&element) } else { field_one(&element).into() }
}

/// A body that is already there.
pub struct Fixed(pub VecDeque<Frame<Bytes>>);

impl HttpBody for Fixed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A body whose messages get a `metadata.hostname`.
struct Named {
    inner: Body,
    name: String,
    streamed: bool,
    head: Vec<Bytes>,
    buffer: BytesMut,
}

impl Named {
    /// Puts the name into each element of a message.
    fn rename(&mut self, message: &[u8]) -> Bytes {
        let metadata = Metadata { hostname: self.name.clone(), ..Metadata::default() };
        let metadata = field_one(&metadata.encode_to_vec());
        if self.streamed {
            return frame(&[&metadata, message].concat());
        }
        let mut out: Vec<u8> = self.head.drain(..).flat_map(|bytes| bytes.to_vec()).collect();
        let mut rest = message;
        while rest.first() == Some(&0x0a) {
            rest.advance(1);
            let Ok(length) = prost::decode_length_delimiter(&mut rest) else { break };
            let (element, after) = rest.split_at(length.min(rest.len()));
            out.extend(field_one(&[&metadata, element].concat()));
            rest = after;
        }
        frame(&out)
    }

    /// All whole messages that have arrived.
    fn drain(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if self.streamed {
            self.head.drain(..).for_each(|bytes| out.extend_from_slice(&bytes));
        }
        while self.buffer.len() >= 5 {
            let length = u32::from_be_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
            if self.buffer.len() < 5 + length {
                break;
            }
            let message = self.buffer.split_to(5 + length);
            out.extend_from_slice(&self.rename(&message[5..]));
        }
        out.freeze()
    }
}

impl HttpBody for Named {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.buffer.extend_from_slice(&data);
                        let ready = self.drain();
                        if !ready.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(ready))));
                        }
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
    }
}

fn field_one(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// A message as it goes over the wire.
pub fn frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 5);
    out.put_u8(0);
    out.put_u32(message.len() as u32);
    out.extend_from_slice(message);
    out.freeze()
}
