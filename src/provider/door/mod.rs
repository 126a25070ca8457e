//! The ways in which a configuration is given, as attributes that a resource and an ephemeral resource share.

/// Attributes.
pub mod schema;

/// From attributes to drafts.
pub mod model;

/// The one place where the files of a talconfig.yaml, and the keys to them, are read.
pub mod files;
