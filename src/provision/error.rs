//! How a run fails: in which phase, why, what was seen last, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub use crate::causes::chain;
use crate::client::cache::CacheError;
use crate::client::factory::FactoryError;
use crate::client::kubernetes::KubernetesError;
use crate::client::rescue::flash::FlashError;
use crate::client::rescue::probe::{ProbeError, Refusal};
use crate::client::rescue::session::SessionError;
use crate::client::talos::TalosError;
use crate::node::temporary::TemporaryError;
use crate::provision::diagnose::Diagnosis;
use crate::provision::phase::Phase;
use crate::provision::transcript::{Transcript, seconds};
use crate::provision::wait::Ended;

/// What went wrong, by operation.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The Image Factory could not be asked.
    #[error("asking the Image Factory")]
    Factory(#[source] FactoryError),
    /// The disk image could not be brought here, or is none.
    #[error("preparing the disk image")]
    Cache(#[source] CacheError),
    /// The rescue shell cannot be used.
    #[error("opening the rescue shell")]
    Session(#[source] SessionError),
    /// The rescue system could not be looked at.
    #[error("looking at the rescue system")]
    Probe(#[source] ProbeError),
    /// The machine or its disk must not be overwritten.
    #[error("checking the machine before the first byte is written")]
    Refused(#[source] Refusal),
    /// The disk could not be written.
    #[error("writing the disk")]
    Flash(#[source] FlashError),
    /// The Talos API refused or failed.
    #[error("calling the Talos API")]
    Talos(#[source] TalosError),
    /// The Kubernetes API refused or failed.
    #[error("calling the Kubernetes API")]
    Kubernetes(#[source] KubernetesError),
    /// A cordon of ours was not lifted.
    #[error("uncordoning the Kubernetes node {node}")]
    StillCordoned {
        /// Its name.
        node: String,
        /// Why it could not be asked, or refused.
        source: KubernetesError,
    },
    /// There is nothing to flash.
    #[error("the image has no URL to download it from")]
    NoImageUrl,
    /// The temporary cluster could not be made.
    #[error("preparing the temporary cluster")]
    Temporary(#[source] TemporaryError),
    /// The machine belongs to another cluster.
    #[error("the machine belongs to another cluster: its API certificate is signed by {issuer}")]
    Foreign {
        /// Who signed the certificate, as far as it tells.
        issuer: String,
    },
    /// Another node of the same cluster answers.
    #[error("another node of the cluster answers there: {what}")]
    WrongNode {
        /// What answers.
        what: String,
    },
    /// The node runs something else than the plan was made for, and the plan does not say to change that.
    #[error("the node runs {found}, not {planned} as when this was planned")]
    Drifted {
        /// What runs.
        found: String,
        /// What ran, and is wanted.
        planned: String,
    },
    /// The node is not one any more.
    #[error("the machine is in maintenance mode: it was reset, or its disk was replaced ({found})")]
    WasReset {
        /// What runs.
        found: String,
    },
    /// The node answers with the right cluster but not to these credentials.
    #[error("the node refuses the credentials of the cluster")]
    Rejected(#[source] TalosError),
    /// The node's certificate does not name the address.
    #[error("the node's certificate does not name {host}; it names {names}")]
    WrongName {
        /// The address.
        host: String,
        /// What the certificate names.
        names: String,
    },
    /// The clocks of the node and of this computer disagree.
    #[error("the clocks disagree: {why}")]
    WrongTime {
        /// By how much.
        why: String,
    },
    /// The upgrade ended in the old system.
    #[error("the machine rebooted, but still runs {found} instead of {wanted}")]
    UpgradeReverted {
        /// What runs.
        found: String,
        /// What should run.
        wanted: String,
    },
    /// The upgrade activated an image of another platform.
    #[error("the machine came back as platform {0:?} instead of \"oracle\"")]
    Platform(String),
    /// The extensions are not active and the user chose not to activate them.
    #[error("{wanted} is not active (found: {found})")]
    NotActive {
        /// What is active.
        found: String,
        /// What should be active.
        wanted: String,
    },
    /// The condition did not come true in time.
    #[error("nothing happened for {}: {last}", seconds(*.after))]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// Terraform was told to stop.
    #[error("stopped on request")]
    Stopped,
}

impl Cause {
    /// Makes a cause of a wait's end.
    pub fn ended(ended: Ended<Cause>) -> Self {
        match ended {
            Ended::Failed(cause) => cause,
            Ended::TimedOut { after, last } => Self::TimedOut { after, last },
            Ended::Stopped { .. } => Self::Stopped,
        }
    }

    /// What to do about it, most likely first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Factory(error) => error.hints(),
            Self::Cache(error) => error.hints(),
            Self::Session(error) => error.hints(),
            Self::Probe(error) => error.hints(),
            Self::Refused(refusal) => vec![refusal.hint()],
            Self::Flash(error) => error.hints(),
            Self::Talos(error) | Self::Rejected(error) => error.hints(),
            Self::Kubernetes(error) => error.hints(),
            Self::Foreign { .. } => vec![
                "check that endpoint is the address of this instance; a machine of another cluster is never touched".into(),
                "if it is a leftover that may go, boot its rescue system and apply again with force = true, which also waits for that".into(),
            ],
            Self::WrongNode { .. } => vec![
                "check that endpoint is the address of this instance and hostname its name".into(),
            ],
            Self::WasReset { .. } => vec!["change reflash, or apply with -replace, to provision the machine anew".into()],
            Self::WrongName { host, .. } => vec![
                format!("add {host} to machine.certSANs of the worker configuration"),
                "a node that runs already is given that configuration through an address that its certificate names, such as \
                 with talosctl; until then nothing is said to it here".into(),
            ],
            Self::WrongTime { .. } => vec!["set the clock of this computer, and give the node a time server it can reach".into()],
            Self::UpgradeReverted { .. } => vec![
                "the boot loader fell back to the previous system; the serial console of the instance shows why the new one did not boot".into(),
                "the installer image must carry the same schematic and version as the disk image".into(),
            ],
            Self::Platform(_) => vec!["use the oracle-installer of the schematic, never the plain installer".into()],
            Self::NotActive { .. } => vec![
                "flash an image of this schematic, or let activation = \"auto\" or \"upgrade\" activate it".into(),
            ],
            Self::StillCordoned { node, source } => {
                let mut hints = source.hints();
                hints.push(format!("no new pods come to the node until then; by hand: kubectl uncordon {node}"));
                hints
            }
            Self::Drifted { .. } => vec!["plan again: it was changed by somebody else, or could not be read when this was planned".into()],
            Self::NoImageUrl => vec!["set image = talosoci_image.NAME".into()],
            Self::Temporary(_) | Self::TimedOut { .. } | Self::Stopped => Vec::new(),
        }
    }
}

/// A failed run.
#[derive(Debug)]
pub struct Failure {
    /// Where it failed.
    pub phase: Phase,
    /// Which address it was about.
    pub endpoint: String,
    /// Why.
    pub cause: Cause,
    /// What all phases did.
    pub transcript: Transcript,
    /// What to do.
    pub hints: Vec<String>,
    /// What was found out about the node after it failed.
    pub diagnosis: Vec<Diagnosis>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phase {} of {}", self.phase, self.endpoint)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.cause)
    }
}
