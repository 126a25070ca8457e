//! Talos' own nouns, pure: no I/O, no clock, no randomness.

/// A value that must not be printed.
pub mod secret;

/// Talos releases and what differs between them.
pub mod version;
