//! Files that must be refused.

use super::*;

#[test]
fn headers_that_lie_are_found_out() {
    let raw = noise(10_000, 7);
    let data = compress(&raw, &Shape::talos());
    let len = data.len() as u64;
    for (compressed, announced) in
        [(len, 9_999), (len, 10_001), (len, 0), (len - 1, 10_000), (len + 1, 10_000), (len + 4, 10_000)]
    {
        let lies =
            |shape: &Shape| (shape.compressed_size && compressed != len) || (shape.raw_size && announced != 10_000);
        let shapes = [(true, true), (true, false), (false, true)].map(|(compressed_size, raw_size)| Shape {
            compressed_size,
            raw_size,
            ..Shape::talos()
        });
        for shape in shapes.iter().filter(|shape| lies(shape)) {
            let mut writer = Writer::new(Check::Crc64);
            let mut resized = data.clone();
            resized.resize(compressed as usize, 0);
            writer.raw_block(&resized, compressed, announced, &raw, shape);
            writer.block(&raw, &Shape::talos());
            let message = error(&writer.finish());
            assert!(message.starts_with("decoding block 1: "), "{compressed} {announced} {message}");
        }
    }
}

#[test]
fn an_index_of_other_blocks_is_refused() {
    let raw = noise(1000, 8);
    for (number, change) in [(0, (1, 0)), (0, (0, 1)), (1, (4, 0))] {
        let mut writer = Writer::new(Check::Crc64);
        writer.block(&raw, &Shape::talos());
        writer.block(&raw, &Shape { compressed_size: false, ..Shape::talos() });
        writer.records[number].0 += change.0;
        writer.records[number].1 += change.1;
        assert_eq!(error(&writer.finish()), "the index lists other sizes than the blocks have");
    }
    let mut writer = Writer::new(Check::Crc64);
    writer.block(&raw, &Shape::talos());
    writer.records.pop();
    assert_eq!(error(&writer.finish()), "the index lists another number of blocks");
}

#[test]
fn a_wrong_checksum_is_found_in_every_block() {
    let raw = noise(2000, 9);
    for number in 0..6 {
        for sizes in [true, false] {
            let shape = Shape { raw_size: sizes, ..Shape::talos() };
            let mut writer = Writer::new(Check::Crc64);
            for block in 0..6 {
                // Equal blocks too: a damaged one must not pass for a known one.
                let data = compress(&raw, &shape);
                let claimed = if block == number { &raw[1..] } else { &raw[..] };
                writer.raw_block(&data, data.len() as u64, raw.len() as u64, claimed, &shape);
            }
            let expected = format!("decoding block {}: the checksum of the decoded data does not match", number + 1);
            assert_eq!(error(&writer.finish()), expected);
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let raw = [vec![0; 3000], noise(600, 10), vec![0; 3000]].concat();
    let mut writer = Writer::new(Check::Crc32);
    writer.block(&raw, &Shape::talos());
    writer.block(&raw, &Shape { compressed_size: false, raw_size: false, ..Shape::talos() });
    let mut xz = writer.finish();
    xz.extend_from_slice(&[0; 4]);
    for at in 0..xz.len() {
        for bit in 0..8 {
            xz[at] ^= 1 << bit;
            assert!(decode(&xz, 512, 0).is_err(), "bit {bit} of byte {at} of {}", xz.len());
            xz[at] ^= 1 << bit;
        }
    }
    assert!(decode(&xz, 512, 0).is_ok());
}

#[test]
fn every_cut_is_an_error() {
    let raw = noise(600, 11);
    let mut writer = Writer::new(Check::Sha256);
    writer.block(&raw, &Shape::talos());
    writer.block(&raw, &Shape { compressed_size: false, raw_size: false, ..Shape::talos() });
    let xz = writer.finish();
    for len in 0..xz.len() {
        for threads in [0, 1] {
            let error = decode(&xz[..len], 100, threads).unwrap_err();
            assert!(matches!(error, DecodeError::Xz(XzError::Truncated { .. })), "{len}: {error:?}");
        }
    }
}

#[test]
fn too_large_a_dictionary_is_refused_with_its_size() {
    let raw = noise(1000, 12);
    let data = compress(&raw, &Shape::talos());
    let shape = Shape { raw_size: false, ..Shape::talos() };
    let mut writer = Writer::new(Check::Crc64);
    writer.raw_block(&data, data.len() as u64, 1000, &raw, &shape);
    let mut xz = writer.finish();
    // The dictionary of the first block: 4 GiB instead of 256 KiB.
    let at = 12 + xz[12..].windows(3).position(|bytes| bytes == [0x21, 1, writer::DICTIONARY]).unwrap() + 2;
    xz[at] = 40;
    let header_len = (usize::from(xz[12]) + 1) * 4;
    let checksum = crc32fast::hash(&xz[12..12 + header_len - 4]);
    xz[12 + header_len - 4..12 + header_len].copy_from_slice(&checksum.to_le_bytes());
    let expected = "decoding block 1: decoding takes a dictionary of 4294967295 bytes; at most 16777216 are allowed";
    assert_eq!(error(&xz), expected);
}

#[test]
fn endless_input_that_decodes_to_nothing_is_stopped() {
    let mut writer = Writer::new(Check::None);
    writer.block(&[], &Shape::talos());
    let block = writer.bytes[12..].to_vec();
    let empty = Writer::new(Check::None).finish();
    let start = empty[..12].to_vec();
    for (start, endless) in [(&start, &block), (&empty, &vec![0; 4]), (&empty, &empty)] {
        let mut decoder = Decoder::new(DecodeOptions::new(1 << 20));
        decoder.push(Bytes::copy_from_slice(start));
        let chunk = Bytes::from(endless.repeat(10_000));
        let error = loop {
            decoder.push(chunk.clone());
            if let Err(error) = decoder.next_event() {
                break error;
            }
        };
        assert!(matches!(error, DecodeError::TooMuchInput { .. }), "{error:?}");
    }
}
