//! The Kubernetes API of the cluster that a worker joins: is the node Ready, and may it go down?

mod config;
mod drain;
mod error;
mod node;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::talos::secret::Secret;

pub use config::Parts;
pub use drain::DrainOptions;
pub use error::{BlockedPod, KubernetesError, KubernetesErrorKind};
pub use node::{CORDON_MARK, Machine, NodeState};

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// A client of one cluster.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    server: String,
}

impl Cluster {
    /// A client for a kubeconfig's current context. Nothing is asked yet, but a credential plugin may run.
    ///
    /// # Errors
    /// When the kubeconfig, its server or its credentials cannot be used.
    pub async fn from_kubeconfig(kubeconfig: &Secret<String>) -> Result<Self, KubernetesError> {
        let (client, server) = config::client_of_kubeconfig(kubeconfig).await?;
        Ok(Self { client, server })
    }

    /// The same from host, CA, certificate and key.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub async fn from_parts(parts: &Parts) -> Result<Self, KubernetesError> {
        let (client, server) = config::client_of_parts(parts).await?;
        Ok(Self { client, server })
    }

    /// The API server, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    async fn call<T>(
        &self,
        action: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, KubernetesError> {
        match tokio::time::timeout(CALL_DEADLINE, call).await {
            Ok(answer) => answer.map_err(|error| KubernetesError::of(error, action, &self.server)),
            Err(_) => Err(KubernetesError::Deadline {
                action: action.to_owned(),
                server: self.server.clone(),
                within: CALL_DEADLINE,
            }),
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}
