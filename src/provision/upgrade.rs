//! Phase upgrade: the wanted schematic and version become active, and are seen to be.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::talos::{
    ApplyMode, ErrorKind, Node, PullProgress, RebootMode, Store, TalosError, Trust, UpgradeRequest,
};
use crate::node::spec::Image;
use crate::provision::error::{Cause, chain};
use crate::provision::observe::{HANDSHAKE, Observation, Running, talos};
use crate::provision::wait::{Look, until};
use crate::provision::{Job, Step};
use crate::talos::talosconfig::ClientCredentials;

/// Pulling the installer, writing it, and a firmware reboot.
const UPGRADE: Duration = Duration::from_secs(25 * 60);

/// Limit for pulling the installer, which the legacy call answers only after.
const PULL: Duration = Duration::from_secs(15 * 60);

/// Limit for the installer's own run.
const INSTALL: Duration = Duration::from_secs(10 * 60);

/// A machine that has not rebooted this long after an upgrade whose reply was lost is asked again.
const REPLY_LOST: Duration = Duration::from_secs(60);

/// Platform whose boot entry must stay: an installer of another one would turn the node away (Talos v1.12.2 sd-boot
/// takes the kernel command line out of the installer's UKI).
const PLATFORM: &str = "oracle";

/// Upgrades the temporary control plane, unless the machine's own note says that it has been through it.
pub async fn run(job: &Job, seen: &mut Observation) -> Step {
    let Observation::Temporary(before) = seen.clone() else {
        return Ok("nothing to upgrade".into());
    };
    if before.was_upgraded() && before.runs(&job.spec.image) {
        return Ok(format!("seen to be done: {}", before.describe()));
    }
    let attempt = Attempt { job, from: *before, asked: Mutex::new(None) };
    *seen =
        until(&job.limits.within(UPGRADE), "the upgraded machine", || attempt.look()).await.map_err(Cause::ended)?;
    Ok(seen.to_string())
}

struct Attempt<'a> {
    job: &'a Job,
    from: Running,
    asked: Mutex<Option<Asked>>,
}

/// A request for the upgrade.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// The machine said that it will do it. It may write its disk for minutes then, with its API open; another request would
    /// meet a machine that has let go of its configuration.
    accepted: bool,
}

impl Attempt<'_> {
    async fn look(&self) -> Look<Observation, Cause> {
        match talos(self.job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Temporary(running)) if running.boot_id == self.from.boot_id => self.ask().await,
            Ok(Observation::Temporary(running)) => self.rebooted(running).await,
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    }

    /// Starts the upgrade, again only when an earlier request seems to be lost.
    async fn ask(&self) -> Look<Observation, Cause> {
        let asked = *self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asked.is_some_and(|asked| asked.accepted || asked.at.elapsed() < REPLY_LOST) {
            return Look::Pending("the upgrade was requested; not rebooted yet".into());
        }
        let started = self.start().await;
        *self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Asked { at: Instant::now(), accepted: started.is_ok() });
        match started {
            Ok(()) => Look::Pending("the upgrade was requested".into()),
            Err(error) if error.is_transient() => Look::Pending(chain(&error)),
            Err(error) => Look::Failed(Cause::Talos(error)),
        }
    }

    async fn start(&self) -> Result<(), TalosError> {
        let credentials = &self.job.temporary_credentials;
        if let Some(boot_id) = &self.from.boot_id
            && let Ok(noted) = self.job.temporary.yaml_upgrading_from(boot_id)
        {
            let node = Node::connect(&self.job.address(), &Trust::Mutual(credentials.clone()), HANDSHAKE).await?;
            node.apply_configuration(noted.expose(), ApplyMode::NoReboot, false).await?;
        }
        install(self.job, credentials, &self.job.spec.image).await
    }

    async fn rebooted(&self, running: Box<Running>) -> Look<Observation, Cause> {
        let image = &self.job.spec.image;
        if !running.runs(image) {
            return Look::Failed(Cause::UpgradeReverted {
                found: running.describe(),
                wanted: format!("Talos {}, schematic {}", image.talos_version, image.schematic),
            });
        }
        match platform(self.job, &self.job.temporary_credentials).await {
            Ok(Some(platform)) if platform != PLATFORM => Look::Failed(Cause::Platform(platform)),
            Ok(_) => Look::Ready(Observation::Temporary(running)),
            Err(error) if error.is_transient() => Look::Pending(chain(&error)),
            Err(error) => Look::Failed(Cause::Talos(error)),
        }
    }
}

/// Installs the image's installer and lets the machine reboot into it, the way its release does it.
pub async fn install(job: &Job, credentials: &ClientCredentials, image: &Image) -> Result<(), TalosError> {
    let node = Node::connect(&job.address(), &Trust::Mutual(credentials.clone()), HANDSHAKE).await?;
    let installer = image.installer.to_string();
    let store = Store::default();
    let progress = |step: PullProgress| {
        tracing::debug!(phase = "upgrade", layer = step.layer, offset = step.offset, total = step.total, "pulling")
    };
    match node.pull_image(&installer, store, PULL, progress).await {
        Ok(_) => {
            node.lifecycle_upgrade(&installer, store, INSTALL, |output| tracing::debug!(phase = "upgrade", output))
                .await?;
            tracing::info!(phase = "upgrade", "new boot entry written, rebooting");
            node.reboot(RebootMode::Default).await.map(drop)
        }
        // Talos 1.12 has neither ImageService nor LifecycleService.
        Err(error) if error.kind() == ErrorKind::Rpc(tonic::Code::Unimplemented) => {
            let request =
                UpgradeRequest { image: installer, preserve: true, force: false, stage: false, powercycle: false };
            node.upgrade(&request, PULL).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn platform(job: &Job, credentials: &ClientCredentials) -> Result<Option<String>, TalosError> {
    let node = Node::connect(&job.address(), &Trust::Mutual(credentials.clone()), HANDSHAKE).await?;
    Ok(node.version().await?.platform.map(|platform| platform.name))
}
