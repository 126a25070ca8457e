use std::{collections::BTreeSet, io::Cursor, process::Command};

use bytes::Bytes;

use super::*;
use crate::disk_image::Digest;

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

fn write(events: &[Event]) -> Vec<u8> {
    let mut writer = Qcow2Writer::new(Cursor::new(Vec::new())).unwrap();
    events.iter().for_each(|event| writer.event(event).unwrap());
    writer.finish().unwrap().into_inner()
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
    let counted: BTreeSet<u64> = (0..REFCOUNTS).filter(|cluster| number(&file, counts + cluster * 2, 2) == 1).collect();
    assert_eq!(counted, (0..clusters).collect());
}

#[test]
fn an_empty_image_is_an_image() {
    let file = write(&[]);
    assert_eq!((number(&file, 24, 8), number(&file, 36, 4)), (0, 0));
}

#[test]
fn events_must_follow_each_other() {
    let mut writer = Qcow2Writer::new(Cursor::new(Vec::new())).unwrap();
    writer.event(&data(0, CLUSTER, 1)).unwrap();
    for event in [data(0, CLUSTER, 1), zero(2 * CLUSTER_LEN, 1)] {
        assert!(matches!(writer.event(&event), Err(Qcow2Error::Order { expected: CLUSTER_LEN, .. })));
    }
    writer.event(&data(CLUSTER_LEN, 10, 1)).unwrap();
    assert!(matches!(writer.event(&zero(CLUSTER_LEN + 10, 1)), Err(Qcow2Error::Order { .. })));
}

#[test]
fn a_sink_that_fails_is_reported() {
    let sink = Cursor::new([0; CLUSTER + 1]);
    let mut writer = Qcow2Writer::new(Box::new(sink)).map_err(|_| ()).ok();
    let outcome = writer.as_mut().map(|writer| writer.event(&data(0, CLUSTER, 1)));
    assert!(matches!(outcome, Some(Err(Qcow2Error::Write(_)))));
}

#[test]
fn qemu_img_finds_no_fault_and_the_same_content() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
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
