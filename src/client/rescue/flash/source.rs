//! Where the image comes from, and its decoding beside everything else.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Cause;
use super::reading::Reading;
use crate::client::cache::PreparedImage;
use crate::client::factory::Download;
use crate::disk_image::{DecodeError, DecodeOptions, Decoder, Event, Image};

/// Any error of a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An image: compressed (`.raw.xz`, `.raw.zst` or `.raw`) as a stream of bytes, or prepared.
pub struct ImageSource(Source);

enum Source {
    Stream(Compressed),
    Prepared(PreparedImage),
}

struct Compressed {
    size: Option<u64>,
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>,
}

impl ImageSource {
    /// Any stream; `size` is that of the compressed image in bytes, when it is known.
    pub fn new(size: Option<u64>, chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Self {
        Self(Source::Stream(Compressed { size, chunks: Box::pin(chunks) }))
    }

    /// From an Image Factory.
    pub fn download(download: Download) -> Self {
        Self::new(download.size(), download.into_stream().map(|chunk| chunk.map_err(BoxError::from)))
    }

    /// One that was decoded before: nothing is left to be done but to read it.
    pub fn prepared(image: PreparedImage) -> Self {
        Self(Source::Prepared(image))
    }
}

/// The events of an image, in order. Dropping it stops what is behind it.
pub(super) enum Decoding {
    /// Decoded as they are asked for.
    Stream(Box<Streaming>),
    /// Decoded before.
    Prepared(Reading),
}

impl Decoding {
    pub(super) fn start(source: ImageSource, max_raw_size: u64) -> Self {
        match source.0 {
            Source::Stream(compressed) => Self::Stream(Box::new(Streaming::start(compressed, max_raw_size))),
            Source::Prepared(image) => Self::Prepared(Reading::new(image)),
        }
    }

    /// The next event, or `None` when the image is complete. A caller that drops the call may ask again.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Cause> {
        match self {
            Self::Stream(streaming) => streaming.next().await,
            Self::Prepared(reading) => reading.next().await,
        }
    }

    /// What the image is, where that is known before its end.
    pub(super) fn known(&self) -> Option<&Image> {
        match self {
            Self::Stream(_) => None,
            Self::Prepared(reading) => Some(reading.whole()),
        }
    }

    /// What the image was, once [`Decoding::next`] has returned `None`.
    pub(super) fn image(&mut self) -> Option<Image> {
        match self {
            Self::Stream(streaming) => streaming.image.take(),
            Self::Prepared(reading) => reading.image(),
        }
    }

    /// Data in bytes when all is handed out, of which `sent` bytes were.
    pub(super) fn estimate(&self, sent: u64) -> Option<u64> {
        match self {
            Self::Stream(streaming) => streaming.estimate(sent),
            Self::Prepared(reading) => Some(sent + reading.left()),
        }
    }
}

/// A running decoder.
pub(super) struct Streaming {
    compressed_size: Option<u64>,
    events: mpsc::Receiver<Event>,
    consumed: Arc<AtomicU64>,
    feeder: Option<AbortOnDropHandle<Result<(), BoxError>>>,
    decoder: Option<tokio::task::JoinHandle<Result<Option<Image>, DecodeError>>>,
    image: Option<Image>,
}

impl Streaming {
    fn start(source: Compressed, max_raw_size: u64) -> Self {
        let (chunk_sender, chunks) = mpsc::channel(QUEUED_CHUNKS);
        let (event_sender, events) = mpsc::channel(QUEUED_EVENTS);
        let consumed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&consumed);
        let options = DecodeOptions { max_extent: MAX_EXTENT, ..DecodeOptions::new(max_raw_size) };
        Self {
            compressed_size: source.size,
            feeder: Some(AbortOnDropHandle::new(tokio::spawn(feed(source, chunk_sender)))),
            decoder: Some(tokio::task::spawn_blocking(move || decode(options, chunks, &event_sender, &counter))),
            events,
            consumed,
            image: None,
        }
    }

    async fn next(&mut self) -> Result<Option<Event>, Cause> {
        if let Some(event) = self.events.recv().await {
            return Ok(Some(event));
        }
        if let Some(decoder) = &mut self.decoder {
            // By reference: a caller that drops this call may ask again.
            let decoded = decoder.await.map_err(|_| Cause::Internal("the decoder stopped"))?;
            self.decoder = None;
            let image = decoded.map_err(|error| Cause::Decode(Box::new(error)))?;
            if image.is_none() {
                return Err(self.source_error().await);
            }
            self.image = image;
        }
        Ok(None)
    }

    /// Data of the whole image, if what is left is packed as densely as what has come.
    fn estimate(&self, sent: u64) -> Option<u64> {
        let consumed = self.consumed.load(Ordering::Relaxed);
        let total = self.compressed_size.filter(|_| consumed > 0)?;
        u64::try_from(u128::from(sent) * u128::from(total) / u128::from(consumed)).ok()
    }

    async fn source_error(&mut self) -> Cause {
        match self.feeder.take() {
            Some(feeder) => match feeder.await {
                Ok(Err(error)) => Cause::Source(error),
                _ => Cause::Internal("the image stopped"),
            },
            None => Cause::Internal("the image stopped"),
        }
    }
}

enum Chunk {
    Data(Bytes),
    End,
}

/// Passes chunks on, and the end only when it is the true end.
async fn feed(mut source: Compressed, chunks: mpsc::Sender<Chunk>) -> Result<(), BoxError> {
    while let Some(chunk) = source.chunks.next().await {
        let mut chunk = chunk?;
        while !chunk.is_empty() {
            let part = chunk.split_to(chunk.len().min(MAX_CHUNK));
            if chunks.send(Chunk::Data(part)).await.is_err() {
                return Ok(());
            }
        }
    }
    // A decoder that has already failed does not listen any more.
    let _ = chunks.send(Chunk::End).await;
    Ok(())
}

/// Decodes to the end; `None` when the source, or whoever wants the events, went away.
fn decode(
    options: DecodeOptions,
    mut chunks: mpsc::Receiver<Chunk>,
    events: &mpsc::Sender<Event>,
    consumed: &AtomicU64,
) -> Result<Option<Image>, DecodeError> {
    let mut decoder = Decoder::new(options);
    loop {
        let end = match chunks.blocking_recv() {
            None => return Ok(None),
            Some(Chunk::Data(bytes)) => {
                consumed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                decoder.push(bytes);
                false
            }
            Some(Chunk::End) => {
                decoder.end_of_input();
                true
            }
        };
        while let Some(event) = decoder.next_event()? {
            if events.blocking_send(event).is_err() {
                return Ok(None);
            }
        }
        if end {
            return decoder.finish().map(Some);
        }
    }
}

/// Largest piece of data handed to the remote side at once, in bytes.
const MAX_EXTENT: usize = 1 << 20;

const MAX_CHUNK: usize = 256 << 10;
const QUEUED_CHUNKS: usize = 8;
const QUEUED_EVENTS: usize = 2;
