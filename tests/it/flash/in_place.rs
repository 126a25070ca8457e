//! The running system is overwritten: the real scripts, with levers that pull at files instead of the machine.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use talosoci::client::rescue::flash::{
    Cause, FlashError, FlashOptions, Levers, Overwrite, Phase, Progress, System, overwrite,
};
use talosoci::client::rescue::probe::{Facts, Ground, Needs, Refusal, Requirements, probe, refuse_in_place, survey};
use talosoci::client::rescue::session::Session;
use talosoci::disk_image::ZeroMode;
use talosoci::talos::image::Architecture;
use tokio_util::sync::CancellationToken;

use super::image::{self, EFI, META, MIB, RAW_SIZE};
use super::sshd::{Shell, Sshd, output, skip};
use super::{Bench, DISK_SIZE, LoopDevice, source};

mod sight;

const NEEDS: Needs = Needs { payload: 16 << 20 };

/// Far more than any of these takes.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_holds_the_image_and_the_kernel_was_asked_in_order() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(scene) = Scene::new(shell).await else { continue };
        let raw = image::raw(51);
        let phases = Mutex::new(Vec::new());
        let seen = |at: Progress| {
            let mut phases = phases.lock().unwrap();
            if phases.last() != Some(&at.phase) {
                phases.push(at.phase);
            }
        };
        let done = scene.overwrite(&image::xz(&raw), &seen).await.unwrap();
        assert!(done.seen_to_reboot && done.planned_bytes > 7 << 20, "{done:?}");
        assert_eq!(scene.letters().await, "s u b", "{shell:?}");
        assert!(scene.stopped());
        for range in [0..EFI.start, EFI, META, RAW_SIZE - 33 * 512..RAW_SIZE] {
            assert!(scene.bench.disk(range.start, range.len()) == raw[range.clone()], "{shell:?} {range:?}");
        }
        assert!(scene.bench.disk(DISK_SIZE - MIB, MIB).iter().all(|byte| *byte == 0), "an old table would be found");
        use Phase::{Check, Finish, Stage, Stop, Verify, Wipe, Write};
        assert_eq!(*phases.lock().unwrap(), [Stage, Check, Stop, Wipe, Write, Verify, Finish], "{shell:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_zeros_are_written_where_that_is_wanted() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let raw = image::raw(52);
    let options = FlashOptions { zero: ZeroMode::All, ..FlashOptions::default() };
    scene.overwrite_with(&image::xz(&raw), &options, &|_| (), &CancellationToken::new()).await.unwrap();
    scene.letters().await;
    assert!(scene.bench.disk(0, RAW_SIZE) == raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_device_is_overwritten_from_a_real_tmpfs() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    let Some(device) = LoopDevice::attach(&scene.bench.disk) else { return };
    scene.levers.mount = "mount".to_owned();
    scene.device = Some(device.0.clone());
    let mounted = Mounted(scene.levers.stage.clone());
    let raw = image::raw(53);
    let done = scene.overwrite(&image::xz(&raw), &|_| ()).await.unwrap();
    assert!(done.seen_to_reboot);
    assert_eq!(scene.letters().await, "s u b");
    let tmpfs = output("stat", &["-f", "-c", "%T", &scene.levers.stage]);
    assert_eq!(tmpfs, "tmpfs");
    drop((mounted, device));
    assert!(scene.bench.disk(0, META.end) == raw[..META.end]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_when_the_connection_breaks_right_after_the_start() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(scene) = Scene::new(shell).await else { continue };
        let raw = image::raw(54);
        let killed = Mutex::new(false);
        let kill = |at: Progress| {
            if at.phase == Phase::Check && !std::mem::replace(&mut *killed.lock().unwrap(), true) {
                scene.bench.sshd.kill();
            }
        };
        let done = scene.overwrite(&image::xz(&raw), &kill).await.unwrap();
        assert!(!done.seen_to_reboot, "{shell:?}");
        assert_eq!(scene.letters().await, "s u b", "{shell:?}");
        assert!(scene.bench.disk(0, META.end) == raw[..META.end], "{shell:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_at_work_is_followed_not_started_again() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    let go = scene.path("go");
    scene.levers.stop =
        scene.script("wait", &format!("#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.1; done\n", go.display()));
    let raw = image::raw(55);
    let xz = image::xz(&raw);
    let killed = Mutex::new(false);
    let kill = |at: Progress| {
        if at.phase == Phase::Stop && !std::mem::replace(&mut *killed.lock().unwrap(), true) {
            scene.bench.sshd.kill();
        }
    };
    let first = scene.overwrite(&xz, &kill).await.unwrap();
    let release = |at: Progress| {
        if at.phase == Phase::Stop {
            std::fs::write(&go, "").unwrap();
        }
    };
    let second = scene.overwrite(&xz, &release).await.unwrap();
    assert_eq!((first.seen_to_reboot, second.seen_to_reboot, second.planned_bytes), (false, true, 0));
    assert_eq!(scene.letters().await, "s u b");
    assert!(scene.bench.disk(0, META.end) == raw[..META.end]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_ram_is_refused_before_anything_is_stopped() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    // Between the check over the wire and the start.
    scene.bench.sshd.shim(
        "setsid",
        &format!("#!/bin/sh\nprintf X | /bin/dd of=\"$stage/payload\" bs=1 seek={} conv=notrunc 2>/dev/null\nexec /usr/bin/setsid \"$@\"\n", 12 * MIB + 5),
    );
    let error = scene.overwrite(&image::xz(&image::raw(56)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("staged in RAM is damaged")), "{error:?}");
    scene.assert_untouched(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_damaged_in_ram_is_refused_before_anything_is_started() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    scene.bench.sshd.shim(
        "dd",
        &format!("#!/bin/sh\n{MAPS}/bin/dd \"$@\"\nstatus=$?\ncase \"$*\" in *of=*payload*seek=12*) printf X | /bin/dd of={}/payload bs=1 seek={} conv=notrunc 2>/dev/null ;; esac\nexit $status\n", scene.levers.stage, 12 * MIB + 5),
    );
    let error = scene.overwrite(&image::xz(&image::raw(57)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::ReadBack { .. }), "{error:?}");
    scene.assert_untouched(&error);
    assert!(!PathBuf::from(&scene.levers.stage).exists(), "the RAM was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_image_is_not_even_staged() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let error = scene.overwrite(&image::raw(58)[..31 * MIB], &|_| ()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::WrongSize { .. }), "{error:?}");
    scene.assert_untouched(&error);
    assert!(!PathBuf::from(&scene.levers.stage).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_systems_that_stay_writable_stop_it_before_the_first_write() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.write("mountinfo", "21 1 9:9 / / rw,relatime shared:1 - ext4 /dev/pretend1 rw,discard\n");
    scene.levers.patience = Duration::from_secs(1);
    let error = scene.overwrite(&image::xz(&image::raw(59)), &|_| ()).await.unwrap_err();
    assert!(
        matches!(&error.cause, Cause::InPlace(said) if said.contains("/ is still mounted for writing")),
        "{error:?}"
    );
    assert!(!error.disk_touched && scene.bench.disk(0, DISK_SIZE) == scene.before);
    assert_eq!(std::fs::read_to_string(&scene.levers.trigger).unwrap(), "s\nu\n", "it may not reboot");
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_that_cannot_be_given_up_stops_it_before_the_first_write() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    scene.levers.swapoff = "false".to_owned();
    let error = scene.overwrite(&image::xz(&image::raw(60)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("swap")), "{error:?}");
    assert!(!error.disk_touched && scene.bench.disk(0, DISK_SIZE) == scene.before);
    assert_eq!(std::fs::read_to_string(&scene.levers.trigger).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_that_gave_up_left_is_in_nobodys_way() {
    let Some(mut scene) = Scene::new(Shell::Dash).await else { return };
    if output("id", &["-u"]) != "0" {
        return skip("mounting needs root");
    }
    let stage = scene.levers.stage.clone();
    let _mounted = Mounted(stage.clone());
    scene.levers.mount = "mount".to_owned();
    scene.levers.swapoff = "false".to_owned();
    let xz = image::xz(&image::raw(66));
    scene.overwrite(&xz, &|_| ()).await.unwrap_err();
    // As the `tail` that followed it: it ends at the next line only, which never comes.
    let reader = std::fs::File::open(scene.path("stage/log")).unwrap();
    let root = std::fs::read_to_string(scene.path("mountinfo")).unwrap();
    scene.write("mountinfo", &format!("{root}22 21 0:50 / {stage} rw,relatime - tmpfs talosoci rw\n"));
    scene.levers.swapoff = "true".to_owned();
    assert!(scene.overwrite(&xz, &|_| ()).await.unwrap().seen_to_reboot);
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_was_not_written_right_is_written_again() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    scene.spoil(&format!("[ ! -e {0} ] && : >{0}", scene.path("spoiled").display()));
    let raw = image::raw(61);
    scene.overwrite(&image::xz(&raw), &|_| ()).await.unwrap();
    assert_eq!(scene.letters().await, "s u b");
    assert!(scene.path("spoiled").exists() && scene.bench.disk(0, META.end) == raw[..META.end]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_never_returns_what_was_written_does_not_boot_and_is_not_rebooted() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    scene.spoil("true");
    let error = scene.overwrite(&image::xz(&image::raw(62)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlaceStuck(said) if said.contains("after 3 attempts")), "{error:?}");
    assert!(error.disk_touched);
    let hints = error.hints().join("; ");
    assert!(hints.contains("must not be rebooted") && hints.contains("attach its boot volume"), "{hints}");
    assert!(scene.bench.disk(0, MIB).iter().all(|byte| *byte == 0), "it would boot");
    assert_eq!(std::fs::read_to_string(&scene.levers.trigger).unwrap(), "s\nu\n");
    // Nor is it started again, with tools from a disk that is no more.
    let session = scene.session().await;
    let facts = scene.facts(&session).await;
    let ground = survey(&session, &facts, &scene.levers).await.unwrap();
    let refusal = refuse_in_place(&facts, &ground, &requirements(), NEEDS).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::HalfOverwritten { said, .. } if said.contains("after 3 attempts")),
        "{refusal:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_whose_first_mib_cannot_be_emptied_gets_nothing_else() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let disk = scene.bench.disk.display();
    let refuses =
        format!("#!/bin/sh\n{MAPS}case \"$*\" in *\"of={disk} \"*\"seek=0 \"*) exit 1 ;; esac\nexec /bin/dd \"$@\"\n");
    scene.bench.sshd.shim("dd", &refuses);
    let error = scene.overwrite(&image::xz(&image::raw(65)), &|_| ()).await.unwrap_err();
    assert!(
        matches!(&error.cause, Cause::InPlaceStuck(said) if said.contains("nothing else was written")),
        "{error:?}"
    );
    let between = DISK_SIZE - MIB;
    assert!(scene.bench.disk(0, between) == scene.before[..between]);
    assert_eq!(std::fs::read_to_string(&scene.levers.trigger).unwrap(), "s\nu\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_staging_leaves_nothing_behind() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    let cancel = CancellationToken::new();
    let on_first_byte = |at: Progress| {
        if at.phase == Phase::Stage && at.done > 0 {
            cancel.cancel();
        }
    };
    let xz = image::xz(&image::raw(63));
    let began = Instant::now();
    let error = scene.overwrite_with(&xz, &FlashOptions::default(), &on_first_byte, &cancel).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cancelled) && began.elapsed() < LONG, "{error:?}");
    scene.assert_untouched(&error);
    assert!(!PathBuf::from(&scene.levers.stage).exists(), "the RAM was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_memory_and_a_missing_trigger_are_refused() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(mut scene) = Scene::new(shell).await else { continue };
        let session = scene.session().await;
        let facts = scene.facts(&session).await;
        let ground = survey(&session, &facts, &scene.levers).await.unwrap();
        assert_eq!(refuse_in_place(&facts, &ground, &requirements(), NEEDS), Ok(()), "{shell:?} {ground:?}");
        scene.write("meminfo", "MemTotal: 1000000 kB\nMemAvailable:      65536 kB\n");
        let ground = survey(&session, &facts, &scene.levers).await.unwrap();
        let refusal = refuse_in_place(&facts, &ground, &requirements(), NEEDS).unwrap_err();
        assert!(matches!(refusal, Refusal::LittleMemory { available, .. } if available == 64 << 20), "{refusal:?}");
        scene.write("meminfo", MEMORY);
        scene.levers.trigger = scene.path("nowhere/trigger").display().to_string();
        let ground = survey(&session, &facts, &scene.levers).await.unwrap();
        assert_eq!(refuse_in_place(&facts, &ground, &requirements(), NEEDS), Err(Refusal::NoSysrq));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_do_not_work_from_ram_are_refused() {
    let Some(scene) = Scene::new(Shell::Dash).await else { return };
    scene.bench.sshd.shim("ldd", "#!/bin/sh\nexit 1\n");
    scene.bench.sshd.shim("busybox", "#!/bin/sh\nexit 1\n");
    scene
        .bench
        .sshd
        .shim("sha256sum", "#!/bin/sh\ncase $0 in *stage*) exit 1 ;; esac\nexec /usr/bin/sha256sum \"$@\"\n");
    let error = scene.overwrite(&image::xz(&image::raw(64)), &|_| ()).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::InPlace(said) if said.contains("do not work from RAM")), "{error:?}");
    scene.assert_untouched(&error);
}

const MEMORY: &str = "MemTotal:       1000000 kB\nMemAvailable:    900000 kB\n";

/// A script that stands for dd has no map of its own to show.
const MAPS: &str = "case \"$*\" in *if=/proc/self/maps*) exit 0 ;; esac\n";

fn requirements() -> Requirements {
    Requirements::new(Architecture::Arm64).on_a_file()
}

/// A machine that only seems to run from the disk that is overwritten.
struct Scene {
    bench: Bench,
    levers: Levers,
    before: Vec<u8>,
    /// What stands for the disk, when it is not the file itself.
    device: Option<String>,
}

impl Scene {
    async fn new(shell: Shell) -> Option<Self> {
        let sshd = Sshd::start(shell)?;
        for tool in ["setsid", "ldd", "tail"] {
            if !["/usr/bin", "/bin"].iter().any(|folder| PathBuf::from(folder).join(tool).exists()) {
                skip(&format!("no {tool}"));
                return None;
            }
        }
        let disk = sshd.path("disk.img");
        std::fs::write(&disk, image::garbage(DISK_SIZE)).unwrap();
        let at = |name: &str| sshd.path(name).display().to_string();
        let levers = Levers {
            stage: at("stage"),
            mount: "true".to_owned(),
            trigger: at("trigger"),
            mountinfo: at("mountinfo"),
            meminfo: at("meminfo"),
            stop: format!("touch {}", at("stopped")),
            swapoff: "true".to_owned(),
            seal: "true".to_owned(),
            patience: Duration::from_secs(20),
            tries: 3,
        };
        let bench = Bench { sshd, disk };
        let before = bench.disk(0, DISK_SIZE);
        let scene = Self { bench, levers, before, device: None };
        scene.write("trigger", "");
        scene.write("mountinfo", "21 1 9:9 / / rw,relatime shared:1 - ext4 /dev/pretend1 ro,discard\n");
        scene.write("meminfo", MEMORY);
        Some(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.sshd.path(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn script(&self, name: &str, text: &str) -> String {
        self.write(name, text);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        self.path(name).display().to_string()
    }

    /// Lets a byte change after its block was written, while `condition` holds.
    fn spoil(&self, condition: &str) {
        let disk = self.bench.disk.display();
        self.bench.sshd.shim(
            "dd",
            &format!("#!/bin/sh\n{MAPS}/bin/dd \"$@\"\nstatus=$?\ncase \"$*\" in *of={disk}*seek=10*) {condition} && printf X | /bin/dd of={disk} bs=1 seek={} conv=notrunc 2>/dev/null ;; esac\nexit $status\n", 12 * MIB + 5),
        );
    }

    async fn session(&self) -> Session {
        self.bench.sshd.session().await
    }

    async fn facts(&self, session: &Session) -> Facts {
        let disk = self.device.clone().unwrap_or_else(|| self.bench.disk.display().to_string());
        probe(session, &disk).await.unwrap()
    }

    async fn overwrite(
        &self,
        bytes: &[u8],
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Overwrite, FlashError> {
        self.overwrite_with(bytes, &FlashOptions::default(), progress, &CancellationToken::new()).await
    }

    async fn overwrite_with(
        &self,
        bytes: &[u8],
        options: &FlashOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<Overwrite, FlashError> {
        let session = self.session().await;
        let facts = self.facts(&session).await;
        let ground: Ground = survey(&session, &facts, &self.levers).await.unwrap();
        let system = System { facts: &facts, ground: &ground, needs: NEEDS, levers: &self.levers };
        overwrite(&session, system, &source(bytes).await, options, progress, cancel).await
    }

    /// What the kernel was asked, once it was asked to reboot.
    async fn letters(&self) -> String {
        let began = Instant::now();
        loop {
            let letters = std::fs::read_to_string(&self.levers.trigger).unwrap();
            if letters.contains('b') {
                return letters.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            let log = std::fs::read_to_string(self.path("stage/log")).unwrap_or_default();
            assert!(began.elapsed() < LONG, "{letters:?}, {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn stopped(&self) -> bool {
        self.path("stopped").exists()
    }

    fn assert_untouched(&self, error: &FlashError) {
        assert!(!error.disk_touched && !self.stopped(), "{error:?}");
        assert!(self.bench.disk(0, DISK_SIZE) == self.before);
        assert_eq!(std::fs::read_to_string(&self.levers.trigger).unwrap(), "");
    }
}

/// A tmpfs that goes with the test.
struct Mounted(String);

impl Drop for Mounted {
    fn drop(&mut self) {
        output("umount", &["-l", &self.0]);
    }
}
