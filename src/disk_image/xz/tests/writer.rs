//! Writes `.xz` files of any shape, sound or not.

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

use super::super::check::{Check, Checker};

/// One stream, block after block.
pub struct Writer {
    pub bytes: Vec<u8>,
    pub check: Check,
    /// Unpadded and decoded sizes.
    pub records: Vec<(u64, u64)>,
}

/// How a block is to be written.
#[derive(Debug, Clone)]
pub struct Shape {
    pub compressed_size: bool,
    pub raw_size: bool,
    pub filters: Vec<u8>,
    pub preset: u32,
}

impl Shape {
    /// As `xz -0 -T0` does.
    pub fn talos() -> Self {
        Self { compressed_size: true, raw_size: true, filters: vec![], preset: 0 }
    }
}

impl Writer {
    pub fn new(check: Check) -> Self {
        let flags = [0, check.id()];
        let bytes = [b"\xFD7zXZ\0", &flags[..], &crc32fast::hash(&flags).to_le_bytes()].concat();
        Self { bytes, check, records: Vec::new() }
    }

    pub fn block(&mut self, raw: &[u8], shape: &Shape) {
        let data = compress(raw, shape);
        self.raw_block(&data, data.len() as u64, raw.len() as u64, raw, shape);
    }

    /// A block whose header says `compressed` and `announced`, whatever is in it.
    pub fn raw_block(&mut self, data: &[u8], compressed: u64, announced: u64, raw: &[u8], shape: &Shape) {
        let flags = shape.filters.len() as u8 | u8::from(shape.compressed_size) << 6 | u8::from(shape.raw_size) << 7;
        let mut header = vec![0, flags];
        if shape.compressed_size {
            integer(compressed, &mut header);
        }
        if shape.raw_size {
            integer(announced, &mut header);
        }
        for id in &shape.filters {
            header.extend_from_slice(if *id == DELTA { &[DELTA, 1, 0] } else { std::slice::from_ref(id) });
            if *id != DELTA {
                header.push(0);
            }
        }
        header.extend_from_slice(&[0x21, 1, DICTIONARY]);
        header.resize(header.len().next_multiple_of(4), 0);
        header[0] = (header.len() / 4) as u8;
        let checksum = crc32fast::hash(&header);
        header.extend_from_slice(&checksum.to_le_bytes());
        self.records.push((header.len() as u64 + compressed + self.check.len() as u64, announced));
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend_from_slice(&stored(self.check, raw));
    }

    /// The file with index and footer.
    pub fn finish(mut self) -> Vec<u8> {
        let mut index = vec![0];
        integer(self.records.len() as u64, &mut index);
        for (unpadded, raw) in &self.records {
            integer(*unpadded, &mut index);
            integer(*raw, &mut index);
        }
        index.resize(index.len().next_multiple_of(4), 0);
        let checksum = crc32fast::hash(&index);
        index.extend_from_slice(&checksum.to_le_bytes());
        let backward = (index.len() as u32 / 4 - 1).to_le_bytes();
        let middle = [&backward[..], &[0, self.check.id()]].concat();
        self.bytes.extend_from_slice(&index);
        self.bytes.extend_from_slice(&crc32fast::hash(&middle).to_le_bytes());
        self.bytes.extend_from_slice(&middle);
        self.bytes.extend_from_slice(b"YZ");
        self.bytes
    }
}

pub fn compress(raw: &[u8], shape: &Shape) -> Vec<u8> {
    let mut filters = Filters::new();
    for id in &shape.filters {
        match *id {
            DELTA => filters.delta_properties(&[0]).unwrap(),
            0x04 => filters.x86(),
            0x05 => filters.powerpc(),
            0x06 => filters.ia64(),
            0x07 => filters.arm(),
            0x08 => filters.arm_thumb(),
            0x09 => filters.sparc(),
            0x0A => filters.arm64(),
            _ => filters.riscv(),
        };
    }
    let mut options = LzmaOptions::new_preset(shape.preset).unwrap();
    options.dict_size(256 << 10);
    filters.lzma2(&options);
    let mut encoder = Stream::new_raw_encoder(&filters).unwrap();
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 8 + 1024);
    loop {
        let rest = &raw[encoder.total_in() as usize..];
        if encoder.process_vec(rest, &mut out, Action::Finish).unwrap() == Status::StreamEnd {
            return out;
        }
        out.reserve(4096);
    }
}

fn integer(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn stored(check: Check, raw: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut checker = check.start();
    checker.update(raw);
    match checker {
        Checker::None => vec![],
        Checker::Crc32(hasher) => hasher.finalize().to_le_bytes().to_vec(),
        Checker::Crc64(digest) => digest.sum64().to_le_bytes().to_vec(),
        Checker::Sha256(hasher) => hasher.finalize().to_vec(),
    }
}

pub const DELTA: u8 = 0x03;
/// 256 KiB.
pub const DICTIONARY: u8 = 12;
