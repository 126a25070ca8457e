//! A bar per node on a terminal.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::watch::board::{Board, Row, State};

/// Bars on stdout's terminal.
pub struct Bars {
    all: MultiProgress,
    /// Shown until there is a node.
    idle: Option<ProgressBar>,
    bars: BTreeMap<String, ProgressBar>,
    names: usize,
}

impl Bars {
    /// No node yet.
    pub fn new(place: &Path) -> Self {
        let all = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout());
        let idle = all.add(ProgressBar::new_spinner());
        idle.set_message(format!("waiting for a run to be told in {}", place.display()));
        idle.enable_steady_tick(Duration::from_millis(200));
        Self { all, idle: Some(idle), bars: BTreeMap::new(), names: 8 }
    }

    /// Draws the board.
    pub fn draw(&mut self, board: &Board) {
        self.names = board.rows().map(|row| row.node.len()).fold(self.names, usize::max);
        for row in board.rows() {
            if let Some(idle) = self.idle.take() {
                idle.finish_and_clear();
            }
            let bar = self.bars.entry(row.node.clone()).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new(100));
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            });
            bar.set_style(style(row));
            bar.set_prefix(format!("{:<width$}", row.node, width = self.names));
            bar.set_position(row.progress.and_then(|progress| progress.percent()).unwrap_or(match row.state {
                State::Finished => 100,
                State::Running | State::Failed => 0,
            }));
            bar.set_message(row.message());
        }
    }
}

fn style(row: &Row) -> ProgressStyle {
    let template = match (row.state, row.progress.and_then(|progress| progress.percent())) {
        (State::Failed, _) => "✗ {prefix} {wide_msg:.red}",
        (State::Finished, _) => "✓ {prefix} {wide_msg:.green}",
        (State::Running, Some(_)) => "{spinner} {prefix} [{bar:24.cyan}] {wide_msg}",
        (State::Running, None) => "{spinner} {prefix} {wide_msg}",
    };
    // The templates are constants; a wrong one would show the plain style.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
