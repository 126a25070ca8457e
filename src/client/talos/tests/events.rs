//! Event streams.

use prost_types::Any;

use super::*;

fn event(name: &str, message: &impl prost::Message) -> Bytes {
    machine::Event {
        data: Some(Any { type_url: format!("talos/runtime/{name}"), value: message.encode_to_vec() }),
        id: "c1".to_owned(),
        actor_id: "a1".to_owned(),
        metadata: None,
    }
    .encode_to_vec()
    .into()
}

fn hello() -> Bytes {
    machine::Event { data: Some(Any::default()), ..machine::Event::default() }.encode_to_vec().into()
}

fn sequence(action: machine::sequence_event::Action, error: Option<common::Error>) -> Bytes {
    event(
        "machine.SequenceEvent",
        &machine::SequenceEvent { sequence: "upgrade".to_owned(), action: action.into(), error },
    )
}

async fn first_events(messages: Vec<Bytes>, count: usize) -> Vec<Event> {
    let (_pretend, node) = node_with(move |path, request| {
        assert_eq!(path, "/machine.MachineService/Events");
        let sent = machine::EventsRequest::decode(request).unwrap();
        assert_eq!((sent.with_actor_id.as_str(), sent.tail_events), ("a1", -1));
        Reply::Hang(messages.clone())
    })
    .await;
    let which = Events { past: -1, actor: Some("a1".to_owned()) };
    let mut stream = node.events(&which, SOON).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(stream.next().await.unwrap().unwrap());
    }
    seen
}

#[tokio::test]
async fn an_upgrade_is_heard_from_start_to_task() {
    use machine::sequence_event::Action;
    let task =
        machine::TaskEvent { task: "stopAllServices".to_owned(), action: machine::task_event::Action::Start.into() };
    let phase = machine::PhaseEvent { phase: "kexec".to_owned(), action: machine::phase_event::Action::Stop.into() };
    let seen = first_events(
        vec![
            hello(),
            sequence(Action::Start, None),
            event("machine.TaskEvent", &task),
            event("machine.PhaseEvent", &phase),
            event("machine.AddressEvent", &()),
        ],
        4,
    )
    .await;
    assert_eq!(
        seen,
        [
            Event::Sequence { name: "upgrade".to_owned(), action: SequenceAction::Start },
            Event::Task { name: "stopAllServices".to_owned(), action: StepAction::Start },
            Event::Phase { name: "kexec".to_owned(), action: StepAction::Stop },
            Event::Other("machine.AddressEvent".to_owned()),
        ]
    );
}

#[tokio::test]
async fn a_failed_sequence_comes_as_nothing_with_an_error() {
    use machine::sequence_event::Action;
    let error = |code: common::Code, message: &str| {
        Some(common::Error { code: code.into(), message: message.to_owned(), details: Vec::new() })
    };
    let seen = first_events(
        vec![
            sequence(Action::Noop, error(common::Code::Fatal, "upgrade failed")),
            sequence(Action::Noop, error(common::Code::Locked, "already running")),
        ],
        2,
    )
    .await;
    let actions: Vec<_> = seen
        .into_iter()
        .map(|event| match event {
            Event::Sequence { action: SequenceAction::Failed { message, locked }, .. } => (message, locked),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(actions, [("upgrade failed".to_owned(), false), ("already running".to_owned(), true)]);
}

#[tokio::test]
async fn a_change_of_stage_reads_as_the_resource_does() {
    use machine::machine_status_event::{MachineStage, MachineStatus as Wire, machine_status::UnmetCondition as Unmet};
    let change = machine::MachineStatusEvent {
        stage: MachineStage::Running.into(),
        status: Some(Wire {
            ready: false,
            unmet_conditions: vec![Unmet { name: "nodeReady".to_owned(), reason: "not ready".to_owned() }],
        }),
    };
    let seen = first_events(vec![event("machine.MachineStatusEvent", &change)], 1).await;
    let Event::Status(status) = &seen[0] else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (status.stage.clone(), status.is_ready(), status.unmet()[0].name.as_str()),
        (Stage::Running, false, "nodeReady")
    );
}

#[tokio::test]
async fn the_end_of_the_stream_the_end_of_time_and_a_cut_are_told_apart() {
    let (_pretend, node) = node_with(|_, _| Reply::Messages(vec![hello()], Ok(()))).await;
    let mut ended = node.events(&Events::default(), SOON).await.unwrap();
    assert!(ended.next().await.unwrap().is_none());

    let (_pretend, node) = node_with(|_, _| Reply::Hang(vec![hello()])).await;
    let mut late = node.events(&Events::default(), Duration::from_millis(200)).await.unwrap();
    assert_eq!(late.next().await.unwrap_err().kind(), ErrorKind::Rpc(Code::DeadlineExceeded));

    let (_pretend, node) = node_with(|path, _| match path {
        "/machine.MachineService/Reboot" => Reply::Cut,
        _ => Reply::Hang(vec![hello()]),
    })
    .await;
    let mut stream = node.events(&Events::default(), SOON).await.unwrap();
    let (heard, _) = tokio::join!(stream.next(), node.reboot(RebootMode::Default));
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::Unreachable);
}
