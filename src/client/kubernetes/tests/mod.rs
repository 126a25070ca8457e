//! Conversations with a small pretend API server.

mod api;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::client::talos::pretend::Authority;
use api::Api;

fn kubeconfig(server: &str) -> Secret<String> {
    Secret::new(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster:\n    server: {server}\n\
         contexts:\n- name: a\n  context:\n    cluster: a\n    user: a\nusers:\n- name: a\n  user:\n    token: TOP-SECRET\n"
    ))
}

fn node(name: &str, ready: &str) -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": { "name": name },
        "spec": { "providerID": "oci://ocid1.instance.oc1..a" },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": "10.0.0.214" },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [{
                "type": "Ready", "status": ready, "reason": "KubeletNotReady", "message": "cni plugin not initialized",
            }],
            "nodeInfo": {
                "architecture": "arm64", "bootID": "b", "containerRuntimeVersion": "c", "kernelVersion": "k",
                "kubeProxyVersion": "", "kubeletVersion": "v1.35.0", "machineID": "m1", "operatingSystem": "linux",
                "osImage": "Talos (v1.12.2)", "systemUUID": "4C4C4544-0000-2010-8020-80C04F202020",
            },
        },
    })
}

fn pod(name: &str, more: &Value) -> Value {
    let mut pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}") },
        "spec": { "nodeName": "cloudbox2", "containers": [] },
        "status": { "phase": "Running" },
    });
    for (part, value) in more.as_object().unwrap() {
        for (key, value) in value.as_object().unwrap() {
            pod[part][key] = value.clone();
        }
    }
    pod
}

fn quick(within: Duration) -> DrainOptions {
    DrainOptions { within, poll: Duration::from_millis(10), grace_seconds: Some(30) }
}

#[tokio::test]
async fn a_ready_node_shows_what_identifies_it() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let found = api.cluster().await.node("cloudbox2").await.unwrap().unwrap();
    assert!(found.ready && !found.unschedulable && found.not_ready_because.is_none());
    assert_eq!((found.kubelet_version.as_str(), found.machine_id.as_str()), ("v1.35.0", "m1"));
    assert_eq!(found.internal_ips, ["10.0.0.214".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(found.provider_id.as_deref(), Some("oci://ocid1.instance.oc1..a"));
}

#[tokio::test]
async fn a_node_that_is_not_ready_says_why_and_a_missing_one_is_none() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "False"));
    let cluster = api.cluster().await;
    let found = cluster.node("cloudbox2").await.unwrap().unwrap();
    assert!(!found.ready);
    assert_eq!(found.not_ready_because.as_deref(), Some("KubeletNotReady: cni plugin not initialized"));
    assert_eq!(cluster.node("other").await.unwrap(), None);
}

#[tokio::test]
async fn a_machine_is_found_by_any_of_its_identities() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let cluster = api.cluster().await;
    let by = |system_uuid: &str, provider_id: &str, ip: &str| Machine {
        system_uuid: Some(system_uuid.to_owned()),
        provider_id: Some(provider_id.to_owned()),
        internal_ip: ip.parse().ok(),
    };
    for (machine, found) in [
        (by("4c4c4544-0000-2010-8020-80c04f202020", "", ""), 1),
        (by("", "oci://ocid1.instance.oc1..a", ""), 1),
        (by("", "", "10.0.0.214"), 1),
        (by("other", "oci://other", "10.0.0.1"), 0),
        (Machine::default(), 0),
    ] {
        assert_eq!(cluster.nodes_of(&machine).await.unwrap().len(), found, "{machine:?}");
    }
}

#[tokio::test]
async fn a_node_is_cordoned_uncordoned_and_deleted_once() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let cluster = api.cluster().await;
    cluster.cordon("cloudbox2", "for a test").await.unwrap();
    let found = cluster.node("cloudbox2").await.unwrap().unwrap();
    assert!(found.unschedulable && found.cordoned_by_us);
    assert_eq!(api.store.lock().unwrap().nodes["cloudbox2"]["metadata"]["annotations"][CORDON_MARK], "for a test");
    cluster.uncordon("cloudbox2").await.unwrap();
    let found = cluster.node("cloudbox2").await.unwrap().unwrap();
    assert!(!found.unschedulable && !found.cordoned_by_us);
    let annotations = api.store.lock().unwrap().nodes["cloudbox2"]["metadata"]["annotations"].clone();
    assert!(annotations.get(CORDON_MARK).is_none(), "{annotations}");
    assert!(cluster.delete_node("cloudbox2").await.unwrap());
    assert!(!cluster.delete_node("cloudbox2").await.unwrap());
    let error = cluster.cordon("cloudbox2", "for a test").await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::NotFound);
    assert!(error.to_string().starts_with("cordoning node cloudbox2 at http://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_cordon_is_ours_only_with_the_mark_and_while_nobody_else_cordoned_since() {
    let managed = |manager: &str, field: &str| {
        json!([
            { "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:metadata": { "f:annotations": {} } } },
            { "manager": manager, "operation": "Update", "fieldsV1": { "f:spec": { field: {} } } },
        ])
    };
    let cases = [
        (true, true, Value::Null, true),
        (true, true, managed("terraform-provider-talosoci", "f:unschedulable"), true),
        (true, true, managed("somebody", "f:taints"), true),
        (true, true, managed("kubectl-cordon", "f:unschedulable"), false),
        (true, false, managed("terraform-provider-talosoci", "f:unschedulable"), false),
        (true, false, Value::Null, false),
        (false, true, Value::Null, false),
    ];
    let api = Api::start().await;
    let cluster = api.cluster().await;
    for (cordoned, marked, managers, ours) in cases {
        let mut object = node("cloudbox2", "True");
        object["spec"]["unschedulable"] = json!(cordoned);
        if marked {
            object["metadata"]["annotations"] = json!({ CORDON_MARK: "for an update" });
        }
        if !managers.is_null() {
            object["metadata"]["managedFields"] = managers.clone();
        }
        api.put_node("cloudbox2", object);
        let found = cluster.node("cloudbox2").await.unwrap().unwrap();
        assert_eq!(found.cordoned_by_us, ours, "{cordoned} {marked} {managers}");
    }
}

#[tokio::test]
async fn a_drain_moves_what_can_move_and_waits_for_a_budget() {
    let api = Api::start().await;
    let controlled_by = |kind: &str| {
        json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "o", "controller": true }
        ] } })
    };
    api.put_pods([
        pod("web", &controlled_by("ReplicaSet")),
        pod("bare", &json!({})),
        pod("cilium", &controlled_by("DaemonSet")),
        pod("kube-proxy", &json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } })),
        pod("job", &json!({ "status": { "phase": "Succeeded" } })),
        pod("elsewhere", &json!({ "spec": { "nodeName": "other" } })),
    ]);
    api.store.lock().unwrap().budgets.insert("web".to_owned(), 2);
    let moved = api.cluster().await.drain("cloudbox2", &quick(Duration::from_secs(20))).await.unwrap();
    assert_eq!(moved, 2);
    let store = api.store.lock().unwrap();
    assert_eq!(store.evictions.iter().filter(|name| *name == "web").count(), 3);
    assert_eq!(store.pods.len(), 4);
}

#[tokio::test]
async fn a_drain_that_cannot_end_names_the_pods_and_why() {
    let api = Api::start().await;
    api.put_pods([
        pod("web", &json!({})),
        pod("slow", &json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } })),
    ]);
    api.store.lock().unwrap().budgets.insert("web".to_owned(), usize::MAX);
    let error = api.cluster().await.drain("cloudbox2", &quick(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Blocked);
    let text = error.to_string();
    for part in ["2 pods", "default/web", "disruption budget", "default/slow", "terminating"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn structured_credentials_work_over_mutual_tls_and_a_wrong_ca_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let api = Api::start_tls(&authority).await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let parts = |ca: &Authority| {
        let admin = authority.admin();
        Parts {
            host: format!("https://{}", api.address),
            ca_certificate: ca.pem.clone(),
            client_certificate: admin.crt,
            client_key: admin.key,
        }
    };
    let cluster = Cluster::from_parts(&parts(&authority)).await.unwrap();
    assert_eq!(cluster.nodes().await.unwrap().len(), 1);

    let cluster = Cluster::from_parts(&parts(&other)).await.unwrap();
    let error = cluster.nodes().await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Tls, "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cluster = Cluster::from_kubeconfig(&kubeconfig(&server)).await.unwrap();
    let error = cluster.node("cloudbox2").await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Unreachable);
    assert!(error.is_transient() && error.to_string().contains(&server), "{error}");
}

#[tokio::test]
async fn an_unusable_kubeconfig_is_refused_without_being_quoted() {
    for text in [
        kubeconfig("192.168.1.50").expose().clone(),
        kubeconfig("https://a:1").expose().replace("current-context: a", "current-context: b"),
        "users:\n- name: a\n  user:\n    token: [TOP-SECRET\n".to_owned(),
        "users: TOP-SECRET\n".to_owned(),
        String::new(),
    ] {
        let error = Cluster::from_kubeconfig(&Secret::new(text.clone())).await.unwrap_err();
        assert_eq!(error.kind(), KubernetesErrorKind::Config, "{text}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("TOP-SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_credential_plugin_that_is_missing_is_a_configuration_problem() {
    let text = kubeconfig("https://127.0.0.1:6443").expose().replace(
        "    token: TOP-SECRET\n",
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: talosoci-no-such-plugin\n      interactiveMode: Never\n",
    );
    let error = Cluster::from_kubeconfig(&Secret::new(text)).await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Config);
    assert!(error.to_string().contains("talosoci-no-such-plugin"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_credential_plugin_that_fails_shows_its_complaint_and_not_its_result() {
    let script = "echo TOP-SECRET; echo please log in >&2; exit 3";
    let error = Cluster::from_kubeconfig(&with_plugin("https://127.0.0.1:6443", script)).await.unwrap_err();
    assert_eq!(error.kind(), KubernetesErrorKind::Config);
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("please log in") && shown.contains("exit status: 3"), "{shown}");
    assert!(!shown.contains("TOP-SECRET"), "{shown}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_credential_plugin_gives_the_token() {
    let api = Api::start().await;
    api.put_node("cloudbox2", node("cloudbox2", "True"));
    let credential = json!({
        "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "status": { "token": "t1" },
    });
    let script = format!("echo '{credential}'");
    let cluster = Cluster::from_kubeconfig(&with_plugin(&format!("http://{}", api.address), &script)).await.unwrap();
    assert_eq!(cluster.nodes().await.unwrap().len(), 1);
    assert_eq!(api.store.lock().unwrap().tokens, ["Bearer t1"]);
}

#[cfg(unix)]
fn with_plugin(server: &str, script: &str) -> Secret<String> {
    let exec = json!({
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "interactiveMode": "Never",
        },
    });
    let text = kubeconfig(server);
    let user = "\n    token: TOP-SECRET\n";
    assert!(text.expose().contains(user));
    Secret::new(text.expose().replace(user, &format!(" {exec}\n")))
}
