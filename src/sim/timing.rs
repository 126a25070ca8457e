//! How long the pretend machines take, and the sum of what they were told to take.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;

/// Durations of everything that takes time on a real machine. The defaults keep tests fast.
#[derive(Debug, Clone)]
pub struct Timings {
    /// From the reboot request until the sockets close.
    pub reboot_grace: Duration,
    /// From closed sockets to the firmware.
    pub reboot_dark: Duration,
    /// Firmware until Talos runs.
    pub firmware: Duration,
    /// Talos until its first API answers.
    pub boot: Duration,
    /// From an accepted configuration until the next API answers.
    pub apply_gap: Duration,
    /// API up until containerd's CRI service runs.
    pub cri: Duration,
    /// API up until the clock is in sync.
    pub time_sync: Duration,
    /// Pulling an installer image.
    pub pull: Duration,
    /// Running the installer.
    pub install: Duration,
    /// Stopping all services before a reboot.
    pub stop_services: Duration,
    /// Bootstrap until etcd is healthy.
    pub etcd: Duration,
    /// One round of a worker asking trustd.
    pub trustd: Duration,
    /// Tailscale start until it is up.
    pub tailscale: Duration,
    /// Joined until the kubelet has registered the Node.
    pub kubelet: Duration,
    /// Registered until the Node is Ready.
    pub node_ready: Duration,
    /// First byte of a disk image that the factory has not built yet.
    pub factory_build: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            reboot_grace: ms(10),
            reboot_dark: ms(40),
            firmware: ms(20),
            boot: ms(30),
            apply_gap: ms(30),
            cri: ms(20),
            time_sync: ms(10),
            pull: ms(40),
            install: ms(30),
            stop_services: ms(20),
            etcd: ms(30),
            trustd: ms(20),
            tailscale: ms(20),
            kubelet: ms(30),
            node_ready: ms(50),
            factory_build: Duration::ZERO,
        }
    }
}

/// The book of what each node was told to take. Waits that overlap count once.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<HashMap<String, Account>>>);

#[derive(Debug, Default)]
struct Account {
    total: Duration,
    busy_until: Option<Instant>,
}

impl Ledger {
    /// Takes the time, and books it on the node.
    pub async fn take(&self, node: &str, duration: Duration) {
        self.book(node, Instant::now(), duration);
        sleep(duration).await;
    }

    /// What the node was told to take so far.
    pub fn total(&self, node: &str) -> Duration {
        self.accounts().get(node).map(|account| account.total).unwrap_or_default()
    }

    fn book(&self, node: &str, now: Instant, duration: Duration) {
        let mut accounts = self.accounts();
        let account = accounts.entry(node.to_owned()).or_default();
        let (start, end) = (account.busy_until.map_or(now, |busy| busy.max(now)), now + duration);
        if end > start {
            account.total += end - start;
            account.busy_until = Some(end);
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_waits_count_once() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        let ms = Duration::from_millis;
        ledger.book("a", start, ms(100));
        ledger.book("a", start + ms(50), ms(30));
        assert_eq!(ledger.total("a"), ms(100));
        ledger.book("a", start + ms(80), ms(50));
        assert_eq!(ledger.total("a"), ms(130));
        ledger.book("a", start + ms(500), ms(10));
        assert_eq!((ledger.total("a"), ledger.total("b")), (ms(140), ms(0)));
    }
}
