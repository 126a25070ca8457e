//! Phase flash: the disk holds the image, read back and compared.

use crate::client::cache::PreparedImage;
use crate::client::rescue::flash::{self, FlashOptions, ImageSource, Levers, Progress, Pull, System};
use crate::client::rescue::probe::{Facts, Needs, Requirements, probe, refuse, refuse_in_place, survey};
use crate::client::rescue::session::Session;
use crate::disk_image::{HEAD, ZeroMode};
use crate::node::spec::{Flash, Source, SshFlash, Zero};
use crate::provision::error::Cause;
use crate::provision::observe::{HANDSHAKE, target};
use crate::provision::transcript::seconds;
use crate::provision::wait::bounded;
use crate::provision::{Job, Step, journal};

/// Looks, refuses what must not be overwritten, and writes.
pub async fn run(job: &Job, image: Option<&PreparedImage>) -> Step {
    let (Flash::Ssh(flash), Some(image)) = (&job.spec.flash, image) else {
        return Ok("nothing to flash".into());
    };
    let work = async {
        let session = Session::connect(&target(flash), HANDSHAKE).await.map_err(Cause::Session)?;
        let facts = probe(&session, &flash.disk).await.map_err(Cause::Probe)?;
        let wanted = requirements(job, flash, image);
        if flash.in_place {
            return in_place(job, flash, image, &session, &facts, &wanted).await;
        }
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
    facts: &Facts,
    wanted: &Requirements,
) -> Step {
    let levers = Levers::default();
    let needs = Needs { payload: image.image().data_size() + HEAD };
    let ground = survey(session, facts, &levers).await.map_err(Cause::Probe)?;
    refuse_in_place(facts, &ground, wanted, needs).map_err(Cause::Refused)?;
    let system = System { facts, ground: &ground, needs, levers: &levers };
    let options = options(job, flash, image).await;
    let source = ImageSource::prepared(image.clone());
    let done =
        flash::overwrite(session, system, source, &options, &tell(job), &job.limits.stop).await.map_err(flash_error)?;
    Ok(match done.seen_to_reboot {
        true => format!(
            "{} MiB written to {} below the running system, read back and compared, in {}",
            done.planned_bytes >> 20,
            flash.disk,
            seconds(done.took)
        ),
        false => format!("{} is being overwritten by the system that ran from it, out of sight", flash.disk),
    })
}

async fn write(job: &Job, flash: &SshFlash, session: &Session, facts: &Facts, image: &PreparedImage) -> Step {
    let source = ImageSource::prepared(image.clone());
    let options = options(job, flash, image).await;
    let done =
        flash::flash(session, facts, source, &options, &tell(job), &job.limits.stop).await.map_err(flash_error)?;
    if done.written_bytes + done.zeroed_bytes == 0 {
        // An earlier run ended after its flash.
        return Ok(format!("{} holds the image already, {} MiB compared", flash.disk, done.verified_bytes >> 20));
    }
    Ok(format!(
        "{} MiB written to {}, {} MiB read back and compared, in {}",
        (done.written_bytes + done.zeroed_bytes) >> 20,
        flash.disk,
        done.verified_bytes >> 20,
        seconds(done.took)
    ))
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
    let (Cause::Stopped | Cause::TimedOut { .. }, Flash::Ssh(flash)) = (cause, flash) else { return Vec::new() };
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
    use std::time::Duration;

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
    }
}
