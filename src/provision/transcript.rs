//! What each phase did and how long it took: told in logs while it happens, and in the diagnostic when it fails.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::provision::journal::{Event, Journal};
use crate::provision::phase::Phase;

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not reached.
    NotRun,
    /// Observed to be done before.
    Skipped,
    /// Done in this run.
    Done,
    /// Failed in this run.
    Failed,
}

#[derive(Clone, Debug)]
struct Entry {
    phase: Phase,
    outcome: Outcome,
    took: Duration,
    note: String,
}

/// The phases of one run, in order.
#[derive(Clone, Debug)]
pub struct Transcript {
    entries: Vec<Entry>,
    started: Instant,
    journal: Journal,
}

impl Transcript {
    /// A transcript in which nothing has run yet.
    pub fn of(phases: &[Phase]) -> Self {
        let entries = phases
            .iter()
            .map(|phase| Entry { phase: *phase, outcome: Outcome::NotRun, took: Duration::ZERO, note: String::new() })
            .collect();
        Self { entries, started: Instant::now(), journal: Journal::default() }
    }

    /// The same, told to a journal while it happens.
    #[must_use]
    pub fn told_to(mut self, journal: &Journal) -> Self {
        self.journal = journal.clone();
        self
    }

    /// Notes the start of a phase.
    pub fn start(&mut self, phase: Phase) {
        self.started = Instant::now();
        self.journal.enter(phase.name());
        tracing::info!(%phase, "phase started");
    }

    /// Notes the end of a phase.
    pub fn end(&mut self, phase: Phase, outcome: Outcome, note: impl Into<String>) {
        let took = if outcome == Outcome::Skipped { Duration::ZERO } else { self.started.elapsed() };
        let note = note.into();
        tracing::info!(%phase, ?outcome, seconds = took.as_secs_f64(), %note, "phase ended");
        let event = match outcome {
            Outcome::Failed => Event::Failed,
            Outcome::Skipped => Event::Skipped,
            Outcome::Done | Outcome::NotRun => Event::Done,
        };
        self.journal.note(event, &note);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.phase == phase) {
            *entry = Entry { phase, outcome, took, note };
        }
    }

    /// Adds phases that turned out to be needed, before the last one.
    pub fn insert_before_join(&mut self, phases: &[Phase]) {
        let join = self.entries.len().saturating_sub(1);
        let added = phases.iter().map(|phase| Entry {
            phase: *phase,
            outcome: Outcome::NotRun,
            took: Duration::ZERO,
            note: String::new(),
        });
        self.entries.splice(join..join, added);
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            let name = entry.phase.to_string();
            match entry.outcome {
                Outcome::NotRun => writeln!(f, "  {name:<10} -")?,
                Outcome::Skipped => writeln!(f, "  {name:<10} skipped         {}", entry.note)?,
                Outcome::Done => writeln!(f, "  {name:<10} done   {:>7}  {}", seconds(entry.took), entry.note)?,
                Outcome::Failed => writeln!(f, "  {name:<10} FAILED {:>7}  {}", seconds(entry.took), entry.note)?,
            }
        }
        Ok(())
    }
}

/// `4.2s`, `3m12s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 60 { format!("{:.1}s", duration.as_secs_f64()) } else { format!("{}m{:02}s", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_to_read() {
        assert_eq!(seconds(Duration::from_millis(4210)), "4.2s");
        assert_eq!(seconds(Duration::from_secs(192)), "3m12s");
    }

    #[tokio::test]
    async fn a_phase_that_was_not_reached_shows_a_dash() {
        let mut transcript = Transcript::of(&[Phase::Image, Phase::Flash]);
        transcript.start(Phase::Image);
        transcript.end(Phase::Image, Outcome::Failed, "404");
        let text = transcript.to_string();
        assert!(text.contains("image      FAILED"), "{text}");
        assert!(text.contains("flash      -"), "{text}");
    }
}
