//! A Terraform/OpenTofu provider that turns an Oracle Cloud instance into a joined Talos Linux worker.
//!
//! The layers, ground up; each may use only what stands before it (`tests/it/layers.rs` checks it).

/// 0. How an error is told.
mod causes;

/// 1. Generated messages, nothing else.
pub mod wire;

/// 2. Terraform plugin protocol 6; knows no Talos.
pub mod tfplugin;

/// 2. YAML trees with Go's typing rules; knows no Talos.
pub mod yaml;

/// 3. Talos' own nouns; pure.
pub mod talos;

/// 3. SOPS files and the age keys that open them; pure.
pub mod sops;

/// 3. talhelper's talconfig.yaml; pure.
pub mod talhelper;

/// 3. What is inside a compressed disk image: blocks, extents, partitions; pure.
pub mod disk_image;

/// 3. What a node must be, and all that is rendered for it before the first packet; pure.
pub mod node;

/// 4. Conversations with the outside, one peer a file.
pub mod client;

/// 5. The story: rescue shell to Ready node.
pub mod provision;

/// 6. What Terraform sees.
pub mod provider;

/// 7. Live progress in a second terminal.
pub mod watch;

/// T. A pretend Oracle Cloud on loopback.
#[cfg(feature = "sim")]
pub mod sim;
