//! Files whose checksums are right and whose sizes, filters, data, index and order are whatever the input says, so that
//! more than the first checksum is tested; compared with liblzma.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/disk_image/mod.rs"]
mod disk_image;
#[path = "oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let shape = input.byte();
    let mut file = Vec::new();
    for _ in 0..=input.byte() % 3 {
        stream(&mut input, &mut file);
        file.resize(file.len() + usize::from(input.byte() % 16), 0);
    }
    oracle::compare(&file, shape);
});

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

fn stream(input: &mut Input, file: &mut Vec<u8>) {
    let check = [0, 1, 4, 10][usize::from(input.byte() % 4)];
    file.extend_from_slice(b"\xFD7zXZ\0");
    sealed(file, &[0, check]);
    let mut records = Vec::new();
    let mut previous: Option<(Vec<u8>, u64, u64)> = None;
    for _ in 0..input.byte() % 6 {
        let again = input.byte() % 3 == 0;
        let (bytes, unpadded, raw) = match previous.take() {
            Some(block) if again => block,
            _ => block(input, check),
        };
        file.extend_from_slice(&bytes);
        records.push((unpadded, raw));
        previous = Some((bytes, unpadded, raw));
    }
    let mut index = vec![0];
    integer(
        records.len() as u64 + u64::from(input.byte() == 1),
        &mut index,
    );
    for (unpadded, raw) in records {
        integer(unpadded + u64::from(input.byte() == 1), &mut index);
        integer(raw, &mut index);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    let start = file.len();
    sealed(file, &index);
    let backward = ((file.len() - start) as u32 / 4 - 1).to_le_bytes();
    let footer = [&backward[..], &[0, check]].concat();
    file.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
    file.extend_from_slice(&footer);
    file.extend_from_slice(b"YZ");
}

/// Half of the blocks are sound but for what the input turns over; the others are the input's own bytes.
fn block(input: &mut Input, check: u8) -> (Vec<u8>, u64, u64) {
    let kind = input.byte();
    let len = usize::from(input.byte()) * (1 + usize::from(kind & 7) * 8);
    let mut raw = input.bytes(len).to_vec();
    raw.resize(len, kind);
    let mut data = if kind & 0x80 != 0 {
        input.bytes(len).to_vec()
    } else {
        chunks(&raw)
    };
    if kind & 0x40 != 0 && !data.is_empty() {
        let at = usize::from(input.byte()) % data.len();
        data[at] ^= input.byte();
    }
    let compressed = data.len() as u64 + u64::from(input.byte() == 1);
    let announced = len as u64 + u64::from(input.byte() == 1);
    let flags = input.byte();
    let mut header = vec![0, flags & 0xC0];
    if flags & 0x40 != 0 {
        integer(compressed, &mut header);
    }
    if flags & 0x80 != 0 {
        integer(announced, &mut header);
    }
    if flags & 0x20 != 0 {
        header.extend_from_slice(input.bytes(usize::from(flags & 0x0F)));
        header[1] |= flags & 3;
    } else {
        header.extend_from_slice(&[0x21, 1, 12]);
    }
    header.resize(header.len().next_multiple_of(4), 0);
    header[0] = (header.len() / 4) as u8;
    let mut bytes = Vec::new();
    sealed(&mut bytes, &header);
    let header_len = bytes.len();
    bytes.extend_from_slice(&data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let check = stored(check, &raw);
    bytes.extend_from_slice(&check);
    (
        (bytes),
        (header_len + data.len() + check.len()) as u64,
        len as u64,
    )
}

/// LZMA2 without compression: chunks of at most 64 KiB, then the end.
fn chunks(raw: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    for (index, chunk) in raw.chunks(1 << 16).enumerate() {
        data.push(if index == 0 { 1 } else { 2 });
        data.extend_from_slice(&(chunk.len() as u16).wrapping_sub(1).to_be_bytes());
        data.extend_from_slice(chunk);
    }
    data.push(0);
    data
}

fn stored(check: u8, raw: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    match check {
        1 => crc32fast::hash(raw).to_le_bytes().to_vec(),
        4 => {
            let mut digest = crc64fast::Digest::new();
            digest.write(raw);
            digest.sum64().to_le_bytes().to_vec()
        }
        10 => sha2::Sha256::digest(raw).to_vec(),
        _ => vec![],
    }
}

fn sealed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
}

fn integer(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
