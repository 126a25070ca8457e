//! `machine.ImageService` (Talos 1.13 and later).

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{entry::entry_of_installer, gate::Note, machine::Machine};
use crate::wire::{
    common::{ContainerDriver, ContainerdInstance, ContainerdNamespace},
    machine::{
        ImageServicePullLayerProgress, ImageServicePullProgress, ImageServicePullRequest, ImageServicePullResponse,
        image_service_pull_layer_progress::Status as LayerStatus, image_service_pull_response,
        image_service_server::ImageService,
    },
};

/// The service of one node.
pub struct Images(pub Arc<Machine>);

#[tonic::async_trait]
impl ImageService for Images {
    type PullStream = Pin<Box<dyn Stream<Item = Result<ImageServicePullResponse, Status>> + Send>>;

    async fn pull(&self, request: Request<ImageServicePullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let reference = request.get_ref().image_ref.clone();
        Note::set(&request, reference.clone());
        let store = store(request.get_ref().containerd)?;
        let needs_cri = store.0 == ContainerDriver::Cri as i32;
        if needs_cri && self.0.boot(|boot| boot.runs("cri")) != Some(true) {
            return Err(Status::failed_precondition("CRI containerd is not running"));
        }
        let (sender, receiver) = mpsc::channel(8);
        let machine = Arc::clone(&self.0);
        tokio::spawn(async move {
            let total = 128 * 1024 * 1024;
            let _ = sender.send(Ok(layer(LayerStatus::Downloading, total / 2, total))).await;
            machine.take(machine.world.timings.pull).await;
            let last = match entry_of_installer(&machine.world.catalog, &reference) {
                Ok(_) => {
                    let _ = sender.send(Ok(layer(LayerStatus::ExtractComplete, total, total))).await;
                    machine.with(|state| state.disk.images.insert((store.0, store.1, reference.clone())));
                    Ok(name(&reference))
                }
                Err(error) => Err(Status::not_found(format!("error pulling image: {error}"))),
            };
            let _ = sender.send(last).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// The store that is meant: (driver, namespace).
pub fn store(instance: Option<ContainerdInstance>) -> Result<(i32, i32), Status> {
    let instance = instance.unwrap_or_default();
    let refuse = |words: String| Err(Status::invalid_argument(words));
    if !matches!(instance.driver, 0 | 1) {
        return refuse(format!("invalid containerd driver {}", instance.driver));
    }
    match (instance.driver(), instance.namespace()) {
        (_, ContainerdNamespace::NsUnknown) => refuse("invalid containerd namespace NS_UNKNOWN".to_owned()),
        (ContainerDriver::Containerd, ContainerdNamespace::NsCri) => {
            refuse("cannot use CRI namespace with containerd driver".to_owned())
        }
        _ => Ok((instance.driver, instance.namespace)),
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct RemoveRequest {
    #[prost(message, optional, tag = "1")]
    containerd: Option<ContainerdInstance>,
    #[prost(string, tag = "2")]
    image_ref: String,
}

/// Takes an image out of a store.
pub fn remove(machine: &Machine, request: RemoveRequest) -> Result<(), Status> {
    let (driver, namespace) = store(request.containerd)?;
    let image = (driver, namespace, request.image_ref);
    if machine.with(|state| state.disk.images.remove(&image)) {
        Ok(())
    } else {
        Err(Status::not_found(format!("image {} not found", image.2)))
    }
}

fn layer(status: LayerStatus, offset: i64, total: i64) -> ImageServicePullResponse {
    let progress = ImageServicePullLayerProgress {
        status: status.into(),
        elapsed: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        offset,
        total,
    };
    let layer_id = format!("sha256:{}", hex::encode(Sha256::digest(b"layer")));
    let progress = ImageServicePullProgress { layer_id, progress: Some(progress) };
    ImageServicePullResponse { response: Some(image_service_pull_response::Response::PullProgress(progress)) }
}

fn name(reference: &str) -> ImageServicePullResponse {
    let digest = hex::encode(Sha256::digest(reference));
    let (name, ..) = crate::talos::image::split_reference(reference);
    let pinned = format!("{name}@sha256:{digest}");
    ImageServicePullResponse { response: Some(image_service_pull_response::Response::Name(pinned)) }
}
