//! One HTTP client: which hops are allowed, how long to wait, what to try again.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response};
use rustls_platform_verifier::BuilderVerifierExt;
use url::{Host, Url};

use super::FactoryError;
use super::error::{Refusal, excerpt, heals};

/// How patient we are.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Until an answer about an image begins: an image that nobody asked for before is built first, which the Factory
    /// limits to 20 minutes.
    pub first_byte: Duration,
    /// Until any other answer begins, and between two pieces of any answer.
    pub idle: Duration,
    /// Before the second attempt; doubled before each further one.
    pub retry: Duration,
    /// Attempts for one request.
    pub attempts: u32,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(20 * 60 + 30),
            idle: Duration::from_secs(60),
            retry: Duration::from_millis(500),
            attempts: 5,
        }
    }
}

/// The client with its rules.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    plain_allowed: bool,
    pub(super) waits: Waits,
}

impl Http {
    pub(super) fn new(base: &Url, waits: Waits) -> Result<Self, FactoryError> {
        let plain_allowed = match base.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(FactoryError::BadUrl { url: base.clone(), reason: "it is neither https nor http" }),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("terraform-provider-talosoci/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(base)?)
            .redirect(redirects(plain_allowed))
            .connect_timeout(Duration::from_secs(15))
            .tcp_nodelay(true);
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|source| FactoryError::Client { url: base.clone(), source })?;
        Ok(Self { client, plain_allowed, waits })
    }

    /// Asks whether an image exists.
    pub(super) async fn head(&self, url: &Url) -> Result<Response, FactoryError> {
        self.send(Ask { method: Method::HEAD, url, body: None, headers: HeaderMap::new(), first_byte: self.waits.first_byte }).await
    }

    /// Asks for (the rest of) an image.
    pub(super) async fn get_image(&self, url: &Url, headers: HeaderMap) -> Result<Response, FactoryError> {
        self.send(Ask { method: Method::GET, url, body: None, headers, first_byte: self.waits.first_byte }).await
    }

    /// Asks for a small text.
    pub(super) async fn get_text(&self, url: &Url) -> Result<String, FactoryError> {
        let ask = Ask { method: Method::GET, url, body: None, headers: accept_json(), first_byte: self.waits.idle };
        let response = self.send(ask).await?;
        self.text(url, response).await
    }

    /// Posts YAML and gives the answer's text.
    pub(super) async fn post_yaml(&self, url: &Url, yaml: String) -> Result<String, FactoryError> {
        let ask = Ask { method: Method::POST, url, body: Some(yaml), headers: accept_json(), first_byte: self.waits.idle };
        let response = self.send(ask).await?;
        self.text(url, response).await
    }

    /// Sends until there is a good answer, or nothing more can heal.
    async fn send(&self, ask: Ask<'_>) -> Result<Response, FactoryError> {
        if !self.plain_allowed && ask.url.scheme() != "https" {
            return Err(FactoryError::BadUrl { url: ask.url.clone(), reason: "the factory is https, so must be everything it serves" });
        }
        let mut delay = self.waits.retry;
        let mut attempt = 1;
        loop {
            let refusal = match self.attempt(&ask, attempt).await {
                Ok(response) => return Ok(response),
                Err(refusal) => refusal,
            };
            match refusal {
                Refusal::MayHeal(error, wish) if attempt < self.waits.attempts => {
                    let wait = wish.unwrap_or(delay).min(MAX_DELAY);
                    tracing::debug!(url = %ask.url, %error, ?wait, "asking the factory again");
                    tokio::time::sleep(wait).await;
                    delay = delay.saturating_mul(2);
                    attempt += 1;
                }
                refusal => return Err(refusal.into_error()),
            }
        }
    }

    async fn attempt(&self, ask: &Ask<'_>, attempt: u32) -> Result<Response, Refusal> {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone());
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/yaml").body(body.clone());
        }
        let answer = tokio::time::timeout(ask.first_byte, request.send()).await;
        let response = match answer {
            Err(_) => return Err(Refusal::Final(FactoryError::Silent { url: ask.url.clone(), seconds: ask.first_byte.as_secs() })),
            Ok(Err(source)) => return Err(transport(ask.url, attempt, source)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wish = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        // What it said matters more than that the text could not be read to its end.
        let text = self.beginning(response).await;
        let error = FactoryError::Refused { url: ask.url.clone(), status, text: excerpt(&text) };
        Err(if heals(status) { Refusal::MayHeal(error, wish) } else { Refusal::Final(error) })
    }

    async fn text(&self, url: &Url, mut response: Response) -> Result<String, FactoryError> {
        let mut text = Vec::new();
        loop {
            match tokio::time::timeout(self.waits.idle, response.chunk()).await {
                Err(_) => return Err(FactoryError::Silent { url: url.clone(), seconds: self.waits.idle.as_secs() }),
                Ok(Err(source)) => return Err(transport(url, 1, source).into_error()),
                Ok(Ok(None)) => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Ok(Ok(Some(chunk))) if text.len() + chunk.len() <= MAX_TEXT => text.extend_from_slice(&chunk),
                Ok(Ok(Some(_))) => {
                    let text = excerpt(&String::from_utf8_lossy(&text));
                    return Err(FactoryError::Refused { url: url.clone(), status: response.status(), text });
                }
            }
        }
    }

    /// The first 8 KiB of an answer, or what came of them.
    pub(super) async fn beginning(&self, mut response: Response) -> String {
        let mut text = Vec::new();
        while text.len() < 8 << 10 {
            match tokio::time::timeout(Duration::from_secs(10).min(self.waits.idle), response.chunk()).await {
                Ok(Ok(Some(chunk))) => text.extend_from_slice(&chunk),
                _ => break,
            }
        }
        text.truncate(8 << 10);
        String::from_utf8_lossy(&text).into_owned()
    }
}

struct Ask<'a> {
    method: Method,
    url: &'a Url,
    body: Option<String>,
    headers: HeaderMap,
    first_byte: Duration,
}

/// TLS by ring, trusting what the system trusts. Without any authority, `http` still works.
fn tls(base: &Url) -> Result<rustls::ClientConfig, FactoryError> {
    let failed = |source| FactoryError::Tls { url: base.clone(), source };
    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)
    };
    match builder()?.with_platform_verifier() {
        Ok(config) => Ok(config.with_no_client_auth()),
        Err(_) if base.scheme() == "http" => {
            Ok(builder()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
        Err(source) => Err(failed(source)),
    }
}

fn redirects(plain_allowed: bool) -> Policy {
    Policy::custom(move |attempt| match hop(attempt.previous(), attempt.url(), plain_allowed) {
        Ok(()) => attempt.follow(),
        Err(reason) => attempt.error(reason),
    })
}

/// At most five hops; never from https back to http, and http at all only when the Factory itself is http.
fn hop(previous: &[Url], next: &Url, plain_allowed: bool) -> Result<(), String> {
    let encrypted = previous.iter().any(|url| url.scheme() == "https");
    if next.scheme() != "https" && (encrypted || !plain_allowed) {
        return Err(format!("redirected from https to {next}, which is not encrypted"));
    }
    if previous.len() > MAX_REDIRECTS { Err("redirected in circles".to_owned()) } else { Ok(()) }
}

fn transport(url: &Url, attempts: u32, source: reqwest::Error) -> Refusal {
    let heals = !source.is_redirect() && !source.is_builder() && !is_untrusted(&source);
    let error = FactoryError::Transport { url: url.clone(), attempts, source: source.without_url() };
    if heals { Refusal::MayHeal(error, None) } else { Refusal::Final(error) }
}

/// A server whose certificate is wrong now has a wrong one in a second as well.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| error.downcast_ref());
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_loopback(base: &Url) -> bool {
    match base.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn accept_json() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, reqwest::header::HeaderValue::from_static("application/json"))])
}

const MAX_REDIRECTS: usize = 5;
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The list of extensions of a version is some 50 KiB.
const MAX_TEXT: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_encrypted_hop_is_never_followed_by_a_plain_one() {
        let (plain, safe) = (url("http://cdn/x"), url("https://cdn/x"));
        let table = [
            (vec![safe.clone()], &plain, true, false),
            (vec![safe.clone()], &plain, false, false),
            (vec![safe.clone()], &safe, false, true),
            (vec![plain.clone()], &plain, true, true),
            (vec![plain.clone(), safe.clone()], &plain, true, false),
            (vec![plain.clone()], &safe, true, true),
            (vec![safe.clone(); 6], &safe, false, false),
        ];
        for (previous, next, plain_allowed, expected) in table {
            assert_eq!(hop(&previous, next, plain_allowed).is_ok(), expected, "{previous:?} -> {next}");
        }
    }

    #[test]
    fn only_an_https_or_http_base_will_do() {
        assert!(Http::new(&url("ftp://factory.talos.dev"), Waits::default()).is_err());
        assert!(Http::new(&url("http://127.0.0.1:9"), Waits::default()).is_ok());
    }

    #[tokio::test]
    async fn an_https_factory_is_never_asked_in_plain() {
        let http = Http::new(&url("https://factory.invalid"), Waits::default()).unwrap();
        let error = http.head(&url("http://factory.invalid/image")).await.unwrap_err();
        assert!(matches!(error, FactoryError::BadUrl { .. }), "{error}");
    }
}
