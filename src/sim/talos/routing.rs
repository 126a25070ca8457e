//! The metadata `node` and `nodes` (Talos internal/app/apid/pkg/director/director.go): a control plane passes calls on,
//! to itself too; a worker does not.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    http::HeaderMap,
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

/// How the answers of a call to many are put together.
pub struct Answers {
    /// This node's name in the call, when it is among the targets.
    here: Option<String>,
    /// What is said for the targets that cannot be asked.
    head: Vec<Bytes>,
    streamed: bool,
}

/// Calls that answer with a stream.
const STREAMED: [&str; 12] = [
    "/Copy",
    "/DiskUsage",
    "/Dmesg",
    "/EtcdSnapshot",
    "/Events",
    "/HealthCheck",
    "/ImageList",
    "/Kubeconfig",
    "/List",
    "/Logs",
    "/PacketCapture",
    "/Read",
];

/// Whether a call of the machine service is answered once, not with a stream.
pub fn has_one_answer(path: &str) -> bool {
    path.starts_with(MANY[0]) && !STREAMED.iter().any(|suffix| path.ends_with(suffix))
}

impl Answers {
    /// The answers of these targets.
    pub fn of(targets: Vec<Target>, path: &str) -> Self {
        let streamed = STREAMED.iter().any(|suffix| path.ends_with(suffix));
        let mut answers = Self { here: None, head: Vec::new(), streamed };
        for Target { name, trouble } in targets {
            match trouble {
                None => answers.here = Some(name),
                Some(status) => answers.head.push(failure(&name, &status, streamed)),
            }
        }
        answers
    }

    /// Whether this node is asked.
    pub fn wanted_here(&self) -> bool {
        self.here.is_some()
    }

    /// The answer of this node, with its name on it. The call as a whole is fine, whatever the node said: each message
    /// says what is wrong with its node (Talos internal/app/apid/pkg/backend/apid.go BuildError).
    pub fn with(mut self, response: Response) -> Response {
        let name = self.here.take().unwrap_or_default();
        let (mut parts, body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&parts.headers) {
            for header in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
                parts.headers.remove(header);
            }
            if status.code() != tonic::Code::Ok {
                self.head.push(failure(&name, &status, self.streamed));
            }
            return Response::from_parts(parts, self.body());
        }
        let Self { head, streamed, .. } = self;
        let named = Named { inner: body, name, streamed, head, buffer: BytesMut::new(), end: None };
        Response::from_parts(parts, Body::new(named))
    }

    /// The answer when this node is not asked.
    pub fn without(self) -> Response {
        let mut response = Response::new(self.body());
        let grpc = axum::http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(axum::http::header::CONTENT_TYPE, grpc);
        response
    }

    /// Nothing but failures.
    fn body(self) -> Body {
        let bytes = self.head.concat();
        let message = if self.streamed { bytes.into() } else { frame(&bytes) };
        Body::new(Fixed([Frame::data(message), Frame::trailers(fine())].into()))
    }
}

/// The trailers of a call that went well.
pub fn fine() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    trailers
}

/// The message of a target that could not be asked: nothing but metadata.
fn failure(name: &str, status: &Status, streamed: bool) -> Bytes {
    let metadata = Metadata {
        hostname: name.to_owned(),
        error: format!("rpc error: code = {} desc = {}", go_code(status.code()), status.message()),
        status: Some(google::rpc::Status {
            code: status.code() as i32,
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    };
    let element = field_one(&metadata.encode_to_vec());
    if streamed { frame(&element) } else { field_one(&element).into() }
}

/// A code as grpc-go spells it.
fn go_code(code: tonic::Code) -> String {
    match code {
        tonic::Code::Ok => "OK".to_owned(),
        tonic::Code::Cancelled => "Canceled".to_owned(),
        other => format!("{other:?}"),
    }
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
    end: Option<HeaderMap>,
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
        if let Some(trailers) = self.end.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(part))) => match part.into_data() {
                    Ok(data) => {
                        self.buffer.extend_from_slice(&data);
                        let ready = self.drain();
                        if !ready.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(ready))));
                        }
                    }
                    Err(trailers) => {
                        let status = trailers.trailers_ref().and_then(Status::from_header_map);
                        let Some(status) = status.filter(|status| status.code() != tonic::Code::Ok) else {
                            return Poll::Ready(Some(Ok(trailers)));
                        };
                        self.end = Some(fine());
                        let mut last: Vec<u8> = self.head.drain(..).flat_map(|bytes| bytes.to_vec()).collect();
                        last.extend(failure(&self.name, &status, self.streamed));
                        let last = if self.streamed { last.into() } else { frame(&last) };
                        return Poll::Ready(Some(Ok(Frame::data(last))));
                    }
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
