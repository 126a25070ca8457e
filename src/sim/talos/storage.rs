//! `storage.StorageService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::machine::Machine;
use crate::wire::storage::{Disk, Disks, DisksResponse, disk::DiskType, storage_service_server::StorageService};

/// The service of one node.
pub struct Storage(pub Arc<Machine>);

#[tonic::async_trait]
impl StorageService for Storage {
    async fn disks(&self, _request: Request<()>) -> Result<Response<DisksResponse>, Status> {
        let hardware = &self.0.hardware;
        let disk = Disk {
            size: hardware.disk_bytes,
            model: "BlockVolume".to_owned(),
            device_name: format!("/dev/{}", hardware.disk),
            serial: hardware.serial.clone(),
            wwid: format!("naa.{}", hardware.serial),
            r#type: DiskType::Hdd.into(),
            system_disk: true,
            subsystem: "/sys/class/block".to_owned(),
            ..Disk::default()
        };
        let message = Disks { metadata: None, disks: vec![disk] };
        Ok(Response::new(DisksResponse { messages: vec![message] }))
    }
}
