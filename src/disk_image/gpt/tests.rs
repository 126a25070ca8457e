use proptest::prelude::*;

use super::*;

pub const MIB: u64 = 1 << 20;

/// A table to be written, with sound checksums whatever its content.
pub struct Table {
    pub sector: u64,
    pub disk_size: u64,
    /// Name, type, first byte and length.
    pub partitions: Vec<(&'static str, Guid, u64, u64)>,
}

impl Table {
    pub fn talos(disk_size: u64, efi_len: u64) -> Self {
        let partitions = vec![("EFI", Guid::EFI_SYSTEM, MIB, efi_len), ("META", Guid([7; 16]), MIB + efi_len, MIB)];
        Self { sector: 512, disk_size, partitions }
    }

    pub fn head(&self) -> Vec<u8> {
        let mut head = vec![0; MIB as usize];
        head[450] = 0xEE;
        head[510..512].copy_from_slice(&[0x55, 0xAA]);
        let entries = self.entries();
        let start = self.sector as usize;
        head[start..start + HEADER_LEN].copy_from_slice(&self.header(1, self.last_lba(), 2));
        head[2 * start..2 * start + entries.len()].copy_from_slice(&entries);
        head
    }

    /// Entries and header as they stand at the end of the disk.
    pub fn tail(&self) -> Vec<u8> {
        let mut tail = self.entries();
        let entries_lba = self.last_lba() - tail.len() as u64 / self.sector;
        tail.extend_from_slice(&self.header(self.last_lba(), 1, entries_lba));
        tail.resize(16384 + self.sector as usize, 0);
        tail
    }

    fn last_lba(&self) -> u64 {
        self.disk_size / self.sector - 1
    }

    fn header(&self, lba: u64, alternate: u64, entries_lba: u64) -> Vec<u8> {
        let mut header = vec![0; HEADER_LEN];
        header[..8].copy_from_slice(SIGNATURE);
        header[8..12].copy_from_slice(&0x10000u32.to_le_bytes());
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        let entries_sectors = 16384 / self.sector;
        let words = [lba, alternate, 2 + entries_sectors, self.last_lba() - entries_sectors - 1];
        for (index, word) in words.into_iter().enumerate() {
            header[24 + 8 * index..32 + 8 * index].copy_from_slice(&word.to_le_bytes());
        }
        header[56..72].copy_from_slice(&[9; 16]);
        header[72..80].copy_from_slice(&entries_lba.to_le_bytes());
        header[80..84].copy_from_slice(&128u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&self.entries()).to_le_bytes());
        sign(&mut header);
        header
    }

    fn entries(&self) -> Vec<u8> {
        let mut entries = vec![0; 16384];
        for ((name, kind, start, len), entry) in self.partitions.iter().zip(entries.chunks_exact_mut(128)) {
            entry[..16].copy_from_slice(&kind.0);
            entry[16..32].copy_from_slice(&[name.len() as u8; 16]);
            entry[32..40].copy_from_slice(&(start / self.sector).to_le_bytes());
            entry[40..48].copy_from_slice(&((start + len) / self.sector - 1).to_le_bytes());
            for (unit, place) in name.encode_utf16().zip(entry[56..].chunks_exact_mut(2)) {
                place.copy_from_slice(&unit.to_le_bytes());
            }
        }
        entries
    }
}

fn sign(header: &mut [u8]) {
    header[16..20].fill(0);
    let crc = crc32fast::hash(&header[..HEADER_LEN]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
}

/// A head whose header was changed at `at` and signed again.
fn altered(table: &Table, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut head = table.head();
    let start = table.sector as usize;
    head[start + at..start + at + bytes.len()].copy_from_slice(bytes);
    sign(&mut head[start..start + HEADER_LEN]);
    head
}

#[test]
fn both_sector_sizes_are_read() {
    for sector in [512, 4096] {
        let table = Table { sector, ..Table::talos(64 * MIB, 40 * MIB) };
        let gpt = Gpt::parse(&table.head(), table.disk_size).unwrap();
        assert_eq!(u64::from(gpt.sector_size), sector);
        assert_eq!(gpt.partitions.len(), 2);
        let efi = gpt.partition("EFI").unwrap();
        assert_eq!((efi.number, efi.type_guid, efi.range.clone()), (1, Guid::EFI_SYSTEM, MIB..41 * MIB));
        assert_eq!(gpt.partition("META").unwrap().range, 41 * MIB..42 * MIB);
        assert_eq!(gpt.usable, 2 * sector + 16384..64 * MIB - 16384 - sector);
        assert_eq!(gpt.backup_range(), gpt.usable.end..64 * MIB);
        assert_eq!(gpt.check_backup(&table.tail()), Ok(()));
    }
}

#[test]
fn guids_print_as_everywhere() {
    assert_eq!(Guid::EFI_SYSTEM.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
}

#[test]
fn damage_is_named() {
    let table = Table::talos(64 * MIB, 40 * MIB);
    let flipped = |at: usize| {
        let mut head = table.head();
        head[at] ^= 1;
        head
    };
    for (head, expected) in [
        (vec![], GptError::NoBootRecord),
        (vec![0; 1 << 20], GptError::NoBootRecord),
        (flipped(510), GptError::NoBootRecord),
        (flipped(450), GptError::NotProtective),
        (flipped(512), GptError::Missing),
        (flipped(512 + 24), GptError::HeaderChecksum),
        (flipped(1024 + 60), GptError::EntriesChecksum),
        (table.head()[..1024].to_vec(), GptError::Layout { what: "the entries are not in the first MiB" }),
        (altered(&table, 12, &91u32.to_le_bytes()), GptError::Layout { what: "the header has an impossible length" }),
        (altered(&table, 12, &513u32.to_le_bytes()), GptError::Layout { what: "the header has an impossible length" }),
        (altered(&table, 8, &[0, 0, 2, 0]), GptError::Layout { what: "the revision is not 1.0" }),
        (altered(&table, 24, &[2]), GptError::Layout { what: "the header belongs to another sector" }),
        (altered(&table, 40, &[33]), GptError::Layout { what: "the usable range overlaps the table" }),
        (altered(&table, 48, &[0xFF; 8]), GptError::Layout { what: "the table is for a larger disk" }),
        (altered(&table, 32, &[0xFF; 8]), GptError::Layout { what: "the table is for a larger disk" }),
        (altered(&table, 72, &[0xFF; 8]), GptError::Layout { what: "the entries are not in the first MiB" }),
        (altered(&table, 80, &[0; 4]), GptError::Layout { what: "the entries are not in the first MiB" }),
        (altered(&table, 80, &[0xFF; 4]), GptError::Layout { what: "the entries are not in the first MiB" }),
        (altered(&table, 84, &[127]), GptError::Layout { what: "the entries are not in the first MiB" }),
    ] {
        assert_eq!(Gpt::parse(&head, table.disk_size), Err(expected));
    }
}

#[test]
fn a_table_for_a_larger_disk_is_refused() {
    let table = Table::talos(64 * MIB, 40 * MIB);
    let expected = GptError::Layout { what: "the table is for a larger disk" };
    assert_eq!(Gpt::parse(&table.head(), 64 * MIB - 1), Err(expected));
    assert!(Gpt::parse(&table.head(), 65 * MIB).is_ok());
}

#[test]
fn partitions_must_be_apart_and_on_the_disk() {
    let with = |partitions| Table { partitions, ..Table::talos(64 * MIB, 40 * MIB) };
    let (efi, other) = (Guid::EFI_SYSTEM, Guid([1; 16]));
    for (partitions, expected) in [
        (vec![("A", efi, MIB, 0)], GptError::PartitionRange { number: 1 }),
        (vec![("A", efi, 512, MIB)], GptError::PartitionRange { number: 1 }),
        (vec![("A", efi, MIB, MIB), ("B", efi, 60 * MIB, 4 * MIB)], GptError::PartitionRange { number: 2 }),
        (
            vec![("A", efi, 8 * MIB, MIB), ("B", other, 2 * MIB, 6 * MIB + 512)],
            GptError::Overlap { first: 2, second: 1 },
        ),
    ] {
        let table = with(partitions);
        assert_eq!(Gpt::parse(&table.head(), table.disk_size), Err(expected));
    }
}

#[test]
fn a_backup_that_differs_is_named() {
    let table = Table::talos(64 * MIB, 40 * MIB);
    let gpt = Gpt::parse(&table.head(), table.disk_size).unwrap();
    let mut entries = table.tail();
    entries[60] ^= 1;
    let mut header = table.tail();
    header[16384 + 40] ^= 1;
    let mut moved = table.tail();
    moved[16384 + 72..16384 + 80].fill(0xFF);
    sign(&mut moved[16384..16384 + HEADER_LEN]);
    for (tail, what) in [
        (vec![], "is not there"),
        (vec![0; 16384 + 512], "has a damaged header"),
        (entries, "has other entries"),
        (header, "has a damaged header"),
        (moved, "describes another table"),
        (Table::talos(64 * MIB, 39 * MIB).tail(), "has other entries"),
    ] {
        assert_eq!(gpt.check_backup(&tail), Err(GptError::Backup { what }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_with_good_checksums_never_panics(
        words in proptest::collection::vec((24usize..88, any::<[u8; 8]>()), 1..6),
        disk_size in any::<u64>(),
    ) {
        let table = Table::talos(64 * MIB, 40 * MIB);
        let mut head = table.head();
        for (at, word) in words {
            head[512 + at..][..8].copy_from_slice(&word);
        }
        sign(&mut head[512..][..HEADER_LEN]);
        for disk_size in [disk_size, table.disk_size] {
            if let Ok(gpt) = Gpt::parse(&head, disk_size) {
                let _ = gpt.check_backup(&table.tail());
                prop_assert!(gpt.partitions.iter().all(|p| p.range.end <= disk_size));
            }
        }
    }
}
