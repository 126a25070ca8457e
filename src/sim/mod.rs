//! A pretend Oracle Cloud on loopback: rescue shells, an Image Factory, Talos nodes and a Kubernetes API that
//! answer as the real things do, including their refusals. It shares no code with the provider's clients, so that
//! it cannot share their bugs.

mod cluster;
mod cut;
mod factory;
mod fault;
mod journal;
mod kubernetes;
mod metadata;
mod node;
mod node_object;
mod pki;
mod port;
mod rescue;
mod ssh_keys;
mod talos;
mod timing;
mod world;

pub use cluster::{AuthKey, Cluster, Switches};
pub use factory::{ImageSize, ImageStore};
pub use fault::{ALWAYS, Fault};
pub use journal::{BootVerdict, Entry, Event, Journal};
pub use kubernetes::Pod;
pub use node::{NodeOptions, SimNode, Start};
pub use node_object::NodeObject;
pub use pki::{Authority, KeyKind, PemPair, PkiError};
pub use rescue::{DiskContent, RescueOptions, RescueRoot};
pub use ssh_keys::SshKeys;
pub use timing::Timings;
pub use world::{World, WorldError, WorldOptions};
