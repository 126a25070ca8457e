//! The Talos Image Factory over HTTP: registers schematics, says what there is, and hands out images.

use std::str::FromStr;

use url::Url;

use crate::talos::schematic::{Schematic, SchematicId};
use crate::talos::version::TalosVersion;

mod download;
mod error;
mod http;

pub use download::Download;
pub use error::FactoryError;
pub use http::Waits;

use http::Http;

/// One Image Factory.
#[derive(Clone, Debug)]
pub struct Factory {
    base: Url,
    http: Http,
}

/// An image that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asset {
    /// Compressed size in bytes, when the Factory says it.
    pub size: Option<u64>,
}

/// An official system extension of one Talos version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[non_exhaustive]
pub struct OfficialExtension {
    /// Such as `siderolabs/tailscale`.
    pub name: String,
    /// Its image with a tag.
    #[serde(rename = "ref", default)]
    pub reference: String,
    /// Of its image.
    #[serde(default)]
    pub digest: String,
    /// Who made it.
    #[serde(default)]
    pub author: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

impl Factory {
    /// A Factory at `base`; plain `http` is spoken only when `base` itself is `http` (a simulator on loopback).
    ///
    /// # Errors
    /// When `base` is neither `https` nor `http`, or no certificate authorities are installed on this system.
    pub fn new(base: &Url) -> Result<Self, FactoryError> {
        Self::with_waits(base, Waits::default())
    }

    /// [`Factory::new`] with other patience.
    ///
    /// # Errors
    /// As [`Factory::new`].
    pub fn with_waits(base: &Url, waits: Waits) -> Result<Self, FactoryError> {
        let http = Http::new(base, waits)?;
        Ok(Self { base: base.clone(), http })
    }

    /// Makes the schematic known to the Factory; doing it again changes nothing.
    ///
    /// # Errors
    /// When the Factory refuses it or does not answer, or gives it another id than ours. Another id is fine when the Factory
    /// added an `owner` (one with accounts does), or when the id is known to differ between Factory releases.
    pub async fn register(&self, schematic: &Schematic) -> Result<SchematicId, FactoryError> {
        let url = self.url(&["schematics"]);
        let text = self.http.post_yaml(&url, schematic.canonical()).await?;
        let answer: Registered = json(&url, &text)?;
        let ours = schematic.id();
        let other = || FactoryError::OtherId {
            url: url.to_string(),
            ours: ours.to_string(),
            theirs: error::excerpt(&answer.id),
        };
        let theirs = SchematicId::from_str(&answer.id).map_err(|_| other())?;
        if theirs == ours
            || schematic.id_depends_on_factory_release()
            || self.has_owner(&theirs, answer.schematic).await?
        {
            return Ok(theirs);
        }
        Err(other())
    }

    /// The Talos versions that the Factory serves, in its order (oldest first).
    ///
    /// # Errors
    /// When the Factory does not answer, or with something else.
    pub async fn versions(&self) -> Result<Vec<TalosVersion>, FactoryError> {
        let url = self.url(&["versions"]);
        let names: Vec<String> = json(&url, &self.http.get_text(&url).await?)?;
        // A version that we cannot read is one that we cannot offer.
        Ok(names.iter().filter_map(|name| TalosVersion::from_str(name).ok()).collect())
    }

    /// The official system extensions of one version.
    ///
    /// # Errors
    /// When the Factory does not know the version or does not answer.
    pub async fn extensions(&self, version: &TalosVersion) -> Result<Vec<OfficialExtension>, FactoryError> {
        let url = self.url(&["version", &version.to_string(), "extensions", "official"]);
        json(&url, &self.http.get_text(&url).await?)
    }

    /// Makes sure that an image exists. The first question for an image makes the Factory build it: minutes may pass.
    ///
    /// # Errors
    /// When the Factory does not know the schematic or the version, cannot build the image, or does not answer.
    pub async fn asset(&self, url: &Url) -> Result<Asset, FactoryError> {
        let response = self.http.head(url).await?;
        Ok(Asset { size: download::length_of(&response) })
    }

    /// Starts to download an image. The stream resumes by itself after a broken connection.
    ///
    /// # Errors
    /// As [`Factory::asset`], and when the answer is a page or a message instead of an image.
    pub async fn open(&self, url: &Url) -> Result<Download, FactoryError> {
        Download::start(self.http.clone(), url.clone()).await
    }

    async fn has_owner(&self, id: &SchematicId, yaml: Option<String>) -> Result<bool, FactoryError> {
        let yaml = match yaml {
            Some(yaml) => yaml,
            // Factories before May 2026 answer with the id alone.
            None => self.http.get_text(&self.url(&["schematics", id.as_str()])).await?,
        };
        Ok(Schematic::parse(&yaml).is_ok_and(|schematic| !schematic.owner().is_empty()))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Every http and https URL can be a base; `Http::new` refused all others.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

#[derive(serde::Deserialize)]
struct Registered {
    id: String,
    schematic: Option<String>,
}

fn json<T: serde::de::DeserializeOwned>(url: &Url, text: &str) -> Result<T, FactoryError> {
    serde_json::from_str(text).map_err(|source| FactoryError::Answer {
        url: url.to_string(),
        text: error::excerpt(text),
        source,
    })
}

#[cfg(test)]
mod tests;
