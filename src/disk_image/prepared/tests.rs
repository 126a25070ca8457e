use bytes::Bytes;

use super::*;
use crate::disk_image::{DecodeOptions, Decoder, Event};

/// Made by `tests/golden/disk_image/make.sh` with the usual tools.
const DISK: &[u8] = include_bytes!("../../../tests/golden/disk_image/efi-meta.raw.zst");

/// The image, its events, and the prepared file.
fn prepared() -> (Image, Vec<Event>, Vec<u8>) {
    let mut decoder = Decoder::new(DecodeOptions { max_extent: 1 << 20, ..DecodeOptions::new(80 << 20) });
    decoder.push(Bytes::from_static(DISK));
    decoder.end_of_input();
    let (mut events, mut file) = (Vec::new(), Vec::new());
    while let Some(event) = decoder.next_event().unwrap() {
        if let Event::Data { bytes, .. } = &event {
            file.extend_from_slice(bytes);
        }
        events.push(event);
    }
    let image = decoder.finish().unwrap();
    file.extend(image.prepared_end());
    (image, events, file)
}

fn open(file: &[u8]) -> Result<Image, PreparedError> {
    let trailer = file.last_chunk().ok_or(PreparedError::Unfinished)?;
    let trailer = PreparedTrailer::parse(trailer, file.len() as u64)?;
    let range = trailer.map();
    let map = PreparedMap::parse(&trailer, &file[range.start as usize..range.end as usize])?;
    let slots = map.slots();
    let mut reassembly = map.reassemble();
    for slot in slots {
        reassembly.data(&file[slot.position as usize..][..slot.extent.len as usize])?;
    }
    reassembly.finish()
}

/// Encodes a map that is not that of any image, with a trailer that believes it.
fn forged(change: impl FnOnce(&mut Image)) -> Result<Image, PreparedError> {
    let (mut image, _, file) = prepared();
    let data = image.data_size() as usize;
    change(&mut image);
    open(&[&file[..data], &image.prepared_end()[..]].concat())
}

#[test]
fn an_image_comes_back_as_it_was_with_its_layout() {
    let (image, _, file) = prepared();
    assert!(image.layout.is_ok());
    assert_eq!(open(&file), Ok(image));
}

#[test]
fn its_slots_have_the_data_of_the_decoder() {
    let (image, mut events, file) = prepared();
    events.retain(|event| matches!(event, Event::Data { .. }));
    let data = |Slot { position, extent }: Slot| {
        let bytes = Bytes::copy_from_slice(&file[position as usize..][..extent.len as usize]);
        Event::Data { offset: extent.offset, bytes, sha256: extent.sha256 }
    };
    assert!(image.slots().map(data).eq(events));
}

#[test]
fn its_runs_are_its_data_without_gaps_and_end_at_round_offsets() {
    let (mut image, ..) = prepared();
    let extent = |granule: u64, granules: u64| {
        let (offset, len) = (granule * GRANULE as u64, granules * GRANULE as u64);
        Extent { offset, len, sha256: Digest::of(b"") }
    };
    image.extents = vec![extent(15, 1), extent(16, 16), extent(32, 4), extent(40, 8), extent(48, 16), extent(64, 1)];
    let runs = |start: u64, largest: u64| {
        let granule = GRANULE as u64;
        let runs = image.runs(start * granule, largest * granule).into_iter();
        runs.map(|run| (run.range().start / granule..run.range().end / granule, run.slots().len())).collect::<Vec<_>>()
    };
    assert_eq!(runs(0, 64), [(15..36, 3), (40..64, 2), (64..65, 1)]);
    assert_eq!(runs(0, 32), [(15..32, 2), (32..36, 1), (40..64, 2), (64..65, 1)]);
    assert_eq!(runs(32, 1024), [(32..36, 1), (40..65, 3)]);
    assert_eq!(runs(65, 16), []);
    let positions: Vec<_> = image.runs(0, 1 << 20).iter().map(|run| run.slots()[0].position).collect();
    assert_eq!(positions[..2], [0, GRANULE as u64]);
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (_, _, file) = prepared();
    let data = PreparedTrailer::parse(file.last_chunk().unwrap(), file.len() as u64).unwrap().map().start as usize;
    // Everywhere in the trailer, and here and there in data and map.
    let places = (0..data).step_by(100_003).chain((data..file.len()).step_by(97));
    for at in places.chain(file.len() - PreparedTrailer::LEN..file.len()) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        assert!(open(&flipped).is_err(), "{at}");
    }
}

#[test]
fn a_file_that_was_cut_off_or_continued_is_none() {
    let (_, _, file) = prepared();
    for len in [0, 7, PreparedTrailer::LEN, file.len() / 2, file.len() - 1] {
        assert!(open(&file[..len]).is_err(), "{len}");
    }
    assert!(open(&[&file[..], b"x"].concat()).is_err());
    // A whole end after less data.
    assert_eq!(open(&file[1 << 16..]), Err(PreparedError::Map { what: "the length of the data" }));
}

#[test]
fn another_version_is_named() {
    let (_, _, mut file) = prepared();
    let version = file.len() - MAGIC.len() - 4;
    file[version] += 1;
    assert_eq!(open(&file), Err(PreparedError::Version { found: VERSION + 1 }));
}

#[test]
fn a_map_that_contradicts_itself_is_refused_whatever_its_digest() {
    let order = Err(PreparedError::Map { what: "the order of its extents" });
    assert_eq!(forged(|image| image.extents.swap(0, 1)), order);
    assert_eq!(forged(|image| image.extents[0].offset += 512), order);
    assert_eq!(forged(|image| image.raw_size = 1 << 20), order);
    assert_eq!(forged(|image| image.extents.last_mut().unwrap().len = u64::MAX), order);
    let across = |image: &mut Image| {
        image.extents.retain(|extent| extent.offset >= HEAD);
        image.extents[0].offset = HEAD - GRANULE as u64;
    };
    assert!(matches!(forged(across), Err(PreparedError::Map { .. })));
    assert!(forged(|_| ()).is_ok());
}
