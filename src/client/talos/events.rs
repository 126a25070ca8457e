//! What a node reports while it works: sequences, phases, tasks, stages.

use prost::Message as _;
use tokio::time::Instant;
use tonic::Streaming;

use crate::wire::machine;

use super::call::{Answered as _, request};
use super::resources::{Readiness, Stage, UnmetCondition};
use super::{MachineStatus, Node, TalosError};

/// `type_url` of an event is this and the full message name (Talos v1.12.2 pkg/machinery/proto, not googleapis').
const TYPE_PREFIX: &str = "talos/runtime/";

/// Which events to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Start with this many past ones; -1 for all that the node kept (1000 at most).
    pub past: i32,
    /// Only those of one sequence: the id that [`Node::reboot`] and others return.
    pub actor: Option<String>,
}

/// Events as they come.
pub struct EventStream {
    node: Node,
    stream: Streaming<machine::Event>,
    end: Instant,
    within: std::time::Duration,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sequence, such as `upgrade`.
    Sequence {
        /// Its name.
        name: String,
        /// What happened.
        action: SequenceAction,
    },
    /// A phase of a sequence.
    Phase {
        /// Its name.
        name: String,
        /// What happened.
        action: StepAction,
    },
    /// A task of a phase.
    Task {
        /// Its name.
        name: String,
        /// What happened.
        action: StepAction,
    },
    /// Stage or readiness changed.
    Status(MachineStatus),
    /// Anything else, by message name.
    Other(String),
}

/// What happened to a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceAction {
    /// It started.
    Start,
    /// It ended well.
    Stop,
    /// It failed, or (when locked) was not started as another one runs.
    Failed {
        /// The node's words.
        message: String,
        /// Another sequence runs; nothing happened.
        locked: bool,
    },
    /// Nothing.
    Noop,
}

/// What happened to a phase or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// It started.
    Start,
    /// It ended.
    Stop,
}

impl Node {
    /// Listens to events until `within` has passed.
    ///
    /// # Errors
    /// As any call.
    pub async fn events(&self, which: &Events, within: std::time::Duration) -> Result<EventStream, TalosError> {
        let message = machine::EventsRequest {
            tail_events: which.past,
            with_actor_id: which.actor.clone().unwrap_or_default(),
            ..machine::EventsRequest::default()
        };
        let end = Instant::now() + within;
        let mut client = self.machine_service();
        let stream = self.call(METHOD, within, client.events(request(message, within))).await?;
        Ok(EventStream { node: self.clone(), stream, end, within })
    }
}

impl EventStream {
    /// The next event; `None` when the node ended the stream, as it does on its way down.
    ///
    /// # Errors
    /// `Deadline` when the time is up; `Disconnected` when the connection is lost, also a way to go down.
    pub async fn next(&mut self) -> Result<Option<Event>, TalosError> {
        loop {
            let next = self.node.next(METHOD, self.within, self.end, &mut self.stream);
            let Some(event) = self.node.while_alive(METHOD, next).await? else {
                return Ok(None);
            };
            self.node.no_error_in(METHOD, event.metadata())?;
            // The first message is an empty hello.
            let Some(data) = event.data.filter(|data| !data.type_url.is_empty()) else {
                continue;
            };
            let name = data.type_url.strip_prefix(TYPE_PREFIX).unwrap_or(&data.type_url);
            let event = decode(name, &data.value);
            return event.map(Some).map_err(|error| self.node.nonsense(METHOD, format!("{name}: {error}")));
        }
    }
}

fn decode(name: &str, value: &[u8]) -> Result<Event, prost::DecodeError> {
    Ok(match name {
        "machine.SequenceEvent" => {
            let event = machine::SequenceEvent::decode(value)?;
            Event::Sequence { action: sequence_action(&event), name: event.sequence }
        }
        "machine.PhaseEvent" => {
            let event = machine::PhaseEvent::decode(value)?;
            Event::Phase {
                action: step_action(event.action == machine::phase_event::Action::Stop as i32),
                name: event.phase,
            }
        }
        "machine.TaskEvent" => {
            let event = machine::TaskEvent::decode(value)?;
            Event::Task {
                action: step_action(event.action == machine::task_event::Action::Stop as i32),
                name: event.task,
            }
        }
        "machine.MachineStatusEvent" => Event::Status(status(&machine::MachineStatusEvent::decode(value)?)),
        other => Event::Other(other.to_owned()),
    })
}

/// A failure comes as NOOP with an error (Talos v1.12.2 internal/app/machined/main.go); FATAL means that the node
/// reboots, LOCKED that another sequence keeps running.
fn sequence_action(event: &machine::SequenceEvent) -> SequenceAction {
    if let Some(error) = &event.error {
        return SequenceAction::Failed {
            message: error.message.clone(),
            locked: error.code == crate::wire::common::Code::Locked as i32,
        };
    }
    match event.action() {
        machine::sequence_event::Action::Noop => SequenceAction::Noop,
        machine::sequence_event::Action::Start => SequenceAction::Start,
        machine::sequence_event::Action::Stop => SequenceAction::Stop,
    }
}

fn step_action(stop: bool) -> StepAction {
    if stop { StepAction::Stop } else { StepAction::Start }
}

fn status(event: &machine::MachineStatusEvent) -> MachineStatus {
    use machine::machine_status_event::MachineStage as Wire;
    let stage = match Wire::try_from(event.stage) {
        Ok(Wire::Unknown) => Stage::Unknown,
        Ok(Wire::Booting) => Stage::Booting,
        Ok(Wire::Installing) => Stage::Installing,
        Ok(Wire::Maintenance) => Stage::Maintenance,
        Ok(Wire::Running) => Stage::Running,
        Ok(Wire::Rebooting) => Stage::Rebooting,
        Ok(Wire::ShuttingDown) => Stage::ShuttingDown,
        Ok(Wire::Resetting) => Stage::Resetting,
        Ok(Wire::Upgrading) => Stage::Upgrading,
        Err(_) => Stage::Other(event.stage.to_string()),
    };
    let status = event.status.clone().unwrap_or_default();
    let unmet = status
        .unmet_conditions
        .into_iter()
        .map(|condition| UnmetCondition { name: condition.name, reason: condition.reason });
    MachineStatus { stage, status: Readiness { ready: status.ready, unmet_conditions: unmet.collect() } }
}

const METHOD: &str = "Events";
