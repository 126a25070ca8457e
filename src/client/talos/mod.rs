//! The Talos API of one node, spoken to directly.
//!
//! [`Node::connect`] opens a fresh channel and every method is one call on it. A channel is never reopened: whoever
//! expects a reboot connects anew. No `node`/`nodes` metadata is ever sent, so the node answers for itself, also
//! behind NAT (Talos v1.12.2 internal/app/apid/pkg/director). There is no policy here: no order, no retries.

mod address;
mod call;
mod detect;
mod dial;
mod error;
mod events;
mod link;
mod machine;
mod maintenance;
mod pulse;
mod resources;
mod state;
mod stream;
mod tls;
mod upgrade;

#[cfg(test)]
pub(crate) mod pretend;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;

use crate::talos::talosconfig::ClientCredentials;
use dial::Dialled;
use link::Observer;
use pulse::Pulse;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use detect::{Answer, Candidate, Detected, detect};
pub use error::{ErrorKind, TalosError};
pub use events::{Event, EventStream, Events, SequenceAction, StepAction};
pub use machine::{
    Applied, ApplyMode, BootId, Bootstrapped, EtcdMember, PlatformInfo, RebootMode, ResetOptions, Service,
    ServiceHealth, ServiceMessage, VersionInfo,
};
pub use maintenance::Maintenance;
pub use resources::{
    AddressStatus, ConfigSource, Disk, Extension, Extensions, HostnameStatus, KubernetesNode, MachineKind,
    MachineStatus, NodeAddresses, Nodename, PlatformMetadata, Readiness, RouteStatus, ServiceStatus, Stage, SystemDisk,
    SystemInformation, TimeStatus, UnmetCondition,
};
pub use state::Resource;
pub use stream::{LogSource, Text};
pub use tls::{CredentialsError, ServerCertificate, TlsFailure};
pub use upgrade::{PullProgress, Store, UpgradeAccepted, UpgradeRequest};

/// How long an ordinary call may take unless [`Node::within`] says otherwise.
pub const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Whom to trust, and as whom to speak.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Maintenance mode: no client certificate, any server certificate or only the pinned one.
    Maintenance {
        /// base64 of SHA-256 over the server's public key, as [`ServerCertificate::fingerprint`] has it. It changes at
        /// every boot, and within a boot whenever the node's addresses change (Talos v1.12.2
        /// internal/app/machined/pkg/controllers/secrets/maintenance.go makes a new key each time).
        fingerprint: Option<String>,
    },
    /// Everywhere else: the cluster's CA, and a client certificate of it.
    Mutual(ClientCredentials),
}

/// An open conversation with one node. Clones share the connection.
#[derive(Clone)]
pub struct Node {
    address: Address,
    channel: Channel,
    link: Arc<Link>,
    within: Duration,
    pulse: Pulse,
}

/// The connection below the channel.
struct Link {
    observer: Observer,
    handshake: tls::Handshake,
    server: ServerCertificate,
}

impl Node {
    /// Opens a connection; it is good when the node has sent its first frame, so a refused client certificate shows
    /// here and not at the first call.
    ///
    /// # Errors
    /// Every cause has its own [`ErrorKind`]; nothing is retried.
    pub async fn connect(address: &Address, trust: &Trust, deadline: Duration) -> Result<Self, TalosError> {
        let Dialled { channel, observer, handshake, server } = dial::dial(address, trust, deadline).await?;
        tracing::debug!(%address, fingerprint = server.fingerprint, "connected to the Talos API");
        Ok(Self {
            address: address.clone(),
            channel,
            link: Arc::new(Link { observer, handshake, server }),
            within: CALL_DEADLINE,
            pulse: Pulse::default(),
        })
    }

    /// The same connection with another deadline for each ordinary call.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { within: deadline, ..self.clone() }
    }

    /// The address that was dialled.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the server showed of itself; its fingerprint can be pinned for the next connection.
    pub fn server(&self) -> &ServerCertificate {
        &self.link.server
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}
