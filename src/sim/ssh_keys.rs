//! SSH keys: the user's, and one per rescue host.

use russh::keys::{
    PrivateKey, PublicKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};

/// The user's key pair, and what a client needs of it.
#[derive(Debug, Clone)]
pub struct SshKeys {
    pair: PrivateKey,
}

impl SshKeys {
    /// Makes a new Ed25519 pair.
    pub fn generate() -> Self {
        // Two random UUIDs are 244 random bits: enough for keys that live as long as a test.
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        seed[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        Self { pair: PrivateKey::from(Ed25519Keypair::from_seed(&seed)) }
    }

    /// The private key as an OpenSSH file.
    pub fn private_openssh(&self) -> String {
        self.pair.to_openssh(LineEnding::LF).map(|text| text.to_string()).unwrap_or_default()
    }

    /// The public key as a line of `authorized_keys` or `known_hosts`.
    pub fn public_openssh(&self) -> String {
        self.pair.public_key().to_openssh().unwrap_or_default()
    }

    /// The pair.
    pub fn private(&self) -> &PrivateKey {
        &self.pair
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        self.pair.public_key()
    }
}
