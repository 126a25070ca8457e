use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tonic::Status;

use super::super::pretend::{Authority, Clients, Pretend, Reply, got, refuse};
use super::*;

const ROUND: Duration = Duration::from_secs(14);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Real,
    Temporary,
}

fn answers(stage: &'static str) -> impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static {
    move |_, request| {
        let asked = String::from_utf8_lossy(&request).into_owned();
        if asked.contains("MachineStatuses.runtime.talos.dev") {
            return got("machine", &format!("stage: {stage}\nstatus:\n    ready: true\n    unmetConditions: []\n"));
        }
        if asked.contains("Versions.runtime.talos.dev") {
            return got("version", "version: v1.13.9\n");
        }
        refuse(Status::permission_denied("not authorized"))
    }
}

async fn look(address: &Address, real: &ClientCredentials, temporary: &ClientCredentials) -> Detected<Who> {
    let candidates = [
        Candidate { which: Who::Real, credentials: real },
        Candidate { which: Who::Temporary, credentials: temporary },
    ];
    detect(address, &candidates, ROUND).await
}

#[tokio::test]
async fn each_kind_of_node_is_told_apart() {
    let (real, temporary, other) = (Authority::new(), Authority::new(), Authority::new());
    for (cluster, expected) in [(&real, Some(Who::Real)), (&temporary, Some(Who::Temporary)), (&other, None)] {
        let node = Pretend::start(cluster.server(&["127.0.0.1"]), Clients::Of(cluster), answers("running")).await;
        let found = look(&node.address, &real.admin(), &temporary.admin()).await;
        match (found.answer, expected) {
            (Answer::Mutual { which, stage, version }, Some(expected)) => {
                assert_eq!((which, stage, version.as_deref()), (expected, Some(Stage::Running), Some("v1.13.9")));
            }
            (Answer::Foreign { issuer, authority_key_id, .. }, None) => {
                assert_eq!((issuer.as_str(), authority_key_id.is_some()), ("O=talos", true));
            }
            (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
        }
        assert!(found.server.is_some());
    }
}

#[tokio::test]
async fn maintenance_mode_is_known_by_its_answer_without_credentials() {
    let authority = Authority::new();
    let node = Pretend::start(authority.server(&["10.0.0.214"]), Clients::Anybody, answers("maintenance")).await;
    let found = detect::<()>(&node.address, &[], ROUND).await;
    let Answer::Maintenance(maintenance) = found.answer else {
        panic!("{:?}", found.answer);
    };
    assert_eq!((maintenance.stage, maintenance.version.as_deref()), (Stage::Maintenance, Some("v1.13.9")));
    assert_eq!(Some(maintenance.fingerprint), found.server.map(|server| server.fingerprint));
}

#[tokio::test]
async fn a_node_of_ours_that_refuses_our_certificate_is_not_foreign() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let node = Pretend::start(ours.server(&["127.0.0.1"]), Clients::Of(&ours), answers("running")).await;
    let mixed = ClientCredentials { ca: ours.pem.clone(), ..stranger.admin() };
    let found = look(&node.address, &mixed, &stranger.admin()).await;
    assert!(matches!(found.answer, Answer::RejectedOurCertificate { which: Who::Real, .. }), "{:?}", found.answer);
}

#[tokio::test]
async fn a_node_of_ours_under_another_name_says_its_names() {
    let (ours, other) = (Authority::new(), Authority::new());
    let node = Pretend::start(ours.server(&["10.0.0.214"]), Clients::Of(&ours), answers("running")).await;
    let found = look(&node.address, &other.admin(), &ours.admin()).await;
    match found.answer {
        Answer::WrongName { which, names } => {
            assert_eq!((which, names), (Who::Temporary, vec!["10.0.0.214".to_owned()]))
        }
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_node_of_ours_with_another_clock_is_told() {
    let ours = Authority::new();
    let now = OffsetDateTime::now_utc();
    let leaf = ours.server_valid(&["127.0.0.1"], now + time::Duration::minutes(1), now + time::Duration::days(1));
    let node = Pretend::start(leaf, Clients::Of(&ours), answers("running")).await;
    let found = look(&node.address, &ours.admin(), &Authority::new().admin()).await;
    assert!(matches!(found.answer, Answer::WrongTime { which: Who::Real, transient: true, .. }), "{:?}", found.answer);
}

#[tokio::test]
async fn a_rescue_shell_a_closed_port_and_a_silent_host_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let silent = detect::<()>(&address, &[], Duration::from_millis(300)).await;
    assert!(matches!(silent.answer, Answer::Unreachable(_)), "{:?}", silent.answer);

    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.ok();
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok() });
        }
    });
    let shell = detect::<()>(&address, &[], ROUND).await;
    assert!(
        matches!(&shell.answer, Answer::NotTls { banner } if banner == "SSH-2.0-OpenSSH_9.6"),
        "{:?}",
        shell.answer
    );

    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let closed = detect::<()>(&address, &[], ROUND).await;
    assert!(matches!(closed.answer, Answer::Refused(_)), "{:?}", closed.answer);
}

#[tokio::test]
async fn unusable_credentials_do_not_hide_that_others_fit() {
    let ours = Authority::new();
    let node = Pretend::start(ours.server(&["127.0.0.1"]), Clients::Of(&ours), answers("booting")).await;
    let broken = ClientCredentials { crt: String::new(), ..ours.admin() };
    let found = look(&node.address, &broken, &ours.admin()).await;
    assert!(matches!(found.answer, Answer::Mutual { which: Who::Temporary, .. }), "{:?}", found.answer);
    let found = look(&node.address, &broken, &Authority::new().admin()).await;
    assert!(matches!(found.answer, Answer::Odd(_)), "{:?}", found.answer);
}
