//! Containers and images, as containerd and the CRI would tell.

use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;

use super::{
    discovery,
    entry::entry_of_installer,
    machine::Machine,
    spec::{Field, Value, text},
    state::{Boot, Service},
};
use crate::wire::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};

const SYSTEM: &str = "system";
const KUBERNETES: &str = "k8s.io";
const PAUSE: &str = "registry.k8s.io/pause:3.10";

#[derive(Clone, PartialEq, Message)]
pub struct ContainersRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(enumeration = "ContainerDriver", tag = "2")]
    driver: i32,
}

/// A container, or the sandbox of a pod.
struct Container {
    /// As it is shown; part of it is enough to ask for it.
    id: String,
    pod: String,
    image: String,
    status: &'static str,
}

/// Which containers are meant (Talos v1.12.2 v1alpha1_server.go getContainerInspector, internal/pkg/containers).
fn containers(machine: &Machine, request: &ContainersRequest) -> Result<Vec<Container>, Status> {
    if request.driver() == ContainerDriver::Cri && request.namespace != KUBERNETES {
        return Err(Status::unknown("CRI inspector is supported only for K8s namespace"));
    }
    let found = machine.boot(|boot| {
        if request.namespace == SYSTEM {
            let services = boot.services.iter().filter(|service| service.state == "Running");
            let system =
                services.filter(|service| ["apid", "trustd"].contains(&service.id) || service.id.starts_with("ext-"));
            let container = |service: &Service| Container {
                id: service.id.to_owned(),
                pod: service.id.to_owned(),
                image: String::new(),
                status: "RUNNING",
            };
            return system.map(container).collect();
        }
        pods(boot)
    });
    Ok(found.unwrap_or_default())
}

/// The static pods, each as a sandbox and its one container.
fn pods(boot: &Boot) -> Vec<Container> {
    let images = discovery::static_pod_images(boot).into_iter().filter(|_| boot.runs("kubelet"));
    let pod = |(name, image): (&'static str, String)| {
        let pod = format!("kube-system/{name}-{}", boot.node_name.as_deref().unwrap_or("node"));
        let short = &hex::encode(Sha256::digest(format!("{}{pod}", boot.id)))[..12];
        let id = format!("{pod}:{name}:{short}");
        let sandbox = Container { id: pod.clone(), pod: pod.clone(), image: PAUSE.to_owned(), status: "SANDBOX_READY" };
        [sandbox, Container { id, pod, image, status: "CONTAINER_RUNNING" }]
    };
    images.flat_map(pod).collect()
}

/// Whether the CRI has a container: by namespace and pod, with a name, with a part of its id.
pub fn is_known(machine: &Machine, id: &str) -> bool {
    let known = |container: &Container| container.id == id || container.id.starts_with(&format!("{id}:"));
    machine.boot(|boot| pods(boot).iter().any(known)) == Some(true)
}

/// `machine.Container`
pub fn list(machine: &Machine, request: &ContainersRequest) -> Result<Vec<Field>, Status> {
    let one = |(container, pid): (Container, u64)| {
        Value::Message(vec![
            (1, "namespace", text(&*request.namespace)),
            (2, "id", text(&*container.id)),
            (3, "image", text(container.image)),
            (4, "pid", Value::Int(pid)),
            (5, "status", text(container.status)),
            (6, "podId", text(container.pod)),
            (7, "name", text(name(&container.id))),
        ])
    };
    let all = containers(machine, request)?.into_iter().zip(2000..).map(one).collect();
    Ok(vec![(2, "containers", Value::List(all))])
}

/// `machine.Stats`
pub fn stats(machine: &Machine, request: &ContainersRequest) -> Result<Vec<Field>, Status> {
    let one = |container: Container| {
        // A sandbox uses nothing.
        let used = u64::from(container.status != "SANDBOX_READY");
        Value::Message(vec![
            (1, "namespace", text(&*request.namespace)),
            (2, "id", text(&*container.id)),
            (4, "memoryUsage", Value::Int(used * (48 << 20))),
            (5, "cpuUsage", Value::Int(used * 1_500_000_000)),
            (6, "podId", text(container.pod)),
            (7, "name", text(name(&container.id))),
        ])
    };
    Ok(vec![(2, "stats", Value::List(containers(machine, request)?.into_iter().map(one).collect()))])
}

/// The container's own name; a sandbox has that of its pod.
fn name(id: &str) -> &str {
    id.split(':').nth(1).unwrap_or(id)
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
    let cri = |namespace| store == (ContainerDriver::Cri as i32, namespace as i32);
    machine.boot(|boot| {
        if cri(ContainerdNamespace::NsSystem) && boot.runs("kubelet") {
            names.extend(boot.config.as_ref().and_then(|config| config.parsed.kubelet_image()));
        }
        if cri(ContainerdNamespace::NsCri) && boot.runs("kubelet") {
            let images = discovery::static_pod_images(boot);
            names.extend((!images.is_empty()).then(|| PAUSE.to_owned()));
            names.extend(images.into_iter().map(|(_, image)| image));
        }
    });
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
