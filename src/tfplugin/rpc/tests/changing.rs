use super::*;

#[tokio::test]
async fn a_created_object_is_returned_whole() {
    let answer = create("good").await;
    assert_eq!(answer.diagnostics, []);
    assert_eq!(answer.private, b"made");
    assert_eq!(
        received(answer.new_state),
        full(vec![("id", "i-1".into()), ("name", "good".into()), ("size", 1.into())])
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
    assert_eq!(summaries(&answer.diagnostics), ["Provider returned an invalid value", "Value left unknown"]);
    assert!(!answer.new_state.as_ref().unwrap().msgpack.windows(6).any(|bytes| bytes == b"s3cret"));
    let disk = Value::object([("path", "p".into()), ("serial", Value::Null)]);
    let expected = full(vec![("id", "i-1".into()), ("name", "sloppy".into()), ("disk", disk)]);
    assert_eq!(received(answer.new_state), expected);
}

#[tokio::test]
async fn a_panic_is_a_diagnostic_and_keeps_the_prior_state() {
    let answer = create("panic").await;
    assert_eq!(summaries(&answer.diagnostics), ["The provider crashed"]);
    assert!(answer.diagnostics[0].detail.contains("create broke"), "{}", answer.diagnostics[0].detail);
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
    client(&server).stop_provider(wire::stop_provider::Request {}).await.unwrap();
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
    assert_eq!(received(answer.new_state).get("name").as_str(), Some("unreachable"));
    assert_eq!(answer.private, b"before");
    let answer = read("gone").await;
    assert_eq!((received(answer.new_state), answer.diagnostics), (Value::Null, vec![]));
    let answer = read("drifted").await;
    assert_eq!(received(answer.new_state).get("size").as_i64(), Some(5));
}

#[tokio::test]
async fn failed_updates_and_deletes_keep_the_prior_state() {
    let prior = full(vec![("id", "i-1".into()), ("name", "fail".into()), ("size", 1.into())]);
    let planned = prior.clone().with("size", 2);
    let answer = apply(&server(), prior.clone(), planned.clone(), planned).await;
    assert_eq!(summaries(&answer.diagnostics), ["Failed"]);
    assert_eq!((received(answer.new_state), answer.private), (prior.clone(), b"before".to_vec()));
    let answer = apply(&server(), prior.clone(), Value::Null, Value::Null).await;
    assert_eq!(received(answer.new_state), prior);
    let answer = apply(&server(), prior.with("name", "ok"), Value::Null, Value::Null).await;
    assert_eq!((received(answer.new_state), answer.diagnostics), (Value::Null, vec![]));
}
