//! From attributes to drafts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::node::draft::{Draft, Talconfig};
use crate::node::given::Given;
use crate::node::native::{ClusterDraft, List, MachineDraft, Map, NetworkDraft, ServiceDraft};
use crate::provider::door::files::{self, Request};
use crate::provider::given;
use crate::talos::secret::Secret;
use crate::talos::secrets::SecretsBundle;
use crate::tfplugin::value::Value;

/// Fills in what the attributes `talconfig`, `machine`, `cluster`, `config_patches` and its twin say.
pub fn read(config: &Value, draft: &mut Draft) {
    draft.talconfig = talconfig(config.get("talconfig"));
    draft.machine = given::object(config.get("machine"), machine);
    draft.cluster = given::object(config.get("cluster"), cluster);
    draft.config_patches = given::secrets(config.get("config_patches"));
    draft.config_patches_wo = given::secrets(config.get("config_patches_wo"));
}

fn talconfig(value: &Value) -> Given<Talconfig> {
    let object = match value.plain() {
        Value::Null => return Given::Absent,
        Value::Unknown => return Given::Unknown,
        object => object,
    };
    // A name that is still open cannot be read; a variable that is still open leaves all open that it may stand in.
    if !object.is_wholly_known() {
        return Given::Unknown;
    }
    let text = |name: &str| object.get(name).as_str().map(str::to_owned);
    let (Some(path), Some(node)) = (text("path"), text("node")) else {
        return Given::Unknown;
    };
    let env_files = object.get("env_files").as_list();
    let mut env = variables(object.get("env"));
    env.extend(variables(object.get("env_wo")));
    let request = Request {
        path,
        node,
        secrets_file: text("secrets_file"),
        env_files: env_files.map(|files| files.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        env,
        age_key_file: text("age_key_file"),
    };
    Given::Value(request.render())
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_map().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn machine(value: &Value) -> MachineDraft {
    MachineDraft {
        install_disk: given::string(value.get("install_disk")),
        cert_sans: list(value.get("cert_sans")),
        network: given::object(value.get("network"), network),
        node_ip_subnets: list(value.get("node_ip_subnets")),
        extension_services: objects(value.get("extension_services"), service),
        kubespan: given::boolean(value.get("kubespan")),
        node_labels: map(value.get("node_labels")),
        node_taints: map(value.get("node_taints")),
        kubelet_image: given::string(value.get("kubelet_image")),
        token: twin(value, "token"),
        ca: given::string(value.get("ca")),
    }
}

fn network(value: &Value) -> NetworkDraft {
    let route = |route: &Value| (given::string(route.get("network")), given::string(route.get("gateway")));
    NetworkDraft {
        address: given::string(value.get("address")),
        mac_address: given::string(value.get("mac_address")),
        interface: given::string(value.get("interface")),
        gateway: given::string(value.get("gateway")),
        routes: given::object(value.get("routes"), |routes| {
            routes.as_list().unwrap_or_default().iter().map(route).collect()
        }),
        dhcp: given::boolean(value.get("dhcp")),
        nameservers: list(value.get("nameservers")),
    }
}

fn service(value: &Value) -> ServiceDraft {
    let file = |file: &Value| (twin(file, "content"), given::string(file.get("mount_path")));
    let environment = match (map(value.get("environment")), map(value.get("environment_wo"))) {
        (Given::Value(mut plain), Given::Value(write_only)) => {
            plain.extend(write_only);
            Given::Value(plain)
        }
        (Given::Unknown, _) | (_, Given::Unknown) => Given::Unknown,
        (plain, write_only) => plain.or(write_only),
    };
    ServiceDraft {
        name: given::string(value.get("name")),
        environment,
        config_files: given::object(value.get("config_files"), |files| {
            files.as_list().unwrap_or_default().iter().map(file).collect()
        }),
    }
}

fn cluster(value: &Value) -> ClusterDraft {
    let (secrets, secrets_attribute) = secrets(value);
    ClusterDraft {
        name: given::string(value.get("name")),
        endpoint: given::string(value.get("endpoint")),
        kubernetes_version: given::string(value.get("kubernetes_version")),
        pod_subnets: list(value.get("pod_subnets")),
        service_subnets: list(value.get("service_subnets")),
        id: given::string(value.get("id")),
        secret: twin(value, "secret"),
        token: twin(value, "token"),
        ca: given::string(value.get("ca")),
        secrets,
        secrets_attribute,
    }
}

/// All secrets at once, with the attribute that they came through.
fn secrets(value: &Value) -> (Given<Result<Arc<SecretsBundle>, String>>, &'static str) {
    for (name, attribute) in [("secrets", "cluster.secrets"), ("secrets_wo", "cluster.secrets_wo")] {
        let object = value.get(name);
        if object.is_null() {
            continue;
        }
        if !object.is_wholly_known() {
            return (Given::Unknown, attribute);
        }
        let text = Secret::new(json(object).to_string());
        let bundle = SecretsBundle::from_machine_secrets(text.expose());
        return (Given::Value(bundle.map(Arc::new).map_err(|error| error.to_string())), attribute);
    }
    const FILE: &str = "cluster.secrets_file";
    let bundle = match given::string(value.get("secrets_file")) {
        Given::Unknown => return (Given::Unknown, FILE),
        Given::Absent => return (Given::Absent, FILE),
        Given::Value(path) => {
            let key = given::string(value.get("age_key_file"));
            if key.is_unknown() {
                return (Given::Unknown, FILE);
            }
            files::read_opened(&path, key.value().map(String::as_str))
                .and_then(|text| SecretsBundle::parse(text.expose()).map_err(|error| format!("{path}: {error}")))
        }
    };
    (Given::Value(bundle.map(Arc::new)), FILE)
}

/// JSON without what is null: optional secrets are left out then.
fn json(value: &Value) -> serde_json::Value {
    match value.plain() {
        Value::Map(entries) => {
            let set = entries.iter().filter(|(_, value)| !value.is_null());
            serde_json::Value::Object(set.map(|(name, value)| (name.clone(), json(value))).collect())
        }
        value => value.as_str().into(),
    }
}

fn twin(value: &Value, name: &str) -> Given<Secret<String>> {
    given::twin(given::secret(value.get(name)), given::secret(value.get(&format!("{name}_wo"))))
}

fn list(value: &Value) -> List {
    given::object(value, |value| value.as_list().unwrap_or_default().iter().map(given::string).collect())
}

fn map(value: &Value) -> Map {
    given::object(value, |value| {
        let entries = value.as_map().into_iter().flatten();
        entries.map(|(name, value)| (name.clone(), given::secret(value))).collect()
    })
}

fn objects<T>(value: &Value, read: impl Fn(&Value) -> T) -> Given<Vec<Given<T>>> {
    given::object(value, |value| {
        value.as_list().unwrap_or_default().iter().map(|item| given::object(item, &read)).collect()
    })
}
