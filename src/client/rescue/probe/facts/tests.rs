use super::*;

/// What a rescue system on an A1 instance would say.
pub(in crate::client::rescue::probe) const ANSWER: &str = "\
motd that nobody asked for
probe=1
uid=0
arch=aarch64
kernel=6.8.0-1018-oracle
system=Ubuntu 24.04.1 LTS
memory=12252084
tool=dd
tool=sync
tool=sha256sum
tool=blockdev
tool=curl
fullblock=yes
hash=sha256sum
efi=yes
secure_boot=0
device=/dev/sda
kind=block
number=8:0
sectors=97677312
sector_size=512
read_only=0
write_zeroes=33553920
model=BlockVolume
serial=60a1b2c3
alias=/dev/oracleoci/oraclevda
alias=/dev/disk/by-path/pci-0000:00:04.0-scsi-0:0:0:1
partition=sda1 cloudimg-rootfs
partition=sda15
root=
root_kind=overlay
imds=yes
instance=ocid1.instance.oc1.iad.abc
shape=VM.Standard.A1.Flex
end=1
";

fn with(lines: &str) -> Facts {
    parse("/dev/sda", &ANSWER.replace("end=1\n", &format!("{lines}\nend=1\n"))).unwrap()
}

#[test]
fn a_complete_answer_is_read() {
    let facts = with("");
    assert_eq!(facts.privilege, Privilege::Root);
    assert_eq!(facts.architecture, "aarch64");
    assert_eq!(facts.system, "Ubuntu 24.04.1 LTS");
    assert_eq!(facts.memory, 12_252_084 * 1024);
    assert!(facts.has("curl") && !facts.has("wget"));
    assert_eq!(facts.hash_command.as_deref(), Some("sha256sum"));
    assert!(facts.efi && facts.dd_fullblock);
    assert_eq!(facts.secure_boot, Some(false));
    assert_eq!(facts.root_device, None);
    assert!(!facts.is_helper());
    let disk = &facts.disk;
    assert_eq!((disk.kind, disk.size, disk.sector_size), (Kind::Block, 97_677_312 * 512, 512));
    assert_eq!((disk.device.as_str(), disk.number.as_str(), disk.serial.as_str()), ("/dev/sda", "8:0", "60a1b2c3"));
    assert_eq!(disk.aliases.len(), 2);
    assert_eq!(disk.partitions[0], Partition { name: "sda1".into(), label: "cloudimg-rootfs".into() });
    assert_eq!(disk.partitions[1], Partition { name: "sda15".into(), label: String::new() });
    assert!(disk.mounts.is_empty() && disk.holders.is_empty() && !disk.holds_root && disk.write_zeroes);
}

#[test]
fn what_uses_the_disk_is_listed_once() {
    let facts = with(
        "root=sda1\nmount=sda1 /\nroot_disk=yes\nmount=sda15 /boot/efi\nmount=sda1 /\nswap=/dev/sda2\nholder=dm-0\nopener=12 dd",
    );
    let disk = &facts.disk;
    assert_eq!(disk.mounts.len(), 2);
    assert_eq!(disk.mounts[1], Mount { device: "sda15".into(), point: "/boot/efi".into() });
    assert_eq!(
        (disk.swaps.as_slice(), disk.holders.as_slice()),
        (["/dev/sda2".to_owned()].as_slice(), ["dm-0".to_owned()].as_slice())
    );
    assert_eq!(disk.openers, ["12 dd"]);
    assert!(disk.holds_root && !facts.is_helper());
}

#[test]
fn a_shell_that_runs_from_another_disk_is_a_helper() {
    assert!(with("root=sdb1").is_helper());
    assert!(!with("root=sda1\nroot_disk=yes").is_helper());
    assert!(!with("root=").is_helper());
}

#[test]
fn the_instances_own_id_tells_a_helper_from_ram_and_a_rescue_system_on_a_second_disk() {
    let (ours, other) = (Some("ocid1.instance.oc1.iad.abc"), Some("ocid1.instance.oc1.iad.def"));
    assert!(with("root=").is_of_another(other), "a helper may run from RAM");
    assert!(!with("root=sdb1").is_of_another(ours), "the machine itself, with its rescue system on a second disk");
    assert!(with("root=sdb1").is_of_another(None));
    let silent = parse("/dev/sda", &ANSWER.replace("imds=yes", "imds=no")).unwrap();
    assert!(!silent.is_of_another(other));
}

#[test]
fn an_answer_without_its_end_is_none() {
    for text in [
        "",
        "bash: sh: command not found",
        "probe=1\nuid=0\n",
        &ANSWER.replace("end=1\n", ""),
        &ANSWER.replace("probe=1\n", ""),
    ] {
        assert_eq!(parse("/dev/sda", text), None, "{text}");
    }
}

#[test]
fn a_user_without_sudo_has_no_privilege() {
    let facts = parse("/dev/sda", &ANSWER.replace("uid=0", "uid=1000\nsudo=sudo: a password is required")).unwrap();
    assert_eq!(facts.privilege, Privilege::None("sudo: a password is required".into()));
}

#[test]
fn user_data_is_judged_as_talos_would() {
    let table = [
        (None, UserData::None),
        (Some(""), UserData::None),
        (Some("not base64!"), UserData::None),
        (Some("version: v1alpha1\nmachine: {}\n"), UserData::Talos),
        (Some("# mine\napiVersion: v1alpha1\nkind: HostnameConfig\n"), UserData::Talos),
        (Some("#cloud-config\npassword: hunter2\n"), UserData::Foreign("#cloud-config".into())),
        (Some("#!/bin/bash\nsecret\n"), UserData::Foreign("#!/bin/bash".into())),
        (Some("hunter2"), UserData::Foreign("7 bytes that are no Talos configuration".into())),
    ];
    for (plain, expected) in table {
        let line = match plain {
            None => String::new(),
            Some(text) if text.is_empty() || text.contains('!') && !text.starts_with('#') => {
                format!("user_data={text}")
            }
            Some(text) => format!("user_data={}", STANDARD.encode(text)),
        };
        let Imds::Instance { user_data, .. } = with(&line).imds else { panic!("no instance") };
        assert_eq!(user_data, expected, "{plain:?}");
    }
}

#[test]
fn a_file_has_its_size_in_bytes() {
    let facts = parse("/tmp/d", "probe=1\nuid=1\nkind=file\nbytes=1000\nend=1").unwrap();
    assert_eq!((facts.disk.kind, facts.disk.size, facts.disk.device.as_str()), (Kind::File, 1000, "/tmp/d"));
    assert_eq!(facts.imds, Imds::NotAsked);
}
