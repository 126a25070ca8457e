//! Phase flash: the disk holds the image, read back and compared.

use std::time::Duration;

use crate::client::cache::PreparedImage;
use crate::client::rescue::flash::{self, FlashOptions, Levers, Overwrite, Progress, Pull, Sight, System};
use crate::client::rescue::probe::{Disk, Facts, Needs, Requirements, probe, refuse, refuse_in_place, survey};
use crate::client::rescue::session::{Session, SessionError};
use crate::disk_image::{HEAD, ZeroMode};
use crate::node::spec::{Flash, Source, SshFlash, Zero};
use crate::provision::error::Cause;
use crate::provision::observe::{Observation, talos};
use crate::provision::shell::shell;
use crate::provision::transcript::seconds;
use crate::provision::wait::{Look, bounded, orderly, until};
use crate::provision::{Job, Step, journal};

/// How long what was staged in the RAM of a machine may take to be taken away after a stop.
const TIDY: Duration = Duration::from_secs(10);

/// How long an overwrite that nobody sees may take, with the boot into Talos: a slow volume is written for a quarter of an hour.
const OUT_OF_SIGHT: Duration = Duration::from_secs(45 * 60);

/// Looks, refuses what must not be overwritten, and writes.
pub async fn run(job: &Job, image: Option<&PreparedImage>) -> Step {
    let (Flash::Ssh(flash), Some(image)) = (&job.spec.flash, image) else {
        return Ok("nothing to flash".into());
    };
    let wanted = requirements(job, flash, image);
    let session = shell(job, flash).await?;
    if flash.in_place {
        return in_place(job, flash, image, &session, &wanted).await;
    }
    let work = async {
        let facts = probe(&session, &flash.disk).await.map_err(Cause::Probe)?;
        refuse(&facts, &wanted).map_err(Cause::Refused)?;
        write(job, flash, &session, &facts, image).await
    };
    bounded(&job.limits, work).await.map_err(Cause::ended)
}

fn requirements(job: &Job, flash: &SshFlash, image: &PreparedImage) -> Requirements {
    let mut wanted = Requirements::new(job.spec.image.architecture());
    wanted.image_size = Some(image.image().raw_size);
    wanted.secure_boot = job.spec.image.installer.secure_boot;
    wanted.instance_id.clone_from(&job.spec.instance_id);
    wanted.allow_disk_in_use = flash.allow_root_disk;
    wanted.allow_talos = job.spec.over_talos;
    wanted.pull = (flash.source == Source::Pull).then_some(image.image().format);
    wanted
}

/// The download of the rescue host, if it is to do that.
async fn pull(job: &Job, flash: &SshFlash, image: &PreparedImage) -> Option<Pull> {
    let url = job.spec.image.url.clone().filter(|_| flash.source == Source::Pull)?;
    // Ours may have come from the cache, long ago: the Factory then builds the image anew, which takes minutes. That is better
    // waited for here than by curl. Whether the rescue host gets it in the end, it will say itself.
    if let Err(error) = job.places.factory.asset(&url).await {
        tracing::info!(%error, "the factory was asked whether it has the image");
    }
    Some(Pull::new(url, image.image().format))
}

/// The system that runs is overwritten, and reboots by itself.
async fn in_place(
    job: &Job,
    flash: &SshFlash,
    image: &PreparedImage,
    session: &Session,
    wanted: &Requirements,
) -> Step {
    let levers = Levers::default();
    let needs = Needs { payload: image.image().data_size() + HEAD };
    let look = async {
        let facts = probe(session, &flash.disk).await.map_err(Cause::Probe)?;
        let ground = survey(session, &facts, &levers).await.map_err(Cause::Probe)?;
        refuse_in_place(&facts, &ground, wanted, needs).map_err(Cause::Refused)?;
        Ok((facts, ground, options(job, flash, image).await))
    };
    let (facts, ground, options) = bounded(&job.limits, look).await.map_err(Cause::ended)?;
    let system = System { facts: &facts, ground: &ground, needs, levers: &levers };
    let tell = tell(job);
    let left = orderly(&job.limits, TIDY, async |cancel| {
        flash::overwrite(session, system, image, &options, &tell, &cancel).await.map_err(flash_error)
    })
    .await
    .map_err(Cause::ended)?;
    if !left.seen_to_reboot
        && let Some(answer) = out_of_sight(job, session, system, &left).await?
    {
        return Ok(format!("{} was overwritten by the system that ran from it, out of sight: {answer}", flash.disk));
    }
    if left.planned_bytes == 0 {
        return Ok(format!(
            "{} was overwritten by what an earlier run had started, read back and compared",
            flash.disk
        ));
    }
    Ok(format!(
        "{} MiB written to {} below the running system, read back and compared, in {}",
        left.planned_bytes >> 20,
        flash.disk,
        seconds(left.took)
    ))
}

/// Looks both ways until one tells how an overwrite went: whether Talos answers, and what the old system says of its script. Gives
/// the answer of Talos, or `None` when the machine was seen to reboot.
async fn out_of_sight(
    job: &Job,
    session: &Session,
    system: System<'_>,
    left: &Overwrite,
) -> Result<Option<String>, Cause> {
    let tell = tell(job);
    until(&job.limits.within(OUT_OF_SIGHT), "the overwrite to end", || async {
        let why = match talos(job).await {
            Err(cause) => return Look::Failed(cause),
            Ok(Observation::Unreachable { why }) => why,
            Ok(seen) => return Look::Ready(Some(seen.to_string())),
        };
        match flash::revisit(session, system, left, &tell).await {
            Ok(Sight::Rebooting) => Look::Ready(None),
            Ok(Sight::Nothing(said)) => Look::Pending(format!("Talos API: {why}; SSH: {said}")),
            Err(error) => Look::Failed(flash_error(error)),
        }
    })
    .await
    .map_err(Cause::ended)
}

async fn write(job: &Job, flash: &SshFlash, session: &Session, facts: &Facts, image: &PreparedImage) -> Step {
    let options = options(job, flash, image).await;
    let done =
        flash::flash(session, facts, image, &options, &tell(job), &job.limits.stop).await.map_err(flash_error)?;
    let disk = named(facts);
    if done.written_bytes + done.zeroed_bytes == 0 {
        // An earlier run ended after its flash.
        return Ok(format!("{disk} holds the image already, {} MiB compared", done.verified_bytes >> 20));
    }
    Ok(format!(
        "{} MiB written to {disk}, {} MiB read back and compared, in {}",
        (done.written_bytes + done.zeroed_bytes) >> 20,
        done.verified_bytes >> 20,
        seconds(done.took)
    ))
}

/// The disk with the name that it has wherever it is attached, where it has one: which of several was written can then be told later.
fn named(facts: &Facts) -> String {
    let Disk { path, aliases, serial, .. } = &facts.disk;
    let own = aliases.iter().find(|alias| alias.starts_with("/dev/disk/by-id/") && *alias != path);
    match own {
        Some(own) => format!("{path} ({own})"),
        None if !serial.is_empty() => format!("{path} (serial number {serial})"),
        None => path.clone(),
    }
}

async fn options(job: &Job, flash: &SshFlash, image: &PreparedImage) -> FlashOptions {
    FlashOptions {
        zero: match flash.zero {
            Zero::Partitions => ZeroMode::Partitions,
            Zero::Needed => ZeroMode::Needed,
            Zero::All => ZeroMode::All,
        },
        pull: pull(job, flash, image).await,
        ..FlashOptions::default()
    }
}

/// Notes progress where people watch.
fn tell(job: &Job) -> impl Fn(Progress) + Send + Sync {
    |at: Progress| {
        let part = format!("{:?}", at.phase).to_lowercase();
        job.limits.journal.progress(&part, journal::Progress { done: at.done, total: at.total, rate: at.rate });
    }
}

/// What is left behind by a flash that had to end, whether or not it had begun to write.
pub fn hints(flash: &Flash, cause: &Cause) -> Vec<String> {
    let Flash::Ssh(flash) = flash else { return Vec::new() };
    if let (Cause::Session(SessionError::LoginRefused { .. }), true) = (cause, flash.in_place) {
        return vec![
            "if an earlier run has begun to overwrite the disk, the server can no longer read from it who may log in: wait until \
             Talos is up, and apply again"
                .to_owned(),
        ];
    }
    let (Cause::Stopped | Cause::TimedOut { .. }) = cause else { return Vec::new() };
    let left = if flash.in_place {
        format!(
            "if {} is being overwritten by the system that runs from it, that goes on by itself and ends with a reboot",
            flash.disk
        )
    } else {
        format!(
            "if {} was written to, it holds a part of the image and does not boot: apply again before it is rebooted",
            flash.disk
        )
    };
    let mut hints = vec![left];
    if matches!(cause, Cause::TimedOut { .. }) {
        hints.push("raise timeouts.create if it was only slow: what was written is kept".to_owned());
    }
    hints
}

fn flash_error(error: flash::FlashError) -> Cause {
    match error.cause {
        flash::Cause::Cancelled => Cause::Stopped,
        _ => Cause::Flash(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::spec::{HostKey, SshAuth};

    #[test]
    fn a_flash_that_had_to_end_says_what_it_left_behind() {
        let flash = |in_place| {
            Flash::Ssh(Box::new(SshFlash {
                disk: "/dev/sda".into(),
                in_place,
                source: Source::Push,
                zero: Zero::Partitions,
                allow_root_disk: false,
                host: "h".into(),
                port: 22,
                user: "root".into(),
                auth: SshAuth::Agent,
                host_key: HostKey::AcceptNew,
            }))
        };
        assert!(hints(&flash(false), &Cause::Stopped)[0].contains("does not boot"));
        assert!(hints(&flash(true), &Cause::Stopped)[0].contains("goes on by itself"));
        let late = Cause::TimedOut { after: Duration::ZERO, last: String::new() };
        assert!(hints(&flash(false), &late)[1].contains("timeouts.create"));
        assert!(hints(&flash(false), &Cause::NoImageUrl).is_empty());
        let refused = || {
            let (user, address) = ("ubuntu".into(), "h:22".into());
            let error = SessionError::LoginRefused { user, address, tried: "a key".into(), accepts: String::new() };
            Cause::Session(error)
        };
        assert!(hints(&flash(true), &refused())[0].contains("wait until Talos is up"));
        assert!(hints(&flash(false), &refused()).is_empty());
    }
}
