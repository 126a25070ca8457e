//! PEM, with any label: Talos uses `ED25519 PRIVATE KEY`, which readers for the usual labels pass over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::PkiError;

/// One PEM block.
pub struct PemBlock {
    /// The words after `BEGIN`.
    pub label: String,
    /// The content.
    pub der: Zeroizing<Vec<u8>>,
}

/// Reads the first block of a text.
///
/// # Errors
/// No block, a block without an end, or content that is no base64.
pub fn decode(text: &str) -> Result<PemBlock, PkiError> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(bad("there is no BEGIN line"))?;
    let (label, rest) = rest.split_once("-----").ok_or(bad("the BEGIN line is broken"))?;
    let (body, _) = rest
        .split_once(&format!("-----END {label}-----"))
        .ok_or(bad("there is no END line that fits the BEGIN line"))?;
    let packed: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = STANDARD.decode(packed.as_bytes()).map_err(|_| bad("the content is no base64"))?;
    Ok(PemBlock { label: label.to_owned(), der: Zeroizing::new(der) })
}

/// Writes one block, 64 characters a line.
pub fn encode(label: &str, der: &[u8]) -> String {
    let packed = Zeroizing::new(STANDARD.encode(der));
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = packed.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so any index is a character boundary.
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn bad(reason: &'static str) -> PkiError {
    PkiError::Pem { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 47, 48, 49, 200] {
            let der: Vec<u8> = (0..length).map(|i| (i * 7 % 256) as u8).collect();
            let text = encode("ED25519 PRIVATE KEY", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            let block = decode(&text).unwrap();
            assert_eq!((block.label.as_str(), &*block.der), ("ED25519 PRIVATE KEY", &der));
        }
    }

    #[test]
    fn broken_pem_says_what_is_missing() {
        for (text, wanted) in [
            ("", "no BEGIN"),
            ("-----BEGIN X", "BEGIN line is broken"),
            ("-----BEGIN X-----\nAAAA\n-----END Y-----", "no END"),
            ("-----BEGIN X-----\n!!!!\n-----END X-----", "no base64"),
        ] {
            let error = decode(text).err().unwrap().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}
