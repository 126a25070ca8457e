//! What can go wrong with a Kubernetes API.

use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

/// The class of a [`KubernetesError`], for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubernetesErrorKind {
    /// The kubeconfig cannot be used.
    Config,
    /// No connection, or no answer in time.
    Unreachable,
    /// The server's certificate or ours was not accepted.
    Tls,
    /// Who we are is not known (401).
    Unauthorized,
    /// We may not do this (403).
    Forbidden,
    /// No such object (404).
    NotFound,
    /// Another error of the API, by HTTP status.
    Api(u16),
    /// Pods could not be moved away in time.
    Blocked,
    /// The answer makes no sense.
    Answer,
}

/// A failed conversation with a Kubernetes API. Never quotes the kubeconfig.
#[derive(Debug, Error)]
pub enum KubernetesError {
    /// The kubeconfig does not read.
    #[error("reading the kubeconfig: {problem}")]
    Kubeconfig {
        /// What is wrong.
        problem: String,
    },
    /// The server in the kubeconfig is no usable URL.
    #[error("reading the server {server:?} of the kubeconfig: {problem}")]
    Server {
        /// As written.
        server: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// No client can be made from the kubeconfig: a certificate, a key or a credential plugin.
    #[error("preparing a client for {server}: {problem}")]
    Client {
        /// The API server.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// No answer in time.
    #[error("{action} at {server}: no answer within {within:?}")]
    Deadline {
        /// What was asked, as "reading node cloudbox2".
        action: String,
        /// The API server.
        server: String,
        /// The deadline.
        within: Duration,
    },
    /// The API answered with an error.
    #[error("{action} at {server}: {code} {reason}: {message}")]
    Api {
        /// What was asked.
        action: String,
        /// The API server.
        server: String,
        /// HTTP status.
        code: u16,
        /// Reason, such as `Forbidden`.
        reason: String,
        /// The API's words.
        message: String,
    },
    /// The API could not be asked.
    #[error("{action} at {server}")]
    Connection {
        /// What was asked.
        action: String,
        /// The API server.
        server: String,
        /// Whether a TLS certificate is the cause.
        tls: bool,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The answer does not read.
    #[error("{action} at {server}: {problem}")]
    Answer {
        /// What was asked.
        action: String,
        /// The API server.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// Pods are still on the node when the deadline came; the node stays cordoned if it was.
    #[error("draining node {node}: {} still there after {within:?}: {}", count(.pods.len()), join(.pods))]
    Blocked {
        /// The node.
        node: String,
        /// The deadline.
        within: Duration,
        /// Which pods, and why.
        pods: Vec<BlockedPod>,
    },
}

/// A pod that a drain could not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedPod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Why, in the API's words where it said something.
    pub reason: String,
}

impl KubernetesError {
    /// The class of this error.
    pub fn kind(&self) -> KubernetesErrorKind {
        use KubernetesErrorKind as Kind;
        match self {
            Self::Kubeconfig { .. } | Self::Server { .. } | Self::Client { .. } => Kind::Config,
            Self::Deadline { .. } => Kind::Unreachable,
            Self::Connection { tls: true, .. } => Kind::Tls,
            Self::Connection { .. } => Kind::Unreachable,
            Self::Api { code: 401, .. } => Kind::Unauthorized,
            Self::Api { code: 403, .. } => Kind::Forbidden,
            Self::Api { code: 404, .. } => Kind::NotFound,
            Self::Api { code, .. } => Kind::Api(*code),
            Self::Answer { .. } => Kind::Answer,
            Self::Blocked { .. } => Kind::Blocked,
        }
    }

    /// Whether the same call may succeed later with nothing changed by us.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            KubernetesErrorKind::Unreachable => true,
            KubernetesErrorKind::Api(code) => matches!(code, 409 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match (self, self.kind()) {
            (Self::Server { .. }, _) => "write the server as https://HOST:PORT; a Talos control plane listens on 6443",
            (_, KubernetesErrorKind::Config) => "check the kubeconfig with kubectl on this host",
            (_, KubernetesErrorKind::Unreachable) => {
                "the Kubernetes API must be reachable from where Terraform runs, not only from the node (Tailscale?)"
            }
            (_, KubernetesErrorKind::Tls) => {
                "the kubeconfig's CA, or its server name, is not that of the API that answers"
            }
            (_, KubernetesErrorKind::Unauthorized) => "the credentials of the kubeconfig are unknown or expired",
            (_, KubernetesErrorKind::Forbidden) => {
                "the kubeconfig's user needs to get, patch and delete nodes, list pods, and create pods/eviction"
            }
            (_, KubernetesErrorKind::Blocked) => {
                "raise the timeout, free the pods (a PodDisruptionBudget may allow none to go), or set drain = false"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    pub(super) fn of(error: kube::Error, action: &str, server: &str) -> Self {
        let (action, server) = (action.to_owned(), server.to_owned());
        match error {
            kube::Error::Api(status) => Self::Api {
                action,
                server,
                code: status.code,
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            kube::Error::SerdeError(error) => Self::Answer { action, server, problem: error.to_string() },
            error => {
                let (root, tls) = root(&error);
                Self::Connection { action, server, tls, source: root.into() }
            }
        }
    }
}

/// The innermost cause in words, and whether it is about TLS. The layers above it repeat each other.
fn root(error: &(dyn StdError + 'static)) -> (String, bool) {
    let mut current = error;
    let mut tls = false;
    loop {
        tls |= current.is::<rustls::Error>();
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref())
            .map(|inner| inner as &(dyn StdError + 'static));
        match wrapped.or_else(|| current.source()) {
            Some(next) => current = next,
            None => return (current.to_string(), tls),
        }
    }
}

fn count(pods: usize) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

fn join(pods: &[BlockedPod]) -> String {
    let shown: Vec<_> = pods.iter().map(|pod| format!("{}/{} ({})", pod.namespace, pod.name, pod.reason)).collect();
    shown.join(", ")
}
