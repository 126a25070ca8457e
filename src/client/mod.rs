//! Conversations with the outside, one peer a file.

/// The Talos API of one node.
pub mod talos;

/// The Kubernetes API of the cluster that the node joins.
pub mod kubernetes;
