//! Overwrites the disk of the system that runs (`flash.method = "in_place"`).
//!
//! All that is needed is brought into RAM and checked there while the system is whole: the data of the image, a shell and
//! four tools with their libraries, and a script. Then the script goes on alone: it stops services, makes all file systems
//! read-only, writes, reads back, writes the first MiB last and reboots. The connection may break at any time after it started.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::disk::Writing;
use super::remote::{Remote, Start};
use super::source::{Decoding, ImageSource};
use super::wire::{Command, Job, cut};
use super::{Cause, FlashError, FlashOptions, Meter, OnProgress, Phase, Run, SCRIPT, SECTOR, read_head, zero};
use crate::client::rescue::probe::{Facts, Ground, Needs};
use crate::client::rescue::session::{Session, compact, quote};
use crate::disk_image::{Digest, Extent, HEAD, Image, ZeroMode};

mod follow;

/// What the scripts pull: every path and command that could harm the machine they run on. The default is the real ones.
#[derive(Clone, Debug)]
pub struct Levers {
    /// Directory that is made for all that is staged; a tmpfs is mounted there.
    pub stage: String,
    /// Command that mounts it.
    pub mount: String,
    /// Where letters for the kernel go.
    pub trigger: String,
    /// What is mounted.
    pub mountinfo: String,
    /// How much memory there is.
    pub meminfo: String,
    /// Command that stops services which write much; its failure does not matter.
    pub stop: String,
    /// Command that gives up all swap space.
    pub swapoff: String,
    /// Command that makes a partition, its only argument, read-only.
    pub seal: String,
    /// How long file systems may take to become read-only.
    pub patience: Duration,
    /// How often a range is written before its disk is given up.
    pub tries: u32,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            stage: "/run/talosoci-in-place".to_owned(),
            mount: "mount".to_owned(),
            trigger: "/proc/sysrq-trigger".to_owned(),
            mountinfo: "/proc/self/mountinfo".to_owned(),
            meminfo: "/proc/meminfo".to_owned(),
            // Those that write most. Whatever goes on writing is stopped by the kernel, when file systems become read-only.
            stop: "timeout 60 systemctl stop cron crond atd rsyslog snapd unattended-upgrades packagekit docker containerd \
                   oracle-cloud-agent"
                .to_owned(),
            swapoff: "swapoff -a".to_owned(),
            seal: "blockdev --setro".to_owned(),
            patience: Duration::from_secs(60),
            tries: 3,
        }
    }
}

impl Levers {
    /// The line that the scripts want before their text.
    pub(in crate::client::rescue) fn variables(&self, disk: &str) -> String {
        let variables = [
            ("disk", disk),
            ("stage", &self.stage),
            ("mount", &self.mount),
            ("trigger", &self.trigger),
            ("mountinfo", &self.mountinfo),
            ("meminfo", &self.meminfo),
            ("stop", &self.stop),
            ("swapoff", &self.swapoff),
            ("seal", &self.seal),
        ];
        let words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        format!("{} tries={} patience={}", words.join(" "), self.tries, self.patience.as_secs())
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.stage)
    }
}

/// A system that is to be overwritten.
#[derive(Clone, Copy, Debug)]
pub struct System<'a> {
    /// What it is.
    pub facts: &'a Facts,
    /// What else was found out.
    pub ground: &'a Ground,
    /// What the image takes.
    pub needs: Needs,
    /// What is pulled.
    pub levers: &'a Levers,
}

/// How an overwrite was left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overwrite {
    /// Whether it was seen to reboot, everything read back; otherwise it goes on out of sight, the connection having ended as
    /// it must sooner or later.
    pub seen_to_reboot: bool,
    /// Bytes of data and zeros that were staged or planned; 0 for an overwrite that was found at work.
    pub planned_bytes: u64,
    /// From start to end.
    pub took: Duration,
}

/// Overwrites. The disk must have passed [`super::super::probe::refuse_in_place`].
///
/// Returns within a second of a cancellation until the script has started; from then on it cannot be stopped.
///
/// # Errors
/// [`FlashError`] says in which phase, why, and whether the disk was touched.
pub async fn overwrite(
    session: &Session,
    system: System<'_>,
    image: ImageSource,
    options: &FlashOptions,
    progress: OnProgress<'_>,
    cancel: &CancellationToken,
) -> Result<Overwrite, FlashError> {
    let System { facts, ground, levers, .. } = system;
    let meter = Meter::new(progress);
    let run = Run { session, facts, options, meter: &meter };
    let place = Place { run: &run, levers, needs: system.needs };
    let began = Instant::now();
    let work = async {
        let planned_bytes = if ground.running {
            0
        } else {
            let prepared = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Cause::Cancelled),
                planned = place.prepare(image) => planned,
            };
            if prepared.is_err() {
                place.clear().await;
            }
            let planned_bytes = prepared?;
            // From here on it may have begun, even when no answer comes: nothing may be taken away from it.
            place.start().await?;
            planned_bytes
        };
        let seen_to_reboot = follow::follow(session, run.rights(), levers, &meter).await?;
        Ok(Overwrite { seen_to_reboot, planned_bytes, took: began.elapsed() })
    };
    work.await.map_err(|cause| FlashError {
        disk: facts.disk.path.clone(),
        phase: meter.phase(),
        disk_touched: meter.wiped(),
        cause,
    })
}

struct Place<'a> {
    run: &'a Run<'a>,
    levers: &'a Levers,
    needs: Needs,
}

impl Place<'_> {
    /// Brings everything into RAM.
    async fn prepare(&self, image: ImageSource) -> Result<u64, Cause> {
        let (run, size) = (self.run, self.disk_size());
        let mut decoding = Decoding::start(image, size);
        let (head, first) = read_head(&mut decoding).await?;
        let image_size = run.image_size(&head)?;
        self.furnish().await?;

        let mut remote = Remote::start(run.session, self.writer()).await?;
        run.meter.begin(Phase::Stage, None);
        let head_sha256 = Digest::of(&head);
        remote.write(0, head.into()).await?;
        let mut sent = 0;
        let jobs =
            Writing { decoding: &mut decoding, next: first, size, sent: &mut sent, pull: false, meter: run.meter };
        remote.run(jobs, Some(run.meter)).await?;
        let image = decoding.image().ok_or(Cause::Internal("the image ended without a summary"))?;
        run.check(&image, image_size)?;

        let data: Vec<Extent> = image.extents.iter().filter(|extent| extent.offset >= HEAD).copied().collect();
        let head = Extent { offset: 0, len: HEAD, sha256: head_sha256 };
        let staged: VecDeque<Job> = data.iter().chain([&head]).map(|extent| Job::Verify(*extent)).collect();
        remote.run(Vec::from(staged).into_iter(), None).await?;
        remote.ask(&Command::Quit).await?;

        let zeros = zero::expected(&zeros(&image, run.options.zero, size)).await;
        self.put("plan", &plan(&data, &zeros)?).await?;
        self.put("head", &plan(&[head], &[])?).await?;
        self.put("run", OVERWRITE).await?;
        Ok(data.iter().chain(&zeros).map(|extent| extent.len).sum::<u64>() + HEAD)
    }

    /// Makes room in RAM, and stages the tools.
    async fn furnish(&self) -> Result<(), Cause> {
        let size = self.needs.payload + TOOLS;
        let script = format!("{} size={size}\n{}", self.variables(), compact(STAGE));
        self.say(&script, "staged").await
    }

    /// `flash.sh`, with a file in RAM for a disk: the file has holes where the image has zeros.
    fn writer(&self) -> Start {
        let hash = self.run.facts.hash_command.as_deref().unwrap_or("sha256sum");
        let disk = self.levers.file("payload");
        Start {
            rights: self.run.rights(),
            script: format!("disk={} sum={}\n{}", quote(&disk), quote(hash), compact(SCRIPT)),
            identity: None,
            patience: self.run.options.patience,
        }
    }

    async fn start(&self) -> Result<(), Cause> {
        let size = self.disk_size();
        let end = cut(size.saturating_sub(HEAD)..size)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let script = format!("{} end={}\n{}", self.variables(), quote(&end), compact(START));
        self.say(&script, "started").await
    }

    /// Runs a script that answers with one word.
    async fn say(&self, script: &str, word: &str) -> Result<(), Cause> {
        let output = self.run.session.run_with(self.run.rights(), script, SCRIPT_DEADLINE).await?;
        match output.stdout.lines().next_back() {
            Some(line) if line == word => Ok(()),
            Some(line) if line.starts_with('!') => Err(Cause::InPlace(line.trim_start_matches(['!', ' ']).to_owned())),
            _ => Err(Cause::InPlace(format!("the script ended with status {}: {}", output.status, output.stderr))),
        }
    }

    /// Puts a text into a file of the stage.
    async fn put(&self, name: &str, text: &str) -> Result<(), Cause> {
        let script = format!("umask 077; exec cat >{}", quote(&self.levers.file(name)));
        let mut process = self.run.session.start(self.run.rights(), &script).await?;
        process.input.send(Bytes::copy_from_slice(text.as_bytes())).await?;
        process.input.finish().await?;
        while process.output.next().await?.is_some() {}
        Ok(())
    }

    /// Gives the RAM back. What cannot be given back now goes with the next attempt, or reboot.
    async fn clear(&self) {
        let script = format!("{}\n{CLEAR}", self.variables());
        let _ = self.run.session.run_with(self.run.rights(), &script, CLEAR_DEADLINE).await;
    }

    /// In whole sectors.
    fn disk_size(&self) -> u64 {
        self.run.facts.disk.size / SECTOR * SECTOR
    }

    fn variables(&self) -> String {
        self.levers.variables(&self.run.facts.disk.device)
    }
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

/// A script that was started keeps what it needs, whoever asks, and however late the question arrives.
const CLEAR: &str = r#"[ -e "$stage/log" ] && exit
rm -rf "$stage"
grep -q " $stage " "$mountinfo" && umount -l "$stage"
rm -rf "$stage""#;
const STAGE: &str = include_str!("in_place/stage.sh");
const START: &str = include_str!("in_place/start.sh");
const OVERWRITE: &str = include_str!("in_place/run.sh");

/// Room for the tools and their libraries, in bytes: less than the margin that was checked for.
const TOOLS: u64 = 48 << 20;

/// How long a system that is not overwritten after all is tidied up.
const CLEAR_DEADLINE: Duration = Duration::from_millis(800);

const SCRIPT_DEADLINE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_names_nothing_that_could_harm_the_machine_it_runs_on() {
        for script in [OVERWRITE, STAGE, START] {
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
        for script in [STAGE, START] {
            let command = format!("{} size=4294967296\n{}", Levers::default().variables("/dev/sda"), compact(script));
            assert!(quote(&command).len() + 300 < 9000, "{}", quote(&command).len());
        }
    }
}
