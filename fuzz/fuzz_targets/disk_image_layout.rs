//! Any bytes as an uncompressed disk with right checksums: what is to be zeroed is never data, and less care never
//! zeroes more.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/disk_image/mod.rs"]
mod disk_image;
#[path = "signed.rs"]
mod signed;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

use self::disk_image::{DecodeOptions, Decoder, Event, Format, GRANULE, Guid, ZeroMode};

fuzz_target!(|data: &[u8]| {
    let [granules, place, data @ ..] = data else {
        return;
    };
    let mut disk = signed::head(data, 512);
    // One more partition table entry that can be a file system, whose bytes come from the input too.
    if disk.len() > 2048 {
        disk[1024..1040].copy_from_slice(&Guid::EFI_SYSTEM.0);
        let start = usize::from(*place) * 512;
        disk.resize(disk.len().max(start + 4096), 0);
        let boot = disk[2048..4096].to_vec();
        disk[start..start + 2048].copy_from_slice(&boot);
        disk = signed::head(&disk, 512);
    }
    disk.resize(disk.len() + usize::from(*granules) * 4096, 0);
    let options = DecodeOptions {
        threads: 0,
        max_raw_size: 1 << 30,
        max_extent: 1 << 20,
        format: Some(Format::Raw),
    };
    let mut decoder = Decoder::new(options);
    decoder.push(Bytes::from(disk.clone()));
    decoder.end_of_input();
    let mut rebuilt = vec![0xAA; disk.len()];
    while let Some(event) = decoder.next_event().expect("raw disks always decode") {
        if let Event::Data { offset, bytes, .. } = event {
            rebuilt[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
    }
    let image = decoder.finish().expect("the input has ended");
    let [needed, partitions, all] =
        [ZeroMode::Needed, ZeroMode::Partitions, ZeroMode::All].map(|mode| image.zero_plan(mode));
    assert!(needed.size() <= partitions.size() && partitions.size() <= all.size());
    for plan in [&needed, &partitions, &all] {
        assert!(
            plan.ranges
                .windows(2)
                .all(|pair| pair[0].end < pair[1].start)
        );
        for range in &plan.ranges {
            assert!(range.start % GRANULE as u64 == 0 && range.end <= disk.len() as u64);
            assert!(
                disk[range.start as usize..range.end as usize]
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
    }
    for range in all.ranges {
        rebuilt[range.start as usize..range.end as usize].fill(0);
    }
    assert!(rebuilt == disk);
});
