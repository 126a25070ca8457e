//! Connections that break before, while and after the script is started: what is known then, and what is found out.

use talosoci::client::rescue::flash::{Sight, revisit};

use super::*;

/// A session whose connection broke, and how the overwrite was left.
struct Left {
    session: Session,
    facts: Facts,
    ground: Ground,
    overwrite: Overwrite,
}

impl Scene {
    /// Overwrites, and loses the connection in a phase.
    async fn lose_sight(&self, bytes: &[u8], lost: Phase) -> Left {
        let session = self.session().await;
        let facts = self.facts(&session).await;
        let ground = survey(&session, &facts, &self.levers).await.unwrap();
        let killed = Mutex::new(false);
        let kill = |at: Progress| {
            if at.phase == lost && !std::mem::replace(&mut *killed.lock().unwrap(), true) {
                self.bench.sshd.kill();
            }
        };
        let system = System { facts: &facts, ground: &ground, needs: NEEDS, levers: &self.levers };
        let (options, cancel) = (FlashOptions::default(), CancellationToken::new());
        let overwrite = overwrite(&session, system, &source(bytes).await, &options, &kill, &cancel).await.unwrap();
        assert!(!overwrite.seen_to_reboot, "{overwrite:?}");
        Left { session, facts, ground, overwrite }
    }

    async fn revisit(&self, left: &Left) -> Result<Sight, FlashError> {
        let system = System { facts: &left.facts, ground: &left.ground, needs: NEEDS, levers: &self.levers };
        revisit(&left.session, system, &left.overwrite, &|_| ()).await
    }

    /// A lever that holds the script up until there is a file `go`, and then ends with `status`.
    fn wait_for_go(&self, status: u8) -> String {
        let go = self.path("go");
        self.script("wait", &format!("#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.1; done\nexit {status}\n", go.display()))
    }

    /// Breaks the connection where the start script claims the stage, before or after it has.
    fn break_at_the_start(&self, claim: &str) {
        let once = self.path("broken");
        // The shell that runs the script was put in the place of the one that the server started.
        self.bench.sshd.shim(
            "mkdir",
            &format!(
                "#!/bin/sh\ncase $1 in */begun) [ -e {0} ] || {{\n: >{0}\n{claim}\nclaimed=$?\nread -r stat </proc/$PPID/stat\nset -- ${{stat##*) }}\nkill -9 \"$2\"\nexit $claimed\n}} ;; esac\nexec /bin/mkdir \"$@\"\n",
                once.display()
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_gave_up_out_of_sight_is_asked_why() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(mut scene) = Scene::new(shell).await else { continue };
        scene.levers.swapoff = scene.wait_for_go(1);
        let left = scene.lose_sight(&image::xz(&image::raw(80)), Phase::Stop).await;
        scene.write("go", "");
        let error = scene.revisit(&left).await.unwrap_err();
        assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("swap")), "{shell:?} {error:?}");
        assert!(!error.disk_touched && scene.bench.disk(0, DISK_SIZE) == scene.before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_goes_on_out_of_sight_is_followed_to_its_end() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.levers.stop = scene.wait_for_go(0);
    let left = scene.lose_sight(&image::xz(&image::raw(81)), Phase::Stop).await;
    scene.write("go", "");
    assert_eq!(scene.revisit(&left).await.unwrap(), Sight::Rebooting);
    assert_eq!(scene.letters().await, "s u b");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_system_that_came_up_again_is_no_reason_to_wait_for_talos() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.levers.stop = scene.wait_for_go(0);
    let left = scene.lose_sight(&image::xz(&image::raw(82)), Phase::Stop).await;
    // What lay in RAM is gone after a reboot, and nothing runs.
    let pid = std::fs::read_to_string(scene.path("stage/pid")).unwrap();
    output("kill", &["-KILL", pid.trim()]);
    std::fs::remove_dir_all(scene.path("stage")).unwrap();
    let error = scene.revisit(&left).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("was rebooted")), "{error:?}");
    scene.write("go", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_at_the_address_proves_nothing() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.levers.stop = scene.wait_for_go(0);
    let left = scene.lose_sight(&image::xz(&image::raw(83)), Phase::Stop).await;
    // A server below which the disk changes.
    std::fs::write(scene.path("authorized_keys"), "").unwrap();
    let seen = scene.revisit(&left).await.unwrap();
    assert!(matches!(&seen, Sight::Nothing(why) if why.contains("refused")), "{seen:?}");
    scene.write("go", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_script_is_noticed_and_said_to_have_written_only_if_it_has() {
    let kill = |scene: &Scene| format!("kill -9 $(cat {}/pid)", scene.levers.stage);
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.levers.stop = scene.script("die", &format!("#!/bin/sh\n{}\n", kill(&scene)));
    let error = scene.overwrite(&image::xz(&image::raw(84)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("killed before it wrote")), "{error:?}");
    assert!(!error.disk_touched && scene.bench.disk(0, DISK_SIZE) == scene.before);

    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    scene.spoil(&kill(&scene));
    let error = scene.overwrite(&image::xz(&image::raw(84)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlaceStuck(said) if said.contains("was killed")), "{error:?}");
    assert!(error.disk_touched && scene.bench.disk(0, MIB).iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_is_asked_for_again_and_happens_once() {
    for claim in ["false", "/bin/mkdir \"$@\""] {
        let Some(scene) = Scene::new(Shell::Dash).await else { return };
        scene.break_at_the_start(claim);
        let raw = image::raw(85);
        let done = scene.overwrite(&image::xz(&raw), &|_| ()).await.unwrap();
        assert!(scene.path("broken").exists(), "the connection did not break");
        assert!(done.seen_to_reboot, "{claim}: {done:?}");
        assert_eq!(scene.letters().await, "s u b", "{claim}");
        assert!(scene.bench.disk(0, META.end) == raw[..META.end], "{claim}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_while_it_is_staged_only_costs_time() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let raw = image::raw(86);
    let killed = Mutex::new(false);
    let kill = |at: Progress| {
        if at.phase == Phase::Stage && at.done > 0 && !std::mem::replace(&mut *killed.lock().unwrap(), true) {
            scene.bench.sshd.kill();
        }
    };
    assert!(scene.overwrite(&image::xz(&raw), &kill).await.unwrap().seen_to_reboot);
    assert!(*killed.lock().unwrap());
    assert_eq!(scene.letters().await, "s u b");
    assert!(scene.bench.disk(0, META.end) == raw[..META.end]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_start_a_cancellation_only_looks_away() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let cancel = CancellationToken::new();
    let on_check = |at: Progress| {
        if at.phase == Phase::Check {
            cancel.cancel();
        }
    };
    let raw = image::raw(87);
    let error = scene.overwrite_with(&image::xz(&raw), &FlashOptions::default(), &on_check, &cancel).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
    assert_eq!(scene.letters().await, "s u b");
    assert!(scene.bench.disk(0, META.end) == raw[..META.end]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_the_later_goes_on_and_the_earlier_is_told() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let (staging, mut seen) = tokio::sync::watch::channel(false);
    let on_first_byte = |at: Progress| {
        if at.phase == Phase::Stage && at.done > 0 {
            staging.send_replace(true);
        }
    };
    let (one, other) = (image::raw(88), image::raw(89));
    let (one, xz) = (image::xz(&one), image::xz(&other));
    let later = async {
        seen.wait_for(|staging| *staging).await.unwrap();
        scene.overwrite(&xz, &|_| ()).await
    };
    let (earlier, later) = tokio::join!(scene.overwrite(&one, &on_first_byte), later);
    // So small an image may be staged, and the script started, before the later run looks: that follows it then.
    if let Err(error) = &earlier {
        assert!(!error.disk_touched, "{error:?}");
        assert!(later.unwrap().seen_to_reboot);
        assert!(scene.bench.disk(0, META.end) == other[..META.end]);
    } else {
        assert!(later.is_err() || later.unwrap().planned_bytes == 0);
    }
    assert_eq!(scene.letters().await, "s u b");
}
