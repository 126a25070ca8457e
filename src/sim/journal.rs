//! What happened, in order: one journal for the whole world, with typed entries.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{sync::watch, time::timeout};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it happened.
    pub at: OffsetDateTime,
    /// The node it happened on; `None` for the factory and other things that all nodes share.
    pub node: Option<String>,
    /// What happened.
    pub event: Event,
}

/// What can happen. Arguments are shortened and carry no secrets.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody logged in to the rescue shell.
    SshLogin {
        /// The login name.
        user: String,
    },
    /// The rescue host refused a login.
    SshRefused {
        /// The login name.
        user: String,
    },
    /// A command on the rescue host ended.
    SshExec {
        /// The first characters of the command.
        command: String,
        /// The exit status; `None` when the connection went first.
        status: Option<u32>,
        /// Bytes that came in on its standard input.
        bytes_in: u64,
        /// Bytes that it wrote to standard output.
        bytes_out: u64,
    },
    /// `dd` opened the disk for writing.
    DiskWrite {
        /// The arguments of `dd`, without the sandbox's own paths.
        arguments: String,
    },
    /// The machine left its running system.
    Reboot {
        /// Who asked: "rescue shell", "Reboot", "Upgrade", …
        cause: String,
    },
    /// The machine was switched off.
    PowerOff {
        /// Who asked.
        cause: String,
    },
    /// What the firmware found on the disk.
    Boot(BootVerdict),
    /// Talos entered a stage (`booting`, `maintenance`, `running`, …).
    Stage(String),
    /// The Talos API opened its port; `maintenance`, `control plane` or `worker`.
    ApiOpen(String),
    /// The Talos API closed its port.
    ApiClosed,
    /// A TLS handshake with the Talos API failed.
    HandshakeRefused {
        /// The reason, in the words of the TLS library.
        reason: String,
    },
    /// A call to the Talos API ended.
    Rpc {
        /// The method, without its package (`MachineService/Upgrade`).
        method: String,
        /// The arguments, redacted.
        arguments: String,
        /// The status name (`Ok`, `PermissionDenied`, …).
        status: String,
    },
    /// A machine configuration took effect or was stored.
    ConfigApplied {
        /// `worker` or `controlplane`; `partial` without a v1alpha1 document.
        kind: String,
        /// The mode that took effect (`AUTO`, `REBOOT`, `NO_REBOOT`, `STAGED`, `TRY`).
        mode: String,
        /// The cluster that it names.
        cluster: String,
    },
    /// etcd was bootstrapped.
    Bootstrapped,
    /// A new boot entry was written.
    Upgraded {
        /// The installer image.
        image: String,
    },
    /// An upgrade went wrong; the old boot entry stays.
    UpgradeFailed {
        /// The installer image.
        image: String,
        /// What went wrong.
        reason: String,
    },
    /// Partitions were wiped.
    Wiped {
        /// Their labels.
        labels: Vec<String>,
    },
    /// The tailnet's answer to the node.
    Tailscale {
        /// `true` when the node is in the tailnet.
        up: bool,
        /// The log line that says why not.
        detail: String,
    },
    /// The configuration's static network leads nowhere: no packet leaves the node.
    NoNetwork {
        /// What is wrong with it.
        reason: String,
    },
    /// trustd signed the node's API certificate: the worker has an API.
    Joined,
    /// trustd could not be asked, or refused.
    JoinRefused {
        /// The controller's error.
        reason: String,
    },
    /// The Kubernetes API answered.
    Kubernetes {
        /// `GET /api/v1/nodes/cloudbox2`
        request: String,
        /// The HTTP status.
        status: u16,
    },
    /// A Kubernetes Node changed.
    NodeObject {
        /// `registered`, `Ready`, `cordoned`, …
        change: String,
    },
    /// The Image Factory answered.
    Factory {
        /// `GET /versions`
        request: String,
        /// The HTTP status.
        status: u16,
        /// Bytes of the answer's body that were meant to be sent.
        bytes: u64,
    },
    /// The metadata service answered.
    Metadata {
        /// `GET /opc/v2/instance/`
        request: String,
        /// The HTTP status.
        status: u16,
    },
    /// An injected fault struck.
    Fault(String),
}

/// What the firmware made of the disk.
#[derive(Debug, Clone, PartialEq)]
pub enum BootVerdict {
    /// The image was there, byte for byte, for the first time.
    Flashed {
        /// Its schematic.
        schematic: String,
        /// Its Talos version.
        version: String,
    },
    /// The installed system booted again.
    Installed {
        /// The schematic of the boot entry; empty when it was built without one.
        schematic: String,
        /// Its Talos version.
        version: String,
        /// Its platform.
        platform: String,
    },
    /// Nothing to boot: the port stays closed.
    NoBootableDevice {
        /// What the firmware stumbled over.
        reason: String,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.at.time();
        let (h, m, s, ms) = time.as_hms_milli();
        let node = self.node.as_deref().unwrap_or("-");
        write!(f, "{h:02}:{m:02}:{s:02}.{ms:03} {node:<12} {}", self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SshLogin { user } => write!(f, "ssh: {user} logged in"),
            Self::SshRefused { user } => write!(f, "ssh: {user} refused"),
            Self::SshExec { command, status, bytes_in, bytes_out } => {
                let status = status.map_or_else(|| "cut off".to_owned(), |code| format!("exit {code}"));
                write!(f, "ssh: {status}, {bytes_in} B in, {bytes_out} B out: {command}")
            }
            Self::DiskWrite { arguments } => write!(f, "disk: dd {arguments}"),
            Self::Reboot { cause } => write!(f, "reboot ({cause})"),
            Self::PowerOff { cause } => write!(f, "power off ({cause})"),
            Self::Boot(verdict) => write!(f, "boot: {verdict}"),
            Self::Stage(stage) => write!(f, "stage: {stage}"),
            Self::ApiOpen(kind) => write!(f, "talos api: open ({kind})"),
            Self::ApiClosed => f.write_str("talos api: closed"),
            Self::HandshakeRefused { reason } => write!(f, "talos api: handshake refused: {reason}"),
            Self::Rpc { method, arguments, status } => write!(f, "rpc: {method}({arguments}) -> {status}"),
            Self::ConfigApplied { kind, mode, cluster } => write!(f, "config: {kind} of {cluster}, {mode}"),
            Self::Bootstrapped => f.write_str("etcd: bootstrapped"),
            Self::Upgraded { image } => write!(f, "upgrade: new boot entry from {image}"),
            Self::UpgradeFailed { image, reason } => write!(f, "upgrade: {image} failed: {reason}"),
            Self::Wiped { labels } => write!(f, "reset: wiped {}", labels.join(", ")),
            Self::Tailscale { up, detail } => write!(f, "tailscale: {}: {detail}", if *up { "up" } else { "down" }),
            Self::NoNetwork { reason } => write!(f, "network: {reason}"),
            Self::Joined => f.write_str("trustd: certificate signed, worker joined"),
            Self::JoinRefused { reason } => write!(f, "trustd: {reason}"),
            Self::Kubernetes { request, status } => write!(f, "kubernetes: {request} -> {status}"),
            Self::NodeObject { change } => write!(f, "kubernetes: node {change}"),
            Self::Factory { request, status, bytes } => write!(f, "factory: {request} -> {status}, {bytes} B"),
            Self::Metadata { request, status } => write!(f, "metadata: {request} -> {status}"),
            Self::Fault(what) => write!(f, "fault: {what}"),
        }
    }
}

impl fmt::Display for BootVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flashed { schematic, version } => {
                write!(f, "image {version} of schematic {} found byte for byte", short(schematic))
            }
            Self::Installed { schematic, version, platform } => {
                write!(f, "entry {version}, schematic {}, platform {platform}", short(schematic))
            }
            Self::NoBootableDevice { reason } => write!(f, "no bootable device: {reason}"),
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The journal itself; clones write to the same pages.
#[derive(Debug, Clone)]
pub struct Journal {
    entries: Arc<Mutex<Vec<Entry>>>,
    length: Arc<watch::Sender<usize>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { entries: Arc::default(), length: Arc::new(watch::Sender::new(0)) }
    }
}

impl Journal {
    /// Writes a line about one node.
    pub fn node(&self, node: &str, event: Event) {
        self.push(Some(node.to_owned()), event);
    }

    /// Writes a line about something that all nodes share.
    pub fn shared(&self, event: Event) {
        self.push(None, event);
    }

    /// All lines so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.pages().clone()
    }

    /// The lines from the given index on.
    pub fn since(&self, index: usize) -> Vec<Entry> {
        self.pages().get(index..).map(<[Entry]>::to_vec).unwrap_or_default()
    }

    /// Waits for a line, past or future, that satisfies `wanted`; `None` after the deadline.
    pub async fn wait_for(&self, deadline: Duration, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let mut length = self.length.subscribe();
        let mut seen = 0;
        timeout(deadline, async {
            loop {
                length.mark_unchanged();
                let fresh = self.since(seen);
                seen += fresh.len();
                if let Some(entry) = fresh.into_iter().find(&wanted) {
                    return Some(entry);
                }
                length.changed().await.ok()?;
            }
        })
        .await
        .ok()
        .flatten()
    }

    /// Returns when there are more lines than `index`.
    pub async fn grown_past(&self, index: usize) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.length.subscribe().wait_for(|length| *length > index).await;
    }

    fn push(&self, node: Option<String>, event: Event) {
        let entry = Entry { at: OffsetDateTime::now_utc(), node, event };
        tracing::debug!(target: "talosoci::sim", "{entry}");
        let mut pages = self.pages();
        pages.push(entry);
        let length = pages.len();
        drop(pages);
        self.length.send_replace(length);
    }

    fn pages(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiter_sees_past_and_future_lines() {
        let journal = Journal::default();
        journal.node("a", Event::Bootstrapped);
        let past = journal.wait_for(Duration::from_secs(1), |e| e.event == Event::Bootstrapped).await;
        assert!(past.is_some());
        let (waiter, writer) = (journal.clone(), journal.clone());
        let future =
            tokio::spawn(async move { waiter.wait_for(Duration::from_secs(5), |e| e.event == Event::Joined).await });
        tokio::task::yield_now().await;
        writer.node("a", Event::Joined);
        assert!(future.await.expect("the waiter").is_some());
        let never = journal.wait_for(Duration::from_millis(5), |e| e.event == Event::ApiClosed).await;
        assert!(never.is_none());
    }

    #[test]
    fn lines_name_the_node_and_the_event() {
        let journal = Journal::default();
        journal.node("cloudbox2", Event::Stage("maintenance".into()));
        let line = journal.entries()[0].to_string();
        assert!(line.contains("cloudbox2") && line.ends_with("stage: maintenance"), "{line}");
    }
}
