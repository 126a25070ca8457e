//! What can go wrong between us and one node's Talos API.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tonic::Code;

use super::Address;
use super::tls::{CredentialsError, TlsFailure};

/// The class of a [`TalosError`], for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No connection: no answer, no route, no such name, or the connection was lost.
    Unreachable,
    /// The port is closed: the host lives, the API does not.
    Refused,
    /// What answers is no TLS server, or no HTTP/2 server.
    NotTls,
    /// Another CA than ours, or not the pinned key.
    UntrustedServer,
    /// Our CA, but not for the dialled name.
    WrongName,
    /// The server's certificate is expired or not valid yet.
    CertificateTime,
    /// The server did not accept our certificate, or wants one where we showed none.
    ClientCertificateRejected,
    /// Our own credentials cannot be used.
    Credentials,
    /// The answer makes no sense.
    Answer,
    /// The installer ran on the node and failed.
    Installer,
    /// The node answered with this gRPC status; a deadline of ours counts as `DeadlineExceeded`.
    Rpc(Code),
}

/// A failed conversation with one node; names the address and, once connected, the method.
#[derive(Debug, Error)]
pub enum TalosError {
    /// The host name has no address.
    #[error("resolving {address}")]
    Resolving {
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No TCP connection.
    #[error("connecting to {address}")]
    Connecting {
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No connection in time.
    #[error("connecting to {address}: {step} took longer than {within:?}")]
    ConnectTimeout {
        /// The peer.
        address: Address,
        /// How far it came.
        step: &'static str,
        /// The deadline.
        within: Duration,
    },
    /// The client credentials cannot be used.
    #[error("preparing credentials for {address}")]
    Credentials {
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: CredentialsError,
    },
    /// No TLS session.
    #[error("opening a TLS session with {address}")]
    Tls {
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: TlsFailure,
    },
    /// HTTP/2 could not be set up on a working TLS session.
    #[error("opening an HTTP/2 session with {address}")]
    Http2 {
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The connection was lost during a call; whether the call took effect is unknown.
    #[error("calling {method} on {address}: the connection was lost")]
    Disconnected {
        /// The RPC.
        method: &'static str,
        /// The peer.
        address: Address,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No answer in time; whether the call took effect is unknown.
    #[error("calling {method} on {address}: no answer within {within:?}")]
    Deadline {
        /// The RPC.
        method: &'static str,
        /// The peer.
        address: Address,
        /// The deadline.
        within: Duration,
    },
    /// The node stopped answering anything during a long call; whether the call took effect is unknown.
    #[error("calling {method} on {address}: the node stopped answering for {lasted:?}")]
    Silent {
        /// The RPC.
        method: &'static str,
        /// The peer.
        address: Address,
        /// For how long.
        lasted: Duration,
    },
    /// The node answered with an error.
    #[error("calling {method} on {address}: {code:?}: {message}")]
    Rpc {
        /// The RPC.
        method: &'static str,
        /// The peer.
        address: Address,
        /// gRPC status code.
        code: Code,
        /// gRPC status message, without anything that quotes a configuration.
        message: String,
    },
    /// The node answered with something that is no answer.
    #[error("calling {method} on {address}: {problem}")]
    Answer {
        /// The RPC.
        method: &'static str,
        /// The peer.
        address: Address,
        /// What is wrong with it.
        problem: String,
    },
    /// A resource does not read as expected.
    #[error("reading resource {resource} of {address}: {problem}")]
    Resource {
        /// Type and id.
        resource: String,
        /// The peer.
        address: Address,
        /// What is wrong with it.
        problem: String,
    },
    /// The installer ended with an error on the node; the running system is untouched.
    #[error("running the installer {image} on {address}: exit code {exit_code}")]
    Installer {
        /// The installer image.
        image: String,
        /// The peer.
        address: Address,
        /// Its exit code.
        exit_code: i32,
        /// The end of its output.
        output: String,
    },
}

impl TalosError {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connecting { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
            Self::Resolving { .. }
            | Self::Connecting { .. }
            | Self::ConnectTimeout { .. }
            | Self::Http2 { .. }
            | Self::Disconnected { .. }
            | Self::Silent { .. } => ErrorKind::Unreachable,
            Self::Credentials { .. } => ErrorKind::Credentials,
            Self::Tls { source, .. } => kind_of_tls(source),
            Self::Deadline { .. } => ErrorKind::Rpc(Code::DeadlineExceeded),
            Self::Rpc { code, .. } => ErrorKind::Rpc(*code),
            Self::Answer { .. } | Self::Resource { .. } => ErrorKind::Answer,
            Self::Installer { .. } => ErrorKind::Installer,
        }
    }

    /// Whether the same call may succeed later with nothing changed by anybody but the node itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connecting { .. }
            | Self::ConnectTimeout { .. }
            | Self::Http2 { .. }
            | Self::Disconnected { .. }
            | Self::Silent { .. }
            | Self::Deadline { .. } => true,
            // getaddrinfo: "Temporary failure in name resolution" (EAI_AGAIN) has no error kind of its own.
            Self::Resolving { source, .. } => source.to_string().contains("emporary failure"),
            Self::Tls { source, .. } => source.is_transient(),
            Self::Rpc { code, message, .. } => match code {
                Code::Unavailable | Code::DeadlineExceeded => true,
                // Talos >= 1.12.9 and >= 1.13.3 answer this between an accepted configuration and its reboot.
                Code::FailedPrecondition => message.contains("rebooting"),
                _ => false,
            },
            Self::Credentials { .. } | Self::Answer { .. } | Self::Resource { .. } | Self::Installer { .. } => false,
        }
    }

    /// Whether the node says that it is not ready for the call yet (Talos v1.12.2 and v1.14.0-rc.1
    /// internal/app/machined/internal/server/v1alpha1/v1alpha1_server.go, the preconditions of Bootstrap and of
    /// parallel calls): repeating is right while the node makes progress, and only then.
    pub fn is_not_ready_yet(&self) -> bool {
        const PHRASES: [&str; 4] = ["not available yet", "not in sync yet", "already in progress", "rebooting"];
        match self {
            Self::Rpc { code: Code::FailedPrecondition, message, .. } => {
                PHRASES.iter().any(|phrase| message.contains(phrase))
            }
            _ => false,
        }
    }

    /// Whether the call may have taken effect although it failed: look before calling again.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self,
            Self::Disconnected { .. }
                | Self::Silent { .. }
                | Self::Deadline { .. }
                | Self::Answer { .. }
                | Self::Rpc { code: Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, .. }
        )
    }

    /// What to do about it, most likely first.
    pub fn hints(&self) -> Vec<String> {
        let port = |what: &str| vec![what.to_owned()];
        match (self, self.kind()) {
            (Self::Tls { source, .. }, _) => source.hints(),
            (Self::Resolving { .. }, _) => port("check the endpoint: the name has no address"),
            (_, ErrorKind::Refused) => port(
                "the host is up but the Talos API is not: it may still be booting; a worker opens the port only after \
                 trustd on a control plane answered it, and a machine with cloud-init user_data never opens it",
            ),
            (Self::Connecting { .. } | Self::ConnectTimeout { .. }, _) => port(
                "check that the security list and the network security groups let this host reach TCP 50000, and that \
                 the instance is running",
            ),
            (Self::Credentials { .. }, _) => {
                port("give client credentials as talosctl writes them: PEM certificates and an Ed25519 key of one pair")
            }
            (_, ErrorKind::Rpc(code)) => rpc_hints(code),
            _ => Vec::new(),
        }
    }
}

fn kind_of_tls(failure: &TlsFailure) -> ErrorKind {
    match failure {
        TlsFailure::Broken(_) | TlsFailure::Closed => ErrorKind::Unreachable,
        TlsFailure::NotTls { .. } | TlsFailure::NoHttp2 | TlsFailure::Protocol(_) => ErrorKind::NotTls,
        TlsFailure::UntrustedServer { .. } | TlsFailure::PinMismatch { .. } | TlsFailure::BadCertificate(_) => {
            ErrorKind::UntrustedServer
        }
        TlsFailure::WrongName { .. } => ErrorKind::WrongName,
        TlsFailure::Expired { .. } | TlsFailure::NotYetValid { .. } => ErrorKind::CertificateTime,
        TlsFailure::ClientCertificateRejected { .. } => ErrorKind::ClientCertificateRejected,
    }
}

fn rpc_hints(code: Code) -> Vec<String> {
    let hint = match code {
        Code::PermissionDenied => {
            "the client certificate lacks the role for this call (os:admin), or the node is in maintenance mode"
        }
        Code::Unimplemented => "the node is in another mode (maintenance, worker) or runs another Talos version",
        Code::InvalidArgument => "the node refuses the request itself; repeating it will not help",
        Code::DeadlineExceeded => "the node is reachable but slow; it may have done what was asked",
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}
