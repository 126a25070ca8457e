//! Which host keys are trusted.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::Fingerprint;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use sha1::Sha1;

use super::{HostKeyPolicy, SessionError};

/// A policy, parsed, for one host.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    Pins(Vec<Pin>),
    Known { trusted: Vec<PublicKey>, revoked: Vec<PublicKey> },
    First(Accepted),
}

/// The host key that was accepted when there was none to compare with; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Accepted(Arc<OnceLock<PublicKey>>);

impl PartialEq for Accepted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Accepted {}

/// One pinned key.
#[derive(Clone, Debug)]
pub(super) enum Pin {
    Fingerprint(Fingerprint),
    Key(PublicKey),
}

/// What is thought of a presented key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    Mismatch,
    Unknown,
    Revoked,
}

impl Trust {
    pub(super) fn new(policy: &HostKeyPolicy, host: &str, port: u16) -> Result<Self, SessionError> {
        match policy {
            HostKeyPolicy::AcceptNew(accepted) => Ok(Self::First(accepted.clone())),
            HostKeyPolicy::KnownHosts(text) => Ok(known(text, host, port)),
            HostKeyPolicy::Pinned(pins) => {
                let lines = pins
                    .iter()
                    .flat_map(|pin| pin.lines())
                    .map(str::trim)
                    .filter(|line| !line.is_empty() && !line.starts_with('#'));
                let pins = lines.map(pin).collect::<Result<Vec<_>, _>>()?;
                if pins.is_empty() {
                    return Err(SessionError::BadPin { pin: String::new(), reason: "it is empty".into() });
                }
                Ok(Self::Pins(pins))
            }
        }
    }

    pub(super) fn judge(&self, key: &PublicKey) -> Verdict {
        let same = |other: &PublicKey| other.key_data() == key.key_data();
        match self {
            // Of two connections at once, one is the first.
            Self::First(accepted) if same(accepted.0.get_or_init(|| key.clone())) => Verdict::Trusted,
            Self::First(_) => Verdict::Mismatch,
            Self::Pins(pins) => {
                let hit = pins.iter().any(|pin| match pin {
                    Pin::Fingerprint(print) => key.fingerprint(print.algorithm()) == *print,
                    Pin::Key(pinned) => same(pinned),
                });
                if hit { Verdict::Trusted } else { Verdict::Mismatch }
            }
            Self::Known { revoked, .. } if revoked.iter().any(same) => Verdict::Revoked,
            Self::Known { trusted, .. } if trusted.is_empty() => Verdict::Unknown,
            Self::Known { trusted, .. } if trusted.iter().any(same) => Verdict::Trusted,
            Self::Known { .. } => Verdict::Mismatch,
        }
    }

    /// Host key algorithms to offer, one list for each connection to try.
    ///
    /// Types of which a key is known come first: then a server that has such a key shows it. The others follow, so that a
    /// rebuilt server is reported with the key it has now.
    pub(super) fn offers(&self) -> Vec<Vec<Algorithm>> {
        let all = families();
        let known: Vec<Algorithm> = match self {
            Self::First(accepted) => accepted.0.get().map(PublicKey::algorithm).into_iter().collect(),
            Self::Known { trusted, .. } => trusted.iter().map(PublicKey::algorithm).collect(),
            Self::Pins(pins) => pins
                .iter()
                .filter_map(|pin| if let Pin::Key(key) = pin { Some(key.algorithm()) } else { None })
                .collect(),
        };
        let (first, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|family| known.iter().any(|k| same_family(k, family)));
        let preferred = [first, rest].concat();
        let by_fingerprint =
            matches!(self, Self::Pins(pins) if pins.iter().any(|pin| matches!(pin, Pin::Fingerprint(_))));
        if !by_fingerprint {
            return vec![preferred];
        }
        let of = |wanted: fn(&Algorithm) -> bool| preferred.iter().filter(|a| wanted(a)).cloned().collect::<Vec<_>>();
        let (ecdsa, rsa) = (of(is_ecdsa), of(is_rsa));
        vec![preferred, ecdsa, rsa]
    }

    pub(super) fn error(&self, address: &str, key: &PublicKey, verdict: Verdict) -> SessionError {
        let (address, presented) = (address.to_owned(), describe(key));
        match verdict {
            Verdict::Unknown => SessionError::HostKeyUnknown { address, presented },
            Verdict::Revoked => SessionError::HostKeyRevoked { address, presented },
            Verdict::Mismatch | Verdict::Trusted => {
                SessionError::HostKeyMismatch { address, presented, expected: self.expected() }
            }
        }
    }

    fn expected(&self) -> String {
        let names: Vec<String> = match self {
            Self::First(accepted) => accepted.0.get().map(describe).into_iter().collect(),
            Self::Known { trusted, .. } => trusted.iter().map(describe).collect(),
            Self::Pins(pins) => pins
                .iter()
                .map(|pin| match pin {
                    Pin::Fingerprint(print) => print.to_string(),
                    Pin::Key(key) => describe(key),
                })
                .collect(),
        };
        names.join(" or ")
    }
}

/// Algorithm and fingerprint, as `ssh-keygen -lf` shows them.
pub(super) fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn pin(text: &str) -> Result<Pin, SessionError> {
    let bad = |reason: String| SessionError::BadPin { pin: text.to_owned(), reason };
    if text.starts_with("SHA256:") || text.starts_with("SHA512:") {
        // ssh-keygen prints no padding, copies from other tools sometimes carry it.
        return Fingerprint::from_str(text.trim_end_matches('=')).map(Pin::Fingerprint).map_err(|e| bad(e.to_string()));
    }
    if text.starts_with("MD5:") {
        return Err(bad("MD5 fingerprints prove nothing any more".into()));
    }
    // `ssh-keyscan` puts the host before the key.
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = usize::from(
        words.len() >= 3 && Algorithm::from_str(words[0]).map_or(true, |a| matches!(a, Algorithm::Other(_))),
    );
    let key = words.get(at..(at + 2).min(words.len())).unwrap_or_default().join(" ");
    PublicKey::from_openssh(&key).map(Pin::Key).map_err(|e| bad(e.to_string()))
}

/// Reads `known_hosts` as sshd(8) describes it; lines that cannot be read, and certificate authorities, are passed over.
fn known(text: &str, host: &str, port: u16) -> Trust {
    let name = if port == 22 { host.to_lowercase() } else { format!("[{}]:{port}", host.to_lowercase()) };
    let (mut trusted, mut revoked) = (Vec::new(), Vec::new());
    for entry in text.lines().flat_map(|line| KnownHosts::new(line).flatten()).filter(|entry| speaks_of(entry, &name)) {
        match entry.marker() {
            None => trusted.push(entry.public_key().clone()),
            Some(Marker::Revoked) => revoked.push(entry.public_key().clone()),
            Some(Marker::CertAuthority) => {}
        }
    }
    Trust::Known { trusted, revoked }
}

fn speaks_of(entry: &Entry, name: &str) -> bool {
    match entry.host_patterns() {
        HostPatterns::HashedName { salt, hash } => {
            // HMAC takes a key of any length.
            Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok())
        }
        HostPatterns::Patterns(patterns) => {
            let (no, yes): (Vec<&String>, Vec<&String>) = patterns.iter().partition(|pattern| pattern.starts_with('!'));
            yes.iter().any(|pattern| glob(pattern.to_lowercase().as_bytes(), name.as_bytes()))
                && !no.iter().any(|pattern| glob(pattern[1..].to_lowercase().as_bytes(), name.as_bytes()))
        }
    }
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, name) || name.split_first().is_some_and(|(_, tail)| glob(pattern, tail)),
        (Some((b'?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p == n && glob(rest, tail),
        _ => false,
    }
}

fn same_family(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || (is_rsa(a) && is_rsa(b))
}

fn is_rsa(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { .. })
}

fn is_ecdsa(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ecdsa { .. })
}

/// What we accept, best first; RSA only with SHA-2 signatures.
fn families() -> Vec<Algorithm> {
    let ecdsa =
        [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521].map(|curve| Algorithm::Ecdsa { curve });
    let rsa = [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) });
    [vec![Algorithm::Ed25519], ecdsa.to_vec(), rsa.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Keys and hashed line as in the tests of OpenSSH clients: nothing secret about a public key.
    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    const HASHED_B: &str = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ";

    fn key(line: &str) -> PublicKey {
        PublicKey::from_openssh(line).unwrap()
    }

    fn judge(policy: &HostKeyPolicy, host: &str, port: u16, presented: &str) -> Verdict {
        Trust::new(policy, host, port).unwrap().judge(&key(presented))
    }

    fn pinned(pin: &str) -> HostKeyPolicy {
        HostKeyPolicy::Pinned(vec![pin.to_owned()])
    }

    #[test]
    fn a_pin_may_be_a_fingerprint_a_key_or_a_keyscan_line() {
        let print = key(A).fingerprint(HashAlg::Sha256).to_string();
        let forms = [
            print.clone(),
            format!("{print}="),
            A.to_owned(),
            format!("{A} root@rescue"),
            format!("10.0.0.1 {A}"),
            format!("# c\n\n{A}\n"),
        ];
        for pin in forms {
            assert_eq!(judge(&pinned(&pin), "h", 22, A), Verdict::Trusted, "{pin}");
            assert_eq!(judge(&pinned(&pin), "h", 22, B), Verdict::Mismatch, "{pin}");
        }
    }

    #[test]
    fn a_pin_that_cannot_be_read_is_an_error() {
        for bad in ["", "SHA256:short", "MD5:aa:bb", "ssh-ed25519", "ssh-ed25519 AAAA", "hello there you"] {
            assert!(matches!(Trust::new(&pinned(bad), "h", 22), Err(SessionError::BadPin { .. })), "{bad:?}");
        }
    }

    #[test]
    fn known_hosts_are_matched_by_name_port_pattern_and_hash() {
        let table = [
            (format!("h {A}"), "h", 22, Verdict::Trusted),
            (format!("H {A}"), "h", 22, Verdict::Trusted),
            (format!("h {A}"), "h", 2222, Verdict::Unknown),
            (format!("[h]:2222 {A}"), "h", 2222, Verdict::Trusted),
            (format!("x,h {A}"), "h", 22, Verdict::Trusted),
            (format!("*.example.org {A}"), "a.example.org", 22, Verdict::Trusted),
            (format!("*,!h {A}"), "h", 22, Verdict::Unknown),
            (format!("10.0.0.? {A}"), "10.0.0.7", 22, Verdict::Trusted),
            (format!("h {B}"), "h", 22, Verdict::Mismatch),
            (format!("h {B}\nh {A}"), "h", 22, Verdict::Trusted),
            (format!("h {A}\n@revoked * {A}"), "h", 22, Verdict::Revoked),
            (format!("@cert-authority h {A}"), "h", 22, Verdict::Unknown),
            (format!("# h {A}"), "h", 22, Verdict::Unknown),
            (format!("not a line\nh {A}"), "h", 22, Verdict::Trusted),
            (String::new(), "h", 22, Verdict::Unknown),
        ];
        for (text, host, port, expected) in table {
            assert_eq!(judge(&HostKeyPolicy::KnownHosts(text.clone()), host, port, A), expected, "{text}");
        }
        let hashed = HostKeyPolicy::KnownHosts(format!("{HASHED_B}{B}"));
        assert_eq!(judge(&hashed, "example.com", 22, B), Verdict::Trusted);
        assert_eq!(judge(&hashed, "example.org", 22, B), Verdict::Unknown);
    }

    #[test]
    fn the_key_that_was_accepted_first_is_the_only_one_from_then_on() {
        let policy = HostKeyPolicy::AcceptNew(Accepted::default());
        assert_eq!(judge(&policy, "h", 22, A), Verdict::Trusted);
        assert_eq!(judge(&policy.clone(), "h", 22, B), Verdict::Mismatch);
        assert_eq!(judge(&policy, "h", 22, A), Verdict::Trusted);
        let error = Trust::new(&policy, "h", 22).unwrap().error("h:22", &key(B), Verdict::Mismatch);
        assert!(error.to_string().ends_with(&format!("expected {}", describe(&key(A)))), "{error}");
        assert_eq!(judge(&HostKeyPolicy::AcceptNew(Accepted::default()), "h", 22, B), Verdict::Trusted);
    }

    #[test]
    fn the_type_of_a_known_key_is_asked_for_first() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
        let offers = Trust::new(&pinned(ecdsa), "h", 22).unwrap().offers();
        assert_eq!(offers.len(), 1);
        assert!(is_ecdsa(&offers[0][0]));
        assert!(offers[0].contains(&Algorithm::Ed25519));
    }

    #[test]
    fn a_fingerprint_is_looked_for_among_all_key_types() {
        let print = key(A).fingerprint(HashAlg::Sha256).to_string();
        let offers = Trust::new(&pinned(&print), "h", 22).unwrap().offers();
        assert_eq!(offers.len(), 3);
        assert!(offers[1].iter().all(is_ecdsa) && offers[2].iter().all(is_rsa));
    }
}
