//! Data sources: what Terraform reads.

use async_trait::async_trait;

use super::{diagnostic::Diagnostics, provider::Context, resource::Outcome, schema::Schema, value::Value};

/// A type of readable object.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// Its attributes.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond its schema. Unknown values cannot be judged yet.
    async fn validate(&self, _ctx: &Context, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Reads it. The configuration is wholly known and has its defaults; the state is the configuration with the computed attributes set.
    async fn read(&self, ctx: &Context, config: Value) -> Outcome;
}
