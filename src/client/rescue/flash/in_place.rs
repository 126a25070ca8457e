//! Overwrites the disk of the system that runs (`flash.method = "in_place"`).
//!
//! All that is needed is brought into RAM and checked there while the system is whole: the data of the image, a shell and
//! four tools with their libraries, and a script. Then the script goes on alone: it stops services, makes all file systems
//! read-only, writes, reads back, writes the first MiB last and reboots. The connection may break at any time after it started.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Cause, FlashError, FlashOptions, Meter, OnProgress, Run};
use crate::causes::chain;
use crate::client::cache::PreparedImage;
use crate::client::rescue::probe::{Facts, Ground, Needs};
use crate::client::rescue::session::{Session, SessionError, quote};

mod follow;
mod place;

use follow::End;
use place::{CONNECT, Place};

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
    /// Whether it was seen to reboot, everything read back; otherwise it may go on out of sight, the connection having ended as
    /// it must sooner or later: [`revisit`] asks what became of it.
    pub seen_to_reboot: bool,
    /// Whether it was seen to write to the disk.
    pub disk_touched: bool,
    /// Bytes of data and zeros that were staged or planned; 0 for an overwrite that was found at work.
    pub planned_bytes: u64,
    /// From start to end.
    pub took: Duration,
    /// Marks what this run has staged.
    owner: String,
}

/// Overwrites. The disk must have passed [`super::super::probe::refuse_in_place`].
///
/// Ends within ten seconds of a cancellation, and takes away what it staged; once the script was started, that cannot be stopped,
/// and is only looked at no more.
///
/// # Errors
/// [`FlashError`] says in which phase, why, and whether the disk was touched.
pub async fn overwrite(
    session: &Session,
    system: System<'_>,
    image: &PreparedImage,
    options: &FlashOptions,
    progress: OnProgress<'_>,
    cancel: &CancellationToken,
) -> Result<Overwrite, FlashError> {
    let meter = Meter::new(progress);
    let run = Run { session, facts: system.facts, options, meter: &meter };
    let began = Instant::now();
    let work = async {
        let mut place = Place::new(&run, system.levers, system.needs);
        let (planned_bytes, started) =
            if system.ground.running { (0, true) } else { begin(&mut place, image, cancel).await? };
        let seen_to_reboot = started
            && tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Cause::Cancelled),
                end = follow::follow(place.session(), run.rights(), system.levers, &meter) => end,
            }? == End::Rebooting;
        Ok(Overwrite {
            seen_to_reboot,
            disk_touched: meter.wiped(),
            planned_bytes,
            took: began.elapsed(),
            owner: place.owner,
        })
    };
    work.await.map_err(|cause| failed(&run, meter.wiped(), cause))
}

/// Stages and starts. Gives the bytes that are planned, and whether it is known that the script was started.
async fn begin(place: &mut Place<'_>, image: &PreparedImage, cancel: &CancellationToken) -> Result<(u64, bool), Cause> {
    let work = async {
        let planned_bytes = place.prepare(image).await?;
        match place.start().await {
            Ok(()) => Ok((planned_bytes, true)),
            Err(Cause::Session(error)) => {
                tracing::warn!(%error, "no answer says whether the overwrite has begun");
                Ok((planned_bytes, false))
            }
            Err(cause) => Err(cause),
        }
    };
    let begun = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Cause::Cancelled),
        begun = work => begun,
    };
    if begun.is_err() {
        place.clear().await;
    }
    begun
}

/// What another look showed of an overwrite that had gone out of sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All was read back, and the machine reboots.
    Rebooting,
    /// Nothing that tells how it went, and why.
    Nothing(String),
}

/// Connects once more to a system whose overwrite is out of sight, and follows it if it is there. `left` is how it was left.
///
/// # Errors
/// When the overwrite ended without success, or was never begun, or another system answers.
pub async fn revisit(
    session: &Session,
    system: System<'_>,
    left: &Overwrite,
    progress: OnProgress<'_>,
) -> Result<Sight, FlashError> {
    let meter = Meter::new(progress);
    let options = FlashOptions::default();
    let run = Run { session, facts: system.facts, options: &options, meter: &meter };
    let look = async {
        let fresh = match session.reconnect(CONNECT).await {
            Ok(fresh) => fresh,
            Err(error @ SessionError::HostKeyMismatch { .. }) => return Err(Cause::OutOfSight(error)),
            // Also a refused login: a server on a disk with other bytes can no longer read who may log in.
            Err(error) => return Ok(Sight::Nothing(chain(&error))),
        };
        match follow::follow(&fresh, run.rights(), system.levers, &meter).await? {
            End::Rebooting => Ok(Sight::Rebooting),
            End::Lost => Ok(Sight::Nothing("the connection ended before the overwrite did".to_owned())),
            End::Idle => match place::give_back(&fresh, &run, system.levers, &left.owner).await {
                Ok(true) => Err(Cause::Session(SessionError::Lost { address: fresh.address().to_owned() })),
                Ok(false) => Ok(Sight::Nothing("the overwrite begins, or another run stages its own".to_owned())),
                Err(error) => Ok(Sight::Nothing(chain(&error))),
            },
        }
    };
    look.await.map_err(|cause| failed(&run, left.disk_touched || meter.wiped(), cause))
}

fn failed(run: &Run<'_>, disk_touched: bool, cause: Cause) -> FlashError {
    FlashError { disk: run.facts.disk.path.clone(), phase: run.meter.phase(), disk_touched, cause }
}
