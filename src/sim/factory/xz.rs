//! Writes `.xz` as `xz -0 -T0` does: one stream of independent 1 MiB blocks whose headers carry both sizes.
//!
//! Layout after the .xz file format specification 1.2.0; `xz -0 -T0` facts: dictionary 256 KiB, blocks of
//! max(3 x dictionary, 1 MiB), CRC64.

use std::collections::HashMap;

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

/// Uncompressed bytes per block.
pub const BLOCK: usize = 1024 * 1024;

const STREAM_FLAGS: [u8; 2] = [0, 4]; // CRC64
const DICTIONARY: u32 = 256 * 1024;

/// Collects blocks into a stream.
pub struct Writer {
    out: Vec<u8>,
    index: Vec<(u64, u64)>,
    zero_blocks: HashMap<usize, (Vec<u8>, u64)>,
    crc64: Box<[u64; 256]>,
}

impl Writer {
    /// Starts a stream.
    pub fn new() -> Self {
        let mut out = vec![0xfd, b'7', b'z', b'X', b'Z', 0];
        out.extend(STREAM_FLAGS);
        out.extend(crc32(&STREAM_FLAGS).to_le_bytes());
        Self { out, index: Vec::new(), zero_blocks: HashMap::new(), crc64: crc64_table() }
    }

    /// Adds one block; every block but the last should hold [`BLOCK`] bytes.
    pub fn block(&mut self, data: &[u8]) -> Result<(), liblzma::stream::Error> {
        let (bytes, unpadded) = self.encode(data)?;
        self.push(&bytes, unpadded, data.len());
        Ok(())
    }

    /// Adds a block of zeros, compressed once and remembered.
    pub fn zeros(&mut self, length: usize) -> Result<(), liblzma::stream::Error> {
        if !self.zero_blocks.contains_key(&length) {
            let made = self.encode(&vec![0; length])?;
            self.zero_blocks.insert(length, made);
        }
        let (bytes, unpadded) = self.zero_blocks[&length].clone();
        self.push(&bytes, unpadded, length);
        Ok(())
    }

    /// Ends the stream with its index and footer.
    pub fn finish(mut self) -> Vec<u8> {
        let mut index = vec![0];
        put_number(&mut index, self.index.len() as u64);
        for (unpadded, uncompressed) in &self.index {
            put_number(&mut index, *unpadded);
            put_number(&mut index, *uncompressed);
        }
        index.resize(index.len().next_multiple_of(4), 0);
        let crc = crc32(&index);
        index.extend(crc.to_le_bytes());
        let backward_size = (index.len() / 4 - 1) as u32;
        self.out.extend(&index);
        let mut footer = backward_size.to_le_bytes().to_vec();
        footer.extend(STREAM_FLAGS);
        self.out.extend(crc32(&footer).to_le_bytes());
        self.out.extend(footer);
        self.out.extend(*b"YZ");
        self.out
    }

    fn push(&mut self, bytes: &[u8], unpadded: u64, uncompressed: usize) {
        self.out.extend_from_slice(bytes);
        self.index.push((unpadded, uncompressed as u64));
    }

    /// The whole block with header, padding and check; and its unpadded size for the index.
    fn encode(&self, data: &[u8]) -> Result<(Vec<u8>, u64), liblzma::stream::Error> {
        let compressed = lzma2(data)?;
        let mut header = vec![0, 0xc0];
        put_number(&mut header, compressed.len() as u64);
        put_number(&mut header, data.len() as u64);
        header.extend([0x21, 1, 12]); // LZMA2, one byte of properties: dictionary of 256 KiB
        header.resize(header.len().next_multiple_of(4), 0);
        header[0] = (header.len() / 4) as u8;
        let crc = crc32(&header);
        header.extend(crc.to_le_bytes());
        let unpadded = (header.len() + compressed.len() + 8) as u64;
        let mut block = header;
        block.extend(compressed);
        block.resize(block.len().next_multiple_of(4), 0);
        block.extend(self.crc64(data).to_le_bytes());
        Ok((block, unpadded))
    }

    fn crc64(&self, data: &[u8]) -> u64 {
        let step = |crc: u64, byte: &u8| self.crc64[((crc ^ u64::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
        !data.iter().fold(!0, step)
    }
}

fn lzma2(data: &[u8]) -> Result<Vec<u8>, liblzma::stream::Error> {
    let mut options = LzmaOptions::new_preset(0)?;
    options.dict_size(DICTIONARY);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_raw_encoder(&filters)?;
    let mut out = Vec::with_capacity(data.len() / 2 + 4096);
    loop {
        let consumed = stream.total_in() as usize;
        out.reserve(64 * 1024);
        if stream.process_vec(&data[consumed..], &mut out, Action::Finish)? == Status::StreamEnd {
            return Ok(out);
        }
    }
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// CRC-32 as in Ethernet, GPT and .xz.
pub fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !data.iter().fold(!0, step)
}

fn crc64_table() -> Box<[u64; 256]> {
    let mut table = Box::new([0; 256]);
    for (byte, slot) in table.iter_mut().enumerate() {
        *slot = (0..8).fold(byte as u64, |crc, _| (crc >> 1) ^ (0xc96c_5795_d787_0f42 & (crc & 1).wrapping_neg()));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn liblzma_reads_back_what_was_written() {
        let noise: Vec<u8> = (0..BLOCK as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut writer = Writer::new();
        writer.block(&noise).expect("a block");
        writer.zeros(BLOCK).expect("zeros");
        writer.zeros(BLOCK).expect("zeros again");
        writer.block(b"tail").expect("a short block");
        let file = writer.finish();
        let mut back = Vec::new();
        liblzma::read::XzDecoder::new(&file[..]).read_to_end(&mut back).expect("a sound stream");
        let expected = [&noise[..], &vec![0; 2 * BLOCK], b"tail"].concat();
        assert!(back == expected, "{} bytes came back of {}", back.len(), expected.len());
    }

    #[test]
    fn checksums_match_the_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(Writer::new().crc64(b"123456789"), 0x995d_c9bb_df19_39fa);
    }
}
