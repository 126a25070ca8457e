//! Makes the checksums of a partition table right, and little else.

use crate::disk_image::Gpt;

/// The start of a disk with a boot record, a signature and right checksums, where there is room for them.
pub fn head(data: &[u8], sector: usize) -> Vec<u8> {
    let mut head = data.to_vec();
    head.resize(head.len().max(8 * sector), 0);
    head[450] = 0xEE;
    head[510..512].copy_from_slice(&[0x55, 0xAA]);
    sign(&mut head, sector, sector);
    head
}

/// The end of the disk, likewise.
#[allow(dead_code)]
pub fn tail(data: &[u8], gpt: &Gpt) -> Vec<u8> {
    let range = gpt.backup_range();
    let mut tail = data.to_vec();
    tail.resize((range.end - range.start) as usize, 0);
    let sector = gpt.sector_size as usize;
    let header = tail.len() - sector;
    sign(&mut tail, header, sector);
    tail
}

fn sign(bytes: &mut [u8], at: usize, sector: usize) {
    bytes[at..at + 8].copy_from_slice(b"EFI PART");
    bytes[at + 8..at + 16].copy_from_slice(&[0, 0, 1, 0, 92, 0, 0, 0]);
    // Small numbers of sectors and entries are the interesting ones.
    for field in [24, 32, 40, 48, 72] {
        bytes[at + field + 3..at + field + 8].fill(0);
    }
    bytes[at + 24..at + 27].copy_from_slice(&[1, 0, 0]);
    bytes[at + 82..at + 88].copy_from_slice(&[0, 0, 128, 0, 0, 0]);
    let start = usize::from(bytes[at + 72]) * sector;
    let count = usize::from(bytes[at + 80]) | usize::from(bytes[at + 81]) << 8;
    if let Some(entries) = bytes.get(start..start + count * 128) {
        let checksum = crc32fast::hash(entries).to_le_bytes();
        bytes[at + 88..at + 92].copy_from_slice(&checksum);
    }
    bytes[at + 16..at + 20].fill(0);
    let checksum = crc32fast::hash(&bytes[at..at + 92]).to_le_bytes();
    bytes[at + 16..at + 20].copy_from_slice(&checksum);
}
