//! The list of blocks at the end of a stream.

use sha2::{Digest as _, Sha256};

use super::{XzError, container::INTEGER_MAX_LEN};

/// The sizes of blocks, in order, in constant memory.
#[derive(Clone, Default)]
pub(super) struct Records {
    count: u64,
    hash: Sha256,
}

impl Records {
    /// `unpadded` is the length of the block without its padding, `raw` that of its decoded bytes.
    pub fn add(&mut self, unpadded: u64, raw: u64) {
        self.count += 1;
        self.hash.update(unpadded.to_le_bytes());
        self.hash.update(raw.to_le_bytes());
    }
}

/// Reads an index and compares it with the blocks that were there.
pub(super) struct IndexReader {
    expected: Records,
    seen: Records,
    crc: crc32fast::Hasher,
    len: u64,
    part: Part,
}

enum Part {
    Indicator,
    Count(Integer),
    Unpadded(Integer),
    Raw { unpadded: u64, raw: Integer },
    Padding,
    Checksum { expected: u32, seen: u32, len: u32 },
    End,
}

/// An integer of which some bytes have come.
#[derive(Default)]
struct Integer {
    value: u64,
    len: usize,
}

impl IndexReader {
    pub fn new(expected: &Records) -> Self {
        Self {
            expected: expected.clone(),
            seen: Records::default(),
            crc: crc32fast::Hasher::new(),
            len: 0,
            part: Part::Indicator,
        }
    }

    /// Takes bytes up to the end of the index; says how many.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, XzError> {
        let mut used = 0;
        let mut hashed = 0;
        while used < bytes.len() && !matches!(self.part, Part::End) {
            if matches!(self.part, Part::Padding) && self.len.is_multiple_of(4) {
                self.crc.update(&bytes[hashed..used]);
                hashed = used;
                self.part = Part::Checksum { expected: self.crc.clone().finalize(), seen: 0, len: 0 };
            }
            self.byte(bytes[used])?;
            used += 1;
            self.len += 1;
        }
        if !matches!(self.part, Part::Checksum { .. } | Part::End) {
            self.crc.update(&bytes[hashed..used]);
        }
        Ok(used)
    }

    /// The length of the whole index in bytes, once it has been read.
    pub fn finished(&self) -> Option<u64> {
        matches!(self.part, Part::End).then_some(self.len)
    }

    fn byte(&mut self, byte: u8) -> Result<(), XzError> {
        let part = std::mem::replace(&mut self.part, Part::End);
        self.part = match part {
            Part::Indicator => Part::Count(Integer::default()),
            Part::Count(count) => match count.push(byte)? {
                Ok(count) if count != self.expected.count => {
                    return Err(XzError::Index { what: "lists another number of blocks" });
                }
                Ok(0) => Part::Padding,
                Ok(_) => Part::Unpadded(Integer::default()),
                Err(count) => Part::Count(count),
            },
            Part::Unpadded(unpadded) => match unpadded.push(byte)? {
                Ok(unpadded) => Part::Raw { unpadded, raw: Integer::default() },
                Err(unpadded) => Part::Unpadded(unpadded),
            },
            Part::Raw { unpadded, raw } => match raw.push(byte)? {
                Ok(raw) => self.record(unpadded, raw)?,
                Err(raw) => Part::Raw { unpadded, raw },
            },
            Part::Padding if byte == 0 => Part::Padding,
            Part::Padding => {
                return Err(XzError::Index { what: "has damaged padding" });
            }
            Part::Checksum { expected, seen, len } => {
                let seen = seen | u32::from(byte) << (8 * len);
                match len {
                    3 if seen != expected => return Err(XzError::Index { what: "is damaged" }),
                    3 => Part::End,
                    _ => Part::Checksum { expected, seen, len: len + 1 },
                }
            }
            Part::End => Part::End,
        };
        Ok(())
    }

    fn record(&mut self, unpadded: u64, raw: u64) -> Result<Part, XzError> {
        self.seen.add(unpadded, raw);
        if self.seen.count < self.expected.count {
            return Ok(Part::Unpadded(Integer::default()));
        }
        if self.seen.hash.clone().finalize() != self.expected.hash.clone().finalize() {
            return Err(XzError::Index { what: "lists other sizes than the blocks have" });
        }
        Ok(Part::Padding)
    }
}

impl Integer {
    /// The value when this was its last byte, else itself.
    fn push(mut self, byte: u8) -> Result<Result<u64, Self>, XzError> {
        self.value |= u64::from(byte & 0x7F) << (7 * self.len);
        self.len += 1;
        let ends = byte & 0x80 == 0;
        if (ends && byte == 0 && self.len > 1) || (!ends && self.len == INTEGER_MAX_LEN) {
            return Err(XzError::Index { what: "holds a malformed number" });
        }
        Ok(if ends { Ok(self.value) } else { Err(self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(sizes: &[(u64, u64)]) -> Records {
        let mut records = Records::default();
        sizes.iter().for_each(|(unpadded, raw)| records.add(*unpadded, *raw));
        records
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &crc32fast::hash(body).to_le_bytes()].concat()
    }

    fn read(index: &[u8], expected: &Records, chunk: usize) -> Result<Option<u64>, String> {
        let mut reader = IndexReader::new(expected);
        for chunk in index.chunks(chunk) {
            reader.feed(chunk).map_err(|error| error.to_string())?;
        }
        Ok(reader.finished())
    }

    #[test]
    fn an_index_that_matches_is_read_in_any_pieces() {
        let index = sealed(&[0, 2, 0xFC, 0x01, 0x80, 0x80, 0x40, 9, 5, 0, 0, 0]);
        let expected = records(&[(252, 1 << 20), (9, 5)]);
        for chunk in 1..=index.len() {
            assert_eq!(read(&index, &expected, chunk), Ok(Some(16)), "{chunk}");
        }
        assert_eq!(read(&sealed(&[0, 0, 0, 0]), &records(&[]), 99), Ok(Some(8)));
    }

    #[test]
    fn the_index_ends_where_it_ends() {
        let mut index = sealed(&[0, 0, 0, 0]);
        index.extend_from_slice(b"footer");
        assert_eq!(IndexReader::new(&records(&[])).feed(&index).unwrap(), 8);
        assert_eq!(read(&index[..7], &records(&[]), 99), Ok(None));
    }

    #[test]
    fn an_index_that_differs_is_refused() {
        let two = [(9, 5), (9, 6)];
        for (body, sizes, expected) in [
            (&[0, 1, 9, 5][..], &two[..], "the index lists another number of blocks"),
            (&[0, 2, 9, 5, 9, 5, 0, 0], &two, "the index lists other sizes than the blocks have"),
            (&[0, 2, 9, 6, 9, 5, 0, 0], &two, "the index lists other sizes than the blocks have"),
            (&[0, 2, 9, 5, 9, 6, 0, 1], &two, "the index has damaged padding"),
            (&[0, 0x80, 0, 0], &two, "the index holds a malformed number"),
            (
                &[0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0],
                &two,
                "the index holds a malformed number",
            ),
        ] {
            assert_eq!(read(&sealed(body), &records(sizes), 5), Err(expected.to_owned()));
        }
        let mut damaged = sealed(&[0, 0, 0, 0]);
        damaged[7] ^= 1;
        assert_eq!(read(&damaged, &records(&[]), 99), Err("the index is damaged".to_owned()));
    }
}
