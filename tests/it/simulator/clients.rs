//! What real clients (`talosctl`, the Go client with its COSI state) ask beyond the provider's own calls.

use talosoci::wire::{
    common::EmptyResponse,
    cosi::{IdQuery, ListOptions, ListRequest, state_client::StateClient},
    machine::{
        ApplyConfigurationRequest, EtcdMemberListRequest, LogsRequest, apply_configuration_request::Mode,
        machine_service_client::MachineServiceClient,
    },
};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status, client::Grpc, metadata::MetadataValue, transport::Channel};
use tonic_prost::ProstCodec;

use super::{
    road::apply,
    rules::{VERSIONS, control_plane},
    talos::{Trust, connect, machine},
};

/// What `talosctl -n` adds to a call.
fn to_nodes<T>(message: T, node: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("nodes", MetadataValue::from_static(node));
    request
}

/// A call without arguments of which only the metadata of the answer is read.
async fn ask(channel: &Channel, path: &'static str, nodes: bool) -> Result<EmptyResponse, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = if nodes { to_nodes((), "127.0.0.1") } else { Request::new(()) };
    let codec: ProstCodec<(), EmptyResponse> = ProstCodec::default();
    Ok(grpc.unary(request, path.parse().expect("a path"), codec).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_of_talosctl_is_answered_with_and_without_a_node_list() {
    for version in VERSIONS {
        let (_world, node, temporary) = control_plane(version, "").await;
        let channel = connect(&node, &temporary.admin()).await;
        for method in [
            "/machine.MachineService/CPUInfo",
            "/machine.MachineService/Containers",
            "/machine.MachineService/DiskStats",
            "/machine.MachineService/LoadAvg",
            "/machine.MachineService/LogsContainers",
            "/machine.MachineService/Memory",
            "/machine.MachineService/Mounts",
            "/machine.MachineService/Netstat",
            "/machine.MachineService/NetworkDeviceStats",
            "/machine.MachineService/Processes",
            "/machine.MachineService/ServiceList",
            "/machine.MachineService/Stats",
            "/machine.MachineService/SystemStat",
            "/machine.MachineService/Version",
            "/storage.StorageService/Disks",
            "/time.TimeService/Time",
        ] {
            let plain = ask(&channel, method, false).await.unwrap_or_else(|status| panic!("{method}: {status}"));
            assert_eq!(plain.messages.len(), 1, "{method}");
            assert_eq!(plain.messages[0].metadata, None, "{method}");
            let named = ask(&channel, method, true).await.unwrap_or_else(|status| panic!("{method}: {status}"));
            let metadata = named.messages[0].metadata.clone().expect("metadata");
            assert_eq!((metadata.hostname.as_str(), metadata.error.as_str()), ("127.0.0.1", ""), "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_one_node_in_a_list_is_a_message_and_the_call_itself_is_fine() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let mut client = MachineServiceClient::new(channel.clone());
    let request = to_nodes(EtcdMemberListRequest::default(), "127.0.0.1");
    let members = client.etcd_member_list(request).await.expect("the call is fine").into_inner();
    let metadata = members.messages[0].metadata.clone().expect("metadata");
    assert_eq!(metadata.error, "rpc error: code = Unknown desc = context deadline exceeded");
    assert_eq!(metadata.status.expect("a status").code, Code::Unknown as i32);
    // What is answered beside the generated services comes the same way.
    let meta = ask(&channel, "/machine.MachineService/MetaDelete", true).await.expect("the call is fine");
    let error = meta.messages[0].metadata.clone().expect("metadata").error;
    assert_eq!(error, "rpc error: code = NotFound desc = meta key not found");
    let request = LogsRequest { namespace: "system".to_owned(), id: "nobody".to_owned(), ..LogsRequest::default() };
    let mut lines = client.logs(to_nodes(request, "127.0.0.1")).await.expect("the call is fine").into_inner();
    let first = lines.next().await.expect("a message").expect("no failure of the stream");
    assert!(first.metadata.expect("metadata").error.contains("log \"nobody\" was not registered"));
    assert!(lines.next().await.is_none(), "the stream ends in good order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_narrowed_by_a_pattern_for_ids() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut state = StateClient::new(connect(&node, &temporary.admin()).await);
    let mut ids = async |regexp: &str| {
        let request = ListRequest {
            namespace: "network".to_owned(),
            r#type: "NodeAddresses.net.talos.dev".to_owned(),
            options: Some(ListOptions {
                id_query: Some(IdQuery { regexp: regexp.to_owned() }),
                label_query: Vec::new(),
            }),
        };
        let all: Vec<_> = state.list(request).await.expect("listed").into_inner().collect().await;
        let id = |item: Result<talosoci::wire::cosi::ListResponse, Status>| {
            item.expect("an item").resource.expect("a resource").metadata.expect("metadata").id
        };
        all.into_iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids("^cur").await, ["current"]);
    assert_eq!(ids("").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_what_differs_and_keeps_the_rest() {
    for version in VERSIONS {
        let (_world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        let mut details = async |config: String| {
            let request = ApplyConfigurationRequest { dry_run: true, ..apply(config, Mode::Auto) };
            client.apply_configuration(request).await.expect("answered").into_inner().messages.remove(0).mode_details
        };
        let config = temporary.control_plane("");
        let summary =
            "Dry run summary:\nApplied configuration without a reboot (skipped in dry-run).\nConfig diff:\n\n";
        assert_eq!(details(config.clone()).await, format!("{summary}No changes."));
        let renamed = details(config.replace("clusterName: temporary", "clusterName: other")).await;
        assert!(renamed.starts_with(&format!("{summary}--- a\n+++ b\n@@ -")), "{renamed}");
        assert!(renamed.contains("\n-    clusterName: temporary\n+    clusterName: other\n"), "{renamed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_refuses_documents_of_later_releases_by_its_own_words() {
    let document = "---\napiVersion: v1alpha1\nkind: SysctlConfig\nparams: {}\n";
    for version in VERSIONS {
        let (_world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        let later = client.apply_configuration(apply(temporary.control_plane(document), Mode::Auto)).await;
        let unknown =
            temporary.control_plane("").replace("  type: controlplane\n", "  type: controlplane\n  tpye: x\n");
        let status = client.apply_configuration(apply(unknown, Mode::Auto)).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        let words = "unknown keys found during decoding:\nmachine:\n    tpye: x\n";
        assert!(status.message().ends_with(words), "{}", status.message());
        if version != "v1.14.0" {
            let status = later.expect_err("refused");
            assert_eq!(status.code(), Code::InvalidArgument);
            let words = "\"SysctlConfig\" \"v1alpha1\": not registered";
            assert!(status.message().ends_with(words), "{}", status.message());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_mode_of_later_releases_answers_readers() {
    let world = super::road::world().await;
    let node = super::road::flashed(&world, "v1.13.9").await;
    let channel = connect(&node, &Trust::Insecure).await;
    assert!(ask(&channel, "/machine.MachineService/Memory", false).await.is_ok());
    let refused = ask(&channel, "/machine.MachineService/MetaWrite", false).await.expect_err("no administrator");
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not authorized"));
    let etcd = ask(&channel, "/machine.MachineService/EtcdStatus", false).await.expect_err("no control plane");
    assert_eq!(etcd.message(), "etcd status is only available on control plane nodes");
}
