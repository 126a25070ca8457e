//! Streams of bytes from a node, bounded in time and in size: kernel log, service logs, files.

use std::collections::VecDeque;

use tokio::time::Instant;
use tonic::{Response, Status, Streaming};

use crate::wire::common::{ContainerDriver, Data};
use crate::wire::machine;

use super::call::{Answered as _, request};
use super::{Node, TalosError};

/// Enough for a whole kernel ring buffer.
const DMESG_BYTES: usize = 4 * 1024 * 1024;

/// Enough for some thousand lines of a service.
const LOG_BYTES: usize = 4 * 1024 * 1024;

/// Which log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// A Talos service such as `apid`, `kubelet` or `ext-tailscale`.
    Service(String),
    /// A container of Kubernetes, by the id that the container runtime knows.
    Container(String),
}

/// The end of a text stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text; when it was too long, its end.
    pub text: String,
    /// The beginning is missing.
    pub cut: bool,
    /// The node had more to say when the deadline came.
    pub unfinished: bool,
}

/// Which end of too long a stream to keep.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// All of it, or fail.
    All,
    /// The newest bytes.
    Tail,
}

struct Collected {
    bytes: Vec<u8>,
    cut: bool,
    unfinished: bool,
}

impl Node {
    /// The kernel log as it is now: one line per message, `facility: priority: [time]: text`.
    ///
    /// # Errors
    /// As any call; a deadline in the middle is no error but [`Text::unfinished`].
    pub async fn dmesg(&self) -> Result<Text, TalosError> {
        let message = machine::DmesgRequest { follow: false, tail: false };
        let mut client = self.machine_service();
        let call = client.dmesg(request(message, self.within));
        self.collect("Dmesg", call, DMESG_BYTES, Keep::Tail).await.map(Text::from)
    }

    /// The last `lines` lines of a log.
    ///
    /// # Errors
    /// As any call; a deadline in the middle is no error but [`Text::unfinished`].
    pub async fn logs(&self, source: &LogSource, lines: u32) -> Result<Text, TalosError> {
        let (namespace, id, driver) = match source {
            LogSource::Service(id) => ("system", id, ContainerDriver::Containerd),
            LogSource::Container(id) => ("k8s.io", id, ContainerDriver::Cri),
        };
        let message = machine::LogsRequest {
            namespace: namespace.to_owned(),
            id: id.clone(),
            driver: driver.into(),
            follow: false,
            tail_lines: i32::try_from(lines).unwrap_or(i32::MAX),
        };
        let mut client = self.machine_service();
        let call = client.logs(request(message, self.within));
        self.collect("Logs", call, LOG_BYTES, Keep::Tail).await.map(Text::from)
    }

    /// A file of the node, which must be no longer than `limit` bytes. Administrators only.
    ///
    /// # Errors
    /// As any call; `Answer` when the file is longer.
    pub async fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, TalosError> {
        let message = machine::ReadRequest { path: path.to_owned() };
        let mut client = self.machine_service();
        let call = client.read(request(message, self.within));
        Ok(self.collect("Read", call, limit, Keep::All).await?.bytes)
    }

    async fn collect(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<Response<Streaming<Data>>, Status>>,
        limit: usize,
        keep: Keep,
    ) -> Result<Collected, TalosError> {
        let end = Instant::now() + self.within;
        let mut stream = self.call(method, self.within, call).await?;
        let mut bytes = VecDeque::new();
        let (mut cut, mut unfinished) = (false, false);
        loop {
            let data = match self.next(method, self.within, end, &mut stream).await {
                Ok(Some(data)) => data,
                Ok(None) => break,
                Err(TalosError::Deadline { .. }) if keep == Keep::Tail => {
                    unfinished = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            self.no_error_in(method, data.metadata())?;
            bytes.extend(data.bytes);
            if bytes.len() > limit {
                if keep == Keep::All {
                    return Err(self.nonsense(method, format!("the answer is longer than {limit} bytes")));
                }
                bytes.drain(..bytes.len() - limit);
                cut = true;
            }
        }
        Ok(Collected { bytes: bytes.into(), cut, unfinished })
    }
}

impl From<Collected> for Text {
    fn from(collected: Collected) -> Self {
        Self {
            text: String::from_utf8_lossy(&collected.bytes).into_owned(),
            cut: collected.cut,
            unfinished: collected.unfinished,
        }
    }
}
