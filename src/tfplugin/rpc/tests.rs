use std::sync::Arc;

use super::{Server, wire};
use crate::{
    tfplugin::{
        Attribute, Context, DataSource, Diagnostic, Diagnostics, EphemeralResource, Function,
        Provider, Resource, Schema, Type, Value, conform,
        ephemeral::Opened,
        function::{FunctionError, Parameter, Signature},
        msgpack,
        resource::{
            CreateRequest, DeleteRequest, MoveRequest, Outcome, Plan, PlanRequest, ReadRequest,
            UpdateRequest,
        },
    },
    wire::tfplugin6::{provider_client::ProviderClient, provider_server::ProviderServer},
};

/// A provider whose resource does what its `name` says.
struct Probe;

#[async_trait::async_trait]
impl Provider for Probe {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::number("retries").default(3)])
    }

    async fn configure(&self, ctx: &Context, config: Value) -> Diagnostics {
        let text = format!(
            "{:?} retries {:?}",
            ctx.terraform_version,
            config.get("retries").as_i64()
        );
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

fn schema() -> Schema {
    Schema::new([
        Attribute::string("id").computed().use_state_for_unknown(),
        Attribute::string("name").required().requires_replace(),
        Attribute::number("size").default(1),
        Attribute::string("secret").write_only(),
        Attribute::object(
            "disk",
            [
                Attribute::string("path"),
                Attribute::string("serial").computed(),
            ],
        ),
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
            Some("notice") if request.is_unchanged() => Plan {
                requires_replace: vec!["size".into()],
                ..Plan::of(request.proposed_on_change.with("size", 9))
            },
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
                (
                    "disk",
                    Value::object([("path", "p".into()), ("serial", Value::Unknown)]),
                ),
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
        Outcome::state(Value::object([
            ("id", format!("v{version}").into()),
            ("name", state["title"].as_str().into()),
        ]))
    }

    async fn move_state(&self, _: &Context, request: MoveRequest) -> Outcome {
        Outcome::state(Value::object([("name", request.source_type.into())]))
            .private(request.private)
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
        Opened {
            private: b"p".to_vec(),
            ..Opened::result(config.with("token", "t"))
        }
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
        let texts: Vec<_> = arguments
            .iter()
            .map(|argument| argument.as_str().unwrap_or_default())
            .collect();
        match texts.split_first() {
            Some((&"", _)) => Err(FunctionError::argument(0, "no separator")),
            Some((&"number", _)) => Ok(1.into()),
            Some((separator, parts)) => Ok(parts.join(separator).into()),
            None => panic!("no arguments"),
        }
    }
}

fn server() -> Server {
    Server::new(Arc::new(Probe))
}

/// The generated client on the generated server, without a wire between them.
fn client(server: &Server) -> ProviderClient<ProviderServer<Server>> {
    ProviderClient::new(ProviderServer::new(server.clone()))
}

/// A value with all attributes of the resource.
fn full(entries: Vec<(&str, Value)>) -> Value {
    conform::conform(&schema().attributes, Value::object(entries)).0
}

fn sent(value: &Value) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: msgpack::encode(value),
        json: Vec::new(),
    })
}

fn received(dynamic: Option<wire::DynamicValue>) -> Value {
    msgpack::decode(&dynamic.unwrap().msgpack, &schema().object_type()).unwrap()
}

fn summaries(diagnostics: &[wire::Diagnostic]) -> Vec<&str> {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.summary.as_str())
        .collect()
}

async fn apply(
    server: &Server,
    prior: Value,
    planned: Value,
    config: Value,
) -> wire::apply_resource_change::Response {
    let request = wire::apply_resource_change::Request {
        type_name: "probe_thing".into(),
        prior_state: sent(&prior),
        planned_state: sent(&planned),
        config: sent(&config),
        planned_private: b"before".to_vec(),
        provider_meta: None,
    };
    client(server)
        .apply_resource_change(request)
        .await
        .unwrap()
        .into_inner()
}

async fn create(name: &str) -> wire::apply_resource_change::Response {
    let planned = full(vec![
        ("id", Value::Unknown),
        ("name", name.into()),
        ("size", 1.into()),
    ]);
    let config = full(vec![("name", name.into()), ("secret", "s3cret".into())]);
    apply(&server(), Value::Null, planned, config).await
}

async fn plan(
    prior: Value,
    proposed: Value,
    config: Value,
) -> wire::plan_resource_change::Response {
    let request = wire::plan_resource_change::Request {
        type_name: "probe_thing".into(),
        prior_state: sent(&prior),
        proposed_new_state: sent(&proposed),
        config: sent(&config),
        prior_private: b"before".to_vec(),
        ..Default::default()
    };
    client(&server())
        .plan_resource_change(request)
        .await
        .unwrap()
        .into_inner()
}

async fn read(name: &str) -> wire::read_resource::Response {
    let request = wire::read_resource::Request {
        type_name: "probe_thing".into(),
        current_state: sent(&full(vec![("id", "i-1".into()), ("name", name.into())])),
        private: b"before".to_vec(),
        ..Default::default()
    };
    client(&server())
        .read_resource(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn a_created_object_is_returned_whole() {
    let answer = create("good").await;
    assert_eq!(answer.diagnostics, []);
    assert_eq!(answer.private, b"made");
    assert_eq!(
        received(answer.new_state),
        full(vec![
            ("id", "i-1".into()),
            ("name", "good".into()),
            ("size", 1.into())
        ])
    );
}

#[tokio::test]
async fn a_failed_create_stores_nothing_and_a_half_done_one_what_there_is() {
    let answer = create("fail").await;
    assert_eq!(summaries(&answer.diagnostics), ["Failed"]);
    assert_eq!(received(answer.new_state), Value::Null);
    let answer = create("half").await;
    assert_eq!(summaries(&answer.diagnostics), ["Half"]);
    assert_eq!(received(answer.new_state).get("id").as_str(), Some("i-1"));
    let answer = create("silent").await;
    assert_eq!(summaries(&answer.diagnostics), ["No state"]);
}

#[tokio::test]
async fn a_sloppy_state_is_made_to_fit_and_no_secret_gets_out() {
    let answer = create("sloppy").await;
    assert_eq!(
        summaries(&answer.diagnostics),
        ["Provider returned an invalid value", "Value left unknown"]
    );
    assert!(
        !answer
            .new_state
            .as_ref()
            .unwrap()
            .msgpack
            .windows(6)
            .any(|bytes| bytes == b"s3cret")
    );
    let disk = Value::object([("path", "p".into()), ("serial", Value::Null)]);
    let expected = full(vec![
        ("id", "i-1".into()),
        ("name", "sloppy".into()),
        ("disk", disk),
    ]);
    assert_eq!(received(answer.new_state), expected);
}

#[tokio::test]
async fn a_panic_is_a_diagnostic_and_keeps_the_prior_state() {
    let answer = create("panic").await;
    assert_eq!(summaries(&answer.diagnostics), ["The provider crashed"]);
    assert!(
        answer.diagnostics[0].detail.contains("create broke"),
        "{}",
        answer.diagnostics[0].detail
    );
    assert_eq!(received(answer.new_state), Value::Null);
    let answer = read("panic").await;
    assert_eq!(summaries(&answer.diagnostics), ["The provider crashed"]);
    assert_eq!(received(answer.new_state).get("id").as_str(), Some("i-1"));
    assert_eq!(answer.private, b"before");
    let config = full(vec![("name", "panic-plan".into())]);
    let answer = plan(Value::Null, config.clone(), config).await;
    assert_eq!(summaries(&answer.diagnostics), ["The provider crashed"]);
}

#[tokio::test]
async fn a_stop_reaches_running_work_and_spares_later_work() {
    let server = server();
    let planned = full(vec![("name", "wait".into())]);
    let waiting = tokio::spawn({
        let (server, planned) = (server.clone(), planned.clone());
        async move { apply(&server, Value::Null, planned.clone(), planned).await }
    });
    // The call is running once its task is counted.
    while server.calls.running() == 0 {
        tokio::task::yield_now().await;
    }
    client(&server)
        .stop_provider(wire::stop_provider::Request {})
        .await
        .unwrap();
    assert_eq!(summaries(&waiting.await.unwrap().diagnostics), ["Stopped"]);
    assert!(!server.context(None).stop.is_cancelled());
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_is_gone() {
    let server = server();
    let planned = full(vec![("name", "wait".into())]);
    let mut call = Box::pin(apply(&server, Value::Null, planned.clone(), planned));
    while server.calls.running() == 0 {
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    drop(call);
    assert_eq!(server.calls.running(), 1);
    server.stop();
    server.idle().await;
    assert_eq!(server.calls.running(), 0);
}

#[tokio::test]
async fn a_failed_read_keeps_the_state_and_a_missing_object_drops_it() {
    let answer = read("unreachable").await;
    assert_eq!(summaries(&answer.diagnostics), ["Unreachable"]);
    assert_eq!(
        received(answer.new_state).get("name").as_str(),
        Some("unreachable")
    );
    assert_eq!(answer.private, b"before");
    let answer = read("gone").await;
    assert_eq!(
        (received(answer.new_state), answer.diagnostics),
        (Value::Null, vec![])
    );
    let answer = read("drifted").await;
    assert_eq!(received(answer.new_state).get("size").as_i64(), Some(5));
}

#[tokio::test]
async fn failed_updates_and_deletes_keep_the_prior_state() {
    let prior = full(vec![
        ("id", "i-1".into()),
        ("name", "fail".into()),
        ("size", 1.into()),
    ]);
    let planned = prior.clone().with("size", 2);
    let answer = apply(&server(), prior.clone(), planned.clone(), planned).await;
    assert_eq!(summaries(&answer.diagnostics), ["Failed"]);
    assert_eq!(
        (received(answer.new_state), answer.private),
        (prior.clone(), b"before".to_vec())
    );
    let answer = apply(&server(), prior.clone(), Value::Null, Value::Null).await;
    assert_eq!(received(answer.new_state), prior);
    let answer = apply(
        &server(),
        prior.with("name", "ok"),
        Value::Null,
        Value::Null,
    )
    .await;
    assert_eq!(
        (received(answer.new_state), answer.diagnostics),
        (Value::Null, vec![])
    );
}

#[tokio::test]
async fn a_plan_has_defaults_unknowns_and_no_secret() {
    let config = full(vec![("name", "a".into()), ("secret", "s".into())]);
    let answer = plan(Value::Null, config.clone(), config).await;
    let expected = full(vec![
        ("id", Value::Unknown),
        ("name", "a".into()),
        ("size", 1.into()),
    ]);
    assert_eq!(
        (received(answer.planned_state), answer.diagnostics),
        (expected, vec![])
    );
    assert_eq!(answer.planned_private, b"before");
}

#[tokio::test]
async fn a_resource_may_plan_a_change_that_only_it_notices() {
    let prior = full(vec![
        ("id", "i".into()),
        ("name", "notice".into()),
        ("size", 1.into()),
    ]);
    let config = full(vec![("name", "notice".into())]);
    let answer = plan(prior.clone(), prior.clone(), config).await;
    assert_eq!(received(answer.planned_state), prior.with("size", 9));
    assert_eq!(
        answer.requires_replace,
        [super::convert::attribute_path(&"size".into())]
    );
}

#[tokio::test]
async fn a_changed_name_makes_a_new_object_and_a_delete_is_planned_as_null() {
    let prior = full(vec![
        ("id", "i".into()),
        ("name", "a".into()),
        ("size", 1.into()),
    ]);
    let config = full(vec![("name", "b".into())]);
    let answer = plan(prior.clone(), prior.clone().with("name", "b"), config).await;
    assert_eq!(
        answer.requires_replace,
        [super::convert::attribute_path(&"name".into())]
    );
    let answer = plan(prior, Value::Null, Value::Null).await;
    assert_eq!(
        (received(answer.planned_state), answer.diagnostics),
        (Value::Null, vec![])
    );
}

#[tokio::test]
async fn validation_runs_the_schema_and_the_resource() {
    let validate = async |name: &str, allowed: bool| {
        let request = wire::validate_resource_config::Request {
            type_name: "probe_thing".into(),
            config: sent(&full(vec![
                ("id", "x".into()),
                ("name", name.into()),
                ("secret", "s".into()),
            ])),
            client_capabilities: Some(wire::ClientCapabilities {
                write_only_attributes_allowed: allowed,
                ..Default::default()
            }),
        };
        let answer = client(&server())
            .validate_resource_config(request)
            .await
            .unwrap()
            .into_inner();
        answer
            .diagnostics
            .into_iter()
            .map(|d| d.summary)
            .collect::<Vec<_>>()
    };
    assert_eq!(validate("good", true).await, ["Read-only attribute"]);
    assert_eq!(
        validate("bad", false).await,
        [
            "Read-only attribute",
            "Write-only attribute not supported",
            "Bad"
        ]
    );
}

#[tokio::test]
async fn states_of_this_an_older_and_a_newer_provider_are_read_upgraded_and_refused() {
    let upgrade = async |version: i64, json: &str| {
        let request = wire::upgrade_resource_state::Request {
            type_name: "probe_thing".into(),
            version,
            raw_state: Some(wire::RawState {
                json: json.into(),
                ..Default::default()
            }),
        };
        client(&server())
            .upgrade_resource_state(request)
            .await
            .unwrap()
            .into_inner()
    };
    let answer = upgrade(2, r#"{"id": "i", "gone": 1, "disk": {"path": "p"}}"#).await;
    let disk = Value::object([("path", "p".into()), ("serial", Value::Null)]);
    assert_eq!(
        received(answer.upgraded_state),
        full(vec![("id", "i".into()), ("disk", disk)])
    );
    let answer = upgrade(1, r#"{"title": "old"}"#).await;
    assert_eq!(
        received(answer.upgraded_state),
        full(vec![("id", "v1".into()), ("name", "old".into())])
    );
    assert_eq!(
        summaries(&upgrade(3, "{}").await.diagnostics),
        ["State of a newer provider"]
    );
    assert_eq!(
        summaries(&upgrade(2, "{").await.diagnostics),
        ["Unreadable state"]
    );
    assert_eq!(
        summaries(&upgrade(2, r#"{"id": []}"#).await.diagnostics),
        ["Unreadable state"]
    );
}

#[tokio::test]
async fn objects_are_imported_and_moved() {
    let import = async |id: &str| {
        let request = wire::import_resource_state::Request {
            type_name: "probe_thing".into(),
            id: id.into(),
            client_capabilities: None,
        };
        client(&server())
            .import_resource_state(request)
            .await
            .unwrap()
            .into_inner()
    };
    let mut answer = import("i-7").await;
    let imported = answer.imported_resources.remove(0);
    assert_eq!(
        (imported.type_name.as_str(), received(imported.state)),
        ("probe_thing", full(vec![("id", "i-7".into())]))
    );
    assert_eq!(
        summaries(&import("nothing").await.diagnostics),
        ["Nothing to import"]
    );

    let request = wire::move_resource_state::Request {
        source_type_name: "other_thing".into(),
        target_type_name: "probe_thing".into(),
        source_state: Some(wire::RawState {
            json: b"{}".to_vec(),
            ..Default::default()
        }),
        source_private: b"p".to_vec(),
        ..Default::default()
    };
    let answer = client(&server())
        .move_resource_state(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        received(answer.target_state),
        full(vec![("name", "other_thing".into())])
    );
    assert_eq!(answer.target_private, b"p");
}

#[tokio::test]
async fn a_data_source_is_read_with_its_defaults() {
    let read = async |name: &str| {
        let request = wire::read_data_source::Request {
            type_name: "probe_thing".into(),
            config: sent(&full(vec![("name", name.into())])),
            ..Default::default()
        };
        client(&server())
            .read_data_source(request)
            .await
            .unwrap()
            .into_inner()
    };
    let answer = read("a").await;
    assert_eq!(
        received(answer.state),
        full(vec![
            ("id", "i-2".into()),
            ("name", "a".into()),
            ("size", 1.into())
        ])
    );
    assert_eq!(summaries(&read("none").await.diagnostics), ["Not found"]);
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_and_closed() {
    let request = wire::open_ephemeral_resource::Request {
        type_name: "probe_token".into(),
        config: sent(&Value::object([("token", Value::Null)])),
        client_capabilities: None,
    };
    let answer = client(&server())
        .open_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.result, sent(&Value::object([("token", "t".into())])));
    let request = wire::close_ephemeral_resource::Request {
        type_name: "probe_token".into(),
        private: answer.private,
    };
    let answer = client(&server())
        .close_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.diagnostics[0].detail, "p");
}

#[tokio::test]
async fn a_function_answers_or_blames_an_argument() {
    let call = async |arguments: &[&str]| {
        let arguments = arguments
            .iter()
            .map(|text| sent(&(*text).into()).unwrap())
            .collect();
        let request = wire::call_function::Request {
            name: "join".into(),
            arguments,
        };
        client(&server())
            .call_function(request)
            .await
            .unwrap()
            .into_inner()
    };
    assert_eq!(call(&["-", "a", "b"]).await.result, sent(&"a-b".into()));
    let error = wire::FunctionError {
        text: "no separator".into(),
        function_argument: Some(0),
    };
    assert_eq!(call(&["", "a"]).await.error, Some(error));
    assert!(
        call(&["number"])
            .await
            .error
            .unwrap()
            .text
            .contains("invalid value")
    );
    assert!(call(&[]).await.error.unwrap().text.contains("crashed"));
}

#[tokio::test]
async fn the_provider_is_configured_with_defaults_and_the_host_version() {
    let request = wire::configure_provider::Request {
        terraform_version: "1.11.4".into(),
        config: sent(&Value::object([("retries", Value::Null)])),
        client_capabilities: None,
    };
    let answer = client(&server())
        .configure_provider(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.diagnostics[0].detail,
        "Some(\"1.11.4\") retries Some(3)"
    );
}

#[tokio::test]
async fn the_schema_is_told_whole_and_strangers_are_not_served() {
    let schema = client(&server())
        .get_provider_schema(wire::get_provider_schema::Request {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(schema.diagnostics, []);
    assert_eq!(schema.resource_schemas["probe_thing"].version, 2);
    assert_eq!(
        schema.functions["join"].r#return.as_ref().unwrap().r#type,
        b"\"string\""
    );
    assert!(
        schema
            .ephemeral_resource_schemas
            .contains_key("probe_token")
    );
    let capabilities = schema.server_capabilities.unwrap();
    assert!(
        capabilities.plan_destroy
            && capabilities.get_provider_schema_optional
            && capabilities.move_resource_state
    );

    let request = wire::read_resource::Request {
        type_name: "probe_other".into(),
        ..Default::default()
    };
    let answer = client(&server())
        .read_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summaries(&answer.diagnostics), ["Unknown type"]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_with_its_place() {
    let request = wire::read_resource::Request {
        type_name: "probe_thing".into(),
        current_state: sent(&Value::object([("name", 1.into())])),
        ..Default::default()
    };
    let answer = client(&server())
        .read_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.diagnostics[0].detail,
        "decoding name: expected string, found a number"
    );
}
