//! Block headers.

use super::{block::BlockError, chain::Chain, check::Check, container::integer};

/// What stands before the compressed data of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Of the header itself, in bytes.
    pub len: usize,
    pub compressed: Option<u64>,
    pub raw: Option<u64>,
    pub chain: Chain,
}

/// The length of a header by its first byte, which is not 0.
pub(super) fn len(first: u8) -> usize {
    (usize::from(first) + 1) * 4
}

impl BlockHeader {
    /// Reads a header of exactly the length that its first byte tells.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlockError> {
        let (fields, checksum) = bytes.split_at(bytes.len() - 4);
        if crc32fast::hash(fields).to_le_bytes() != checksum {
            return Err(BlockError::HeaderChecksum);
        }
        let flags = fields[1];
        if flags & 0x3C != 0 {
            return Err(BlockError::Header { what: "flags" });
        }
        let mut rest = &fields[2..];
        let mut size = |present: bool| -> Result<Option<u64>, BlockError> {
            if !present {
                return Ok(None);
            }
            let (size, size_len) = integer(rest).ok_or(BlockError::Header { what: "sizes" })?;
            rest = &rest[size_len..];
            Ok(Some(size))
        };
        let (compressed, raw) = (size(flags & 0x40 != 0)?, size(flags & 0x80 != 0)?);
        let (chain, padding) = Chain::parse(rest, usize::from(flags & 3) + 1)?;
        if compressed == Some(0) || padding.iter().any(|byte| *byte != 0) {
            return Err(BlockError::Header { what: "padding or size" });
        }
        Ok(Self { len: bytes.len(), compressed, raw, chain })
    }

    /// For a block that is to be decoded at once: its length from header to check, the same without padding, which is
    /// what the index lists, and how many bytes it holds.
    pub fn whole_len(&self, check: Check) -> Option<(usize, u64, u64)> {
        let (compressed, raw) = (self.compressed?, self.raw?);
        if compressed > WHOLE_BLOCK || raw > WHOLE_BLOCK {
            return None;
        }
        let unpadded = self.len + compressed as usize + check.len();
        Some((unpadded.next_multiple_of(4), unpadded as u64, raw))
    }
}

/// The longest header.
pub(super) const MAX_LEN: usize = 1024;

/// The largest block decoded at once, in bytes, compressed or not; `xz -0 -T0` makes blocks of 1 MiB.
const WHOLE_BLOCK: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of these fields, padded and signed.
    fn header(fields: &[u8]) -> Vec<u8> {
        let mut bytes = [&[0][..], fields].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[0] = (bytes.len() / 4) as u8;
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_header_as_xz_0_writes_it_is_read() {
        let bytes = header(&[0xC0, 0xE4, 0x01, 0x80, 0x80, 0x40, 0x21, 1, 12]);
        assert_eq!(len(bytes[0]), bytes.len());
        let header = BlockHeader::parse(&bytes).unwrap();
        assert_eq!((header.compressed, header.raw), (Some(228), Some(1 << 20)));
        assert_eq!(header.whole_len(Check::Crc64), Some((bytes.len() + 236, bytes.len() as u64 + 236, 1 << 20)));
    }

    #[test]
    fn without_sizes_a_block_is_not_decoded_at_once() {
        for fields in [
            &[0x00, 0x21, 1, 12][..],
            &[0x40, 5, 0x21, 1, 12],
            &[0x80, 5, 0x21, 1, 12],
            &[0xC0, 5, 0x80, 0x80, 0x80, 0x02, 0x21, 1, 12],
            &[0xC0, 0x80, 0x80, 0x80, 0x02, 5, 0x21, 1, 12],
        ] {
            let header = BlockHeader::parse(&header(fields)).unwrap();
            assert_eq!(header.whole_len(Check::Crc64), None, "{fields:?}");
        }
    }

    #[test]
    fn damaged_headers_are_refused() {
        let mut flipped = header(&[0x00, 0x21, 1, 12]);
        flipped[4] ^= 1;
        assert!(matches!(BlockHeader::parse(&flipped), Err(BlockError::HeaderChecksum)));
        for fields in [
            &[0x04, 0x21, 1, 12][..],
            &[0x40, 0, 0x21, 1, 12],
            &[0xC0, 0x80, 0x80],
            &[0x00, 0x21, 1, 12, 1],
            &[0x01, 0x21, 1, 12],
            &[0x03, 0x03, 1],
        ] {
            assert!(matches!(
                BlockHeader::parse(&header(fields)),
                Err(BlockError::Header { .. } | BlockError::Filter { .. })
            ));
        }
    }
}
