//! What a node refuses, by whom and by what is asked, and what it shows of itself beyond what the provider reads.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use prost::Message;
use talosoci::{
    sim::{SimNode, World},
    wire::{
        common::{ContainerDriver, ContainerdInstance, ContainerdNamespace, Data, EmptyResponse},
        machine::{
            ApplyConfigurationRequest, BootstrapRequest, LogsRequest, RebootRequest, ResetPartitionSpec, ResetRequest,
            apply_configuration_request::Mode,
        },
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status, client::Grpc, metadata::MetadataValue, transport::Channel};
use tonic_prost::ProstCodec;

use super::{
    configs::Temporary,
    road::apply,
    rules::{VERSIONS, control_plane},
    talos::{DEADLINE, Trust, config, connect, get, machine, yaml},
};

#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Words {
    #[prost(string, tag = "1")]
    words: String,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(message, optional, tag = "1")]
    containerd: Option<ContainerdInstance>,
    #[prost(string, tag = "2")]
    image_ref: String,
}

/// The answer of `ImageService.Verify`.
#[derive(Clone, PartialEq, Message)]
struct Verified {
    #[prost(bool, tag = "1")]
    verified: bool,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Wipe {
    #[prost(message, repeated, tag = "1")]
    devices: Vec<Words>,
}

async fn ask<Q, A>(channel: &Channel, path: &'static str, message: Q) -> Result<A, Status>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    Ok(grpc.unary(Request::new(message), path.parse().expect("a path"), codec).await?.into_inner())
}

/// A stream of `common.Data`.
async fn data(channel: &Channel, path: &'static str, words: &str) -> Result<Vec<Data>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec: ProstCodec<Words, Data> = ProstCodec::default();
    let request = Request::new(Words { words: words.to_owned() });
    let stream = grpc.server_streaming(request, path.parse().expect("a path"), codec).await?.into_inner();
    stream.collect::<Result<_, _>>().await
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("refused");
    (status.code(), status.message().to_owned())
}

/// A control plane whose etcd runs and whose kubelet has told its node.
async fn bootstrapped(version: &str) -> (World, SimNode, Temporary, Channel) {
    let (world, node, temporary) = control_plane(version, "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let mut client = machine(&node, &temporary.admin()).await;
    let settled = async {
        while client.bootstrap(BootstrapRequest::default()).await.is_err_and(|s| s.code() != Code::AlreadyExists) {}
        let id = format!("kube-system/kube-scheduler-{}", node.name());
        while get(channel.clone(), "k8s", "StaticPodStatuses.kubernetes.talos.dev", &id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, settled).await.expect("etcd and the kubelet run");
    (world, node, temporary, channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_refused_by_each_node_of_a_list_for_itself() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let reader = connect(&node, &temporary.client(&["os:reader"])).await;
    let refused = (Code::PermissionDenied, "not authorized".to_owned());
    let reboot = "/machine.MachineService/Reboot";
    assert_eq!(refusal(ask::<_, EmptyResponse>(&reader, reboot, RebootRequest::default()).await), refused);
    let mut client = machine(&node, &temporary.client(&["os:reader"])).await;
    let mut request = Request::new(RebootRequest::default());
    request.metadata_mut().insert("nodes", MetadataValue::from_static("127.0.0.1"));
    let reply = client.reboot(request).await.expect("the call itself is fine").into_inner();
    let metadata = reply.messages[0].metadata.clone().expect("metadata");
    assert_eq!(metadata.hostname, "127.0.0.1");
    assert_eq!(metadata.error, "rpc error: code = PermissionDenied desc = not authorized");
    // grpc-go looks for the method before Talos looks for a role.
    let unheard = ask::<_, EmptyResponse>(&reader, "/machine.MachineService/Unheard", ()).await;
    let words = "unknown method Unheard for service machine.MachineService";
    assert_eq!(refusal(unheard), (Code::Unimplemented, words.to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_member_of_etcd_stays_and_is_saved_by_whom_may() {
    const MACHINE: [&str; 5] = [
        "/machine.MachineService/EtcdLeaveCluster",
        "/machine.MachineService/EtcdRemoveMemberByID",
        "/machine.MachineService/EtcdForfeitLeadership",
        "/machine.MachineService/EtcdDowngradeValidate",
        "/machine.MachineService/EtcdSnapshot",
    ];
    let (_world, node, temporary, channel) = bootstrapped("v1.12.2").await;
    let (code, words) = refusal(ask::<_, EmptyResponse>(&channel, MACHINE[0], ()).await);
    assert_eq!(code, Code::Unknown);
    assert!(words.starts_with("failed to leave cluster: 1 error(s) occurred:\n\tfailed to remove member "), "{words}");
    assert!(words.ends_with("re-configuration failed due to not enough started members"), "{words}");
    let (code, words) = refusal(ask::<_, EmptyResponse>(&channel, MACHINE[1], Number { number: 0x1234 }).await);
    let missing = "failed to remove member 4660: etcdserver: member not found";
    assert_eq!((code, words.as_str()), (Code::NotFound, missing));
    let (_, words) = refusal(ask::<_, EmptyResponse>(&channel, MACHINE[2], ()).await);
    assert_eq!(words, "failed to forfeit leadership: cannot forfeit leadership, only one member");
    let old = Words { words: "3.4".to_owned() };
    let (code, words) = refusal(ask::<_, EmptyResponse>(&channel, MACHINE[3], old).await);
    let too_old = "etcd downgrade is only supported to 3.5 and later versions";
    assert_eq!((code, words.as_str()), (Code::InvalidArgument, too_old));
    for (roles, saved) in [("os:etcd:backup", true), ("os:operator", true), ("os:reader", false)] {
        let channel = connect(&node, &temporary.client(&[roles])).await;
        let snapshot = data(&channel, MACHINE[4], "").await;
        assert_eq!(snapshot.is_ok(), saved, "{roles}");
        let length: usize = snapshot.unwrap_or_default().iter().map(|data| data.bytes.len()).sum();
        assert_eq!(length % 512, if saved { 32 } else { 0 }, "{roles}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_names_only_what_is_there_and_no_system_disk() {
    for version in VERSIONS {
        let (_world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        for (device, what) in
            [("/dev/sdx", "wasn't found"), ("/dev/loop0", "is readonly"), ("/dev/sda", "is the system disk")]
        {
            let request = ResetRequest { user_disks_to_wipe: vec![device.to_owned()], ..ResetRequest::default() };
            let words = format!("reset user disk failed: device {device} {what}");
            assert_eq!(refusal(client.reset(request).await), (Code::Unknown, words), "{version}");
        }
        let spec = |label: &str| ResetPartitionSpec { label: label.to_owned(), wipe: true };
        let request = ResetRequest { system_partitions_to_wipe: vec![spec("ETCD")], ..ResetRequest::default() };
        let words = if version == "v1.14.0" {
            "failed to reset: volume \"ETCD\" resides on volume \"EPHEMERAL\", and therefore \"ETCD\" cannot be wiped \
             without wiping \"EPHEMERAL\""
        } else {
            "failed to reset: volume \"ETCD\" is not located"
        };
        assert_eq!(refusal(client.reset(request).await), (Code::Unknown, words.to_owned()), "{version}");
        assert_eq!(node.stage(), "booting", "{version}: nothing was begun");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_in_use_are_not_wiped_and_readers_wipe_nothing_once_there_is_a_configuration() {
    const WIPE: &str = "/storage.StorageService/BlockDeviceWipe";
    let (_world, node, temporary) = control_plane("v1.13.9", "").await;
    let device = |name: &str| Wipe { devices: vec![Words { words: name.to_owned() }] };
    let admin = connect(&node, &temporary.admin()).await;
    for (name, code, words) in [
        ("sda4", Code::FailedPrecondition, "blockdevice \"sda4\" is in use by volume \"EPHEMERAL\""),
        ("loop0", Code::FailedPrecondition, "blockdevice \"loop0\" is read-only"),
        ("nope", Code::NotFound, "blockdevice \"nope\" not found"),
    ] {
        assert_eq!(refusal(ask::<_, EmptyResponse>(&admin, WIPE, device(name)).await), (code, words.to_owned()));
    }
    let reader = connect(&node, &temporary.client(&["os:reader"])).await;
    let refused = (Code::PermissionDenied, "not authorized".to_owned());
    assert_eq!(refusal(ask::<_, EmptyResponse>(&reader, WIPE, device("sda")).await), refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_tells_in_its_messages_what_went_wrong_and_takes_directories() {
    const COPY: &str = "/machine.MachineService/Copy";
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let missing = data(&channel, COPY, "/nope").await.expect("the call itself is fine");
    let error = missing[0].metadata.clone().expect("metadata").error;
    assert_eq!(error, "lstat /nope: no such file or directory");
    let bytes = |stream: Vec<Data>| stream.into_iter().flat_map(|data| data.bytes).collect::<Vec<_>>();
    let whole = bytes(data(&channel, COPY, "/etc").await.expect("copied"));
    let one = bytes(data(&channel, COPY, "/etc/hosts").await.expect("copied"));
    assert!(one.starts_with(&[0x1f, 0x8b]) && whole.starts_with(&[0x1f, 0x8b]));
    assert!(whole.len() > one.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_taken_out_of_the_store_they_were_pulled_into() {
    let (_world, node, temporary) = control_plane("v1.13.9", "").await;
    let channel = connect(&node, &temporary.admin()).await;
    let containerd = ContainerdInstance {
        driver: ContainerDriver::Containerd.into(),
        namespace: ContainerdNamespace::NsSystem.into(),
    };
    let image = Image { containerd: Some(containerd), image_ref: "ghcr.io/siderolabs/nope:v1".to_owned() };
    let nowhere = Image { containerd: None, ..image.clone() };
    let (code, words) = refusal(ask::<_, ()>(&channel, "/machine.ImageService/Remove", nowhere).await);
    assert_eq!((code, words.as_str()), (Code::InvalidArgument, "invalid containerd namespace NS_UNKNOWN"));
    let gone = refusal(ask::<_, ()>(&channel, "/machine.ImageService/Remove", image).await);
    assert_eq!(gone, (Code::NotFound, "image ghcr.io/siderolabs/nope:v1 not found".to_owned()));
    let image = Words { words: "ghcr.io/siderolabs/nope:v1".to_owned() };
    let verified: Verified = ask(&channel, "/machine.ImageService/Verify", image).await.expect("answered");
    assert_eq!(verified, Verified { verified: false, message: "no matched rule".to_owned() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_applied_at_once_is_shown_as_a_difference_of_nothing_else() {
    for version in ["v1.12.2", "v1.13.9"] {
        let (_world, node, temporary) = control_plane(version, "").await;
        let mut client = machine(&node, &temporary.admin()).await;
        let config = temporary.control_plane("");
        let changed = config
            .replace("  type: controlplane\n", "  type: controlplane\n  udev: {rules: [one]}\n  sysctls: {a: b}\n")
            .replace("clusterName: temporary", "clusterName: other");
        let (code, words) = refusal(client.apply_configuration(apply(changed, Mode::NoReboot)).await);
        assert_eq!(code, Code::InvalidArgument);
        let head = "this config change can't be applied in immediate mode\ndiff:\n--- a\n+++ b\n@@ -";
        assert!(words.starts_with(head), "{words}");
        assert!(words.contains("\n+    udev:\n"), "{words}");
        assert!(!words.contains("sysctls") && !words.contains("other"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_was_tried_stays_once_another_was_applied() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let mut client = machine(&node, &temporary.admin()).await;
    let named = |name: &str| temporary.control_plane("").replace("temporary", name);
    let timeout = Some(prost_types::Duration { seconds: 0, nanos: 20_000_000 });
    let tried = ApplyConfigurationRequest { try_mode_timeout: timeout, ..apply(named("tried"), Mode::Try) };
    client.apply_configuration(tried).await.expect("tried");
    client.apply_configuration(apply(named("applied"), Mode::NoReboot)).await.expect("applied");
    // Nothing says that something did not happen.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let channel = connect(&node, &temporary.admin()).await;
    let active = yaml(channel, "config", "MachineConfigs.config.talos.dev", "v1alpha1").await;
    assert!(active.contains("clusterName: applied"), "{active}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_shows_its_pods_its_disks_and_itself_as_a_member() {
    let (_world, node, temporary, channel) = bootstrapped("v1.12.2").await;
    let show = async |namespace: &str, kind: &str, id: &str| yaml(channel.clone(), namespace, kind, id).await;
    let logs = |id: String| LogsRequest { namespace: "k8s.io".to_owned(), id, driver: 1, ..LogsRequest::default() };
    let mut client = machine(&node, &temporary.admin()).await;
    let known = client.logs(logs(format!("kube-system/kube-scheduler-{}:kube-scheduler", node.name()))).await;
    assert!(known.expect("a log").into_inner().next().await.is_none_or(|line| line.is_ok()));
    let unknown = refusal(client.logs(logs("kube-system/nobody".to_owned())).await.map(|_| ()));
    assert_eq!(unknown, (Code::Unknown, "container \"kube-system/nobody\" not found".to_owned()));
    let pod = show("k8s", "StaticPods.kubernetes.talos.dev", "kube-apiserver").await;
    assert!(pod.starts_with("apiVersion: v1\nkind: Pod\n"), "{pod}");
    assert!(show("network", "LinkStatuses.net.talos.dev", "lo").await.contains("type: loopback\n"));
    assert!(show("network", "AddressStatuses.net.talos.dev", "lo/127.0.0.1/8").await.contains("linkName: lo\n"));
    assert!(show("runtime", "Disks.block.talos.dev", "loop0").await.contains("readonly: true\n"));
    let whole = show("runtime", "DiscoveredVolumes.block.talos.dev", "sda").await;
    assert!(whole.contains("type: disk\n") && whole.contains("name: gpt\n"), "{whole}");
    assert!(show("runtime", "VolumeStatuses.block.talos.dev", "ETCD").await.contains("type: directory\n"));
    assert!(show("config", "KubeSpanConfigs.kubespan.talos.dev", "kubespan").await.contains("enabled: false\n"));
    let member = get(channel.clone(), "cluster", "Members.cluster.talos.dev", node.name()).await;
    assert_eq!(refusal(member).0, Code::NotFound, "nobody asked for discovery");
    let mut client = machine(&node, &temporary.admin()).await;
    let ids =
        "id: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MDE=\n  secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MDE=";
    let discovery = format!("{ids}\n  discovery: {{enabled: true}}");
    let discovery = temporary.control_plane("").replace("discovery: {enabled: false}", &discovery);
    client.apply_configuration(apply(discovery, Mode::Auto)).await.expect("applied");
    let member = show("cluster", "Members.cluster.talos.dev", node.name()).await;
    for line in ["machineType: controlplane\n", "operatingSystem: Talos (v1.12.2)\n", "    port: 6443\n"] {
        assert!(member.contains(line), "{member}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_can_read_why_it_is_refused() {
    let (_world, node, temporary) = control_plane("v1.12.2", "").await;
    let config = Arc::new(config(&Trust::Anonymous(temporary.os().certificate_pem().to_owned())));
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.talos_port())).await.expect("connected");
    let name = Ipv4Addr::LOCALHOST.into();
    // With TLS 1.3 the client is done before the server has seen that there is no certificate.
    let mut stream = TlsConnector::from(config).connect(name, stream).await.expect("shaken hands");
    let error = stream.read_u8().await.expect_err("refused");
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    // What a client has on its way then is still taken: a reset could overtake the alert.
    let mut stream = stream.into_inner().0;
    for _ in 0..20 {
        stream.write_all(b"PRI * HTTP/2.0").await.expect("nobody has hung up");
    }
}
