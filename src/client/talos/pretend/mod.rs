//! A small server for the tests of this module: real TLS and HTTP/2, answers from a script.

mod authority;

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use prost::Message;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status};

use super::Address;
use crate::wire::cosi;

pub(crate) use authority::{Authority, Leaf};

/// What a call gets.
pub(crate) enum Reply {
    /// These messages, then a status; a status at once when there are no messages.
    Messages(Vec<Bytes>, Result<(), Status>),
    /// These messages, and never an end.
    Hang(Vec<Bytes>),
    /// The connections are cut.
    Cut,
}

/// A running server; it ends when dropped.
pub(crate) struct Pretend {
    pub(crate) address: Address,
    /// Paths of the calls in order, with their metadata keys.
    pub(crate) calls: Calls,
    task: tokio::task::JoinHandle<()>,
}

/// Paths of calls in order, with the keys of their metadata.
pub(crate) type Calls = Arc<Mutex<Vec<(String, Vec<String>)>>>;

type Script = dyn Fn(&str, Bytes) -> Reply + Send + Sync;

/// Who may connect.
pub(crate) enum Clients<'a> {
    /// Anybody, without being asked for a certificate.
    Anybody,
    /// Only who has a certificate of this authority.
    Of(&'a Authority),
}

pub(crate) fn one(message: &impl Message) -> Reply {
    many([message.encode_to_vec()])
}

pub(crate) fn many(messages: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    Reply::Messages(messages.into_iter().map(Bytes::from).collect(), Ok(()))
}

pub(crate) fn refuse(status: Status) -> Reply {
    Reply::Messages(Vec::new(), Err(status))
}

/// A COSI resource as Talos sends it.
pub(crate) fn resource(id: &str, yaml: &str) -> cosi::Resource {
    cosi::Resource {
        metadata: Some(cosi::Metadata { id: id.to_owned(), ..cosi::Metadata::default() }),
        spec: Some(cosi::Spec { proto_spec: Vec::new(), yaml_spec: yaml.to_owned() }),
    }
}

/// A reply to `State.Get`.
pub(crate) fn got(id: &str, yaml: &str) -> Reply {
    one(&cosi::GetResponse { resource: Some(resource(id, yaml)) })
}

impl Pretend {
    /// Starts a server on a free port of the loopback.
    pub(crate) async fn start(
        leaf: Leaf,
        clients: Clients<'_>,
        script: impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(Arc::new(server_config(leaf, clients)));
        let calls = Calls::default();
        let task = tokio::spawn(serve(listener, acceptor, Arc::new(script), Arc::clone(&calls)));
        Self { address, calls, task }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

impl Drop for Pretend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn server_config(leaf: Leaf, clients: Clients<'_>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(rustls::DEFAULT_VERSIONS).unwrap();
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::Of(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = x509_parser::pem::parse_x509_pem(authority.pem.as_bytes()).unwrap().1;
            roots.add(pem.contents.into()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(leaf.chain, leaf.key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>, calls: Calls) {
    let cut = tokio_util::sync::CancellationToken::new();
    let accepted = {
        let cut = cut.clone();
        stream::unfold(listener, |listener| async { Some((listener.accept().await, listener)) })
            .map(move |accepted| {
                let (acceptor, cut) = (acceptor.clone(), cut.clone());
                async move {
                    let stream = acceptor.accept(accepted?.0).await?;
                    Ok::<_, io::Error>(Cuttable { stream, cut: Box::pin(cut.cancelled_owned()) })
                }
            })
            .buffer_unordered(64)
            // A failed handshake is the client's business.
            .filter(|accepted| std::future::ready(accepted.is_ok()))
    };
    let answer = move |request: http::Request<axum::body::Body>| {
        let (script, calls, cut) = (script.clone(), calls.clone(), cut.clone());
        async move {
            let path = request.uri().path().to_owned();
            let keys = request.headers().keys().map(|key| key.as_str().to_owned()).collect();
            calls.lock().unwrap().push((path.clone(), keys));
            let call = Call { path, script, cut };
            tonic::server::Grpc::new(Raw).server_streaming(call, request).await
        }
    };
    let routes = tonic::service::Routes::from(axum::Router::new().fallback(answer));
    let server = tonic::transport::Server::builder().add_routes(routes);
    server.serve_with_incoming(accepted).await.unwrap();
}

/// One call against the script.
struct Call {
    path: String,
    script: Arc<Script>,
    cut: tokio_util::sync::CancellationToken,
}

type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl tonic::server::ServerStreamingService<Bytes> for Call {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answers>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let reply = (self.script)(&self.path, request.into_inner());
        let cut = self.cut.clone();
        Box::pin(async move {
            let answers: Answers = match reply {
                Reply::Messages(messages, Err(status)) if messages.is_empty() => {
                    return Err(status);
                }
                Reply::Messages(messages, end) => {
                    let end = stream::iter(end.err().map(Err));
                    Box::pin(stream::iter(messages.into_iter().map(Ok)).chain(end))
                }
                Reply::Hang(messages) => Box::pin(stream::iter(messages.into_iter().map(Ok)).chain(stream::pending())),
                Reply::Cut => {
                    cut.cancel();
                    return pending().await;
                }
            };
            Ok(Response::new(answers))
        })
    }
}

/// A connection that the script can cut.
struct Cuttable {
    stream: TlsStream<TcpStream>,
    cut: Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>,
}

impl tonic::transport::server::Connected for Cuttable {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Messages as bytes: the script encodes them itself.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buf.remaining();
        Ok(Some(buf.copy_to_bytes(length)))
    }
}
