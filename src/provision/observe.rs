//! What is at the address right now.

use std::fmt;
use std::time::Duration;

use crate::client::rescue::session::{Auth, HostKeyPolicy, Session, Target};
use crate::client::talos::{Answer, BootId, Candidate, ConfigSource, ErrorKind, Node, TalosError, Trust, detect};
use crate::node::spec::{Flash, HostKey, Image, NodeSpec, SshAuth, SshFlash};
use crate::node::temporary;
use crate::provision::Job;
use crate::provision::error::{Cause, chain};
use crate::provision::phase::Phase;
use crate::provision::wait::{Look, until};
use crate::talos::machine_config::MachineConfig;

/// How long a first answer of the machine is waited for: a cloud instance takes minutes to boot.
const FIRST_ANSWER: Duration = Duration::from_secs(15 * 60);

/// Limit for one TCP and TLS handshake, or one SSH login.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the machine is.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A Linux shell from which the disk can be written.
    Rescue,
    /// Talos without a configuration.
    Maintenance(Box<Running>),
    /// The temporary control plane of this node.
    Temporary(Box<Running>),
    /// A node of the real cluster.
    Joined,
    /// A Talos node of another cluster.
    Foreign {
        /// Who signed its certificate.
        issuer: String,
    },
    /// Nothing that can be spoken to.
    Unreachable {
        /// What the connection ended with.
        why: String,
    },
}

/// A Talos that runs before it joined.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// Version, such as `v1.12.2`; `None` when it cannot be read yet.
    pub version: Option<String>,
    /// Active schematic.
    pub schematic: Option<String>,
    /// Fingerprint of the key that answered in maintenance mode.
    pub fingerprint: Option<String>,
    /// Boot id, where it can be read.
    pub boot_id: Option<String>,
    /// Whether etcd has a member (control plane).
    pub bootstrapped: bool,
    /// Boot from which an upgrade was started, as noted on the machine.
    pub upgraded_from: Option<String>,
}

impl Running {
    /// Whether the wanted version and schematic are active.
    pub fn runs(&self, image: &Image) -> bool {
        self.version.as_deref() == Some(image.talos_version.to_string().as_str())
            && self.schematic.as_deref() == Some(image.schematic.to_string().as_str())
    }

    /// Whether an upgrade was started and the machine has booted since.
    pub fn was_upgraded(&self) -> bool {
        self.upgraded_from.is_some() && self.boot_id.is_some() && self.upgraded_from != self.boot_id
    }

    /// `Talos v1.12.2, schematic 4a0d65c6…`.
    pub fn describe(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        let schematic = self.schematic.as_deref().map_or("none", |id| id.get(..8).unwrap_or(id));
        format!("Talos {version}, schematic {schematic}")
    }
}

impl Observation {
    /// Whether `phase` was done before. The upgrade is judged by the machine's own note of it.
    pub fn is_past(&self, phase: Phase) -> bool {
        match self {
            Self::Rescue | Self::Foreign { .. } | Self::Unreachable { .. } => false,
            Self::Maintenance(_) => phase <= Phase::Boot,
            Self::Temporary(running) => match phase {
                Phase::Bootstrap => running.bootstrapped,
                Phase::Upgrade => false,
                _ => phase <= Phase::Configure,
            },
            Self::Joined => phase < Phase::Join,
        }
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rescue => f.write_str("rescue shell"),
            Self::Maintenance(running) => write!(f, "maintenance mode, {}", running.describe()),
            Self::Temporary(running) => write!(f, "temporary control plane, {}", running.describe()),
            Self::Joined => f.write_str("node of the cluster"),
            Self::Foreign { issuer } => write!(f, "node of another cluster ({issuer})"),
            Self::Unreachable { why } => write!(f, "no answer: {why}"),
        }
    }
}

/// Waits for the machine to answer in any way, and says how.
pub async fn first(job: &Job) -> Result<Observation, Cause> {
    let limits = job.limits.within(FIRST_ANSWER);
    until(&limits, "first answer of the machine", || async {
        match observe(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Foreign { issuer }) if !job.spec.force => Look::Failed(Cause::Foreign { issuer }),
            Ok(Observation::Foreign { issuer }) => {
                Look::Pending(format!("node of another cluster ({issuer}); waiting for its rescue shell"))
            }
            Ok(Observation::Unreachable { why }) => Look::Pending(why),
            Ok(seen) => Look::Ready(seen),
        }
    })
    .await
    .map_err(Cause::ended)
}

/// One look: the Talos API first, then, if nothing speaks TLS there, the rescue shell.
pub async fn observe(job: &Job) -> Result<Observation, Cause> {
    let why = match talos(job).await? {
        Observation::Unreachable { why } => why,
        seen => return Ok(seen),
    };
    let Flash::Ssh(flash) = &job.spec.flash else {
        return Ok(Observation::Unreachable { why });
    };
    match Session::connect(&target(job, flash), HANDSHAKE).await {
        Ok(session) => {
            session.close().await;
            Ok(Observation::Rescue)
        }
        Err(error) if error.is_transient() => {
            Ok(Observation::Unreachable { why: format!("Talos API: {why}; SSH: {}", chain(&error)) })
        }
        Err(error) => Err(Cause::Session(error)),
    }
}

/// One look at the Talos API alone.
pub async fn talos(job: &Job) -> Result<Observation, Cause> {
    let candidates = [
        Candidate { which: Who::Cluster, credentials: &job.spec.credentials },
        Candidate { which: Who::Temporary, credentials: &job.temporary_credentials },
    ];
    match detect(&job.address(), &candidates, HANDSHAKE).await.answer {
        Answer::Mutual { which: Who::Cluster, .. } => Ok(Observation::Joined),
        Answer::Mutual { which: Who::Temporary, .. } => match temporary_cluster(job).await {
            Ok(running) => Ok(Observation::Temporary(Box::new(running))),
            Err(error) => pending(error),
        },
        Answer::Maintenance(found) => match maintenance(job, found.fingerprint).await {
            Ok(running) => Ok(Observation::Maintenance(Box::new(running))),
            Err(error) => pending(error),
        },
        Answer::Foreign { issuer, ca_fingerprint, authority_key_id } => {
            let id = ca_fingerprint.or(authority_key_id).unwrap_or_default();
            Ok(Observation::Foreign { issuer: format!("{issuer} {id}").trim_end().to_owned() })
        }
        Answer::Refused(error) | Answer::Unreachable(error) => Ok(Observation::Unreachable { why: chain(&error) }),
        Answer::NotTls { banner } => Ok(Observation::Unreachable { why: format!("not the Talos API: {banner:?}") }),
        Answer::RejectedOurCertificate { error, .. } => Err(Cause::Rejected(error)),
        Answer::WrongName { names, .. } => {
            Err(Cause::WrongName { host: job.spec.endpoint.host.clone(), names: names.join(", ") })
        }
        Answer::WrongTime { now, not_before, not_after, transient, .. } => {
            let why = format!("its certificate is valid from {not_before} to {not_after}, and here it is {now}");
            if transient { Ok(Observation::Unreachable { why }) } else { Err(Cause::WrongTime { why }) }
        }
        Answer::Odd(error) => pending(error),
    }
}

/// Whose credentials were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Cluster,
    Temporary,
}

/// An error of a machine that is on its way somewhere else is no failure yet.
fn pending(error: TalosError) -> Result<Observation, Cause> {
    if error.is_transient() || error.kind() == ErrorKind::ClientCertificateRejected {
        Ok(Observation::Unreachable { why: chain(&error) })
    } else {
        Err(Cause::Talos(error))
    }
}

async fn maintenance(job: &Job, fingerprint: String) -> Result<Running, TalosError> {
    let trust = Trust::Maintenance { fingerprint: Some(fingerprint.clone()) };
    let node = Node::connect(&job.address(), &trust, HANDSHAKE).await?;
    Ok(Running {
        version: Some(node.version_resource().await?),
        schematic: node.extensions().await?.schematic().map(str::to_owned),
        fingerprint: Some(fingerprint),
        ..Running::default()
    })
}

async fn temporary_cluster(job: &Job) -> Result<Running, TalosError> {
    let node = Node::connect(&job.address(), &Trust::Mutual(job.temporary_credentials.clone()), HANDSHAKE).await?;
    let extensions = node.extensions().await?;
    let services = node.services().await?;
    let note = node.machine_config(ConfigSource::Active).await?.and_then(|yaml| upgraded_from(yaml.expose()));
    Ok(Running {
        version: Some(node.version().await?.tag),
        schematic: extensions.schematic().map(str::to_owned),
        boot_id: Some(boot(&node.boot_id().await?)),
        bootstrapped: services.iter().any(|service| service.id == "etcd" && service.state == "Running"),
        upgraded_from: note,
        fingerprint: None,
    })
}

/// A boot id as text, to be noted and compared.
pub fn boot(id: &BootId) -> String {
    match id {
        BootId::Kernel(id) => id.clone(),
        BootId::StartedAt(seconds) => seconds.to_string(),
    }
}

/// Reads the note that [`crate::node::temporary::Temporary::yaml_upgrading_from`] left.
fn upgraded_from(yaml: &str) -> Option<String> {
    let config = MachineConfig::parse(yaml).ok()?;
    temporary::upgraded_from(&config)
}

/// SSH target of a flash.
pub fn target(job: &Job, flash: &SshFlash) -> Target {
    Target {
        host: flash.host.clone(),
        port: flash.port,
        user: flash.user.clone(),
        auth: match &flash.auth {
            SshAuth::PrivateKey(key) => Auth::PrivateKey(key.clone()),
            SshAuth::Agent => Auth::Agent,
        },
        host_key: match &flash.host_key {
            HostKey::Pinned(keys) => HostKeyPolicy::Pinned(keys.clone()),
            HostKey::KnownHosts(content) => HostKeyPolicy::KnownHosts(content.clone()),
            HostKey::AcceptNew => HostKeyPolicy::AcceptNew(job.accepted.clone()),
        },
    }
}

/// Who flashes at another address may have forgotten to carry the disk back.
fn moved(spec: &NodeSpec) -> Option<String> {
    let Flash::Ssh(flash) = &spec.flash else { return None };
    let host = &flash.host;
    (*host != spec.endpoint.host).then(|| {
        format!(
            "if {host} is a helper: detach the disk from it, attach it to its own instance as boot volume, start that, and \
             apply again"
        )
    })
}

/// What a silent machine usually means in each phase.
pub fn hints(phase: Phase, cause: &Cause, spec: &NodeSpec) -> Vec<String> {
    if !matches!(cause, Cause::TimedOut { .. }) {
        return Vec::new();
    }
    let port = spec.endpoint.talos_port;
    match phase {
        Phase::Image => vec![
            format!(
                "check that endpoint is right and that the security list lets this computer reach SSH and port {port}"
            ),
            "boot the instance into its rescue system, with the target disk not in use".into(),
        ],
        Phase::Boot => moved(spec).into_iter().chain([
            format!("check that the security list lets this computer reach port {port}"),
            "an instance that still carries cloud-init user_data never reaches maintenance mode: Talos reads it as its \
             configuration and retries for ever; user_data can only be removed by creating the instance anew"
                .into(),
            "the serial console of the instance shows how far the boot came".into(),
        ]).collect(),
        _ => Vec::new(),
    }
}
