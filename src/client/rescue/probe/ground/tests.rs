use super::super::facts::{parse as parse_facts, tests::ANSWER};
use super::*;
use crate::talos::image::Architecture;

/// What an Ubuntu on an A1 instance would say of itself.
const SYSTEM: &str = "root=sda1\nroot_disk=yes\nmount=sda1 /\nmount=sda15 /boot/efi\nswap=/dev/sda2\nopener=77 udevd";

const GROUND: &str = "ground=1\navailable=10485760\ntrigger=yes\ntool=sh\ntool=dd\ntool=sha256sum\ntool=sleep\ntool=sync\n\
tool=cp\ntool=mkdir\ntool=rm\ntool=mount\ntool=swapoff\ntool=setsid\ntool=tail\ntool=blockdev\ntool=ldd\nwritable=yes\nroot_kind=ext4\nend=1\n";

const NEEDS: Needs = Needs { payload: 139 << 20 };

fn facts(lines: &str) -> Facts {
    parse_facts("/dev/sda", &ANSWER.replace("end=1\n", &format!("{SYSTEM}\n{lines}\nend=1\n"))).unwrap()
}

fn ground(lines: &str) -> Ground {
    parse(&GROUND.replace("end=1\n", &format!("{lines}\nend=1\n"))).unwrap()
}

fn requirements() -> Requirements {
    let mut wanted = Requirements::new(Architecture::Arm64);
    wanted.image_size = Some(9192 << 20);
    wanted
}

#[test]
fn a_plain_system_on_its_own_disk_passes() {
    assert_eq!(refusals_in_place(&facts(""), &ground(""), &requirements(), NEEDS), []);
}

#[test]
fn ram_that_a_killed_run_has_filled_counts_as_free() {
    let scarce = GROUND.replace("available=10485760", "available=102400");
    let with = |left: &str| parse(&scarce.replace("end=1\n", &format!("{left}\nend=1\n"))).unwrap().available;
    assert_eq!((with(""), with("left="), with("left=143360")), (100 << 20, 100 << 20, 240 << 20));
}

#[test]
fn what_the_root_file_system_must_not_stand_on_is_named() {
    let table = [
        ("stack=dm-LVM", "LVM"),
        ("stack=dm-CRYPT", "LUKS"),
        ("stack=dm-mpath", "multipath"),
        ("stack=raid", "RAID"),
        ("stack=iscsi", "iSCSI"),
        ("stack=network", "network block device"),
        ("stack=bcache", "bcache"),
        ("stack=panic", "errors=panic"),
        ("root_kind=nfs4", "network file system (nfs4)"),
    ];
    for (lines, name) in table {
        let found = refusals_in_place(&facts(""), &ground(lines), &requirements(), NEEDS);
        assert!(matches!(&found[..], [Refusal::RootOn(what)] if what.contains(name)), "{lines}: {found:?}");
        assert!(found[0].hint().contains("flash.method = \"ssh\""), "{}", found[0].hint());
    }
    let both = refusals_in_place(&facts(""), &ground("stack=dm-LVM\nstack=dm-CRYPT"), &requirements(), NEEDS);
    assert_eq!(both.len(), 2, "LVM on LUKS is both");
}

#[test]
fn each_rule_of_a_flash_in_place_has_its_refusal() {
    let disk = || "/dev/sda".to_owned();
    let mib = |number: u64| number << 20;
    let table: Vec<(&str, &str, Refusal)> = vec![
        ("", "trigger=no", Refusal::NoSysrq),
        ("", "available=204800", Refusal::LittleMemory { available: mib(200), needed: mib(139 + 64) }),
        (
            "",
            "writable=dd: Operation not permitted",
            Refusal::Locked { disk: disk(), why: "dd: Operation not permitted".into() },
        ),
        ("", "half=!! 4096 bytes", Refusal::HalfOverwritten { disk: disk(), said: "!! 4096 bytes".into() }),
        ("holder=dm-3", "", Refusal::Held { disk: disk(), holders: "dm-3".into() }),
        ("root_disk=no\nroot=sdb1", "", Refusal::NotTheRootDisk { disk: disk(), root: "sdb1".into() }),
        (
            "root_disk=no\nroot=",
            "root_kind=overlay",
            Refusal::NotTheRootDisk { disk: disk(), root: "RAM (overlay)".into() },
        ),
        ("uid=1000\nsudo=a password is required", "", Refusal::NoRoot("a password is required".into())),
        ("arch=x86_64", "", Refusal::WrongArchitecture { machine: "x86_64".into(), image: "aarch64" }),
        ("secure_boot=1", "", Refusal::SecureBoot),
        ("user_data=I2Nsb3VkLWNvbmZpZwo=", "", Refusal::UserData("#cloud-config".into())),
        ("sectors=2048000", "", Refusal::TooSmall { disk: disk(), size: 2_048_000 * 512, needed: mib(9192) }),
    ];
    for (facts_lines, ground_lines, expected) in table {
        let found = refusals_in_place(&facts(facts_lines), &ground(ground_lines), &requirements(), NEEDS);
        assert_eq!(found, std::slice::from_ref(&expected), "{facts_lines} {ground_lines}");
        let (cause, hint) = (expected.to_string(), expected.hint());
        assert!(cause.len() > 10 && hint.len() > 10 && !cause.ends_with('.'), "{cause}");
    }
}

#[test]
fn another_machine_than_the_one_that_is_wanted_is_never_overwritten() {
    let wanted = |id: &str| {
        let mut wanted = requirements();
        wanted.instance_id = Some(id.to_owned());
        wanted
    };
    assert_eq!(refusals_in_place(&facts(""), &ground(""), &wanted("ocid1.instance.oc1.iad.abc"), NEEDS), []);
    let found = refusals_in_place(&facts(""), &ground(""), &wanted("ocid1.instance.oc1.iad.xyz"), NEEDS);
    assert!(matches!(&found[..], [Refusal::NotTheMachine { .. }]), "{found:?}");
    assert!(found[0].to_string().contains("iad.abc, not ocid1.instance.oc1.iad.xyz"), "{}", found[0]);
}

#[test]
fn a_missing_tool_is_named() {
    for tool in TOOLS {
        let ground = parse(&GROUND.replace(&format!("tool={tool}\n"), "")).unwrap();
        let found = refusals_in_place(&facts(""), &ground, &requirements(), NEEDS);
        assert_eq!(found, [Refusal::MissingInPlace(tool)]);
    }
    let bare = parse(&GROUND.replace("tool=ldd\n", "")).unwrap();
    assert_eq!(refusals_in_place(&facts(""), &bare, &requirements(), NEEDS).len(), 1);
    let busybox = parse(&GROUND.replace("tool=ldd\n", "tool=static-busybox\n")).unwrap();
    assert_eq!(refusals_in_place(&facts(""), &busybox, &requirements(), NEEDS), []);
}

#[test]
fn an_overwrite_that_runs_needs_no_more_memory() {
    let found = refusals_in_place(&facts(""), &ground("available=1024\nrunning=77"), &requirements(), NEEDS);
    assert_eq!(found, []);
}

#[test]
fn the_script_is_short_enough_for_dropbear() {
    use crate::client::rescue::session::quote;
    let script = format!("{}\n{}", Levers::default().variables("/dev/sda"), compact(SCRIPT));
    assert!(quote(&script).len() + 300 < 9000, "{}", quote(&script).len());
}
