//! The provider itself, and the context of a call.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    data_source::DataSource, diagnostic::Diagnostics, ephemeral::EphemeralResource, function::Function,
    resource::Resource, schema::Schema, value::Value,
};

/// What the host tells about a call, and how it stops it.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Cancelled when the user stops the run or the host is gone: finish soon, cleanly, with what was achieved.
    pub stop: CancellationToken,
    /// The host's version, once the provider is configured.
    pub terraform_version: Option<String>,
    /// Whether the host keeps write-only values out of its state; told in validate, plan and read only.
    pub write_only_allowed: bool,
}

/// A provider: a name, a configuration, and what it offers.
///
/// What [`configure`](Self::configure) learns is the provider's to keep, shared with its resources; in debug mode
/// it may be called more than once in a process.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The configuration of the provider block.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond its schema. Unknown values cannot be judged yet.
    async fn validate(&self, _ctx: &Context, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Takes the configuration, with defaults filled in. Values may be unknown during a plan.
    async fn configure(&self, ctx: &Context, config: Value) -> Diagnostics;

    /// The resources by type name, each starting with the provider's name.
    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        Vec::new()
    }

    /// The data sources by type name.
    fn data_sources(&self) -> Vec<(&'static str, Arc<dyn DataSource>)> {
        Vec::new()
    }

    /// The ephemeral resources by type name.
    fn ephemeral_resources(&self) -> Vec<(&'static str, Arc<dyn EphemeralResource>)> {
        Vec::new()
    }

    /// The functions by name (`provider::NAME::function`).
    fn functions(&self) -> Vec<(&'static str, Arc<dyn Function>)> {
        Vec::new()
    }
}
