//! What a kernel would say in `/proc` and `/sys`, as files.

use std::{fs, io, os::unix::fs::symlink, path::Path};

use super::options::{DiskContent, RescueOptions, RescueRoot};

/// Writes all of it below `root`.
pub fn write(root: &Path, options: &RescueOptions) -> io::Result<()> {
    write_proc(root, options)?;
    write_block(root, options, &options.disk, "8:0")?;
    if let RescueRoot::Disk(name) = &options.root
        && *name != options.disk
    {
        write_block(root, options, name, "8:16")?;
    }
    write_machine(root, options)
}

/// Says what is mounted; `read_only` after somebody pulled the emergency lever (sysrq `u`).
pub fn write_mounts(root: &Path, options: &RescueOptions, read_only: bool) -> io::Result<()> {
    let put = |name: &str, text: &str| put(&root.join("proc").join(name), text);
    let mut mounts = mounts(options);
    if read_only {
        let changed = mounts.lines().map(|line| match line.starts_with("/dev/") {
            true => line.replacen(" rw", " ro", 1),
            false => line.to_owned(),
        });
        mounts = changed.map(|line| line + "\n").collect();
    }
    put("mounts", &here(root, &mounts))?;
    put("self/mounts", &here(root, &mounts))?;
    put("self/mountinfo", &here(root, &mount_info(options, &mounts)))
}

/// Devices stand here with their real paths, since scripts hand them on; what leaves the host is stripped of the root.
fn here(root: &Path, text: &str) -> String {
    text.replace("/dev/sd", &format!("{}/dev/sd", root.display()))
}

fn write_proc(root: &Path, options: &RescueOptions) -> io::Result<()> {
    let put = |name: &str, text: &str| put(&root.join("proc").join(name), text);
    write_mounts(root, options, false)?;
    symlink("/proc/self/fd", root.join("proc/self/fd"))?;
    let swaps: String = options.swaps.iter().map(|name| format!("{name} partition 1048576 0 -2\n")).collect();
    put("swaps", &here(root, &format!("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n{swaps}")))?;
    let kilobytes = options.disk_bytes / 1024;
    put("partitions", &format!("major minor  #blocks  name\n\n   8        0 {kilobytes} {}\n", options.disk))?;
    put("meminfo", "MemTotal:       24576000 kB\nMemFree:        22000000 kB\nMemAvailable:   23000000 kB\n")?;
    put("cmdline", "BOOT_IMAGE=/vmlinuz console=ttyAMA0 console=tty1\n")?;
    put("uptime", "312.11 1200.40\n")?;
    put("version", "Linux version 6.8.0-1028-oracle (buildd@bos03-arm64-028)\n")?;
    put("cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")?;
    put("sys/kernel/random/boot_id", "5a0f4b2c-7d1e-4f3a-9b8c-0d1e2f3a4b5c\n")?;
    put("sys/kernel/sysrq", "176\n")?;
    let os = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n";
    self::put(&root.join("etc/os-release"), os)?;
    self::put(&root.join("etc/hostname"), &format!("{}\n", options.hostname))?;
    self::put(&root.join("etc/machine-id"), "b3f1c2d4e5f60718293a4b5c6d7e8f90\n")?;
    // The tools and the sysrq trigger speak through the same pipe.
    symlink("../run/control", root.join("proc/sysrq-trigger"))
}

fn mounts(options: &RescueOptions) -> String {
    let system = match &options.root {
        RescueRoot::Memory => "overlay / overlay rw,relatime,lowerdir=/rofs,upperdir=/cow 0 0\n".to_owned(),
        RescueRoot::Disk(name) => format!("/dev/{name}1 / ext4 rw,relatime 0 0\n/dev/{name}15 /boot/efi vfat rw 0 0\n"),
    };
    let kernel =
        "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\nudev /dev devtmpfs rw 0 0\ntmpfs /run tmpfs rw 0 0\n";
    let more: String = options.mounts.iter().map(|(device, at)| format!("{device} {at} ext4 rw 0 0\n")).collect();
    format!("{system}{kernel}{more}")
}

fn mount_info(options: &RescueOptions, mounts: &str) -> String {
    let line = |(index, line): (usize, &str)| {
        let mut words = line.split(' ');
        let (device, at, kind, flags) = (words.next()?, words.next()?, words.next()?, words.next()?);
        // Of the whole file system, not of this mount of it.
        let state = if flags.starts_with("ro") { "ro" } else { "rw" };
        let number = device.strip_prefix("/dev/").and_then(|name| device_number(options, name));
        let number = number.unwrap_or_else(|| format!("0:{}", index + 20));
        Some(format!("{} 1 {number} / {at} rw,relatime shared:1 - {kind} {device} {state}\n", index + 20))
    };
    mounts.lines().enumerate().filter_map(line).collect()
}

/// `8:1` of `sda1`: the machine's disk is 8:0, another one 8:16.
fn device_number(options: &RescueOptions, name: &str) -> Option<String> {
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let first = if disk == options.disk { 0 } else { 16 };
    let part: u32 = if disk == name { 0 } else { name[disk.len()..].parse().ok()? };
    disk.starts_with("sd").then(|| format!("8:{}", first + part))
}

/// A SCSI disk as sysfs shows it: the real directory below `devices`, links from `class/block`, `block` and `dev/block`.
fn write_block(root: &Path, options: &RescueOptions, name: &str, number: &str) -> io::Result<()> {
    let home = format!("devices/pci0000:00/0000:00:02.0/virtio1/host0/target0:0:1/0:0:1:1/block/{name}");
    let at = root.join("sys").join(&home);
    let own = name == options.disk;
    let sector = options.sector.to_string();
    let read_only = u8::from(own && options.read_only).to_string();
    let size = (options.disk_bytes / 512).to_string();
    for (file, text) in [
        ("size", size.as_str()),
        ("ro", &read_only),
        ("removable", "0"),
        ("dev", number),
        ("queue/logical_block_size", &sector),
        ("queue/hw_sector_size", &sector),
        ("queue/physical_block_size", "4096"),
        ("queue/rotational", "1"),
        ("queue/discard_max_bytes", "0"),
        ("queue/write_zeroes_max_bytes", "0"),
        ("queue/dax", "0"),
        ("device/model", "BlockVolume     "),
        ("device/vendor", "ORACLE  "),
        ("device/type", "0"),
        ("device/serial", &options.serial),
        ("device/wwid", &format!("naa.{}", options.serial)),
    ] {
        put(&at.join(file), &format!("{text}\n"))?;
    }
    fs::create_dir_all(at.join("holders"))?;
    fs::create_dir_all(at.join("slaves"))?;
    if own {
        for holder in &options.holders {
            put(&at.join("holders").join(holder), "")?;
        }
    }
    for link in [format!("class/block/{name}"), format!("block/{name}"), format!("dev/block/{number}")] {
        let up = "../".repeat(link.matches('/').count());
        make_link(&format!("{up}{home}"), &root.join("sys").join(link))?;
    }
    let runs_here = options.root == RescueRoot::Disk(name.to_owned());
    if runs_here || (own && options.content == DiskContent::OldSystem) {
        for (index, label) in [(1, "cloudimg-rootfs"), (15, "UEFI")] {
            let part = format!("{name}{index}");
            let number = device_number(options, &part).unwrap_or_default();
            write_partition(root, &home, &part, index, &number, label)?;
        }
    }
    Ok(())
}

fn write_partition(root: &Path, disk: &str, name: &str, index: u32, number: &str, label: &str) -> io::Result<()> {
    let at = root.join("sys").join(disk).join(name);
    for (file, text) in [
        ("partition", index.to_string()),
        ("size", "4194304".to_owned()),
        ("start", "2048".to_owned()),
        ("ro", "0".to_owned()),
        ("dev", number.to_owned()),
        ("uevent", format!("DEVNAME={name}\nDEVTYPE=partition\nPARTN={index}\nPARTNAME={label}")),
    ] {
        put(&at.join(file), &format!("{text}\n"))?;
    }
    fs::create_dir_all(at.join("holders"))?;
    make_link(&format!("../../{disk}/{name}"), &root.join("sys/dev/block").join(number))?;
    make_link(&format!("../../{disk}/{name}"), &root.join("sys/class/block").join(name))
}

fn write_machine(root: &Path, options: &RescueOptions) -> io::Result<()> {
    let sys = root.join("sys");
    for (file, text) in [
        ("class/dmi/id/chassis_asset_tag", "OracleCloud.com"),
        ("class/dmi/id/sys_vendor", "QEMU"),
        ("class/dmi/id/product_name", "KVM Virtual Machine"),
        ("class/dmi/id/bios_vendor", "EFI Development Kit II / OVMF"),
        ("class/net/ens3/address", "02:00:17:27:16:32"),
        ("class/net/ens3/operstate", "up"),
        ("class/net/ens3/mtu", "9000"),
        ("power/state", "freeze mem"),
    ] {
        put(&sys.join(file), &format!("{text}\n"))?;
    }
    if !options.efi {
        return Ok(());
    }
    put(&sys.join("firmware/efi/fw_platform_size"), "64\n")?;
    let variable = sys.join("firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    fs::create_dir_all(sys.join("firmware/efi/efivars"))?;
    fs::write(variable, [6, 0, 0, 0, u8::from(options.secure_boot)])
}

fn make_link(target: &str, link: &Path) -> io::Result<()> {
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent)?;
    }
    symlink(target, link)
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}
