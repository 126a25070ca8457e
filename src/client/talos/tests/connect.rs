//! Opening connections, and every way in which that fails.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn an_administrator_is_let_in_with_a_key_in_talos_own_label() {
    let (pretend, node) = node_with(healthy).await;
    assert_eq!(node.machine_status().await.unwrap().stage, Stage::Running);
    assert_eq!(node.version_resource().await.unwrap(), "v1.12.2");
    assert_eq!(pretend.paths().len(), 2);
}

#[tokio::test]
async fn a_closed_port_is_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    drop(listener);
    let error = failure(&address, &ANYBODY).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.is_transient());
    assert!(told(&error).contains(&address.to_string()), "{}", told(&error));
}

#[tokio::test]
async fn a_silent_peer_is_unreachable_when_the_deadline_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let error = Node::connect(&address, &ANYBODY, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.is_transient());
    assert!(told(&error).contains("the TLS handshake"), "{}", told(&error));
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
        stream.write_all(b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n").await.unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
    });
    let error = failure(&address, &ANYBODY).await;
    server.abort();
    assert_eq!(error.kind(), ErrorKind::NotTls);
    assert!(told(&error).contains("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3"), "{}", told(&error));
    assert!(error.hints()[0].contains("talos_port"), "{:?}", error.hints());
}

#[tokio::test]
async fn another_clusters_node_is_a_stranger_although_its_ca_has_the_same_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let pretend = Pretend::start(theirs.server(&["127.0.0.1"]), Clients::Of(&theirs), healthy).await;
    let error = failure(&pretend.address, &Trust::Mutual(ours.admin())).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
    assert!(!error.is_transient());
    assert!(told(&error).contains("O=talos") && told(&error).contains("authority key"), "{}", told(&error));
    assert!(error.hints()[0].contains("another cluster"), "{:?}", error.hints());
}

#[tokio::test]
async fn an_expired_stranger_is_still_a_stranger() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let now = time::OffsetDateTime::now_utc();
    let old = theirs.server_valid(&["127.0.0.1"], now - time::Duration::days(3), now - time::Duration::days(2));
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
    assert!(error.hints()[0].contains("machine.certSANs"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_node_that_moved_is_known_by_its_old_name_and_by_no_other() {
    let authority = Authority::new();
    let pretend = Pretend::start(authority.server(&["10.0.0.214"]), Clients::Of(&authority), healthy).await;
    let trust = Trust::Mutual(authority.admin());
    Node::connect(&pretend.address.clone().formerly("10.0.0.214"), &trust, SOON).await.unwrap();
    let error = failure(&pretend.address.clone().formerly("10.0.0.215"), &trust).await;
    assert_eq!(error.kind(), ErrorKind::WrongName);
    assert!(told(&error).contains("127.0.0.1"), "{}", told(&error));
    // A certificate of another authority proves nothing, whatever it names.
    let other = Trust::Mutual(Authority::new().admin());
    let error = failure(&pretend.address.clone().formerly("10.0.0.214"), &other).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
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
    assert!(told(&error).contains("expired at 2026-01-02 03:04:05 UTC, and it is 20"), "{}", told(&error));
}

#[tokio::test]
async fn a_certificate_of_the_near_future_is_worth_waiting_for_and_of_the_far_future_is_not() {
    let authority = Authority::new();
    let now = time::OffsetDateTime::now_utc();
    for (ahead, heals) in [(time::Duration::minutes(2), true), (time::Duration::hours(2), false)] {
        let leaf = authority.server_valid(&["127.0.0.1"], now + ahead, now + time::Duration::days(1));
        let pretend = Pretend::start(leaf, Clients::Of(&authority), healthy).await;
        let error = failure(&pretend.address, &Trust::Mutual(authority.admin())).await;
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::CertificateTime, heals), "{ahead}");
    }
}

#[tokio::test]
async fn a_refused_client_certificate_shows_at_connect() {
    let (cluster, stranger) = (Authority::new(), Authority::new());
    let pretend = Pretend::start(cluster.server(&["127.0.0.1"]), Clients::Of(&cluster), healthy).await;
    let mixed = ClientCredentials { ca: cluster.pem.clone(), ..stranger.admin() };
    let error = failure(&pretend.address, &Trust::Mutual(mixed)).await;
    assert_eq!(error.kind(), ErrorKind::ClientCertificateRejected, "{}", told(&error));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_expired_client_certificate_is_named_as_the_cause() {
    let authority = Authority::new();
    let pretend = Pretend::start(authority.server(&["127.0.0.1"]), Clients::Of(&authority), healthy).await;
    let now = time::OffsetDateTime::now_utc();
    let old = authority.admin_valid(now - time::Duration::days(30), now - time::Duration::days(1));
    let error = failure(&pretend.address, &Trust::Mutual(old)).await;
    assert_eq!(error.kind(), ErrorKind::ClientCertificateRejected, "{}", told(&error));
    assert!(error.hints()[0].contains("expired"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_stranger_is_told_that_a_certificate_is_needed() {
    let authority = Authority::new();
    let pretend = Pretend::start(authority.server(&["127.0.0.1"]), Clients::Of(&authority), healthy).await;
    let error = failure(&pretend.address, &ANYBODY).await;
    assert_eq!(error.kind(), ErrorKind::ClientCertificateRejected);
    assert!(told(&error).contains("wants a client certificate"), "{}", told(&error));
}

#[tokio::test]
async fn a_pinned_maintenance_key_is_accepted_and_another_is_not() {
    let authority = Authority::new();
    let pretend = Pretend::start(authority.server(&["10.0.0.214"]), Clients::Anybody, in_maintenance).await;
    let first = Node::connect(&pretend.address, &ANYBODY, SOON).await.unwrap();
    let seen = first.maintenance().await.unwrap();
    assert_eq!((seen.stage, seen.version.as_deref()), (Stage::Maintenance, Some("v1.12.2")));

    let pinned = Trust::Maintenance { fingerprint: Some(seen.fingerprint) };
    Node::connect(&pretend.address, &pinned, SOON).await.unwrap();

    let other = Pretend::start(authority.server(&["10.0.0.214"]), Clients::Anybody, in_maintenance).await;
    let error = failure(&other.address, &pinned).await;
    assert_eq!(error.kind(), ErrorKind::UntrustedServer);
    assert!(told(&error).contains("pinned"), "{}", told(&error));
}

#[tokio::test]
async fn unusable_credentials_are_refused_without_being_quoted() {
    let authority = Authority::new();
    let good = authority.admin();
    let key =
        |text: &str| ClientCredentials { key: crate::talos::secret::Secret::new(text.to_owned()), ..good.clone() };
    let cases = [
        key("TOP-SECRET"),
        key("-----BEGIN OPENSSH PRIVATE KEY-----\nVE9QLVNFQ1JFVA==\n-----END OPENSSH PRIVATE KEY-----\n"),
        key("-----BEGIN PRIVATE KEY-----\nVE9QLVNFQ1JFVA==\n-----END PRIVATE KEY-----\n"),
        key(Authority::new().admin().key.expose()),
        ClientCredentials { ca: "TOP-SECRET".to_owned(), ..good.clone() },
    ];
    for credentials in cases {
        let error = failure(&Address::new("127.0.0.1", 1), &Trust::Mutual(credentials)).await;
        assert_eq!(error.kind(), ErrorKind::Credentials, "{}", told(&error));
        let text = format!("{} {error:?}", told(&error));
        assert!(!text.contains("TOP-SECRET") && !text.contains("VE9QLV"), "{text}");
    }
}
