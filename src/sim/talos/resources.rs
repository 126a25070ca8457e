//! The COSI resources of a node, made from its state whenever somebody asks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{
    discovery, extension,
    kinds::kind,
    machine::Machine,
    readiness::unmet,
    spec::{Field, Spec, Value, text},
    state::{Boot, Disk, State, stage_word},
    volumes,
};
use crate::sim::cluster::host_of;

/// A resource without what is the same for all: version and times are kept elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Namespace.
    pub namespace: &'static str,
    /// Type.
    pub kind: &'static str,
    /// Id.
    pub id: String,
    /// Content.
    pub spec: Spec,
}

/// Everything there is right now.
pub fn all(machine: &Machine) -> Vec<Resource> {
    let addresses = machine.addresses();
    let hostname = machine.hostname_and_domain();
    let (kubernetes_name, fqdn) = (machine.kubernetes_name(), machine.fqdn());
    let mut list = List(Vec::new());
    for (kind, id, fields) in volumes::resources(machine) {
        list.add("runtime", kind, &id, fields);
    }
    machine.look(|state| {
        let Some(boot) = &state.boot else { return };
        runtime(&mut list, machine, boot);
        list.add("runtime", "SystemDisks.block.talos.dev", "system-disk", system_disk(machine));
        for (key, value) in &state.disk.meta {
            let value = vec![(1, "value", text(String::from_utf8_lossy(value)))];
            list.add("runtime", "MetaKeys.runtime.talos.dev", &format!("0x{key:02x}"), value);
        }
        network(&mut list, &addresses, &hostname);
        links(&mut list, machine, boot);
        routes(&mut list, machine, boot);
        config(&mut list, state, boot);
        cluster(&mut list, machine, &kubernetes_name, boot, &state.disk);
        list.0.extend(discovery::members(machine, &fqdn, &kubernetes_name, boot, &state.disk));
        list.0.extend(discovery::endpoints(boot));
        list.0.extend(discovery::static_pods(boot));
    });
    list.0.retain(|resource| machine.boot(|boot| kind(resource.kind, &boot.entry.version).is_some()) == Some(true));
    list.0
}

struct List(Vec<Resource>);

impl List {
    fn add(&mut self, namespace: &'static str, kind: &'static str, id: &str, fields: Vec<Field>) {
        self.put(namespace, kind, id, Spec::Message(fields));
    }

    fn put(&mut self, namespace: &'static str, kind: &'static str, id: &str, spec: Spec) {
        self.0.push(Resource { namespace, kind, id: id.to_owned(), spec });
    }
}

impl List {
    /// An IPv4 route; without a destination the default one. Ids are those of Talos v1.12.2
    /// pkg/machinery/resources/network/network.go (RouteID).
    fn route(
        &mut self,
        table: (i32, &'static str),
        to: Option<IpNet>,
        via: Option<Ipv4Addr>,
        link: (u64, &'static str),
    ) {
        let shown = |value: Option<String>| value.unwrap_or_default();
        let (dst, gateway) = (shown(to.map(|to| to.to_string())), shown(via.map(|via| via.to_string())));
        let prefix = if table.1 == "main" { String::new() } else { format!("{}/", table.1) };
        let priority = if via.is_some() { 1024 } else { 0 };
        let kind = if table.1 == "local" { (2, "local") } else { (1, "unicast") };
        let scope = if via.is_some() { (0, "global") } else { (253, "link") };
        let fields = vec![
            (1, "family", Value::Enum(2, "inet4")),
            (2, "dst", to.map_or_else(|| text(""), Value::Prefix)),
            (3, "src", text("")),
            (4, "gateway", via.map_or_else(|| text(""), |via| Value::Ip(via.into()))),
            (5, "outLinkIndex", Value::Int(link.0)),
            (6, "outLinkName", text(link.1)),
            (7, "table", Value::Enum(table.0, table.1)),
            (8, "priority", Value::Int(priority)),
            (9, "scope", Value::Enum(scope.0, scope.1)),
            (10, "type", Value::Enum(kind.0, kind.1)),
            (11, "flags", text("")),
            (12, "protocol", Value::Enum(4, "static")),
        ];
        self.add(
            "network",
            "RouteStatuses.net.talos.dev",
            &format!("{prefix}inet4/{gateway}/{dst}/{priority}"),
            fields,
        );
    }
}

fn runtime(list: &mut List, machine: &Machine, boot: &Boot) {
    let mut runtime = |kind, id: &str, fields| list.add("runtime", kind, id, fields);
    runtime("MachineStatuses.runtime.talos.dev", "machine", machine_status(machine, boot));
    let mut version = vec![(1, "version", text(boot.entry.version.to_string()))];
    if boot.entry.version.minor_pair() >= (1, 13) {
        version.insert(0, (2, "name", text("Talos")));
    }
    runtime("Versions.runtime.talos.dev", "version", version);
    runtime("BootIDs.runtime.talos.dev", "boot-id", vec![(1, "bootID", text(&*boot.id))]);
    let schematic = vec![
        (1, "schematicId", text(&*boot.entry.schematic)),
        (2, "flavor", text("")),
        (3, "apiUrl", text("https://factory.talos.dev/")),
    ];
    runtime("ImageFactorySchematics.runtime.talos.dev", "image-factory-schematic", schematic);
    runtime("KernelCmdlines.runtime.talos.dev", "cmdline", vec![(1, "cmdline", text(&*boot.entry.cmdline))]);
    runtime("BootedEntries.talos.dev", "bootedentry", vec![(1, "bootedEntry", text(&*boot.entry.uki))]);
    runtime("SecurityStates.talos.dev", "securitystate", security());
    runtime("PlatformMetadatas.talos.dev", "platformmetadata", platform(machine, boot));
    let token = vec![(1, "token", text(""))];
    runtime("UniqueMachineTokens.runtime.talos.dev", "unique-machine-token", token);
    let time = vec![
        (1, "synced", Value::Bool(boot.time_synced)),
        (2, "epoch", Value::Int(0)),
        (3, "syncDisabled", Value::Bool(false)),
    ];
    runtime("TimeStatuses.v1alpha1.talos.dev", "node", time);
    for (index, extension) in boot.entry.extensions.iter().enumerate() {
        let metadata = vec![
            (1, "name", text(&*extension.name)),
            (2, "version", text(&*extension.version)),
            (3, "author", text(&*extension.author)),
            (4, "description", text(&*extension.description)),
            (
                5,
                "compatibility",
                Value::Message(vec![(1, "talos", Value::Message(vec![(1, "version", text(">= v1.5.0"))]))]),
            ),
            (6, "extraInfo", text(&*extension.extra)),
        ];
        let image = format!("{index}.ghcr.io-siderolabs-{}-{}", extension.name, extension.version);
        let fields = vec![(1, "image", text(image)), (2, "metadata", Value::Message(metadata))];
        runtime("ExtensionStatuses.runtime.talos.dev", &index.to_string(), fields);
    }
    for service in boot.services.iter().filter(|service| service.state == "Running") {
        let fields = vec![
            (1, "running", Value::Bool(true)),
            (2, "healthy", Value::Bool(service.healthy == Some(true))),
            (3, "unknown", Value::Bool(service.healthy.is_none())),
        ];
        runtime("Services.v1alpha1.talos.dev", service.id, fields);
    }
    let extension_services = boot.config.as_ref().map(|config| config.parsed.extension_services()).unwrap_or_default();
    for service in extension_services {
        let environment = Value::List(service.environment.iter().map(text).collect());
        runtime("ExtensionServiceConfigs.runtime.talos.dev", &service.name, vec![(2, "environment", environment)]);
        let fields = vec![(1, "specVersion", text("1"))];
        runtime("ExtensionServiceConfigStatuses.runtime.talos.dev", &service.name, fields);
    }
}

fn machine_status(machine: &Machine, boot: &Boot) -> Vec<Field> {
    let unmet = unmet(boot, &machine.world.cluster);
    let ready = unmet.is_empty();
    let condition = |(name, reason): (&'static str, String)| {
        Value::Message(vec![(1, "name", text(name)), (2, "reason", text(reason))])
    };
    let status = vec![
        (1, "ready", Value::Bool(ready)),
        (2, "unmetConditions", Value::List(unmet.into_iter().map(condition).collect())),
    ];
    let stage = Value::Enum(boot.stage.into(), stage_word(boot.stage));
    vec![(1, "stage", stage), (2, "status", Value::Message(status))]
}

fn security() -> Vec<Field> {
    vec![
        (1, "secureBoot", Value::Bool(false)),
        (2, "ukiSigningKeyFingerprint", text("")),
        (3, "pcrSigningKeyFingerprint", text("")),
        (4, "selinuxState", Value::Enum(1, "enabled, permissive")),
        (5, "bootedWithUKI", Value::Bool(true)),
    ]
}

fn platform(machine: &Machine, boot: &Boot) -> Vec<Field> {
    let instance = machine.metadata.instance();
    if boot.entry.platform != "oracle" {
        return vec![(1, "platform", text(&*boot.entry.platform))];
    }
    vec![
        (1, "platform", text("oracle")),
        (2, "hostname", text(instance.name)),
        (3, "region", text("iad")),
        (4, "zone", text("EMIr:US-ASHBURN-AD-1")),
        (5, "instanceType", text(instance.shape)),
        (6, "instanceId", text(&*instance.id)),
        (7, "providerId", text(format!("oci://{}", instance.id))),
    ]
}

fn system_disk(machine: &Machine) -> Vec<Field> {
    let name = &machine.hardware.disk;
    vec![(1, "diskID", text(&**name)), (2, "devPath", text(format!("/dev/{name}")))]
}

fn network(list: &mut List, addresses: &[IpAddr], name: &(String, String)) {
    let mut network = |kind, id: &str, fields| list.add("network", kind, id, fields);
    let ready = |number, key| (number, key, Value::Bool(true));
    let status = vec![
        ready(1, "addressReady"),
        ready(2, "connectivityReady"),
        ready(3, "hostnameReady"),
        ready(4, "etcFilesReady"),
    ];
    network("NetworkStatuses.net.talos.dev", "status", status);
    let fields = vec![(1, "hostname", text(&*name.0)), (2, "domainname", text(&*name.1))];
    network("HostnameStatuses.net.talos.dev", "hostname", fields);
    // Oracle's own servers for both, unless the configuration names others.
    let servers = vec![(1, "timeServers", Value::List(vec![text("169.254.169.254")]))];
    network("TimeServerStatuses.net.talos.dev", "timeservers", servers);
    let resolver = vec![Value::Ip(Ipv4Addr::new(169, 254, 169, 254).into())];
    let resolvers = vec![(1, "dnsServers", Value::List(resolver)), (2, "searchDomains", Value::List(Vec::new()))];
    network("ResolverStatuses.net.talos.dev", "resolvers", resolvers);
    let prefix = |ip: &IpAddr| match ip {
        ip if ip.is_loopback() => IpNet::new_assert(*ip, if ip.is_ipv4() { 8 } else { 128 }),
        ip => IpNet::new_assert(*ip, if ip.is_ipv4() { 24 } else { 64 }),
    };
    let prefixes: Vec<IpNet> = addresses.iter().map(prefix).collect();
    for id in ["default", "current", "accumulative", "routed"] {
        let taken = if id == "default" { 1 } else { prefixes.len() };
        let values = prefixes.iter().take(taken).map(|net| Value::Prefix(*net)).collect();
        let fields = vec![(1, "addresses", Value::List(values)), (2, "sortAlgorithm", Value::Enum(0, "v1"))];
        network("NodeAddresses.net.talos.dev", id, fields);
    }
    for net in &prefixes {
        let local = net.addr().is_loopback();
        let link = if local { (1, "lo") } else { (2, "eth0") };
        let fields = vec![
            (1, "address", Value::Prefix(*net)),
            (2, "local", Value::Ip(net.addr())),
            (6, "linkIndex", Value::Int(link.0)),
            (7, "linkName", text(link.1)),
            (8, "family", if net.addr().is_ipv4() { Value::Enum(2, "inet4") } else { Value::Enum(10, "inet6") }),
            (9, "scope", if local { Value::Enum(254, "host") } else { Value::Enum(0, "global") }),
        ];
        network("AddressStatuses.net.talos.dev", &format!("{}/{net}", link.1), fields);
    }
}

/// The interfaces. Tailscale's is a device of its own kind, without a hardware address.
fn links(list: &mut List, machine: &Machine, boot: &Boot) {
    let bytes = |mac: &str| mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect::<Vec<_>>();
    let mut link =
        |id: &str, index: u64, kind: (i32, &'static str), mac: &str, mtu: u64, state: (i32, &'static str)| {
            let fields = vec![
                (1, "index", Value::Int(index)),
                (2, "type", Value::Enum(kind.0, kind.1)),
                (5, "hardwareAddr", Value::Bytes(bytes(mac), mac.to_owned())),
                (7, "mtu", Value::Int(mtu)),
                (10, "operationalState", Value::Enum(state.0, state.1)),
                (11, "kind", text(if kind.1 == "nohdr" { "tun" } else { "" })),
                (22, "linkState", Value::Bool(true)),
            ];
            list.add("network", "LinkStatuses.net.talos.dev", id, fields);
        };
    link("lo", 1, (772, "loopback"), "00:00:00:00:00:00", 65536, (0, "unknown"));
    link("eth0", 2, (1, "ether"), &machine.hardware.mac, 9000, (6, "up"));
    if boot.tailscale_up {
        link("tailscale0", 3, (65534, "nohdr"), "", 1280, (0, "unknown"));
    }
}

/// The kernel's routes; Tailscale keeps its own in table 52, the peers and what subnet routers advertise.
fn routes(list: &mut List, machine: &Machine, boot: &Boot) {
    let IpAddr::V4(own) = machine.hardware.private_ip else { return };
    let net = |ip: Ipv4Addr, length| Some(IpNet::new_assert(ip.into(), length).trunc());
    let gateway = Ipv4Addr::from(u32::from(own) & 0xffff_ff00 | 1);
    let (main, local, tailscale) = ((254, "main"), (255, "local"), (52, "52"));
    list.route(main, None, Some(gateway), (2, "eth0"));
    list.route(main, net(own, 24), None, (2, "eth0"));
    list.route(main, net(Ipv4Addr::new(169, 254, 0, 0), 16), None, (2, "eth0"));
    list.route(local, net(own, 32), None, (2, "eth0"));
    if !boot.tailscale_up {
        return;
    }
    list.route(tailscale, net(Ipv4Addr::new(100, 100, 100, 100), 32), None, (3, "tailscale0"));
    list.route(tailscale, net(Ipv4Addr::new(100, 64, 0, 1), 32), None, (3, "tailscale0"));
    let home = &machine.world.cluster;
    if home.switches().behind_tailscale && extension::has_route(boot, home) {
        let advertised = host_of(home.endpoint()).parse().ok().and_then(|ip| net(ip, 24));
        list.route(tailscale, advertised, None, (3, "tailscale0"));
    }
}

fn config(list: &mut List, state: &State, boot: &Boot) {
    const KIND: &str = "MachineConfigs.config.talos.dev";
    if let Some(active) = &boot.config {
        list.put("config", KIND, "v1alpha1", Spec::Config(active.text.clone()));
        let (number, word) = if active.is_control_plane() { (2, "controlplane") } else { (3, "worker") };
        if active.is_complete() {
            let fields = vec![(1, "machineType", Value::Enum(number, word))];
            list.put("config", "MachineTypes.config.talos.dev", "machine-type", Spec::Word(word.to_owned(), fields));
        }
    }
    if let Some(stored) = &state.disk.config {
        list.put("config", KIND, "persistent", Spec::Config(stored.text.clone()));
    }
}

/// KubeSpan is off unless the v1alpha1 document says otherwise.
fn kubespan(boot: &Boot) -> Vec<Field> {
    let config = boot.config.as_ref();
    let enabled = config.and_then(|config| config.parsed.get("machine.network.kubespan.enabled")?.as_bool());
    let word = |path: &str| text(config.and_then(|config| config.text_at(path)).unwrap_or_default());
    vec![
        (1, "enabled", Value::Bool(enabled == Some(true))),
        (2, "clusterId", word("cluster.id")),
        (3, "sharedSecret", word("cluster.secret")),
        (4, "forceRouting", Value::Bool(false)),
        (5, "advertiseKubernetesNetworks", Value::Bool(false)),
        (8, "harvestExtraEndpoints", Value::Bool(false)),
    ]
}

fn cluster(list: &mut List, machine: &Machine, kubernetes_name: &str, boot: &Boot, disk: &Disk) {
    let identity = vec![(1, "nodeId", text(&*disk.identity))];
    list.add("cluster", "Identities.cluster.talos.dev", "local", identity);
    let hardware = vec![
        (1, "manufacturer", text("QEMU")),
        (2, "productName", text("KVM Virtual Machine")),
        (3, "version", text("virt-7.2")),
        (5, "uuid", text(&*machine.hardware.uuid)),
    ];
    list.add("hardware", "SystemInformations.hardware.talos.dev", "systeminformation", hardware);
    if boot.runs("etcd") {
        let member = vec![(1, "memberID", text("51b79c3e2a4d0001"))];
        list.add("etcd", "EtcdMembers.etcd.talos.dev", "local", member);
    }
    if let Some(image) = boot.config.as_ref().and_then(|config| config.parsed.kubelet_image()) {
        list.add("k8s", "KubeletSpecs.kubernetes.talos.dev", "kubelet", vec![(1, "image", text(image))]);
    }
    if boot.config.as_ref().is_some_and(|config| config.is_complete()) {
        let nodename = vec![(1, "nodename", text(kubernetes_name)), (2, "hostnameVersion", text("1"))];
        list.add("k8s", "Nodenames.kubernetes.talos.dev", "nodename", nodename);
        list.add("config", "KubeSpanConfigs.kubespan.talos.dev", "kubespan", kubespan(boot));
    }
    let Some(name) = &boot.node_name else { return };
    let node = machine.world.cluster.node(name).filter(|_| !boot.is_control_plane());
    let ready = node.as_ref().map_or(boot.own_node_ready, |node| node.ready);
    let labels = node.as_ref().map(|node| node.labels.clone().into_iter().collect()).unwrap_or_default();
    let annotations = node.as_ref().map(|node| node.annotations.clone().into_iter().collect()).unwrap_or_default();
    let status = vec![
        (1, "nodename", text(&**name)),
        (2, "nodeReady", Value::Bool(ready)),
        (3, "unschedulable", Value::Bool(node.as_ref().is_some_and(|node| node.unschedulable))),
        (4, "labels", Value::Map(labels)),
        (5, "annotations", Value::Map(annotations)),
    ];
    list.add("k8s", "NodeStatuses.kubernetes.talos.dev", name, status);
}
