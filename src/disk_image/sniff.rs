//! Which format the first bytes say it is, and refusals that name what came instead of an image.

/// How many of the first bytes decide.
pub(super) const SNIFF_LEN: usize = 512;

/// The compression of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.xz`, what Image Factory serves as `.raw.xz`.
    Xz,
    /// `.zst`, what Image Factory serves as `.raw.zst`.
    Zstd,
    /// An uncompressed disk: a master boot record comes first.
    Raw,
}

/// The first bytes are not those of a disk image that can be read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SniffError {
    /// Nothing at all arrived.
    #[error("the image is empty")]
    Empty,
    /// A web page, a JSON document or other text; `excerpt` is its beginning, in one line, printable.
    #[error("the answer is {what}, not a disk image: {excerpt:?}")]
    Text {
        /// "a web page", "a JSON document" or "text".
        what: &'static str,
        /// At most 200 characters.
        excerpt: String,
    },
    /// A format that is known but not read.
    #[error("a {name} file is not supported")]
    Unsupported {
        /// The usual name, such as "gzip".
        name: &'static str,
    },
    /// Neither a compressed image nor a disk.
    #[error("the first bytes are of no known image format: {first}")]
    Unknown {
        /// The first 16 bytes in hex.
        first: String,
    },
}

impl SniffError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } | Self::Unknown { .. } => "use the .raw.xz, .raw.zst or .raw file of the image",
            Self::Empty | Self::Text { .. } => {
                "check the image URL, and that nothing between here and the server answers in its place"
            }
        }
    }
}

/// Decides from the first [`SNIFF_LEN`] bytes, or fewer when the input is shorter.
pub(super) fn sniff(head: &[u8]) -> Result<Format, SniffError> {
    if head.is_empty() {
        return Err(SniffError::Empty);
    }
    for (magic, format) in READABLE {
        if head.starts_with(magic) {
            return Ok(*format);
        }
    }
    // Zstandard also begins with a skippable frame, 0x184D2A5? (RFC 8878, 3.1.2).
    if head.len() >= 4 && (head[0] & 0xF0) == 0x50 && head[1..4] == [0x2A, 0x4D, 0x18] {
        return Ok(Format::Zstd);
    }
    for (magic, name) in UNSUPPORTED {
        if head.starts_with(magic) {
            return Err(SniffError::Unsupported { name });
        }
    }
    if head.len() == SNIFF_LEN && head.ends_with(&MBR_SIGNATURE) {
        return Ok(Format::Raw);
    }
    Err(text(head).unwrap_or_else(|| SniffError::Unknown { first: hex::encode(&head[..head.len().min(16)]) }))
}

/// Recognises text, with or without a byte order mark; a multi-byte character may be cut at the end.
fn text(head: &[u8]) -> Option<SniffError> {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.is_empty() || text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match words.chars().next() {
        Some('<') => "a web page",
        Some('{' | '[') => "a JSON document",
        _ => "text",
    };
    Some(SniffError::Text { what, excerpt: words.chars().take(200).collect() })
}

const READABLE: &[(&[u8], Format)] = &[(b"\xFD7zXZ\0", Format::Xz), (b"\x28\xB5\x2F\xFD", Format::Zstd)];

const UNSUPPORTED: &[(&[u8], &str)] = &[
    (b"\x1F\x8B", "gzip"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"QFI\xFB", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"conectix", "vhd"),
    (b"vhdxfile", "vhdx"),
    (b"\x04\x22\x4D\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"\x5D\x00\x00", "lzma"),
];

const MBR_SIGNATURE: [u8; 2] = [0x55, 0xAA];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_decides() {
        let mut disk = vec![0; SNIFF_LEN];
        disk[510..].copy_from_slice(&MBR_SIGNATURE);
        for (head, expected) in [
            (&b"\xFD7zXZ\0\0\x04"[..], Format::Xz),
            (b"\x28\xB5\x2F\xFD\x24", Format::Zstd),
            (b"\x5D\x2A\x4D\x18", Format::Zstd),
            (&disk, Format::Raw),
        ] {
            assert_eq!(sniff(head), Ok(expected));
        }
    }

    #[test]
    fn text_is_refused_with_its_beginning() {
        for (head, what, excerpt) in [
            (
                &b"\xEF\xBB\xBF\r\n <!DOCTYPE html>\n<title>Log in</title>"[..],
                "a web page",
                "<!DOCTYPE html> <title>Log in</title>",
            ),
            (b"{\"message\":\n  \"no such schematic\"}", "a JSON document", "{\"message\": \"no such schematic\"}"),
            (b"schematic not found\n", "text", "schematic not found"),
            ("Bild nicht verf\u{fc}gbar".as_bytes(), "text", "Bild nicht verf\u{fc}gbar"),
            (b"cut in a character \xC3", "text", "cut in a character"),
        ] {
            assert_eq!(sniff(head), Err(SniffError::Text { what, excerpt: excerpt.into() }));
        }
        let Err(SniffError::Text { excerpt, .. }) = sniff(&[b'x'; 512]) else { panic!("not text") };
        assert_eq!(excerpt.len(), 200);
    }

    #[test]
    fn other_formats_are_named() {
        assert_eq!(sniff(b"\x1F\x8B\x08"), Err(SniffError::Unsupported { name: "gzip" }));
        assert_eq!(sniff(b"QFI\xFB\0\0\0\x03"), Err(SniffError::Unsupported { name: "qcow2" }));
        assert_eq!(sniff(&[0; 512]), Err(SniffError::Unknown { first: "00".repeat(16) }));
        assert_eq!(sniff(b"\x01\xFF"), Err(SniffError::Unknown { first: "01ff".into() }));
        assert_eq!(sniff(b""), Err(SniffError::Empty));
    }
}
