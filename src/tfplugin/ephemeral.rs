//! Ephemeral resources: what Terraform uses and forgets.

use std::time::SystemTime;

use async_trait::async_trait;

use super::{diagnostic::Diagnostics, provider::Context, schema::Schema, value::Value};

/// A type of object that lives for one run and is never stored.
#[async_trait]
pub trait EphemeralResource: Send + Sync + 'static {
    /// Its attributes.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond its schema. Unknown values cannot be judged yet.
    async fn validate(&self, _ctx: &Context, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Makes it. The configuration is wholly known and has its defaults.
    async fn open(&self, ctx: &Context, config: Value) -> Opened;

    /// Prolongs it, if [`Opened::renew_at`] asked for that.
    async fn renew(&self, _ctx: &Context, _private: Vec<u8>) -> Renewed {
        Renewed::default()
    }

    /// Ends it.
    async fn close(&self, _ctx: &Context, _private: Vec<u8>) -> Diagnostics {
        Diagnostics::new()
    }
}

/// What came of opening.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The configuration with the computed attributes set.
    pub result: Option<Value>,
    /// When to call renew.
    pub renew_at: Option<SystemTime>,
    /// What renew and close need.
    pub private: Vec<u8>,
    /// What to tell.
    pub diagnostics: Diagnostics,
}

impl Opened {
    /// It is open.
    pub fn result(result: Value) -> Self {
        Self { result: Some(result), ..Self::default() }
    }

    /// It could not be opened.
    pub fn failed(diagnostics: impl Into<Diagnostics>) -> Self {
        Self { diagnostics: diagnostics.into(), ..Self::default() }
    }
}

/// What came of renewing.
#[derive(Debug, Clone, Default)]
pub struct Renewed {
    /// When to call renew again.
    pub renew_at: Option<SystemTime>,
    /// What renew and close need from now on; `None` keeps it.
    pub private: Option<Vec<u8>>,
    /// What to tell.
    pub diagnostics: Diagnostics,
}
