mod damage;
mod writer;

use std::{
    error::Error as _,
    io::Write as _,
    process::{Command, Stdio},
};

use bytes::Bytes;
use proptest::prelude::*;

use self::writer::{DELTA, Shape, Writer, compress};
use super::*;
use crate::disk_image::{DecodeError, DecodeOptions, Decoder, Event, Format, Image};

const LIMIT: u64 = 64 << 20;
const KIB: usize = 1 << 10;

fn decode(xz: &[u8], chunk: usize, threads: usize) -> Result<(Vec<u8>, Image), DecodeError> {
    let options = DecodeOptions { threads, max_raw_size: LIMIT, max_extent: 1 << 20, format: Some(Format::Xz) };
    let mut decoder = Decoder::new(options);
    let mut disk = Vec::new();
    let mut chunks = xz.chunks(chunk);
    loop {
        match chunks.next() {
            Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
            None => decoder.end_of_input(),
        }
        while let Some(event) = decoder.next_event()? {
            match event {
                Event::Data { bytes, .. } => disk.extend_from_slice(&bytes),
                Event::Zero { len, .. } => disk.resize(disk.len() + len as usize, 0),
            }
        }
        if chunks.len() == 0 && decoder.is_complete() {
            return Ok((disk, decoder.finish()?));
        }
    }
}

fn error(xz: &[u8]) -> String {
    let error = decode(xz, 4096, 1).expect_err("this must not decode");
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text.trim_start_matches("reading the xz image: ").to_owned()
}

/// Bytes with structure: half of them compress.
fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    let byte = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seed & 1 << 30 == 0 { 7 } else { (seed >> 16) as u8 }
    };
    std::iter::repeat_with(byte).take(len).collect()
}

fn one_block(raw: &[u8], shape: &Shape) -> Vec<u8> {
    let mut writer = Writer::new(Check::Crc64);
    writer.block(raw, shape);
    writer.finish()
}

#[test]
fn the_writer_of_these_tests_writes_what_liblzma_reads() {
    let raw = noise(100_000, 1);
    let mut writer = Writer::new(Check::Sha256);
    writer.block(&raw, &Shape::talos());
    writer.block(&raw, &Shape { filters: vec![DELTA, 0x0A], raw_size: false, ..Shape::talos() });
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut liblzma::read::XzDecoder::new(&writer.finish()[..]), &mut decoded).unwrap();
    assert!(decoded == raw.repeat(2));
}

#[test]
fn every_filter_and_check_is_read() {
    let raw = noise(70_000, 2);
    for filters in [
        vec![],
        vec![DELTA],
        vec![4],
        vec![5],
        vec![6],
        vec![7],
        vec![8],
        vec![9],
        vec![0x0A],
        vec![0x0B],
        vec![DELTA, 4, 7],
    ] {
        for sizes in [true, false] {
            let shape = Shape { filters: filters.clone(), compressed_size: sizes, raw_size: sizes, preset: 1 };
            let (decoded, _) = decode(&one_block(&raw, &shape), 1000, 0).unwrap();
            assert!(decoded == raw, "{shape:?}");
        }
    }
    for check in [Check::None, Check::Crc32, Check::Crc64, Check::Sha256] {
        for sizes in [true, false] {
            let mut writer = Writer::new(check);
            writer.block(&raw, &Shape { compressed_size: sizes, ..Shape::talos() });
            assert!(decode(&writer.finish(), 1000, 0).unwrap().0 == raw, "{check:?}");
        }
    }
}

#[test]
fn blocks_of_every_kind_follow_each_other() {
    let (zeros, small, large) = (vec![0; 1 << 20], noise(5000, 3), noise(4 << 20, 4));
    let mut writer = Writer::new(Check::Crc64);
    let mut expected = Vec::new();
    for (raw, sizes) in [
        (&zeros, true),
        (&zeros, true),
        (&small, true),
        (&large, true),
        (&zeros, true),
        (&small, false),
        (&vec![], true),
        (&vec![], false),
        (&small, true),
        (&large, false),
        (&zeros, false),
        (&zeros, true),
    ] {
        writer.block(raw, &Shape { compressed_size: sizes, ..Shape::talos() });
        expected.extend_from_slice(raw);
    }
    let xz = writer.finish();
    for (chunk, threads) in [(333, 0), (777, 1), (65_536, 2), (usize::MAX, 3)] {
        assert!(decode(&xz, chunk, threads).unwrap().0 == expected, "{chunk} {threads}");
    }
}

#[test]
fn equal_blocks_are_decoded_once() {
    let mut writer = Writer::new(Check::Crc32);
    for _ in 0..200 {
        writer.block(&vec![0; 256 * KIB], &Shape::talos());
        writer.block(&vec![5; 256 * KIB], &Shape::talos());
    }
    let xz = writer.finish();
    for (chunk, threads) in [(100, 0), (10_000, 2)] {
        let (mut reader, mut input, mut raw) = (Reader::new(threads), Input::default(), 0);
        for chunk in xz.chunks(chunk) {
            input.push(Bytes::copy_from_slice(chunk));
            while let Step::Piece(piece) = reader.step(&mut input).unwrap() {
                raw += piece.len();
            }
        }
        input.end();
        while let Step::Piece(piece) = reader.step(&mut input).unwrap() {
            raw += piece.len();
        }
        assert_eq!(raw, 400 * 256 * KIB as u64);
        assert_eq!(reader.blocks(), Blocks { total: 400, decoded: 2 });
    }
}

#[test]
fn the_same_bytes_under_another_check_are_another_block() {
    // A block that is right with 4 bytes of CRC32 in the first stream is damaged in one that has no check.
    let raw = noise(100, 5);
    let mut first = Writer::new(Check::Crc32);
    first.block(&raw, &Shape::talos());
    let block = first.bytes[12..].to_vec();
    let mut second = Writer::new(Check::Crc64);
    second.bytes.extend_from_slice(&block);
    second.bytes.extend_from_slice(&[0; 4]);
    second.records = vec![(first.records[0].0 + 4, first.records[0].1)];
    let both = [first.finish(), second.finish()].concat();
    assert_eq!(error(&both), "decoding block 2: the checksum of the decoded data does not match");
}

#[test]
fn streams_may_follow_each_other_with_padding() {
    let raw = noise(3000, 6);
    let stream = one_block(&raw, &Shape::talos());
    let mut other = Writer::new(Check::None);
    other.block(&raw, &Shape { compressed_size: false, ..Shape::talos() });
    let other = other.finish();
    let empty = Writer::new(Check::Crc32).finish();
    for padding in [0, 4, 64] {
        let xz =
            [&stream[..], &vec![0; padding], &empty, &other, &vec![0; padding], &stream, &vec![0; padding]].concat();
        for chunk in [1, 50, usize::MAX] {
            assert!(decode(&xz, chunk, 1).unwrap().0 == raw.repeat(3), "{padding} {chunk}");
        }
    }
    for padding in [1, 2, 3, 5] {
        let expected = "the padding after a stream is not a multiple of four bytes";
        assert_eq!(error(&[&stream[..], &vec![0; padding]].concat()), expected);
        assert_eq!(error(&[&stream[..], &vec![0; padding], &stream].concat()), expected);
    }
    assert_eq!(error(&[&stream[..], b"garbage after"].concat()), "the stream header is not one");
    assert_eq!(error(&[&[0; 4][..], &stream].concat()), "the stream header is not one");
}

#[test]
fn files_of_the_real_tool_are_read() {
    let raw = [vec![0; 5 << 19], noise(400_000, 13), vec![0; 700_000], noise(100, 14)].concat();
    for arguments in [
        "-0 -T2",
        "-0 -T1",
        "-6 -T2",
        "-9e -T1",
        "-0 -T2 --block-size=64KiB",
        "-0 -T1 --block-size=100000",
        "-0 -T2 --block-size=8MiB",
        "-0 -T2 -Cnone",
        "-0 -T2 -Ccrc32",
        "-0 -T2 -Csha256",
        "-T2 --delta=dist=4 --lzma2=preset=0",
        "-T1 --x86 --lzma2=dict=4KiB",
        "-T1 --block-list=1MiB,5KiB,0",
    ] {
        let Some(xz) = real_xz(&raw, arguments) else {
            return;
        };
        if arguments.starts_with("-9e") {
            // 64 MiB of dictionary, and no size that would show that less is enough.
            assert!(error(&xz).contains("dictionary of 67108864 bytes"));
            continue;
        }
        for (chunk, threads) in [(10_000, 0), (65_536, 2)] {
            assert!(decode(&xz, chunk, threads).unwrap().0 == raw, "{arguments}");
        }
    }
}

/// `None` where there is no `xz`.
fn real_xz(raw: &[u8], arguments: &str) -> Option<Vec<u8>> {
    let mut command = Command::new("xz");
    command.args(["-c", "-q"]).args(arguments.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let raw = raw.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&raw));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "{arguments}");
    Some(output.stdout)
}

fn shapes() -> impl Strategy<Value = Shape> {
    let filters = prop_oneof![Just(vec![]), Just(vec![DELTA]), Just(vec![4]), Just(vec![0x0A])];
    (prop::bool::weighted(0.8), prop::bool::weighted(0.8), filters, 0u32..3)
        .prop_map(|(compressed_size, raw_size, filters, preset)| Shape { compressed_size, raw_size, filters, preset })
}

fn checks() -> impl Strategy<Value = Check> {
    prop_oneof![Just(Check::None), Just(Check::Crc32), Just(Check::Crc64), Just(Check::Sha256)]
}

/// Parts of an image: length, and what it is made of.
fn images() -> impl Strategy<Value = Vec<u8>> {
    let part = (1usize..300_000, 0u32..4).prop_map(|(len, kind)| match kind {
        0 | 1 => vec![0; len],
        2 => vec![0xFF; len],
        _ => noise(len, len as u32),
    });
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn random_images_survive_random_files(
        raw in images(),
        block in prop_oneof![Just(65_536usize), 1000usize..400_000],
        shapes in prop::collection::vec(shapes(), 1..4),
        checks in prop::collection::vec(checks(), 1..3),
        chunk in 1usize..100_000,
        threads in 0usize..3,
    ) {
        let mut xz = Vec::new();
        let streams = checks.len();
        let share = raw.len().div_ceil(streams).max(1);
        for (check, part) in checks.iter().zip(raw.chunks(share)) {
            let mut writer = Writer::new(*check);
            for (raw, shape) in part.chunks(block).zip(shapes.iter().cycle()) {
                writer.block(raw, shape);
            }
            xz.extend_from_slice(&writer.finish());
            xz.extend_from_slice(&vec![0; chunk % 3 * 4]);
        }
        if xz.is_empty() {
            xz = Writer::new(checks[0]).finish();
        }
        let (decoded, image) = decode(&xz, chunk, threads).unwrap();
        prop_assert!(decoded == raw);
        let (_, whole) = decode(&one_block(&raw, &Shape { raw_size: false, ..Shape::talos() }), 1 << 20, 0).unwrap();
        prop_assert_eq!(image.extents, whole.extents);
        prop_assert_eq!(image.raw_size, raw.len() as u64);
    }

    #[test]
    fn random_damage_is_an_error(
        raw in images(),
        shape in shapes(),
        at in any::<prop::sample::Index>(),
        xor in 1u8..=255,
        cut in any::<bool>(),
        threads in 0usize..3,
    ) {
        let mut writer = Writer::new(Check::Crc64);
        raw.chunks(100_000).for_each(|raw| writer.block(raw, &shape));
        let mut xz = writer.finish();
        let at = at.index(xz.len());
        if cut {
            xz.truncate(at);
        } else {
            xz[at] ^= xor;
        }
        prop_assert!(decode(&xz, 5000, threads).is_err());
    }
}
