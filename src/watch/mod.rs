//! `terraform-provider-talosoci watch`: live progress bars of running applies, in a second terminal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::provider::settings::{default_cache_dir, journal_place};
use crate::provision::journal::Line;

/// Nodes and how far they are.
pub mod board;

mod bars;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(150);

const USAGE: &str = "usage: terraform-provider-talosoci watch [--once] [--all] [JOURNAL]

Draws what running applies are doing. JOURNAL is the file that the provider writes: by default the one that
TALOSOCI_JOURNAL names, else journal.jsonl in the user's cache directory for this provider.
  --once  print the present state and end
  --all   show runs of long ago as well";

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    once: bool,
    all: bool,
    journal: Option<PathBuf>,
}

/// The subcommand; `arguments` are those after `watch`.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let Some(options) = Options::read(arguments) else {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::FAILURE;
    };
    let Some(place) = options.journal.clone().or_else(|| journal_place(&default_cache_dir())) else {
        let _ = writeln!(io::stderr(), "TALOSOCI_JOURNAL is off: there is nothing to watch");
        return ExitCode::FAILURE;
    };
    match watch(&options, &place) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "reading {}: {error}", place.display());
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--once" => options.once = true,
                "--all" => options.all = true,
                flag if flag.starts_with('-') => return None,
                place if options.journal.is_none() => options.journal = Some(place.into()),
                _ => return None,
            }
        }
        Some(options)
    }
}

fn watch(options: &Options, place: &std::path::Path) -> io::Result<()> {
    let mut tail = Tail::new(place.to_owned());
    let mut board = board::Board::default();
    tail.read()?.iter().for_each(|line| board.take(line));
    if !options.all {
        let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1000;
        board.forget_before(now - 60 * 60 * 1000);
    }
    if options.once {
        return board.rows().try_for_each(|row| writeln!(io::stdout(), "{}", row.describe()));
    }
    if !io::stdout().is_terminal() {
        return plain(&mut tail, &mut board);
    }
    let mut bars = bars::Bars::new(place);
    loop {
        bars.draw(&board);
        std::thread::sleep(INTERVAL);
        tail.read()?.iter().for_each(|line| board.take(line));
    }
}

/// For pipes: a line for every change of a node.
fn plain(tail: &mut Tail, board: &mut board::Board) -> io::Result<()> {
    loop {
        for line in tail.read()? {
            board.take(&line);
            if let Some(row) = board.rows().find(|row| row.node == line.node) {
                writeln!(io::stdout(), "{}", row.describe())?;
            }
        }
        std::thread::sleep(INTERVAL);
    }
}

/// The end of a file that grows, and that may not be there yet or be set aside for a new one.
struct Tail {
    place: PathBuf,
    read: u64,
    half: String,
}

impl Tail {
    fn new(place: PathBuf) -> Self {
        Self { place, read: 0, half: String::new() }
    }

    /// All lines since the last time; what is no line of a journal is skipped.
    fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut file = match File::open(&self.place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.read {
            (self.read, self.half) = (0, String::new());
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut reader = BufReader::new(file);
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let count = reader.read_until(b'\n', &mut bytes)?;
            if count == 0 {
                return Ok(lines);
            }
            self.read += count as u64;
            self.half.push_str(&String::from_utf8_lossy(&bytes));
            if self.half.ends_with('\n') {
                lines.extend(serde_json::from_str(self.half.trim()).ok());
                self.half.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let read = |words: &[&str]| Options::read(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(read(&[]), Some(Options::default()));
        assert_eq!(read(&["--once", "x"]), Some(Options { once: true, all: false, journal: Some("x".into()) }));
        assert_eq!(read(&["--nonsense"]), None);
        assert_eq!(read(&["x", "y"]), None);
    }

    #[test]
    fn a_tail_sees_each_line_once_also_when_it_came_in_halves() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("journal");
        let mut tail = Tail::new(place.clone());
        assert!(tail.read().expect("no file is no error").is_empty());
        let line = serde_json::to_string(&Line { node: "a".into(), ..Line::default() }).expect("JSON");
        let (first, second) = line.split_at(10);
        std::fs::write(&place, format!("{line}\nnonsense\n{first}")).expect("a file");
        assert_eq!(tail.read().expect("a file").len(), 1);
        std::fs::write(&place, format!("{line}\nnonsense\n{first}{second}\n")).expect("a file");
        assert_eq!(tail.read().expect("a file").len(), 1);
        assert!(tail.read().expect("a file").is_empty());
        std::fs::write(&place, format!("{line}\n")).expect("a new file");
        assert_eq!(tail.read().expect("a file").len(), 1);
    }
}
