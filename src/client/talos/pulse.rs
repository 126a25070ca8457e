//! Keeping an eye on a node during a long quiet call.
//!
//! TCP notices a host that is gone ([`super::dial`]), but not a host that lives while its API hangs. HTTP/2 pings would,
//! and apid ends the connection for them; so a small question is asked beside the call. It is data, which apid counts
//! in our favour.

use std::time::Duration;

use tonic::Code;

use super::{ErrorKind, Node, TalosError};

/// When to ask, and how long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    pub(super) every: Duration,
    pub(super) within: Duration,
}

/// This many questions in a row without an answer, and the node counts as gone: one may be lost to a busy disk.
const MISSES: u32 = 3;

impl Default for Pulse {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), within: Duration::from_secs(5) }
    }
}

impl Node {
    /// Waits for `call`, but not for a node that has stopped answering.
    pub(super) async fn while_alive<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, TalosError>>,
    ) -> Result<T, TalosError> {
        tokio::select! {
            biased;
            result = call => result,
            silence = self.silence(method) => Err(silence),
        }
    }

    /// Ends when the node no longer answers.
    async fn silence(&self, method: &'static str) -> TalosError {
        let asking = self.within(self.pulse.within);
        let mut missed = 0;
        loop {
            tokio::time::sleep(self.pulse.every).await;
            match asking.machine_status().await {
                Err(error) if is_silence(&error) => missed += 1,
                // Any answer is a sign of life, also a refusal.
                _ => missed = 0,
            }
            if missed == MISSES {
                return TalosError::Silent {
                    method,
                    address: self.address.clone(),
                    lasted: (self.pulse.every + self.pulse.within) * MISSES,
                };
            }
        }
    }
}

fn is_silence(error: &TalosError) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Rpc(Code::DeadlineExceeded))
}
