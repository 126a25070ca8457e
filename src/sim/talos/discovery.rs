//! Who belongs to the cluster, as the node has discovered it, and the static pods of a control plane.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::{
    machine::Machine,
    resources::Resource,
    spec::{Field, Spec, Value, text},
    state::{Boot, Disk},
};
use crate::{
    sim::cluster::host_of,
    yaml::{Emit, emit},
};

/// `Affiliates` and `Members`: the node itself once its name is known, unless the configuration switches discovery off.
pub fn members(machine: &Machine, fqdn: &str, nodename: &str, boot: &Boot, disk: &Disk) -> Vec<Resource> {
    let config = boot.config.as_ref().filter(|config| config.is_complete());
    let enabled = |config: &&super::config::Config| {
        config.parsed.get("cluster.discovery.enabled").and_then(|flag| flag.as_bool()) == Some(true)
    };
    let Some(config) = config.filter(enabled) else { return Vec::new() };
    let system = format!("Talos ({})", boot.entry.version);
    let kind = if config.is_control_plane() { Value::Enum(2, "controlplane") } else { Value::Enum(3, "worker") };
    let port = config.parsed.get("cluster.controlPlane.localAPIServerPort").and_then(|port| port.as_integer());
    let port = vec![(1, "port", Value::Int(port.and_then(|port| u64::try_from(port).ok()).unwrap_or(6443)))];
    let addresses = || Value::List(vec![Value::Ip(machine.hardware.private_ip)]);
    let own_control_plane =
        |number| config.is_control_plane().then(|| (number, "controlPlane", Value::Message(port.clone())));
    let mut affiliate: Vec<Field> = vec![
        (1, "nodeId", text(&*disk.identity)),
        (2, "addresses", addresses()),
        (3, "hostname", text(fqdn)),
        (4, "nodename", text(nodename)),
        (5, "operatingSystem", text(&*system)),
        (6, "machineType", kind.clone()),
    ];
    affiliate.extend(own_control_plane(8));
    let mut member: Vec<Field> = vec![
        (1, "nodeId", text(&*disk.identity)),
        (2, "addresses", addresses()),
        (3, "hostname", text(fqdn)),
        (4, "machineType", kind),
        (5, "operatingSystem", text(system)),
    ];
    member.extend(own_control_plane(6));
    let resource = |kind, id: &str, fields| Resource {
        namespace: "cluster",
        kind,
        id: id.to_owned(),
        spec: Spec::Message(fields),
    };
    vec![
        resource("Affiliates.cluster.talos.dev", &disk.identity, affiliate),
        resource("Members.cluster.talos.dev", nodename, member),
    ]
}

/// `Endpoints`: where control planes are, as far as the configuration says it with an address.
pub fn endpoints(boot: &Boot) -> Option<Resource> {
    let endpoint = boot.config.as_ref()?.parsed.cluster_endpoint()?;
    let address: IpAddr = host_of(&endpoint).parse().ok()?;
    let addresses = vec![(1, "addresses", Value::List(vec![Value::Ip(address)]))];
    Some(Resource {
        namespace: "controlplane",
        kind: "Endpoints.kubernetes.talos.dev",
        id: "controlplane".to_owned(),
        spec: Spec::Message(addresses),
    })
}

const CONTROL_PLANE_PODS: [(&str, &str); 3] = [
    ("kube-apiserver", "cluster.apiServer.image"),
    ("kube-controller-manager", "cluster.controllerManager.image"),
    ("kube-scheduler", "cluster.scheduler.image"),
];

/// The static pods of a control plane with their images; none before etcd is healthy.
pub fn static_pod_images(boot: &Boot) -> Vec<(&'static str, String)> {
    let config = boot.config.as_ref().filter(|_| boot.is_control_plane() && boot.runs("etcd"));
    let image = |(name, path): (&'static str, &str)| {
        let image = config.and_then(|config| config.text_at(path));
        (name, image.unwrap_or_else(|| format!("registry.k8s.io/{name}:v1.35.0")))
    };
    CONTROL_PLANE_PODS.into_iter().filter(|_| config.is_some()).map(image).collect()
}

/// `StaticPods`, which are made once etcd is healthy, and `StaticPodStatuses`, once the kubelet tells.
pub fn static_pods(boot: &Boot) -> Vec<Resource> {
    let resource = |kind, id: String, json: &Json| {
        let yaml = match yaml(json) {
            Emit::Map(entries) => emit(&entries),
            _ => String::new(),
        };
        Resource {
            namespace: "k8s",
            kind,
            id,
            spec: Spec::Word(yaml.trim_end().to_owned(), vec![(1, "", proto(json))]),
        }
    };
    let mut all = Vec::new();
    for (name, image) in static_pod_images(boot) {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "kube-system",
                "labels": {"component": name, "k8s-app": name, "tier": "control-plane"},
            },
            "spec": {
                "containers": [{"name": name, "image": image}],
                "hostNetwork": true,
                "priorityClassName": "system-cluster-critical",
            },
        });
        all.push(resource("StaticPods.kubernetes.talos.dev", name.to_owned(), &pod));
        if let Some(node) = &boot.node_name {
            let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
            let conditions = conditions.map(|kind| json!({"type": kind, "status": "True"}));
            let status = json!({"phase": "Running", "conditions": conditions});
            all.push(resource("StaticPodStatuses.kubernetes.talos.dev", format!("kube-system/{name}-{node}"), &status));
        }
    }
    all
}

/// `google.protobuf.Struct` of an object: a map of `google.protobuf.Value`s.
fn proto(json: &Json) -> Value {
    let entry = |(key, value): (&String, &Json)| {
        Value::Message(vec![(1, "", text(key)), (2, "", Value::Message(vec![proto_value(value)]))])
    };
    let entries = json.as_object().into_iter().flatten().map(entry).collect();
    Value::Message(vec![(1, "", Value::List(entries))])
}

fn proto_value(json: &Json) -> Field {
    match json {
        Json::Null => (1, "", Value::Int(0)),
        Json::Number(number) => (2, "", Value::Float(number.as_f64().unwrap_or_default())),
        Json::String(string) => (3, "", text(string)),
        Json::Bool(set) => (4, "", Value::Bool(*set)),
        Json::Object(_) => (5, "", proto(json)),
        Json::Array(items) => {
            let items = items.iter().map(|item| Value::Message(vec![proto_value(item)])).collect();
            (6, "", Value::Message(vec![(1, "", Value::List(items))]))
        }
    }
}

fn yaml(json: &Json) -> Emit {
    match json {
        Json::String(string) => Emit::Text(string.clone()),
        Json::Object(entries) => Emit::Map(entries.iter().map(|(key, value)| (key.clone(), yaml(value))).collect()),
        Json::Array(items) => Emit::List(items.iter().map(yaml).collect()),
        other => Emit::Bare(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_a_map_of_values() {
        let spec = Spec::Word(String::new(), vec![(1, "", proto(&json!({"a": "b", "c": [true]})))]);
        // Struct.fields, each an entry of a key and a Value: a string is field 3, a list field 6 of its items.
        let a = [0x0a, 8, 0x0a, 1, b'a', 0x12, 3, 0x1a, 1, b'b'];
        let c = [0x0a, 11, 0x0a, 1, b'c', 0x12, 6, 0x32, 4, 0x0a, 2, 0x20, 1];
        assert_eq!(spec.proto(), [&[0x0a, 23][..], &a, &c].concat());
    }
}
