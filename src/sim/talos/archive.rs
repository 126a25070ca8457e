//! The smallest tar.gz: not compressed.

use crate::sim::factory::crc32;

/// A file, or a directory, which has no content.
pub struct Entry {
    /// Its name in the archive.
    pub name: String,
    /// What is in it.
    pub content: Option<Vec<u8>>,
}

/// Files and directories in a tar archive in a gzip stream of stored blocks (RFC 1951 3.2.4, RFC
/// 1952).
pub fn tar_gz(entries: &[Entry]) -> Vec<u8> {
    let mut tar: Vec<u8> = entries.iter().flat_map(|entry| tar(&entry.name, entry.content.as_deref())).collect();
    // The end of an archive.
    tar.resize(tar.len() + 1024, 0);
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = tar.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = chunk.len() as u16;
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    out.extend(crc32(&tar).to_le_bytes());
    out.extend((tar.len() as u32).to_le_bytes());
    out
}

fn tar(name: &str, content: Option<&[u8]>) -> Vec<u8> {
    let directory = content.is_none();
    let content = content.unwrap_or_default();
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, if directory { "0000755\0" } else { "0000600\0" });
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, if directory { "5" } else { "0" });
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut out = header.to_vec();
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn tar_reads_it_back() {
        let mut child = match Command::new("tar").args(["xzO"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            // This machine has no tar: the bytes are all there is.
            Err(_) => return,
        };
        let file = |name: &str, content: &[u8]| Entry { name: name.to_owned(), content: Some(content.to_vec()) };
        let entries = [
            Entry { name: "a".to_owned(), content: None },
            file("a/kubeconfig", b"apiVersion: v1\n"),
            file("b", b"kind: Config\n"),
        ];
        let archive = tar_gz(&entries);
        child.stdin.take().expect("a pipe").write_all(&archive).expect("written");
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.stdout, b"apiVersion: v1\nkind: Config\n");
    }
}
