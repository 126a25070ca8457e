//! Certificates and keys in PEM, as Go's `encoding/pem` and siderolabs/crypto v0.6 `x509` read them.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::super::types::text::decode_base64;
use super::super::yaml::Node;
use super::{Read, Report};

/// One block.
struct Block {
    label: String,
    content: Zeroizing<Vec<u8>>,
    headers: bool,
}

/// All blocks that are well-formed; everything else is passed over, as Go does.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let at_line_start = start == 0 || rest.as_bytes()[start - 1] == b'\n';
        rest = &rest[start + "-----BEGIN ".len()..];
        if at_line_start && let Some((block, behind)) = block(rest) {
            found.push(block);
            rest = behind;
        }
    }
    found
}

/// A block whose label starts the text, and what is behind it.
fn block(text: &str) -> Option<(Block, &str)> {
    let (line, mut body) = text.split_once('\n')?;
    let label = line.trim_end_matches([' ', '\t', '\r']).strip_suffix("-----")?;
    let mut headers = false;
    while let Some((line, behind)) = body.split_once('\n')
        && line.contains(':')
    {
        headers = true;
        body = behind;
    }
    let end = format!("-----END {label}-----");
    let position = if body.starts_with(&end) { 0 } else { body.find(&format!("\n{end}"))? + 1 };
    let (packed, behind) = body.split_at(position);
    let packed: Zeroizing<String> = Zeroizing::new(packed.chars().filter(|c| !matches!(c, ' ' | '\t')).collect());
    let content = Zeroizing::new(decode_base64(&packed)?);
    Some((Block { label: label.to_owned(), content, headers }, &behind[end.len()..]))
}

/// What Go's `CertPool.AppendCertsFromPEM` takes something from.
pub(super) fn holds_certificate(text: &str) -> bool {
    blocks(text).iter().any(|block| block.label == "CERTIFICATE" && !block.headers && is_certificate(&block.content))
}

/// Whether the first block is a certificate, whatever its label says (`GetCert`).
pub(super) fn starts_with_certificate(text: &str) -> bool {
    blocks(text).first().is_some_and(|block| is_certificate(&block.content))
}

fn is_certificate(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// At least one block, and each of that label if one is wanted (Talos v1.14
/// `pkg/machinery/config/types/meta/certificate_key.go`).
pub(super) fn check_blocks(text: &str, label: Option<&str>) -> Result<(), String> {
    let blocks = blocks(text);
    if blocks.is_empty() {
        return Err("no PEM blocks found".into());
    }
    match label.and_then(|label| blocks.iter().find(|block| block.label != label).map(|block| (label, block))) {
        Some((label, block)) => Err(format!("PEM block is of type {:?}, expected {label:?}", block.label)),
        None => Ok(()),
    }
}

/// Whether the first block is a private key of a kind that Talos reads (`GetKey`). The numbers of the key are not
/// looked at, only its shape.
pub(super) fn check_private_key(text: &str) -> Result<(), &'static str> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let blocks = blocks(text);
    let Some(block) = blocks.first() else { return Err("no PEM block can be read") };
    let algorithm = pkcs8_algorithm(&block.content);
    let valid = match block.label.as_str() {
        // PKCS #1: a version and eight numbers. SEC 1: version 1 and the number.
        "RSA PRIVATE KEY" => fields(&block.content).is_some_and(|fields| fields.len() >= 9),
        "EC PRIVATE KEY" => {
            fields(&block.content).is_some_and(|fields| matches!(fields.as_slice(), [(0x02, [1]), (0x04, _), ..]))
        }
        "ED25519 PRIVATE KEY" => algorithm == Some(ED25519),
        "PRIVATE KEY" => algorithm.is_some_and(|oid| [RSA, ELLIPTIC, ED25519].contains(&oid)),
        _ => return Err("the key is of a kind that is not supported"),
    };
    if valid { Ok(()) } else { Err("the key cannot be read") }
}

/// The algorithm of a PKCS #8 key: version, algorithm, key.
fn pkcs8_algorithm(der: &[u8]) -> Option<&[u8]> {
    let [(0x02, _), (0x30, algorithm), (0x04, _), ..] = fields(der)?[..] else { return None };
    match elements(algorithm)?.first()? {
        (0x06, oid) => Some(*oid),
        _ => None,
    }
}

/// The elements of a DER sequence that fills all bytes.
fn fields(der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    match elements(der)?[..] {
        [(0x30, content)] => elements(content),
        _ => None,
    }
}

fn elements(mut der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while let [tag, length, rest @ ..] = der {
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(length)?;
        found.push((*tag, content));
        der = behind;
    }
    der.is_empty().then_some(found)
}

/// `CertificateAndKey.Validate`: both are PEM, and can be loaded where that is wanted.
pub(super) fn check_pair(pair: &Node, path: &str, what: &str, load: bool, report: &mut Report) {
    let (certificate, key) = (pair.text("cert"), pair.text("key"));
    let problem = if certificate.is_empty() {
        Some(("cert", "certificate is required".to_owned()))
    } else if key.is_empty() {
        Some(("key", "key is required".to_owned()))
    } else if let Err(message) = check_blocks(certificate, Some("CERTIFICATE")) {
        Some(("cert", format!("certificate: {message}")))
    } else if let Err(message) = check_blocks(key, None) {
        Some(("key", format!("key: {message}")))
    } else if load && !starts_with_certificate(certificate) {
        Some(("cert", "certificate is invalid".to_owned()))
    } else if load && let Err(message) = check_private_key(key) {
        Some(("key", format!("key is invalid: {message}")))
    } else {
        None
    };
    if let Some((field, message)) = problem {
        report.error(format!("{path}.{field}"), format!("{what}: {message}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate and its key, made for the test, indented for use in YAML.
    pub(in super::super) fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn blocks_are_read_as_go_reads_them() {
        let (certificate, key) = pair();
        assert!(holds_certificate(&certificate) && starts_with_certificate(&certificate));
        assert!(holds_certificate(&format!("{key}text\n{certificate}")));
        assert!(!starts_with_certificate(&key) && !holds_certificate(&key));
        assert_eq!(check_blocks(&certificate, Some("CERTIFICATE")), Ok(()));
        assert!(check_blocks(&format!("{certificate}{key}"), Some("CERTIFICATE")).is_err());
        for text in ["", "text", "-----BEGIN A-----", "-----BEGIN A-----\n!\n-----END A-----", "x-----BEGIN A-----\n"] {
            assert_eq!(blocks(text).len(), 0, "{text}");
        }
        assert_eq!(blocks("-----BEGIN A-----\nProc-Type: x\n\neA==\n-----END A-----").len(), 1);
        assert_eq!(blocks("-----BEGIN A-----\n-----END A-----\n-----BEGIN B-----\neA==\n-----END B-----\n").len(), 2);
    }

    #[test]
    fn keys_are_told_from_what_only_looks_like_one() {
        let (certificate, key) = pair();
        assert_eq!(check_private_key(&key), Ok(()));
        let body = |label: &str| format!("-----BEGIN {label}-----\nMAMCAQE=\n-----END {label}-----\n");
        for text in [
            "".to_owned(),
            certificate,
            key.replace("PRIVATE KEY", "ED25519 PRIVATE KEY"),
            body("PRIVATE KEY"),
            body("RSA PRIVATE KEY"),
            body("EC PRIVATE KEY"),
        ] {
            assert!(check_private_key(&text).is_err(), "{text}");
        }
        // SEC 1 with version 1 and one byte of a number.
        let elliptic = "-----BEGIN EC PRIVATE KEY-----\nMAYCAQEEAQE=\n-----END EC PRIVATE KEY-----\n";
        assert_eq!(check_private_key(elliptic), Ok(()));
    }
}
