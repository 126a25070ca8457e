//! Notations that validation checks in plain texts.

use std::fmt;
use std::net::IpAddr;

use super::super::types::text::{address, decode_base64, prefix};
use super::super::types::url::Url;

/// What Go's `net.ParseIP` takes: no zone.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// What Go's `net.ParseCIDR` takes.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let limit = if address.is_ipv4() { 32 } else { 128 };
    bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= limit)
}

pub(super) fn is_ip_or_cidr(text: &str) -> bool {
    if text.contains('/') { is_cidr(text) } else { is_ip(text) }
}

/// A subnet or an address, either perhaps with a leading `!`.
pub(super) fn is_subnet_or_address(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    prefix(text).is_some() || address(text).is_some()
}

/// An address with a prefix length; host bits may be set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Subnet {
    address: IpAddr,
    bits: u32,
}

impl Subnet {
    /// Reads what Go's `netip.ParsePrefix` takes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let canonical = prefix(text)?;
        let (address, bits) = canonical.split_once('/')?;
        Some(Self { address: address.parse().ok()?, bits: bits.parse().ok()? })
    }

    pub(super) fn bits(self) -> u32 {
        self.bits
    }

    pub(super) fn is_v6(self) -> bool {
        self.address.is_ipv6()
    }

    pub(super) fn host_bits(self) -> u32 {
        self.length() - self.bits
    }

    /// Whether no bit of a host is set.
    pub(super) fn is_masked(self) -> bool {
        self.network(self.bits).checked_shl(self.host_bits()).unwrap_or(0) == self.number()
    }

    /// Whether one holds the other; host bits do not count.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.is_v6() == other.is_v6() && self.network(bits) == other.network(bits)
    }

    fn length(self) -> u32 {
        if self.is_v6() { 128 } else { 32 }
    }

    fn number(self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    /// The first bits of the address.
    fn network(self, bits: u32) -> u128 {
        self.number().checked_shr(self.length() - bits).unwrap_or(0)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Whether an address is `0.0.0.0` or `::`; an address that is none is not.
pub(super) fn is_unspecified(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// `ValidateEndpointURI` of siderolabs/net v0.4.0.
pub(super) fn endpoint(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(str::to_owned)?;
    if url.host.matches(':').count() > 2 && !(url.host.contains('[') && url.host.contains(']')) {
        return Err("IPv6 addresses MUST be enclosed by square brackets".into());
    }
    if url.hostname().is_empty() {
        return Err("hostname must not be blank".into());
    }
    match url.port() {
        "" => Ok(()),
        port if port.parse::<u32>().is_ok_and(|port| (1..=65535).contains(&port)) => Ok(()),
        _ => Err("port must be between 1 and 65535".into()),
    }
}

/// Host and port of what Go's `net.SplitHostPort` takes.
pub(super) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return (!inner.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// A WireGuard key: 32 bytes in base64.
pub(super) fn is_wireguard_key(text: &str) -> bool {
    decode_base64(text).is_some_and(|bytes| bytes.len() == 32)
}

/// `^([a-zA-Z0-9_]{1}[a-zA-Z0-9_-]{0,62}){1}(\.[a-zA-Z0-9_]{1}[a-zA-Z0-9_-]{0,62})*[\._]?$`
pub(super) fn is_dns_name(text: &str) -> bool {
    if text.is_empty() || text.len() - text.matches('.').count() > 255 {
        return false;
    }
    let body = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let rest = label.as_bytes();
        !rest.is_empty() && rest.len() <= 63 && word(rest[0]) && rest.iter().all(|b| word(*b) || *b == b'-')
    };
    // A final underscore may come on top of a label of full length.
    body.split('.').all(label) || body.strip_suffix('_').is_some_and(|body| body.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_judged_as_talos_does() {
        for text in ["https://192.168.1.50:6443", "https://[fd00::1]:6443", "http://host", "//host"] {
            assert_eq!(endpoint(text), Ok(()), "{text}");
        }
        for text in ["", "host", "https://", "https://h:0", "https://h:65536", "1.2.3.4:6443", "https://fd00::1:6443"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dns_names_follow_the_expression() {
        for text in ["cluster.local", "a", "a.", "_x.y", "a_"] {
            assert!(is_dns_name(text), "{text}");
        }
        for text in ["", ".", "-a", "a..b", "a b", &"a".repeat(65)] {
            assert!(!is_dns_name(text), "{text}");
        }
    }

    #[test]
    fn hosts_and_ports_are_split_as_go_does() {
        assert_eq!(split_host_port("h:80"), Some(("h", "80")));
        assert_eq!(split_host_port("[::1]:80"), Some(("::1", "80")));
        for text in ["h", "::1", "[::1]", "a:b:c"] {
            assert_eq!(split_host_port(text), None, "{text}");
        }
    }

    #[test]
    fn subnets_are_compared_by_their_bits() {
        let subnet = |text: &str| Subnet::parse(text).expect(text);
        for (text, masked) in [
            ("10.0.0.0/8", true),
            ("10.0.0.1/8", false),
            ("0.0.0.0/0", true),
            ("::/0", true),
            ("1::/0", false),
            ("::1/128", true),
        ] {
            assert_eq!(subnet(text).is_masked(), masked, "{text}");
        }
        for (one, other, overlap) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/16", "10.1.0.0/16", false),
            ("::/0", "fd00::/8", true),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(subnet(one).overlaps(subnet(other)), overlap, "{one} {other}");
        }
        assert!(Subnet::parse("10.0.0.0").is_none() && Subnet::parse("").is_none());
    }
}
