//! A machine in the cloud: its ports, its power, and the handle that tests hold.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    journal::Event,
    metadata::{Instance, Metadata},
    port::Port,
    rescue::{self, Context, Ending, RescueOptions, Sandbox},
    ssh_keys::SshKeys,
    talos::{self, Hardware, Machine, Surroundings, Wish, stage_word},
    world::{LOOPBACK, WorldError},
};

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Display name and default hostname.
    pub name: String,
    /// Where it listens.
    pub host: IpAddr,
    /// Port of the rescue shell; 0 lets the system choose.
    pub ssh_port: u16,
    /// Port of the Talos API; 0 lets the system choose.
    pub talos_port: u16,
    /// Whether `host` is a public address behind NAT: then it is in the API certificate only through `machine.certSANs`.
    pub behind_nat: bool,
    /// Private address.
    pub private_ip: IpAddr,
    /// MAC address.
    pub mac: String,
    /// `user_data` as the metadata service gives it out (base64).
    pub user_data: Option<String>,
    /// The rescue host.
    pub rescue: RescueOptions,
    /// What the machine does when it is switched on.
    pub start: Start,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            name: "cloudbox2".to_owned(),
            host: LOOPBACK,
            ssh_port: 0,
            talos_port: 0,
            behind_nat: false,
            private_ip: IpAddr::from([10, 0, 0, 214]),
            mac: "02:00:17:27:16:32".to_owned(),
            user_data: None,
            rescue: RescueOptions::default(),
            start: Start::Rescue,
        }
    }
}

/// What a machine does when it is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It runs the rescue system.
    Rescue,
    /// Somebody has flashed it already: it boots this image.
    Flashed {
        /// A schematic's YAML.
        schematic: String,
        /// A Talos version.
        version: String,
    },
    /// It has run Talos before: the disk counts as installed without an image on it, and STATE holds a configuration or
    /// nothing. Cheap, for worlds of many nodes.
    Installed {
        /// A schematic's YAML.
        schematic: String,
        /// A Talos version.
        version: String,
        /// The configuration on STATE.
        config: Option<String>,
    },
    /// It stays off.
    Off,
}

/// A node of a running world. It stops with the world, or when this handle is dropped.
pub struct SimNode {
    machine: Arc<Machine>,
    ssh: SocketAddr,
    host_key: SshKeys,
    ssh_user: String,
    sandbox: Arc<Sandbox>,
    wishes: mpsc::UnboundedSender<Wish>,
    metadata: SocketAddr,
    life: CancellationToken,
    _driver: JoinHandle<()>,
}

impl SimNode {
    pub(super) async fn start(
        world: &Surroundings,
        keys: &SshKeys,
        directory: &Path,
        index: u32,
        options: NodeOptions,
        life: &CancellationToken,
    ) -> Result<Self, WorldError> {
        let home = directory.join(format!("node-{index}-{}", options.name));
        let sandbox = prepare(&home, &options)?;
        let life = life.child_token();
        let (metadata, metadata_at) = serve_metadata(world, index, &options, &life).await?;
        let (ssh, talos) = (reserve(&options, options.ssh_port)?, reserve(&options, options.talos_port)?);
        let (wishes, heard) = mpsc::unbounded_channel();
        let hardware = hardware(&options, index, &metadata);
        let disk = sandbox.disk();
        let machine = Arc::new(Machine::new(hardware, world.clone(), talos, metadata, disk, wishes.clone()));
        let mut power = Power::Rescue;
        match &options.start {
            Start::Rescue => {}
            Start::Off => power = Power::Off,
            Start::Flashed { schematic, version } => {
                preset(&machine, schematic, version)
                    .await
                    .map_err(|reason| WorldError::Preset { node: options.name.clone(), reason })?;
                power = Power::Talos;
            }
            Start::Installed { schematic, version, config } => {
                talos::pretend_installed(&machine, schematic, version, config.as_deref())
                    .map_err(|reason| WorldError::Preset { node: options.name.clone(), reason })?;
                power = Power::Talos;
            }
        }
        let ssh_address = ssh.address();
        let ssh_user = rescue::login_name(&options.rescue);
        let host_key = SshKeys::generate();
        let driver = Driver {
            machine: Arc::clone(&machine),
            ssh,
            host_key: host_key.clone(),
            keys: keys.clone(),
            rescue: options.rescue,
            sandbox: Arc::clone(&sandbox),
            metadata: metadata_at,
            life: life.clone(),
        };
        let driver = tokio::spawn(driver.run(power, heard));
        let ready = Self {
            machine,
            ssh: ssh_address,
            host_key,
            ssh_user,
            sandbox,
            wishes,
            metadata: metadata_at,
            life,
            _driver: driver,
        };
        Ok(ready)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// The address that everything of it listens on.
    pub fn host(&self) -> IpAddr {
        self.ssh.ip()
    }

    /// Port of the rescue shell.
    pub fn ssh_port(&self) -> u16 {
        self.ssh.port()
    }

    /// Port of the Talos API.
    pub fn talos_port(&self) -> u16 {
        self.machine.port.address().port()
    }

    /// A login name that the rescue shell takes: with a real `sshd`, only the one that runs this process.
    pub fn ssh_user(&self) -> &str {
        &self.ssh_user
    }

    /// The rescue shell's host key, as in `known_hosts`.
    pub fn host_key(&self) -> String {
        self.host_key.public_openssh()
    }

    /// Address of its metadata service.
    pub fn metadata(&self) -> SocketAddr {
        self.metadata
    }

    /// The file that is its disk.
    pub fn disk(&self) -> PathBuf {
        self.sandbox.disk()
    }

    /// The pretend root directory of its rescue host.
    pub fn rescue_root(&self) -> &Path {
        self.sandbox.root()
    }

    /// Its OCID.
    pub fn instance_id(&self) -> &str {
        &self.machine.hardware.instance_id
    }

    /// Its SMBIOS UUID.
    pub fn uuid(&self) -> &str {
        &self.machine.hardware.uuid
    }

    /// Its stage, as in `MachineStatus`; `off` while no Talos runs.
    pub fn stage(&self) -> &'static str {
        self.machine.boot(|boot| stage_word(boot.stage)).unwrap_or("off")
    }

    /// The boot id of the running Talos.
    pub fn boot_id(&self) -> Option<String> {
        self.machine.boot(|boot| boot.id.clone())
    }

    /// Waits for a stage.
    pub async fn wait_for_stage(&self, stage: &str, deadline: Duration) -> bool {
        let reached = self.machine.until(|state| {
            let boot = state.boot.as_ref()?;
            (stage_word(boot.stage) == stage).then_some(())
        });
        timeout(deadline, reached).await.is_ok()
    }

    /// Waits until the Talos port is open.
    pub async fn wait_for_api(&self, deadline: Duration) -> bool {
        let open = self.machine.until(|state| state.boot.as_ref()?.listening.then_some(()));
        timeout(deadline, open).await.is_ok()
    }

    /// Changes the `user_data`.
    pub fn set_user_data(&self, user_data: Option<String>) {
        self.machine.metadata.set_user_data(user_data);
    }

    /// Pulls the plug and boots the rescue system.
    pub fn boot_rescue(&self) {
        self.press(Wish::Rescue);
    }

    /// Pulls the plug and boots from the disk.
    pub fn power_cycle(&self) {
        self.press(Wish::Reboot("power cycle".to_owned()));
    }

    /// Pulls the plug.
    pub fn power_off(&self) {
        self.press(Wish::PowerOff("power button".to_owned()));
    }

    fn press(&self, wish: Wish) {
        // The driver ends only with the world.
        let _ = self.wishes.send(wish);
    }
}

impl Drop for SimNode {
    fn drop(&mut self) {
        self.life.cancel();
    }
}

/// What runs on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Off,
    Rescue,
    Talos,
}

/// The task that is the machine's power supply.
struct Driver {
    machine: Arc<Machine>,
    ssh: Port,
    host_key: SshKeys,
    keys: SshKeys,
    rescue: RescueOptions,
    sandbox: Arc<Sandbox>,
    metadata: SocketAddr,
    life: CancellationToken,
}

impl Driver {
    async fn run(self, mut power: Power, mut wishes: mpsc::UnboundedReceiver<Wish>) {
        while !self.life.is_cancelled() {
            let life = self.life.child_token();
            let wish = {
                let running = self.power_on(power, life.clone());
                tokio::pin!(running);
                let wish = tokio::select! {
                    wish = wishes.recv() => wish,
                    wish = &mut running => wish,
                };
                life.cancel();
                wish
            };
            let Some(wish) = wish else { return };
            // Wishes of a system that is gone mean nothing to the next one.
            while wishes.try_recv().is_ok() {}
            power = self.fulfil(wish).await;
        }
    }

    /// Runs until something inside asks to be powered differently; `None` when the world ends.
    async fn power_on(&self, power: Power, life: CancellationToken) -> Option<Wish> {
        match power {
            Power::Off => life.cancelled().await,
            Power::Talos => talos::run(Arc::clone(&self.machine), life).await,
            Power::Rescue => return self.run_rescue(life).await,
        }
        std::future::pending().await
    }

    async fn run_rescue(&self, life: CancellationToken) -> Option<Wish> {
        let context = Context {
            node: self.machine.name().to_owned(),
            sandbox: Arc::clone(&self.sandbox),
            metadata: self.metadata.to_string(),
            host_key: self.host_key.private().clone(),
            authorized: self.keys.public().clone(),
            journal: self.machine.world.journal.clone(),
            faults: self.machine.world.faults.clone(),
        };
        let Ok(listener) = self.ssh.listen() else { return None };
        match rescue::run(context, &self.rescue, listener, life).await {
            Ok(Some(Ending::Reboot)) => Some(Wish::Reboot("rescue shell".to_owned())),
            Ok(Some(Ending::PowerOff)) => Some(Wish::PowerOff("rescue shell".to_owned())),
            Ok(None) => None,
            Err(error) => {
                tracing::error!("the rescue host of {}: {error}", self.machine.name());
                None
            }
        }
    }

    async fn fulfil(&self, wish: Wish) -> Power {
        self.machine.with(|state| state.boot = None);
        self.machine.world.cluster.change(self.machine.name(), |node| {
            (node.ready, node.silent, node.version) = (false, true, node.version + 1)
        });
        match wish {
            Wish::Reboot(cause) => {
                self.machine.note(Event::Reboot { cause });
                self.machine.take(self.machine.world.timings.reboot_dark).await;
                Power::Talos
            }
            Wish::PowerOff(cause) => {
                self.machine.note(Event::PowerOff { cause });
                Power::Off
            }
            Wish::Rescue => {
                self.machine.note(Event::Reboot { cause: "into the rescue system".to_owned() });
                Power::Rescue
            }
        }
    }
}

fn prepare(home: &Path, options: &NodeOptions) -> Result<Arc<Sandbox>, WorldError> {
    let failed = |source| WorldError::Rescue { node: options.name.clone(), source };
    std::fs::create_dir_all(home).map_err(failed)?;
    Sandbox::create(home, &options.rescue).map(Arc::new).map_err(failed)
}

fn reserve(options: &NodeOptions, port: u16) -> Result<Port, WorldError> {
    let address = SocketAddr::new(options.host, port);
    Port::reserve(options.host, port).map_err(|source| WorldError::Listen { address, what: "a node", source })
}

fn hardware(options: &NodeOptions, index: u32, metadata: &Metadata) -> Hardware {
    let nat_ips = if options.behind_nat { vec![options.host] } else { Vec::new() };
    Hardware {
        name: options.name.clone(),
        uuid: uuid::Uuid::from_u128(0x5a6b_7c8d_9eaf_4b1c_8d2e_3f4a_0000_0000 | u128::from(index)).to_string(),
        instance_id: metadata.instance().id,
        disk: options.rescue.disk.clone(),
        disk_bytes: options.rescue.disk_bytes,
        serial: options.rescue.serial.clone(),
        arch: "arm64".to_owned(),
        private_ip: options.private_ip,
        mac: options.mac.clone(),
        local_ips: vec![options.host],
        nat_ips,
    }
}

async fn serve_metadata(
    world: &Surroundings,
    index: u32,
    options: &NodeOptions,
    life: &CancellationToken,
) -> Result<(Metadata, SocketAddr), WorldError> {
    let address = SocketAddr::new(LOOPBACK, 0);
    let failed = |source| WorldError::Listen { address, what: "the metadata service", source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let instance = Instance {
        id: format!("ocid1.instance.oc1.iad.pretend{index:04}"),
        name: options.name.clone(),
        shape: "VM.Standard.A1.Flex".to_owned(),
        private_ip: options.private_ip.to_string(),
        mac: options.mac.clone(),
        user_data: options.user_data.clone(),
    };
    let metadata = Metadata::new(&options.name, instance, world.journal.clone());
    let (router, life) = (metadata.clone().router(), life.clone());
    tokio::spawn(async move { life.run_until_cancelled(super::factory::serve(listener, router)).await });
    Ok((metadata, address))
}

/// Puts an image on the disk, as a flash of long ago would have.
async fn preset(machine: &Machine, schematic: &str, version: &str) -> Result<(), String> {
    let catalog = &machine.world.catalog;
    let id = catalog.register(schematic).map_err(|error| error.to_string())?.id().to_string();
    let recipe = catalog.recipe(&id, version, "oracle", "arm64").map_err(|error| error.to_string())?;
    let built = catalog.image(&recipe).await.map_err(|error| error.to_string())?;
    let (disk, size) = (machine.disk.clone(), machine.hardware.disk_bytes);
    let write = move || -> std::io::Result<()> {
        let file = File::options().write(true).open(&disk)?;
        file.set_len(0)?;
        file.set_len(size)?;
        built.image.pieces().iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))
    };
    tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
