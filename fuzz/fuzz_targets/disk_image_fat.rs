//! Any bytes as a FAT32 file system: no panic, little memory, the same map in whatever pieces it comes, and metadata
//! that always matters.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/disk_image/mod.rs"]
mod disk_image;

use libfuzzer_sys::fuzz_target;

use self::disk_image::FatScan;

fuzz_target!(|data: &[u8]| {
    let Some((ask, bytes)) = data.split_first_chunk::<16>() else {
        return;
    };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| ask[at + index]));
    // The rest of the partition is zero; the boot sector says where the tables begin.
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 1024 {
        bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
        bytes[512..516].copy_from_slice(b"RRaA");
        bytes[996..1000].copy_from_slice(b"rrAa");
        if ask[15] & 1 == 0 {
            bytes[1000..1004].fill(0xFF);
        }
    }
    let Ok(mut whole) = FatScan::new(&bytes, 1 << 40) else {
        return;
    };
    let Ok(mut pieces) = FatScan::new(&bytes, 1 << 40) else {
        return;
    };
    whole.feed(0, &bytes);
    let piece = 1 + usize::from(ask[0]) * 5;
    for (index, part) in bytes.chunks(piece).enumerate() {
        pieces.feed((index * piece) as u64, part);
    }
    whole.feed(number(8), &bytes);
    pieces.feed(number(8), &bytes);
    let (whole, pieces) = (whole.finish(), pieces.finish());
    assert_eq!(whole, pieces);
    if let Ok(map) = whole {
        assert!(map.is_needed(0..1024));
        let (a, b) = (number(0), number(8));
        let asked = map.is_needed(a.min(b)..a.max(b));
        let (a, b) = (a % (1 << 30), b % (1 << 30));
        let (start, end) = (a.min(b), a.max(b));
        let middle = start + (end - start) / 2;
        assert_eq!(
            map.is_needed(start..end),
            map.is_needed(start..middle) || map.is_needed(middle..end)
        );
        let _ = asked;
    }
});
