//! Conversations with the outside, one peer a file: no order, no policy, no retries beyond one connection.

/// The Talos Image Factory, over HTTP.
pub mod factory;

/// Disk images, downloaded and decoded once, kept by digest.
pub mod cache;

/// Files that are complete or not there.
pub mod file;

/// A Linux shell, over SSH, from which a disk is written.
pub mod rescue;

/// The Talos API of one node.
pub mod talos;

/// The Kubernetes API of the cluster that the node joins.
pub mod kubernetes;
