//! Conversations with pretend nodes, over real sockets.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::pretend::{Authority, Clients, Pretend, Reply, got, many, one, refuse};
use super::*;
use crate::wire::{common, cosi, google, machine};

const SOON: Duration = Duration::from_secs(10);

const ANYBODY: Trust = Trust::Maintenance { fingerprint: None };

/// What a healthy node says to every question that `connect` and `detect` ask.
fn healthy(path: &str, request: Bytes) -> Reply {
    if path != "/cosi.resource.State/Get" {
        return refuse(Status::unimplemented("method not implemented"));
    }
    let wanted = cosi::GetRequest::decode(request).unwrap();
    match wanted.r#type.as_str() {
        "MachineStatuses.runtime.talos.dev" => got(
            "machine",
            "stage: running\nstatus:\n    ready: true\n    unmetConditions: []\n",
        ),
        "Versions.runtime.talos.dev" => got("version", "version: v1.12.2\n"),
        _ => refuse(Status::not_found("resource doesn't exist")),
    }
}

fn in_maintenance(path: &str, request: Bytes) -> Reply {
    match path {
        "/cosi.resource.State/Get"
            if request.windows(15).any(|part| part == b"MachineStatuses") =>
        {
            got(
                "machine",
                "stage: maintenance\nstatus:\n    ready: true\n    unmetConditions: []\n",
            )
        }
        _ => healthy(path, request),
    }
}

async fn node_with(
    script: impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static,
) -> (Pretend, Node) {
    let authority = Authority::new();
    let pretend = Pretend::start(
        authority.server(&["127.0.0.1"]),
        Clients::Of(&authority),
        script,
    )
    .await;
    let node = Node::connect(&pretend.address, &Trust::Mutual(authority.admin()), SOON)
        .await
        .unwrap();
    (pretend, node)
}

async fn failure(address: &Address, trust: &Trust) -> TalosError {
    Node::connect(address, trust, SOON)
        .await
        .map(|_| ())
        .unwrap_err()
}

/// The whole chain, as a person reads it.
fn told(error: &TalosError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn an_administrator_is_let_in_with_a_key_in_talos_own_label() {
    let (pretend, node) = node_with(healthy).await;
    assert_eq!(node.machine_status().await.unwrap().stage, Stage::Running);
    assert_eq!(node.version_resource().await.unwrap(), "v1.12.2");
    assert_eq!(pretend.paths().len(), 2);
}

#[tokio::test]
async fn no_node_metadata_is_ever_sent() {
    let (pretend, node) = node_with(healthy).await;
    node.machine_status().await.unwrap();
    for (_, keys) in pretend.calls.lock().unwrap().iter() {
        assert!(
            !keys.iter().any(|key| key == "node" || key == "nodes"),
            "{keys:?}"
        );
        assert!(keys.iter().any(|key| key == "grpc-timeout"), "{keys:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    drop(listener);
    let error = failure(&address, &ANYBODY).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.is_transient());
    assert!(
        told(&error).contains(&address.to_string()),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn a_silent_peer_is_unreachable_when_the_deadline_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let error = Node::connect(&address, &ANYBODY, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.is_transient());
    assert!(
        told(&error).contains("the TLS handshake"),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn a_name_without_address_is_final() {
    let error = failure(&Address::new("no such name", 50000), &ANYBODY).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_ssh_server_is_called_by_its_banner() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n")
            .await
            .unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink())
            .await
            .ok();
    });
    let error = failure(&address, &ANYBODY).await;
    server.abort();
    assert_eq!(error.kind(), ErrorKind::NotTls);
    assert!(
        told(&error).contains("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3"),
        "{}",
        told(&error)
    );
    assert!(
        error.hints()[0].contains("talos_port"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn another_clusters_node_is_a_stranger_although_its_ca_has_the_same_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let pretend =
        Pretend::start(theirs.server(&["127.0.0.1"]), Clients::Of(&theirs), healthy).await;
    let error = failure(&pretend.address, &Trust::Mutual(ours.admin())).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
    assert!(!error.is_transient());
    assert!(
        told(&error).contains("O=talos") && told(&error).contains("authority key"),
        "{}",
        told(&error)
    );
    assert!(
        error.hints()[0].contains("another cluster"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn an_expired_stranger_is_still_a_stranger() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let now = time::OffsetDateTime::now_utc();
    let old = theirs.server_valid(
        &["127.0.0.1"],
        now - time::Duration::days(3),
        now - time::Duration::days(2),
    );
    let pretend = Pretend::start(old, Clients::Of(&theirs), healthy).await;
    let error = failure(&pretend.address, &Trust::Mutual(ours.admin())).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
}

#[tokio::test]
async fn a_certificate_for_other_names_lists_them() {
    let authority = Authority::new();
    let leaf = authority.server(&["10.0.0.214", "cloudbox2"]);
    let pretend = Pretend::start(leaf, Clients::Of(&authority), healthy).await;
    let error = failure(&pretend.address, &Trust::Mutual(authority.admin())).await;
    assert_eq!(error.kind(), ErrorKind::WrongName);
    let text = told(&error);
    for part in ["127.0.0.1", "10.0.0.214", "cloudbox2"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        error.hints()[0].contains("machine.certSANs"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn an_expired_certificate_shows_both_clocks() {
    let authority = Authority::new();
    let leaf = authority.server_valid(
        &["127.0.0.1"],
        time::macros::datetime!(2026-01-01 00:00 UTC),
        time::macros::datetime!(2026-01-02 03:04:05 UTC),
    );
    let pretend = Pretend::start(leaf, Clients::Of(&authority), healthy).await;
    let error = failure(&pretend.address, &Trust::Mutual(authority.admin())).await;
    assert_eq!(error.kind(), ErrorKind::CertificateTime);
    assert!(!error.is_transient());
    assert!(
        told(&error).contains("expired at 2026-01-02 03:04:05 UTC, and it is 20"),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn a_certificate_of_the_near_future_is_worth_waiting_for_and_of_the_far_future_is_not() {
    let authority = Authority::new();
    let now = time::OffsetDateTime::now_utc();
    for (ahead, heals) in [
        (time::Duration::minutes(2), true),
        (time::Duration::hours(2), false),
    ] {
        let leaf =
            authority.server_valid(&["127.0.0.1"], now + ahead, now + time::Duration::days(1));
        let pretend = Pretend::start(leaf, Clients::Of(&authority), healthy).await;
        let error = failure(&pretend.address, &Trust::Mutual(authority.admin())).await;
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::CertificateTime, heals),
            "{ahead}"
        );
    }
}

#[tokio::test]
async fn a_refused_client_certificate_shows_at_connect() {
    let (cluster, stranger) = (Authority::new(), Authority::new());
    let pretend = Pretend::start(
        cluster.server(&["127.0.0.1"]),
        Clients::Of(&cluster),
        healthy,
    )
    .await;
    let mixed = ClientCredentials {
        ca: cluster.pem.clone(),
        ..stranger.admin()
    };
    let error = failure(&pretend.address, &Trust::Mutual(mixed)).await;
    assert_eq!(
        error.kind(),
        ErrorKind::ClientCertificateRejected,
        "{}",
        told(&error)
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_expired_client_certificate_is_named_as_the_cause() {
    let authority = Authority::new();
    let pretend = Pretend::start(
        authority.server(&["127.0.0.1"]),
        Clients::Of(&authority),
        healthy,
    )
    .await;
    let now = time::OffsetDateTime::now_utc();
    let old = authority.admin_valid(
        now - time::Duration::days(30),
        now - time::Duration::days(1),
    );
    let error = failure(&pretend.address, &Trust::Mutual(old)).await;
    assert_eq!(
        error.kind(),
        ErrorKind::ClientCertificateRejected,
        "{}",
        told(&error)
    );
    assert!(error.hints()[0].contains("expired"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_stranger_is_told_that_a_certificate_is_needed() {
    let authority = Authority::new();
    let pretend = Pretend::start(
        authority.server(&["127.0.0.1"]),
        Clients::Of(&authority),
        healthy,
    )
    .await;
    let error = failure(&pretend.address, &ANYBODY).await;
    assert_eq!(error.kind(), ErrorKind::ClientCertificateRejected);
    assert!(
        told(&error).contains("wants a client certificate"),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn a_pinned_maintenance_key_is_accepted_and_another_is_not() {
    let authority = Authority::new();
    let pretend = Pretend::start(
        authority.server(&["10.0.0.214"]),
        Clients::Anybody,
        in_maintenance,
    )
    .await;
    let first = Node::connect(&pretend.address, &ANYBODY, SOON)
        .await
        .unwrap();
    let seen = first.maintenance().await.unwrap();
    assert_eq!(
        (seen.stage, seen.version.as_deref()),
        (Stage::Maintenance, Some("v1.12.2"))
    );

    let pinned = Trust::Maintenance {
        fingerprint: Some(seen.fingerprint),
    };
    Node::connect(&pretend.address, &pinned, SOON)
        .await
        .unwrap();

    let other = Pretend::start(
        authority.server(&["10.0.0.214"]),
        Clients::Anybody,
        in_maintenance,
    )
    .await;
    let error = failure(&other.address, &pinned).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
    assert!(told(&error).contains("pinned"), "{}", told(&error));
}

#[tokio::test]
async fn unusable_credentials_are_refused_without_being_quoted() {
    let authority = Authority::new();
    let good = authority.admin();
    let key = |text: &str| ClientCredentials {
        key: crate::talos::secret::Secret::new(text.to_owned()),
        ..good.clone()
    };
    let cases = [
        key("TOP-SECRET"),
        key(
            "-----BEGIN OPENSSH PRIVATE KEY-----\nVE9QLVNFQ1JFVA==\n-----END OPENSSH PRIVATE KEY-----\n",
        ),
        key("-----BEGIN PRIVATE KEY-----\nVE9QLVNFQ1JFVA==\n-----END PRIVATE KEY-----\n"),
        key(Authority::new().admin().key.expose()),
        ClientCredentials {
            ca: "TOP-SECRET".to_owned(),
            ..good.clone()
        },
    ];
    for credentials in cases {
        let error = failure(&Address::new("127.0.0.1", 1), &Trust::Mutual(credentials)).await;
        assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
        let text = format!("{} {error:?}", told(&error));
        assert!(
            !text.contains("TOP-SECRET") && !text.contains("VE9QLV"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_with_the_deadline() {
    let (_pretend, node) = node_with(|_, _| Reply::Hang(Vec::new())).await;
    let error = node
        .within(Duration::from_millis(200))
        .version()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::DeadlineExceeded));
    assert!(error.is_transient() && error.may_have_taken_effect());
    assert!(
        told(&error).starts_with("calling Version on 127.0.0.1:"),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn a_connection_cut_in_a_call_is_transient_and_not_reopened() {
    let (pretend, node) = node_with(|_, _| Reply::Cut).await;
    for _ in 0..2 {
        let error = node.reboot(RebootMode::Default).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{}", told(&error));
        assert!(error.is_transient() && error.may_have_taken_effect());
    }
    assert_eq!(
        pretend.paths().len(),
        1,
        "the second call must not have reached the node"
    );
}

#[tokio::test]
async fn the_nodes_own_errors_keep_their_code() {
    for (status, transient, not_ready) in [
        (Status::unavailable("etcd"), true, false),
        (Status::permission_denied("not authorized"), false, false),
        (Status::invalid_argument("bad"), false, false),
        (Status::unimplemented("no"), false, false),
        (
            Status::failed_precondition("bootstrap is not available yet"),
            false,
            true,
        ),
        (
            Status::failed_precondition("configuration was already applied and node is rebooting"),
            true,
            true,
        ),
        (
            Status::failed_precondition("machine is not installed"),
            false,
            false,
        ),
    ] {
        let code = status.code();
        let (_pretend, node) = node_with(move |_, _| refuse(status.clone())).await;
        let error = node.bootstrap().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rpc(code));
        assert_eq!(
            (error.is_transient(), error.is_not_ready_yet()),
            (transient, not_ready),
            "{}",
            told(&error)
        );
    }
}

#[tokio::test]
async fn a_second_bootstrap_is_no_error() {
    let (_pretend, node) =
        node_with(|_, _| refuse(Status::already_exists("etcd data directory is not empty"))).await;
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
            one(&machine::RebootResponse {
                messages: vec![machine::Reboot::default(); messages],
            })
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
    let error = node
        .apply_configuration("machine: {}", ApplyMode::Staged, false)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::InvalidArgument));
    assert!(
        !format!("{} {error:?}", told(&error)).contains("abcdef"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_reset_that_would_wipe_the_disk_is_not_sent() {
    let (pretend, node) = node_with(healthy).await;
    let nothing = ResetOptions {
        graceful: false,
        reboot: true,
        wipe_state: false,
        wipe_ephemeral: false,
    };
    assert!(node.reset(&nothing).await.is_err());
    assert!(pretend.paths().is_empty());
}

#[tokio::test]
async fn a_reset_names_exactly_what_to_wipe() {
    let (_pretend, node) = node_with(|_, request| {
        let sent = machine::ResetRequest::decode(request).unwrap();
        let labels: Vec<_> = sent
            .system_partitions_to_wipe
            .iter()
            .map(|spec| (spec.label.as_str(), spec.wipe))
            .collect();
        assert_eq!(
            (labels, sent.reboot, sent.graceful),
            (vec![("EPHEMERAL", true)], true, false)
        );
        one(&machine::ResetResponse {
            messages: vec![machine::Reset {
                actor_id: "a1".to_owned(),
                ..machine::Reset::default()
            }],
        })
    })
    .await;
    let ephemeral = ResetOptions {
        graceful: false,
        reboot: true,
        wipe_state: false,
        wipe_ephemeral: true,
    };
    assert_eq!(node.reset(&ephemeral).await.unwrap(), "a1");
}

#[tokio::test]
async fn a_long_log_keeps_its_end_and_a_stalled_one_what_came() {
    let piece = |text: String| common::Data {
        metadata: None,
        bytes: text.into_bytes().into(),
    };
    let (_pretend, node) = node_with(move |path, _| match path {
        "/machine.MachineService/Logs" => {
            many((0..1200).map(|n| piece(format!("{n:05}{}\n", "x".repeat(5000))).encode_to_vec()))
        }
        _ => Reply::Hang(vec![
            piece("kern: info: up\n".to_owned()).encode_to_vec().into(),
        ]),
    })
    .await;
    let log = node
        .logs(&LogSource::Service("apid".to_owned()), 100)
        .await
        .unwrap();
    assert!(
        log.cut && log.text.len() <= 4 * 1024 * 1024 && log.text.contains("01199x"),
        "{}",
        log.text.len()
    );
    let dmesg = node
        .within(Duration::from_millis(300))
        .dmesg()
        .await
        .unwrap();
    assert_eq!(
        (dmesg.text.as_str(), dmesg.unfinished),
        ("kern: info: up\n", true)
    );
}

#[tokio::test]
async fn the_boot_id_falls_back_to_what_a_reader_may_see() {
    let (pretend, node) = node_with(|path, _| match path {
        "/machine.MachineService/SystemStat" => one(&machine::SystemStatResponse {
            messages: vec![machine::SystemStat {
                boot_time: 1_790_000_000,
                ..machine::SystemStat::default()
            }],
        }),
        _ => refuse(Status::permission_denied("not authorized")),
    })
    .await;
    assert_eq!(
        node.boot_id().await.unwrap(),
        BootId::StartedAt(1_790_000_000)
    );
    assert_eq!(pretend.paths().len(), 3);
}
