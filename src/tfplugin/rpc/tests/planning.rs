use super::*;

#[tokio::test]
async fn a_plan_has_defaults_unknowns_and_no_secret() {
    let config = full(vec![("name", "a".into()), ("secret", "s".into())]);
    let answer = plan(Value::Null, config.clone(), config).await;
    let expected = full(vec![("id", Value::Unknown), ("name", "a".into()), ("size", 1.into())]);
    assert_eq!((received(answer.planned_state), answer.diagnostics), (expected, vec![]));
    assert_eq!(answer.planned_private, b"before");
}

#[tokio::test]
async fn a_resource_may_plan_a_change_that_only_it_notices() {
    let prior = full(vec![("id", "i".into()), ("name", "notice".into()), ("size", 1.into())]);
    let config = full(vec![("name", "notice".into())]);
    let answer = plan(prior.clone(), prior.clone(), config).await;
    assert_eq!(received(answer.planned_state), prior.with("size", 9));
    assert_eq!(answer.requires_replace, [super::super::convert::attribute_path(&"size".into())]);
}

#[tokio::test]
async fn a_changed_name_makes_a_new_object_and_a_delete_is_planned_as_null() {
    let prior = full(vec![("id", "i".into()), ("name", "a".into()), ("size", 1.into())]);
    let config = full(vec![("name", "b".into())]);
    let answer = plan(prior.clone(), prior.clone().with("name", "b"), config).await;
    assert_eq!(answer.requires_replace, [super::super::convert::attribute_path(&"name".into())]);
    let answer = plan(prior, Value::Null, Value::Null).await;
    assert_eq!((received(answer.planned_state), answer.diagnostics), (Value::Null, vec![]));
}

#[tokio::test]
async fn validation_runs_the_schema_and_the_resource() {
    let validate = async |name: &str, allowed: bool| {
        let request = wire::validate_resource_config::Request {
            type_name: "probe_thing".into(),
            config: sent(&full(vec![("id", "x".into()), ("name", name.into()), ("secret", "s".into())])),
            client_capabilities: Some(wire::ClientCapabilities {
                write_only_attributes_allowed: allowed,
                ..Default::default()
            }),
        };
        let answer = client(&server()).validate_resource_config(request).await.unwrap().into_inner();
        answer.diagnostics.into_iter().map(|d| d.summary).collect::<Vec<_>>()
    };
    assert_eq!(validate("good", true).await, ["Read-only attribute"]);
    assert_eq!(validate("bad", false).await, ["Read-only attribute", "Write-only attribute not supported", "Bad"]);
}

#[tokio::test]
async fn states_of_this_an_older_and_a_newer_provider_are_read_upgraded_and_refused() {
    let upgrade = async |version: i64, json: &str| {
        let request = wire::upgrade_resource_state::Request {
            type_name: "probe_thing".into(),
            version,
            raw_state: Some(wire::RawState { json: json.into(), ..Default::default() }),
        };
        client(&server()).upgrade_resource_state(request).await.unwrap().into_inner()
    };
    let answer = upgrade(2, r#"{"id": "i", "gone": 1, "disk": {"path": "p"}}"#).await;
    let disk = Value::object([("path", "p".into()), ("serial", Value::Null)]);
    assert_eq!(received(answer.upgraded_state), full(vec![("id", "i".into()), ("disk", disk)]));
    let answer = upgrade(1, r#"{"title": "old"}"#).await;
    assert_eq!(received(answer.upgraded_state), full(vec![("id", "v1".into()), ("name", "old".into())]));
    assert_eq!(summaries(&upgrade(3, "{}").await.diagnostics), ["State of a newer provider"]);
    assert_eq!(summaries(&upgrade(2, "{").await.diagnostics), ["Unreadable state"]);
    assert_eq!(summaries(&upgrade(2, r#"{"id": []}"#).await.diagnostics), ["Unreadable state"]);
}

#[tokio::test]
async fn objects_are_imported_and_moved() {
    let import = async |id: &str| {
        let request = wire::import_resource_state::Request {
            type_name: "probe_thing".into(),
            id: id.into(),
            client_capabilities: None,
        };
        client(&server()).import_resource_state(request).await.unwrap().into_inner()
    };
    let mut answer = import("i-7").await;
    let imported = answer.imported_resources.remove(0);
    assert_eq!(
        (imported.type_name.as_str(), received(imported.state)),
        ("probe_thing", full(vec![("id", "i-7".into())]))
    );
    assert_eq!(summaries(&import("nothing").await.diagnostics), ["Nothing to import"]);

    let request = wire::move_resource_state::Request {
        source_type_name: "other_thing".into(),
        target_type_name: "probe_thing".into(),
        source_state: Some(wire::RawState { json: b"{}".to_vec(), ..Default::default() }),
        source_private: b"p".to_vec(),
        ..Default::default()
    };
    let answer = client(&server()).move_resource_state(request).await.unwrap().into_inner();
    assert_eq!(received(answer.target_state), full(vec![("name", "other_thing".into())]));
    assert_eq!(answer.target_private, b"p");
}
