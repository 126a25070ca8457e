//! GUID partition tables, primary and backup, as Talos writes them (UEFI 2.10 section 5).

use super::xz::crc32;

/// Bytes in a sector of the images.
pub const SECTOR: u64 = 512;
/// Sectors of a table: header and 128 entries of 128 bytes.
pub const TABLE: u64 = 33;
/// Talos aligns partitions to 1 MiB.
pub const FIRST_PARTITION: u64 = 2048;

/// Type GUID of an EFI system partition, in its on-disk byte order.
pub const TYPE_EFI: [u8; 16] = guid(0xC12A_7328, 0xF81F, 0x11D2, [0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B]);
/// Type GUID of Linux data, used for META, STATE and EPHEMERAL.
pub const TYPE_LINUX: [u8; 16] = guid(0x0FC6_3DAF, 0x8483, 0x4772, [0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4]);

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The GPT name (`EFI`, `META`, …).
    pub label: String,
    /// Type GUID.
    pub kind: [u8; 16],
    /// Its own GUID.
    pub id: [u8; 16],
    /// First sector.
    pub first: u64,
    /// Number of sectors.
    pub sectors: u64,
}

/// A table for a disk of `disk_sectors`, as (byte offset, bytes) pieces: protective MBR with the primary, and the backup.
pub fn table(disk_id: [u8; 16], disk_sectors: u64, partitions: &[Partition]) -> [(u64, Vec<u8>); 2] {
    let entries = entries(partitions);
    let last = disk_sectors - 1;
    let mut front = protective_mbr(disk_sectors);
    front.extend(header(disk_id, 1, last, 2, disk_sectors, &entries));
    front.extend(&entries);
    let mut back = entries.clone();
    back.extend(header(disk_id, last, 1, last - 32, disk_sectors, &entries));
    [(0, front), ((disk_sectors - TABLE) * SECTOR, back)]
}

fn entries(partitions: &[Partition]) -> Vec<u8> {
    let mut entries = vec![0; 128 * 128];
    for (partition, entry) in partitions.iter().zip(entries.chunks_mut(128)) {
        entry[..16].copy_from_slice(&partition.kind);
        entry[16..32].copy_from_slice(&partition.id);
        entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
        entry[40..48].copy_from_slice(&(partition.first + partition.sectors - 1).to_le_bytes());
        for (unit, place) in partition.label.encode_utf16().zip(entry[56..].chunks_mut(2)) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    entries
}

fn header(disk_id: [u8; 16], own: u64, other: u64, entries_at: u64, disk_sectors: u64, entries: &[u8]) -> Vec<u8> {
    let mut header = vec![0; SECTOR as usize];
    header[..8].copy_from_slice(b"EFI PART");
    header[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
    header[12..16].copy_from_slice(&92u32.to_le_bytes());
    header[24..32].copy_from_slice(&own.to_le_bytes());
    header[32..40].copy_from_slice(&other.to_le_bytes());
    header[40..48].copy_from_slice(&(TABLE + 1).to_le_bytes());
    header[48..56].copy_from_slice(&(disk_sectors - TABLE - 1).to_le_bytes());
    header[56..72].copy_from_slice(&disk_id);
    header[72..80].copy_from_slice(&entries_at.to_le_bytes());
    header[80..84].copy_from_slice(&128u32.to_le_bytes());
    header[84..88].copy_from_slice(&128u32.to_le_bytes());
    header[88..92].copy_from_slice(&crc32(entries).to_le_bytes());
    let crc = crc32(&header[..92]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    header
}

fn protective_mbr(disk_sectors: u64) -> Vec<u8> {
    let mut mbr = vec![0; SECTOR as usize];
    let entry = &mut mbr[446..462];
    entry[1..4].copy_from_slice(&[0, 2, 0]);
    entry[4] = 0xee;
    entry[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&1u32.to_le_bytes());
    entry[12..16].copy_from_slice(&u32::try_from(disk_sectors - 1).unwrap_or(u32::MAX).to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    mbr
}

const fn guid(a: u32, b: u16, c: u16, d: [u8; 8]) -> [u8; 16] {
    let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}
