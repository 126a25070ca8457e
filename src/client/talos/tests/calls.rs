//! Calls of the machine service.

use super::*;

#[tokio::test]
async fn no_node_metadata_is_ever_sent() {
    let (pretend, node) = node_with(healthy).await;
    node.machine_status().await.unwrap();
    for (_, keys) in pretend.calls.lock().unwrap().iter() {
        assert!(!keys.iter().any(|key| key == "node" || key == "nodes"), "{keys:?}");
        assert!(keys.iter().any(|key| key == "grpc-timeout"), "{keys:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_with_the_deadline() {
    let (_pretend, node) = node_with(|_, _| Reply::Hang(Vec::new())).await;
    let error = node.within(Duration::from_millis(200)).version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::DeadlineExceeded));
    assert!(error.is_transient() && error.may_have_taken_effect());
    assert!(told(&error).starts_with("calling Version on 127.0.0.1:"), "{}", told(&error));
}

#[tokio::test]
async fn a_connection_cut_in_a_call_is_transient_and_not_reopened() {
    let (pretend, node) = node_with(|_, _| Reply::Cut).await;
    for _ in 0..2 {
        let error = node.reboot(RebootMode::Default).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{}", told(&error));
        assert!(error.is_transient() && error.may_have_taken_effect());
    }
    assert_eq!(pretend.paths().len(), 1, "the second call must not have reached the node");
}

#[tokio::test]
async fn the_nodes_own_errors_keep_their_code() {
    for (status, transient, not_ready) in [
        (Status::unavailable("etcd"), true, false),
        (Status::permission_denied("not authorized"), false, false),
        (Status::invalid_argument("bad"), false, false),
        (Status::unimplemented("no"), false, false),
        (Status::failed_precondition("bootstrap is not available yet"), false, true),
        (Status::failed_precondition("configuration was already applied and node is rebooting"), true, true),
        (Status::failed_precondition("machine is not installed"), false, false),
    ] {
        let code = status.code();
        let (_pretend, node) = node_with(move |_, _| refuse(status.clone())).await;
        let error = node.bootstrap().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rpc(code));
        assert_eq!((error.is_transient(), error.is_not_ready_yet()), (transient, not_ready), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_second_bootstrap_is_no_error() {
    let (_pretend, node) = node_with(|_, _| refuse(Status::already_exists("etcd data directory is not empty"))).await;
    assert_eq!(node.bootstrap().await.unwrap(), Bootstrapped::Already);
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_an_error() {
    let answer = machine::HostnameResponse::default();
    assert!(answer.messages.is_empty());
    let (_pretend, node) = node_with(|_, _| {
        one(&machine::VersionResponse {
            messages: vec![machine::Version {
                metadata: Some(common::Metadata {
                    hostname: "other".to_owned(),
                    error: "no route".to_owned(),
                    status: Some(google::rpc::Status {
                        code: Code::Unavailable as i32,
                        ..google::rpc::Status::default()
                    }),
                }),
                ..machine::Version::default()
            }],
        })
    })
    .await;
    let error = node.version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::Unavailable));
    assert!(told(&error).contains("no route"));
}

#[tokio::test]
async fn none_or_two_messages_are_no_answer() {
    for messages in [0, 2] {
        let (_pretend, node) = node_with(move |_, _| {
            one(&machine::RebootResponse { messages: vec![machine::Reboot::default(); messages] })
        })
        .await;
        let error = node.reboot(RebootMode::Powercycle).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Answer, "{messages}");
    }
}

#[tokio::test]
async fn a_refused_configuration_is_reported_without_its_secrets() {
    let (_pretend, node) = node_with(|_, request| {
        let sent = machine::ApplyConfigurationRequest::decode(request).unwrap();
        assert_eq!(sent.mode(), machine::apply_configuration_request::Mode::Staged);
        refuse(Status::invalid_argument(
            "this config change can't be applied in immediate mode\ndiff:\n-  token: abcdef.0123456789abcdef\n",
        ))
    })
    .await;
    let error = node.apply_configuration("machine: {}", ApplyMode::Staged, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::InvalidArgument));
    assert!(!format!("{} {error:?}", told(&error)).contains("abcdef"), "{error:?}");
}

#[tokio::test]
async fn a_reset_that_would_wipe_the_disk_is_not_sent() {
    let (pretend, node) = node_with(healthy).await;
    let nothing = ResetOptions { graceful: false, reboot: true, wipe_state: false, wipe_ephemeral: false };
    assert!(node.reset(&nothing).await.is_err());
    assert!(pretend.paths().is_empty());
}

#[tokio::test]
async fn a_reset_names_exactly_what_to_wipe() {
    let (_pretend, node) = node_with(|_, request| {
        let sent = machine::ResetRequest::decode(request).unwrap();
        let labels: Vec<_> =
            sent.system_partitions_to_wipe.iter().map(|spec| (spec.label.as_str(), spec.wipe)).collect();
        assert_eq!((labels, sent.reboot, sent.graceful), (vec![("EPHEMERAL", true)], true, false));
        one(&machine::ResetResponse {
            messages: vec![machine::Reset { actor_id: "a1".to_owned(), ..machine::Reset::default() }],
        })
    })
    .await;
    let ephemeral = ResetOptions { graceful: false, reboot: true, wipe_state: false, wipe_ephemeral: true };
    assert_eq!(node.reset(&ephemeral).await.unwrap(), "a1");
}

#[tokio::test]
async fn a_long_log_keeps_its_end_and_a_stalled_one_what_came() {
    let piece = |text: String| common::Data { metadata: None, bytes: text.into_bytes() };
    let (_pretend, node) = node_with(move |path, _| match path {
        "/machine.MachineService/Logs" => {
            many((0..1200).map(|n| piece(format!("{n:05}{}\n", "x".repeat(5000))).encode_to_vec()))
        }
        _ => Reply::Hang(vec![piece("kern: info: up\n".to_owned()).encode_to_vec().into()]),
    })
    .await;
    let log = node.logs(&LogSource::Service("apid".to_owned()), 100).await.unwrap();
    assert!(log.cut && log.text.len() <= 4 * 1024 * 1024 && log.text.contains("01199x"), "{}", log.text.len());
    let dmesg = node.within(Duration::from_millis(300)).dmesg().await.unwrap();
    assert_eq!((dmesg.text.as_str(), dmesg.unfinished), ("kern: info: up\n", true));
}

#[tokio::test]
async fn the_boot_id_falls_back_to_what_a_reader_may_see() {
    let (pretend, node) = node_with(|path, _| match path {
        "/machine.MachineService/SystemStat" => one(&machine::SystemStatResponse {
            messages: vec![machine::SystemStat { boot_time: 1_790_000_000, ..machine::SystemStat::default() }],
        }),
        _ => refuse(Status::permission_denied("not authorized")),
    })
    .await;
    assert_eq!(node.boot_id().await.unwrap(), BootId::StartedAt(1_790_000_000));
    assert_eq!(pretend.paths().len(), 3);
}
