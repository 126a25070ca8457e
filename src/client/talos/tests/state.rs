//! Reading resources, in the YAML that Talos writes.

use super::*;

/// Serves these resources, `(type, id, yaml)`; anything else does not exist.
fn serving(
    resources: &'static [(&'static str, &'static str, &'static str)],
) -> impl Fn(&str, Bytes) -> Reply + Send + Sync + 'static {
    move |path, request| match path {
        "/cosi.resource.State/Get" => {
            let wanted = cosi::GetRequest::decode(request).unwrap();
            let found = resources.iter().find(|(kind, id, _)| *kind == wanted.r#type && *id == wanted.id);
            found.map_or_else(|| refuse(Status::not_found("resource doesn't exist")), |(_, id, yaml)| got(id, yaml))
        }
        "/cosi.resource.State/List" => {
            let wanted = cosi::ListRequest::decode(request).unwrap();
            let found = resources.iter().filter(|(kind, ..)| *kind == wanted.r#type);
            many(found.map(|(_, id, yaml)| cosi::ListResponse { resource: Some(resource(id, yaml)) }.encode_to_vec()))
        }
        _ => refuse(Status::unimplemented("method not implemented")),
    }
}

#[tokio::test]
async fn a_booting_machine_tells_what_it_waits_for() {
    let (_pretend, node) = node_with(serving(&[(
        "MachineStatuses.runtime.talos.dev",
        "machine",
        "stage: booting\nstatus:\n    ready: false\n    unmetConditions:\n        - name: services\n          reason: etcd not running\n",
    )]))
    .await;
    let status = node.machine_status().await.unwrap();
    assert_eq!((status.stage.clone(), status.is_ready()), (Stage::Booting, false));
    assert_eq!(status.unmet()[0].reason, "etcd not running");
}

#[tokio::test]
async fn stages_of_two_words_and_of_the_future_are_read() {
    for (yaml, stage, text) in [
        ("stage: shutting down\n", Stage::ShuttingDown, "shutting down"),
        (
            "stage: hibernating\nstatus:\n    ready: true\n    unmetConditions: null\n",
            Stage::Other("hibernating".to_owned()),
            "hibernating",
        ),
    ] {
        let (_pretend, node) = node_with(move |_, _| got("machine", yaml)).await;
        let status = node.machine_status().await.unwrap();
        assert_eq!((&status.stage, status.stage.to_string().as_str()), (&stage, text));
    }
}

#[tokio::test]
async fn the_schematic_is_the_version_of_the_factorys_marker() {
    let (_pretend, node) = node_with(serving(&[
        (
            "ExtensionStatuses.runtime.talos.dev",
            "0",
            "image: 000.ghcr.io-siderolabs-tailscale-1.90.8.sqsh\nmetadata:\n    name: tailscale\n    version: 1.90.8\n    author: Justin Garrison\n    description: |\n        [siderolabs/extensions]: Tailscale\n    compatibility:\n        talos:\n            version: '>= v1.10.0'\n",
        ),
        (
            "ExtensionStatuses.runtime.talos.dev",
            "1",
            "image: 001.schematic.sqsh\nmetadata:\n    name: schematic\n    version: 4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b\n    author: Image Factory (https://factory.talos.dev)\n    description: Virtual extension which specifies the schematic of the image built with Image Factory.\n    compatibility:\n        talos:\n            version: \"\"\n    extraInfo: |\n        customization:\n            systemExtensions:\n                officialExtensions:\n                    - siderolabs/tailscale\n",
        ),
        (
            "ExtensionStatuses.runtime.talos.dev",
            "modules.dep",
            "image: modules.dep.sqsh\nmetadata:\n    name: modules.dep\n    version: 6.18.5-talos\n    author: Talos Machinery\n    description: Combined modules.dep for all extensions\n    compatibility:\n        talos:\n            version: \"\"\n    extraInfo: \"\"\n",
        ),
    ]))
    .await;
    let extensions = node.extensions().await.unwrap();
    assert_eq!(extensions.schematic(), Some("4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b"));
    let real: Vec<_> =
        extensions.real().map(|extension| (extension.name.as_str(), extension.version.as_str())).collect();
    assert_eq!(real, [("tailscale", "1.90.8")]);
    assert!(extensions.named("schematic").unwrap().extra_info.contains("siderolabs/tailscale"));
    assert_eq!(extensions.len(), 3);
}

#[tokio::test]
async fn a_node_without_extensions_has_no_schematic() {
    let (_pretend, node) = node_with(serving(&[])).await;
    let extensions = node.extensions().await.unwrap();
    assert!(extensions.is_empty() && extensions.schematic().is_none());
}

#[tokio::test]
async fn the_machine_configuration_comes_as_one_string_with_all_its_documents() {
    let (_pretend, node) = node_with(serving(&[(
        "MachineConfigs.config.talos.dev",
        "persistent",
        "|\n    version: v1alpha1 # keep\n    machine:\n        type: worker\n    ---\n    apiVersion: v1alpha1\n    kind: HostnameConfig\n    hostname: cloudbox2\n",
    )]))
    .await;
    let config = node.machine_config(ConfigSource::Persistent).await.unwrap().unwrap();
    assert_eq!(
        config.expose(),
        "version: v1alpha1 # keep\nmachine:\n    type: worker\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: cloudbox2\n"
    );
    assert!(node.machine_config(ConfigSource::Active).await.unwrap().is_none());
}

#[tokio::test]
async fn a_configuration_of_megabytes_is_read() {
    let line = "        # a comment that fills the line with some eighty characters of nothing much\n";
    let yaml = format!("|\n    machine:\n{}", line.repeat(40_000));
    let (_pretend, node) = node_with(move |_, _| got("v1alpha1", &yaml)).await;
    let config = node.machine_config(ConfigSource::Active).await.unwrap().unwrap();
    assert!(config.expose().len() > 3_000_000, "{}", config.expose().len());
}

#[tokio::test]
async fn a_configuration_that_does_not_read_is_not_quoted() {
    let (_pretend, node) = node_with(|_, _| got("v1alpha1", "- token: abc.def\n")).await;
    let error = node.machine_config(ConfigSource::Active).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answer);
    assert!(!format!("{} {error:?}", told(&error)).contains("abc.def"));
}

#[tokio::test]
async fn identity_and_addresses_are_read() {
    let (_pretend, node) = node_with(serving(&[
        ("MachineTypes.config.talos.dev", "machine-type", "controlplane\n"),
        ("HostnameStatuses.net.talos.dev", "hostname", "hostname: cloudbox2\ndomainname: \"\"\n"),
        (
            "NodeAddresses.net.talos.dev",
            "current",
            "addresses:\n    - 10.0.0.214/24\n    - fd7a:115c:a1e0::1/128\nsortAlgorithm: v1\n",
        ),
        (
            "AddressStatuses.net.talos.dev",
            "tailscale0/100.101.102.103/32",
            "address: 100.101.102.103/32\nlocal: 100.101.102.103\nlinkIndex: 9\nlinkName: tailscale0\nfamily: inet4\nscope: global\nflags: permanent\npriority: 0\n",
        ),
        (
            "AddressStatuses.net.talos.dev",
            "eth0/10.0.0.214/24",
            "address: 10.0.0.214/24\nlocal: 10.0.0.214\nlinkIndex: 2\nlinkName: eth0\nfamily: inet4\nscope: global\nflags: permanent\npriority: 1024\n",
        ),
        (
            "SystemInformations.hardware.talos.dev",
            "systeminformation",
            "manufacturer: QEMU\nproductName: KVM Virtual Machine\nversion: virt-7.2\nuuid: 4C4C4544-0000-2010-8020-80C04F202020\nwakeUpType: Power Switch\n",
        ),
        (
            "PlatformMetadatas.talos.dev",
            "platformmetadata",
            "platform: oracle\nhostname: cloudbox2\nregion: iad\nzone: US-ASHBURN-AD-1\ninstanceType: VM.Standard.A1.Flex\ninstanceId: ocid1.instance.oc1.iad.a\nproviderId: oci://ocid1.instance.oc1.iad.a\n",
        ),
        (
            "KernelCmdlines.runtime.talos.dev",
            "cmdline",
            "cmdline: console=tty1 console=ttyS0 net.ifnames=0 talos.platform=oracle talos.dashboard.disabled=1\n",
        ),
    ]))
    .await;
    assert_eq!(node.machine_type().await.unwrap(), Some(MachineKind::ControlPlane));
    assert_eq!(node.hostname().await.unwrap().unwrap().hostname, "cloudbox2");
    assert_eq!(node.addresses().await.unwrap().addresses.len(), 2);
    let tailscale = node.link_addresses("tailscale0").await.unwrap();
    assert_eq!(tailscale[0].address.to_string(), "100.101.102.103/32");
    assert_eq!(tailscale.len(), 1);
    assert_eq!(node.system_uuid().await.unwrap().as_deref(), Some("4c4c4544-0000-2010-8020-80c04f202020"));
    let cloud = node.platform_metadata().await.unwrap().unwrap();
    assert_eq!(
        (cloud.instance_id.as_str(), cloud.provider_id.as_str()),
        ("ocid1.instance.oc1.iad.a", "oci://ocid1.instance.oc1.iad.a")
    );
    assert_eq!(node.platform().await.unwrap().as_deref(), Some("oracle"));
}

#[tokio::test]
async fn routes_are_read_also_those_without_destination_or_gateway() {
    let (_pretend, node) = node_with(serving(&[
        (
            "RouteStatuses.net.talos.dev",
            "inet4/10.0.0.1//1024",
            "family: inet4\ndst: \"\"\nsrc: \"\"\ngateway: 10.0.0.1\noutLinkIndex: 2\noutLinkName: eth0\ntable: main\npriority: 1024\nscope: global\ntype: unicast\nflags: \"\"\nprotocol: static\n",
        ),
        (
            "RouteStatuses.net.talos.dev",
            "52/inet4//192.168.1.0/24/0",
            "family: inet4\ndst: 192.168.1.0/24\nsrc: \"\"\ngateway: \"\"\noutLinkIndex: 3\noutLinkName: tailscale0\ntable: \"52\"\npriority: 0\nscope: link\ntype: unicast\nflags: \"\"\nprotocol: static\n",
        ),
        (
            "RouteStatuses.net.talos.dev",
            "inet4//10.9.0.0/16/0",
            "family: inet4\ndst: 10.9.0.0/16\nsrc: \"\"\ngateway: \"\"\ntable: main\npriority: 0\nscope: global\ntype: blackhole\nflags: \"\"\nprotocol: boot\n",
        ),
    ]))
    .await;
    let routes = node.routes().await.unwrap();
    assert_eq!(routes.len(), 3);
    assert_eq!((routes[0].destination, routes[0].gateway), (None, "10.0.0.1".parse().ok()));
    assert_eq!((routes[1].destination, routes[1].gateway), ("192.168.1.0/24".parse().ok(), None));
    assert_eq!((routes[1].table.as_str(), routes[1].out_link_name.as_str()), ("52", "tailscale0"));
    assert_eq!((routes[2].kind.as_str(), routes[2].out_link_name.as_str()), ("blackhole", ""));
}

#[tokio::test]
async fn services_time_disks_and_kubernetes_are_read() {
    let (_pretend, node) = node_with(serving(&[
        ("Services.v1alpha1.talos.dev", "ext-tailscale", "running: true\nhealthy: false\nunknown: true\n"),
        ("TimeStatuses.v1alpha1.talos.dev", "node", "synced: true\nepoch: 1\nsyncDisabled: false\n"),
        ("Nodenames.kubernetes.talos.dev", "nodename", "nodename: cloudbox2\nhostnameVersion: \"2\"\nskipNodeRegistration: false\n"),
        (
            "NodeStatuses.kubernetes.talos.dev",
            "cloudbox2",
            "nodename: cloudbox2\nnodeReady: true\nunschedulable: false\nlabels:\n    kubernetes.io/arch: arm64\nannotations: {}\n",
        ),
        (
            "Disks.block.talos.dev",
            "sda",
            "dev_path: /dev/sda\nsize: 107374182400\npretty_size: 107 GB\nio_size: 1048576\nsector_size: 4096\nreadonly: false\ncdrom: false\nmodel: BlockVolume\nserial: \"60a\"\nsymlinks:\n    - /dev/disk/by-id/scsi-1\n",
        ),
        ("SystemDisks.block.talos.dev", "system-disk", "diskID: sda\ndevPath: /dev/sda\n"),
        ("ExtensionServiceConfigStatuses.runtime.talos.dev", "tailscale", "specVersion: \"1\"\n"),
    ]))
    .await;
    assert!(node.service("ext-tailscale").await.unwrap().unwrap().running);
    assert!(node.service("kubelet").await.unwrap().is_none());
    assert!(node.time_status().await.unwrap().unwrap().synced);
    assert_eq!(node.nodename().await.unwrap().unwrap().nodename, "cloudbox2");
    assert!(node.node_status().await.unwrap().unwrap().node_ready);
    let disks = node.disks().await.unwrap();
    assert_eq!((disks[0].dev_path.as_str(), disks[0].size), ("/dev/sda", 107_374_182_400));
    assert_eq!(node.system_disk().await.unwrap().unwrap().dev_path, "/dev/sda");
    assert_eq!(node.configured_extension_services().await.unwrap(), ["tailscale"]);
}

#[tokio::test]
async fn a_resource_of_another_shape_is_named() {
    let (_pretend, node) = node_with(|_, _| got("machine", "stage: [1, 2]\n")).await;
    let error = node.machine_status().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answer);
    assert!(told(&error).contains("MachineStatuses.runtime.talos.dev/machine"), "{}", told(&error));
}

#[tokio::test]
async fn a_list_that_stalls_ends_with_the_deadline() {
    let (_pretend, node) = node_with(|_, _| Reply::Hang(Vec::new())).await;
    let error = node.within(Duration::from_millis(200)).extensions().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rpc(Code::DeadlineExceeded));
}
