//! Decodes with ours and with liblzma, and compares.

use bytes::Bytes;

use crate::disk_image::{BlockError, DecodeError, DecodeOptions, Decoder, Event, Format, XzError};

const LIMIT: u64 = 128 << 10;

/// `shape` chooses the length of chunks and, rarely because that is slow, threads.
pub fn compare(file: &[u8], shape: u8) {
    let chunk = (1 + usize::from(shape >> 2) * 37).max(file.len() / 100);
    let ours = ours(file, chunk, usize::from(shape % 32 == 31) * 2);
    let theirs = theirs(file);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert!(ours == theirs, "other bytes"),
        (Ok(_), None) => panic!("accepted what liblzma refuses"),
        (Err(DecodeError::TooLarge { .. } | DecodeError::TooMuchInput { .. }), _) => {}
        (Err(DecodeError::Xz(XzError::UnsupportedCheck { .. })), _) => {}
        (
            Err(DecodeError::Xz(XzError::Block {
                source: BlockError::Dictionary { .. },
                ..
            })),
            _,
        ) => {}
        (Err(error), Some(_)) => panic!("refused what liblzma accepts: {error:?}"),
        (Err(_), None) => {}
    }
}

fn ours(file: &[u8], chunk: usize, threads: usize) -> Result<Vec<u8>, DecodeError> {
    let options = DecodeOptions {
        threads,
        max_raw_size: LIMIT,
        max_extent: 64 << 10,
        format: Some(Format::Xz),
    };
    let (mut decoder, mut disk) = (Decoder::new(options), Vec::new());
    let mut chunks = file.chunks(chunk);
    loop {
        let next = chunks.next();
        match next {
            Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
            None => decoder.end_of_input(),
        }
        while let Some(event) = decoder.next_event()? {
            match event {
                Event::Data { offset, bytes, .. } => {
                    assert_eq!(offset, disk.len() as u64);
                    disk.extend_from_slice(&bytes);
                }
                Event::Zero { offset, len } => {
                    assert_eq!(offset, disk.len() as u64);
                    disk.resize(disk.len() + len as usize, 0);
                }
            }
        }
        if next.is_none() {
            assert!(decoder.is_complete());
            return decoder.finish().map(|_| disk);
        }
    }
}

fn theirs(file: &[u8]) -> Option<Vec<u8>> {
    use liblzma::stream::{Action, CONCATENATED, Status, Stream};
    let mut stream = Stream::new_stream_decoder(u64::MAX, CONCATENATED).ok()?;
    let mut disk = Vec::with_capacity(LIMIT as usize + 2);
    loop {
        let before = (stream.total_in(), stream.total_out());
        let rest = &file[before.0 as usize..];
        match stream.process_vec(rest, &mut disk, Action::Finish).ok()? {
            Status::StreamEnd => return Some(disk),
            _ if before == (stream.total_in(), stream.total_out()) => return None,
            _ => {}
        }
    }
}
