//! The system that is overwritten, until it goes on alone: what is staged in its RAM, and how that is started or given up.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::content::{copies, head, whole};
use super::super::disk::{AT_ONCE, HASHED_AT_ONCE};
use super::super::remote::{Remote, Start, again};
use super::super::wire::{Command, Job, cut};
use super::super::{Cause, Phase, Run, SCRIPT, SECTOR, zero};
use super::Levers;
use crate::client::cache::PreparedImage;
use crate::client::rescue::probe::Needs;
use crate::client::rescue::session::{Session, SessionError, compact, quote};
use crate::disk_image::{self, Digest, Extent, HEAD, Image, ZeroMode};

/// A system with room for an image.
pub(super) struct Place<'a> {
    run: &'a Run<'a>,
    levers: &'a Levers,
    needs: Needs,
    /// Marks the stage as that of this run: another may begin to stage at any time, and takes it over.
    pub(super) owner: String,
    /// The connection that took the place of a broken one.
    replacement: Option<Session>,
}

/// What is asked of the system in one go. It bears to be asked twice.
#[derive(Clone, Copy)]
enum Errand<'a> {
    /// Run a script that answers with a word.
    Say { script: &'a str, word: &'a str },
    /// Put a text into a file of the stage.
    Put { name: &'a str, text: &'a str },
}

impl<'a> Place<'a> {
    pub(super) fn new(run: &'a Run<'a>, levers: &'a Levers, needs: Needs) -> Self {
        Self { run, levers, needs, owner: uuid::Uuid::new_v4().simple().to_string(), replacement: None }
    }

    /// The connection that works, as far as is known.
    pub(super) fn session(&self) -> &Session {
        self.replacement.as_ref().unwrap_or(self.run.session)
    }

    /// Brings everything into RAM.
    pub(super) async fn prepare(&mut self, image: &PreparedImage) -> Result<u64, Cause> {
        let (run, size) = (self.run, self.disk_size());
        let head = head(image).await?;
        run.check(image.image(), &head)?;
        self.furnish().await?;

        let mut remote = Remote::start(self.session(), self.writer()).await?;
        let runs = image.image().runs(HEAD, AT_ONCE);
        let total = runs.iter().map(disk_image::Run::size).sum();
        run.meter.begin(Phase::Stage, Some(total));
        let head_sha256 = Digest::of(&head);
        remote.write(0, head.into()).await?;
        remote.run(copies(image, runs), Some(run.meter)).await?;

        let mut data = Vec::new();
        for run in image.image().runs(HEAD, HASHED_AT_ONCE) {
            data.push(whole(image, &run).await?);
        }
        let head = Extent { offset: 0, len: HEAD, sha256: head_sha256 };
        let staged: Vec<Job> = data.iter().chain([&head]).map(|extent| Job::Verify(*extent)).collect();
        remote.run(staged.into_iter(), None).await?;
        remote.ask(&Command::Quit).await?;

        let zeros = zero::expected(&zeros(image.image(), run.options.zero, size)).await;
        for (name, text) in [("plan", &*plan(&data, &zeros)?), ("head", &*plan(&[head], &[])?), ("run", OVERWRITE)] {
            self.errand(Errand::Put { name, text }).await?;
        }
        Ok(data.iter().chain(&zeros).map(|extent| extent.len).sum::<u64>() + HEAD)
    }

    /// Lets the script go on alone. Once this was called it may have begun, even when no answer came: nothing may be taken away from it.
    pub(super) async fn start(&mut self) -> Result<(), Cause> {
        let size = self.disk_size();
        let end = cut(size.saturating_sub(HEAD)..size)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let script = format!("{} end={}\n{}\n{}", self.variables(), quote(&end), self.still_ours(), compact(START));
        self.errand(Errand::Say { script: &script, word: "started" }).await
    }

    /// Gives the RAM back, unless the script has begun. What cannot be given back now goes with the next attempt, or reboot.
    pub(super) async fn clear(&self) {
        let clear = async {
            let session = self.session();
            if !session.is_closed() {
                return give_back(session, self.run, self.levers, &self.owner).await;
            }
            give_back(&session.reconnect(CLEAR_DEADLINE).await?, self.run, self.levers, &self.owner).await
        };
        match tokio::time::timeout(CLEAR_DEADLINE, clear).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => tracing::warn!("what is staged stays: the overwrite has begun, or it is another run's"),
            Ok(Err(error)) => tracing::warn!(%error, "what was staged in RAM stays until the next attempt or reboot"),
            Err(_) => {
                tracing::warn!("what was staged in RAM stays until the next attempt or reboot: no answer in time")
            }
        }
    }

    /// Makes room in RAM, and stages the tools.
    async fn furnish(&mut self) -> Result<(), Cause> {
        let size = self.needs.payload + TOOLS;
        let script = format!("{} size={size} owner={}\n{}", self.variables(), self.owner, compact(STAGE));
        self.errand(Errand::Say { script: &script, word: "staged" }).await
    }

    /// `flash.sh`, with a file in RAM for a disk: the file has holes where the image has zeros.
    fn writer(&self) -> Start {
        let hash = self.run.facts.hash_command.as_deref().unwrap_or("sha256sum");
        let disk = self.levers.file("payload");
        Start {
            rights: self.run.rights(),
            script: format!("disk={} sum={}\n{}\n{}", quote(&disk), quote(hash), self.still_ours(), compact(SCRIPT)),
            identity: None,
            patience: self.run.options.patience,
        }
    }

    /// Runs an errand; over another connection when one breaks.
    async fn errand(&mut self, errand: Errand<'_>) -> Result<(), Cause> {
        let deadline = Instant::now() + self.run.options.patience;
        loop {
            match self.attempt(errand).await {
                Err(Cause::Session(error)) => {
                    self.replacement = Some(again(self.run.session, error, deadline, CONNECT).await?);
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, errand: Errand<'_>) -> Result<(), Cause> {
        let (session, rights) = (self.session(), self.run.rights());
        match errand {
            Errand::Say { script, word } => {
                let output = session.run_with(rights, script, SCRIPT_DEADLINE).await?;
                match output.stdout.lines().next_back() {
                    Some(line) if line == word => Ok(()),
                    Some(line) if line.starts_with('!') => {
                        Err(Cause::InPlace(line.trim_start_matches(['!', ' ']).to_owned()))
                    }
                    _ => Err(Cause::InPlace(format!(
                        "the script ended with status {}: {}",
                        output.status, output.stderr
                    ))),
                }
            }
            Errand::Put { name, text } => {
                let file = quote(&self.levers.file(name));
                let script = format!("{}\numask 077; exec cat >{file}", self.still_ours());
                let mut process = session.start(rights, &script).await?;
                // What was said before the end is more telling than that it did not listen.
                let sent = process.input.send(Bytes::copy_from_slice(text.as_bytes())).await;
                process.input.finish().await?;
                match process.output.next().await? {
                    Some(line) => Err(Cause::InPlace(line.trim_start_matches(['!', ' ']).to_owned())),
                    None => Ok(sent?),
                }
            }
        }
    }

    fn still_ours(&self) -> String {
        still_ours(self.levers, &self.owner)
    }

    /// In whole sectors.
    fn disk_size(&self) -> u64 {
        self.run.facts.disk.size / SECTOR * SECTOR
    }

    fn variables(&self) -> String {
        self.levers.variables(&self.run.facts.disk.device)
    }
}

/// Begins what works on the stage: nothing of this run may get into that of another.
fn still_ours(levers: &Levers, owner: &str) -> String {
    let (file, said) = (quote(&levers.file("owner")), quote(&format!("! {NOT_OURS}")));
    format!("[ \"$(cat {file} 2>/dev/null)\" = {owner} ] || {{ echo {said}; exit 0; }}")
}

/// Takes away what was staged, for good: a start that is still on its way finds nothing. Gives `false`, and does nothing, when the
/// script has begun, or what is there is another run's.
pub(super) async fn give_back(
    session: &Session,
    run: &Run<'_>,
    levers: &Levers,
    owner: &str,
) -> Result<bool, SessionError> {
    let variables = levers.variables(&run.facts.disk.device);
    let script = format!("{variables}\n{}\n{}", still_ours(levers, owner), compact(CLEAR));
    let output = session.run_with(run.rights(), &script, CLEAR_DEADLINE).await?;
    Ok(output.stdout.lines().next_back() == Some("cleared"))
}

/// The ranges that must be zero: those of the image, and the end of the disk.
fn zeros(image: &Image, mode: ZeroMode, size: u64) -> Vec<Range<u64>> {
    let end = image.raw_size.max(size.saturating_sub(HEAD))..size;
    let all = zero::ranges(image, mode).into_iter().chain([end]);
    all.flat_map(zero::chunks).collect()
}

/// One range a line, as `run.sh` reads it.
fn plan(data: &[Extent], zeros: &[Extent]) -> Result<String, Cause> {
    let mut text = String::new();
    for (kind, extents) in [("d", data), ("z", zeros)] {
        for extent in extents {
            let pieces = cut(extent.offset..extent.offset + extent.len)?;
            let pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
            text += &format!("{kind} {} {}\n", extent.sha256, pieces.join(" "));
        }
    }
    Ok(text)
}

const NOT_OURS: &str =
    "what was staged in RAM is not there any more: another run has taken over, or the machine was rebooted";

const STAGE: &str = include_str!("stage.sh");
const START: &str = include_str!("start.sh");
const OVERWRITE: &str = include_str!("run.sh");
const CLEAR: &str = include_str!("clear.sh");

/// Room for the tools and their libraries, in bytes: less than the margin that was checked for.
const TOOLS: u64 = 48 << 20;

/// How long a system that is not overwritten after all is tidied up: less than a stop waits for it.
const CLEAR_DEADLINE: Duration = Duration::from_secs(8);

const SCRIPT_DEADLINE: Duration = Duration::from_secs(120);

/// For one attempt.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_names_nothing_that_could_harm_the_machine_it_runs_on() {
        for script in [OVERWRITE, STAGE, START, CLEAR] {
            for danger in ["/proc/sysrq", "/dev/sd", "/dev/vd", "swapoff -a", "blockdev", "systemctl", "reboot -f"] {
                assert!(!script.contains(danger), "{danger}");
            }
        }
    }

    #[test]
    fn the_script_knows_the_digest_of_an_empty_mib() {
        assert!(OVERWRITE.contains(&format!("empty={}\n", Digest::of(&[0; HEAD as usize]))));
    }

    #[test]
    fn a_plan_has_a_line_for_each_range() {
        let extent = |offset, len| Extent { offset, len, sha256: Digest::of(b"x") };
        let text = plan(&[extent(1 << 20, 3 << 16)], &[extent(2 << 20, 512)]).unwrap();
        let sum = Digest::of(b"x");
        assert_eq!(text, format!("d {sum} 65536 16 3\nz {sum} 512 4096 1\n"));
    }

    #[test]
    fn the_scripts_that_are_commands_are_short_enough_for_dropbear() {
        for script in [STAGE, START, CLEAR] {
            let command = format!("{} size=4294967296\n{}", Levers::default().variables("/dev/sda"), compact(script));
            assert!(quote(&command).len() + 300 < 9000, "{}", quote(&command).len());
        }
    }
}
