//! Is this a node in maintenance mode? The one question that Talos 1.12, 1.13 and 1.14 answer alike.

use super::resources::Stage;
use super::{Node, TalosError};

/// What a node says without being shown a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// `maintenance`, normally.
    pub stage: Stage,
    /// `v1.12.2`; `None` when the node did not say.
    pub version: Option<String>,
    /// base64 of SHA-256 over the server's public key, to pin the next connection of this boot.
    pub fingerprint: String,
}

impl Node {
    /// Asks by COSI, which the maintenance server of 1.12 and the apid of later versions both serve to strangers; the
    /// Version call is missing in 1.12 (Talos v1.12.2 internal/app/maintenance/server.go).
    ///
    /// # Errors
    /// As any call.
    pub async fn maintenance(&self) -> Result<Maintenance, TalosError> {
        let status = self.machine_status().await?;
        Ok(Maintenance {
            stage: status.stage,
            version: self.version_resource().await.ok(),
            fingerprint: self.server().fingerprint.clone(),
        })
    }
}
