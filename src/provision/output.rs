//! A disk image as a file at a place of the user's choice, for other tools.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::client::cache::{CacheError, CachedImage, PreparedImage, Wanted};
use crate::client::file::{self, Content, FileError};
use crate::disk_image::Archive;
use crate::provision::Places;
use crate::provision::image::Told;
use crate::provision::journal::{self, Journal};
use crate::talos::oracle_archive::METADATA_NAME;

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct Output {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub form: Form,
}

/// What is in an output.
#[derive(Clone, Debug)]
pub enum Form {
    /// The compressed image as it was downloaded.
    Compressed,
    /// What Oracle Cloud imports as a custom image.
    Archive {
        /// Name of the disk in it.
        disk: String,
        /// The description in it.
        metadata: String,
    },
}

/// Why an output was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The image could not be brought here.
    #[error("preparing the disk image")]
    Cache(#[source] CacheError),
    /// The file could not be written.
    #[error("writing the output")]
    File(#[source] FileError),
    /// Terraform was told to stop.
    #[error("stopped on request")]
    Stopped,
}

impl OutputError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Cache(error) => error.hints(),
            Self::File(error) => error.hints(),
            Self::Stopped => Vec::new(),
        }
    }
}

/// Writes the image at `url` as a file; nothing is at the path before everything is. The image is downloaded and decoded once
/// for this and for all nodes.
///
/// # Errors
/// When there is no such image, or it cannot be written.
pub async fn write(
    places: &Places,
    wanted: Wanted<'_>,
    output: Output,
    journal: &Journal,
    stop: &CancellationToken,
) -> Result<Content, OutputError> {
    journal.enter("output");
    let told = Told::new(journal);
    let work = async {
        let source = Source::get(places, wanted, output.form, &told).await.map_err(OutputError::Cache)?;
        let (path, stop) = (output.path, stop.child_token());
        let _stopped_with_us = stop.clone().drop_guard();
        let told = Told::new(journal);
        tokio::task::spawn_blocking(move || source.write(&path, &told, &stop))
            .await
            .map_err(|_| OutputError::Stopped)?
            .map_err(OutputError::File)
    };
    let written = tokio::select! {
        biased;
        () = stop.cancelled() => Err(OutputError::Stopped),
        written = work => written,
    };
    match &written {
        Ok(content) => {
            journal.note(journal::Event::Done, &format!("{} MiB", content.size >> 20));
            journal.note(journal::Event::Finished, "");
        }
        Err(error) => journal.note(journal::Event::Failed, &super::error::chain(error)),
    }
    written
}

/// What an output is made of.
enum Source {
    Compressed(CachedImage),
    Archive { image: PreparedImage, disk: String, metadata: String },
}

impl Source {
    /// In both forms the image was decoded to its end: what is given to other tools is a whole image.
    async fn get(places: &Places, wanted: Wanted<'_>, form: Form, told: &Told) -> Result<Self, CacheError> {
        let tell = |fetching| told.tell(fetching);
        match form {
            Form::Archive { disk, metadata } => {
                let image = places.cache.prepare(wanted, &tell).await?;
                Ok(Self::Archive { image, disk, metadata })
            }
            Form::Compressed => {
                let cached = places.cache.fetch(wanted, &tell).await?;
                // A Factory may build an image anew: the one that was fetched is the one that is checked.
                places.cache.prepare(Wanted { pinned: Some(&cached.sha256), ..wanted }, &tell).await?;
                Ok(Self::Compressed(cached))
            }
        }
    }

    fn write(&self, path: &Path, told: &Told, stop: &CancellationToken) -> Result<Content, FileError> {
        match self {
            Self::Compressed(image) => file::write(path, Some(&image.sha256), |out| copy(image, out, told, stop)),
            Self::Archive { image, disk, metadata } => {
                let archive = Archive { disk, description: METADATA_NAME, text: metadata };
                file::write(path, None, |out| archive.write(out, image.image(), data(image, told, stop)).map(drop))
            }
        }
    }
}

/// The data of all extents.
fn data<'a>(
    image: &'a PreparedImage,
    told: &'a Told,
    stop: &'a CancellationToken,
) -> impl Iterator<Item = io::Result<Bytes>> + 'a {
    let total = image.image().data_size();
    let mut done = 0;
    image.image().slots().map(move |slot| {
        go_on(stop)?;
        let bytes = image.read(slot).map_err(io::Error::other)?;
        done += bytes.len() as u64;
        told.progress("writing", done, Some(total));
        Ok(bytes)
    })
}

fn copy(image: &CachedImage, out: &mut dyn Write, told: &Told, stop: &CancellationToken) -> io::Result<()> {
    let mut file = File::open(&image.path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        go_on(stop)?;
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..read])?;
        done += read as u64;
        told.progress("writing", done, Some(image.size));
    }
}

fn go_on(stop: &CancellationToken) -> io::Result<()> {
    if stop.is_cancelled() { Err(io::Error::other("stopped on request")) } else { Ok(()) }
}
