//! Logging in: what is trusted, what is refused, and how fast.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use talosoci::client::rescue::session::{Accepted, Auth, HostKeyPolicy, Rights, Session, SessionError, Target};
use talosoci::talos::secret::Secret;
use tokio::net::{TcpListener, TcpSocket};

use super::sshd::{Shell, Sshd, keygen, output, skip};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_with_its_own_output_errors_and_status() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(sshd) = Sshd::start(shell) else { continue };
        let session = sshd.session().await;
        let output = session.run("echo 'it'\"'\"'s out'; echo err >&2; exit 7").await.unwrap();
        assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (7, "it's out\n", "err"));
        let output = session.run("cat; echo end").await.unwrap();
        assert_eq!(output.stdout, "end\n", "standard input is closed");
        let output = session.run("kill -KILL $$").await.unwrap();
        assert_eq!(output.status, 128 + 15);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_usual_kind_of_private_key_logs_in() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let mut authorized = String::new();
    let mut keys = Vec::new();
    for (kind, format) in [
        ("ed25519", "RFC4716"),
        ("rsa", "RFC4716"),
        ("rsa", "PEM"),
        ("rsa", "PKCS8"),
        ("ecdsa", "PEM"),
        ("ecdsa", "PKCS8"),
        ("ecdsa", "RFC4716"),
    ] {
        let name = format!("{kind}_{format}");
        keygen(&sshd.path(&name), kind, &["-m", format]);
        authorized += &sshd.public(&name);
        keys.push(name);
    }
    std::fs::write(sshd.path("authorized_keys"), authorized).unwrap();
    for name in keys {
        let target = Target { auth: sshd.key(&name), ..sshd.target() };
        let session = Session::connect(&target, SOON).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(session.run("echo hi").await.unwrap().stdout, "hi\n", "{name}");
        let indented = std::fs::read_to_string(sshd.path(&name)).unwrap().replace('\n', "\n    ");
        let target = Target { auth: Auth::PrivateKey(Secret::new(indented)), ..sshd.target() };
        Session::connect(&target, SOON).await.unwrap_or_else(|error| panic!("{name}, indented: {error:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_logs_in() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let socket = sshd.path("agent");
    let mut agent = match Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn() {
        Ok(agent) => agent,
        Err(_) => return skip("no ssh-agent"),
    };
    let deadline = Instant::now() + SOON;
    while !socket.exists() && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    let target = Target { auth: Auth::AgentAt(socket.clone()), ..sshd.target() };
    let empty = Session::connect(&target, SOON).await.err().unwrap();
    for name in ["stranger", "user_rsa", "user"] {
        Command::new("ssh-add").arg("-q").arg(sshd.path(name)).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    }
    let session = Session::connect(&target, SOON).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    session.unwrap();
    assert!(matches!(&empty, SessionError::LoginRefused { tried, .. } if tried.contains("no key")), "{empty:?}");
    let gone = Session::connect(&target, SOON).await.err().unwrap();
    assert!(matches!(gone, SessionError::Agent { .. }), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_is_pinned_by_key_fingerprint_or_known_hosts() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let print = |name: &str| {
        output("ssh-keygen", &["-lf", sshd.path(name).to_str().unwrap()]).split(' ').nth(1).unwrap().to_owned()
    };
    let (ed25519, rsa) = (sshd.public("host_ed25519"), sshd.public("host_rsa"));
    let known = |key: &str| HostKeyPolicy::KnownHosts(format!("[127.0.0.1]:{} {key}", sshd.target().port));
    let policies = [
        HostKeyPolicy::Pinned(vec![ed25519.clone()]),
        HostKeyPolicy::Pinned(vec![rsa.clone()]),
        HostKeyPolicy::Pinned(vec![print("host_ed25519")]),
        HostKeyPolicy::Pinned(vec![print("host_rsa")]),
        HostKeyPolicy::Pinned(vec![print("stranger"), print("host_rsa")]),
        known(&ed25519),
        known(&rsa),
        HostKeyPolicy::AcceptNew(Accepted::default()),
    ];
    for host_key in policies {
        let target = Target { host_key: host_key.clone(), ..sshd.target() };
        let session = Session::connect(&target, SOON).await.unwrap_or_else(|error| panic!("{host_key:?}: {error:?}"));
        assert!(ed25519.starts_with(&session.host_key()) || rsa.starts_with(&session.host_key()));
        session.reconnect(SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_key_is_refused_at_once_and_named() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let stranger = sshd.public("stranger");
    let port = sshd.target().port;
    let presented = output("ssh-keygen", &["-lf", sshd.path("host_ed25519").to_str().unwrap()])
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned();
    type Expected = fn(&SessionError) -> bool;
    let table: [(HostKeyPolicy, Expected); 4] = [
        (HostKeyPolicy::Pinned(vec![stranger.clone()]), |error| matches!(error, SessionError::HostKeyMismatch { .. })),
        (HostKeyPolicy::Pinned(vec![format!("SHA256:{}", "A".repeat(43))]), |error| {
            matches!(error, SessionError::HostKeyMismatch { .. })
        }),
        (HostKeyPolicy::KnownHosts(format!("[127.0.0.1]:{port} {stranger}")), |error| {
            matches!(error, SessionError::HostKeyMismatch { .. })
        }),
        (HostKeyPolicy::KnownHosts(format!("elsewhere {stranger}")), |error| {
            matches!(error, SessionError::HostKeyUnknown { .. })
        }),
    ];
    for (host_key, expected) in table {
        let target = Target { host_key: host_key.clone(), ..sshd.target() };
        let started = Instant::now();
        let error = Session::connect(&target, Duration::from_secs(60)).await.err().unwrap();
        assert!(expected(&error), "{host_key:?}: {error:?}");
        assert!(
            error.to_string().contains(&presented) && !error.hints().is_empty() && !error.is_transient(),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(5), "{host_key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_which_key_was_refused() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let stranger = Target { auth: sshd.key("stranger"), ..sshd.target() };
    let nobody = Target { user: "no-such-user".into(), ..sshd.target() };
    for target in [stranger, nobody] {
        let started = Instant::now();
        let error = Session::connect(&target, Duration::from_secs(60)).await.err().unwrap();
        assert!(
            matches!(&error, SessionError::LoginRefused { tried, accepts, .. } if tried.contains("SHA256:") && accepts.contains("publickey")),
            "{error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_private_key_that_cannot_be_used_is_said_before_anything_else() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "secret", "-f"])
        .arg(sshd.path("stranger"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let error = Session::connect(&Target { auth: sshd.key("stranger"), ..sshd.target() }, SOON).await.err().unwrap();
    assert!(matches!(error, SessionError::EncryptedPrivateKey { .. }), "{error:?}");
    let public = Auth::PrivateKey(Secret::new(sshd.public("user")));
    let error = Session::connect(&Target { auth: public, ..sshd.target() }, SOON).await.err().unwrap();
    assert!(matches!(error, SessionError::BadPrivateKey { .. }), "{error:?}");
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    let silent = Session::connect(&target("127.0.0.1", port), Duration::from_millis(300)).await.err().unwrap();
    assert!(matches!(silent, SessionError::Timeout { .. }), "{silent:?}");
    // A port that is taken and not listened at: one that is free may be another test's by now.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Session::connect(&target("127.0.0.1", port), SOON).await.err().unwrap();
    assert!(matches!(refused, SessionError::Refused { .. }), "{refused:?}");
    let unknown = Session::connect(&target("no-such-host.invalid", 22), SOON).await.err().unwrap();
    assert!(matches!(unknown, SessionError::Resolve { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_web_server_is_no_ssh_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = Session::connect(&target("127.0.0.1", port), SOON).await.err().unwrap();
    assert!(matches!(&error, SessionError::NotSsh { said, .. } if said.starts_with("HTTP/1.1 400")), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_before_it_speaks_may_be_asked_again() {
    // As sshd does below and above MaxStartups, and one that dies while it starts.
    for (said, expected) in [("", false), ("Exceeded MaxStartups\r\n", true), ("SSH-2.0-OpenSSH_9.6\r\n", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, said.as_bytes()).await;
        });
        let error = Session::connect(&target("127.0.0.1", port), SOON).await.err().unwrap();
        assert!(error.is_transient(), "{said:?}: {error:?}");
        assert_eq!(matches!(error, SessionError::Busy { .. }), expected, "{said:?}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_accepted_is_insisted_on_by_all_connections_of_a_run() {
    let (Some(sshd), Some(other)) = (Sshd::start(Shell::Dash), Sshd::start(Shell::Dash)) else { return };
    let target = Target { host_key: HostKeyPolicy::AcceptNew(Accepted::default()), ..sshd.target() };
    Session::connect(&target, SOON).await.unwrap();
    Session::connect(&target.clone(), SOON).await.unwrap();
    // Another machine has taken over the address.
    keygen(&other.path("new"), "ed25519", &[]);
    std::fs::rename(other.path("new"), other.path("host_ed25519")).unwrap();
    keygen(&other.path("new"), "rsa", &[]);
    std::fs::rename(other.path("new"), other.path("host_rsa")).unwrap();
    let elsewhere = Target { port: other.target().port, ..target };
    let error = Session::connect(&elsewhere, SOON).await.err().unwrap();
    assert!(matches!(error, SessionError::HostKeyMismatch { .. }), "{error:?}");
    let anew = Target { host_key: HostKeyPolicy::AcceptNew(Accepted::default()), ..elsewhere };
    Session::connect(&anew, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_an_early_end_nor_a_flood_can_hang_a_sender() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let session = sshd.session().await;
    let megabyte = bytes::Bytes::from(vec![1; 1 << 20]);
    for (script, expected) in [
        ("exit 3", "exit status 3"),
        ("echo sorry >&2; exit 4", "sorry"),
        ("head -c 9000000 /dev/zero >&2; exit 5", "exit status 5"),
    ] {
        let process = session.start(Rights::User, script).await.unwrap();
        let send = async {
            loop {
                if let Err(error) = process.input.send(megabyte.clone()).await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(SOON, send).await.expect("a hanging sender");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let flood = session.run("yes").await.unwrap_err();
    assert!(matches!(flood, SessionError::TooMuchOutput { .. }), "{flood:?}");
    assert_eq!(session.run("echo alive").await.unwrap().stdout, "alive\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_noticed_by_sender_and_receiver() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let session = sshd.session().await;
    let mut process = session.start(Rights::User, "echo ready; cat >/dev/null").await.unwrap();
    assert_eq!(process.output.next().await.unwrap().as_deref(), Some("ready"));
    sshd.kill();
    let received = tokio::time::timeout(SOON, process.output.next()).await.expect("a hanging receiver");
    assert!(matches!(received, Err(SessionError::Lost { .. })), "{received:?}");
    let sent = process.input.send(bytes::Bytes::from_static(b"x")).await;
    assert!(matches!(sent, Err(SessionError::Lost { .. })), "{sent:?}");
    assert!(session.run("true").await.unwrap_err().is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_session_ends_its_connection() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let session = sshd.session().await;
    let mut process = session.start(Rights::User, "echo ready; cat").await.unwrap();
    assert_eq!(process.output.next().await.unwrap().as_deref(), Some("ready"));
    assert!(sshd.is_busy());
    drop((process, session));
    let deadline = Instant::now() + SOON;
    while sshd.is_busy() {
        assert!(Instant::now() < deadline, "the server still waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_does_not_end_is_given_up() {
    let Some(sshd) = Sshd::start(Shell::Dash) else { return };
    let session = sshd.session().await;
    let error = session.run_with(Rights::User, "sleep 1000", Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, SessionError::Timeout { .. }), "{error:?}");
}

/// A server that is not expected to get as far as a login.
fn target(host: &str, port: u16) -> Target {
    Target {
        host: host.into(),
        port,
        user: "root".into(),
        auth: Auth::AgentAt("/nowhere".into()),
        host_key: HostKeyPolicy::AcceptNew(Accepted::default()),
    }
}
