//! Conversations with the outside, one peer a file.

/// The Talos API of one node.
pub mod talos;
