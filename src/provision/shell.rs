//! The rescue shell: connecting to it, with patience for what heals.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::client::rescue::session::{Session, SessionError, Target};
use crate::node::spec::SshFlash;
use crate::provision::Job;
use crate::provision::error::{Cause, chain};
use crate::provision::observe::{HANDSHAKE, target};
use crate::provision::wait::{Ended, Limits, Look, until};

/// How long a server that refuses, resets or drops connections is asked again: one that starts, or one that is asked by many at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects. What cannot heal, such as a wrong host key or a refused login, is told at once.
pub async fn shell(job: &Job, flash: &SshFlash) -> Result<Session, Cause> {
    patiently(&job.limits.within(PATIENCE), &target(job, flash)).await
}

async fn patiently(limits: &Limits, target: &Target) -> Result<Session, Cause> {
    let last: Mutex<Option<SessionError>> = Mutex::new(None);
    let connected = until(limits, "the rescue shell", || async {
        match Session::connect(target, HANDSHAKE).await {
            Ok(session) => Look::Ready(session),
            Err(error) if error.is_transient() => {
                let status = chain(&error);
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Look::Pending(status)
            }
            Err(error) => Look::Failed(Cause::Session(error)),
        }
    })
    .await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    connected.map_err(|ended| match (ended, last) {
        (Ended::TimedOut { .. }, Some(error)) => Cause::Session(error),
        (ended, _) => Cause::ended(ended),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::rescue::session::{Accepted, Auth, HostKeyPolicy};
    use crate::provision::journal::Journal;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    fn limits(limit: Duration) -> Limits {
        Limits { deadline: Instant::now() + limit, stop: CancellationToken::new(), journal: Journal::default() }
    }

    fn target(port: u16) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port,
            user: "root".into(),
            auth: Auth::AgentAt("/nowhere".into()),
            host_key: HostKeyPolicy::AcceptNew(Accepted::default()),
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_is_asked_again_until_it_says_what_cannot_heal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let mut said = 0;
            for words in ["", "Exceeded MaxStartups\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(words.as_bytes()).await.unwrap();
                said += 1;
            }
            said
        };
        let (limits, target) = (limits(Duration::from_secs(60)), target(port));
        let (said, connected) = tokio::join!(server, patiently(&limits, &target));
        let error = connected.err().unwrap();
        assert!(matches!(error, Cause::Session(SessionError::NotSsh { .. })), "{error:?}");
        assert_eq!(said, 3);
    }

    #[tokio::test]
    async fn when_patience_ends_the_last_answer_is_told_with_its_hints() {
        // Taken, and not listened at: nobody else can get it meanwhile.
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = patiently(&limits(Duration::from_millis(600)), &target(port)).await.err().unwrap();
        assert!(matches!(error, Cause::Session(SessionError::Refused { .. })), "{error:?}");
        assert!(!error.hints().is_empty());
    }
}
