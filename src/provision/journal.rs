//! What people watch in a second terminal: a file to which every run appends one JSON object a line. A provider cannot
//! print while it applies. Nothing secret is written: phases, byte counts, and the states that the logs tell as well.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::client::cache::linked_by_another;

/// A file larger than this is set aside before a new run writes to it.
const LARGEST: u64 = 4 << 20;

/// Progress is written this often, and logged this often.
const WRITTEN: Duration = Duration::from_millis(250);
const LOGGED: Duration = Duration::from_secs(5);

/// One line of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// Name of the node.
    pub node: String,
    /// Phase, such as `flash`.
    pub phase: String,
    /// What happened.
    pub event: Event,
    /// What is being done, or seen, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How far a phase is that can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A run began; all that was known of the node is history.
    #[default]
    Run,
    /// The phase began.
    Started,
    /// The phase is that far.
    Progress,
    /// The phase waits for something.
    Waiting,
    /// The phase was done before.
    Skipped,
    /// The phase is done.
    Done,
    /// The phase failed, and the run with it.
    Failed,
    /// The run is over, and went well.
    Finished,
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes to do, where that is known.
    pub total: Option<u64>,
    /// Bytes a second.
    pub rate: u64,
}

impl Progress {
    /// How much of it is done, from 0 to 100.
    pub fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((u128::from(self.done.min(total)) * 100 / u128::from(total)) as u64)
    }

    /// Seconds to go at this rate.
    pub fn eta(&self) -> Option<u64> {
        let left = self.total?.saturating_sub(self.done);
        (self.rate > 0).then(|| left / self.rate)
    }
}

/// A journal of one node's run; clones write to the same file. The default writes nothing.
#[derive(Clone, Debug, Default)]
pub struct Journal(Option<Arc<Book>>);

#[derive(Debug)]
struct Book {
    node: String,
    page: Mutex<Page>,
}

#[derive(Debug)]
struct Page {
    file: Option<File>,
    phase: String,
    written: Option<Instant>,
    logged: Option<Instant>,
}

impl Journal {
    /// The journal of a run on `node` at `place`; a place that cannot be written only means that nobody can watch.
    pub fn open(place: Option<&Path>, node: &str) -> Self {
        let file = place.and_then(|place| match open(place) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::debug!(place = %place.display(), %error, "the journal cannot be written");
                None
            }
        });
        let page = Page { file, phase: String::new(), written: None, logged: None };
        let journal = Self(Some(Arc::new(Book { node: node.to_owned(), page: Mutex::new(page) })));
        journal.write(Event::Run, "", None);
        journal
    }

    /// A phase begins.
    pub fn enter(&self, phase: &str) {
        if let Some(mut page) = self.page() {
            phase.clone_into(&mut page.phase);
            (page.written, page.logged) = (None, None);
        }
        self.write(Event::Started, "", None);
    }

    /// Something about the phase.
    pub fn note(&self, event: Event, note: &str) {
        self.write(event, note, None);
    }

    /// The phase is that far. Also a line in the log, from time to time.
    pub fn progress(&self, note: &str, progress: Progress) {
        let Some(mut page) = self.page() else { return };
        let end = progress.total == Some(progress.done);
        let due = |last: Option<Instant>, every: Duration| end || last.is_none_or(|at| at.elapsed() >= every);
        let (write, log) = (due(page.written, WRITTEN), due(page.logged, LOGGED));
        if write {
            page.written = Some(Instant::now());
        }
        if log {
            page.logged = Some(Instant::now());
            tracing::info!(
                phase = page.phase,
                part = note,
                percent = progress.percent(),
                mb_per_second = progress.rate / 1_000_000,
                eta_seconds = progress.eta(),
                "progress"
            );
        }
        drop(page);
        if write {
            self.write(Event::Progress, note, Some(progress));
        }
    }

    fn write(&self, event: Event, note: &str, progress: Option<Progress>) {
        let (Some(book), Some(mut page)) = (&self.0, self.page()) else { return };
        let line = Line {
            at: (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64,
            node: book.node.clone(),
            phase: page.phase.clone(),
            event,
            note: note.to_owned(),
            progress,
        };
        let Some(file) = &mut page.file else { return };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            // One write to a file opened for appending: lines of several providers do not mix. A full disk must not
            // stop a flash.
            let _ = file.write_all(text.as_bytes());
        }
    }

    fn page(&self) -> Option<MutexGuard<'_, Page>> {
        self.0.as_ref().map(|book| book.page.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn open(place: &Path) -> std::io::Result<File> {
    if let Some(folder) = place.parent() {
        // It may be the cache directory, in which lies what is flashed: whoever makes it, makes it for this user alone.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Below the temporary directory another user may have put one there, to have his file written to.
    if let Ok(Some(_)) = linked_by_another(place) {
        return Err(std::io::Error::other("it is a symbolic link that another user has made"));
    }
    if fs::metadata(place).is_ok_and(|found| found.len() > LARGEST) {
        fs::rename(place, place.with_extension("old"))?;
    }
    OpenOptions::new().append(true).create(true).open(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_can_be_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("deeper/journal.jsonl");
        let journal = Journal::open(Some(&place), "cloudbox2");
        journal.enter("flash");
        journal.progress("writing", Progress { done: 50, total: Some(200), rate: 25 });
        journal.progress("writing", Progress { done: 51, total: Some(200), rate: 25 });
        journal.note(Event::Done, "200 MiB");
        let text = fs::read_to_string(&place).expect("a journal");
        let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let events: Vec<_> = lines.iter().map(|line| line.event).collect();
        assert_eq!(
            events,
            [Event::Run, Event::Started, Event::Progress, Event::Done],
            "too much progress, or too little"
        );
        assert_eq!(lines[2].progress.and_then(|progress| progress.percent()), Some(25));
        assert_eq!(lines[2].progress.and_then(|progress| progress.eta()), Some(6));
        assert_eq!((lines[3].phase.as_str(), lines[3].node.as_str()), ("flash", "cloudbox2"));
    }

    #[test]
    fn the_folder_of_a_journal_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        Journal::open(Some(&cache.join("journal.jsonl")), "a");
        assert_eq!(fs::metadata(cache).expect("it was made").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_of_another_user_is_not_followed() {
        if crate::client::cache::user() != 0 {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (place, precious) = (folder.path().join("journal.jsonl"), folder.path().join("precious"));
        fs::write(&precious, "").expect("a file");
        std::os::unix::fs::symlink(&precious, &place).expect("a link");
        std::os::unix::fs::lchown(&place, Some(4242), None).expect("given away");
        Journal::open(Some(&place), "a").enter("flash");
        assert_eq!(fs::read_to_string(&precious).expect("it is there"), "");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_no_failure() {
        Journal::open(Some(Path::new("/proc/nowhere/journal")), "a").enter("flash");
        Journal::default().enter("flash");
    }
}
