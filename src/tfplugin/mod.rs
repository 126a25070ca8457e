//! The Terraform plugin protocol 6 for the author of a provider.
//!
//! An author describes values with `schema`, answers the traits `Provider`, `Resource`, `DataSource`,
//! `EphemeralResource` and `Function` in terms of `Value`, and hands the provider to `serve::main`.
//! Everything between those and a Terraform or OpenTofu process lives here: handshake, mutual TLS, the calls, the
//! encoding, planning, stopping, logging and the registry pages.
//!
//! Two promises hold whatever an author returns: a state has exactly the attributes of its schema
//! (`conform`), and a write-only value never leaves in a plan or a state.

/// Exact numbers.
pub mod number;

/// Null, unknown and known values at any depth.
pub mod value;

/// The types of values.
pub mod types;

/// Where in a value something is.
pub mod path;

/// What the user is told.
pub mod diagnostic;

/// Attributes, their flags, defaults and validators.
pub mod schema;

/// Ready-made validators.
pub mod validator;

/// What a schema forbids: in itself, and in a configuration.
pub mod validate;

/// Values as MessagePack.
pub mod msgpack;

/// Values as JSON.
pub mod json;

/// Every answer in the exact shape of its schema.
pub mod conform;

/// From configuration and state to a plan, by the schema alone.
pub mod plan;

/// Resources: what Terraform creates, changes and deletes.
pub mod resource;

/// Data sources: what Terraform reads.
pub mod data_source;

/// Ephemeral resources: what Terraform uses and forgets.
pub mod ephemeral;

/// Functions.
pub mod function;

/// The provider itself, and the context of a call.
pub mod provider;

/// The calls of the protocol.
pub mod rpc;

/// Registry pages from schemas.
pub mod docs;

/// How host and plugin find each other.
pub mod handshake;

/// Mutual TLS with exactly one client.
pub mod tls;

/// The unix socket that only its owner can open.
mod socket;

/// Accepting connections, and knowing when the last one is gone.
mod connections;

/// go-plugin's own services beside the provider.
mod plugin;

/// Logs as the host reads them.
mod log;

/// From process start to process end.
pub mod serve;

/// Panics, told to the user instead of killing the process.
mod crash;

pub use data_source::DataSource;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use ephemeral::EphemeralResource;
pub use function::Function;
pub use number::Number;
pub use path::{Path, Step};
pub use provider::{Context, Provider};
pub use resource::Resource;
pub use schema::{Attribute, Schema};
pub use types::Type;
pub use value::Value;
