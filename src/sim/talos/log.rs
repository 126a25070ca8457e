//! The node's own voices: the kernel log, service logs, and the stream of events.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, stream};
use prost::Message;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::wire::machine::Event;

/// Talos keeps this many events.
const EVENTS: usize = 1000;
const LINES: usize = 4000;

/// All logs of a node; they are emptied at boot.
#[derive(Debug)]
pub struct Logs {
    pages: Mutex<Pages>,
    lines: broadcast::Sender<(String, String)>,
    events: broadcast::Sender<Event>,
}

#[derive(Debug, Default)]
struct Pages {
    logs: HashMap<String, VecDeque<String>>,
    events: VecDeque<Event>,
    count: u64,
}

/// The name of the kernel log among the logs.
pub const KERNEL: &str = "kernel";

impl Default for Logs {
    fn default() -> Self {
        Self { pages: Mutex::default(), lines: broadcast::Sender::new(1024), events: broadcast::Sender::new(1024) }
    }
}

impl Logs {
    /// Forgets everything, as memory does at a reboot.
    pub fn clear(&self) {
        let mut pages = self.lock();
        pages.logs.clear();
        pages.events.clear();
    }

    /// A line of Talos in the kernel log, as `talosctl dmesg` shows it.
    pub fn kernel(&self, now: OffsetDateTime, line: &str) {
        let stamp = now.format(&Rfc3339).unwrap_or_default();
        self.write(KERNEL, &format!("user: warning: [{stamp}]: [talos] {line}"));
    }

    /// A line of a service's own log.
    pub fn write(&self, log: &str, line: &str) {
        let mut pages = self.lock();
        let lines = pages.logs.entry(log.to_owned()).or_default();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
        // Nobody may be listening.
        let _ = self.lines.send((log.to_owned(), line.to_owned()));
    }

    /// The lines of a log so far, and a receiver of those to come.
    pub fn read(&self, log: &str) -> (Option<Vec<String>>, broadcast::Receiver<(String, String)>) {
        let pages = self.lock();
        let lines = pages.logs.get(log).map(|lines| lines.iter().cloned().collect());
        (lines, self.lines.subscribe())
    }

    /// Publishes an event; `name` is the message's name in package `machine`.
    pub fn publish(&self, name: &str, payload: &impl Message, actor: &str) {
        let mut pages = self.lock();
        pages.count += 1;
        let event = Event {
            metadata: None,
            data: Some(prost_types::Any {
                type_url: format!("talos/runtime/machine.{name}"),
                value: payload.encode_to_vec(),
            }),
            id: event_id(pages.count),
            actor_id: actor.to_owned(),
        };
        if pages.events.len() == EVENTS {
            pages.events.pop_front();
        }
        pages.events.push_back(event.clone());
        let _ = self.events.send(event);
    }

    /// The events so far, and a receiver of those to come.
    pub fn events(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let pages = self.lock();
        (pages.events.iter().cloned().collect(), self.events.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `machine.ServiceStateEvent`, which no client here reads and so has no place among the wire's messages.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceStateEvent {
    /// The service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The number of its state.
    #[prost(int32, tag = "2")]
    pub action: i32,
    /// What happened.
    #[prost(string, tag = "3")]
    pub message: String,
}

impl ServiceStateEvent {
    /// The event of a service that moved to a state.
    pub fn new(service: &str, state: &str, message: &str) -> Self {
        const STATES: [&str; 9] =
            ["Initialized", "Preparing", "Waiting", "Running", "Stopping", "Finished", "Failed", "Skipped", "Starting"];
        let action = STATES.iter().position(|known| *known == state).unwrap_or_default();
        Self { service: service.to_owned(), action: action as i32, message: message.to_owned() }
    }
}

/// What a receiver still gets; what it was too slow for is left out.
pub fn to_come<T: Clone + Send + 'static>(receiver: broadcast::Receiver<T>) -> impl Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(item) => return Some((item, receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

/// Twenty characters that sort by age, as an xid does.
pub fn event_id(count: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digit = |place: u32| char::from(DIGITS[(count.checked_shr(5 * place).unwrap_or_default() & 31) as usize]);
    format!("d4simul{}", (0..13).rev().map(digit).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_sort_by_age() {
        let ids: Vec<_> = [1, 2, 31, 32, 33, 1 << 40].map(event_id).to_vec();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 20), "{ids:?}");
    }

    #[test]
    fn kernel_lines_look_like_dmesg() {
        let logs = Logs::default();
        logs.kernel(OffsetDateTime::UNIX_EPOCH, "service[apid](Waiting): Waiting for api certificates");
        let (lines, _) = logs.read(KERNEL);
        let expected =
            "user: warning: [1970-01-01T00:00:00Z]: [talos] service[apid](Waiting): Waiting for api certificates";
        assert_eq!(lines.expect("a log"), [expected]);
    }
}
