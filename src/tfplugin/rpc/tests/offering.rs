use super::*;

#[tokio::test]
async fn a_data_source_is_read_with_its_defaults() {
    let read = async |name: &str| {
        let request = wire::read_data_source::Request {
            type_name: "probe_thing".into(),
            config: sent(&full(vec![("name", name.into())])),
            ..Default::default()
        };
        client(&server()).read_data_source(request).await.unwrap().into_inner()
    };
    let answer = read("a").await;
    assert_eq!(received(answer.state), full(vec![("id", "i-2".into()), ("name", "a".into()), ("size", 1.into())]));
    assert_eq!(summaries(&read("none").await.diagnostics), ["Not found"]);
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_and_closed() {
    let request = wire::open_ephemeral_resource::Request {
        type_name: "probe_token".into(),
        config: sent(&Value::object([("token", Value::Null)])),
        client_capabilities: None,
    };
    let answer = client(&server()).open_ephemeral_resource(request).await.unwrap().into_inner();
    assert_eq!(answer.result, sent(&Value::object([("token", "t".into())])));
    let request = wire::close_ephemeral_resource::Request { type_name: "probe_token".into(), private: answer.private };
    let answer = client(&server()).close_ephemeral_resource(request).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics[0].detail, "p");
}

#[tokio::test]
async fn a_function_answers_or_blames_an_argument() {
    let call = async |arguments: &[&str]| {
        let arguments = arguments.iter().map(|text| sent(&(*text).into()).unwrap()).collect();
        let request = wire::call_function::Request { name: "join".into(), arguments };
        client(&server()).call_function(request).await.unwrap().into_inner()
    };
    assert_eq!(call(&["-", "a", "b"]).await.result, sent(&"a-b".into()));
    let error = wire::FunctionError { text: "no separator".into(), function_argument: Some(0) };
    assert_eq!(call(&["", "a"]).await.error, Some(error));
    assert!(call(&["number"]).await.error.unwrap().text.contains("invalid value"));
    assert!(call(&[]).await.error.unwrap().text.contains("crashed"));
}

#[tokio::test]
async fn the_provider_is_configured_with_defaults_and_the_host_version() {
    let request = wire::configure_provider::Request {
        terraform_version: "1.11.4".into(),
        config: sent(&Value::object([("retries", Value::Null)])),
        client_capabilities: None,
    };
    let answer = client(&server()).configure_provider(request).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics[0].detail, "Some(\"1.11.4\") retries Some(3)");
}

#[tokio::test]
async fn the_schema_is_told_whole_and_strangers_are_not_served() {
    let schema =
        client(&server()).get_provider_schema(wire::get_provider_schema::Request {}).await.unwrap().into_inner();
    assert_eq!(schema.diagnostics, []);
    assert_eq!(schema.resource_schemas["probe_thing"].version, 2);
    assert_eq!(schema.functions["join"].r#return.as_ref().unwrap().r#type, b"\"string\"");
    assert!(schema.ephemeral_resource_schemas.contains_key("probe_token"));
    let capabilities = schema.server_capabilities.unwrap();
    assert!(capabilities.plan_destroy && capabilities.get_provider_schema_optional && capabilities.move_resource_state);

    let request = wire::read_resource::Request { type_name: "probe_other".into(), ..Default::default() };
    let answer = client(&server()).read_resource(request).await.unwrap().into_inner();
    assert_eq!(summaries(&answer.diagnostics), ["Unknown type"]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_with_its_place() {
    let request = wire::read_resource::Request {
        type_name: "probe_thing".into(),
        current_state: sent(&Value::object([("name", 1.into())])),
        ..Default::default()
    };
    let answer = client(&server()).read_resource(request).await.unwrap().into_inner();
    assert_eq!(answer.diagnostics[0].detail, "decoding name: expected string, found a number");
}
