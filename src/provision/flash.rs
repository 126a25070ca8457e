//! Phase flash: the disk holds the image, read back and compared.

use crate::client::cache::PreparedImage;
use crate::client::rescue::flash::{self, FlashOptions, ImageSource, Progress};
use crate::client::rescue::probe::{Facts, Requirements, probe, refuse};
use crate::client::rescue::session::Session;
use crate::disk_image::ZeroMode;
use crate::node::spec::{Flash, SshFlash, Zero};
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
        refuse(&facts, &requirements(job, flash, image)).map_err(Cause::Refused)?;
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
    wanted
}

async fn write(job: &Job, flash: &SshFlash, session: &Session, facts: &Facts, image: &PreparedImage) -> Step {
    let source = ImageSource::prepared(image.clone());
    let options = FlashOptions {
        zero: match flash.zero {
            Zero::Partitions => ZeroMode::Partitions,
            Zero::Needed => ZeroMode::Needed,
            Zero::All => ZeroMode::All,
        },
        ..FlashOptions::default()
    };
    let tell = |at: Progress| {
        let part = format!("{:?}", at.phase).to_lowercase();
        job.limits.journal.progress(&part, journal::Progress { done: at.done, total: at.total, rate: at.rate });
    };
    let done = flash::flash(session, facts, source, &options, &tell, &job.limits.stop).await.map_err(|error| {
        match error.cause {
            flash::Cause::Cancelled => Cause::Stopped,
            _ => Cause::Flash(error),
        }
    })?;
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
