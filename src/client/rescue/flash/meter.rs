//! Counts bytes, and tells the caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{OnProgress, Phase, Progress};

/// Counts, and tells the caller a few times a second.
pub(super) struct Meter<'a> {
    tell: OnProgress<'a>,
    state: Mutex<State>,
    /// Wiping comes before all writing.
    wiped: AtomicBool,
}

struct State {
    phase: Phase,
    done: u64,
    total: Option<u64>,
    began: Instant,
    told: Option<Instant>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: OnProgress<'a>) -> Self {
        let now = Instant::now();
        Self {
            tell,
            state: Mutex::new(State { phase: Phase::Prepare, done: 0, total: None, began: now, told: None }),
            wiped: AtomicBool::new(false),
        }
    }

    /// Whether anything was written.
    pub(super) fn wiped(&self) -> bool {
        self.wiped.load(Ordering::Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        self.change(|state| state.phase)
    }

    pub(super) fn begin(&self, phase: Phase, total: Option<u64>) {
        let now = Instant::now();
        self.wiped.fetch_or(phase == Phase::Wipe, Ordering::Relaxed);
        let shown = self.change(|state| {
            *state = State { phase, done: 0, total, began: now, told: None };
            state.shown(now)
        });
        (self.tell)(shown);
    }

    pub(super) fn add(&self, bytes: u64) {
        let now = Instant::now();
        let shown = self.change(|state| {
            state.done += bytes;
            let due = state.total == Some(state.done) || state.told.is_none_or(|told| now - told >= TELL_EVERY);
            due.then(|| {
                state.told = Some(now);
                state.shown(now)
            })
        });
        if let Some(shown) = shown {
            (self.tell)(shown);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn shown(&self, now: Instant) -> Progress {
        let seconds = (now - self.began).as_secs_f64();
        let rate = if seconds > 0.0 { (self.done as f64 / seconds) as u64 } else { 0 };
        Progress { phase: self.phase, done: self.done, total: self.total, rate }
    }
}

const TELL_EVERY: Duration = Duration::from_millis(250);
