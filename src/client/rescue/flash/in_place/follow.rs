//! Listening to an overwrite that goes on alone.

use super::super::{Cause, Meter, Phase};
use super::Levers;
use crate::client::rescue::session::{Rights, Session, compact, quote};

/// Where following an overwrite ended that has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its last word.
    Rebooting,
    /// With the connection: a machine whose disk is overwritten may stop to speak at any time, and is none the worse for it.
    Lost,
    /// At once: it is staged, and was not started.
    Idle,
}

/// Follows the log while the connection lives.
pub(super) async fn follow(
    session: &Session,
    rights: Rights,
    levers: &Levers,
    meter: &Meter<'_>,
) -> Result<End, Cause> {
    let script = format!("stage={}\n{}", quote(&levers.stage), compact(FOLLOW));
    let Ok(mut process) = session.start(rights, &script).await else { return Ok(End::Lost) };
    let mut seen = Seen::default();
    let mut last = String::new();
    while let Ok(Some(line)) = process.output.next().await {
        match say(&line) {
            Said::Done => return Ok(End::Rebooting),
            Said::GaveUp(why) => return Err(Cause::InPlace(why)),
            Said::Stuck(why) => return Err(Cause::InPlaceStuck(why)),
            Said::Gone => return Err(Cause::InPlace(GONE.to_owned())),
            Said::Idle => return Ok(End::Idle),
            Said::Dead if meter.wiped() => {
                return Err(Cause::InPlaceStuck(format!("its script was killed, after it had said {last:?}")));
            }
            Said::Dead => return Err(Cause::InPlace("its script was killed before it wrote anything".to_owned())),
            Said::Phase(phase) => seen.enter(phase, None, meter),
            Said::Progress { phase, done, total } => {
                if seen.phase != Some((phase, total)) {
                    seen.enter(phase, Some(total), meter);
                }
                meter.add(done.saturating_sub(seen.done));
                seen.done = done;
            }
            Said::Nothing => {}
        }
        last = line;
    }
    Ok(End::Lost)
}

#[derive(Default)]
struct Seen {
    phase: Option<(Phase, u64)>,
    done: u64,
}

impl Seen {
    fn enter(&mut self, phase: Phase, total: Option<u64>, meter: &Meter<'_>) {
        *self = Self { phase: total.map(|total| (phase, total)), done: 0 };
        meter.begin(phase, total);
    }
}

/// What one line of the log means.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Phase(Phase),
    Progress {
        phase: Phase,
        done: u64,
        total: u64,
    },
    Done,
    GaveUp(String),
    Stuck(String),
    /// Nothing is staged.
    Gone,
    /// It was not started.
    Idle,
    /// It ended without a word.
    Dead,
    Nothing,
}

fn say(line: &str) -> Said {
    if let Some(why) = line.strip_prefix("!!") {
        return Said::Stuck(why.trim().to_owned());
    }
    if let Some(why) = line.strip_prefix('!') {
        return Said::GaveUp(why.trim().to_owned());
    }
    match line {
        "? gone" => return Said::Gone,
        "? idle" => return Said::Idle,
        "? dead" => return Said::Dead,
        _ => {}
    }
    let mut words = line.split(' ');
    let phase = match words.next() {
        Some("check") => Phase::Check,
        Some("stop" | "swapoff" | "remount") => Phase::Stop,
        Some("wipe") => Phase::Wipe,
        Some("write") => Phase::Write,
        Some("verify") => Phase::Verify,
        Some("finish") => Phase::Finish,
        Some("reboot") => return Said::Done,
        _ => return Said::Nothing,
    };
    match (words.next().map(str::parse), words.next().map(str::parse)) {
        (Some(Ok(done)), Some(Ok(total))) => Said::Progress { phase, done, total },
        _ => Said::Phase(phase),
    }
}

const FOLLOW: &str = include_str!("follow.sh");

const GONE: &str =
    "nothing of it is there any more: the machine was rebooted meanwhile, and its old system has come up again";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_understood() {
        let progress = |phase, done, total| Said::Progress { phase, done, total };
        let table = [
            ("check 4096 8192", progress(Phase::Check, 4096, 8192)),
            ("stop", Said::Phase(Phase::Stop)),
            ("remount", Said::Phase(Phase::Stop)),
            ("wipe", Said::Phase(Phase::Wipe)),
            ("verify 1 2", progress(Phase::Verify, 1, 2)),
            ("! too little RAM", Said::GaveUp("too little RAM".into())),
            ("!! 512 bytes were not", Said::Stuck("512 bytes were not".into())),
            ("reboot", Said::Done),
            ("? gone", Said::Gone),
            ("? idle", Said::Idle),
            ("? dead", Said::Dead),
            ("anything else", Said::Nothing),
            ("", Said::Nothing),
        ];
        for (line, expected) in table {
            assert_eq!(say(line), expected, "{line}");
        }
    }
}
