//! Nodes and how far they are: the lines of a journal folded.

use std::collections::BTreeMap;

use crate::provision::journal::{Event, Line, Progress};

/// All nodes that were heard of.
#[derive(Clone, Debug, Default)]
pub struct Board(BTreeMap<String, Row>);

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub node: String,
    /// Milliseconds since the epoch when its run began.
    pub began: i64,
    /// The same of its last line.
    pub last: i64,
    /// Phases that are done.
    pub done: Vec<String>,
    /// The phase it is in.
    pub phase: String,
    /// How far that is.
    pub progress: Option<Progress>,
    /// What it does or waits for.
    pub note: String,
    /// How the run stands.
    pub state: State,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    #[default]
    Running,
    /// It went well.
    Finished,
    /// It failed.
    Failed,
}

impl Board {
    /// Takes a line in.
    pub fn take(&mut self, line: &Line) {
        let row = self.0.entry(line.node.clone()).or_default();
        if line.event == Event::Run {
            *row = Row { node: line.node.clone(), began: line.at, ..Row::default() };
        }
        row.last = line.at;
        match line.event {
            Event::Run => {}
            Event::Started => (row.phase, row.progress, row.note) = (line.phase.clone(), None, String::new()),
            Event::Progress | Event::Waiting => {
                row.note.clone_from(&line.note);
                row.progress = line.progress;
            }
            Event::Skipped | Event::Done => {
                row.done.push(line.phase.clone());
                row.note.clone_from(&line.note);
                row.progress = None;
            }
            Event::Failed => (row.state, row.note) = (State::Failed, line.note.clone()),
            Event::Finished => row.state = State::Finished,
        }
    }

    /// Forgets nodes of which nothing was heard since.
    pub fn forget_before(&mut self, at: i64) {
        self.0.retain(|_, row| row.last >= at);
    }

    /// All nodes by name.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.values()
    }
}

impl Row {
    /// The row as a line of text: `cloudbox2  flash 45%, 120 MB/s, 12s left: writing`.
    pub fn describe(&self) -> String {
        format!("{:<16} {}", self.node, self.message())
    }

    /// The same without the name.
    pub fn message(&self) -> String {
        let seconds = (self.last - self.began).max(0) / 1000;
        match self.state {
            State::Finished => return format!("done in {}", clock(seconds.unsigned_abs())),
            State::Failed => {
                return format!("{} FAILED after {}: {}", self.phase, clock(seconds.unsigned_abs()), self.note);
            }
            State::Running => {}
        }
        let mut text = self.phase.clone();
        if let Some(progress) = self.progress {
            if let Some(percent) = progress.percent() {
                text.push_str(&format!(" {percent}%"));
            }
            text.push_str(&format!(", {} MB/s", progress.rate / 1_000_000));
            if let Some(eta) = progress.eta() {
                text.push_str(&format!(", {} left", clock(eta)));
            }
        }
        if !self.note.is_empty() {
            text.push_str(": ");
            text.push_str(&self.note);
        }
        text
    }
}

/// `42s`, `3m12s`.
fn clock(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{:02}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: i64, phase: &str, event: Event, note: &str) -> Line {
        Line { at, node: "cloudbox2".into(), phase: phase.into(), event, note: note.into(), progress: None }
    }

    fn told(lines: &[Line]) -> String {
        let mut board = Board::default();
        lines.iter().for_each(|line| board.take(line));
        board
            .rows()
            .map(|row| row.describe().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_last_line_of_a_node_tells_where_it_is() {
        let run = [line(0, "", Event::Run, ""), line(1000, "flash", Event::Started, "")];
        assert_eq!(told(&run), "cloudbox2 flash");
        let progress = Some(Progress { done: 50_000_000, total: Some(200_000_000), rate: 10_000_000 });
        let mut lines = run.to_vec();
        lines.push(Line { progress, ..line(2000, "flash", Event::Progress, "writing") });
        assert_eq!(told(&lines), "cloudbox2 flash 25%, 10 MB/s, 15s left: writing");
        lines.push(line(3000, "flash", Event::Done, "200 MiB"));
        lines.push(line(3000, "boot", Event::Started, ""));
        lines.push(line(4000, "boot", Event::Waiting, "waiting for the machine: refused"));
        assert_eq!(told(&lines), "cloudbox2 boot: waiting for the machine: refused");
        let mut failed = lines.clone();
        failed.push(line(65_000, "boot", Event::Failed, "nothing happened"));
        assert_eq!(told(&failed), "cloudbox2 boot FAILED after 1m05s: nothing happened");
        lines.push(line(192_000, "join", Event::Finished, ""));
        assert_eq!(told(&lines), "cloudbox2 done in 3m12s");
        lines.push(line(200_000, "", Event::Run, ""));
        lines.push(line(200_000, "upgrade", Event::Started, ""));
        assert_eq!(told(&lines), "cloudbox2 upgrade", "a new run starts anew");
    }

    #[test]
    fn old_runs_are_forgotten() {
        let mut board = Board::default();
        board.take(&line(1000, "", Event::Run, ""));
        board.forget_before(2000);
        assert_eq!(board.rows().count(), 0);
    }
}
