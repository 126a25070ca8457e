//! A small disk image shaped like Talos' own: GPT, an EFI partition with data here and there, META, and nothing else.

use std::io::Write;

pub const MIB: usize = 1 << 20;

/// Bytes of the image when decoded.
pub const RAW_SIZE: usize = 32 * MIB;

/// The EFI partition.
pub const EFI: std::ops::Range<usize> = MIB..21 * MIB;

/// The META partition: all zero.
pub const META: std::ops::Range<usize> = 21 * MIB..22 * MIB;

/// The decoded image; the same seed gives the same bytes.
pub fn raw(seed: u64) -> Vec<u8> {
    let mut disk = vec![0; RAW_SIZE];
    let mut noise = Noise(seed | 1);
    // Blocks that begin and end on odd granules, one that is a single byte, and a long one.
    for range in [MIB..MIB + 4096, 3 * MIB + 65536..5 * MIB + 3 * 65536, 9 * MIB + 77..9 * MIB + 78, 10 * MIB..16 * MIB]
    {
        // Different in every sector, yet quick to compress.
        for sector in disk[range].chunks_mut(512) {
            let mut word = [0; 8];
            noise.fill(&mut word);
            sector.chunks_mut(8).for_each(|part| part.copy_from_slice(&word[..part.len()]));
        }
    }
    partition(&mut disk, &[("EFI", EFI, [3; 16]), ("META", META, [4; 16])]);
    disk
}

/// As `xz` writes it.
pub fn xz(raw: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

/// Fills with bytes that no compressor likes.
pub fn garbage(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Noise(0xDEAD_BEEF).fill(&mut bytes);
    bytes
}

/// xorshift64.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            // Never zero, so that a single byte is data.
            chunk.copy_from_slice(&(self.0 | 0x0101_0101_0101_0101).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Writes the protective record, the table of partitions (name, bytes, type) and its backup.
pub fn partition(disk: &mut [u8], partitions: &[(&str, std::ops::Range<usize>, [u8; 16])]) {
    let last = (disk.len() / 512 - 1) as u64;
    disk[446 + 4] = 0xEE;
    disk[446 + 8..446 + 12].copy_from_slice(&1u32.to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&(last as u32).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    let mut entries = vec![0; 128 * 128];
    for (entry, (name, range, kind)) in entries.chunks_mut(128).zip(partitions) {
        entry[..16].copy_from_slice(kind);
        entry[16..32].fill(name.len() as u8);
        entry[32..40].copy_from_slice(&((range.start / 512) as u64).to_le_bytes());
        entry[40..48].copy_from_slice(&((range.end / 512 - 1) as u64).to_le_bytes());
        for (at, unit) in name.encode_utf16().enumerate() {
            entry[56 + 2 * at..58 + 2 * at].copy_from_slice(&unit.to_le_bytes());
        }
    }
    let header = |own: u64, other: u64, table: u64| {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x0001_0000u32.to_le_bytes());
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        for (at, value) in [(24, own), (32, other), (40, 34), (48, last - 33), (72, table)] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        header[56..72].fill(0x22);
        header[80..84].copy_from_slice(&128u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let crc = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        header
    };
    let at = |sector: u64| sector as usize * 512;
    let (primary, backup) = (header(1, last, 2), header(last, 1, last - 32));
    disk[at(1)..at(2)].copy_from_slice(&primary);
    disk[at(2)..at(34)].copy_from_slice(&entries);
    disk[at(last - 32)..at(last)].copy_from_slice(&entries);
    disk[at(last)..].copy_from_slice(&backup);
}
