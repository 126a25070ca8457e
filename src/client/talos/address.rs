//! Where a Talos API answers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Port of apid and of the maintenance service (Talos v1.12.2 pkg/machinery/constants, `ApidPort`).
pub const DEFAULT_PORT: u16 = 50000;

/// Host and port of one node; it is dialled as written, never through another node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A DNS name or an IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A name that the certificate may carry in place of `host`: that of an address which the node had before.
    former: Option<String>,
}

/// Why a text is no address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("reading {0:?} as HOST or HOST:PORT")]
pub struct AddressError(String);

impl Address {
    /// An address from its parts; brackets around an IPv6 host are dropped.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Self { host: bare.map(str::to_owned).unwrap_or(host), port, former: None }
    }

    /// The same place, whose certificate may still be that of the address `host`: a node that moved gets a certificate
    /// for its new address only with its next configuration. What is proven is no less: the authority is the cluster's, and
    /// the name one that this node is known by.
    #[must_use]
    pub fn formerly(self, host: impl Into<String>) -> Self {
        Self { former: Some(host.into()), ..self }
    }

    /// What the certificate may name in place of the host.
    pub(super) fn former(&self) -> Option<&str> {
        self.former.as_deref()
    }

    /// The host as an IP address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AddressError(text.to_owned());
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::new(text, DEFAULT_PORT));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => (host, port.parse().map_err(|_| wrong())?),
            Some(_) => return Err(wrong()),
            None => (text, DEFAULT_PORT),
        };
        let address = Self::new(host, port);
        let plausible = |host: &str| {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        if address.ip().is_some() || plausible(&address.host) { Ok(address) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_written() {
        for (text, host, port, shown) in [
            ("10.0.0.214", "10.0.0.214", 50000, "10.0.0.214:50000"),
            ("node.example:1234", "node.example", 1234, "node.example:1234"),
            ("[fd7a::1]:50001", "fd7a::1", 50001, "[fd7a::1]:50001"),
            ("fd7a::1", "fd7a::1", 50000, "[fd7a::1]:50000"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":50000", "host:port", "https://node", "a b", "node/x:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
