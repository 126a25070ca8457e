//! What surrounds the blocks of a stream.

use super::{XzError, check::Check};

/// Stated at both ends of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamFlags {
    pub check: Check,
}

impl StreamFlags {
    /// `header` is [`STREAM_HEADER_LEN`] bytes long.
    pub fn from_header(header: &[u8]) -> Result<Self, XzError> {
        if !header.starts_with(HEADER_MAGIC) {
            return Err(XzError::StreamHeader { what: "is not one" });
        }
        if crc32fast::hash(&header[6..8]).to_le_bytes() != header[8..12] {
            return Err(XzError::StreamHeader { what: "is damaged" });
        }
        if header[6] != 0 || header[7] & 0xF0 != 0 {
            return Err(XzError::StreamHeader { what: "asks for features that are not known" });
        }
        let check = Check::from_id(header[7]).ok_or(XzError::UnsupportedCheck { id: header[7] })?;
        Ok(Self { check })
    }

    /// `footer` is [`FOOTER_LEN`] bytes long, `index_len` includes padding and checksum.
    pub fn check_footer(&self, footer: &[u8], index_len: u64) -> Result<(), XzError> {
        if !footer.ends_with(FOOTER_MAGIC) {
            return Err(XzError::Footer { what: "is not one" });
        }
        if crc32fast::hash(&footer[4..10]).to_le_bytes() != footer[..4] {
            return Err(XzError::Footer { what: "is damaged" });
        }
        if footer[8..10] != [0, self.check.id()] {
            return Err(XzError::Footer { what: "differs from the stream header" });
        }
        let backward = u32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]]);
        if (u64::from(backward) + 1) * 4 != index_len {
            return Err(XzError::Footer { what: "gives another length of the index" });
        }
        Ok(())
    }
}

/// Reads a variable-length integer (1 to 9 bytes); gives it and its length, or `None` when it is malformed or cut off.
pub(super) fn integer(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(INTEGER_MAX_LEN).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            // The shortest form is the only one.
            return (*byte != 0 || index == 0).then_some((value, index + 1));
        }
    }
    None
}

pub(super) const STREAM_HEADER_LEN: usize = 12;
pub(super) const FOOTER_LEN: usize = 12;
pub(super) const INTEGER_MAX_LEN: usize = 9;

const HEADER_MAGIC: &[u8] = b"\xFD7zXZ\0";
const FOOTER_MAGIC: &[u8] = b"YZ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (bytes, expected) in [
            (&[0][..], Some((0, 1))),
            (&[0x7F, 9], Some((127, 1))),
            (&[0x80, 0x01], Some((128, 2))),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], Some((u64::MAX >> 1, 9))),
            (&[0x80, 0x00], None),
            (&[0x80], None),
            (&[], None),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], None),
        ] {
            assert_eq!(integer(bytes), expected, "{bytes:?}");
        }
    }

    fn header(flags: [u8; 2]) -> Vec<u8> {
        [HEADER_MAGIC, &flags, &crc32fast::hash(&flags).to_le_bytes()].concat()
    }

    #[test]
    fn headers_are_checked() {
        assert_eq!(StreamFlags::from_header(&header([0, 4])).unwrap().check, Check::Crc64);
        let mut damaged = header([0, 4]);
        damaged[7] = 1;
        for (header, expected) in [
            (b"\xFD7zXY\0\0\x04\0\0\0\0".to_vec(), "the stream header is not one"),
            (damaged, "the stream header is damaged"),
            (header([1, 4]), "the stream header asks for features that are not known"),
            (header([0, 0x14]), "the stream header asks for features that are not known"),
            (header([0, 2]), "the integrity check of type 2 is not supported"),
        ] {
            assert_eq!(StreamFlags::from_header(&header).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn footers_are_checked() {
        let footer = |backward: u32, flags: [u8; 2]| {
            let middle = [&backward.to_le_bytes()[..], &flags].concat();
            [&crc32fast::hash(&middle).to_le_bytes()[..], &middle, FOOTER_MAGIC].concat()
        };
        let flags = StreamFlags { check: Check::Crc64 };
        assert!(flags.check_footer(&footer(7, [0, 4]), 32).is_ok());
        let mut damaged = footer(7, [0, 4]);
        damaged[4] = 6;
        for (footer, expected) in [
            (vec![0; 12], "the stream footer is not one"),
            (damaged, "the stream footer is damaged"),
            (footer(7, [0, 1]), "the stream footer differs from the stream header"),
            (footer(8, [0, 4]), "the stream footer gives another length of the index"),
        ] {
            assert_eq!(flags.check_footer(&footer, 32).unwrap_err().to_string(), expected);
        }
    }
}
