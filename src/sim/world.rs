//! The whole pretend cloud: factory, cluster and nodes on loopback, until it is dropped.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{Cluster, Switches},
    factory::{self, Catalog, Factory, ImageStore},
    fault::{Fault, Faults},
    journal::{Entry, Journal},
    kubernetes::{self, Pod},
    node::{NodeOptions, SimNode},
    node_object::NodeObject,
    pki::PkiError,
    ssh_keys::SshKeys,
    talos::Surroundings,
    timing::{Ledger, Timings},
};
use crate::talos::{
    pki::{PkiError as TalosPkiError, Validity, temporary_secrets},
    schematic::SchematicError,
    secrets::SecretsBundle,
    talosconfig::{ClientCredentials, Talosconfig},
};

/// What a world is made of.
pub struct WorldOptions {
    /// Where disks and sandboxes are kept; a directory of its own below the system's when not given.
    pub directory: Option<PathBuf>,
    /// The cluster's name.
    pub cluster_name: String,
    /// The URL that machine configurations name as the Kubernetes API.
    pub cluster_endpoint: String,
    /// The cluster's secrets; made up when not given.
    pub secrets: Option<SecretsBundle>,
    /// The switches, as they stand at the start.
    pub switches: Switches,
    /// How long things take.
    pub timings: Timings,
    /// Disk images, shared with other worlds.
    pub images: ImageStore,
    /// Address of the factory; port 0 lets the system choose.
    pub factory: SocketAddr,
    /// Address of the Kubernetes API.
    pub kubernetes: SocketAddr,
}

impl Default for WorldOptions {
    fn default() -> Self {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Self {
            directory: None,
            cluster_name: "eh-ops".to_owned(),
            cluster_endpoint: "https://192.168.1.50:6443".to_owned(),
            secrets: None,
            switches: Switches::default(),
            timings: Timings::default(),
            images: ImageStore::default(),
            factory: any,
            kubernetes: any,
        }
    }
}

/// Why a world or a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Making a directory.
    #[error("making {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Listening on an address.
    #[error("listening on {address} for {what}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What for.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Preparing the rescue host of a node.
    #[error("preparing the rescue host of {node}")]
    Rescue {
        /// Which node.
        node: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The cluster's keys.
    #[error("making the cluster's certificates")]
    Pki(#[from] PkiError),
    /// Making secrets up.
    #[error("making the cluster's secrets")]
    Secrets(#[from] TalosPkiError),
    /// Writing an image to a node's disk before it starts.
    #[error("writing an image to the disk of {node}")]
    Preset {
        /// Which node.
        node: String,
        /// Why not.
        reason: String,
    },
    /// A schematic that is none.
    #[error("registering a schematic")]
    Schematic(#[from] SchematicError),
}

/// A running world. Dropping it stops everything and removes its files.
pub struct World {
    shared: Surroundings,
    kubernetes: kubernetes::Api,
    keys: SshKeys,
    factory: SocketAddr,
    api: SocketAddr,
    directory: PathBuf,
    remove: bool,
    life: CancellationToken,
    nodes: AtomicU32,
}

impl World {
    /// Starts a world with the defaults.
    pub async fn start() -> Result<Self, WorldError> {
        Self::start_with(WorldOptions::default()).await
    }

    /// Starts a world.
    pub async fn start_with(options: WorldOptions) -> Result<Self, WorldError> {
        let (directory, remove) = prepare(options.directory)?;
        let secrets = match options.secrets {
            Some(secrets) => secrets,
            None => made_up_secrets()?,
        };
        let cluster = Cluster::new(&options.cluster_name, &options.cluster_endpoint, secrets)?;
        cluster.set(|switches| *switches = options.switches);
        let shared = Surroundings {
            journal: Journal::default(),
            faults: Faults::default(),
            timings: options.timings,
            ledger: Ledger::default(),
            catalog: Arc::new(Catalog::new(options.images)),
            cluster,
        };
        let life = CancellationToken::new();
        let factory = serve_factory(&shared, options.factory, &life).await?;
        let kubernetes =
            kubernetes::Api::new(Arc::clone(&shared.cluster), shared.journal.clone(), shared.faults.clone());
        let api = serve_kubernetes(&shared, kubernetes.clone(), options.kubernetes, &life).await?;
        Ok(Self {
            shared,
            kubernetes,
            keys: SshKeys::generate(),
            factory,
            api,
            directory,
            remove,
            life,
            nodes: AtomicU32::new(0),
        })
    }

    /// Adds a node; it is switched on at once.
    pub async fn add_node(&self, options: NodeOptions) -> Result<SimNode, WorldError> {
        let index = self.nodes.fetch_add(1, Ordering::Relaxed);
        SimNode::start(&self.shared, &self.keys, &self.directory, index, options, &self.life).await
    }

    /// The factory's base URL.
    pub fn factory_url(&self) -> String {
        format!("http://{}", self.factory)
    }

    /// The URL of the Kubernetes API as it is really served.
    pub fn kubernetes_url(&self) -> String {
        format!("https://{}", self.api)
    }

    /// A kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> Result<String, WorldError> {
        Ok(self.shared.cluster.kubeconfig(&self.kubernetes_url())?)
    }

    /// A talosconfig of an administrator of the cluster at home.
    pub fn talosconfig(&self, endpoints: Vec<String>) -> Result<String, WorldError> {
        let credentials = self.credentials(&["os:admin"])?;
        let config = Talosconfig::new(self.shared.cluster.name(), endpoints.clone(), endpoints, &credentials);
        Ok(config.to_yaml().expose().clone())
    }

    /// Credentials for the cluster's Talos API with the given roles.
    pub fn credentials(&self, roles: &[&str]) -> Result<ClientCredentials, WorldError> {
        let pair = self.shared.cluster.client(roles)?;
        Ok(ClientCredentials {
            ca: self.shared.cluster.os().certificate_pem().to_owned(),
            crt: pair.certificate,
            key: crate::talos::secret::Secret::new(pair.key),
        })
    }

    /// The cluster's secrets.
    pub fn secrets(&self) -> &SecretsBundle {
        self.shared.cluster.secrets()
    }

    /// The cluster at home, to look at its Nodes.
    pub fn cluster(&self) -> &Cluster {
        &self.shared.cluster
    }

    /// The SSH keys that open every rescue host.
    pub fn ssh_keys(&self) -> &SshKeys {
        &self.keys
    }

    /// Everything that happened so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// The journal itself, to wait for lines.
    pub fn journal_book(&self) -> &Journal {
        &self.shared.journal
    }

    /// Arms a fault for a node, or for any with `None`, that strikes `times` times.
    pub fn fault(&self, node: Option<&str>, fault: Fault, times: u32) {
        self.shared.faults.arm(node, fault, times);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Turns switches of the world at home.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        self.shared.cluster.set(change);
    }

    /// Posts a schematic as a client of the factory would; answers its id.
    pub fn register_schematic(&self, yaml: &str) -> Result<String, WorldError> {
        Ok(self.shared.catalog.register(yaml)?.id().to_string())
    }

    /// A Node of the cluster.
    pub fn node_object(&self, name: &str) -> Option<NodeObject> {
        self.shared.cluster.node(name)
    }

    /// Puts a pod on a Node.
    pub fn add_pod(&self, pod: Pod) {
        self.kubernetes.add_pod(pod);
    }

    /// All pods.
    pub fn pods(&self) -> Vec<Pod> {
        self.kubernetes.pods().clone()
    }

    /// What a node was told to take so far: its waits, and none of a client's own work.
    pub fn told_to_take(&self, node: &str) -> Duration {
        self.shared.ledger.total(node)
    }

    /// Where the world keeps its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.life.cancel();
        if self.remove {
            // A command of a rescue session may still hold a file; what is left is in the system's directory for such.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

fn prepare(directory: Option<PathBuf>) -> Result<(PathBuf, bool), WorldError> {
    let remove = directory.is_none();
    let path = directory
        .unwrap_or_else(|| std::env::temp_dir().join(format!("talosoci-sim-{}", uuid::Uuid::new_v4().simple())));
    let failed = |source| WorldError::Directory { path: path.clone(), source };
    std::fs::create_dir_all(&path).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    Ok((path, remove))
}

fn made_up_secrets() -> Result<SecretsBundle, TalosPkiError> {
    let seed = uuid::Uuid::new_v4();
    let now = OffsetDateTime::now_utc();
    let validity = Validity { not_before: now - time::Duration::days(1), not_after: now + time::Duration::days(3650) };
    temporary_secrets(seed.as_bytes(), "the cluster at home", validity)
}

async fn listen(address: SocketAddr, what: &'static str) -> Result<(TcpListener, SocketAddr), WorldError> {
    let failed = |source| WorldError::Listen { address, what, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn serve_factory(
    shared: &Surroundings,
    address: SocketAddr,
    life: &CancellationToken,
) -> Result<SocketAddr, WorldError> {
    let (listener, address) = listen(address, "the Image Factory").await?;
    let factory = Factory {
        catalog: Arc::clone(&shared.catalog),
        journal: shared.journal.clone(),
        faults: shared.faults.clone(),
        build_time: shared.timings.factory_build,
    };
    let life = life.clone();
    tokio::spawn(async move { life.run_until_cancelled(factory::serve(listener, factory.router())).await });
    Ok(address)
}

async fn serve_kubernetes(
    shared: &Surroundings,
    api: kubernetes::Api,
    address: SocketAddr,
    life: &CancellationToken,
) -> Result<SocketAddr, WorldError> {
    let (listener, address) = listen(address, "the Kubernetes API").await?;
    let failed = |source| WorldError::Listen { address, what: "the Kubernetes API", source };
    let listener = kubernetes::listener(&shared.cluster, listener).map_err(failed)?;
    let life = life.clone();
    tokio::spawn(async move {
        let server = std::future::IntoFuture::into_future(axum::serve(listener, api.router()));
        life.run_until_cancelled(server).await
    });
    Ok(address)
}

/// The address of loopback that everything listens on unless told otherwise.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
