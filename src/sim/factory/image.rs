//! A disk image of the pretend factory: GPT, an EFI partition with a UKI, META, and a lot of nothing.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use sha2::{Digest, Sha256};

use super::{
    fat::{self, Node},
    gpt::{self, FIRST_PARTITION, Partition, SECTOR},
    xz,
};

const MIB: u64 = 1024 * 1024;

/// Sizes of the images; the real oracle image has 9192 MiB with an EFI partition of 2101 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// The whole image, in MiB.
    pub disk: u64,
    /// The EFI partition, in MiB; at least 64.
    pub efi: u64,
    /// What cannot be compressed: kernel and initramfs, in MiB.
    pub payload: u64,
}

impl Default for ImageSize {
    fn default() -> Self {
        Self { disk: 300, efi: 64, payload: 12 }
    }
}

/// What a disk image is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// The schematic's id.
    pub schematic: String,
    /// `v1.12.2`
    pub version: String,
    /// `oracle`
    pub platform: String,
    /// `arm64`
    pub arch: String,
    /// The kernel's command line.
    pub cmdline: String,
}

/// A made image.
#[derive(Debug)]
pub struct Image {
    /// What it was made of.
    pub recipe: Recipe,
    /// Bytes of the raw image.
    pub raw_bytes: u64,
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// The disk's GUID.
    pub disk_id: [u8; 16],
    pieces: Vec<(u64, Vec<u8>)>,
    /// Free clusters of the EFI partition, in bytes of the disk.
    free: Range<u64>,
}

impl Image {
    /// Makes the image; the same recipe gives the same bytes.
    pub fn make(recipe: Recipe, size: ImageSize) -> Self {
        let seed = seed(&recipe);
        let disk_sectors = size.disk * MIB / SECTOR;
        let efi_sectors = size.efi * MIB / SECTOR;
        let partitions = vec![
            partition("EFI", gpt::TYPE_EFI, &seed, FIRST_PARTITION, efi_sectors),
            partition("META", gpt::TYPE_LINUX, &seed, FIRST_PARTITION + efi_sectors, MIB / SECTOR),
        ];
        let disk_id = tagged(&seed, "disk");
        let mut pieces = Vec::from(gpt::table(disk_id, disk_sectors, &partitions));
        let serial = u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]);
        let offset = FIRST_PARTITION * SECTOR;
        let files = fat::format(efi_sectors as usize, "EFI", serial, boot_files(&recipe, &seed, size.payload));
        // Clusters are given away one after the other, so that the free ones follow the last.
        let used = files.iter().map(|(at, bytes)| (at + bytes.len() as u64).next_multiple_of(SECTOR)).max();
        let free = offset + used.unwrap_or_default()..offset + efi_sectors * SECTOR;
        pieces.extend(files.into_iter().map(|(at, bytes)| (offset + at, bytes)));
        pieces.sort_by_key(|(at, _)| *at);
        Self { recipe, raw_bytes: size.disk * MIB, partitions, disk_id, pieces, free }
    }

    /// The image as `.raw.xz`.
    pub fn compress(&self) -> Result<Vec<u8>, liblzma::stream::Error> {
        let mut writer = xz::Writer::new();
        let mut block = vec![0; xz::BLOCK];
        let mut at = 0;
        while at < self.raw_bytes {
            let length = (self.raw_bytes - at).min(xz::BLOCK as u64) as usize;
            if self.fill(at, &mut block[..length]) {
                writer.block(&block[..length])?;
            } else {
                writer.zeros(length)?;
            }
            at += length as u64;
        }
        Ok(writer.finish())
    }

    /// Says whether a disk starts as this image does; cheap, and enough to choose among images.
    pub fn is_on(&self, disk: &File) -> io::Result<bool> {
        let mut front = vec![0; ((gpt::TABLE + 1) * SECTOR) as usize];
        if let Err(error) = disk.read_exact_at(&mut front, 0) {
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(false) } else { Err(error) };
        }
        Ok(self.pieces.first().is_some_and(|(_, bytes)| *bytes == front))
    }

    /// Compares everything that firmware, boot loader and Talos read: both tables and every byte of every partition but
    /// the free clusters of the EFI partition, whose content means nothing to a FAT file system. Answers the first byte offset
    /// that differs.
    pub fn first_difference(&self, disk: &File) -> io::Result<Option<u64>> {
        let back = self.raw_bytes - gpt::TABLE * SECTOR;
        let mut ranges = vec![(0, (gpt::TABLE + 1) * SECTOR), (back, gpt::TABLE * SECTOR)];
        ranges.extend(self.partitions.iter().map(|partition| {
            let (start, length) = (partition.first * SECTOR, partition.sectors * SECTOR);
            (start, if self.free.end == start + length { self.free.start - start } else { length })
        }));
        let (mut wanted, mut found) = (vec![0; MIB as usize], vec![0; MIB as usize]);
        for (start, length) in ranges {
            let mut at = start;
            while at < start + length {
                let size = (start + length - at).min(MIB) as usize;
                self.fill(at, &mut wanted[..size]);
                if disk.read_exact_at(&mut found[..size], at).is_err() {
                    return Ok(Some(at));
                }
                if wanted[..size] != found[..size] {
                    let inside = wanted.iter().zip(&found).position(|(a, b)| a != b).unwrap_or_default();
                    return Ok(Some(at + inside as u64));
                }
                at += size as u64;
            }
        }
        Ok(None)
    }

    /// The parts that are not zero, as (byte offset, bytes), in order.
    pub fn pieces(&self) -> &[(u64, Vec<u8>)] {
        &self.pieces
    }

    /// Bytes of the raw image.
    pub fn read(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(at, &mut bytes);
        bytes
    }

    /// Writes the bytes of the raw image from `at` on; `false` when all of them are zero.
    fn fill(&self, at: u64, buffer: &mut [u8]) -> bool {
        buffer.fill(0);
        let end = at + buffer.len() as u64;
        let mut any = false;
        for (start, bytes) in &self.pieces {
            let stop = start + bytes.len() as u64;
            if *start >= end || stop <= at {
                continue;
            }
            let (from, to) = (at.max(*start), end.min(stop));
            let source = &bytes[(from - start) as usize..(to - start) as usize];
            buffer[(from - at) as usize..(to - at) as usize].copy_from_slice(source);
            any = true;
        }
        any
    }
}

/// systemd-boot at the fallback path, the UKI beside it; the paths are those of Talos v1.12.2
/// internal/app/machined/pkg/runtime/v1alpha1/bootloader/sdboot.
fn boot_files(recipe: &Recipe, seed: &[u8; 32], payload: u64) -> Vec<Node> {
    let directory = |name: &str, nodes| Node::Directory(name.to_owned(), nodes);
    let file = |name: &str, content| Node::File(name.to_owned(), content);
    let (fallback, loader) = match recipe.arch.as_str() {
        "arm64" => ("BOOTAA64.EFI", "systemd-bootaa64.efi"),
        _ => ("BOOTX64.EFI", "systemd-bootx64.efi"),
    };
    let boot = executable(&tagged(seed, "systemd-boot"), "", 96 * 1024);
    let uki = executable(&tagged(seed, "uki"), &uki_text(recipe), (payload * MIB) as usize);
    vec![
        directory(
            "EFI",
            vec![
                directory("BOOT", vec![file(fallback, boot.clone())]),
                directory("systemd", vec![file(loader, boot)]),
                directory("Linux", vec![file(&format!("Talos-{}.efi", recipe.version), uki)]),
            ],
        ),
        directory("loader", vec![file("loader.conf", b"timeout 10\ndefault Talos-*\n".to_vec())]),
    ]
}

fn uki_text(recipe: &Recipe) -> String {
    format!(
        "NAME=\"Talos\"\nID=talos\nVERSION_ID={}\nIMAGE_VERSION={}\n\0{}\0",
        recipe.version, recipe.schematic, recipe.cmdline
    )
}

/// A file that starts like a PE executable and then holds noise that does not compress.
fn executable(seed: &[u8; 16], text: &str, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7]]) | 1;
    while bytes.len() < length {
        // xorshift64*: fast, and all that is asked of it is not to compress.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes[..64].fill(0);
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60] = 64;
    bytes[64..68].copy_from_slice(b"PE\0\0");
    bytes[512..512 + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn partition(label: &str, kind: [u8; 16], seed: &[u8; 32], first: u64, sectors: u64) -> Partition {
    Partition { label: label.to_owned(), kind, id: tagged(seed, label), first, sectors }
}

fn seed(recipe: &Recipe) -> [u8; 32] {
    let Recipe { schematic, version, platform, arch, cmdline } = recipe;
    Sha256::digest(format!("{schematic}\n{version}\n{platform}\n{arch}\n{cmdline}")).into()
}

fn tagged(seed: &[u8; 32], tag: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(seed).chain_update(tag).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id[7] = id[7] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn recipe(schematic: &str) -> Recipe {
        Recipe {
            schematic: schematic.to_owned(),
            version: "v1.12.2".to_owned(),
            platform: "oracle".to_owned(),
            arch: "arm64".to_owned(),
            cmdline: "talos.platform=oracle".to_owned(),
        }
    }

    const SMALL: ImageSize = ImageSize { disk: 80, efi: 64, payload: 1 };

    fn on_disk(image: &Image) -> File {
        let packed = image.compress().expect("compressed");
        let mut raw = Vec::new();
        liblzma::read::XzDecoder::new(&packed[..]).read_to_end(&mut raw).expect("decompressed");
        assert_eq!(raw.len() as u64, image.raw_bytes);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&raw).expect("written");
        file
    }

    #[test]
    fn a_flashed_disk_is_recognised_and_one_wrong_byte_is_found() {
        let image = Image::make(recipe("a"), SMALL);
        let disk = on_disk(&image);
        assert!(image.is_on(&disk).expect("read"));
        assert_eq!(image.first_difference(&disk).expect("read"), None);
        for at in [MIB + 70, 2 * MIB, image.free.start - 1, 65 * MIB + 5, 80 * MIB - 100] {
            disk.write_all_at(&[0xa5], at).expect("spoilt");
            assert_eq!(image.first_difference(&disk).expect("read"), Some(at));
            let clean = Image::make(recipe("a"), SMALL);
            let mut byte = [0];
            clean.fill(at, &mut byte);
            disk.write_all_at(&byte, at).expect("mended");
        }
        assert!(image.free.contains(&(40 * MIB)));
        for at in [image.free.start, 40 * MIB, 70 * MIB] {
            disk.write_all_at(&[0xa5], at).expect("spoilt where nothing is");
        }
        assert_eq!(image.first_difference(&disk).expect("read"), None);
    }

    #[test]
    fn another_schematic_is_another_image() {
        let (a, b) = (Image::make(recipe("a"), SMALL), Image::make(recipe("b"), SMALL));
        let disk = on_disk(&a);
        assert!(!b.is_on(&disk).expect("read"));
        assert!(b.first_difference(&disk).expect("read").is_some());
    }
}
