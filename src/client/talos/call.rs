//! One call: its deadline, its single answer, and the real cause when it fails.

use std::error::Error as _;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::wire::common::Metadata;
use crate::wire::cosi::state_client::StateClient;
use crate::wire::machine::image_service_client::ImageServiceClient;
use crate::wire::machine::lifecycle_service_client::LifecycleServiceClient;
use crate::wire::machine::machine_service_client::MachineServiceClient;
use crate::wire::{common, machine, storage};

use super::link::Progress;
use super::tls::TlsFailure;
use super::{Node, TalosError, dial};

/// Talos v1.12.2 pkg/machinery/constants, `GRPCMaxMessageSize`: 32 MiB.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// The node is told to give up a little later than we do, so that our own deadline is the one that shows.
const SERVER_SLACK: Duration = Duration::from_secs(1);

/// A message that carries the metadata of a proxied call.
pub(super) trait Answered {
    /// Unset unless the call was proxied or failed on the way.
    fn metadata(&self) -> Option<&Metadata>;
}

impl Node {
    pub(super) fn machine_service(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn image_service(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn lifecycle_service(&self) -> LifecycleServiceClient<Channel> {
        LifecycleServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn state_service(&self) -> StateClient<Channel> {
        StateClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Runs a call under this node's deadline and unwraps the answer.
    pub(super) async fn call<T>(
        &self,
        method: &'static str,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, TalosError> {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failed(method, within, &status)),
            Err(_) => Err(self.late(method, within)),
        }
    }

    /// The next message of a stream that ends at `end`; `None` when the node ended it.
    pub(super) async fn next<T>(
        &self,
        method: &'static str,
        within: Duration,
        end: Instant,
        stream: &mut Streaming<T>,
    ) -> Result<Option<T>, TalosError> {
        match timeout_at(end, stream.message()).await {
            Ok(message) => message.map_err(|status| self.failed(method, within, &status)),
            Err(_) => Err(self.late(method, within)),
        }
    }

    /// The one message that a node answers for itself.
    ///
    /// # Errors
    /// When there is none or more than one, and when the message says that it stands for an error.
    pub(super) fn only<M: Answered>(&self, method: &'static str, messages: Vec<M>) -> Result<M, TalosError> {
        let count = messages.len();
        let mut messages = messages.into_iter();
        match (messages.next(), messages.next()) {
            (Some(message), None) => {
                self.no_error_in(method, message.metadata())?;
                Ok(message)
            }
            _ => Err(self.nonsense(method, format!("expected one answer, got {count}"))),
        }
    }

    /// A proxied call may fail inside a successful answer (Talos v1.12.2 internal/app/apid/pkg/backend/apid.go).
    pub(super) fn no_error_in(&self, method: &'static str, metadata: Option<&Metadata>) -> Result<(), TalosError> {
        let Some(metadata) = metadata.filter(|metadata| !metadata.error.is_empty()) else {
            return Ok(());
        };
        let code = metadata.status.as_ref().map_or(Code::Unknown, |status| Code::from(status.code));
        Err(self.answered(method, code, &metadata.error))
    }

    pub(super) fn late(&self, method: &'static str, within: Duration) -> TalosError {
        TalosError::Deadline { method, address: self.address.clone(), within }
    }

    pub(super) fn nonsense(&self, method: &'static str, problem: impl Into<String>) -> TalosError {
        TalosError::Answer { method, address: self.address.clone(), problem: problem.into() }
    }

    /// The typed error behind a status: what the node said, or what became of the connection.
    pub(super) fn failed(&self, method: &'static str, within: Duration, status: &Status) -> TalosError {
        // Only a status that tonic made up itself has a source; one from the node is just code and message.
        let Some(cause) = status.source() else {
            return self.answered(method, status.code(), status.message());
        };
        if let Progress::Failed(error) = self.link.observer.now() {
            let failure = self.link.handshake.failure(dial::again(&error), &self.address.host);
            if !matches!(failure, TlsFailure::Broken(_) | TlsFailure::Closed) {
                return TalosError::Tls { address: self.address.clone(), source: failure };
            }
        }
        match status.code() {
            Code::DeadlineExceeded => self.late(method, within),
            _ => TalosError::Disconnected {
                method,
                address: self.address.clone(),
                source: root(cause).to_string().into(),
            },
        }
    }

    fn answered(&self, method: &'static str, code: Code, message: &str) -> TalosError {
        TalosError::Rpc { method, address: self.address.clone(), code, message: without_quotes(message) }
    }
}

/// A request that the node gives up on soon after we do.
pub(super) fn request<T>(message: T, within: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(within.saturating_add(SERVER_SLACK));
    request
}

fn root<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// Talos quotes the configuration in some messages: a diff when a change needs a reboot, the unknown keys with their
/// values when it does not parse (Talos v1.12.2 v1alpha1_server.go, pkg/machinery/config/decoder). Beyond the first
/// line only keys and the bullets of validation errors are kept.
fn without_quotes(message: &str) -> String {
    let mut lines = message.lines();
    let mut text = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let bare = line.trim_start();
        text.push('\n');
        match bare.split_once(':') {
            _ if bare.starts_with("* ") || bare.is_empty() => text.push_str(line),
            Some((key, value)) if value.trim().is_empty() => {
                text.push_str(line.split(key).next().unwrap_or_default());
                text.push_str(key);
                text.push(':');
            }
            Some((key, _)) => {
                text.push_str(line.split(key).next().unwrap_or_default());
                text.push_str(key);
                text.push_str(": …");
            }
            None => text.push('…'),
        }
    }
    text
}

macro_rules! answered {
    ($($message:ty),+ $(,)?) => {
        $(impl Answered for $message {
            fn metadata(&self) -> Option<&Metadata> {
                self.metadata.as_ref()
            }
        })+
    };
}

answered!(
    common::Data,
    machine::ApplyConfiguration,
    machine::Bootstrap,
    machine::EtcdMembers,
    machine::Event,
    machine::Hostname,
    machine::Reboot,
    machine::Reset,
    machine::ServiceList,
    machine::Shutdown,
    machine::SystemStat,
    machine::Upgrade,
    machine::Version,
    storage::Disks,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_configuration_is_cut_out_of_a_message() {
        let message = "this config change can't be applied in immediate mode\ndiff: --- a\n+++ b\n-    token: abc.def\n     - tskey-auth-1\n     ca:\n";
        let shown = without_quotes(message);
        assert!(!shown.contains("abc.def") && !shown.contains("tskey"), "{shown}");
        assert!(shown.starts_with("this config change can't be applied in immediate mode\n"), "{shown}");
        assert!(shown.contains("token: …") && shown.contains("     ca:"), "{shown}");
    }

    #[test]
    fn validation_errors_stay_readable() {
        let message = "configuration validation failed: 1 error occurred:\n\t* machine type is required\n\n";
        assert_eq!(
            without_quotes(message),
            "configuration validation failed: 1 error occurred:\n\t* machine type is required\n"
        );
    }
}
