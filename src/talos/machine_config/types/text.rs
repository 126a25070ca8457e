//! Scalars with a notation of their own: what Talos reads, and what it writes back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};

use super::model::{Enum, TextKind};
use super::url::Url;
use super::{bytes, duration};
use crate::talos::machine_config::yaml::{Scalar, Tag, integer_value};

/// The mark Talos puts in the place of a key it does not show (siderolabs/crypto x509.Redacted).
const REDACTED: &str = "******";

/// Reads a scalar that is not null. `None` is the zero value; an error says what is expected, without the
/// value.
pub(crate) fn read(kind: TextKind, scalar: &Scalar) -> Result<Option<Scalar>, String> {
    let text = scalar.text.as_str();
    let written = match kind {
        TextKind::Cel => text.to_owned(),
        TextKind::Manifest => text.trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r']).to_owned(),
        TextKind::ByteSize => byte_size(text)?,
        TextKind::Percentage => percentage(text)?,
        TextKind::Size if text.contains('%') => percentage(text)?,
        TextKind::Size => byte_size(text)?,
        TextKind::Address if text.is_empty() => String::new(),
        TextKind::Address => address(text).ok_or("an IP address is expected")?,
        TextKind::AddressPort if text.is_empty() => String::new(),
        TextKind::AddressPort => address_port(text).ok_or("an IP address with a port is expected")?,
        TextKind::Prefix if text.is_empty() => String::new(),
        TextKind::Prefix => prefix(text).ok_or("an IP address with a prefix length is expected, such as 10.0.0.1/24")?,
        TextKind::Url => Url::parse(text)?.to_string(),
        TextKind::PortRange => return port_range(scalar).map(Some),
        TextKind::PemKey if text == REDACTED => text.to_owned(),
        TextKind::Base64 | TextKind::PemKey => base64(text)?,
        TextKind::DiskSize => return disk_size(text),
        TextKind::FileMode => return file_mode(scalar),
        TextKind::SizeMatch => size_match(text)?,
        TextKind::Hardware => hardware(text)?,
        TextKind::Duration => return go_duration(scalar),
        TextKind::Enum(words) => return word(words, text),
    };
    // Bytes that are written down differ from absent ones, even when there are none of them.
    let bytes = matches!(kind, TextKind::Base64 | TextKind::PemKey | TextKind::Hardware);
    Ok((bytes || !written.is_empty()).then_some(Scalar { tag: Tag::Str, text: written }))
}

/// How the zero value is written where it is not left out.
pub(crate) fn zero(kind: TextKind) -> Scalar {
    let (tag, text) = match kind {
        TextKind::FileMode => (Tag::Int, "0o0".into()),
        TextKind::PortRange => (Tag::Int, "0".into()),
        TextKind::DiskSize => (Tag::Str, "0 B".into()),
        TextKind::Duration => (Tag::Str, "0s".into()),
        TextKind::Enum(words) => {
            let word = words.values.iter().find(|(_, number)| *number == 0).map(|(word, _)| (*word).to_owned());
            (Tag::Str, word.unwrap_or_else(|| format!("{}(0)", words.name)))
        }
        _ => (Tag::Str, String::new()),
    };
    Scalar { tag, text }
}

/// The bytes of a base64 text, as Go's standard encoding reads it: line breaks do not count.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(packed).ok()
}

/// An IP address as Go's netip reads it (IPv6 with a zone allowed), in its canonical form.
pub(crate) fn address(text: &str) -> Option<String> {
    match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(format!("{address}%{zone}"))
        }
        Some(_) => None,
        None => text.parse::<IpAddr>().ok().map(|address| address.to_string()),
    }
}

/// An address and a prefix length as Go's netip reads it, in its canonical form; host bits stay.
pub(crate) fn prefix(text: &str) -> Option<String> {
    let (address, bits) = text.rsplit_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if bits.len() > 1 && !matches!(bits.as_bytes()[0], b'1'..=b'9') || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then(|| format!("{address}/{bits}"))
}

fn address_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => {
            let inner = address(inner)?;
            inner.contains(':').then(|| format!("[{inner}]:{port}"))
        }
        None => Some(format!("{}:{port}", host.parse::<Ipv4Addr>().ok()?)),
    }
}

fn byte_size(text: &str) -> Result<String, String> {
    // From 1.13 on a size may be negative: what to leave free.
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    if text.is_empty() || bytes::parse(magnitude).is_some() {
        return Ok(text.to_owned());
    }
    Err("a size in bytes is expected, such as 100MiB".into())
}

fn percentage(text: &str) -> Result<String, String> {
    let number = text.strip_suffix('%').ok_or("a percentage must end with %")?;
    let number = number.strip_prefix('-').unwrap_or(number);
    match number.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(text.to_owned()),
        _ => Err("a percentage between 0 and 100 is expected".into()),
    }
}

fn base64(text: &str) -> Result<String, String> {
    decode_base64(text).map(|bytes| STANDARD.encode(bytes)).ok_or_else(|| "illegal base64 data".into())
}

fn port_range(scalar: &Scalar) -> Result<Scalar, String> {
    let port = |port: u16| Scalar { tag: Tag::Int, text: port.to_string() };
    if scalar.tag == Tag::Int {
        let number = integer_value(&scalar.text).and_then(|number| u16::try_from(number).ok());
        return number.map(port).ok_or_else(|| "a port is between 0 and 65535".into());
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let range = scalar.text.split_once('-').and_then(|(low, high)| Some((digits(low)?, digits(high)?)));
    match range {
        Some((low, high)) if low == high => Ok(port(low)),
        Some((low, high)) => Ok(Scalar { tag: Tag::Str, text: format!("{low}-{high}") }),
        None => Err("a port or a range of ports is expected, such as 80 or 8000-9000".into()),
    }
}

fn disk_size(text: &str) -> Result<Option<Scalar>, String> {
    let size = bytes::parse(text).ok_or("a size in bytes is expected, such as 10GB")?;
    let human = bytes::format(size);
    Ok(match size {
        0 => None,
        size if size.is_multiple_of(1000) && bytes::parse(&human) == Some(size) => Some(Scalar { tag: Tag::Str, text: human }),
        size => Some(Scalar { tag: Tag::Int, text: size.to_string() }),
    })
}

fn file_mode(scalar: &Scalar) -> Result<Option<Scalar>, String> {
    let mode = (scalar.tag == Tag::Int).then(|| integer_value(&scalar.text)).flatten();
    match mode.and_then(|mode| u32::try_from(mode).ok()) {
        Some(0) => Ok(None),
        Some(mode) => Ok(Some(Scalar { tag: Tag::Int, text: format!("0o{mode:o}") })),
        None => Err("permissions are expected as a number, such as 0o644".into()),
    }
}

fn size_match(text: &str) -> Result<String, String> {
    let condition = text.trim();
    let size = [">=", "<=", ">", "<", "=="].iter().find_map(|op| condition.strip_prefix(op)).unwrap_or(condition);
    match bytes::parse(size.trim()) {
        Some(_) => Ok(condition.to_owned()),
        None => Err("a condition on a size is expected, such as >= 1TB".into()),
    }
}

fn hardware(text: &str) -> Result<String, String> {
    let bytes = hex::decode(text.replace(':', "")).map_err(|_| "a MAC address is expected")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

fn go_duration(scalar: &Scalar) -> Result<Option<Scalar>, String> {
    let parsed = (scalar.tag == Tag::Str).then(|| duration::parse(&scalar.text)).flatten();
    match parsed {
        Some(0) => Ok(None),
        Some(nanoseconds) => Ok(Some(Scalar { tag: Tag::Str, text: duration::format(nanoseconds) })),
        None => Err("a duration is expected, such as 10s or 1h30m".into()),
    }
}

fn word(words: &Enum, text: &str) -> Result<Option<Scalar>, String> {
    let known = words.values.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    let number = match (known, words.numbers) {
        (Some((_, number)), _) => Some(*number),
        (None, Some((low, high))) => text.parse::<u32>().ok().filter(|number| (low..=high).contains(number)),
        (None, None) => None,
    };
    let Some(number) = number else {
        let known: Vec<_> = words.values.iter().map(|(word, _)| *word).collect();
        return Err(format!("one of {} is expected", known.join(", ")));
    };
    let word = words.values.iter().find(|(_, value)| *value == number).map(|(word, _)| (*word).to_owned());
    let text = word.unwrap_or_else(|| number.to_string());
    Ok((number != 0).then_some(Scalar { tag: Tag::Str, text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar { tag: crate::talos::machine_config::yaml::resolve_plain(text), text: text.into() }
    }

    #[test]
    fn notations_are_written_back_in_one_form() {
        let cases = [
            (TextKind::Address, "FD00::0001", "fd00::1"),
            (TextKind::Prefix, "10.0.0.214/24", "10.0.0.214/24"),
            (TextKind::AddressPort, "[::1]:0080", "[::1]:80"),
            (TextKind::PortRange, "80", "80"),
            (TextKind::PortRange, "80-80", "80"),
            (TextKind::PortRange, "80-90", "80-90"),
            (TextKind::DiskSize, "100MB", "100 MB"),
            (TextKind::DiskSize, "1GiB", "1073741824"),
            (TextKind::FileMode, "0644", "0o644"),
            (TextKind::SizeMatch, " >= 1TB ", ">= 1TB"),
            (TextKind::Hardware, "02:00:17:AB:16:32", "02:00:17:ab:16:32"),
            (TextKind::Duration, "90s", "1m30s"),
            (TextKind::Manifest, "\n\tx", "x"),
            (TextKind::Url, "HTTPS://h", "https://h"),
        ];
        for (kind, text, expected) in cases {
            let read = read(kind, &plain(text)).unwrap_or_else(|e| panic!("{text}: {e}")).expect("not zero");
            assert_eq!(read.text, expected, "{text}");
        }
    }

    #[test]
    fn what_talos_refuses_is_refused() {
        let cases = [
            (TextKind::Address, "10.0.0"),
            (TextKind::Address, "10.0.0.01"),
            (TextKind::Prefix, "10.0.0.1"),
            (TextKind::Prefix, "10.0.0.0/33"),
            (TextKind::Prefix, "10.0.0.0/08"),
            (TextKind::AddressPort, "10.0.0.1"),
            (TextKind::PortRange, "x"),
            (TextKind::PortRange, "70000"),
            (TextKind::Base64, "*"),
            (TextKind::Base64, "YQ"),
            (TextKind::FileMode, "rwx"),
            (TextKind::Hardware, "0:1g"),
            (TextKind::Duration, "10"),
            (TextKind::ByteSize, "big"),
            (TextKind::Size, "101%"),
        ];
        for (kind, text) in cases {
            assert!(read(kind, &plain(text)).is_err(), "{text}");
        }
    }
}
