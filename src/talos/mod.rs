//! Talos' own nouns, pure: no I/O, no clock, no randomness.

/// A value that must not be printed.
pub mod secret;

/// `talosconfig`: endpoints and credentials of the Talos API.
pub mod talosconfig;
