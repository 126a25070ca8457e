//! From the start of a plugin process to its end.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use talosoci::{
    tfplugin::{Provider, Resource, Value, conform, msgpack},
    wire::{
        health::{HealthCheckRequest, health_client::HealthClient},
        plugin::grpc_stdio_client::GrpcStdioClient,
        tfplugin6 as wire,
    },
};
use tokio::time::timeout;

use super::{
    demo_provider::Demo,
    go_plugin_client::{OTHER_CERTIFICATE, OTHER_KEY},
    host::{COOKIE, PATIENCE, Plugin, binary, demo_binary},
};

#[test]
fn started_by_hand_it_says_in_one_line_what_it_is() {
    let run = Command::new(binary()).env_remove(COOKIE.0).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!((run.status.code(), run.stdout.len(), told.lines().count()), (Some(1), 0, 1), "{told}");
    assert!(told.contains("Terraform") && told.contains(env!("CARGO_PKG_VERSION")), "{told}");
}

#[test]
fn it_says_its_version() {
    let run = Command::new(binary()).arg("--version").output().unwrap();
    let expected = format!("terraform-provider-talosoci {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((run.status.success(), String::from_utf8(run.stdout).unwrap()), (true, expected));
}

#[test]
fn a_damaged_client_certificate_is_refused_and_not_ignored() {
    let run = Command::new(binary()).env(COOKIE.0, COOKIE.1).env("PLUGIN_CLIENT_CERT", "damaged").output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!((run.status.code(), run.stdout.len()), (Some(1), 0));
    assert!(told.contains("PLUGIN_CLIENT_CERT"), "{told}");
}

#[tokio::test]
async fn it_serves_its_host_and_ends_when_asked() {
    let mut plugin = Plugin::start(binary(), &[]).await;
    assert!(plugin.line.starts_with("1|6|unix|/"), "{}", plugin.line);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&plugin.socket), 0o600);
    assert_eq!(mode(plugin.socket.parent().unwrap()), 0o700);

    let channel = plugin.connect().await;
    let mut client = plugin.client().await;
    let schema = client.get_provider_schema(wire::get_provider_schema::Request {}).await.unwrap().into_inner();
    assert_eq!(schema.diagnostics, []);
    let health = HealthCheckRequest { service: "plugin".into() };
    assert_eq!(HealthClient::new(channel.clone()).check(health).await.unwrap().into_inner().status, 1);
    let mut silent = GrpcStdioClient::new(channel.clone()).stream_stdio(()).await.unwrap().into_inner();

    let asked = Instant::now();
    plugin.shutdown(channel).await;
    assert!(silent.message().await.unwrap().is_none());
    let (success, told) = plugin.ended().await;
    assert!(success, "{told}");
    // The host kills after 2 s.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(!plugin.socket.parent().unwrap().exists());
}

#[tokio::test]
async fn nobody_but_the_host_is_let_in() {
    let plugin = Plugin::start(binary(), &[]).await;
    for stranger in [None, Some((OTHER_CERTIFICATE, OTHER_KEY))] {
        // With TLS 1.3 a client learns only from its first call that it was refused.
        let refused = match plugin.connect_as(stranger).await {
            Err(_) => true,
            Ok(channel) => {
                let mut client = wire::provider_client::ProviderClient::new(channel);
                client.get_metadata(wire::get_metadata::Request {}).await.is_err()
            }
        };
        assert!(refused, "{stranger:?}");
    }
    plugin.client().await.get_metadata(wire::get_metadata::Request {}).await.unwrap();
}

/// Only root can become another user.
#[tokio::test]
async fn another_user_cannot_even_see_the_socket() {
    let plugin = Plugin::start(binary(), &[]).await;
    if fs::metadata("/proc/self").map_or(1, |this| this.uid()) != 0 {
        return eprintln!("skipped: needs root");
    }
    let sees = |user: u32| Command::new("test").arg("-S").arg(&plugin.socket).uid(user).status().unwrap().success();
    assert!(sees(0));
    assert!(!sees(65_534));
}

#[tokio::test]
async fn a_client_that_stalls_in_its_handshake_holds_up_nobody() {
    let plugin = Plugin::start(binary(), &[]).await;
    let _stalled = tokio::net::UnixStream::connect(&plugin.socket).await.unwrap();
    plugin.client().await.get_metadata(wire::get_metadata::Request {}).await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_not_served_is_unimplemented() {
    let plugin = Plugin::start(binary(), &[]).await;
    let mut grpc = tonic::client::Grpc::new(plugin.connect().await);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/tfplugin6.Provider/GetResourceIdentitySchemas");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = grpc.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn an_interrupt_is_ignored_and_a_termination_ends_it() {
    let mut plugin = Plugin::start(binary(), &[]).await;
    let mut client = plugin.client().await;
    plugin.signal("-INT");
    client.get_metadata(wire::get_metadata::Request {}).await.unwrap();
    plugin.signal("-TERM");
    let (success, told) = plugin.ended().await;
    assert!(success, "{told}");
}

#[tokio::test]
async fn an_orphan_ends_by_itself() {
    let mut plugin = Plugin::start(binary(), &[]).await;
    let mut client = plugin.client().await;
    client.get_metadata(wire::get_metadata::Request {}).await.unwrap();
    drop(client);
    let (success, told) = plugin.ended().await;
    assert!(success, "{told}");
    assert!(!plugin.socket.exists());
}

/// Starts a create that waits until it is stopped (or does not care); the client, and the answer to come.
async fn waiting_create(
    plugin: &Plugin,
    dir: &Path,
    how: &str,
) -> tokio::task::JoinHandle<Result<wire::apply_resource_change::Response, tonic::Status>> {
    let demo = Demo::default();
    let (_, thing) = demo.resources().remove(0);
    let value = |schema: talosoci::tfplugin::Schema, entries: Vec<(&str, Value)>| {
        let (value, _) = conform::conform(&schema.attributes, Value::object(entries));
        Some(wire::DynamicValue { msgpack: msgpack::encode(&value), json: Vec::new() })
    };
    let configure = wire::configure_provider::Request {
        config: value(demo.schema(), vec![("dir", dir.to_str().unwrap().into())]),
        ..Default::default()
    };
    let planned = value(Resource::schema(&*thing), vec![("name", "a".into()), ("on_create", how.into())]);
    let apply = wire::apply_resource_change::Request {
        type_name: "demo_thing".into(),
        planned_state: planned.clone(),
        config: planned,
        ..Default::default()
    };
    let mut client = plugin.client().await;
    client.configure_provider(configure).await.unwrap();
    let answer = tokio::spawn(async move { Ok(client.apply_resource_change(apply).await?.into_inner()) });
    until(|| dir.join("waiting").exists()).await;
    answer
}

/// Waits for another process to have done something that only shows in the file system.
async fn until(mut done: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let wait = async {
        while !done() {
            tick.tick().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it in time");
}

#[tokio::test]
async fn a_stop_reaches_running_work_which_then_answers() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = Plugin::start(&demo_binary(dir.path()), &[]).await;
    let answer = waiting_create(&plugin, dir.path(), "wait").await;
    plugin.client().await.stop_provider(wire::stop_provider::Request {}).await.unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.diagnostics[0].summary, "Stopped");
}

#[tokio::test]
async fn work_comes_to_a_clean_end_when_the_host_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut plugin = Plugin::start(&demo_binary(dir.path()), &[]).await;
    let answer = waiting_create(&plugin, dir.path(), "wait").await;
    // The connection dies with its client.
    answer.abort();
    assert!(answer.await.unwrap_err().is_cancelled());
    let (success, told) = plugin.ended().await;
    assert!(success, "{told}");
    assert!(dir.path().join("stopped").exists());
}

#[tokio::test]
async fn work_comes_to_a_clean_end_on_termination() {
    let dir = tempfile::tempdir().unwrap();
    let mut plugin = Plugin::start(&demo_binary(dir.path()), &[]).await;
    let answer = waiting_create(&plugin, dir.path(), "wait").await;
    plugin.signal("-TERM");
    assert_eq!(answer.await.unwrap().unwrap().diagnostics[0].summary, "Stopped");
    assert!(plugin.ended().await.0);
}

#[tokio::test]
async fn logs_are_lines_that_the_host_understands() {
    let mut plugin = Plugin::start(binary(), &[("TF_LOG_PROVIDER", "DEBUG")]).await;
    let channel = plugin.connect().await;
    let mut client = plugin.client().await;
    client.stop_provider(wire::stop_provider::Request {}).await.unwrap();
    plugin.shutdown(channel).await;
    let (_, told) = plugin.ended().await;
    assert!(told.contains("the host asks to stop"), "{told}");
    for line in told.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["@level"].is_string() && line["@message"].is_string() && line["@timestamp"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn without_being_asked_it_logs_nothing() {
    let mut plugin = Plugin::start(binary(), &[("TF_LOG", "")]).await;
    let channel = plugin.connect().await;
    plugin.shutdown(channel).await;
    assert_eq!(plugin.ended().await, (true, String::new()));
}

#[tokio::test]
async fn a_value_of_many_megabytes_passes() {
    let plugin = Plugin::start(binary(), &[]).await;
    let mut client = plugin.client().await.max_encoding_message_size(usize::MAX).max_decoding_message_size(usize::MAX);
    // More than tonic's own limit of 4 MiB, many times over; a read that fails returns the state as it came.
    let state = wire::DynamicValue { msgpack: vec![0xc1; 40 << 20], json: Vec::new() };
    let request = wire::read_resource::Request {
        type_name: "none".into(),
        current_state: Some(state.clone()),
        ..Default::default()
    };
    let answer = client.read_resource(request).await.unwrap().into_inner();
    assert!(answer.new_state == Some(state));
}

#[tokio::test]
async fn work_that_does_not_care_is_cut_off_before_the_host_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut plugin = Plugin::start(&demo_binary(dir.path()), &[]).await;
    let channel = plugin.connect().await;
    let answer = waiting_create(&plugin, dir.path(), "ignore-stop").await;
    let asked = Instant::now();
    plugin.shutdown(channel).await;
    assert!(plugin.ended().await.0);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(answer.await.unwrap().is_err());
}
