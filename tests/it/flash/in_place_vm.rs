//! The running system of a virtual machine is overwritten: its own kernel is asked by sysrq, its own root file system is what
//! the script stands on. Nothing is pretended but the processor.
//!
//! Needs QEMU, and an unpacked Debian kernel package in `TALOSOCI_TEST_KERNEL` (`.ci/run` fetches one).

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use talosoci::client::rescue::flash::{FlashOptions, Levers, Phase, Progress, System, overwrite};
use talosoci::client::rescue::probe::{Needs, Requirements, probe, refuse_in_place, survey};
use talosoci::client::rescue::session::{Auth, HostKeyPolicy, Session, Target};
use talosoci::talos::image::Architecture;
use talosoci::talos::secret::Secret;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::image::{self, META, MIB, RAW_SIZE};
use super::source;
use super::sshd::{keygen, skip};

/// A processor made of software takes its time.
const LONG: Duration = Duration::from_secs(600);

/// There is no such device on any real machine: a mistake in the address would find nothing to overwrite.
const DISK: &str = "/dev/victim";

#[tokio::test(flavor = "multi_thread")]
async fn a_running_linux_is_overwritten_below_its_feet() {
    overwritten(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_linux_goes_on_to_overwrite_itself_when_nobody_listens_any_more() {
    overwritten(Some(Phase::Stop)).await;
}

/// Overwrites a machine, and lets go of it in a phase.
async fn overwritten(let_go: Option<Phase>) {
    let Some(mut machine) = Machine::start() else { return };
    let session = machine.session().await;
    let facts = probe(&session, DISK).await.unwrap();
    assert!(facts.kernel.ends_with("-cloud-amd64") && facts.disk.holds_root, "this is not the machine: {facts:?}");
    let levers = Levers::default();
    let needs = Needs { payload: 16 << 20 };
    let ground = survey(&session, &facts, &levers).await.unwrap();
    let mut wanted = Requirements::new(Architecture::Amd64);
    wanted.image_size = Some(RAW_SIZE as u64);
    refuse_in_place(&facts, &ground, &wanted, needs).unwrap();
    let raw = image::raw(71);
    let (enter, mut phase) = tokio::sync::watch::channel(Phase::Prepare);
    let tell = |at: Progress| {
        enter.send_replace(at.phase);
    };
    let system = System { facts: &facts, ground: &ground, needs, levers: &levers };
    let cancel = CancellationToken::new();
    let options = FlashOptions::default();
    let image = source(&image::xz(&raw)).await;
    let work = overwrite(&session, system, &image, &options, &tell, &cancel);
    tokio::select! {
        // Whether the end is seen does not matter: a machine without a disk may fall silent at any time.
        done = work => drop(done.unwrap()),
        _ = phase.wait_for(|phase| Some(*phase) == let_go) => {}
    }
    drop(session);
    machine.wait_for_reboot();
    let disk = machine.disk();
    assert!(disk[..META.end] == raw[..META.end], "first difference at {:?}", difference(&disk, &raw[..META.end]));
    let backup = RAW_SIZE - 33 * 512..RAW_SIZE;
    assert!(disk[backup.clone()] == raw[backup]);
    assert!(disk[disk.len() - MIB..].iter().all(|byte| *byte == 0), "the old table is still there");
}

fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one != other)
}

/// A virtual machine that runs from ext4 on its disk, and writes to it all the time.
struct Machine {
    folder: TempDir,
    port: u16,
    qemu: Child,
}

impl Machine {
    fn start() -> Option<Self> {
        let Some(kernel) = std::env::var_os("TALOSOCI_TEST_KERNEL") else {
            skip("TALOSOCI_TEST_KERNEL names no unpacked Debian kernel package");
            return None;
        };
        for tool in ["qemu-system-x86_64", "busybox", "sfdisk", "mke2fs", "sshd"] {
            if !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().any(|folder| Path::new(folder).join(tool).exists()) {
                skip(&format!("no {tool}"));
                return None;
            }
        }
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["host_ed25519", "user"] {
            keygen(&at(name), "ed25519", &[]);
        }
        std::fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let built = Command::new("/bin/sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flash/vm/build.sh"))
            .arg(folder.path())
            .arg(PathBuf::from(kernel))
            .arg(folder.path())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .status()
            .unwrap();
        assert!(built.success(), "the machine could not be built");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let console = File::create(at("console")).unwrap();
        let qemu = Command::new("qemu-system-x86_64")
            .args([
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-machine",
                "q35",
                "-m",
                "512",
                "-smp",
                "2",
                "-nographic",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(at("kernel"))
            .arg("-initrd")
            .arg(at("initrd"))
            .args(["-append", "console=ttyS0 panic=-1 quiet"])
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", at("disk").display()))
            .arg("-netdev")
            .arg(format!("user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"))
            .args(["-device", "virtio-net-pci,netdev=n"])
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        Some(Self { folder, port, qemu })
    }

    /// Its host key is pinned: no other machine is spoken to.
    async fn session(&self) -> Session {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        let target = Target {
            host: "127.0.0.1".into(),
            port: self.port,
            user: "root".into(),
            auth: Auth::PrivateKey(Secret::new(read("user"))),
            host_key: HostKeyPolicy::Pinned(vec![read("host_ed25519.pub")]),
        };
        let began = Instant::now();
        loop {
            match Session::connect(&target, Duration::from_secs(20)).await {
                Ok(session) => return session,
                Err(error) => assert!(began.elapsed() < LONG, "{error}\n{}", self.console()),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// QEMU ends instead of rebooting.
    fn wait_for_reboot(&mut self) {
        let began = Instant::now();
        while self.qemu.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LONG, "it does not reboot\n{}", self.console());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn disk(&self) -> Vec<u8> {
        let file = File::open(self.folder.path().join("disk")).unwrap();
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("console")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Our own child; it may have ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
