//! go-plugin's own services beside the provider.

use futures_util::stream::{BoxStream, StreamExt, once};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::wire::{
    health::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health},
    plugin::{
        ConnInfo, Nothing, StdioData, grpc_broker_server::GrpcBroker, grpc_controller_server::GrpcController,
        grpc_stdio_server::GrpcStdio,
    },
};

/// The services; all end with the token, and the host cancels it through [`GrpcController`].
#[derive(Clone)]
pub struct Plugin {
    /// Cancelled when the process is to end.
    pub closing: CancellationToken,
}

impl Plugin {
    /// A stream that says nothing until the process ends.
    fn silence<T: Send + 'static>(&self) -> BoxStream<'static, Result<T, Status>> {
        once(self.closing.clone().cancelled_owned()).filter_map(async |()| None).boxed()
    }
}

#[async_trait]
impl GrpcController for Plugin {
    /// The host waits 2 s for the process to end, then kills it.
    async fn shutdown(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        tracing::debug!("the host asks to end");
        self.closing.cancel();
        Ok(Response::new(Nothing {}))
    }
}

#[async_trait]
impl GrpcStdio for Plugin {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    /// Logs go to the real stderr, and nothing is printed.
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(self.silence()))
    }
}

#[async_trait]
impl GrpcBroker for Plugin {
    type StartStreamStream = BoxStream<'static, Result<ConnInfo, Status>>;

    /// Terraform opens no side connections.
    async fn start_stream(&self, _: Request<Streaming<ConnInfo>>) -> Result<Response<Self::StartStreamStream>, Status> {
        Ok(Response::new(self.silence()))
    }
}

#[async_trait]
impl Health for Plugin {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "" | "plugin" => Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() })),
            _ => Err(Status::not_found("no such service")),
        }
    }
}
