//! Upgrading a node, in both generations of the API. Only the conversation: which one to use, and when it is done, is
//! decided elsewhere.

use std::time::Duration;

use tokio::time::Instant;

use crate::wire::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};
use crate::wire::machine;
use crate::wire::machine::image_service_pull_response::Response as Pulled;
use crate::wire::machine::lifecycle_service_install_progress::Response as Installed;

use super::call::request;
use super::{Node, TalosError};

/// How much of the installer's output is kept for a report, in bytes.
const OUTPUT_BYTES: usize = 16 * 1024;

/// The Upgrade call of Talos <= 1.13 (it still answers in 1.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// The installer image.
    pub image: String,
    /// No effect on data since Talos 1.8; skips the etcd checks on >= 1.12.9 and >= 1.13.4.
    pub preserve: bool,
    /// Skip the etcd checks, on every version: needed by a control plane that was not bootstrapped.
    pub force: bool,
    /// Write the new version at the next boot, not now.
    pub stage: bool,
    /// Reboot through the firmware, not with kexec.
    pub powercycle: bool,
}

/// The node pulled the image and will now upgrade and reboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeAccepted {
    /// The id of the sequence, for [`Node::events`].
    pub actor_id: String,
}

/// Which of the node's image stores (Talos >= 1.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// On disk, Talos' own namespace: what talosctl upgrades from.
    #[default]
    System,
    /// On disk, Kubernetes' namespace.
    Cri,
    /// In memory.
    InMemory,
}

/// One step of an image pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Digest of the layer.
    pub layer: String,
    /// Bytes so far.
    pub offset: u64,
    /// Bytes in all; 0 when unknown.
    pub total: u64,
}

impl Node {
    /// Asks for an upgrade; answers when the node has pulled the image, so give it ten minutes or more.
    ///
    /// # Errors
    /// `Rpc(Unknown)` when the image cannot be pulled or is no installer, or when etcd is in no state for it.
    pub async fn upgrade(&self, upgrade: &UpgradeRequest, within: Duration) -> Result<UpgradeAccepted, TalosError> {
        const METHOD: &str = "Upgrade";
        let reboot_mode = match upgrade.powercycle {
            true => machine::upgrade_request::RebootMode::Powercycle,
            false => machine::upgrade_request::RebootMode::Default,
        };
        let message = machine::UpgradeRequest {
            image: upgrade.image.clone(),
            preserve: upgrade.preserve,
            stage: upgrade.stage,
            force: upgrade.force,
            reboot_mode: reboot_mode.into(),
        };
        let mut client = self.machine_service();
        let call = self.call(METHOD, within, client.upgrade(request(message, within)));
        let answer = self.while_alive(METHOD, call).await?;
        let actor_id = self.only(METHOD, answer.messages)?.actor_id;
        Ok(UpgradeAccepted { actor_id })
    }

    /// Pulls an image into a store and returns its reference pinned by digest (Talos >= 1.13).
    ///
    /// # Errors
    /// `Rpc(NotFound)` for an unknown image, `Rpc(Unimplemented)` before 1.13.
    pub async fn pull_image(
        &self,
        image: &str,
        store: Store,
        within: Duration,
        mut progress: impl FnMut(PullProgress),
    ) -> Result<String, TalosError> {
        const METHOD: &str = "ImageService.Pull";
        let message = machine::ImageServicePullRequest { containerd: Some(store.wire()), image_ref: image.to_owned() };
        let end = Instant::now() + within;
        let mut client = self.image_service();
        let mut stream = self.call(METHOD, within, client.pull(request(message, within))).await?;
        let mut name = None;
        loop {
            let next = self.next(METHOD, within, end, &mut stream);
            match self.while_alive(METHOD, next).await? {
                Some(answer) => match answer.response {
                    Some(Pulled::Name(pulled)) => name = Some(pulled),
                    Some(Pulled::PullProgress(step)) => progress(step.into()),
                    None => {}
                },
                None => break,
            }
        }
        name.ok_or_else(|| self.nonsense(METHOD, "the pull ended without a name"))
    }

    /// Runs the installer of an image that was pulled before into the same store: writes the new boot entry, nothing
    /// more (Talos >= 1.13). `output` gets raw pieces of what it prints. Returns when it ended well.
    ///
    /// # Errors
    /// `Installer` when it ended badly; `Answer` when the stream ended without saying so.
    pub async fn lifecycle_upgrade(
        &self,
        image: &str,
        store: Store,
        within: Duration,
        mut output: impl FnMut(&str),
    ) -> Result<(), TalosError> {
        const METHOD: &str = "LifecycleService.Upgrade";
        let message = machine::LifecycleServiceUpgradeRequest {
            containerd: Some(store.wire()),
            source: Some(machine::InstallArtifactsSource { image_name: image.to_owned() }),
        };
        let end = Instant::now() + within;
        let mut client = self.lifecycle_service();
        let mut stream = self.call(METHOD, within, client.upgrade(request(message, within))).await?;
        let mut tail = String::new();
        loop {
            let next = self.next(METHOD, within, end, &mut stream);
            let Some(answer) = self.while_alive(METHOD, next).await? else {
                return Err(self.nonsense(METHOD, "the stream ended without an exit code"));
            };
            match answer.progress.and_then(|progress| progress.response) {
                Some(Installed::Message(piece)) => {
                    output(&piece);
                    keep_tail(&mut tail, &piece);
                }
                Some(Installed::ExitCode(0)) => return Ok(()),
                Some(Installed::ExitCode(exit_code)) => {
                    return Err(TalosError::Installer {
                        image: image.to_owned(),
                        address: self.address.clone(),
                        exit_code,
                        output: tail,
                    });
                }
                None => {}
            }
        }
    }
}

impl Store {
    /// Talos v1.13.9 cmd/talosctl: namespaces `system`, `cri` and `inmem`.
    fn wire(self) -> ContainerdInstance {
        let (driver, namespace) = match self {
            Self::System => (ContainerDriver::Cri, ContainerdNamespace::NsSystem),
            Self::Cri => (ContainerDriver::Cri, ContainerdNamespace::NsCri),
            Self::InMemory => (ContainerDriver::Containerd, ContainerdNamespace::NsSystem),
        };
        ContainerdInstance { driver: driver.into(), namespace: namespace.into() }
    }
}

impl From<machine::ImageServicePullProgress> for PullProgress {
    fn from(step: machine::ImageServicePullProgress) -> Self {
        let progress = step.progress.unwrap_or_default();
        Self {
            layer: step.layer_id,
            offset: u64::try_from(progress.offset).unwrap_or_default(),
            total: u64::try_from(progress.total).unwrap_or_default(),
        }
    }
}

fn keep_tail(tail: &mut String, piece: &str) {
    tail.push_str(piece);
    if tail.len() > OUTPUT_BYTES {
        let mut from = tail.len() - OUTPUT_BYTES;
        while !tail.is_char_boundary(from) {
            from += 1;
        }
        tail.drain(..from);
    }
}
