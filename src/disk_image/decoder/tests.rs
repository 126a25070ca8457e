use std::{error::Error as _, io::Write as _};

use liblzma::stream::{Check, Stream};

use super::*;
use crate::disk_image::{GRANULE, HEAD};

const LIMIT: u64 = 64 << 20;

/// A small disk: a boot record, a hole, some data, a long hole, a byte near the end.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 9 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    for (index, byte) in disk[3 << 20..4 << 20].iter_mut().enumerate() {
        *byte = (index * 31 % 251) as u8;
    }
    disk[(9 << 20) - 100] = 7;
    disk
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let stream = Stream::new_easy_encoder(0, Check::Crc64).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Decodes chunk by chunk, and rebuilds the disk from the events.
fn decode(compressed: &[u8], chunk: usize, options: DecodeOptions) -> Result<(Vec<u8>, Image), DecodeError> {
    let mut decoder = Decoder::new(options);
    let mut disk = Vec::new();
    let mut drain = |decoder: &mut Decoder| -> Result<(), DecodeError> {
        while let Some(event) = decoder.next_event()? {
            match event {
                Event::Data { offset, bytes, .. } => {
                    assert_eq!(offset, disk.len() as u64);
                    disk.extend_from_slice(&bytes);
                }
                Event::Zero { offset, len } => {
                    assert_eq!(offset, disk.len() as u64);
                    disk.resize(disk.len() + len as usize, 0);
                }
            }
        }
        Ok(())
    };
    for chunk in compressed.chunks(chunk) {
        decoder.push(Bytes::copy_from_slice(chunk));
        drain(&mut decoder)?;
    }
    decoder.end_of_input();
    drain(&mut decoder)?;
    Ok((disk, decoder.finish()?))
}

#[test]
fn every_format_gives_the_same_disk_and_map() {
    let disk = disk();
    let mut maps = Vec::new();
    for (format, compressed) in [(Format::Raw, disk.clone()), (Format::Xz, xz(&disk)), (Format::Zstd, zst(&disk))] {
        for chunk in [1000, 65_536, usize::MAX] {
            let (decoded, image) = decode(&compressed, chunk, DecodeOptions::new(LIMIT)).unwrap();
            assert!(decoded == disk, "{format:?} {chunk}");
            assert_eq!((image.format, image.raw_size), (format, disk.len() as u64));
            assert_eq!(image.compressed_sha256, Digest::of(&compressed));
            assert_eq!(image.compressed_size, compressed.len() as u64);
            maps.push(image.extents);
        }
    }
    assert!(maps.windows(2).all(|pair| pair[0] == pair[1]));
    let offsets: Vec<_> = maps[0].iter().map(|extent| (extent.offset, extent.len)).collect();
    let granule = GRANULE as u64;
    assert_eq!(offsets, [(0, granule), (3 * HEAD, HEAD), ((9 << 20) - granule, granule)]);
}

#[test]
fn cut_files_are_refused_wherever_they_are_cut() {
    let disk = disk();
    for compressed in [xz(&disk), zst(&disk)] {
        for len in [1, 5, 13, 100, 513, compressed.len() / 2, compressed.len() - 1] {
            assert!(decode(&compressed[..len], 4096, DecodeOptions::new(LIMIT)).is_err(), "{len}");
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let disk = disk();
    for mut compressed in [xz(&disk), zst(&disk)] {
        compressed.extend_from_slice(b"<html>");
        assert!(decode(&compressed, 4096, DecodeOptions::new(LIMIT)).is_err());
    }
}

#[test]
fn an_image_larger_than_the_disk_is_refused() {
    let disk = disk();
    for compressed in [disk.clone(), xz(&disk), zst(&disk)] {
        let limit = disk.len() as u64 - 1;
        let error = decode(&compressed, 4096, DecodeOptions::new(limit)).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { limit: l } if l == limit), "{error:?}");
    }
}

#[test]
fn bytes_that_decode_to_nothing_do_not_go_on_forever() {
    // Skippable frames of the zstd format.
    let endless = b"\x50\x2A\x4D\x18\0\x10\0\0".iter().chain([0; 4096].iter()).copied().cycle();
    let endless: Vec<u8> = endless.take(3 << 20).collect();
    let error = decode(&endless, 1 << 16, DecodeOptions::new(1 << 20)).unwrap_err();
    assert!(matches!(error, DecodeError::TooMuchInput { .. }), "{error:?}");
}

#[test]
fn a_web_page_is_refused_with_its_text() {
    let error = decode(b"<html><h1>Payment required</h1></html>", 4, DecodeOptions::new(LIMIT)).unwrap_err();
    assert_eq!(error.to_string(), "recognising the image");
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "the answer is a web page, not a disk image: \"<html><h1>Payment required</h1></html>\"");
}

#[test]
fn nothing_follows_an_error() {
    let mut decoder = Decoder::new(DecodeOptions::new(LIMIT));
    decoder.push(Bytes::from_static(&[b'x'; 512]));
    assert!(matches!(decoder.next_event(), Err(DecodeError::Sniff(_))));
    assert!(matches!(decoder.next_event(), Err(DecodeError::Unfinished)));
    decoder.end_of_input();
    assert!(matches!(decoder.finish(), Err(DecodeError::Unfinished)));
}

#[test]
fn asking_again_without_input_changes_nothing() {
    let disk = disk();
    for compressed in [disk.clone(), xz(&disk), zst(&disk)] {
        let mut decoder = Decoder::new(DecodeOptions::new(LIMIT));
        for chunk in compressed.chunks(compressed.len() / 3) {
            decoder.push(Bytes::copy_from_slice(chunk));
            while decoder.next_event().unwrap().is_some() {}
            for _ in 0..100 {
                assert_eq!(decoder.next_event().unwrap(), None);
            }
        }
        decoder.end_of_input();
        while decoder.next_event().unwrap().is_some() {}
        assert!(decoder.is_complete());
        assert_eq!(decoder.next_event().unwrap(), None);
        assert_eq!(decoder.finish().unwrap().raw_size, disk.len() as u64);
    }
}

#[test]
fn a_flipped_bit_in_a_zstd_file_with_a_checksum_is_an_error() {
    let disk = disk();
    let sound = zst(&disk);
    for at in (0..sound.len()).step_by(sound.len() / 60) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(decode(&damaged, 4096, DecodeOptions::new(LIMIT)).is_err(), "{at}");
    }
}

#[test]
fn a_zstd_window_that_takes_too_much_memory_is_refused() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(25).unwrap();
    encoder.write_all(&disk()).unwrap();
    let error = decode(&encoder.finish().unwrap(), 4096, DecodeOptions::new(LIMIT)).unwrap_err();
    assert!(matches!(error, DecodeError::Zstd(ZstdError::Data { .. })), "{error:?}");
}

#[test]
fn a_decoder_may_move_between_threads() {
    let decoder = Decoder::new(DecodeOptions::new(LIMIT));
    assert!(!std::thread::spawn(move || decoder.is_complete()).join().unwrap());
}

#[test]
fn finishing_early_is_an_error() {
    let mut decoder = Decoder::new(DecodeOptions::new(LIMIT));
    decoder.push(xz(&disk()).into());
    while decoder.next_event().unwrap().is_some() {}
    assert!(matches!(decoder.finish(), Err(DecodeError::Unfinished)));
}
