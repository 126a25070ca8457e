//! What can go wrong with a Factory, and what to do about it.

use thiserror::Error;

/// A failed conversation with an Image Factory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FactoryError {
    /// The URL cannot be used.
    #[error("using {url}: {reason}")]
    BadUrl {
        /// As given.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// TLS cannot be set up on this machine.
    #[error("setting up TLS for {url}")]
    Tls {
        /// The Factory.
        url: String,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// The HTTP client cannot be set up on this machine.
    #[error("setting up HTTP for {url}")]
    Client {
        /// The Factory.
        url: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// No answer, or the connection broke.
    #[error("asking {url} ({attempts} attempts)")]
    Transport {
        /// What was asked for.
        url: String,
        /// How often.
        attempts: u32,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The answer did not begin, or stopped in the middle.
    #[error("asking {url}: nothing came for {seconds} s")]
    Silent {
        /// What was asked for.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// The Factory said no.
    #[error("asking {url}: {status}: {text}")]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: http::StatusCode,
        /// The beginning of what it said.
        text: String,
    },
    /// It answered with a page or a message where an image should be.
    #[error("downloading {url}: this is no image but {content_type}: {text}")]
    NotAnImage {
        /// What was asked for.
        url: String,
        /// As the server named it.
        content_type: String,
        /// Its beginning.
        text: String,
    },
    /// It answered with something that cannot be read.
    #[error("reading the answer of {url}: {text}")]
    Answer {
        /// What was asked for.
        url: String,
        /// Its beginning.
        text: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The schematic has another id there.
    #[error("registering the schematic at {url}: the factory calls it {theirs}, expected {ours}")]
    OtherId {
        /// The Factory.
        url: String,
        /// What we computed.
        ours: String,
        /// What it answered.
        theirs: String,
    },
    /// The image changed while it was downloaded.
    #[error("downloading {url}: the image changed between two attempts (after {offset} bytes)")]
    Changed {
        /// What was asked for.
        url: String,
        /// Where the connection had broken.
        offset: u64,
    },
    /// More comes than was announced, or than any image has.
    #[error("downloading {url}: more than {limit} bytes came")]
    TooLong {
        /// What was asked for.
        url: String,
        /// Bytes that would have been taken.
        limit: u64,
    },
    /// The connection ended before the image did.
    #[error("downloading {url}: the connection ended after {received} of {expected} bytes")]
    Truncated {
        /// What was asked for.
        url: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        expected: u64,
    },
}

/// Why an attempt did not succeed, and whether another may.
pub(super) enum Refusal {
    Final(FactoryError),
    MayHeal(FactoryError, Option<std::time::Duration>),
}

impl Refusal {
    pub(super) fn into_error(self) -> FactoryError {
        match self {
            Self::Final(error) | Self::MayHeal(error, _) => error,
        }
    }
}

impl FactoryError {
    /// Whether the same question may be answered a little later with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Silent { .. } | Self::Changed { .. } | Self::Truncated { .. } => true,
            Self::Refused { status, .. } => heals(*status),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::BadUrl { .. } => "give an https URL such as https://factory.talos.dev",
            Self::Tls { .. } => "install the system's certificate authorities (package ca-certificates)",
            Self::Client { .. } => "check HTTPS_PROXY and NO_PROXY",
            Self::Transport { .. } | Self::Silent { .. } | Self::Truncated { .. } => {
                "check the network between this machine and the factory (DNS, proxy, firewall), then run again"
            }
            Self::Refused { status, text, .. } => refused(status.as_u16(), text),
            Self::NotAnImage { .. } => "is this the factory itself, or a proxy's or captive portal's page?",
            Self::Answer { .. } => "is this URL an Image Factory?",
            Self::OtherId { .. } => {
                "check the schematic for fields that this factory changes; please report the schematic as a bug if it has none"
            }
            Self::TooLong { .. } => {
                "is this the factory itself, or something in between that sends without end? If the server does not say how large the image is, the room in cache_dir limits it"
            }
            Self::Changed { .. } => "the factory rebuilt the image meanwhile: run again",
        };
        vec![hint.to_owned()]
    }
}

/// Statuses after which the same request may succeed a little later.
pub(super) fn heals(status: http::StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The beginning of a text on one line, without HTML tags.
pub(super) fn excerpt(text: &str) -> String {
    let mut plain = String::new();
    let mut tag = false;
    for c in text.chars() {
        match c {
            '<' => tag = true,
            '>' if tag => {
                tag = false;
                plain.push(' ');
            }
            _ if tag => {}
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return "(no text)".to_owned();
    }
    if words.chars().count() > EXCERPT { words.chars().take(EXCERPT).collect::<String>() + "…" } else { words }
}

fn refused(status: u16, text: &str) -> &'static str {
    match status {
        400 if text.contains("is not available for Talos version") => {
            "remove the extension, or choose a Talos version that has it (data source talosoci_image_versions lists them)"
        }
        400 => "the factory does not accept this schematic or image path",
        401 | 403 => "this factory wants credentials, or does not allow this machine",
        402 => "this factory offers it only in its enterprise edition",
        404 if text.contains("schematic") => {
            "register the schematic first: the provider does so on apply, an id computed elsewhere is not enough"
        }
        404 => {
            "check the Talos version: the factory knows only published releases (data source talosoci_image_versions lists them)"
        }
        429 => "the factory limits requests: wait a little, then run again",
        500.. => {
            "the factory failed; run again later, and check the platform and architecture: it answers 500 to names it does not know"
        }
        _ => "is this URL an Image Factory?",
    }
}

const EXCERPT: usize = 300;
