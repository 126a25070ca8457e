use proptest::prelude::*;

use super::*;

const SECTOR: u64 = 512;
const RESERVED: u64 = 32;
const TABLE_SECTORS: u64 = 1024;
pub const CLUSTERS: u32 = 130_000;
const CLUSTER: u64 = 1024;
pub const DATA_START: u64 = (RESERVED + 2 * TABLE_SECTORS) * SECTOR;
pub const PARTITION: u64 = DATA_START + CLUSTERS as u64 * CLUSTER + 3 * SECTOR;

/// Boot sector, information sector and tables of a file system of about 128 MiB with these clusters in use.
pub fn metadata(used: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; DATA_START as usize];
    bytes[..3].copy_from_slice(&[0xEB, 0x58, 0x90]);
    bytes[11..13].copy_from_slice(&(SECTOR as u16).to_le_bytes());
    bytes[13] = (CLUSTER / SECTOR) as u8;
    bytes[14..16].copy_from_slice(&(RESERVED as u16).to_le_bytes());
    bytes[16] = 2;
    bytes[21] = 0xF8;
    bytes[32..36].copy_from_slice(&((PARTITION / SECTOR) as u32 - 2).to_le_bytes());
    bytes[36..40].copy_from_slice(&(TABLE_SECTORS as u32).to_le_bytes());
    bytes[44] = 2;
    bytes[48] = 1;
    bytes[510..516].copy_from_slice(b"\x55\xAARRaA");
    bytes[996..1000].copy_from_slice(b"rrAa");
    bytes[1000..1004].copy_from_slice(&(CLUSTERS - used.len() as u32).to_le_bytes());
    for table in [RESERVED, RESERVED + TABLE_SECTORS] {
        let table = &mut bytes[(table * SECTOR) as usize..];
        table[..8].copy_from_slice(&[0xF8, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0x0F]);
        for cluster in used {
            table[*cluster as usize * 4..][..4].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F]);
        }
    }
    bytes
}

fn scan(bytes: &[u8]) -> Result<FatMap, FatError> {
    let mut scan = FatScan::new(bytes, PARTITION)?;
    scan.feed(0, bytes);
    scan.finish()
}

fn cluster(number: u32) -> Range<u64> {
    let start = DATA_START + u64::from(number - 2) * CLUSTER;
    start..start + CLUSTER
}

#[test]
fn only_free_clusters_are_not_needed() {
    let map = scan(&metadata(&[2, 3, 70, 130_001])).unwrap();
    assert_eq!((map.free_clusters(), map.cluster_size()), (CLUSTERS - 4, CLUSTER));
    for (range, needed) in [
        (0..512, true),
        (DATA_START - 1..DATA_START, true),
        (cluster(2), true),
        (cluster(3), true),
        (cluster(4), false),
        (cluster(4).start..cluster(69).end, false),
        (cluster(4).start..cluster(70).start + 1, true),
        (cluster(70).end - 1..cluster(75).end, true),
        (cluster(71).start..cluster(130_000).end, false),
        (cluster(130_001), true),
        (cluster(130_000).start..cluster(130_001).start + 1, true),
        (cluster(130_001).end..PARTITION, true),
        (cluster(5).start..cluster(5).start, false),
    ] {
        assert_eq!(map.is_needed(range.clone()), needed, "{range:?}");
    }
}

#[test]
fn a_cluster_in_use_in_either_table_is_needed() {
    for table in [RESERVED, RESERVED + TABLE_SECTORS] {
        let mut bytes = metadata(&[2]);
        bytes[1000..1004].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[(table * SECTOR) as usize + 4 * 99 + 1] = 1;
        assert!(scan(&bytes).unwrap().is_needed(cluster(99)));
    }
}

#[test]
fn reserved_bits_do_not_make_a_cluster_used() {
    let mut bytes = metadata(&[2]);
    bytes[(RESERVED * SECTOR) as usize + 4 * 99 + 3] = 0xF0;
    assert!(!scan(&bytes).unwrap().is_needed(cluster(99)));
}

#[test]
fn tables_may_come_in_pieces() {
    let bytes = metadata(&[2, 500, 9999]);
    let whole = scan(&bytes).unwrap();
    let mut scan = FatScan::new(&bytes, PARTITION).unwrap();
    for (index, piece) in bytes.chunks(777).enumerate().filter(|(_, piece)| piece.iter().any(|byte| *byte != 0)) {
        scan.feed(index as u64 * 777, piece);
    }
    assert_eq!(scan.finish(), Ok(whole));
}

#[test]
fn anything_unusual_is_not_believed() {
    let layout = |what| FatError::Layout { what };
    let contradiction = |what| FatError::Contradiction { what };
    let table = (RESERVED * SECTOR) as usize;
    for (at, change, expected) in [
        (0, &[0][..], FatError::NoBootSector),
        (511, &[0], FatError::NoBootSector),
        (11, &[0, 1], layout("sector size")),
        (11, &[1, 2], layout("sector size")),
        (13, &[3], layout("cluster size")),
        (13, &[0], layout("cluster size")),
        (13, &[255], layout("cluster size")),
        (14, &[1], layout("reserved sectors or number of tables")),
        (16, &[0], layout("reserved sectors or number of tables")),
        (16, &[3], layout("reserved sectors or number of tables")),
        (17, &[2], FatError::NotFat32),
        (19, &[2], FatError::NotFat32),
        (22, &[2], FatError::NotFat32),
        (13, &[4], FatError::NotFat32),
        (32, &[0, 0, 0, 1], layout("total size")),
        (36, &[0, 0, 0, 1], layout("total size")),
        (36, &[0, 1], layout("tables")),
        (40, &[0x80], layout("tables")),
        (42, &[1], layout("tables")),
        (44, &[1], layout("root directory")),
        (44, &[0, 0, 16], layout("root directory")),
        (48, &[6], layout("information sector")),
        (512, &[0], layout("information sector")),
        (1000, &[1], contradiction("its count of free clusters is wrong")),
        (table, &[0xF0], contradiction("the first table entry is not the media type")),
        (table + 7, &[0x07], contradiction("it was not unmounted cleanly")),
        (table + 7, &[0x0B], contradiction("it was not unmounted cleanly")),
        (44, &[9], contradiction("its root directory is in a free cluster")),
    ] {
        let mut bytes = metadata(&[2]);
        bytes[at..at + change.len()].copy_from_slice(change);
        assert_eq!(scan(&bytes), Err(expected), "{change:?} at {at}");
    }
    assert_eq!(FatScan::new(&metadata(&[2])[..600], PARTITION).err(), Some(layout("information sector")));
    assert_eq!(FatScan::new(&metadata(&[2]), PARTITION - 2 * SECTOR - 1).err(), Some(layout("total size")));
    assert_eq!(FatScan::new(&[], PARTITION).err(), Some(FatError::NoBootSector));
}

#[test]
fn a_file_system_that_takes_too_much_memory_is_not_tracked() {
    let mut bytes = metadata(&[2]);
    bytes[13] = 1;
    bytes[32..40].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 1]);
    let expected = 0x7FFF_FFFF - RESERVED - (2 << 24);
    assert_eq!(FatScan::new(&bytes, u64::MAX).err(), Some(FatError::TooLarge { clusters: expected }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_never_panics_and_the_map_answers_everything(
        changes in proptest::collection::vec((0usize..64, any::<u8>()), 0..8),
        len in any::<u64>(),
        ask in (any::<u64>(), any::<u64>()),
    ) {
        let mut bytes = metadata(&[2]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        for len in [len, PARTITION] {
            if let Ok(mut scan) = FatScan::new(&bytes, len) {
                scan.feed(0, &bytes[..40_000]);
                scan.feed(u64::MAX - 5, &bytes[..10]);
                if let Ok(map) = scan.finish() {
                    prop_assert!(map.is_needed(0..1));
                    map.is_needed(ask.0.min(ask.1)..ask.0.max(ask.1));
                }
            }
        }
    }
}
