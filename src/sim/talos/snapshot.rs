//! A snapshot of etcd as small as they come: an empty bbolt file and its checksum, which is what clients check.

use sha2::{Digest, Sha256};

const PAGE: usize = 4096;
/// Kinds of pages.
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREE_LIST: u16 = 0x10;

/// Two meta pages, the list of free pages, the root bucket; the SHA-256 of it all behind it, as etcd appends it.
pub fn empty() -> Vec<u8> {
    let mut file = [meta(0), meta(1), page(2, FREE_LIST), page(3, LEAF)].concat();
    let sum = Sha256::digest(&file);
    file.extend(sum);
    file
}

/// A page without elements: its number, its kind, how many elements, how many pages more.
fn page(number: u64, kind: u16) -> Vec<u8> {
    let mut page = number.to_le_bytes().to_vec();
    page.extend(kind.to_le_bytes());
    page.resize(PAGE, 0);
    page
}

/// The description of the file (etcd-io/bbolt internal/common/meta.go): magic, version, size of a page, flags, root
/// page and its sequence, list of free pages, first page past the end, transaction, and the FNV-1a of all that.
fn meta(number: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [0xed0c_daed, 2, PAGE as u32, 0] {
        body.extend(word.to_le_bytes());
    }
    for word in [3, 0, 2, 4, number] {
        body.extend(u64::to_le_bytes(word));
    }
    let sum = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    body.extend(sum.to_le_bytes());
    let mut page = page(number, META);
    page[16..16 + body.len()].copy_from_slice(&body);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_stands_behind_whole_sectors() {
        let snapshot = empty();
        // talosctl's own check (cmd/talosctl/cmd/talos/etcd.go).
        assert_eq!(snapshot.len() % 512, 32);
        let (file, sum) = snapshot.split_at(snapshot.len() - 32);
        assert_eq!(Sha256::digest(file).as_slice(), sum);
    }
}
