//! A FAT32 file system with a handful of files, as `mkfs.vfat -F32` and `mcopy` would make it.

const SECTOR: usize = 512;
const RESERVED: usize = 32;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
const DIRECTORY: u8 = 0x10;
const FILE: u8 = 0x20;

/// A file or directory to put in.
pub enum Node {
    /// A file with its content.
    File(String, Vec<u8>),
    /// A directory with what is in it.
    Directory(String, Vec<Node>),
}

/// A file system of `sectors` sectors of 512 bytes, as (byte offset, content) pieces; all else is zero.
pub fn format(sectors: usize, label: &str, serial: u32, tree: Vec<Node>) -> Vec<(u64, Vec<u8>)> {
    let fat_sectors = fat_sectors(sectors);
    let mut volume =
        Volume { fat: vec![0x0fff_fff8, END_OF_CHAIN], data: Vec::new(), first_data: RESERVED + 2 * fat_sectors };
    let root = volume.reserve(1);
    let mut entries = short_entry(&padded_label(label), 0x08, 0, 0).to_vec();
    for node in tree {
        entries.extend(volume.add(node, 0));
    }
    volume.fill(root, &entries);
    let clusters = sectors - volume.first_data;
    let used = volume.fat.len() - 2;
    let mut pieces = vec![
        (0, boot_sector(sectors, fat_sectors, label, serial)),
        (SECTOR as u64, info_sector(clusters - used, volume.fat.len())),
        (6 * SECTOR as u64, boot_sector(sectors, fat_sectors, label, serial)),
        (7 * SECTOR as u64, info_sector(clusters - used, volume.fat.len())),
    ];
    let fat: Vec<u8> = volume.fat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    pieces.push(((RESERVED * SECTOR) as u64, fat.clone()));
    pieces.push((((RESERVED + fat_sectors) * SECTOR) as u64, fat));
    pieces.extend(volume.data);
    pieces
}

/// One sector per cluster, as mkfs.vfat chooses below 260 MiB; larger volumes only have more clusters here.
fn fat_sectors(sectors: usize) -> usize {
    // 128 table entries a sector, two tables: c clusters need f sectors with 128 f >= c + 2 and c = sectors - reserved - 2 f.
    (sectors - RESERVED + 2).div_ceil(SECTOR / 4 + 2)
}

struct Volume {
    fat: Vec<u32>,
    data: Vec<(u64, Vec<u8>)>,
    first_data: usize,
}

impl Volume {
    /// Takes `count` consecutive clusters and chains them; answers the first.
    fn reserve(&mut self, count: usize) -> u32 {
        let first = self.fat.len() as u32;
        for next in 1..=count as u32 {
            self.fat.push(if next == count as u32 { END_OF_CHAIN } else { first + next });
        }
        first
    }

    fn fill(&mut self, cluster: u32, content: &[u8]) {
        let offset = (self.first_data + cluster as usize - 2) * SECTOR;
        self.data.push((offset as u64, content.to_vec()));
    }

    /// Stores a node; answers its directory entries.
    fn add(&mut self, node: Node, parent: u32) -> Vec<u8> {
        match node {
            Node::File(name, content) => {
                let cluster = self.reserve(content.len().div_ceil(SECTOR).max(1));
                self.fill(cluster, &content);
                entries(&name, FILE, cluster, content.len() as u32)
            }
            Node::Directory(name, nodes) => {
                // Enough clusters for long names of every entry, counted before the children take theirs.
                let size = 64 + nodes.iter().map(|node| entries_length(name_of(node))).sum::<usize>();
                let cluster = self.reserve(size.div_ceil(SECTOR));
                let mut listing = short_entry(b".          ", DIRECTORY, cluster, 0).to_vec();
                listing.extend(short_entry(b"..         ", DIRECTORY, parent, 0));
                for node in nodes {
                    listing.extend(self.add(node, cluster));
                }
                self.fill(cluster, &listing);
                entries(&name, DIRECTORY, cluster, 0)
            }
        }
    }
}

fn name_of(node: &Node) -> &str {
    match node {
        Node::File(name, _) | Node::Directory(name, _) => name,
    }
}

fn entries_length(name: &str) -> usize {
    entries(name, FILE, 0, 0).len()
}

/// The long name entries, last part first, and then the short entry.
fn entries(name: &str, attributes: u8, cluster: u32, size: u32) -> Vec<u8> {
    let short = short_name(name);
    let mut out = Vec::new();
    let plain = String::from_utf8_lossy(&short).replace(' ', "");
    if plain != name.replace('.', "") || name.contains(|c: char| c.is_ascii_lowercase()) {
        let checksum = short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let units: Vec<u16> = name.encode_utf16().collect();
        let parts: Vec<&[u16]> = units.chunks(13).collect();
        for (index, part) in parts.iter().enumerate().rev() {
            let last = if index + 1 == parts.len() { 0x40 } else { 0 };
            out.extend(long_entry(part, (index as u8 + 1) | last, checksum));
        }
    }
    out.extend(short_entry(&short, attributes, cluster, size));
    out
}

fn long_entry(part: &[u16], order: u8, checksum: u8) -> [u8; 32] {
    let mut units = [0xffffu16; 13];
    units[..part.len()].copy_from_slice(part);
    if let Some(end) = units.get_mut(part.len()) {
        *end = 0;
    }
    let mut entry = [0; 32];
    (entry[0], entry[11], entry[13]) = (order, 0x0f, checksum);
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
    for (place, unit) in places.zip(units) {
        entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
    }
    entry
}

fn short_entry(name: &[u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(name);
    entry[11] = attributes;
    entry[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    entry[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    entry[28..32].copy_from_slice(&size.to_le_bytes());
    entry
}

/// `Talos-v1.12.2.efi` becomes `TALOS-~1.EFI`; names that fit stay as they are.
fn short_name(name: &str) -> [u8; 11] {
    let upper = name.to_ascii_uppercase();
    let (stem, extension) = upper.rsplit_once('.').unwrap_or((&upper, ""));
    let stem: String = stem.chars().filter(|c| *c != '.').collect();
    let stem = if stem.len() > 8 { format!("{}~1", &stem[..6]) } else { stem };
    let mut short = [b' '; 11];
    short[..stem.len()].copy_from_slice(stem.as_bytes());
    let extension = &extension.as_bytes()[..extension.len().min(3)];
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

fn padded_label(label: &str) -> [u8; 11] {
    let mut padded = [b' '; 11];
    let length = label.len().min(11);
    padded[..length].copy_from_slice(&label.as_bytes()[..length]);
    padded
}

fn boot_sector(sectors: usize, fat_sectors: usize, label: &str, serial: u32) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    sector[..11].copy_from_slice(b"\xeb\x58\x90mkfs.fat");
    sector[11..13].copy_from_slice(&(SECTOR as u16).to_le_bytes());
    sector[13] = 1;
    sector[14..16].copy_from_slice(&(RESERVED as u16).to_le_bytes());
    sector[16] = 2;
    sector[21] = 0xf8;
    sector[24..26].copy_from_slice(&32u16.to_le_bytes());
    sector[26..28].copy_from_slice(&8u16.to_le_bytes());
    sector[32..36].copy_from_slice(&(sectors as u32).to_le_bytes());
    sector[36..40].copy_from_slice(&(fat_sectors as u32).to_le_bytes());
    sector[44..48].copy_from_slice(&2u32.to_le_bytes());
    sector[48..50].copy_from_slice(&1u16.to_le_bytes());
    sector[50..52].copy_from_slice(&6u16.to_le_bytes());
    sector[64] = 0x80;
    sector[66] = 0x29;
    sector[67..71].copy_from_slice(&serial.to_le_bytes());
    sector[71..82].copy_from_slice(&padded_label(label));
    sector[82..90].copy_from_slice(b"FAT32   ");
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn info_sector(free: usize, next: usize) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    sector[..4].copy_from_slice(b"RRaA");
    sector[484..488].copy_from_slice(b"rrAa");
    sector[488..492].copy_from_slice(&(free as u32).to_le_bytes());
    sector[492..496].copy_from_slice(&(next as u32).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_names_are_told_apart() {
        assert_eq!(&short_name("Talos-v1.12.2.efi"), b"TALOS-~1EFI");
        assert_eq!(&short_name("BOOTAA64.EFI"), b"BOOTAA64EFI");
        assert_eq!(entries("EFI", DIRECTORY, 5, 0).len(), 32);
        assert_eq!(entries("BOOTAA64.EFI", FILE, 5, 0).len(), 32);
        assert_eq!(entries("Talos-v1.12.2.efi", FILE, 5, 0).len(), 3 * 32);
    }

    #[test]
    fn the_allocation_table_covers_every_cluster() {
        for mebibytes in [64, 128, 2101] {
            let sectors = mebibytes * 2048;
            let fat = fat_sectors(sectors);
            let clusters = sectors - RESERVED - 2 * fat;
            assert!(clusters >= 65_525, "{mebibytes} MiB is not FAT32");
            assert!(fat * SECTOR / 4 >= clusters + 2, "{mebibytes} MiB: the table is too short");
        }
    }
}
