//! Why there is no TLS session: one variant per cause a person can act on.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as Tls};
use thiserror::Error;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::{Expected, ServerCertificate, verifier::is_stranger};

/// A certificate that becomes valid this soon is a matter of waiting: Talos certifies from its own "now" on, with no
/// backdating (siderolabs/crypto v0.6.4 x509/options.go), so a clock that lags a little refuses a fresh one.
const SHORT_SKEW: Duration = Duration::minutes(5);

/// Why a TLS session could not be opened, or was ended by the other side.
#[derive(Debug, Error)]
pub enum TlsFailure {
    /// The TCP connection broke.
    #[error("the connection broke off")]
    Broken(#[source] io::Error),
    /// The peer closed the connection before it said anything.
    #[error("the peer closed the connection before it said anything")]
    Closed,
    /// What answers is no TLS server.
    #[error("the peer does not speak TLS (it said {banner:?})")]
    NotTls {
        /// First bytes received, printable characters only, at most 80.
        banner: String,
    },
    /// TLS works, but HTTP/2 was not agreed on.
    #[error("the server does not offer HTTP/2, so it is no Talos API")]
    NoHttp2,
    /// Another authority than ours signed the server's certificate.
    #[error("the server's certificate is not signed by our CA ({})", .server.identity())]
    UntrustedServer {
        /// What the server showed.
        server: Box<ServerCertificate>,
        /// SHA-256 of the CAs we accept, hex.
        accepted: Vec<String>,
    },
    /// Maintenance mode: not the key that was seen before.
    #[error("the server's key {} is not the pinned {pinned}", .server.fingerprint)]
    PinMismatch {
        /// What the server showed.
        server: Box<ServerCertificate>,
        /// The fingerprint that was expected.
        pinned: String,
    },
    /// Our CA signed it, but for other names.
    #[error("the server's certificate is not valid for {wanted}, only for {}", list(&.server.names))]
    WrongName {
        /// What the server showed.
        server: Box<ServerCertificate>,
        /// The name or address that was dialled.
        wanted: String,
    },
    /// The server's certificate, or its CA's, is past its time.
    #[error("the server's certificate expired at {}, and it is {} here", utc(*.not_after), utc(*.now))]
    Expired {
        /// What the server showed.
        server: Box<ServerCertificate>,
        /// Our clock.
        now: OffsetDateTime,
        /// End of validity.
        not_after: OffsetDateTime,
    },
    /// The server's certificate is not valid yet.
    #[error("the server's certificate is valid from {} on, and it is {} here", utc(*.not_before), utc(*.now))]
    NotYetValid {
        /// What the server showed.
        server: Box<ServerCertificate>,
        /// Our clock.
        now: OffsetDateTime,
        /// Start of validity.
        not_before: OffsetDateTime,
    },
    /// The server's certificate is unusable for another reason.
    #[error("the server's certificate is unusable")]
    BadCertificate(#[source] Tls),
    /// The server ended the session because of the certificate we showed, or because we showed none.
    #[error("{}", rejected(*.alert, *.shown))]
    ClientCertificateRejected {
        /// The alert the server sent.
        alert: AlertDescription,
        /// Whether we had a certificate to show.
        shown: bool,
        /// Validity of our certificate.
        validity: Option<(OffsetDateTime, OffsetDateTime)>,
        /// What the server showed.
        server: Option<Box<ServerCertificate>>,
    },
    /// The two sides do not understand each other.
    #[error("the TLS conversation failed")]
    Protocol(#[source] Tls),
}

impl TlsFailure {
    pub(super) fn classify(
        error: io::Error,
        server: Option<ServerCertificate>,
        expected: &Expected,
        wanted_name: &str,
    ) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()).cloned();
        match (tls, server.map(Box::new)) {
            (None, _) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            (None, _) => Self::Broken(error),
            (Some(Tls::AlertReceived(alert)), server) => Self::of_alert(alert, server, expected),
            (Some(tls @ Tls::InvalidCertificate(_)), Some(server)) => {
                Self::of_certificate(tls, server, expected, wanted_name)
            }
            (Some(tls), _) => Self::Protocol(tls),
        }
    }

    fn of_alert(alert: AlertDescription, server: Option<Box<ServerCertificate>>, expected: &Expected) -> Self {
        use AlertDescription as A;
        // DecryptError: our certificate's issuer has the right name and the wrong key, as other TLS stacks than Go's
        // say it.
        let about_us = matches!(
            alert,
            A::NoCertificate
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::DecryptError
                | A::AccessDenied
                | A::CertificateRequired
        );
        // A refusal before the server showed itself cannot be about our certificate, which is sent after that.
        match (about_us, server) {
            (true, Some(server)) => Self::ClientCertificateRejected {
                alert,
                shown: expected.client_certificate,
                validity: expected.client_validity,
                server: Some(server),
            },
            _ if alert == A::NoApplicationProtocol => Self::NoHttp2,
            _ => Self::Protocol(Tls::AlertReceived(alert)),
        }
    }

    fn of_certificate(tls: Tls, server: Box<ServerCertificate>, expected: &Expected, wanted_name: &str) -> Self {
        use CertificateError as C;
        if is_stranger(&tls) {
            return Self::UntrustedServer { server, accepted: expected.authorities.clone() };
        }
        let now = OffsetDateTime::now_utc();
        match (&tls, &expected.pin) {
            (Tls::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }), _) => {
                Self::WrongName { server, wanted: wanted_name.to_owned() }
            }
            (Tls::InvalidCertificate(C::Expired), _) => Self::Expired { now, not_after: server.not_after, server },
            (Tls::InvalidCertificate(C::ExpiredContext { not_after, .. }), _) => {
                Self::Expired { now, not_after: moment(not_after.as_secs()).unwrap_or(server.not_after), server }
            }
            (Tls::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }), _) => {
                Self::NotYetValid { now, not_before: server.not_before, server }
            }
            (Tls::InvalidCertificate(C::ApplicationVerificationFailure), Some(pinned)) => {
                Self::PinMismatch { server, pinned: pinned.clone() }
            }
            _ => Self::BadCertificate(tls),
        }
    }

    /// What the server showed of itself, if it came that far.
    pub fn server(&self) -> Option<&ServerCertificate> {
        match self {
            Self::UntrustedServer { server, .. }
            | Self::PinMismatch { server, .. }
            | Self::WrongName { server, .. }
            | Self::Expired { server, .. }
            | Self::NotYetValid { server, .. } => Some(server),
            Self::ClientCertificateRejected { server, .. } => server.as_deref(),
            _ => None,
        }
    }

    /// Whether waiting may heal it: a broken connection, or a clock that lags a little.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Closed => true,
            Self::NotYetValid { now, not_before, .. } => *not_before - *now <= SHORT_SKEW,
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Broken(_) | Self::Closed => return Vec::new(),
            Self::NotTls { banner } if banner.starts_with("SSH-") => {
                "an SSH server answers on this port: check talos_port, the Talos API listens on 50000".to_owned()
            }
            Self::NotTls { .. } | Self::NoHttp2 => {
                "check the endpoint and talos_port: the Talos API listens on 50000".to_owned()
            }
            Self::UntrustedServer { accepted, .. } => format!(
                "the machine belongs to another cluster, or the credentials do (accepted CA: sha256 {})",
                list(accepted)
            ),
            Self::PinMismatch { .. } => {
                "the machine rebooted, renewed its maintenance certificate, or another machine \
                 answers; compare with the fingerprint on its console"
                    .to_owned()
            }
            Self::WrongName { wanted, .. } => format!(
                "add {wanted} to machine.certSANs: Oracle's public addresses are NAT, the node does not know them"
            ),
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                "compare the clocks of this host and of the node; both should follow NTP".to_owned()
            }
            Self::BadCertificate(_) | Self::Protocol(_) => return Vec::new(),
            Self::ClientCertificateRejected { shown: false, .. } => {
                "the node is not in maintenance mode any more: it needs a client certificate".to_owned()
            }
            Self::ClientCertificateRejected { validity, .. } => return client_hints(*validity),
        };
        vec![hint]
    }
}

fn client_hints(validity: Option<(OffsetDateTime, OffsetDateTime)>) -> Vec<String> {
    let now = OffsetDateTime::now_utc();
    match validity {
        Some((_, end)) if end < now => {
            vec![format!("the client certificate expired at {}: make a new talosconfig", utc(end))]
        }
        Some((start, _)) if start > now => {
            vec![format!("the client certificate is valid from {} on: compare the clocks", utc(start))]
        }
        _ => {
            vec!["use a client certificate of the node's own cluster (talosconfig), and compare the clocks".to_owned()]
        }
    }
}

fn rejected(alert: AlertDescription, shown: bool) -> String {
    if shown {
        format!("the server refused our client certificate ({alert:?})")
    } else {
        format!("the server wants a client certificate ({alert:?})")
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn moment(seconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

/// Second precision, UTC: "2026-01-02 03:04:05 UTC".
fn utc(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}:{:02} UTC", moment.date(), moment.hour(), moment.minute(), moment.second())
}
