//! A provider that misbehaves on demand.

use std::sync::Arc;

use crate::tfplugin::{
    Attribute, Context, DataSource, Diagnostic, Diagnostics, EphemeralResource, Function, Provider, Resource, Schema,
    Type, Value,
    ephemeral::Opened,
    function::{FunctionError, Parameter, Signature},
    resource::{CreateRequest, DeleteRequest, MoveRequest, Outcome, Plan, PlanRequest, ReadRequest, UpdateRequest},
};

/// A provider whose resource does what its `name` says.
pub struct Probe;

#[async_trait::async_trait]
impl Provider for Probe {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::number("retries").default(3)])
    }

    async fn configure(&self, ctx: &Context, config: Value) -> Diagnostics {
        let text = format!("{:?} retries {:?}", ctx.terraform_version, config.get("retries").as_i64());
        Diagnostic::warning("configured", text).into()
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        vec![("probe_thing", Arc::new(Thing))]
    }

    fn data_sources(&self) -> Vec<(&'static str, Arc<dyn DataSource>)> {
        vec![("probe_thing", Arc::new(Thing))]
    }

    fn ephemeral_resources(&self) -> Vec<(&'static str, Arc<dyn EphemeralResource>)> {
        vec![("probe_token", Arc::new(Thing))]
    }

    fn functions(&self) -> Vec<(&'static str, Arc<dyn Function>)> {
        vec![("join", Arc::new(Join))]
    }
}

struct Thing;

pub fn schema() -> Schema {
    Schema::new([
        Attribute::string("id").computed().use_state_for_unknown(),
        Attribute::string("name").required().requires_replace(),
        Attribute::number("size").default(1),
        Attribute::string("secret").write_only(),
        Attribute::object("disk", [Attribute::string("path"), Attribute::string("serial").computed()]),
    ])
    .version(2)
}

#[async_trait::async_trait]
impl Resource for Thing {
    fn schema(&self) -> Schema {
        schema()
    }

    async fn validate(&self, _: &Context, config: &Value) -> Diagnostics {
        let mut told = Diagnostics::new();
        if config.get("name").as_str() == Some("bad") {
            told.error_at("disk.path", "Bad", "Not good.");
        }
        told
    }

    async fn plan(&self, _: &Context, request: PlanRequest) -> Plan {
        match request.config.get("name").as_str() {
            Some("panic-plan") => panic!("plan broke"),
            Some("notice") if request.is_unchanged() => {
                Plan { requires_replace: vec!["size".into()], ..Plan::of(request.proposed_on_change.with("size", 9)) }
            }
            _ => Plan::of(request.proposed),
        }
    }

    async fn create(&self, ctx: &Context, request: CreateRequest) -> Outcome {
        let done = request.planned.clone().with("id", "i-1");
        match request.planned.get("name").as_str().unwrap() {
            "panic" => panic!("create broke"),
            "wait" => {
                ctx.stop.cancelled().await;
                Outcome::failed(Diagnostic::error("Stopped", "by the user"))
            }
            "fail" => Outcome::failed(Diagnostic::error("Failed", "so it is")),
            "half" => Outcome::state(done).diagnostics([Diagnostic::error("Half", "done")]),
            "silent" => Outcome::gone(),
            // Lacks attributes, has strangers, leaks the secret, leaves unknowns.
            "sloppy" => Outcome::state(Value::object([
                ("id", "i-1".into()),
                ("name", "sloppy".into()),
                ("secret", request.config.get("secret").clone()),
                ("disk", Value::object([("path", "p".into()), ("serial", Value::Unknown)])),
                ("colour", "red".into()),
            ])),
            _ => Outcome::state(done).private(b"made".to_vec()),
        }
    }

    async fn read(&self, _: &Context, request: ReadRequest) -> Outcome {
        match request.state.get("name").as_str().unwrap_or_default() {
            "panic" => panic!("read broke"),
            "unreachable" => Outcome::failed(Diagnostic::error("Unreachable", "no route")),
            "gone" => Outcome::gone(),
            _ => Outcome::state(request.state.with("size", 5)),
        }
    }

    async fn update(&self, _: &Context, request: UpdateRequest) -> Outcome {
        match request.planned.get("name").as_str().unwrap() {
            "fail" => Outcome::failed(Diagnostic::error("Failed", "so it is")),
            _ => Outcome::state(request.planned),
        }
    }

    async fn delete(&self, _: &Context, request: DeleteRequest) -> Outcome {
        match request.prior.get("name").as_str().unwrap() {
            "fail" => Outcome::failed(Diagnostic::error("Failed", "so it is")),
            _ => Outcome::gone(),
        }
    }

    async fn import(&self, _: &Context, id: &str) -> Outcome {
        match id {
            "nothing" => Outcome::gone(),
            id => Outcome::state(Value::object([("id", id.into())])),
        }
    }

    async fn upgrade(&self, _: &Context, version: i64, state: serde_json::Value) -> Outcome {
        Outcome::state(Value::object([("id", format!("v{version}").into()), ("name", state["title"].as_str().into())]))
    }

    async fn move_state(&self, _: &Context, request: MoveRequest) -> Outcome {
        Outcome::state(Value::object([("name", request.source_type.into())])).private(request.private)
    }
}

#[async_trait::async_trait]
impl DataSource for Thing {
    fn schema(&self) -> Schema {
        schema()
    }

    async fn read(&self, _: &Context, config: Value) -> Outcome {
        match config.get("name").as_str() {
            Some("none") => Outcome::gone(),
            _ => Outcome::state(config.with("id", "i-2")),
        }
    }
}

#[async_trait::async_trait]
impl EphemeralResource for Thing {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::string("token").computed()])
    }

    async fn open(&self, _: &Context, config: Value) -> Opened {
        Opened { private: b"p".to_vec(), ..Opened::result(config.with("token", "t")) }
    }

    async fn close(&self, _: &Context, private: Vec<u8>) -> Diagnostics {
        Diagnostic::warning("closed", String::from_utf8(private).unwrap()).into()
    }
}

struct Join;

#[async_trait::async_trait]
impl Function for Join {
    fn signature(&self) -> Signature {
        Signature::new([Parameter::new("separator", Type::String)], Type::String)
            .variadic(Parameter::new("parts", Type::String))
    }

    async fn call(&self, _: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let texts: Vec<_> = arguments.iter().map(|argument| argument.as_str().unwrap_or_default()).collect();
        match texts.split_first() {
            Some((&"", _)) => Err(FunctionError::argument(0, "no separator")),
            Some((&"number", _)) => Ok(1.into()),
            Some((separator, parts)) => Ok(parts.join(separator).into()),
            None => panic!("no arguments"),
        }
    }
}
