//! `machine.MachineService`: the calls that act on a node, and the plain questions.

use std::time::Duration;

use prost_types::Timestamp;
use time::OffsetDateTime;
use tonic::Code;

use crate::talos::secret::Secret;
use crate::wire::machine;
use crate::wire::machine::apply_configuration_request::Mode;

use super::call::request;
use super::resources::BootIdSpec;
use super::{Node, TalosError};

/// Where the kernel keeps the id of this boot.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// When a new configuration takes effect. There is no default: protobuf's own would be a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// Without a reboot where Talos 1.12 and 1.13 can tell that none is needed; 1.14 never reboots.
    Auto,
    /// Without a reboot, or not at all (1.14 does not check).
    NoReboot,
    /// At the next boot.
    Staged,
    /// At once, and taken back after this time unless applied again.
    Try(Duration),
    /// With a reboot; Talos 1.14 refuses it outside maintenance mode.
    Reboot,
}

/// What became of a configuration.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The mode that took effect. Maintenance mode of Talos 1.12 does not say and shows [`ApplyMode::Reboot`].
    pub mode: ApplyMode,
    /// Why, and in a dry run the difference. Quotes the configuration, hence secret.
    pub details: Secret<String>,
    /// Remarks on the configuration.
    pub warnings: Vec<String>,
}

/// What a Bootstrap call found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrapped {
    /// etcd starts now. A reboot before it wrote its data loses this.
    Started,
    /// etcd's data directory is not empty: done before.
    Already,
}

/// How to reboot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RebootMode {
    /// With kexec where the node can.
    #[default]
    Default,
    /// Through the firmware.
    Powercycle,
    /// Without waiting for services (Talos >= 1.12).
    Force,
}

/// What to wipe. Never everything: a reset that names no partition would wipe the whole system disk and with it the
/// flashed image, so that request cannot be built here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetOptions {
    /// Drain, and leave etcd; an error in that fails the reset (a lone control plane cannot leave etcd).
    pub graceful: bool,
    /// Reboot afterwards, else power off.
    pub reboot: bool,
    /// Wipe the machine configuration (`STATE`): the node comes back in maintenance mode.
    pub wipe_state: bool,
    /// Wipe everything else that was written (`EPHEMERAL`).
    pub wipe_ephemeral: bool,
}

/// Which Talos runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// `v1.12.2`.
    pub tag: String,
    /// `arm64`.
    pub arch: String,
    /// Where it believes to run.
    pub platform: Option<PlatformInfo>,
}

/// Where Talos believes to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformInfo {
    /// `oracle`.
    pub name: String,
    /// `cloud`.
    pub mode: String,
}

/// One service of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `apid`, `kubelet`, `ext-tailscale` …
    pub id: String,
    /// `Running`, `Waiting`, `Preparing` …
    pub state: String,
    /// Latest health, when the service has a check.
    pub health: Option<ServiceHealth>,
    /// Its last messages, oldest first (at most 64).
    pub messages: Vec<ServiceMessage>,
}

/// Outcome of a service's health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// Not checked yet.
    pub unknown: bool,
    /// Healthy.
    pub healthy: bool,
    /// What the check said.
    pub last_message: String,
}

/// A change of state of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMessage {
    /// What it said.
    pub text: String,
    /// The state it entered.
    pub state: String,
    /// When, by the node's clock.
    pub at: Option<OffsetDateTime>,
}

/// A member of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdMember {
    /// Its id.
    pub id: u64,
    /// Its host name.
    pub hostname: String,
    /// Not a voting member yet.
    pub is_learner: bool,
}

/// What tells one boot from the next. Two ids of different kinds say nothing about each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootId {
    /// The kernel's own id.
    Kernel(String),
    /// Seconds since the epoch at which the kernel started: all a reader may know before Talos 1.14.
    StartedAt(u64),
}

impl Node {
    /// Sends a machine configuration.
    ///
    /// # Errors
    /// `Rpc(InvalidArgument)` when the node refuses it. After [`TalosError::may_have_taken_effect`] errors look at the
    /// node before sending it again.
    pub async fn apply_configuration(&self, yaml: &str, mode: ApplyMode, dry_run: bool) -> Result<Applied, TalosError> {
        const METHOD: &str = "ApplyConfiguration";
        let message = machine::ApplyConfigurationRequest {
            data: yaml.as_bytes().to_vec().into(),
            mode: mode.wire().into(),
            dry_run,
            try_mode_timeout: match mode {
                ApplyMode::Try(timeout) => prost_types::Duration::try_from(timeout).ok(),
                _ => None,
            },
        };
        let mut client = self.machine_service();
        let call = client.apply_configuration(request(message, self.within));
        let answer = self.only(METHOD, self.call(METHOD, self.within, call).await?.messages)?;
        Ok(Applied {
            mode: ApplyMode::effective(answer.mode(), mode),
            warnings: answer.warnings,
            details: Secret::new(answer.mode_details),
        })
    }

    /// Starts etcd of a new cluster.
    ///
    /// # Errors
    /// [`TalosError::is_not_ready_yet`] while the node is not far enough.
    pub async fn bootstrap(&self) -> Result<Bootstrapped, TalosError> {
        const METHOD: &str = "Bootstrap";
        let mut client = self.machine_service();
        let call = client.bootstrap(request(machine::BootstrapRequest::default(), self.within));
        match self.call(METHOD, self.within, call).await {
            Ok(answer) => self.only(METHOD, answer.messages).map(|_| Bootstrapped::Started),
            // "etcd data directory is not empty".
            Err(TalosError::Rpc { code: Code::AlreadyExists, .. }) => Ok(Bootstrapped::Already),
            Err(error) => Err(error),
        }
    }

    /// Asks for a reboot and returns the id of the sequence, for [`Node::events`]. Nothing is drained.
    ///
    /// # Errors
    /// As any call; a lost connection may well mean that the reboot began.
    pub async fn reboot(&self, mode: RebootMode) -> Result<String, TalosError> {
        const METHOD: &str = "Reboot";
        let mode = match mode {
            RebootMode::Default => machine::reboot_request::Mode::Default,
            RebootMode::Powercycle => machine::reboot_request::Mode::Powercycle,
            RebootMode::Force => machine::reboot_request::Mode::Force,
        };
        let mut client = self.machine_service();
        let call = client.reboot(request(machine::RebootRequest { mode: mode.into() }, self.within));
        Ok(self.only(METHOD, self.call(METHOD, self.within, call).await?.messages)?.actor_id)
    }

    /// Wipes partitions and returns the id of the sequence, for [`Node::events`].
    ///
    /// # Errors
    /// `Answer` without a call when the options name nothing to wipe; else as any call.
    pub async fn reset(&self, options: &ResetOptions) -> Result<String, TalosError> {
        const METHOD: &str = "Reset";
        let wiped = [("STATE", options.wipe_state), ("EPHEMERAL", options.wipe_ephemeral)];
        let partitions: Vec<_> = wiped
            .into_iter()
            .filter(|(_, wipe)| *wipe)
            .map(|(label, wipe)| machine::ResetPartitionSpec { label: label.to_owned(), wipe })
            .collect();
        if partitions.is_empty() {
            return Err(self.nonsense(METHOD, "not sent: with no partition named the node would wipe its whole disk"));
        }
        let message = machine::ResetRequest {
            graceful: options.graceful,
            reboot: options.reboot,
            system_partitions_to_wipe: partitions,
            user_disks_to_wipe: Vec::new(),
            mode: machine::reset_request::WipeMode::SystemDisk.into(),
        };
        let mut client = self.machine_service();
        let call = client.reset(request(message, self.within));
        Ok(self.only(METHOD, self.call(METHOD, self.within, call).await?.messages)?.actor_id)
    }

    /// Powers the node off.
    ///
    /// # Errors
    /// As any call.
    pub async fn shutdown(&self) -> Result<String, TalosError> {
        const METHOD: &str = "Shutdown";
        let mut client = self.machine_service();
        let call = client.shutdown(request(machine::ShutdownRequest { force: false }, self.within));
        Ok(self.only(METHOD, self.call(METHOD, self.within, call).await?.messages)?.actor_id)
    }

    /// Version and platform. Not in maintenance mode of Talos 1.12: see [`Node::version_resource`].
    ///
    /// # Errors
    /// As any call.
    pub async fn version(&self) -> Result<VersionInfo, TalosError> {
        const METHOD: &str = "Version";
        let mut client = self.machine_service();
        let answer = self.call(METHOD, self.within, client.version(request((), self.within))).await?;
        let answer = self.only(METHOD, answer.messages)?;
        let version = answer.version.ok_or_else(|| self.nonsense(METHOD, "the answer has no version"))?;
        Ok(VersionInfo {
            tag: version.tag,
            arch: version.arch,
            platform: answer.platform.map(|platform| PlatformInfo { name: platform.name, mode: platform.mode }),
        })
    }

    /// All services with their state.
    ///
    /// # Errors
    /// As any call.
    pub async fn services(&self) -> Result<Vec<Service>, TalosError> {
        const METHOD: &str = "ServiceList";
        let mut client = self.machine_service();
        let answer = self.call(METHOD, self.within, client.service_list(request((), self.within))).await?;
        let list = self.only(METHOD, answer.messages)?;
        Ok(list.services.into_iter().map(Service::from).collect())
    }

    /// The members of etcd, as the node itself knows them.
    ///
    /// # Errors
    /// `Rpc(Unimplemented)` on a worker; else as any call.
    pub async fn etcd_members(&self) -> Result<Vec<EtcdMember>, TalosError> {
        const METHOD: &str = "EtcdMemberList";
        let mut client = self.machine_service();
        let message = machine::EtcdMemberListRequest { query_local: true };
        let answer = self.call(METHOD, self.within, client.etcd_member_list(request(message, self.within))).await?;
        let list = self.only(METHOD, answer.messages)?;
        Ok(list
            .members
            .into_iter()
            .map(|member| EtcdMember { id: member.id, hostname: member.hostname, is_learner: member.is_learner })
            .collect())
    }

    /// What tells this boot from the next, by the best means that the node's mode and our role allow.
    ///
    /// # Errors
    /// As any call.
    pub async fn boot_id(&self) -> Result<BootId, TalosError> {
        match self.read_file(BOOT_ID_FILE, 128).await {
            Ok(bytes) => {
                return Ok(BootId::Kernel(String::from_utf8_lossy(&bytes).trim().to_owned()));
            }
            Err(error) if not_for_us(&error) => {}
            Err(error) => return Err(error),
        }
        match self.resource::<BootIdSpec>("boot-id").await {
            Ok(Some(spec)) => return Ok(BootId::Kernel(spec.boot_id)),
            Ok(None) => {}
            Err(error) if not_for_us(&error) => {}
            Err(error) => return Err(error),
        }
        const METHOD: &str = "SystemStat";
        let mut client = self.machine_service();
        let answer = self.call(METHOD, self.within, client.system_stat(request((), self.within))).await?;
        Ok(BootId::StartedAt(self.only(METHOD, answer.messages)?.boot_time))
    }
}

/// Readers may not read files, and older versions do not know newer resources.
fn not_for_us(error: &TalosError) -> bool {
    matches!(error, TalosError::Rpc { code: Code::PermissionDenied | Code::Unimplemented, .. })
}

impl BootId {
    /// Whether this is another boot than `before`; `None` when the two cannot be compared.
    pub fn differs_from(&self, before: &Self) -> Option<bool> {
        match (self, before) {
            (Self::Kernel(now), Self::Kernel(then)) => Some(now != then),
            // The kernel derives it from the clock, which NTP may still be moving.
            (Self::StartedAt(now), Self::StartedAt(then)) => Some(now.abs_diff(*then) > 5),
            _ => None,
        }
    }
}

impl ApplyMode {
    fn wire(self) -> Mode {
        match self {
            Self::Auto => Mode::Auto,
            Self::NoReboot => Mode::NoReboot,
            Self::Staged => Mode::Staged,
            Self::Try(_) => Mode::Try,
            Self::Reboot => Mode::Reboot,
        }
    }

    fn effective(answered: Mode, asked: Self) -> Self {
        match (answered, asked) {
            (Mode::Try, asked @ Self::Try(_)) => asked,
            (Mode::Try, _) => Self::Try(Duration::from_secs(60)),
            (Mode::Auto, _) => Self::Auto,
            (Mode::NoReboot, _) => Self::NoReboot,
            (Mode::Staged, _) => Self::Staged,
            (Mode::Reboot, _) => Self::Reboot,
        }
    }
}

impl Service {
    /// Whether it runs and no health check says otherwise.
    pub fn is_up(&self) -> bool {
        self.state == "Running" && self.health.as_ref().is_none_or(|health| health.unknown || health.healthy)
    }

    /// Its latest message.
    pub fn last_message(&self) -> Option<&str> {
        self.messages.last().map(|message| message.text.as_str())
    }
}

impl From<machine::ServiceInfo> for Service {
    fn from(info: machine::ServiceInfo) -> Self {
        let messages = info.events.map(|events| events.events).unwrap_or_default();
        Self {
            id: info.id,
            state: info.state,
            health: info.health.map(|health| ServiceHealth {
                unknown: health.unknown,
                healthy: health.healthy,
                last_message: health.last_message,
            }),
            messages: messages
                .into_iter()
                .map(|event| ServiceMessage { text: event.msg, state: event.state, at: event.ts.and_then(moment) })
                .collect(),
        }
    }
}

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.seconds).ok()
}
