//! One pretend machine: its state behind a lock, its voices, and the wishes that its power button hears.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};

use super::{
    log::{Logs, ServiceStateEvent},
    state::{Boot, Hardware, Service, Serving, Stage, State, stage_word},
};
use crate::{
    sim::{
        cluster::Cluster,
        factory::Catalog,
        fault::{Fault, Faults},
        journal::{Event, Journal},
        metadata::Metadata,
        port::Port,
        timing::{Ledger, Timings},
    },
    wire::machine::{
        MachineStatusEvent, PhaseEvent, SequenceEvent, TaskEvent,
        machine_status_event::{MachineStatus, machine_status::UnmetCondition},
        phase_event, sequence_event, task_event,
    },
};

/// What all machines of a world share.
#[derive(Clone)]
pub struct Surroundings {
    /// The journal.
    pub journal: Journal,
    /// Injected faults.
    pub faults: Faults,
    /// How long things take.
    pub timings: Timings,
    /// What was taken.
    pub ledger: Ledger,
    /// The factory's catalogue.
    pub catalog: Arc<Catalog>,
    /// The cluster at home.
    pub cluster: Arc<Cluster>,
}

/// What the power button hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Down, and boot from the disk.
    Reboot(String),
    /// Down, and stay down.
    PowerOff(String),
    /// Down, and boot the rescue system.
    Rescue,
}

/// A call that has not been answered yet.
pub struct OpenCall(Arc<Machine>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open_calls.send_modify(|count| *count -= 1);
    }
}

/// A machine. Handlers of its API and the tasks of its boot share it.
pub struct Machine {
    /// What does not change.
    pub hardware: Hardware,
    /// The world.
    pub world: Surroundings,
    /// The Talos port.
    pub port: Port,
    /// Its metadata service.
    pub metadata: Metadata,
    /// Where its disk is.
    pub disk: PathBuf,
    /// Its voices.
    pub logs: Logs,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// How many calls still wait for their answer to be sent.
    open_calls: watch::Sender<usize>,
    wishes: mpsc::UnboundedSender<Wish>,
}

impl Machine {
    /// A machine that is off.
    pub fn new(
        hardware: Hardware,
        world: Surroundings,
        port: Port,
        metadata: Metadata,
        disk: PathBuf,
        wishes: mpsc::UnboundedSender<Wish>,
    ) -> Self {
        Self {
            hardware,
            world,
            port,
            metadata,
            disk,
            logs: Logs::default(),
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            open_calls: watch::Sender::new(0),
            wishes,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.hardware.name
    }

    /// Reads or changes the state; whoever waits for a change is told.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Reads the state without telling anybody.
    pub fn look<T>(&self, act: impl FnOnce(&State) -> T) -> T {
        act(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the running system; `None` while there is none.
    pub fn boot<T>(&self, act: impl FnOnce(&Boot) -> T) -> Option<T> {
        self.look(|state| state.boot.as_ref().map(act))
    }

    /// Changes the running system.
    pub fn change<T>(&self, act: impl FnOnce(&mut Boot) -> T) -> Option<T> {
        self.with(|state| state.boot.as_mut().map(act))
    }

    /// Writes down something that is no change for anybody who waits.
    pub fn remember(&self, act: impl FnOnce(&mut Boot)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(boot) = &mut state.boot {
            act(boot);
        }
    }

    /// Counts changes of the state.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until the state satisfies a condition.
    pub async fn until<T>(&self, mut condition: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.watch();
        loop {
            changes.mark_unchanged();
            if let Some(value) = self.look(&mut condition) {
                return value;
            }
            // The sender lives in `self`, which is borrowed here.
            let _ = changes.changed().await;
        }
    }

    /// Presses the power button.
    pub fn wish(&self, wish: Wish) {
        // The driver outlives the machine's API; when the world is gone there is nothing to press.
        let _ = self.wishes.send(wish);
    }

    /// The node's clock.
    pub fn now(&self) -> OffsetDateTime {
        let skew = self.boot(|boot| boot.clock_skew).unwrap_or_default();
        OffsetDateTime::now_utc() + time::Duration::seconds(skew)
    }

    /// Stops the API in good order, as a service that is told to stop.
    pub async fn close_api(&self) {
        self.change(|boot| boot.serving = Serving::Closed);
        let closed = |state: &State| match &state.boot {
            Some(boot) if boot.listening => None,
            _ => Some(()),
        };
        self.until(closed).await;
    }

    /// Counts a call as open until what is returned is dropped.
    pub fn open_call(self: &Arc<Self>) -> OpenCall {
        self.open_calls.send_modify(|count| *count += 1);
        OpenCall(Arc::clone(self))
    }

    /// Waits until every call was answered.
    pub async fn all_answered(&self) {
        // The sender lives in `self`, which is borrowed here.
        let _ = self.open_calls.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Takes time, and books it.
    pub async fn take(&self, duration: Duration) {
        self.world.ledger.take(self.name(), duration).await;
    }

    /// Writes a line into the journal.
    pub fn note(&self, event: Event) {
        self.world.journal.node(self.name(), event);
    }

    /// Lets a fault strike.
    pub fn strike<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.world.faults.strike(&self.world.journal, Some(self.name()), pick)
    }

    /// A line of Talos in the kernel log.
    pub fn say(&self, line: &str) {
        self.logs.kernel(self.now(), line);
    }

    /// The line of a controller that failed.
    pub fn controller_failed(&self, controller: &str, error: &str) {
        let error = error.replace('\\', "\\\\").replace('"', "\\\"");
        self.say(&format!(
            "controller failed {{\"component\": \"controller-runtime\", \"controller\": \"{controller}\", \
             \"error\": \"{error}\"}}"
        ));
    }

    /// The addresses of the node: its own, and where clients really dial.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut all = vec![self.hardware.private_ip];
        let configured = self.boot(|boot| boot.config.as_ref().map(|config| config.static_addresses()));
        all.extend(configured.flatten().unwrap_or_default());
        all.extend(self.hardware.local_ips.iter().copied());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The whole name: the configuration's, else the cloud's.
    pub fn fqdn(&self) -> String {
        let configured = self.boot(|boot| boot.config.as_ref().and_then(|config| config.parsed.hostname()));
        configured.flatten().unwrap_or_else(|| self.hardware.name.clone())
    }

    /// The hostname and the domain: Talos takes a name apart at its first dot (v1.12.2 HostnameSpecSpec.ParseFQDN).
    pub fn hostname_and_domain(&self) -> (String, String) {
        let name = self.fqdn();
        let (host, domain) = name.split_once('.').unwrap_or((&name, ""));
        (host.to_owned(), domain.to_owned())
    }

    /// The hostname without its domain.
    pub fn hostname(&self) -> String {
        self.hostname_and_domain().0
    }

    /// The name that its kubelet registers (v1.12.2 controllers/k8s/nodename.go).
    pub fn kubernetes_name(&self) -> String {
        let whole = |config: &super::config::Config| {
            let old = config.parsed.get("machine.kubelet.registerWithFQDN").and_then(|flag| flag.as_bool());
            let mut new = config.parsed.of_kind("KubeNodeConfig");
            let new = new.find_map(|document| document.root().get("registerWithFQDN")?.as_bool());
            new.or(old) == Some(true)
        };
        let whole = self.boot(|boot| boot.config.as_ref().is_some_and(whole)) == Some(true);
        if whole { self.fqdn() } else { self.hostname() }
    }

    /// Moves a service to a state.
    pub fn service(&self, id: &'static str, state: &'static str, message: &str) {
        self.service_with(id, state, message, None);
    }

    /// Moves a service to a state with a health check.
    pub fn service_with(&self, id: &'static str, state: &'static str, message: &str, healthy: Option<bool>) {
        let now = self.now();
        self.change(|boot| {
            if boot.service(id).is_none() {
                boot.services.push(Service { id, ..Service::default() });
            }
            if let Some(service) = boot.services.iter_mut().find(|service| service.id == id) {
                (service.state, service.healthy) = (state, healthy);
                if service.events.len() == 64 {
                    service.events.pop_front();
                }
                service.events.push_back((state, message.to_owned(), now));
            }
        });
        self.say(&format!("service[{id}]({state}): {message}"));
        self.logs.publish("ServiceStateEvent", &ServiceStateEvent::new(id, state, message), "");
        self.publish_status();
    }

    /// Moves the machine to a stage.
    pub fn stage(&self, stage: Stage) {
        let changed = self.change(|boot| std::mem::replace(&mut boot.stage, stage) != stage);
        if changed == Some(true) {
            self.note(Event::Stage(stage_word(stage).to_owned()));
            self.publish_status();
        }
    }

    /// Tells the events that a sequence starts, stops, or failed.
    pub fn sequence(&self, name: &str, action: sequence_event::Action, error: Option<&str>, actor: &str) {
        let error = error.map(|message| crate::wire::common::Error {
            code: crate::wire::common::Code::Fatal.into(),
            message: message.to_owned(),
            details: Vec::new(),
        });
        let event = SequenceEvent { sequence: name.to_owned(), action: action.into(), error };
        self.logs.publish("SequenceEvent", &event, actor);
    }

    /// Tells the events that a phase with its one task ran.
    pub fn phase(&self, phase: &str, task: &str, actor: &str) {
        let phase_to = |action: phase_event::Action| PhaseEvent { phase: phase.to_owned(), action: action.into() };
        let task_to = |action: task_event::Action| TaskEvent { task: task.to_owned(), action: action.into() };
        self.logs.publish("PhaseEvent", &phase_to(phase_event::Action::Start), actor);
        self.logs.publish("TaskEvent", &task_to(task_event::Action::Start), actor);
        self.logs.publish("TaskEvent", &task_to(task_event::Action::Stop), actor);
        self.logs.publish("PhaseEvent", &phase_to(phase_event::Action::Stop), actor);
    }

    /// Whether the machine is ready, and what is missing.
    pub fn readiness(&self) -> (Stage, Vec<(&'static str, String)>) {
        self.boot(|boot| (boot.stage, super::readiness::unmet(boot, &self.world.cluster))).unwrap_or_default()
    }

    fn publish_status(&self) {
        let (stage, unmet) = self.readiness();
        let unmet_conditions: Vec<_> =
            unmet.into_iter().map(|(name, reason)| UnmetCondition { name: name.to_owned(), reason }).collect();
        let status = MachineStatus { ready: unmet_conditions.is_empty(), unmet_conditions };
        let event = MachineStatusEvent { stage: stage.into(), status: Some(status) };
        self.logs.publish("MachineStatusEvent", &event, "");
    }
}
