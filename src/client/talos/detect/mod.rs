//! One round of questions: what answers at this address? Facts only, in bounded time.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::talos::talosconfig::ClientCredentials;

use super::resources::Stage;
use super::{Address, ErrorKind, Maintenance, Node, ServerCertificate, TalosError, TlsFailure, Trust};

/// Longest time for one connection.
const CONNECT: Duration = Duration::from_secs(4);

/// Longest time for one question on an open connection.
const ASK: Duration = Duration::from_secs(3);

/// One set of credentials to try, under a name of the caller's.
#[derive(Clone, Debug)]
pub struct Candidate<'a, W> {
    /// What the caller calls them.
    pub which: W,
    /// The credentials.
    pub credentials: &'a ClientCredentials,
}

/// What one round found.
#[derive(Debug)]
pub struct Detected<W> {
    /// What answers.
    pub answer: Answer<W>,
    /// The certificate it showed, when it came that far.
    pub server: Option<ServerCertificate>,
}

/// What answers at an address.
#[derive(Debug)]
pub enum Answer<W> {
    /// The host says that the port is closed.
    Refused(TalosError),
    /// No answer, no route, no such name, or a connection that breaks off.
    Unreachable(TalosError),
    /// Something that speaks no TLS.
    NotTls {
        /// What it said first, `SSH-2.0-…` for a rescue system.
        banner: String,
    },
    /// A Talos node that answers strangers.
    Maintenance(Maintenance),
    /// A Talos node that accepts these credentials.
    Mutual {
        /// Which.
        which: W,
        /// What it is doing, when it said so.
        stage: Option<Stage>,
        /// `v1.12.2`, when it said so.
        version: Option<String>,
    },
    /// A TLS server that wants a client certificate, and whose own is of none of the given CAs.
    Foreign {
        /// Issuer of its certificate.
        issuer: String,
        /// The issuer's key identifier, hex: what tells two Talos clusters apart.
        authority_key_id: Option<String>,
        /// SHA-256 of the issuing CA, hex, when the server sent it.
        ca_fingerprint: Option<String>,
    },
    /// The server's certificate is of our CA, yet it does not accept our client certificate.
    RejectedOurCertificate {
        /// Which credentials.
        which: W,
        /// In its words.
        error: TalosError,
    },
    /// The server's certificate is of our CA, but does not name the dialled address.
    WrongName {
        /// Which credentials.
        which: W,
        /// What it is valid for.
        names: Vec<String>,
    },
    /// The server's certificate is of our CA, but not valid now.
    WrongTime {
        /// Which credentials.
        which: W,
        /// Our clock.
        now: OffsetDateTime,
        /// Start of validity.
        not_before: OffsetDateTime,
        /// End of validity.
        not_after: OffsetDateTime,
        /// Whether it will heal by itself soon.
        transient: bool,
    },
    /// Something else answers, or credentials are unusable.
    Odd(TalosError),
}

/// Looks once at `address`: first as a stranger, then with each of the candidates in order. Takes less than `within`.
pub async fn detect<W: Copy>(address: &Address, candidates: &[Candidate<'_, W>], within: Duration) -> Detected<W> {
    let budget = Budget(Instant::now() + within);
    let stranger = Trust::Maintenance { fingerprint: None };
    match Node::connect(address, &stranger, budget.at_most(CONNECT)).await {
        Ok(node) => as_stranger(&node, &budget).await,
        Err(error) if error.kind() == ErrorKind::ClientCertificateRejected => {
            as_candidates(address, candidates, &budget, server_of(&error)).await
        }
        Err(error) => Detected { server: server_of(&error), answer: without_session(error) },
    }
}

/// What is left of the time for one round.
struct Budget(Instant);

impl Budget {
    fn at_most(&self, most: Duration) -> Duration {
        self.0.saturating_duration_since(Instant::now()).min(most)
    }
}

async fn as_stranger<W>(node: &Node, budget: &Budget) -> Detected<W> {
    let answer = match node.within(budget.at_most(ASK)).maintenance().await {
        Ok(maintenance) => Answer::Maintenance(maintenance),
        Err(error) if error.kind() == ErrorKind::Unreachable => Answer::Unreachable(error),
        Err(error) => Answer::Odd(error),
    };
    Detected { answer, server: Some(node.server().clone()) }
}

async fn as_candidates<W: Copy>(
    address: &Address,
    candidates: &[Candidate<'_, W>],
    budget: &Budget,
    server: Option<ServerCertificate>,
) -> Detected<W> {
    let mut unusable = None;
    for candidate in candidates {
        let trust = Trust::Mutual(candidate.credentials.clone());
        let answer = match Node::connect(address, &trust, budget.at_most(CONNECT)).await {
            Ok(node) => as_client(&node, candidate.which, budget).await,
            Err(error) => match with_candidate(error, candidate.which) {
                Verdict::NotThese => continue,
                Verdict::Unusable(error) => {
                    unusable.get_or_insert(error);
                    continue;
                }
                Verdict::Answer(answer) => answer,
            },
        };
        return Detected { answer, server };
    }
    let answer = match (unusable, &server) {
        (Some(error), _) => Answer::Odd(error),
        (None, server) => foreign(server.as_ref()),
    };
    Detected { answer, server }
}

async fn as_client<W>(node: &Node, which: W, budget: &Budget) -> Answer<W> {
    let node = node.within(budget.at_most(ASK));
    match node.machine_status().await {
        Ok(status) => Answer::Mutual {
            which,
            stage: Some(status.stage),
            version: node.within(budget.at_most(ASK)).version_resource().await.ok(),
        },
        Err(error) => match error.kind() {
            ErrorKind::ClientCertificateRejected => Answer::RejectedOurCertificate { which, error },
            ErrorKind::Unreachable => Answer::Unreachable(error),
            // It let us in; that it does not answer this question is another matter.
            _ => Answer::Mutual { which, stage: None, version: None },
        },
    }
}

/// What a failed connection with credentials says.
enum Verdict<W> {
    NotThese,
    Unusable(TalosError),
    Answer(Answer<W>),
}

fn with_candidate<W>(error: TalosError, which: W) -> Verdict<W> {
    let transient = error.is_transient();
    match (error.kind(), error) {
        (ErrorKind::UntrustedServer, _) => Verdict::NotThese,
        (ErrorKind::Credentials, error) => Verdict::Unusable(error),
        (ErrorKind::ClientCertificateRejected, error) => {
            Verdict::Answer(Answer::RejectedOurCertificate { which, error })
        }
        (ErrorKind::WrongName, error) => Verdict::Answer(Answer::WrongName {
            which,
            names: server_of(&error).map(|server| server.names).unwrap_or_default(),
        }),
        (ErrorKind::CertificateTime, error) => Verdict::Answer(match server_of(&error) {
            Some(server) => Answer::WrongTime {
                which,
                now: OffsetDateTime::now_utc(),
                not_before: server.not_before,
                not_after: server.not_after,
                transient,
            },
            None => Answer::Odd(error),
        }),
        (_, error) => Verdict::Answer(without_session(error)),
    }
}

fn without_session<W>(error: TalosError) -> Answer<W> {
    match (error.kind(), &error) {
        (ErrorKind::Refused, _) => Answer::Refused(error),
        (ErrorKind::Unreachable, _) => Answer::Unreachable(error),
        (_, TalosError::Tls { source: TlsFailure::NotTls { banner }, .. }) => Answer::NotTls { banner: banner.clone() },
        _ => Answer::Odd(error),
    }
}

fn foreign<W>(server: Option<&ServerCertificate>) -> Answer<W> {
    Answer::Foreign {
        issuer: server.map(|server| server.issuer.clone()).unwrap_or_default(),
        authority_key_id: server.and_then(|server| server.authority_key_id.clone()),
        ca_fingerprint: server.and_then(|server| server.ca_fingerprint.clone()),
    }
}

fn server_of(error: &TalosError) -> Option<ServerCertificate> {
    match error {
        TalosError::Tls { source, .. } => source.server().cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
