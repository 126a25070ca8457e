//! Resources: what Terraform creates, changes and deletes.

use async_trait::async_trait;

use super::{
    diagnostic::{Diagnostic, Diagnostics},
    path::Path,
    provider::Context,
    schema::Schema,
    value::Value,
};

/// A type of managed object.
///
/// Every value that arrives has all attributes of the schema; every value returned may lack some (null is filled in).
/// Write-only values are in `config` only.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// Its attributes.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond its schema. Unknown values cannot be judged yet.
    async fn validate(&self, _ctx: &Context, _config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Adjusts a plan to create or update. No effects: it runs several times, also for plans that are never applied.
    ///
    /// What is known in the plan is a promise; what the configuration sets can only be planned as it is set, or, where
    /// it means the same, as it was before.
    async fn plan(&self, _ctx: &Context, request: PlanRequest) -> Plan {
        Plan::of(request.proposed)
    }

    /// Looks at a plan to delete.
    async fn plan_delete(&self, _ctx: &Context, _prior: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Makes the object. [`Outcome::failed`] stores nothing; an error beside a state stores the object as tainted.
    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome;

    /// Looks at the object: [`Outcome::gone`] when it no longer exists. After errors the known state stays.
    async fn read(&self, ctx: &Context, request: ReadRequest) -> Outcome;

    /// Changes the object. [`Outcome::failed`] keeps the prior state.
    async fn update(&self, ctx: &Context, request: UpdateRequest) -> Outcome;

    /// Deletes the object: [`Outcome::gone`] when done. [`Outcome::failed`] keeps the prior state.
    async fn delete(&self, ctx: &Context, request: DeleteRequest) -> Outcome;

    /// Finds an existing object. A read follows.
    async fn import(&self, _ctx: &Context, _id: &str) -> Outcome {
        Outcome::failed(Diagnostic::error("Import not supported", "This resource cannot be imported."))
    }

    /// Turns a state of an older [schema version](Schema::version) into one of today's. The provider is not configured then.
    async fn upgrade(&self, _ctx: &Context, version: i64, _state: serde_json::Value) -> Outcome {
        let detail = format!("The state has schema version {version}, which this provider cannot read.");
        Outcome::failed(Diagnostic::error("State upgrade not supported", detail))
    }

    /// Turns the state of a resource of another type into one of this. The provider is not configured then.
    async fn move_state(&self, _ctx: &Context, request: MoveRequest) -> Outcome {
        let detail = format!("The state of a {} cannot become one of this resource.", request.source_type);
        Outcome::failed(Diagnostic::error("Move not supported", detail))
    }
}

/// What is to be planned: a create (`prior` is null) or an update.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// The state as last read; null for a create.
    pub prior: Value,
    /// The plan so far: configuration, defaults, and unknown for what is computed and may change. When nothing differs,
    /// exactly the prior state.
    pub proposed: Value,
    /// The plan so far, had anything differed: what to start from when a change shows only to the resource.
    pub proposed_on_change: Value,
    /// The configuration, with write-only values.
    pub config: Value,
    /// Attributes whose change makes a new object, judged by the schema.
    pub requires_replace: Vec<Path>,
    /// What the provider stored beside the state.
    pub private: Vec<u8>,
}

impl PlanRequest {
    /// Whether the object is to be made.
    pub fn is_create(&self) -> bool {
        self.prior.is_null()
    }

    /// Whether nothing differs between the configuration and the state.
    pub fn is_unchanged(&self) -> bool {
        self.proposed == self.prior
    }
}

/// A plan.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The state to come.
    pub planned: Value,
    /// More attributes whose change makes a new object; those of the schema count anyway.
    pub requires_replace: Vec<Path>,
    /// What to hand to the apply; `None` keeps what is stored.
    pub private: Option<Vec<u8>>,
    /// What to tell; an error stops the plan.
    pub diagnostics: Diagnostics,
}

impl Plan {
    /// Plans this state.
    pub fn of(planned: Value) -> Self {
        Self { planned, ..Self::default() }
    }
}

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// The planned state; what is unknown in it is to be found out.
    pub planned: Value,
    /// The configuration, with write-only values.
    pub config: Value,
    /// What the plan handed on.
    pub private: Vec<u8>,
}

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct ReadRequest {
    /// The state as stored.
    pub state: Value,
    /// What the provider stored beside it.
    pub private: Vec<u8>,
}

/// What is to be changed.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// The state as last read.
    pub prior: Value,
    /// The planned state; what is unknown in it is to be found out.
    pub planned: Value,
    /// The configuration, with write-only values.
    pub config: Value,
    /// What the plan handed on.
    pub private: Vec<u8>,
}

/// What is to be deleted.
#[derive(Debug, Clone, Default)]
pub struct DeleteRequest {
    /// The state as last read.
    pub prior: Value,
    /// What the plan handed on.
    pub private: Vec<u8>,
}

/// A state of another resource type, to be taken over.
#[derive(Debug, Clone, Default)]
pub struct MoveRequest {
    /// The full address of the provider it belongs to: host, namespace and name.
    pub source_provider: String,
    /// Its resource type.
    pub source_type: String,
    /// Its schema version.
    pub source_version: i64,
    /// The state.
    pub state: serde_json::Value,
    /// What that provider stored beside it.
    pub private: Vec<u8>,
}

/// What came of a call.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The state from now on.
    pub state: Option<Value>,
    /// What to store beside it; `None` keeps what is stored.
    pub private: Option<Vec<u8>>,
    /// What to tell.
    pub diagnostics: Diagnostics,
}

impl Outcome {
    /// The object is there, in this state.
    pub fn state(state: Value) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// The object is not there.
    pub fn gone() -> Self {
        Self::default()
    }

    /// Nothing came of it.
    pub fn failed(diagnostics: impl Into<Diagnostics>) -> Self {
        Self { diagnostics: diagnostics.into(), ..Self::default() }
    }

    /// Stores this beside the state.
    #[must_use]
    pub fn private(mut self, private: Vec<u8>) -> Self {
        self.private = Some(private);
        self
    }

    /// Tells this too.
    #[must_use]
    pub fn diagnostics(mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.diagnostics.extend(diagnostics);
        self
    }
}
