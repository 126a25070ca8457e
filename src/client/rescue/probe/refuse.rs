//! Which disks are not flashed, and why.

use thiserror::Error;

use super::facts::{Disk, Facts, Imds, Kind, Privilege, UserData};
use crate::disk_image::Format;
use crate::talos::image::Architecture;

/// What the image, and the user, demand of a shell and its disk.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// The processor that the image is for.
    pub architecture: Architecture,
    /// Bytes of the decoded image, when they are known beforehand.
    pub image_size: Option<u64>,
    /// Whether the image is signed for Secure Boot.
    pub secure_boot: bool,
    /// The OCID of the machine that is to boot the disk: tells a helper machine from the machine itself.
    pub instance_id: Option<String>,
    /// The user insists on a disk that is in use (`flash.allow_root_disk`).
    pub allow_disk_in_use: bool,
    /// The user knows that the disk holds a Talos node (`force`, `reflash`).
    pub allow_talos: bool,
    /// The shell is to download the image by itself (`flash.source = "pull"`), compressed like this.
    pub pull: Option<Format>,
    /// Lets a regular file stand for the disk, and asks for no rights: only code that is built to be tested can set it.
    file: bool,
}

impl Requirements {
    /// The usual ones for an image without Secure Boot.
    pub fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            image_size: None,
            secure_boot: false,
            instance_id: None,
            allow_disk_in_use: false,
            allow_talos: false,
            pull: None,
            file: false,
        }
    }

    pub(super) fn is_on_a_file(&self) -> bool {
        self.file
    }

    /// A regular file may stand for the disk, and the architecture is not looked at.
    #[cfg(any(test, feature = "sim"))]
    pub fn on_a_file(self) -> Self {
        Self { file: true, ..self }
    }
}

/// One reason not to flash.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not root, and no way to become it.
    #[error("the SSH user is not root and cannot become root{}", said(.0))]
    NoRoot(String),
    /// A command is missing.
    #[error("the rescue system has no {0}")]
    MissingTool(&'static str),
    /// A command is missing that only a download by the rescue system itself needs.
    #[error("the rescue system has no {0}, which it needs to download the image by itself")]
    MissingForPull(&'static str),
    /// `dd` is too simple.
    #[error("the rescue system's dd does not know iflag=fullblock")]
    PoorDd,
    /// The processor is another one.
    #[error("the machine is {machine}, the image is for {image}")]
    WrongArchitecture {
        /// `uname -m`.
        machine: String,
        /// What `uname -m` would say.
        image: &'static str,
    },
    /// There is nothing at this path.
    #[error("there is no {0}")]
    NoSuchDisk(String),
    /// It is no block device.
    #[error("{0} is not a block device")]
    NotABlockDevice(String),
    /// It is a partition.
    #[error("{disk} is a partition of {whole}, not a whole disk")]
    Partition {
        /// As asked for.
        disk: String,
        /// The disk it is on.
        whole: String,
    },
    /// The kernel refuses to write to it.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// The image is made for other sectors.
    #[error("{disk} has sectors of {size} bytes, the image is made for 512")]
    SectorSize {
        /// As asked for.
        disk: String,
        /// Its logical sector size in bytes.
        size: u32,
    },
    /// The image does not fit.
    #[error("{disk} has {size} bytes, the image needs {needed}")]
    TooSmall {
        /// As asked for.
        disk: String,
        /// Bytes it has.
        size: u64,
        /// Bytes it needs.
        needed: u64,
    },
    /// The rescue system itself runs from it.
    #[error("the rescue system runs from {0}")]
    RootDisk(String),
    /// File systems on it are mounted.
    #[error("{disk} is mounted: {mounts}")]
    Mounted {
        /// As asked for.
        disk: String,
        /// Device and mount point of each.
        mounts: String,
    },
    /// Swap is on it.
    #[error("{disk} holds swap space in use: {swaps}")]
    Swap {
        /// As asked for.
        disk: String,
        /// The devices.
        swaps: String,
    },
    /// LVM, RAID or LUKS stand on it.
    #[error("{disk} is held by {holders}")]
    Held {
        /// As asked for.
        disk: String,
        /// The devices.
        holders: String,
    },
    /// A process has it open.
    #[error("{disk} is open in process {processes}")]
    Open {
        /// As asked for.
        disk: String,
        /// Number and name of each.
        processes: String,
    },
    /// A Talos node lives on it: it had a configuration once.
    #[error("{disk} holds a Talos node that was configured before ({partitions})")]
    Talos {
        /// As asked for.
        disk: String,
        /// Name and label of its partitions.
        partitions: String,
    },
    /// The running system is to be overwritten, and does not run from this disk.
    #[error("flash.method is \"in_place\", but the system runs from {root}, not from {disk}")]
    NotTheRootDisk {
        /// As asked for.
        disk: String,
        /// Where it runs from.
        root: String,
    },
    /// The running system is to be overwritten, and is that of another machine.
    #[error("flash.method is \"in_place\", but the SSH host is {found}, not {wanted}")]
    NotTheMachine {
        /// Its OCID.
        found: String,
        /// That of the machine that is to be provisioned.
        wanted: String,
    },
    /// The running system cannot be overwritten: its root file system would not come to rest.
    #[error("the root file system is on {0}, which cannot be overwritten in place")]
    RootOn(String),
    /// The image does not fit into RAM.
    #[error("overwriting the running system takes {} MiB of free RAM, there are {}", .needed >> 20, .available >> 20)]
    LittleMemory {
        /// Bytes there are.
        available: u64,
        /// Bytes it takes.
        needed: u64,
    },
    /// No sysrq: file systems cannot be made read-only by force.
    #[error("/proc/sysrq-trigger is missing or cannot be written")]
    NoSysrq,
    /// A command is missing that only overwriting the running system needs.
    #[error("the system has no {0}, which overwriting it in place needs")]
    MissingInPlace(&'static str),
    /// The kernel protects disks in use.
    #[error("{disk} cannot be opened for writing while it is in use: {why}")]
    Locked {
        /// As asked for.
        disk: String,
        /// The kernel's words.
        why: String,
    },
    /// An earlier overwrite did not come to its end.
    #[error("an earlier overwrite of {disk} ended half-way: {said}")]
    HalfOverwritten {
        /// As asked for.
        disk: String,
        /// What it said last.
        said: String,
    },
    /// Secure Boot would refuse the image.
    #[error("Secure Boot is on, and the image is not signed for it")]
    SecureBoot,
    /// Talos would take the instance's user_data for its configuration.
    #[error(
        "the instance's user_data is {0}: Talos would read it as its configuration and never reach maintenance mode"
    )]
    UserData(String),
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::NoRoot(_) => "log in as root, or allow the user `sudo -n` (NOPASSWD); OCI's `ubuntu` and `opc` may",
            Self::MissingTool(_) | Self::PoorDd => {
                "use a rescue system with coreutils or busybox (any Ubuntu, Debian, Oracle Linux or Alpine)"
            }
            Self::MissingForPull(_) => {
                "install it there, or set flash.source = \"push\": this computer sends the image, and the rescue system needs no internet"
            }
            Self::WrongArchitecture { .. } => {
                "set `architecture` of the image to that of the shape: arm64 for A1 and A2 (Ampere), amd64 for all others"
            }
            Self::NoSuchDisk(_) => {
                "run `lsblk` there and set flash.disk; a boot volume attached to a helper is often /dev/sdb"
            }
            Self::NotABlockDevice(_) => "set flash.disk to a disk such as /dev/sda",
            Self::Partition { whole, .. } => return format!("set flash.disk to /dev/{whole}"),
            Self::ReadOnly(_) => "attach the volume read/write (OCI console: attached volume, access)",
            Self::SectorSize { .. } => "OCI volumes have 512-byte sectors: is this the right disk?",
            Self::TooSmall { .. } => "resize the boot volume (OCI's smallest is 50 GB), or is this the wrong disk?",
            Self::RootDisk(_) => {
                "boot a rescue system that runs from RAM, or attach the boot volume to another instance; flash.method = \"in_place\" overwrites the running system on purpose"
            }
            Self::Mounted { .. } => "unmount it, or is this the wrong disk?",
            Self::Swap { .. } => "swapoff it, or is this the wrong disk?",
            Self::Held { .. } => {
                "stop what stands on it (vgchange -an, mdadm --stop, cryptsetup close), or is this the wrong disk?"
            }
            Self::Open { .. } => "wait for that process or stop it: it may be an earlier flash",
            Self::Talos { .. } => {
                "is this the right machine? To overwrite that node on purpose, set force = true or give reflash a value"
            }
            Self::NotTheRootDisk { .. } => {
                "set flash.method = \"ssh\" (the disk is free), or flash.disk to the disk that the system runs from"
            }
            Self::NotTheMachine { .. } => {
                "correct flash.ssh.host (or endpoint), or instance_id; a helper machine with the boot volume attached takes flash.method = \"ssh\""
            }
            Self::RootOn(_) | Self::Locked { .. } => {
                "boot a rescue system that runs from RAM, or attach the boot volume to another instance, and set flash.method = \"ssh\""
            }
            Self::LittleMemory { .. } => {
                "stop what uses the RAM, use a larger shape for the flash, or flash from a rescue system (flash.method = \"ssh\")"
            }
            Self::NoSysrq => {
                "log in to the machine itself, not to a container on it; or flash from a rescue system (flash.method = \"ssh\")"
            }
            Self::MissingInPlace(_) => {
                "install it (coreutils, util-linux and libc-bin have them all), or flash from a rescue system (flash.method = \"ssh\")"
            }
            Self::HalfOverwritten { .. } => {
                "do not reboot it, it would not boot: stop the instance, attach its boot volume to another one, and flash it from there with flash.method = \"ssh\""
            }
            Self::SecureBoot => "launch the instance anew without Secure Boot, which can only be chosen at launch",
            Self::UserData(_) => {
                "user_data can only be set at launch: create the instance without user_data (or with the Talos machine configuration as user_data), then flash"
            }
        };
        text.to_owned()
    }
}

/// The first reason not to flash, in the order a user would want to hear them.
///
/// # Errors
/// That reason.
pub fn refuse(facts: &Facts, requirements: &Requirements) -> Result<(), Refusal> {
    refusals(facts, requirements).into_iter().next().map_or(Ok(()), Err)
}

/// All reasons not to flash.
pub fn refusals(facts: &Facts, requirements: &Requirements) -> Vec<Refusal> {
    let mut found = shell(facts, requirements);
    found.extend(disk(&facts.disk, requirements));
    if !requirements.allow_disk_in_use {
        found.extend(use_of(&facts.disk));
    }
    if !requirements.allow_talos {
        found.extend(talos(&facts.disk));
    }
    found.extend(machine(facts, requirements));
    found
}

pub(super) fn shell(facts: &Facts, requirements: &Requirements) -> Vec<Refusal> {
    let mut found = Vec::new();
    if let (Privilege::None(why), false) = (&facts.privilege, requirements.file) {
        found.push(Refusal::NoRoot(why.clone()));
    }
    for tool in ["dd", "sync"] {
        if !facts.has(tool) {
            found.push(Refusal::MissingTool(tool));
        }
    }
    if facts.hash_command.is_none() {
        found.push(Refusal::MissingTool("sha256sum"));
    }
    if facts.has("dd") && !facts.dd_fullblock {
        found.push(Refusal::PoorDd);
    }
    if let Some(format) = requirements.pull {
        found.extend(missing_for_pull(facts, format));
    }
    found
}

fn missing_for_pull(facts: &Facts, format: Format) -> impl Iterator<Item = Refusal> {
    let unpackers: (&[&str], _) = match format {
        Format::Xz => (&["xz", "xzcat"], "xz"),
        Format::Zstd => (&["zstd", "zstdcat"], "zstd"),
        Format::Raw => (&["cat"], "cat"),
    };
    let needed: [(&[&str], _); 4] =
        [(&["curl", "wget"], "curl and no wget"), unpackers, (&["mkfifo"], "mkfifo"), (&["tee"], "tee")];
    let there = |names: &[&str]| names.iter().any(|name| *name == "cat" || facts.has(name));
    needed.into_iter().filter(move |(names, _)| !there(names)).map(|(_, name)| Refusal::MissingForPull(name))
}

pub(super) fn disk(disk: &Disk, requirements: &Requirements) -> Option<Refusal> {
    let path = || disk.path.clone();
    let needed = requirements.image_size.unwrap_or(MIN_DISK).max(MIN_DISK);
    match disk.kind {
        Kind::Missing => return Some(Refusal::NoSuchDisk(path())),
        Kind::Block => {}
        Kind::File if requirements.file => return None,
        Kind::File | Kind::Other => return Some(Refusal::NotABlockDevice(path())),
    }
    if let Some(whole) = &disk.partition_of {
        return Some(Refusal::Partition { disk: path(), whole: whole.clone() });
    }
    if disk.read_only {
        return Some(Refusal::ReadOnly(path()));
    }
    if disk.sector_size != 512 {
        return Some(Refusal::SectorSize { disk: path(), size: disk.sector_size });
    }
    (disk.size < needed).then(|| Refusal::TooSmall { disk: path(), size: disk.size, needed })
}

/// Talos makes these two when it starts from a flashed disk (v1.12.2 pkg/machinery/constants, StatePartitionLabel and
/// EphemeralPartitionLabel); an image has neither. Machines are mistaken for each other, and a rescue system looks the same on all.
fn talos(disk: &Disk) -> Option<Refusal> {
    let made = |label: &str| label == "STATE" || label == "EPHEMERAL";
    disk.partitions.iter().any(|partition| made(&partition.label)).then(|| Refusal::Talos {
        disk: disk.path.clone(),
        partitions: disk
            .partitions
            .iter()
            .map(|partition| format!("{} {}", partition.name, partition.label).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn use_of(disk: &Disk) -> Vec<Refusal> {
    let path = || disk.path.clone();
    if disk.holds_root {
        return vec![Refusal::RootDisk(path())];
    }
    let mut found = Vec::new();
    if !disk.mounts.is_empty() {
        let mounts = disk
            .mounts
            .iter()
            .map(|mount| format!("{} on {}", mount.device, mount.point))
            .collect::<Vec<_>>()
            .join(", ");
        found.push(Refusal::Mounted { disk: path(), mounts });
    }
    if !disk.swaps.is_empty() {
        found.push(Refusal::Swap { disk: path(), swaps: disk.swaps.join(", ") });
    }
    if !disk.holders.is_empty() {
        found.push(Refusal::Held { disk: path(), holders: disk.holders.join(", ") });
    }
    if !disk.openers.is_empty() {
        found.push(Refusal::Open { disk: path(), processes: disk.openers.join(", ") });
    }
    found
}

/// What holds for the machine that boots the disk, as far as the shell is that machine.
pub(super) fn machine(facts: &Facts, requirements: &Requirements) -> Vec<Refusal> {
    let mut found = Vec::new();
    let proven_other = facts.ids(requirements.instance_id.as_deref()).is_some_and(|(id, wanted)| id != wanted);
    let image = match requirements.architecture {
        Architecture::Arm64 => "aarch64",
        Architecture::Amd64 => "x86_64",
    };
    if facts.architecture != image && !proven_other && !requirements.file {
        found.push(Refusal::WrongArchitecture { machine: facts.architecture.clone(), image });
    }
    if facts.is_of_another(requirements.instance_id.as_deref()) {
        return found;
    }
    if facts.secure_boot == Some(true) && !requirements.secure_boot && !requirements.file {
        found.push(Refusal::SecureBoot);
    }
    if let Imds::Instance { user_data: UserData::Foreign(what), .. } = &facts.imds {
        found.push(Refusal::UserData(what.clone()));
    }
    found
}

fn said(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// A card reader without a card, a loop device without a file: the first and the last MiB must at least be two.
const MIN_DISK: u64 = 2 << 20;

#[cfg(test)]
#[path = "refuse/tests.rs"]
mod tests;
