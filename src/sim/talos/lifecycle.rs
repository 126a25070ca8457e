//! `machine.LifecycleService` (Talos 1.13 and later): writes a boot entry, and leaves the reboot to the caller.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{entry::entry_of_installer, gate::Note, image_service, machine::Machine, state::BootEntry, upgrade};
use crate::wire::{
    common::ContainerdInstance,
    machine::{
        LifecycleServiceInstallProgress, LifecycleServiceInstallRequest, LifecycleServiceInstallResponse,
        LifecycleServiceUpgradeRequest, LifecycleServiceUpgradeResponse, lifecycle_service_install_progress,
        lifecycle_service_server::LifecycleService,
    },
};

/// The service of one node.
pub struct Lifecycle(pub Arc<Machine>);

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl LifecycleService for Lifecycle {
    type InstallStream = Streaming<LifecycleServiceInstallResponse>;
    type UpgradeStream = Streaming<LifecycleServiceUpgradeResponse>;

    async fn install(
        &self,
        _request: Request<LifecycleServiceInstallRequest>,
    ) -> Result<Response<Self::InstallStream>, Status> {
        // True for every disk that was flashed.
        Err(Status::already_exists("machine is already installed"))
    }

    async fn upgrade(
        &self,
        request: Request<LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        let image = request.get_ref().source.as_ref().map(|source| source.image_name.clone()).unwrap_or_default();
        Note::set(&request, format!("image={image}"));
        let busy = self.0.change(|boot| std::mem::replace(&mut boot.installing, true)) == Some(true);
        if busy {
            return Err(Status::failed_precondition("another installation/upgrade is already in progress"));
        }
        let entry = installer(&self.0, request.get_ref().containerd, &image).inspect_err(|_| {
            self.0.change(|boot| boot.installing = false);
        })?;
        let (sender, receiver) = mpsc::channel(8);
        let machine = Arc::clone(&self.0);
        tokio::spawn(async move {
            // Fragments, not lines: the real server reads the installer's output 512 bytes at a time.
            for fragment in ["2026/01/01 00:00:00 running Talos inst", "aller v1\n2026/01/01 00:00:01 inst", "alling\n"]
            {
                let _ = sender.send(Ok(message(fragment))).await;
            }
            let code = match upgrade::install(&machine, &image, entry).await {
                Ok(()) => 0,
                Err(reason) => {
                    let _ = sender.send(Ok(message(&format!("{reason}\n")))).await;
                    1
                }
            };
            machine.change(|boot| boot.installing = false);
            let _ = sender.send(Ok(exit(code))).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// What an installer would write, if it is where the caller says; in Talos' order and words
/// (v1.13.9 internal/app/lifecycle).
fn installer(machine: &Machine, containerd: Option<ContainerdInstance>, image: &str) -> Result<BootEntry, Status> {
    if image.is_empty() {
        return Err(Status::invalid_argument("installer image name is required"));
    }
    let store = image_service::store(containerd).map_err(|status| {
        let words = status.message();
        Status::internal(format!("upgrade failed: rpc error: code = InvalidArgument desc = {words}"))
    })?;
    let present = machine.look(|state| state.disk.images.contains(&(store.0, store.1, image.to_owned())));
    let entry = entry_of_installer(&machine.world.catalog, image).ok().filter(|_| present);
    entry.ok_or_else(|| {
        Status::internal(format!(
            "upgrade failed: installer image {image:?} not found in containerd store: image {image:?}: not found"
        ))
    })
}

fn message(text: &str) -> LifecycleServiceUpgradeResponse {
    progress(lifecycle_service_install_progress::Response::Message(text.to_owned()))
}

fn exit(code: i32) -> LifecycleServiceUpgradeResponse {
    progress(lifecycle_service_install_progress::Response::ExitCode(code))
}

fn progress(response: lifecycle_service_install_progress::Response) -> LifecycleServiceUpgradeResponse {
    LifecycleServiceUpgradeResponse { progress: Some(LifecycleServiceInstallProgress { response: Some(response) }) }
}
