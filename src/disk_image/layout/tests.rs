use std::{fs, process::Command};

use bytes::Bytes;

use crate::disk_image::{DecodeOptions, Decoder, Event, Image, ZeroMode};

/// Made by `tests/golden/disk_image/make.sh` with the usual tools.
const DISK: &[u8] = include_bytes!("../../../tests/golden/disk_image/efi-meta.raw.zst");
const MIB: u64 = 1 << 20;

/// Decodes [`DISK`] and writes it, as `mode` says, over a disk that is full of 0xAA.
fn flash(mode: ZeroMode) -> (Image, Vec<u8>) {
    let mut decoder = Decoder::new(DecodeOptions::new(80 * MIB));
    let mut disk = vec![0xAA; 80 << 20];
    decoder.push(Bytes::from_static(DISK));
    decoder.end_of_input();
    while let Some(event) = decoder.next_event().unwrap() {
        if let Event::Data { offset, bytes, .. } = event {
            disk[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    let image = decoder.finish().unwrap();
    for range in image.zero_plan(mode).ranges {
        disk[range.start as usize..range.end as usize].fill(0);
    }
    (image, disk)
}

#[test]
fn a_disk_made_by_the_usual_tools_is_understood() {
    let (image, _) = flash(ZeroMode::All);
    let layout = image.layout.unwrap();
    assert_eq!(layout.backup, Ok(()));
    assert_eq!(layout.gpt.guid.to_string(), "11111111-2222-3333-4444-555555555555");
    let partitions: Vec<_> =
        layout.gpt.partitions.iter().map(|partition| (partition.name.as_str(), partition.range.clone())).collect();
    assert_eq!(partitions, [("EFI", MIB..71 * MIB), ("META", 71 * MIB..72 * MIB)]);
    let efi = layout.efi.unwrap();
    let fat = efi.fat.unwrap();
    // Clusters of 512 bytes: two files, one of one cluster, three directories and the root.
    let used = 1_300_000u32.div_ceil(512) + (300 << 10) / 512 + 1 + 3 + 1;
    assert_eq!((efi.number, fat.cluster_size(), fat.free_clusters()), (1, 512, 71_680 * 2 - 32 - 2 * 1103 - used));
}

#[test]
fn modes_differ_by_what_does_not_matter() {
    let (image, all) = flash(ZeroMode::All);
    let plans = [ZeroMode::Needed, ZeroMode::Partitions, ZeroMode::All].map(|mode| image.zero_plan(mode));
    assert!(plans.iter().all(|plan| plan.fallbacks.is_empty()));
    assert_eq!(plans[2].size() + image.data_size(), 80 * MIB);
    assert!(plans[0].size() < 3 * MIB && plans[1].size() > 60 * MIB && plans[1].size() < 72 * MIB);
    let (_, needed) = flash(ZeroMode::Needed);
    for range in [0..34 << 9, 71 << 20..72 << 20, (80 << 20) - (33 << 9)..80 << 20] {
        assert!(needed[range.clone()] == all[range.clone()], "{range:?}");
    }
    assert_ne!(needed, all);
}

#[test]
fn a_dirty_disk_holds_a_sound_file_system_with_the_same_files() {
    for mode in [ZeroMode::Needed, ZeroMode::Partitions, ZeroMode::All] {
        let dir = tempfile::tempdir().unwrap();
        let (efi, disk) = (dir.path().join("efi"), flash(mode).1);
        fs::write(&efi, &disk[1 << 20..71 << 20]).unwrap();
        let mut fsck = Command::new("fsck.fat");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let Ok(check) = fsck.env("PATH", path).arg("-n").arg(&efi).output() else {
            return;
        };
        assert!(check.status.success(), "{mode}: {}", String::from_utf8_lossy(&check.stdout));
        for (name, line, len) in [("EFI/Linux/talos.efi", "kernel\n", 1_300_000), ("zeros.bin", "\0", 300 << 10)] {
            let Ok(file) = Command::new("mtype").arg("-i").arg(&efi).arg(format!("::{name}")).output() else {
                return;
            };
            assert!(file.stdout == line.repeat(len).as_bytes()[..len], "{mode} {name}");
        }
    }
}
