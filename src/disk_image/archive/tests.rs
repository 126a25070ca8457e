use std::collections::BTreeMap;

use super::*;
use crate::disk_image::{DecodeOptions, Decoder, Event};

/// Made by `tests/golden/disk_image/make.sh` with the usual tools.
const DISK: &[u8] = include_bytes!("../../../tests/golden/disk_image/efi-meta.raw.zst");

const ARCHIVE: Archive<'_> =
    Archive { disk: "oracle-arm64.qcow2", description: "image_metadata.json", text: "{\"version\": 2}\n" };

fn image() -> (Image, Vec<Bytes>) {
    let mut decoder = Decoder::new(DecodeOptions::new(80 << 20));
    decoder.push(Bytes::from_static(DISK));
    decoder.end_of_input();
    let mut data = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        if let Event::Data { bytes, .. } = event {
            data.push(bytes);
        }
    }
    (decoder.finish().unwrap(), data)
}

fn pack(image: &Image, data: &[Bytes]) -> io::Result<Vec<u8>> {
    ARCHIVE.write(Vec::new(), image, data.iter().cloned().map(Ok))
}

fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    });
    entries.collect()
}

#[test]
fn the_archive_holds_disk_and_description_at_its_root() {
    let (image, data) = image();
    let files = unpack(&pack(&image, &data).unwrap());
    assert_eq!(files.keys().collect::<Vec<_>>(), ["image_metadata.json", "oracle-arm64.qcow2"]);
    assert_eq!(files["image_metadata.json"], ARCHIVE.text.as_bytes());
    let disk = Qcow2::of(image.raw_size, &image.extents).unwrap();
    let expected: Vec<u8> = disk.head().iter().copied().chain(data.iter().flatten().copied()).collect();
    assert!(files["oracle-arm64.qcow2"] == expected);
}

#[test]
fn the_same_image_gives_the_same_bytes_however_its_data_is_cut() {
    let (image, data) = image();
    let whole = pack(&image, &data).unwrap();
    assert!(pack(&image, &data).unwrap() == whole);
    // No time in the gzip header, no owner or time in the tar headers.
    assert_eq!(whole[4..8], [0; 4]);
}

#[test]
fn data_that_is_not_that_of_the_image_makes_no_archive() {
    let (image, data) = image();
    assert!(pack(&image, &data[1..]).is_err());
    assert!(pack(&image, &[&data[..], &data[..1]].concat()).is_err());
    let broken = [Ok(data[0].clone()), Err(io::Error::other("the disk broke"))];
    let error = ARCHIVE.write(Vec::new(), &image, broken.into_iter()).unwrap_err();
    assert!(error.to_string().contains("the disk broke"), "{error}");
}
