//! Injected faults: what breaks, where, and how often.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tonic::Code;

use super::journal::{Event, Journal};

/// Something that goes wrong. Durations and byte counts are exact; a fault strikes as often as it was armed for.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// A call to the Talos API whose path ends in `method` (`MachineService/Upgrade`) takes effect, but the
    /// connection is reset before the reply.
    DropReply {
        /// End of the path.
        method: String,
    },
    /// The connection is reset before the call takes effect.
    ResetCall {
        /// End of the path.
        method: String,
    },
    /// The call is answered late.
    DelayCall {
        /// End of the path.
        method: String,
        /// How late.
        by: Duration,
    },
    /// The call is refused.
    RefuseCall {
        /// End of the path.
        method: String,
        /// With this status.
        code: Code,
        /// And these words.
        message: String,
    },
    /// The Talos port accepts a connection and then says nothing.
    HalfOpen,
    /// The next boot takes this much longer.
    SlowBoot(Duration),
    /// The node's clock is off by this many seconds (positive: the node is ahead), from the next boot on.
    ClockSkew(i64),
    /// The Bootstrap call is answered, and then the node reboots before etcd wrote anything.
    LoseBootstrap,
    /// The installer fails and says this.
    FailUpgrade(String),
    /// The installer succeeds, but the new entry does not boot: the firmware falls back to the old one.
    NewEntryDoesNotBoot,
    /// The SSH connection dies after this many bytes were received on it.
    SshKilled {
        /// Bytes of standard input.
        after: u64,
    },
    /// A reboot asked for in the rescue shell never happens.
    RebootIgnored,
    /// The disk takes no more than this many bytes from its start on.
    DiskFull {
        /// The first byte that cannot be written.
        at: u64,
    },
    /// After the next write, one byte on the disk is another.
    FlippedByte {
        /// Where.
        at: u64,
    },
    /// The factory ends a disk image after this many bytes, and closes the connection.
    FactoryTruncates(u64),
    /// The factory stops sending after this many bytes, and keeps the connection.
    FactoryStalls(u64),
    /// The factory answers with this status.
    FactoryStatus(u16),
    /// The factory answers an image request with a page of HTML and status 200.
    FactoryHtml,
    /// The factory redirects GET of an image to another path of its own, as it does with its CDN.
    FactoryRedirects,
    /// The factory answers a posted schematic with another id.
    FactoryOtherId,
    /// The Kubernetes API answers with this status.
    KubernetesStatus(u16),
}

/// How often a fault strikes.
pub const ALWAYS: u32 = u32::MAX;

#[derive(Debug)]
struct Armed {
    node: Option<String>,
    fault: Fault,
    left: u32,
}

/// All armed faults.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Armed>>>, Arc<AtomicU64>);

impl Faults {
    /// Arms a fault; without a node it strikes any node.
    pub fn arm(&self, node: Option<&str>, fault: Fault, times: u32) {
        self.armed(|list| list.push(Armed { node: node.map(str::to_owned), fault, left: times }));
    }

    /// Takes back all faults, also those that struck and would last.
    pub fn clear(&self) {
        self.armed(Vec::clear);
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    /// How often all faults were taken back.
    pub(super) fn cleared(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    /// Lets the first fault strike that `pick` recognises.
    pub(super) fn strike<T>(
        &self,
        journal: &Journal,
        node: Option<&str>,
        pick: impl Fn(&Fault) -> Option<T>,
    ) -> Option<T> {
        let (struck, words) = self.armed(|list| {
            let fits = |armed: &Armed| armed.left > 0 && (armed.node.is_none() || armed.node.as_deref() == node);
            list.iter_mut().filter(|armed| fits(armed)).find_map(|armed| {
                let picked = pick(&armed.fault)?;
                if armed.left != ALWAYS {
                    armed.left -= 1;
                }
                Some((picked, format!("{:?}", armed.fault)))
            })
        })?;
        match node {
            Some(node) => journal.node(node, Event::Fault(words)),
            None => journal.shared(Event::Fault(words)),
        }
        Some(struck)
    }

    fn armed<T>(&self, act: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_node_as_often_as_it_was_armed_for() {
        let (faults, journal) = (Faults::default(), Journal::default());
        faults.arm(Some("a"), Fault::SlowBoot(Duration::from_secs(1)), 2);
        let strike = |node| faults.strike(&journal, Some(node), |f| matches!(f, Fault::SlowBoot(_)).then_some(()));
        assert_eq!(strike("b"), None);
        assert_eq!((strike("a"), strike("a"), strike("a")), (Some(()), Some(()), None));
        assert_eq!(journal.entries().len(), 2);
    }
}
