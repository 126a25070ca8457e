//! Client credentials of the Talos API.

use crate::talos::secret::Secret;

/// What a client of the Talos API proves itself with, and whom it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Certificate authority of the Talos API, PEM (one certificate or more).
    pub ca: String,
    /// Client certificate, PEM.
    pub crt: String,
    /// Client key, PEM.
    pub key: Secret<String>,
}
