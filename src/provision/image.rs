//! Phase image: the disk image is here, decoded to its end and verified, before the machine is touched.

use std::sync::Mutex;
use std::time::Instant;

use crate::client::cache::{Fetching, PreparedImage, Wanted};
use crate::provision::Job;
use crate::provision::error::Cause;
use crate::provision::journal::{Event, Journal, Progress};
use crate::provision::wait::bounded;

/// Takes the prepared image from the cache, which downloads and decodes it once for all nodes and runs.
pub(super) async fn run(job: &Job) -> Result<PreparedImage, Cause> {
    let Some(url) = &job.spec.image.url else {
        return Err(Cause::NoImageUrl);
    };
    let wanted = Wanted { factory: &job.places.factory, url, pinned: job.spec.image.sha256.as_deref() };
    let told = Told::new(&job.limits.journal);
    let tell = |fetching| told.tell(fetching);
    let prepare = async { job.places.cache.prepare(wanted, &tell).await.map_err(Cause::Cache) };
    bounded(&job.limits, prepare).await.map_err(Cause::ended)
}

/// For the transcript.
pub(super) fn note(prepared: &PreparedImage) -> String {
    let image = prepared.image();
    let sha256 = image.compressed_sha256.to_string();
    let (compressed, data, raw) = (image.compressed_size >> 20, image.data_size() >> 20, image.raw_size >> 20);
    format!("{compressed} MiB compressed, {data} MiB of data in {raw} MiB, sha256 {}", &sha256[..12])
}

/// Tells the journal what the cache does, with rates.
#[derive(Debug)]
pub(super) struct Told {
    journal: Journal,
    /// What is done at the moment, and since when.
    part: Mutex<(&'static str, Instant)>,
}

impl Told {
    /// Nothing is done yet.
    pub(super) fn new(journal: &Journal) -> Self {
        Self { journal: journal.clone(), part: Mutex::new(("", Instant::now())) }
    }

    /// Passes on what the cache says.
    pub(super) fn tell(&self, fetching: Fetching) {
        match fetching {
            Fetching::Waiting => {
                let note = "waiting for another node or run that fetches the same image";
                tracing::info!("{note}");
                self.journal.note(Event::Waiting, note);
            }
            Fetching::Downloading { done, total } => self.progress("downloading", done, total),
            Fetching::Preparing { done, total } => self.progress("preparing", done, Some(total)),
        }
    }

    /// That many bytes of a part are done.
    pub(super) fn progress(&self, name: &'static str, done: u64, total: Option<u64>) {
        let began = {
            let mut part = self.part.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if part.0 != name {
                *part = (name, Instant::now());
            }
            part.1
        };
        let rate = (done as f64 / began.elapsed().as_secs_f64().max(0.001)) as u64;
        self.journal.progress(name, Progress { done, total, rate });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::journal::Line;

    #[test]
    fn who_watches_sees_what_is_waited_for_and_how_far_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("journal.jsonl");
        let journal = Journal::open(Some(&place), "cloudbox2");
        journal.enter("image");
        let told = Told::new(&journal);
        told.tell(Fetching::Waiting);
        told.tell(Fetching::Preparing { done: 7, total: 7 });
        let text = std::fs::read_to_string(&place).unwrap();
        let lines: Vec<Line> = text.lines().skip(2).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0].event, lines[0].phase.as_str()), (Event::Waiting, "image"));
        assert!(lines[0].note.contains("the same image"), "{text}");
        assert_eq!((lines[1].event, lines[1].note.as_str()), (Event::Progress, "preparing"));
        assert_eq!(lines[1].progress.map(|progress| (progress.done, progress.total)), Some((7, Some(7))));
    }
}
