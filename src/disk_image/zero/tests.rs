use super::*;
use crate::disk_image::{
    Digest,
    fat::tests::{DATA_START, PARTITION, metadata},
    gpt::tests::{MIB, Table},
    layout::Survey,
};

const GRAIN: u64 = GRANULE as u64;
const DISK: u64 = 160 * MIB;
const EFI: u64 = MIB + MIB / 2;
const EFI_LEN: u64 = PARTITION.next_multiple_of(MIB / 2);
const META: u64 = EFI + EFI_LEN;

/// EFI does not begin at a whole MiB here, to cut granules.
fn table() -> Table {
    let mut table = Table::talos(DISK, EFI_LEN);
    table.partitions[0].2 = EFI;
    table.partitions[1].2 = META;
    table
}

/// What an image with these bytes holds, byte ranges given by their offset.
fn survey(parts: &[(u64, Vec<u8>)]) -> (Vec<Extent>, Result<Layout, GptError>) {
    let mut granules = std::collections::BTreeMap::<u64, Vec<u8>>::new();
    for (offset, bytes) in parts {
        for (byte, at) in bytes.iter().zip(*offset..) {
            if *byte != 0 {
                let granule = granules.entry(at - at % GRAIN).or_insert_with(|| vec![0; GRANULE]);
                granule[(at % GRAIN) as usize] = *byte;
            }
        }
    }
    let mut survey = Survey::new();
    granules.iter().for_each(|(offset, bytes)| survey.data(*offset, bytes));
    let extent = |offset: &u64| Extent { offset: *offset, len: GRAIN, sha256: Digest([0; 32]) };
    (granules.keys().map(extent).collect(), survey.finish(DISK))
}

fn talos(used: &[u32]) -> (Vec<Extent>, Result<Layout, GptError>) {
    let table = table();
    let tail = table.tail();
    survey(&[(0, table.head()), (EFI, metadata(used)), (DISK - tail.len() as u64, tail)])
}

fn ranges(mode: ZeroMode, image: &(Vec<Extent>, Result<Layout, GptError>)) -> Vec<Range<u64>> {
    let plan = zero_plan(mode, DISK, &image.0, &image.1);
    assert_eq!(plan.fallbacks, Vec::<String>::new());
    assert!(plan.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    plan.ranges
}

#[test]
fn a_survey_finds_tables_and_file_system() {
    let (_, layout) = talos(&[2, 3]);
    let layout = layout.unwrap();
    assert_eq!(layout.backup, Ok(()));
    assert_eq!(layout.efi.unwrap().fat.unwrap().free_clusters(), 130_000 - 2);
}

#[test]
fn all_is_every_hole() {
    let image = talos(&[2]);
    let zeroed: u64 = ranges(ZeroMode::All, &image).iter().map(|range| range.end - range.start).sum();
    assert_eq!(zeroed + image.0.len() as u64 * GRAIN, DISK);
}

#[test]
fn partitions_leaves_out_what_lies_between_them() {
    let image = talos(&[2]);
    // Boot sector and first table share a granule, the second table begins 544 KiB into the partition.
    let first = EFI - EFI % GRAIN;
    let second = EFI + (32 + 1024) * 512;
    let expected = [first + GRAIN..second - second % GRAIN, second - second % GRAIN + GRAIN..META + MIB];
    assert_eq!(ranges(ZeroMode::Partitions, &image), expected);
}

#[test]
fn needed_leaves_out_free_clusters_too() {
    // Cluster 2 and a cluster far in, both in use but all zero.
    let far = 100_000;
    let image = talos(&[2, far]);
    let floor = |at: u64| at - at % GRAIN;
    let far = floor(EFI + DATA_START + u64::from(far - 2) * 1024);
    let second = floor(EFI + (32 + 1024) * 512);
    let table_of_far = floor(EFI + (32 * 512) + 400_000);
    let expected = [
        EFI + GRAIN..table_of_far,
        table_of_far + GRAIN..second,
        second + GRAIN..floor(EFI + (32 + 1024) * 512 + 400_000),
        floor(EFI + (32 + 1024) * 512 + 400_000) + GRAIN..floor(EFI + DATA_START) + GRAIN,
        far..far + GRAIN,
        floor(EFI + PARTITION - 3 * 512)..META + MIB,
    ];
    assert_eq!(ranges(ZeroMode::Needed, &image), expected);
}

#[test]
fn needed_is_never_more_than_partitions_nor_that_more_than_all() {
    let image = talos(&[2, 70, 9_000, 130_001]);
    let inside = |small: &[Range<u64>], large: &[Range<u64>]| {
        small.iter().all(|s| large.iter().any(|l| l.start <= s.start && s.end <= l.end))
    };
    let (needed, partitions) = (ranges(ZeroMode::Needed, &image), ranges(ZeroMode::Partitions, &image));
    assert!(inside(&needed, &partitions));
    assert!(inside(&partitions, &ranges(ZeroMode::All, &image)));
    assert_ne!(needed, partitions);
}

#[test]
fn a_file_system_that_is_not_understood_is_zeroed_whole() {
    let table = table();
    let mut broken = metadata(&[2]);
    broken[16] = 7;
    let image = survey(&[(0, table.head()), (EFI, broken)]);
    let needed = zero_plan(ZeroMode::Needed, DISK, &image.0, &image.1);
    let partitions = zero_plan(ZeroMode::Partitions, DISK, &image.0, &image.1);
    assert_eq!(needed.ranges, partitions.ranges);
    let reason = "the reserved sectors or number of tables of the FAT32 file system cannot be right";
    assert_eq!(needed.fallbacks, [format!("all of partition 1 (EFI) is zeroed: {reason}")]);
    assert_eq!(partitions.fallbacks, Vec::<String>::new());
}

#[test]
fn without_a_partition_table_everything_is_zeroed() {
    let image = survey(&[(5 * MIB, vec![1])]);
    let plan = zero_plan(ZeroMode::Needed, DISK, &image.0, &image.1);
    assert_eq!(plan.ranges, [0..5 * MIB, 5 * MIB + GRAIN..DISK]);
    assert_eq!(plan.fallbacks, ["everything is zeroed: the image has no boot record"]);
    assert_eq!(plan.size(), DISK - GRAIN);
}

#[test]
fn an_empty_efi_partition_is_zeroed_whole() {
    let table = table();
    let tail = table.tail();
    let image = survey(&[(0, table.head()), (DISK - tail.len() as u64, tail)]);
    let plan = zero_plan(ZeroMode::Needed, DISK, &image.0, &image.1);
    assert_eq!(plan.ranges, std::slice::from_ref(&(EFI..META + MIB)));
    assert_eq!(plan.fallbacks, ["all of partition 1 (EFI) is zeroed: there is no FAT boot sector"]);
}

#[test]
fn an_image_that_ends_within_a_granule_is_zeroed_to_its_end() {
    let image = survey(&[(0, vec![1])]);
    let plan = zero_plan(ZeroMode::All, 3 * GRAIN + 512, &image.0, &image.1);
    assert_eq!(plan.ranges, std::slice::from_ref(&(GRAIN..3 * GRAIN + 512)));
}

#[test]
fn modes_are_read_and_printed() {
    for (mode, name) in MODES {
        assert_eq!((name.parse(), mode.to_string()), (Ok(mode), name.to_owned()));
    }
    assert_eq!("none".parse::<ZeroMode>(), Err(ZeroModeError));
}
