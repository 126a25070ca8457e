//! Talos' own nouns, pure: no I/O, no clock, no randomness.

/// A value that must not be printed.
pub mod secret;

/// Machine configurations: parse, validate, patch, generate, hash, compare.
pub mod machine_config;

/// Talos releases and what differs between them.
pub mod version;

/// Image Factory schematics and their ids.
pub mod schematic;

/// Image Factory URLs and installer references.
pub mod image;

/// What Oracle Cloud wants to know of a custom image.
pub mod oracle_archive;

/// A cluster's secrets: talsecret.yaml and its relatives.
pub mod secrets;

/// Certificates and keys.
pub mod pki;

/// talosconfig files and client credentials.
pub mod talosconfig;

/// kubeconfig files, as far as a plan can judge them.
pub mod kubeconfig;
