//! Packs an image into a gzip-compressed tar file with a qcow2 disk and a description beside it, from the first byte to
//! the last without going back. The same image gives the same bytes: nothing in it tells when, where or by whom it was made.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use flate2::{Compression, GzBuilder};

use super::{decoder::Image, qcow2::Qcow2};

/// The names and contents of an archive.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// Name of the disk, such as `oracle-arm64.qcow2`.
    pub disk: &'a str,
    /// Name of the description.
    pub description: &'a str,
    /// The description.
    pub text: &'a str,
}

impl Archive<'_> {
    /// Writes the archive of `image`; `data` gives the bytes of each of its extents, in order.
    ///
    /// # Errors
    /// When `out` cannot be written, or `data` fails or does not belong to the image.
    pub fn write<W: Write>(
        &self,
        out: W,
        image: &Image,
        data: impl Iterator<Item = io::Result<Bytes>>,
    ) -> io::Result<W> {
        let disk = Qcow2::of(image.raw_size, &image.extents).map_err(io::Error::other)?;
        // Most of a Talos image is compressed already.
        let gzip = GzBuilder::new().write(out, Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        let parts = data.flat_map(|part| match part {
            Ok(bytes) => {
                let padding = Qcow2::padding(bytes.len() as u64);
                [Ok(bytes), Ok(Bytes::from(vec![0; padding]))]
            }
            Err(error) => [Err(error), Ok(Bytes::new())],
        });
        let mut disk_bytes = Read::chain(disk.head(), Parts { parts, current: Bytes::new() });
        append(&mut tar, self.disk, disk.size(), &mut disk_bytes)?;
        append(&mut tar, self.description, self.text.len() as u64, &mut self.text.as_bytes())?;
        tar.into_inner()?.finish()
    }
}

/// A file that belongs to nobody and is as old as time.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut counted = Counted { content, read: 0 };
    tar.append(&header, &mut counted)?;
    if counted.read == size { Ok(()) } else { Err(io::Error::other("the data is not that of the image")) }
}

/// Reads pieces one after the other.
struct Parts<I> {
    parts: I,
    current: Bytes,
}

impl<I: Iterator<Item = io::Result<Bytes>>> Read for Parts<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.parts.next() {
                Some(part) => self.current = part?,
                None => return Ok(0),
            }
        }
        let read = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

/// What is longer or shorter than its header says would be read as something else.
struct Counted<'a> {
    content: &'a mut dyn Read,
    read: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "archive/tests.rs"]
mod tests;
