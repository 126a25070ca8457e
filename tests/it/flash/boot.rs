//! What firmware makes of a flashed disk: a real UEFI (OVMF) under QEMU either starts the boot loader of the image or finds
//! nothing to boot.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use talosoci::client::rescue::flash::Phase;

use super::image::{MIB, xz};
use super::sshd::{Shell, skip};
use super::{Bench, source};

/// Of the images and the disks: the smallest that hold a FAT32 file system.
const SIZE: usize = 48 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn firmware_starts_a_flashed_image_and_nothing_of_an_interrupted_one() {
    let Some(firmware) = Firmware::find() else { return };
    let (old, new) = (bootable("The old system"), bootable("Talos"));
    let image = source(&xz(&new)).await;
    for phase in [Phase::Write, Phase::Zero, Phase::Verify, Phase::Finish] {
        let Some(bench) = Bench::new(Shell::Dash, &old).await else { return };
        if phase == Phase::Write {
            assert_eq!(firmware.starts(&bench.disk), "The old system");
        }
        bench.flash_killed(&image, phase, Duration::ZERO).await.unwrap_err();
        assert_eq!(firmware.starts(&bench.disk), NOTHING, "{phase}");
        bench.flash(&image).await.unwrap();
        assert_eq!(firmware.starts(&bench.disk), "Talos", "{phase}");
    }
}

/// What [`Firmware::starts`] answers when there is nothing to boot: OVMF then falls back to its own shell.
const NOTHING: &str = "EFI Internal Shell";

/// A UEFI that runs without hardware support.
struct Firmware {
    code: &'static str,
    variables: &'static str,
}

impl Firmware {
    fn find() -> Option<Self> {
        let found = |path: &&str| Path::new(path).exists();
        let tools = ["/usr/bin/qemu-system-x86_64", "/usr/sbin/mkfs.vfat", "/usr/bin/mcopy", LOADER];
        if let Some(missing) = tools.iter().find(|path| !found(path)) {
            skip(&format!("no {missing}"));
            return None;
        }
        let [code, variables] = [["/usr/share/OVMF/OVMF_CODE_4M.fd"], ["/usr/share/OVMF/OVMF_VARS_4M.fd"]]
            .map(|places| places.into_iter().find(found));
        let (Some(code), Some(variables)) = (code, variables) else {
            skip("no OVMF");
            return None;
        };
        Some(Self { code, variables })
    }

    /// Starts a machine with the disk until it is plain what it boots, and says it.
    fn starts(&self, disk: &Path) -> &'static str {
        let drive = |options: &str| format!("format=raw,{options}");
        let mut machine = Machine(
            Command::new("qemu-system-x86_64")
                .args(["-machine", "q35", "-accel", "tcg", "-cpu", "qemu64", "-m", "256"])
                .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-net", "none", "-no-reboot"])
                .args(["-drive", &drive(&format!("if=pflash,readonly=on,file={}", self.code))])
                .args(["-drive", &drive(&format!("if=pflash,snapshot=on,file={}", self.variables))])
                .args(["-drive", &drive(&format!("if=virtio,snapshot=on,file={}", disk.display()))])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut serial = machine.0.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = serial.read(&mut buffer) {
                if sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut said = String::new();
        loop {
            let more = lines.recv_timeout(PATIENCE);
            said.push_str(&more.unwrap_or_else(|_| panic!("the firmware says nothing more after {said:?}")));
            if let Some(title) = ["The old system", "Talos", NOTHING].into_iter().find(|title| said.contains(title)) {
                return title;
            }
        }
    }
}

struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long firmware may be silent; it needs four seconds in all.
const PATIENCE: Duration = Duration::from_secs(120);

/// systemd-boot, which Talos uses too.
const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// An image whose boot menu shows the title, made by other programs than ours.
fn bootable(title: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (efi, entry, menu) = (dir.path().join("efi"), dir.path().join("entry.conf"), dir.path().join("loader.conf"));
    std::fs::write(&entry, format!("title {title}\nefi /EFI/system.efi\n")).unwrap();
    std::fs::write(&menu, "timeout 30\n").unwrap();
    let partition = SIZE - 3 * MIB;
    std::fs::File::create(&efi).unwrap().set_len(partition as u64).unwrap();
    run("mkfs.vfat", &["-F", "32", "-s", "1", "-n", "EFI", path(&efi)]);
    run("mmd", &["-i", path(&efi), "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries"]);
    for (from, to) in [
        (Path::new(LOADER), "::/EFI/BOOT/BOOTX64.EFI"),
        // The menu leaves out what it does not find, and itself.
        (Path::new(LOADER), "::/EFI/system.efi"),
        (&menu, "::/loader/loader.conf"),
        (&entry, "::/loader/entries/one.conf"),
    ] {
        run("mcopy", &["-i", path(&efi), path(from), to]);
    }
    let mut disk = vec![0; SIZE];
    let place = MIB..MIB + partition;
    disk[place.clone()].copy_from_slice(&std::fs::read(&efi).unwrap());
    super::image::partition(&mut disk, &[("EFI", place, TYPE_EFI)]);
    disk
}

/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B as it stands in a table (UEFI 2.10, section 5.3.3).
const TYPE_EFI: [u8; 16] =
    [0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B];

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(command: &str, arguments: &[&str]) {
    let output = Command::new(command).args(arguments).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
