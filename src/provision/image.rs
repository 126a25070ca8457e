//! Phase image: the compressed disk image is here, complete and verified, before the machine is touched.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;

use crate::client::cache::CachedImage;
use crate::disk_image::{DecodeError, DecodeOptions, Decoder, Digest, Event, HEAD, Image};
use crate::provision::Job;
use crate::provision::error::Cause;
use crate::provision::journal::Progress;
use crate::provision::wait::bounded;

/// Larger than any disk image of Talos (9192 MiB in 1.14), so that an endless stream ends.
const LARGEST: u64 = 256 << 30;

/// Bytes read from the file at once.
const CHUNK: usize = 1 << 20;

/// An image whose every block was checked.
pub struct Verified {
    /// The compressed file.
    pub cached: CachedImage,
    /// What is in it.
    pub image: Image,
    /// Of the first MiB, decoded.
    pub head_sha256: Digest,
}

impl Verified {
    /// For the transcript.
    pub fn note(&self) -> String {
        format!(
            "{} MiB compressed, {} MiB raw, sha256 {}",
            self.cached.size >> 20,
            self.image.raw_size >> 20,
            &self.cached.sha256[..12]
        )
    }
}

/// Why an image is not one.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its content is not a complete image.
    #[error("checking the disk image from {url}")]
    Decode {
        /// Where it came from.
        url: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

/// Downloads the image unless it is cached, and decodes it once to its end.
pub async fn run(job: &Job) -> Result<Verified, Cause> {
    let Some(url) = &job.spec.image.url else {
        return Err(Cause::NoImageUrl);
    };
    let began = Instant::now();
    let progress = |done: u64, total: Option<u64>| {
        let rate = (done as f64 / began.elapsed().as_secs_f64().max(0.001)) as u64;
        job.limits.journal.progress("downloading", Progress { done, total, rate });
    };
    let fetch = async {
        job.places
            .cache
            .fetch(&job.places.factory, url, job.spec.image.sha256.as_deref(), &progress)
            .await
            .map_err(Cause::Cache)
    };
    let cached = bounded(&job.limits, fetch).await.map_err(Cause::ended)?;
    let path = cached.path.clone();
    let from = url.to_string();
    // Decoding is work for a processor, not for the reactor. A cancelled run leaves it to finish: it is short and has
    // no effects.
    let (image, head_sha256) = tokio::task::spawn_blocking(move || decode(&path, from))
        .await
        .map_err(|_| Cause::Stopped)?
        .map_err(Cause::Image)?;
    Ok(Verified { cached, image, head_sha256 })
}

fn decode(path: &Path, url: String) -> Result<(Image, Digest), ImageError> {
    let failed = |source| ImageError::Read { path: path.display().to_string(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut decoder = Decoder::new(DecodeOptions::new(LARGEST));
    let wrong = |source| ImageError::Decode { url: url.clone(), source };
    let mut head = vec![0; HEAD as usize];
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        chunk.truncate(read);
        decoder.push(Bytes::from(chunk));
        while let Some(event) = decoder.next_event().map_err(wrong)? {
            keep_head(&mut head, &event);
        }
    }
    decoder.end_of_input();
    while let Some(event) = decoder.next_event().map_err(wrong)? {
        keep_head(&mut head, &event);
    }
    Ok((decoder.finish().map_err(wrong)?, Digest::of(&head)))
}

/// No event crosses the end of the head.
fn keep_head(head: &mut [u8], event: &Event) {
    if let Event::Data { offset, bytes, .. } = event
        && let Ok(at) = usize::try_from(*offset)
        && let Some(place) = head.get_mut(at..at + bytes.len())
    {
        place.copy_from_slice(bytes);
    }
}
