//! The filters a block went through.

use liblzma::stream::{Filters, Stream};

use super::{block::BlockError, container::integer};

/// One to four filters, the last of which is LZMA2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// Identifier and properties of all but the last.
    before: Vec<(u64, Vec<u8>)>,
    /// The only property of LZMA2.
    dictionary: u8,
}

impl Chain {
    /// Reads `count` filter flags; gives the bytes that follow them.
    pub fn parse(mut bytes: &[u8], count: usize) -> Result<(Self, &[u8]), BlockError> {
        let mut filters = Vec::new();
        for _ in 0..count {
            let (id, id_len) = integer(bytes).ok_or(BlockError::Header { what: "filters" })?;
            let (len, len_len) = integer(&bytes[id_len..]).ok_or(BlockError::Header { what: "filters" })?;
            let rest = &bytes[id_len + len_len..];
            let len = usize::try_from(len).ok().filter(|len| *len <= rest.len());
            let (properties, rest) = rest.split_at(len.ok_or(BlockError::Header { what: "filters" })?);
            filters.push((id, properties.to_vec()));
            bytes = rest;
        }
        let chain = match filters.pop() {
            Some((LZMA2, properties)) if properties.len() == 1 && properties[0] <= 40 => {
                Self { before: filters, dictionary: properties[0] }
            }
            Some((LZMA2, _)) => return Err(BlockError::Header { what: "dictionary" }),
            Some((id, _)) => return Err(BlockError::Filter { id }),
            None => return Err(BlockError::Header { what: "filters" }),
        };
        Ok((chain, bytes))
    }

    /// A decoder for a block of `raw` bytes when that is known; its dictionary is never larger than the block.
    pub fn decoder(&self, raw: Option<u64>) -> Result<Stream, BlockError> {
        let code = (0..self.dictionary).find(|code| raw.is_some_and(|raw| dictionary_size(*code) >= raw));
        let code = code.unwrap_or(self.dictionary);
        let needs = dictionary_size(code);
        if needs > MAX_DICTIONARY {
            return Err(BlockError::Dictionary { needs, limit: MAX_DICTIONARY });
        }
        let mut filters = Filters::new();
        for (id, properties) in &self.before {
            add(&mut filters, *id, properties)?;
        }
        filters.lzma2_properties(&[code]).map_err(BlockError::Prepare)?;
        Stream::new_raw_decoder(&filters).map_err(BlockError::Prepare)
    }
}

/// Adds a filter that stands before LZMA2; with no properties the branch filters start at offset 0.
fn add(filters: &mut Filters, id: u64, properties: &[u8]) -> Result<(), BlockError> {
    let added = match (id, properties.is_empty()) {
        (0x03, false) => filters.delta_properties(properties),
        (0x04, true) => Ok(filters.x86()),
        (0x04, false) => filters.x86_properties(properties),
        (0x05, true) => Ok(filters.powerpc()),
        (0x05, false) => filters.powerpc_properties(properties),
        (0x06, true) => Ok(filters.ia64()),
        (0x06, false) => filters.ia64_properties(properties),
        (0x07, true) => Ok(filters.arm()),
        (0x07, false) => filters.arm_properties(properties),
        (0x08, true) => Ok(filters.arm_thumb()),
        (0x08, false) => filters.arm_thumb_properties(properties),
        (0x09, true) => Ok(filters.sparc()),
        (0x09, false) => filters.sparc_properties(properties),
        (0x0A, true) => Ok(filters.arm64()),
        (0x0A, false) => filters.arm64_properties(properties),
        (0x0B, true) => Ok(filters.riscv()),
        (0x0B, false) => filters.riscv_properties(properties),
        (id, _) => return Err(BlockError::Filter { id }),
    };
    added.map(|_| ()).map_err(BlockError::Prepare)
}

/// Section 5.3.1 of the format; 40 means 4 GiB less one byte.
fn dictionary_size(code: u8) -> u64 {
    if code == 40 { u64::from(u32::MAX) } else { (2 | u64::from(code & 1)) << (code / 2 + 11) }
}

const LZMA2: u64 = 0x21;
/// `xz -9` uses 64 MiB, Talos' `xz -0` uses 256 KiB.
const MAX_DICTIONARY: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionary_sizes_are_those_of_the_format() {
        for (code, size) in
            [(0, 4 << 10), (1, 6 << 10), (12, 256 << 10), (18, 2 << 20), (24, 16 << 20), (40, 0xFFFF_FFFF)]
        {
            assert_eq!(dictionary_size(code), size);
        }
    }

    #[test]
    fn chains_are_read_up_to_what_follows() {
        let (chain, rest) = Chain::parse(&[0x03, 1, 0, 0x21, 1, 12, 0, 0], 2).unwrap();
        assert_eq!(chain, Chain { before: vec![(3, vec![0])], dictionary: 12 });
        assert_eq!(rest, [0, 0]);
        assert!(chain.decoder(None).is_ok());
    }

    #[test]
    fn chains_that_make_no_sense_are_refused() {
        for (bytes, count, expected) in [
            (&[0x21, 1][..], 1, "the filters in the block header cannot be right"),
            (&[0x21, 2, 0], 1, "the filters in the block header cannot be right"),
            (&[0x80], 1, "the filters in the block header cannot be right"),
            (&[0x21, 1, 41], 1, "the dictionary in the block header cannot be right"),
            (&[0x21, 0], 1, "the dictionary in the block header cannot be right"),
            (&[0x03, 1, 0], 1, "filter 0x3 is not supported here"),
        ] {
            assert_eq!(Chain::parse(bytes, count).unwrap_err().to_string(), expected);
        }
        for before in [(0x21, vec![12]), (0x0C, vec![]), (0x03, vec![]), (0x04, vec![1])] {
            let chain = Chain { before: vec![before.clone()], dictionary: 12 };
            assert!(chain.decoder(None).is_err(), "{before:?}");
        }
    }

    #[test]
    fn a_dictionary_larger_than_its_block_takes_no_memory() {
        let chain = Chain { before: Vec::new(), dictionary: 40 };
        assert!(chain.decoder(Some(1 << 20)).is_ok());
        assert!(matches!(chain.decoder(None), Err(BlockError::Dictionary { needs: 0xFFFF_FFFF, .. })));
        assert!(matches!(chain.decoder(Some(17 << 20)), Err(BlockError::Dictionary { .. })));
    }
}
