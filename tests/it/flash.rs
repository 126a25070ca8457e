//! Flashing through a real OpenSSH server to a sparse file, and to a loop device when the tests run as root.

mod boot;
pub mod image;
mod in_place;
mod in_place_vm;
mod interrupted;
mod prepared;
mod pull;
mod session;
pub mod sshd;
mod zeros;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use talosoci::client::cache::PreparedImage;
use talosoci::client::rescue::flash::{Cause, FlashError, FlashOptions, Flashed, Phase, Progress, flash};
use talosoci::client::rescue::probe::{Requirements, probe, refuse};
use talosoci::client::rescue::session::{Session, SessionError};
use talosoci::disk_image::Digest;
use talosoci::talos::image::Architecture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cache::Store;
use image::{META, MIB, RAW_SIZE};
use sshd::{Shell, Sshd, output, skip};

/// Larger than the image, and not a round number of MiB.
const DISK_SIZE: usize = 40 * MIB + 3 * 512;

#[tokio::test(flavor = "multi_thread")]
async fn a_flashed_disk_holds_the_image_byte_for_byte() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(bench) = Bench::new(shell, &[]).await else { continue };
        let raw = image::raw(1);
        let xz = image::xz(&raw);
        let phases = Mutex::new(Vec::new());
        let seen = |progress: Progress| {
            let mut phases = phases.lock().unwrap();
            if phases.last() != Some(&progress.phase) {
                phases.push(progress.phase);
            }
        };
        let flashed = bench.flash_with(&source(&xz).await, &FlashOptions::default(), &seen).await.unwrap();
        assert_eq!(flashed.raw_bytes as usize, RAW_SIZE);
        assert_eq!(flashed.compressed_sha256, Digest::of(&xz));
        assert!(flashed.written_bytes < 12 * MIB as u64, "{flashed:?}");
        assert!(bench.disk(0, RAW_SIZE) == raw, "{shell:?}");
        assert_eq!(
            *phases.lock().unwrap(),
            [Phase::Wipe, Phase::Write, Phase::Zero, Phase::Verify, Phase::Finish],
            "{shell:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncompressed_image_will_do_as_well() {
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    let raw = image::raw(3);
    bench.flash(&source(&raw).await).await.unwrap();
    assert!(bench.disk(0, RAW_SIZE) == raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_a_disk_that_does_not_boot() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    let image = source(&image::xz(&image::raw(4))).await;
    let started = Instant::now();
    let error = bench.flash_killed(&image, Phase::Write, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Session(_)), "{error:?}");
    assert_eq!(error.phase, Phase::Write);
    assert!(started.elapsed() < Duration::from_secs(15));
    bench.assert_unbootable(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_goes_on_after_a_broken_connection() {
    let raw = image::raw(5);
    let xz = image::xz(&raw);
    let image = source(&xz).await;
    for phase in [Phase::Wipe, Phase::Write, Phase::Zero, Phase::Verify, Phase::Finish] {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
        let flashed = bench.flash_killed(&image, phase, Duration::from_secs(60)).await.unwrap();
        assert_eq!(flashed.compressed_sha256, Digest::of(&xz));
        assert!(bench.disk(0, META.end) == raw[..META.end], "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_flash_goes_on_where_a_broken_one_stopped() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    let raw = image::raw(5);
    let image = source(&image::xz(&raw)).await;
    bench.flash_killed(&image, Phase::Zero, Duration::ZERO).await.unwrap_err();
    let flashed = bench.flash(&image).await.unwrap();
    assert!(bench.disk(0, META.end) == raw[..META.end]);
    // All data was there, so only the head was missing.
    assert_eq!(flashed.written_bytes, MIB as u64);
    assert!(flashed.kept_bytes > 6 * MIB as u64, "{flashed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_holds_the_image_is_only_read() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    let raw = image::raw(6);
    bench.flash(&source(&raw).await).await.unwrap();
    let before = bench.disk(0, DISK_SIZE);
    let flashed = bench.flash(&source(&raw).await).await.unwrap();
    assert_eq!((flashed.written_bytes, flashed.zeroed_bytes), (0, 0));
    assert!(flashed.verified_bytes > flashed.kept_bytes);
    assert!(bench.disk(0, DISK_SIZE) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flaw_in_a_flashed_disk_is_mended() {
    // In the data, and in zeros of a partition.
    for at in [12 * MIB + 5, 18 * MIB] {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
        let raw = image::raw(7);
        bench.flash(&source(&raw).await).await.unwrap();
        bench.flip(at);
        let wiped = Mutex::new(false);
        let seen = |progress: Progress| *wiped.lock().unwrap() |= progress.phase == Phase::Wipe;
        bench.flash_with(&source(&raw).await, &FlashOptions::default(), &seen).await.unwrap();
        assert!(bench.disk(0, META.end) == raw[..META.end]);
        assert!(*wiped.lock().unwrap(), "it must not boot meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mending_a_disk_no_larger_than_the_image_leaves_its_backup_table() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(RAW_SIZE)).await else { return };
    let raw = image::raw(24);
    bench.flash(&source(&raw).await).await.unwrap();
    bench.flip(18 * MIB);
    bench.flash(&source(&raw).await).await.unwrap();
    assert!(bench.disk(0, META.end) == raw[..META.end]);
    let backup = RAW_SIZE - 33 * 512;
    assert!(bench.disk(backup, 33 * 512) == raw[backup..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_flash_ends_an_old_one_of_the_same_disk() {
    for shell in [Shell::Dash, Shell::Bash, Shell::Busybox] {
        let Some(bench) = Bench::new(shell, &[]).await else { continue };
        if output("id", &["-u"]) != "0" {
            return skip("/run is root's");
        }
        let raw = image::raw(8);
        let image = source(&image::xz(&raw)).await;
        let (writing, mut seen) = watch::channel(false);
        let tell = |progress: Progress| {
            if progress.phase == Phase::Write && progress.done > 0 && !*writing.borrow() {
                bench.stop_script();
                writing.send_replace(true);
            }
        };
        let options = FlashOptions::default();
        let old = bench.flash_with(&image, &options, &tell);
        let new = async {
            seen.wait_for(|writing| *writing).await.unwrap();
            bench.flash(&image).await
        };
        let (old, new) = tokio::join!(old, new);
        new.unwrap();
        assert!(matches!(old.unwrap_err().cause, Cause::Session(SessionError::EndedEarly { .. })), "{shell:?}");
        assert!(bench.disk(0, META.end) == raw[..META.end]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_of_a_disk_touches_nothing() {
    let raw = image::raw(8);
    let mut unpartitioned = raw.clone();
    unpartitioned[512] = 0;
    let short = &raw[..RAW_SIZE - MIB];
    let long = [raw.clone(), vec![0; MIB]].concat();
    let before = image::garbage(DISK_SIZE);
    for bytes in [&unpartitioned[..], &vec![0; RAW_SIZE], short, &long] {
        let Some(bench) = Bench::new(Shell::Dash, &before).await else { return };
        let error = bench.flash(&source(&image::xz(bytes)).await).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Partitions(_) | Cause::WrongSize { .. }), "{error:?}");
        assert!(
            !error.disk_touched && error.hints().iter().any(|hint| hint.contains("nothing was written")),
            "{error:?}"
        );
        assert!(bench.disk(0, DISK_SIZE) == before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_larger_than_the_disk_touches_nothing() {
    let before = image::garbage(20 * MIB);
    let Some(bench) = Bench::new(Shell::Dash, &before).await else { return };
    let error = bench.flash(&source(&image::xz(&image::raw(9))).await).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::TooLarge { needed, size } if (needed, size) == (RAW_SIZE as u64, 20 << 20)),
        "{error:?}"
    );
    assert!(bench.disk(0, 20 * MIB) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_ends_too_early_says_so() {
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    bench.sshd.shim(
        "dd",
        "#!/bin/sh\nfor word; do case $word in seek=1[0-9]) echo \"dd: error writing 'disk': No space left on device\" >&2; exit 1;; esac; done\nexec /bin/dd \"$@\"\n",
    );
    let error = bench.flash(&source(&image::xz(&image::raw(10))).await).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Remote(said) if said.contains("No space left on device")), "{error:?}");
    assert!(error.hints()[0].contains("right disk"), "{:?}", error.hints());
    bench.assert_unbootable(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_system_says_so() {
    if output("id", &["-u"]) != "0" {
        return skip("mounting a small tmpfs needs root");
    }
    let Some(bench) = Bench::new(Shell::Dash, &[]).await else { return };
    let small = bench.sshd.path("small");
    std::fs::create_dir(&small).unwrap();
    output("mount", &["-t", "tmpfs", "-o", "size=6m", "tmpfs", small.to_str().unwrap()]);
    let bench = Bench { disk: small.join("disk"), ..bench };
    File::create(&bench.disk).unwrap().set_len(DISK_SIZE as u64).unwrap();
    let error = bench.flash(&source(&image::xz(&image::raw(11))).await).await.unwrap_err();
    output("umount", &["-l", small.to_str().unwrap()]);
    assert!(matches!(&error.cause, Cause::Remote(said) if said.contains("No space left on device")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_changed_on_the_disk_is_found() {
    let raw = image::raw(12);
    // In the data, in zeros of a partition, and in what was wiped at the end of the disk.
    for at in [12 * MIB + 5, 18 * MIB, DISK_SIZE - 600] {
        let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
        let flip = |progress: Progress| {
            if progress.phase == Phase::Verify && progress.done == 0 {
                bench.flip(at);
            }
        };
        let error =
            bench.flash_with(&source(&image::xz(&raw)).await, &FlashOptions::default(), &flip).await.unwrap_err();
        assert!(
            matches!(
                error.cause,
                Cause::ReadBack { offset, len, .. } | Cause::NotEmpty { offset, len }
                    if (offset..offset + len).contains(&(at as u64))
            ),
            "{error:?}"
        );
        bench.assert_unbootable(&error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_flash_ends_at_once() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE)).await else { return };
    let image = source(&image::xz(&image::raw(13))).await;
    let session = bench.sshd.session().await;
    let facts = probe(&session, bench.disk.to_str().unwrap()).await.unwrap();
    let cancel = CancellationToken::new();
    let asked = Mutex::new(None);
    let on_first_write = |progress: Progress| {
        if progress.phase == Phase::Write && progress.done > 0 {
            asked.lock().unwrap().get_or_insert_with(Instant::now);
            cancel.cancel();
        }
    };
    let error = flash(&session, &facts, &image, &FlashOptions::default(), &on_first_write, &cancel).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
    assert!(asked.lock().unwrap().unwrap().elapsed() < Duration::from_secs(1));
    bench.assert_unbootable(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_device_is_flashed_as_a_disk() {
    let Some(bench) = Bench::new(Shell::Dash, &image::garbage(DISK_SIZE / MIB * MIB)).await else { return };
    let Some(device) = LoopDevice::attach(&bench.disk) else { return };
    let session = bench.sshd.session().await;
    let facts = probe(&session, &device.0).await.unwrap();
    let mut requirements =
        Requirements::new(if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::Amd64 });
    requirements.image_size = Some(RAW_SIZE as u64);
    refuse(&facts, &requirements).unwrap();
    let raw = image::raw(15);
    let cancel = CancellationToken::new();
    let flashed = flash(&session, &facts, &source(&image::xz(&raw)).await, &FlashOptions::default(), &|_| (), &cancel)
        .await
        .unwrap();
    assert!(flashed.verified_bytes > 0);
    assert!(bench.disk(0, META.end) == raw[..META.end]);
}

/// A server and a disk behind it.
struct Bench {
    sshd: Sshd,
    disk: PathBuf,
}

impl Bench {
    async fn new(shell: Shell, content: &[u8]) -> Option<Self> {
        let sshd = Sshd::start(shell)?;
        let disk = sshd.path("disk.img");
        if content.is_empty() {
            File::create(&disk).unwrap().set_len(DISK_SIZE as u64).unwrap();
        } else {
            std::fs::write(&disk, content).unwrap();
        }
        Some(Self { sshd, disk })
    }

    async fn flash(&self, image: &PreparedImage) -> Result<Flashed, FlashError> {
        self.flash_with(image, &FlashOptions::default(), &|_| ()).await
    }

    async fn flash_with(
        &self,
        image: &PreparedImage,
        options: &FlashOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Flashed, FlashError> {
        let session = self.sshd.session().await;
        self.flash_on(&session, image, options, progress).await
    }

    async fn flash_on(
        &self,
        session: &Session,
        image: &PreparedImage,
        options: &FlashOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Flashed, FlashError> {
        let facts = probe(session, self.disk.to_str().unwrap()).await.unwrap();
        refuse(&facts, &Requirements::new(Architecture::Arm64).on_a_file()).unwrap();
        flash(session, &facts, image, options, progress, &CancellationToken::new()).await
    }

    /// Kills the server in the given phase: while writing, once a part of the image is on the disk; in other phases, at their
    /// beginning.
    async fn flash_killed(
        &self,
        image: &PreparedImage,
        phase: Phase,
        patience: Duration,
    ) -> Result<Flashed, FlashError> {
        let done = Mutex::new(false);
        let kill = |progress: Progress| {
            let now = progress.phase == phase && (progress.done > 0 || phase != Phase::Write);
            if now && !std::mem::replace(&mut *done.lock().unwrap(), true) {
                self.sshd.kill();
            }
        };
        let options = FlashOptions { patience, ..FlashOptions::default() };
        self.flash_with(image, &options, &kill).await
    }

    /// Lets the script that works on the disk go no further.
    fn stop_script(&self) {
        let note = format!("/run/talosoci-flash-{}", self.disk.display().to_string().replace('/', "!"));
        let group = std::fs::read_to_string(note).unwrap();
        output("kill", &["-s", "STOP", "--", &format!("-{}", group.trim())]);
    }

    fn flip(&self, at: usize) {
        let mut byte = self.disk(at, 1);
        byte[0] ^= 0x10;
        OpenOptions::new().write(true).open(&self.disk).unwrap().write_all_at(&byte, at as u64).unwrap();
    }

    fn disk(&self, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        File::open(&self.disk).unwrap().read_exact_at(&mut bytes, at as u64).unwrap();
        bytes
    }

    fn assert_unbootable(&self, error: &FlashError) {
        assert!(error.disk_touched);
        assert!(self.disk(0, MIB).iter().all(|byte| *byte == 0), "{error:?}");
        assert!(error.hints().last().unwrap().contains("does not boot"), "{:?}", error.hints());
    }
}

/// An image as the cache hands it out; its file has no name any more.
async fn source(bytes: &[u8]) -> PreparedImage {
    Store::with(bytes.to_vec()).await.prepare().await.unwrap()
}

struct LoopDevice(String);

impl LoopDevice {
    fn attach(file: &Path) -> Option<Self> {
        if output("id", &["-u"]) != "0" {
            skip("loop devices need root");
            return None;
        }
        let device = output("losetup", &["--find", "--show", file.to_str().unwrap()]);
        if device.is_empty() {
            skip("no free loop device");
            return None;
        }
        Some(Self(device))
    }

    /// Whether it can be asked to.
    fn forgets(&self) -> bool {
        let limit = self.0.replace("/dev/", "/sys/class/block/") + "/queue/discard_max_bytes";
        std::fs::read_to_string(limit).is_ok_and(|bytes| bytes.trim() != "0")
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        output("losetup", &["--detach", &self.0]);
    }
}
