//! Any bytes as the start and end of a disk, as they are and with their checksums made right: no panic, and partitions
//! that are on the disk and apart.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/disk_image/mod.rs"]
mod disk_image;
#[path = "signed.rs"]
mod signed;

use libfuzzer_sys::fuzz_target;

use self::disk_image::Gpt;

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first_chunk::<8>() else {
        return;
    };
    let small = u64::from(u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    let tail = &data[data.len() / 2..];
    for head in [
        data.to_vec(),
        signed::head(data, 512),
        signed::head(data, 4096),
    ] {
        for disk_size in [u64::from_le_bytes(*size), small, small << 16] {
            let Ok(gpt) = Gpt::parse(&head, disk_size) else {
                continue;
            };
            let mut ranges: Vec<_> = gpt
                .partitions
                .iter()
                .map(|partition| partition.range.clone())
                .collect();
            ranges.sort_by_key(|range| range.start);
            assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
            assert!(
                ranges
                    .iter()
                    .all(|range| range.start >= gpt.usable.start && range.end <= gpt.usable.end)
            );
            assert!(gpt.usable.end <= gpt.backup_header && gpt.backup_range().end <= disk_size);
            let _ = gpt.check_backup(tail);
            let _ = gpt.check_backup(&signed::tail(tail, &gpt));
        }
    }
});
