//! Disks and volumes: the system disk with its partitions, and what lies on them.

use prost::Message;
use tonic::Status;

use super::{
    machine::Machine,
    spec::{Field, Value, text},
    state::Hardware,
};

/// The volume of everything that is not the system's configuration.
pub const EPHEMERAL: &str = "EPHEMERAL";
/// The root file system.
pub const LOOP_DEVICE: &str = "/dev/loop0";

const MIB: u64 = 1 << 20;
const LOOP_SIZE: u64 = 72 * MIB;

/// A volume.
pub struct Volume {
    /// Its id.
    pub id: &'static str,
    /// Its partition's number, when it is one that was found.
    pub partition: Option<u64>,
    /// The volume that it lies on, when it is no partition.
    pub parent: &'static str,
    kind: (i32, &'static str),
    path: &'static str,
}

/// The partitions of the system disk: number, name, size, file system.
const PARTITIONS: [(u64, &str, u64, &str); 4] = [
    (1, "EFI", 2100 * MIB, "vfat"),
    (2, "META", MIB, "talosmeta"),
    (3, "STATE", 100 * MIB, "xfs"),
    (4, EPHEMERAL, 0, "xfs"),
];

const OVERLAYS: [&str; 4] = ["/etc/cni", "/etc/kubernetes", "/opt", "/usr/libexec/kubernetes"];

/// Directories with the one that each lies on (v1.12.2
/// controllers/block/internal/volumes/volumeconfig/system_volumes.go).
const DIRECTORIES: [(&str, &str); 14] = [
    ("/var/log", EPHEMERAL),
    ("/var/log/audit", "/var/log"),
    ("/var/log/audit/kube", "/var/log/audit"),
    ("/var/log/containers", "/var/log"),
    ("/var/log/pods", "/var/log"),
    ("/var/lib", EPHEMERAL),
    ("/var/lib/etcd", "/var/lib"),
    ("/var/lib/containerd", "/var/lib"),
    ("/var/lib/kubelet", "/var/lib"),
    ("/var/lib/cni", "/var/lib"),
    ("/var/lib/kubelet/seccomp", "/var/lib/kubelet"),
    ("/var/lib/kubelet/seccomp/profiles", "/var/lib/kubelet/seccomp"),
    ("/var/mnt", EPHEMERAL),
    ("/var/run/lock", "/var/run"),
];

/// Volumes that have a name instead of their path, and the minor that gave it.
const NAMES: [(&str, &str, u64); 4] = [
    ("/var/lib/etcd", "ETCD", 0),
    ("/var/log", "LOG", 14),
    ("/var/lib/containerd", "CRI", 14),
    ("/var/lib/kubelet", "KUBELET", 14),
];

/// All volumes. Without a configuration Talos looks for META and STATE only.
pub fn all(machine: &Machine) -> Vec<Volume> {
    let configured = machine.look(|state| state.disk.config.is_some());
    let minor = machine.boot(|boot| boot.entry.version.minor_pair().1).unwrap_or_default();
    let partition = |id, partition: u64, found: bool| Volume {
        id,
        partition: found.then_some(partition),
        parent: "",
        kind: (0, "partition"),
        path: "",
    };
    let mut all = vec![partition("META", 2, true), partition("STATE", 3, configured)];
    if !configured {
        return all;
    }
    all.push(partition(EPHEMERAL, 4, true));
    let name = |path: &'static str| {
        let name = NAMES.iter().find(|(known, _, since)| *known == path && minor >= *since);
        name.map_or(path, |(_, name, _)| *name)
    };
    let directory = |(path, parent): &(&'static str, &'static str)| Volume {
        id: name(path),
        partition: None,
        parent: name(parent),
        kind: (3, "directory"),
        path,
    };
    let overlay =
        |path: &&'static str| Volume { id: path, partition: None, parent: EPHEMERAL, kind: (5, "overlay"), path };
    all.extend(DIRECTORIES.iter().map(directory));
    all.extend(OVERLAYS.iter().map(overlay));
    all.push(Volume { id: "/var/run", partition: None, parent: "", kind: (4, "symlink"), path: "/var/run" });
    all
}

/// A resource: its type, its id, its content.
type Entry = (&'static str, String, Vec<Field>);

/// `Disks`, `DiscoveredVolumes` and `VolumeStatuses`.
pub fn resources(machine: &Machine) -> Vec<Entry> {
    let hardware = &machine.hardware;
    let volumes = all(machine);
    let mut list = vec![
        ("Disks.block.talos.dev", hardware.disk.clone(), disk(hardware)),
        ("Disks.block.talos.dev", "loop0".to_owned(), root_disk()),
        ("DiscoveredVolumes.block.talos.dev", "loop0".to_owned(), found(LOOP_DEVICE, "disk", LOOP_SIZE, "squashfs")),
    ];
    let path = format!("/dev/{}", hardware.disk);
    list.push((
        "DiscoveredVolumes.block.talos.dev",
        hardware.disk.clone(),
        found(&path, "disk", hardware.disk_bytes, "gpt"),
    ));
    for (number, label, _, filesystem) in PARTITIONS {
        let exists = label == "EFI" || volumes.iter().any(|volume| volume.partition == Some(number));
        if !exists {
            continue;
        }
        let mut fields = found(&format!("{path}{number}"), "partition", size(hardware, number), filesystem);
        if label != "META" {
            fields.push((6, "label", text(label)));
        }
        fields.push((18, "parent_dev_path", text(&*path)));
        fields.push((12, "partition_label", text(label)));
        fields.push((13, "partition_index", Value::Int(number)));
        list.push(("DiscoveredVolumes.block.talos.dev", format!("{}{number}", hardware.disk), fields));
    }
    list.extend(
        volumes.iter().map(|volume| ("VolumeStatuses.block.talos.dev", volume.id.to_owned(), status(volume, hardware))),
    );
    list
}

fn size(hardware: &Hardware, partition: u64) -> u64 {
    match PARTITIONS.iter().find(|(number, ..)| *number == partition) {
        Some((_, _, size, _)) if *size > 0 => *size,
        // What is left.
        _ => hardware.disk_bytes.saturating_sub(2300 * MIB),
    }
}

/// A size as dustin/go-humanize prints it.
fn pretty(size: u64) -> String {
    let (mut value, mut units) = (size as f64, ["B", "kB", "MB", "GB", "TB"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while let Some(next) = units.next().filter(|_| value >= 1000.0) {
        (value, unit) = (value / 1000.0, next);
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

fn status(volume: &Volume, hardware: &Hardware) -> Vec<Field> {
    let partition = volume.kind.1 == "partition";
    let phase =
        if partition && volume.partition.is_none() { Value::Enum(2, "missing") } else { Value::Enum(6, "ready") };
    let mut fields = vec![(1, "phase", phase), (16, "type", Value::Enum(volume.kind.0, volume.kind.1))];
    if let Some(number) = volume.partition {
        let size = size(hardware, number);
        fields.push((2, "location", text(format!("/dev/{}{number}", hardware.disk))));
        fields.push((8, "partitionIndex", Value::Int(number)));
        fields.push((7, "parentLocation", text(format!("/dev/{}", hardware.disk))));
        fields.push((9, "size", Value::Int(size)));
        fields.push((13, "prettySize", text(pretty(size))));
    }
    if !partition {
        let mount = vec![(1, "targetPath", text(volume.path)), (4, "parentId", text(volume.parent))];
        fields.push((15, "mountSpec", Value::Message(mount)));
    }
    if volume.kind.1 == "overlay" {
        fields.push((19, "parentId", text(volume.parent)));
    }
    fields
}

fn found(path: &str, kind: &str, size: u64, filesystem: &str) -> Vec<Field> {
    vec![
        (17, "dev_path", text(path)),
        (14, "type", text(kind)),
        (1, "size", Value::Int(size)),
        (19, "pretty_size", text(pretty(size))),
        (4, "name", text(filesystem)),
    ]
}

fn root_disk() -> Vec<Field> {
    vec![
        (14, "dev_path", text(LOOP_DEVICE)),
        (1, "size", Value::Int(LOOP_SIZE)),
        (15, "pretty_size", text(pretty(LOOP_SIZE))),
        (2, "io_size", Value::Int(512)),
        (3, "sector_size", Value::Int(512)),
        (4, "readonly", Value::Bool(true)),
        (13, "cdrom", Value::Bool(false)),
    ]
}

fn disk(hardware: &Hardware) -> Vec<Field> {
    vec![
        (14, "dev_path", text(format!("/dev/{}", hardware.disk))),
        (1, "size", Value::Int(hardware.disk_bytes)),
        (15, "pretty_size", text(pretty(hardware.disk_bytes))),
        (2, "io_size", Value::Int(4096)),
        (3, "sector_size", Value::Int(512)),
        (4, "readonly", Value::Bool(false)),
        (13, "cdrom", Value::Bool(false)),
        (5, "model", text("BlockVolume")),
        (6, "serial", text(&*hardware.serial)),
        (8, "wwid", text(format!("naa.{}", hardware.serial))),
        (11, "transport", text("virtio")),
        (12, "rotational", Value::Bool(true)),
    ]
}

#[derive(Clone, PartialEq, Message)]
pub struct WipeRequest {
    #[prost(message, repeated, tag = "1")]
    devices: Vec<WipeDevice>,
}

#[derive(Clone, PartialEq, Message)]
struct WipeDevice {
    #[prost(string, tag = "1")]
    device: String,
}

/// Why a wipe is refused: whatever there is here is in use (v1.13.9 internal/app/storaged/server.go).
pub fn refuse_wipe(machine: &Machine, admin: bool, request: &WipeRequest) -> Status {
    if !admin && machine.boot(|boot| boot.in_maintenance()) != Some(true) {
        return Status::permission_denied("not authorized");
    }
    let system = &machine.hardware.disk;
    let mut volumes = all(machine);
    volumes.sort_by_key(|volume| volume.id);
    let device = request.devices.first().map(|device| device.device.as_str()).unwrap_or_default();
    if device == "loop0" {
        return Status::failed_precondition("blockdevice \"loop0\" is read-only");
    }
    let number = device.strip_prefix(system.as_str()).map(str::parse::<u64>);
    let user = match number {
        // A disk is in use by the first of its volumes, and so is a partition that is none.
        _ if device == system => volumes.iter().find(|volume| volume.partition.is_some()),
        Some(Ok(number)) if number == 1 || volumes.iter().any(|volume| volume.partition == Some(number)) => {
            volumes.iter().find(|volume| volume.partition == Some(number))
        }
        _ => return Status::not_found(format!("blockdevice {device:?} not found")),
    };
    let user = user.map_or("META", |volume| volume.id);
    Status::failed_precondition(format!("blockdevice {device:?} is in use by volume {user:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_as_go_humanize_does() {
        let table =
            [(0, "0.0 B"), (MIB, "1.0 MB"), (100 * MIB, "105 MB"), (2100 * MIB, "2.2 GB"), (50_000_000_000, "50 GB")];
        for (size, shown) in table {
            assert_eq!(pretty(size), shown, "{size}");
        }
    }
}
