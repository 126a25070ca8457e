//! Containers and images, as containerd and the CRI would tell.

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::{
    entry::entry_of_installer,
    machine::Machine,
    spec::{Field, Value, text},
};
use crate::wire::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};

const SYSTEM: &str = "system";
const KUBERNETES: &str = "k8s.io";

#[derive(Clone, PartialEq, Message)]
pub struct ContainersRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(enumeration = "ContainerDriver", tag = "2")]
    driver: i32,
}

/// Which containers are meant (Talos v1.12.2 v1alpha1_server.go getContainerInspector), as (id, pod, image).
fn containers(machine: &Machine, request: &ContainersRequest) -> Result<Vec<(String, String, String)>, Status> {
    if request.driver() == ContainerDriver::Cri && request.namespace != KUBERNETES {
        return Err(Status::unknown("CRI inspector is supported only for K8s namespace"));
    }
    let found = machine.boot(|boot| {
        let services = boot.services.iter().filter(|service| service.state == "Running");
        if request.namespace == SYSTEM {
            let system =
                services.filter(|service| ["apid", "trustd"].contains(&service.id) || service.id.starts_with("ext-"));
            return system.map(|service| (service.id.to_owned(), service.id.to_owned(), String::new())).collect();
        }
        let pods = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let static_pods = pods.iter().filter(|_| boot.is_control_plane() && boot.runs("etcd") && boot.runs("kubelet"));
        let pod = |name: &&str| {
            let pod = format!("kube-system/{name}-{}", boot.node_name.as_deref().unwrap_or("node"));
            (format!("{pod}:{name}"), pod, format!("registry.k8s.io/{name}"))
        };
        let own = services.filter(|service| ["kubelet", "etcd"].contains(&service.id) && request.driver == 0);
        let own = own.map(|service| (service.id.to_owned(), service.id.to_owned(), String::new()));
        own.chain(static_pods.map(pod)).collect::<Vec<_>>()
    });
    Ok(found.unwrap_or_default())
}

/// `machine.Container`
pub fn list(machine: &Machine, request: &ContainersRequest) -> Result<Vec<Field>, Status> {
    let one = |((id, pod, image), pid): ((String, String, String), u64)| {
        let name = id.rsplit(':').next().unwrap_or_default().to_owned();
        Value::Message(vec![
            (1, "namespace", text(&*request.namespace)),
            (2, "id", text(id)),
            (3, "image", text(image)),
            (4, "pid", Value::Int(pid)),
            (5, "status", text("RUNNING")),
            (6, "podId", text(pod)),
            (7, "name", text(name)),
        ])
    };
    let all = containers(machine, request)?.into_iter().zip(2000..).map(one).collect();
    Ok(vec![(2, "containers", Value::List(all))])
}

/// `machine.Stats`
pub fn stats(machine: &Machine, request: &ContainersRequest) -> Result<Vec<Field>, Status> {
    let one = |(id, pod, _): (String, String, String)| {
        let name = id.rsplit(':').next().unwrap_or_default().to_owned();
        Value::Message(vec![
            (1, "namespace", text(&*request.namespace)),
            (2, "id", text(id)),
            (4, "memoryUsage", Value::Int(48 << 20)),
            (5, "cpuUsage", Value::Int(1_500_000_000)),
            (6, "podId", text(pod)),
            (7, "name", text(name)),
        ])
    };
    Ok(vec![(2, "stats", Value::List(containers(machine, request)?.into_iter().map(one).collect()))])
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageRequest {
    #[prost(enumeration = "ContainerdNamespace", tag = "1")]
    namespace: i32,
    #[prost(string, tag = "2")]
    reference: String,
}

impl ImageRequest {
    /// The legacy calls know the CRI's containerd only.
    fn store(&self) -> Result<(i32, i32), Status> {
        if self.namespace() == ContainerdNamespace::NsUnknown {
            return Err(Status::invalid_argument("invalid namespace NS_UNKNOWN"));
        }
        Ok((ContainerDriver::Cri.into(), self.namespace))
    }
}

/// `machine.ImageListResponse`s, which begin with metadata.
pub fn images(machine: &Machine, request: &ImageRequest) -> Result<Vec<Vec<Field>>, Status> {
    Ok(images_of(machine, request.store()?, 1))
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageServiceListRequest {
    #[prost(message, optional, tag = "1")]
    containerd: Option<ContainerdInstance>,
}

/// `machine.ImageServiceListResponse`s, which do not.
pub fn service_images(machine: &Machine, request: ImageServiceListRequest) -> Result<Vec<Vec<Field>>, Status> {
    Ok(images_of(machine, super::image_service::store(request.containerd)?, 0))
}

fn images_of(machine: &Machine, store: (i32, i32), first: u32) -> Vec<Vec<Field>> {
    let mut names: Vec<String> = machine.look(|state| {
        let pulled = state.disk.images.iter().filter(|(driver, namespace, _)| (*driver, *namespace) == store);
        pulled.map(|(.., reference)| reference.clone()).collect()
    });
    let cri_runs = machine.boot(|boot| boot.runs("kubelet")) == Some(true);
    if cri_runs && store == (ContainerDriver::Cri as i32, ContainerdNamespace::NsSystem as i32) {
        names.extend(
            machine.boot(|boot| boot.config.as_ref().and_then(|config| config.parsed.kubelet_image())).flatten(),
        );
    }
    names.sort_unstable();
    names.dedup();
    let created = Value::Message(vec![(1, "seconds", Value::Int(1_767_225_600))]);
    let one = |name: String| {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&name)));
        vec![
            (first + 1, "name", text(name)),
            (first + 2, "digest", text(digest)),
            (first + 3, "size", Value::Int(96 << 20)),
            (first + 4, "createdAt", created.clone()),
        ]
    };
    names.into_iter().map(one).collect()
}

/// The legacy pull, which waits for its end.
pub async fn pull(machine: &Machine, request: ImageRequest) -> Result<(), Status> {
    let (driver, namespace) = request.store()?;
    machine.take(machine.world.timings.pull).await;
    entry_of_installer(&machine.world.catalog, &request.reference)
        .map_err(|error| Status::not_found(format!("error pulling image: {error}")))?;
    machine.with(|state| state.disk.images.insert((driver, namespace, request.reference)));
    Ok(())
}
