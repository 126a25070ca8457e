//! The integrity checks of blocks.

use sha2::{Digest as _, Sha256};

/// Which check every block of a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    None,
    Crc32,
    Crc64,
    Sha256,
}

impl Check {
    pub fn from_id(id: u8) -> Option<Self> {
        CHECKS.iter().find(|(_, known, _)| *known == id).map(|(check, ..)| *check)
    }

    pub fn id(self) -> u8 {
        self.row().1
    }

    /// In bytes.
    pub fn len(self) -> usize {
        self.row().2
    }

    pub fn start(self) -> Checker {
        match self {
            Self::None => Checker::None,
            Self::Crc32 => Checker::Crc32(crc32fast::Hasher::new()),
            Self::Crc64 => Checker::Crc64(crc64fast::Digest::new()),
            Self::Sha256 => Checker::Sha256(Sha256::new()),
        }
    }

    fn row(self) -> (Self, u8, usize) {
        CHECKS[self as usize]
    }
}

/// A check that is being computed.
#[derive(Clone)]
pub(super) enum Checker {
    None,
    Crc32(crc32fast::Hasher),
    Crc64(crc64fast::Digest),
    Sha256(Sha256),
}

impl Checker {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc64(digest) => digest.write(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub fn matches(self, stored: &[u8]) -> bool {
        match self {
            Self::None => stored.is_empty(),
            Self::Crc32(hasher) => hasher.finalize().to_le_bytes() == stored,
            Self::Crc64(digest) => digest.sum64().to_le_bytes() == stored,
            Self::Sha256(hasher) => hasher.finalize()[..] == *stored,
        }
    }
}

/// In the order of the variants, with the identifiers and lengths of section 2.1.1.2 of the format.
const CHECKS: [(Check, u8, usize); 4] =
    [(Check::None, 0, 0), (Check::Crc32, 1, 4), (Check::Crc64, 4, 8), (Check::Sha256, 10, 32)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_knows_itself() {
        for (index, (check, id, len)) in CHECKS.into_iter().enumerate() {
            assert_eq!((check as usize, check.id(), check.len()), (index, id, len));
            assert_eq!(Check::from_id(id), Some(check));
        }
        assert_eq!(Check::from_id(2), None);
    }

    #[test]
    fn known_values_match() {
        for (check, stored) in [
            (Check::None, ""),
            (Check::Crc32, "2639f4cb"),
            (Check::Crc64, "fa3919dfbbc95d99"),
            (Check::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            let mut checker = check.start();
            checker.update(b"1234");
            checker.update(b"56789");
            assert!(checker.clone().matches(&hex::decode(stored).unwrap()), "{check:?}");
            assert!(!checker.matches(&vec![0; check.len().max(1)]), "{check:?}");
        }
    }
}
