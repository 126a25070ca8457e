use std::{collections::BTreeSet, process::Command};

use bytes::Bytes;

use super::*;
use crate::disk_image::{Digest, Event};

fn data(offset: u64, len: usize, byte: u8) -> Event {
    let bytes = Bytes::from(vec![byte; len]);
    Event::Data { offset, sha256: Digest::of(&bytes), bytes }
}

fn zero(offset: u64, len: u64) -> Event {
    Event::Zero { offset, len }
}

/// Data at the beginning, across the border of two tables, and a last cluster that is not full.
fn events() -> Vec<Event> {
    let border = ENTRIES * CLUSTER_LEN;
    let last = 3 * border + 5 * CLUSTER_LEN;
    vec![
        data(0, CLUSTER, 1),
        zero(CLUSTER_LEN, border - 3 * CLUSTER_LEN),
        data(border - 2 * CLUSTER_LEN, 2 * CLUSTER, 2),
        data(border, CLUSTER, 3),
        zero(border + CLUSTER_LEN, 2 * border + 4 * CLUSTER_LEN),
        data(last, 1000, 4),
    ]
}

fn extents(events: &[Event]) -> (u64, Vec<Extent>) {
    let (mut raw_size, mut extents) = (0, Vec::new());
    for event in events {
        match event {
            Event::Data { offset, bytes, sha256 } => {
                extents.push(Extent { offset: *offset, len: bytes.len() as u64, sha256: *sha256 });
                raw_size = offset + bytes.len() as u64;
            }
            Event::Zero { offset, len } => raw_size = offset + len,
        }
    }
    (raw_size, extents)
}

/// The head, and then the data as the documentation of [`Qcow2`] says.
fn write(events: &[Event]) -> Vec<u8> {
    let (raw_size, extents) = extents(events);
    let qcow2 = Qcow2::of(raw_size, &extents).unwrap();
    let mut file = qcow2.head().to_vec();
    for event in events {
        if let Event::Data { bytes, .. } = event {
            file.extend_from_slice(bytes);
            file.resize(file.len() + Qcow2::padding(bytes.len() as u64), 0);
        }
    }
    assert_eq!(file.len() as u64, qcow2.size());
    file
}

fn number(file: &[u8], at: u64, len: usize) -> u64 {
    file[at as usize..][..len].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The cluster at a disk offset, read through the tables as the specification says.
fn read(file: &[u8], offset: u64) -> Option<&[u8]> {
    let cluster = offset / CLUSTER_LEN;
    let l1 = number(file, 40, 8) + cluster / ENTRIES * 8;
    let l2 = number(file, l1, 8) & !COPIED;
    let host = if l2 == 0 { 0 } else { number(file, l2 + cluster % ENTRIES * 8, 8) & !COPIED };
    (host != 0).then(|| &file[host as usize..][..CLUSTER])
}

#[test]
fn tables_lead_to_the_data_and_nowhere_else() {
    let file = write(&events());
    assert_eq!(number(&file, 24, 8), 3 * (512 << 20) + 5 * CLUSTER_LEN + 1024);
    let mut allocated = 0;
    for event in events() {
        match event {
            Event::Data { offset, bytes, .. } => {
                for (index, part) in bytes.chunks(CLUSTER).enumerate() {
                    let cluster = read(&file, offset + index as u64 * CLUSTER_LEN).unwrap();
                    assert_eq!(&cluster[..part.len()], part);
                    assert!(cluster[part.len()..].iter().all(|byte| *byte == 0));
                    allocated += 1;
                }
            }
            Event::Zero { offset, len } => {
                for at in [offset, offset + len - CLUSTER_LEN] {
                    assert_eq!(read(&file, at), None);
                }
            }
        }
    }
    // Header, two full tables and one of the last 512 MiB, the first table, counts and their table.
    assert_eq!(file.len() as u64 / CLUSTER_LEN, allocated + 1 + 3 + 1 + 2);
}

#[test]
fn every_cluster_of_the_file_is_counted_once() {
    let file = write(&events());
    let counts = number(&file, number(&file, 48, 8), 8);
    let clusters = file.len() as u64 / CLUSTER_LEN;
    assert!((0..counts / CLUSTER_LEN).all(|cluster| cluster < clusters));
    let counted: BTreeSet<u64> = (0..REFCOUNTS).filter(|cluster| number(&file, counts + cluster * 2, 2) == 1).collect();
    assert_eq!(counted, (0..clusters).collect());
}

#[test]
fn an_empty_image_is_an_image() {
    let file = write(&[]);
    assert_eq!((number(&file, 24, 8), number(&file, 36, 4)), (0, 0));
}

#[test]
fn extents_that_are_none_of_an_image_are_refused() {
    let extent = |offset, len| Extent { offset, len, sha256: Digest::of(b"") };
    let raw_size = 9 * CLUSTER_LEN;
    for (extents, wrong) in [
        (vec![extent(512, CLUSTER_LEN)], 512),
        (vec![extent(CLUSTER_LEN, CLUSTER_LEN), extent(0, CLUSTER_LEN)], 0),
        (vec![extent(0, CLUSTER_LEN + 1), extent(CLUSTER_LEN, CLUSTER_LEN)], CLUSTER_LEN),
        (vec![extent(8 * CLUSTER_LEN, 2 * CLUSTER_LEN)], 8 * CLUSTER_LEN),
        (vec![extent(CLUSTER_LEN, u64::MAX)], CLUSTER_LEN),
    ] {
        assert_eq!(Qcow2::of(raw_size, &extents), Err(Qcow2Error { offset: wrong }));
    }
}

#[test]
fn counts_are_enough_when_they_need_more_than_one_cluster() {
    // Whole tables of data: 2.5 GiB.
    let extents: Vec<Extent> =
        (0..2560).map(|index| Extent { offset: index << 20, len: 1 << 20, sha256: Digest::of(b"") }).collect();
    let qcow2 = Qcow2::of(2560 << 20, &extents).unwrap();
    let clusters = qcow2.size() / CLUSTER_LEN;
    let table = number(qcow2.head(), 48, 8);
    let blocks = (0..).map(|index| number(qcow2.head(), table + index * 8, 8)).take_while(|block| *block != 0);
    let counted: u64 =
        blocks.map(|block| (0..REFCOUNTS).map(|at| number(qcow2.head(), block + at * 2, 2)).sum::<u64>()).sum();
    assert_eq!((counted, clusters > REFCOUNTS), (clusters, true));
}

#[test]
fn qemu_img_finds_no_fault_and_the_same_content() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped: no qemu-img (apt-get install qemu-utils)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (qcow2, raw) = (dir.path().join("image.qcow2"), dir.path().join("image.raw"));
    std::fs::write(&qcow2, write(&events())).unwrap();
    let file = std::fs::File::create(&raw).unwrap();
    for event in events() {
        match event {
            Event::Data { offset, bytes, .. } => {
                std::os::unix::fs::FileExt::write_all_at(&file, &bytes, offset).unwrap();
            }
            Event::Zero { offset, len } => file.set_len(offset + len).unwrap(),
        }
    }
    let empty = dir.path().join("empty.qcow2");
    std::fs::write(&empty, write(&[])).unwrap();
    for file in [&qcow2, &empty] {
        let check = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(file).output().unwrap();
        assert!(check.status.success(), "{check:?}");
        assert!(String::from_utf8_lossy(&check.stdout).contains("No errors were found on the image."), "{check:?}");
    }
    let arguments = ["compare", "-f", "qcow2", "-F", "raw"];
    let compare = Command::new("qemu-img").args(arguments).arg(&qcow2).arg(&raw).output().unwrap();
    assert!(compare.status.success(), "{compare:?}");
}
