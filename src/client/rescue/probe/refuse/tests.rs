use super::super::facts::{parse, tests::ANSWER};
use super::*;

const OCID: &str = "ocid1.instance.oc1.iad.abc";

fn facts(lines: &str) -> Facts {
    parse("/dev/sda", &ANSWER.replace("end=1\n", &format!("{lines}\nend=1\n"))).unwrap()
}

fn requirements() -> Requirements {
    Requirements { image_size: Some(9192 << 20), ..Requirements::new(Architecture::Arm64) }
}

#[test]
fn a_good_rescue_system_passes() {
    assert_eq!(refusals(&facts(""), &requirements()), []);
    assert_eq!(refuse(&facts(""), &requirements()), Ok(()));
}

#[test]
fn each_rule_has_its_refusal() {
    let disk = || "/dev/sda".to_owned();
    let table: Vec<(&str, Refusal)> = vec![
        ("uid=1000\nsudo=a password is required", Refusal::NoRoot("a password is required".into())),
        ("arch=x86_64", Refusal::WrongArchitecture { machine: "x86_64".into(), image: "aarch64" }),
        ("fullblock=no", Refusal::PoorDd),
        ("kind=missing", Refusal::NoSuchDisk(disk())),
        ("kind=file", Refusal::NotABlockDevice(disk())),
        ("kind=other", Refusal::NotABlockDevice(disk())),
        ("partition_of=sda", Refusal::Partition { disk: disk(), whole: "sda".into() }),
        ("read_only=1", Refusal::ReadOnly(disk())),
        ("sector_size=4096", Refusal::SectorSize { disk: disk(), size: 4096 }),
        ("sectors=2048000", Refusal::TooSmall { disk: disk(), size: 2_048_000 * 512, needed: 9192 << 20 }),
        ("root=sda1\nroot_disk=yes\nmount=sda1 /", Refusal::RootDisk(disk())),
        ("mount=sda1 /mnt", Refusal::Mounted { disk: disk(), mounts: "sda1 on /mnt".into() }),
        ("swap=/dev/sda2", Refusal::Swap { disk: disk(), swaps: "/dev/sda2".into() }),
        ("holder=dm-0\nholder=md127", Refusal::Held { disk: disk(), holders: "dm-0, md127".into() }),
        ("opener=77 dd", Refusal::Open { disk: disk(), processes: "77 dd".into() }),
        (
            "partition=sda3 META\npartition=sda4 STATE",
            Refusal::Talos { disk: disk(), partitions: "sda1 cloudimg-rootfs, sda15, sda3 META, sda4 STATE".into() },
        ),
        ("secure_boot=1", Refusal::SecureBoot),
        ("user_data=I2Nsb3VkLWNvbmZpZwo=", Refusal::UserData("#cloud-config".into())),
    ];
    for (lines, expected) in table {
        assert_eq!(refusals(&facts(lines), &requirements()), std::slice::from_ref(&expected), "{lines}");
        let (cause, hint) = (expected.to_string(), expected.hint());
        assert!(cause.len() > 10 && hint.len() > 10 && !cause.ends_with('.'), "{cause}");
    }
}

#[test]
fn a_missing_tool_is_named() {
    for (tool, line) in [("dd", "tool=dd\n"), ("sync", "tool=sync\n"), ("sha256sum", "hash=sha256sum\n")] {
        let facts = parse("/dev/sda", &ANSWER.replace(line, "")).unwrap();
        assert_eq!(refusals(&facts, &requirements()), [Refusal::MissingTool(tool)]);
    }
}

#[test]
fn a_node_of_talos_is_overwritten_only_on_demand() {
    let flashed = facts("partition=sda1 EFI\npartition=sda2 META");
    assert_eq!(refusals(&flashed, &requirements()), [], "an image that never started is no node");
    let node = facts("partition=sda1 EFI\npartition=sda2 META\npartition=sda4 EPHEMERAL");
    assert!(matches!(refusals(&node, &requirements())[..], [Refusal::Talos { .. }]));
    assert_eq!(refusals(&node, &Requirements { allow_talos: true, ..requirements() }), []);
}

#[test]
fn a_disk_in_use_is_flashed_only_on_demand() {
    let used = facts("root=sda1\nroot_disk=yes\nmount=sda1 /\nswap=/dev/sda2\nholder=dm-0");
    let insisting = Requirements { allow_disk_in_use: true, ..requirements() };
    assert!(refuse(&used, &requirements()).is_err());
    assert_eq!(refuse(&used, &insisting), Ok(()));
}

#[test]
fn a_signed_image_may_meet_secure_boot() {
    let signed = Requirements { secure_boot: true, ..requirements() };
    assert_eq!(refuse(&facts("secure_boot=1"), &signed), Ok(()));
}

#[test]
fn what_a_helper_says_of_itself_does_not_matter() {
    let strange = "root=sdb1\nsecure_boot=1\nuser_data=I2Nsb3VkLWNvbmZpZwo=";
    assert_eq!(refuse(&facts(strange), &requirements()), Ok(()));
    let itself = Requirements { instance_id: Some(OCID.into()), ..requirements() };
    assert!(refuse(&facts(strange), &itself).is_err(), "its OCID proves that it is the machine itself");
    let another = Requirements { instance_id: Some("ocid1.instance.oc1.iad.xyz".into()), ..requirements() };
    assert_eq!(refuse(&facts("arch=x86_64\nuser_data=I2Nsb3VkLWNvbmZpZwo="), &another), Ok(()));
}

#[test]
fn a_talos_configuration_in_user_data_is_welcome() {
    assert_eq!(refuse(&facts("user_data=dmVyc2lvbjogdjFhbHBoYTEK"), &requirements()), Ok(()));
}

#[test]
fn a_file_stands_for_a_disk_only_in_tests() {
    let file =
        parse("/tmp/d", &ANSWER.replace("kind=block", "kind=file\nbytes=1").replace("uid=0", "uid=1000")).unwrap();
    assert!(refuse(&file, &requirements()).is_err());
    assert_eq!(refuse(&file, &requirements().on_a_file()), Ok(()));
}

#[test]
fn a_download_by_the_rescue_system_needs_more_tools_and_nothing_else_does() {
    let all = "tool=xz\ntool=tee\ntool=mkfifo";
    let pull = |format| Requirements { pull: Some(format), ..requirements() };
    assert_eq!(refuse(&facts(all), &pull(Format::Xz)), Ok(()));
    assert_eq!(refuse(&facts(all), &pull(Format::Raw)), Ok(()));
    assert_eq!(refusals(&facts(all), &pull(Format::Zstd)), [Refusal::MissingForPull("zstd")]);
    for tool in ["xz", "tee", "mkfifo"] {
        let lines = all.replace(&format!("tool={tool}"), "");
        assert_eq!(refusals(&facts(&lines), &pull(Format::Xz)), [Refusal::MissingForPull(tool)]);
    }
    let bare = parse("/dev/sda", &ANSWER.replace("tool=curl\n", all).replace("mkfifo", "mkfifo\n")).unwrap();
    let refusal = refuse(&bare, &pull(Format::Xz)).unwrap_err();
    assert!(refusal.to_string().contains("no curl and no wget") && refusal.hint().contains("flash.source = \"push\""));
    assert_eq!(refuse(&bare, &requirements()), Ok(()), "who pushes needs none of them");
}
