//! What can go wrong with a session, and what to do about it.

use std::time::Duration;

use thiserror::Error;

/// A failed conversation with a rescue shell.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The name of the host is unknown.
    #[error("resolving {host}")]
    Resolve {
        /// As given.
        host: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The host answered that nothing listens there.
    #[error("connecting to {address}: connection refused")]
    Refused {
        /// `host:port`.
        address: String,
    },
    /// No way to the host.
    #[error("connecting to {address}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The time was over.
    #[error("{doing} on {address}: no answer within {seconds} s")]
    Timeout {
        /// `host:port`.
        address: String,
        /// What was waited for.
        doing: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The server takes no connection at the moment.
    #[error("speaking SSH with {address}: the server said {said:?} and hung up")]
    Busy {
        /// `host:port`.
        address: String,
        /// In its words.
        said: String,
    },
    /// What listens there is no SSH server.
    #[error("speaking SSH with {address}: it is no SSH server, and said {said:?}")]
    NotSsh {
        /// `host:port`.
        address: String,
        /// The beginning of what it said.
        said: String,
    },
    /// The server hung up, or shares no algorithm with us.
    #[error("speaking SSH with {address}")]
    Handshake {
        /// `host:port`.
        address: String,
        /// The cause.
        #[source]
        source: Box<russh::Error>,
    },
    /// A pin cannot be read.
    #[error("reading the host key pin {pin:?}: {reason}")]
    BadPin {
        /// As given: public data.
        pin: String,
        /// What is wrong.
        reason: String,
    },
    /// The host proved another key than the expected one.
    #[error("checking the host key of {address}: it presented {presented}, expected {expected}")]
    HostKeyMismatch {
        /// `host:port`.
        address: String,
        /// Algorithm and fingerprint.
        presented: String,
        /// The pins.
        expected: String,
    },
    /// The `known_hosts` text does not speak of this host.
    #[error("checking the host key of {address}: {presented} is not in known_hosts")]
    HostKeyUnknown {
        /// `host:port`.
        address: String,
        /// Algorithm and fingerprint.
        presented: String,
    },
    /// The `known_hosts` text revokes this key.
    #[error("checking the host key of {address}: {presented} is revoked in known_hosts")]
    HostKeyRevoked {
        /// `host:port`.
        address: String,
        /// Algorithm and fingerprint.
        presented: String,
    },
    /// The private key cannot be read.
    #[error("reading the private key for {user}@{address}")]
    BadPrivateKey {
        /// Login name.
        user: String,
        /// `host:port`.
        address: String,
        /// The cause.
        #[source]
        source: Box<russh::keys::Error>,
    },
    /// The private key has a passphrase.
    #[error("reading the private key for {user}@{address}: it is encrypted with a passphrase")]
    EncryptedPrivateKey {
        /// Login name.
        user: String,
        /// `host:port`.
        address: String,
    },
    /// The agent did not answer.
    #[error("asking the SSH agent for keys")]
    Agent {
        /// The cause.
        #[source]
        source: Box<russh::keys::Error>,
    },
    /// The server wants other proof.
    #[error("logging in as {user} on {address}: the server refused {tried}{accepts}")]
    LoginRefused {
        /// Login name.
        user: String,
        /// `host:port`.
        address: String,
        /// Which keys were shown.
        tried: String,
        /// What it would accept, if it said so.
        accepts: String,
    },
    /// The connection broke while logging in.
    #[error("logging in as {user} on {address}")]
    Login {
        /// Login name.
        user: String,
        /// `host:port`.
        address: String,
        /// The cause.
        #[source]
        source: Box<russh::Error>,
    },
    /// The server opens no channel.
    #[error("{doing} on {address}")]
    Channel {
        /// `host:port`.
        address: String,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<russh::Error>,
    },
    /// The connection ended while a script ran.
    #[error("talking to {address}: the connection was lost")]
    Lost {
        /// `host:port`.
        address: String,
    },
    /// A script ended before it had taken all of its input.
    #[error("running a script on {address}: it ended early ({ending}){said}")]
    EndedEarly {
        /// `host:port`.
        address: String,
        /// How it ended.
        ending: String,
        /// The end of its standard error, with a leading colon, or nothing.
        said: String,
    },
    /// A script wrote more than anyone should have to read.
    #[error("running a script on {address}: more than {limit} bytes of output")]
    TooMuchOutput {
        /// `host:port`.
        address: String,
        /// The bound.
        limit: usize,
    },
}

impl SessionError {
    pub(super) fn timeout(address: &str, doing: &'static str, after: Duration) -> Self {
        Self::Timeout { address: address.into(), doing, seconds: after.as_secs() }
    }

    pub(super) fn handshake(address: &str, source: russh::Error) -> Self {
        Self::Handshake { address: address.into(), source: Box::new(source) }
    }

    /// Whether the same attempt may succeed a little later with nothing changed.
    pub fn is_transient(&self) -> bool {
        use russh::Error::{Disconnect, HUP, IO};
        match self {
            // A server that starts, or that drops some of many connections (MaxStartups), hangs up before it has said a word.
            Self::Handshake { source, .. } => matches!(**source, Disconnect | HUP | IO(_)),
            // EAI_AGAIN has no kind of its own: glibc's words, macOS', and musl's.
            Self::Resolve { source, .. } => {
                let said = source.to_string();
                said.contains("Temporary failure in name resolution") || said.ends_with("Try again")
            }
            Self::Busy { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::Channel { .. }
            | Self::Login { .. } => true,
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Resolve { .. } => hint("check the host name, or give an IP address"),
            Self::Refused { .. } => hint("is the rescue system up, and does sshd listen on this port?"),
            Self::Unreachable { .. } | Self::Timeout { .. } => hint(
                "check the address, the security list of the OCI subnet (ingress TCP on the SSH port) and that the machine is running",
            ),
            Self::Handshake { .. } => hint(
                "is this port really an SSH server? One that still starts, or that too many connect to (MaxStartups), hangs up: look at its log",
            ),
            Self::NotSsh { .. } => hint("is this port really an SSH server?"),
            Self::Busy { .. } => hint(
                "too many connect to it at once (MaxStartups), or earlier attempts from this address failed (PerSourcePenalties): wait a little, and run again",
            ),
            Self::BadPin { .. } => hint(
                "give `SHA256:…` (from `ssh-keygen -lf`) or a public key line (`ssh-ed25519 AAAA…`, from `ssh-keyscan`)",
            ),
            Self::HostKeyMismatch { .. } => hint(
                "if the rescue system was rebuilt, compare the presented fingerprint on its console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`) and pin it; if not, someone may be in the middle",
            ),
            Self::HostKeyUnknown { .. } => hint(
                "compare the fingerprint on the machine's console, then pin it with `host_key`, or add the host to known_hosts; `host_key_policy = \"accept-new\"` trusts whatever answers",
            ),
            Self::HostKeyRevoked { .. } => hint("this key was revoked on purpose: give the host a new one"),
            Self::BadPrivateKey { .. } => {
                hint("give the private key itself (OpenSSH or PEM text), not the .pub file and not a path")
            }
            Self::EncryptedPrivateKey { .. } => {
                hint("remove the passphrase (`ssh-keygen -p`), or load the key into an agent and set `agent = true`")
            }
            Self::Agent { .. } => hint("is SSH_AUTH_SOCK set for terraform, and does `ssh-add -l` list a key?"),
            Self::LoginRefused { user, .. } => vec![
                format!(
                    "is the public key in ~{user}/.ssh/authorized_keys? OCI sets ssh_authorized_keys only at launch"
                ),
                String::from(
                    "OCI's Ubuntu images log in as `ubuntu`, Oracle Linux as `opc`, most rescue systems as `root`",
                ),
            ],
            Self::Login { .. } | Self::Channel { .. } | Self::Lost { .. } => {
                hint("look at the rescue system's console; run again, what is done is not done twice")
            }
            Self::EndedEarly { .. } | Self::TooMuchOutput { .. } => Vec::new(),
        }
    }
}

fn hint(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_does_not_answer_is_asked_again_but_not_one_that_knows_no_such_name() {
        let transient = |said: &str| {
            let source = std::io::Error::other(format!("failed to lookup address information: {said}"));
            SessionError::Resolve { host: "node.example".into(), source }.is_transient()
        };
        assert!(transient("Temporary failure in name resolution") && transient("Try again"));
        assert!(!transient("Name or service not known") && !transient("Name does not resolve"));
    }
}
