//! An image as it arrives; a broken connection is taken up again.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use sha2::{Digest, Sha256};
use url::Url;

use super::FactoryError;
use super::error::excerpt;
use super::http::Http;

/// A running download.
pub struct Download {
    http: Http,
    url: Url,
    response: Option<Response>,
    size: Option<u64>,
    validator: Option<HeaderValue>,
    /// Bytes handed out, and their hash.
    received: u64,
    hash: Sha256,
    /// Bytes of the image that the current response has covered, and after a restart their hash.
    at: u64,
    again: Sha256,
    resumes_left: u32,
    /// More bytes than this are not taken.
    limit: u64,
}

impl Download {
    pub(super) async fn start(http: Http, url: Url) -> Result<Self, FactoryError> {
        let response = http.get_image(&url, HeaderMap::new()).await?;
        let response = refuse_text(&http, &url, response).await?;
        let size = match response.content_length() {
            Some(size) => Some(size),
            // What does not say how long it is may have no end.
            None => length(&http, &url).await,
        };
        let begun = Self {
            size,
            validator: validator(response.headers()),
            resumes_left: http.waits.attempts,
            response: Some(response),
            received: 0,
            hash: Sha256::new(),
            at: 0,
            again: Sha256::new(),
            limit: LARGEST,
            http,
            url,
        };
        match begun.size {
            Some(size) if size > LARGEST => Err(begun.too_long(LARGEST)),
            _ => Ok(begun),
        }
    }

    /// Takes no more than `limit` bytes.
    pub fn at_most(self, limit: u64) -> Self {
        Self { limit: limit.min(self.limit), ..self }
    }

    /// How many bytes will come, when the server says it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Where it comes from.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The next bytes, or `None` at the end.
    ///
    /// A connection that breaks or falls silent is taken up again where it stopped: with a `Range` request when the server
    /// named the version of what it sent, otherwise from the start, passing over (and comparing) what is already here.
    ///
    /// # Errors
    /// When the connection breaks too often, or what the server has now is not what it had before.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FactoryError> {
        loop {
            let error = match self.read().await {
                Ok(Some(chunk)) => match self.accept(chunk)? {
                    new if new.is_empty() => continue,
                    new => return Ok(Some(new)),
                },
                Ok(None) if self.at < self.received => return Err(self.changed()),
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            if self.resumes_left == 0 {
                return Err(error);
            }
            self.resumes_left -= 1;
            tracing::info!(url = %self.url, received = self.received, %error, "taking up the download again");
            self.resume().await?;
        }
    }

    /// Takes a chunk of the current response; gives what of it is new.
    fn accept(&mut self, chunk: Bytes) -> Result<Bytes, FactoryError> {
        let old = usize::try_from(self.received - self.at).unwrap_or(usize::MAX).min(chunk.len());
        if old > 0 {
            self.again.update(&chunk[..old]);
            self.at += old as u64;
            if self.at == self.received && self.again.clone().finalize() != self.hash.clone().finalize() {
                return Err(self.changed());
            }
        }
        let new = chunk.slice(old..);
        let limit = self.size.unwrap_or(self.limit).min(self.limit);
        if self.at + new.len() as u64 > limit {
            return Err(self.too_long(limit));
        }
        if !new.is_empty() {
            self.hash.update(&new);
            self.at += new.len() as u64;
            self.received = self.at;
            self.resumes_left = self.http.waits.attempts;
        }
        Ok(new)
    }

    async fn read(&mut self) -> Result<Option<Bytes>, FactoryError> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let idle = self.http.waits.idle;
        match tokio::time::timeout(idle, response.chunk()).await {
            Err(_) => Err(FactoryError::Silent { url: self.url.to_string(), seconds: idle.as_secs() }),
            Ok(Err(source)) => {
                Err(FactoryError::Transport { url: self.url.to_string(), attempts: 1, source: source.without_url() })
            }
            Ok(Ok(None)) => match self.size {
                Some(expected) if self.at < expected => {
                    Err(FactoryError::Truncated { url: self.url.to_string(), received: self.at, expected })
                }
                _ => Ok(None),
            },
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    async fn resume(&mut self) -> Result<(), FactoryError> {
        let mut headers = HeaderMap::new();
        if let (Some(validator), true) = (&self.validator, self.received > 0) {
            // Digits and ASCII letters are always a valid header value.
            if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.received)) {
                headers.insert(RANGE, range);
                headers.insert(IF_RANGE, validator.clone());
            }
        }
        let response = self.http.get_image(&self.url, headers).await?;
        let response = refuse_text(&self.http, &self.url, response).await?;
        if response.status() == http::StatusCode::PARTIAL_CONTENT {
            if !continues(response.headers(), self.received, self.size) {
                return Err(self.changed());
            }
            self.at = self.received;
            self.response = Some(response);
            return Ok(());
        }
        if let (Some(now), Some(before)) = (response.content_length(), self.size)
            && now != before
        {
            return Err(self.changed());
        }
        self.at = 0;
        self.again = Sha256::new();
        self.response = Some(response);
        Ok(())
    }

    fn too_long(&self, limit: u64) -> FactoryError {
        FactoryError::TooLong { url: self.url.to_string(), limit }
    }

    fn changed(&self) -> FactoryError {
        FactoryError::Changed { url: self.url.to_string(), offset: self.received }
    }
}

/// Refuses a page or a message where an image should be; it comes with status 200 from portals and proxies.
async fn refuse_text(http: &Http, url: &Url, response: Response) -> Result<Response, FactoryError> {
    let content_type =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let kind = content_type.to_ascii_lowercase();
    let text = ["text/", "application/json", "application/problem+json", "application/xml", "application/xhtml"];
    if !text.iter().any(|prefix| kind.starts_with(prefix)) {
        return Ok(response);
    }
    let text = excerpt(&http.beginning(response).await);
    Err(FactoryError::NotAnImage { url: url.to_string(), content_type, text })
}

/// What a `HEAD` request says of the length. It is an extra, so it gets little time.
async fn length(http: &Http, url: &Url) -> Option<u64> {
    let asked = tokio::time::timeout(http.waits.idle.min(HEAD_DEADLINE), http.head(url)).await.ok()?.ok()?;
    length_of(&asked)
}

/// The length that an answer without a body announces.
pub(super) fn length_of(response: &Response) -> Option<u64> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok().filter(|size| *size > 0)
}

/// What names this version of the file: a strong entity tag, or a date.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// Whether a partial answer starts at `offset` of a file of `size` bytes: `bytes 5-9/10`.
fn continues(headers: &HeaderMap, offset: u64, size: Option<u64>) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let Some((span, total)) =
        range.and_then(|range| range.strip_prefix("bytes ")).and_then(|range| range.split_once('/'))
    else {
        return false;
    };
    let start = span.split('-').next().and_then(|start| start.parse().ok());
    let same_size = match (total.parse::<u64>(), size) {
        (Ok(total), Some(size)) => total == size,
        _ => true,
    };
    start == Some(offset) && same_size
}

/// Far more than any disk image: that for oracle is 125 MB, and 9.6 GB if it is not compressed.
const LARGEST: u64 = 32 << 30;

const HEAD_DEADLINE: Duration = Duration::from_secs(15);
