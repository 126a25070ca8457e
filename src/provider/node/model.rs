//! From the attributes of `talosoci_node` to a draft, and from facts back to attributes.

use crate::node::draft::{Draft, FlashDraft, ImageDraft, JoinDraft, SshDraft, TimeoutsDraft};
use crate::node::given::Given;
use crate::provider::settings::{Settings, client_object};
use crate::provider::{door, given};
use crate::provision::Known;
use crate::provision::destroy::Wishes;
use crate::provision::duties::Duties;
use crate::provision::facts::Facts;
use crate::talos::machine_config::{Change, ChangeKind};
use crate::tfplugin::value::Value;

/// Phase of a node that is as it should be.
pub const JOINED: &str = "joined";

/// Phase of a node that an update left halfway.
pub const CHANGING: &str = "changing";

/// Phase of a node that a run of ours cordoned and, cut off, did not uncordon.
pub const CORDONED: &str = "cordoned";

/// What the user wrote, with the provider block's values where the resource has none.
pub fn draft(config: &Value, settings: &Settings) -> Draft {
    let plain = given::secret(config.get("machine_configuration"));
    let attribute = if plain.is_absent() && !config.get("machine_configuration_wo").is_null() {
        "machine_configuration_wo"
    } else {
        "machine_configuration"
    };
    let mut draft = Draft {
        hostname: given::string(config.get("hostname")),
        endpoint: given::string(config.get("endpoint")),
        talos_port: given::integer(config.get("talos_port")),
        instance_id: given::string(config.get("instance_id")),
        image: given::object(config.get("image"), image),
        flash: given::object(config.get("flash"), |flash| self::flash(flash, settings)),
        activation: given::string(config.get("activation")),
        apply_mode: given::string(config.get("apply_mode")),
        drain: given::boolean(config.get("drain")),
        machine_configuration: given::twin(plain, given::secret(config.get("machine_configuration_wo"))),
        machine_configuration_attribute: attribute,
        client: client_object(config.get("client_configuration"))
            .or(client_object(config.get("client_configuration_wo")))
            .or(settings.client.clone()),
        kubeconfig: given::twin(given::secret(config.get("kubeconfig")), given::secret(config.get("kubeconfig_wo")))
            .or(settings.kubeconfig.clone()),
        force: given::boolean(config.get("force")),
        reflash: given::string(config.get("reflash")),
        join: join(config.get("join")),
        timeouts: timeouts(config.get("timeouts")),
        image_factory: settings.factory(),
        ..Draft::default()
    };
    door::model::read(config, &mut draft);
    draft
}

fn image(image: &Value) -> ImageDraft {
    ImageDraft {
        talos_version: given::string(image.get("talos_version")),
        schematic_id: given::string(image.get("schematic_id")),
        schematic_yaml: given::string(image.get("schematic_yaml")),
        url: given::string(image.get("url")),
        installer: given::string(image.get("installer")),
        sha256: given::string(image.get("sha256")),
    }
}

fn flash(flash: &Value, settings: &Settings) -> FlashDraft {
    FlashDraft {
        method: given::string(flash.get("method")),
        source: given::string(flash.get("source")),
        zero: given::string(flash.get("zero")),
        disk: given::string(flash.get("disk")),
        allow_root_disk: given::boolean(flash.get("allow_root_disk")),
        ssh: ssh(flash.get("ssh"), &settings.ssh),
    }
}

fn ssh(ssh: &Value, defaults: &SshDraft) -> SshDraft {
    if ssh.is_unknown() {
        return SshDraft {
            private_key: Given::Unknown,
            host_key: Given::Unknown,
            user: Given::Unknown,
            ..SshDraft::default()
        };
    }
    let own_key = given::twin(given::secret(ssh.get("private_key")), given::secret(ssh.get("private_key_wo")));
    let own_agent = given::boolean(ssh.get("agent"));
    let own_host_key = given::string(ssh.get("host_key"));
    let own_known_hosts = given::string(ssh.get("known_hosts"));
    // A choice on the resource must not be outvoted by the provider block's other choice.
    let own_access = !own_key.is_absent() || matches!(own_agent, Given::Value(true));
    SshDraft {
        host: given::string(ssh.get("host")),
        port: given::integer(ssh.get("port")),
        user: given::string(ssh.get("user")).or(defaults.user.clone()),
        private_key: if own_access { own_key } else { defaults.private_key.clone() },
        agent: own_agent.or(defaults.agent.clone()),
        known_hosts: if own_host_key.is_absent() {
            own_known_hosts.or(defaults.known_hosts.clone())
        } else {
            own_known_hosts
        },
        host_key: own_host_key,
        host_key_policy: given::string(ssh.get("host_key_policy")),
    }
}

fn join(join: &Value) -> JoinDraft {
    JoinDraft {
        kubernetes: given::boolean(join.get("kubernetes")),
        extensions: given::boolean(join.get("extensions")),
        timeout: given::string(join.get("timeout")),
    }
}

fn timeouts(timeouts: &Value) -> TimeoutsDraft {
    TimeoutsDraft {
        create: given::string(timeouts.get("create")),
        update: given::string(timeouts.get("update")),
        delete: given::string(timeouts.get("delete")),
    }
}

/// What is to happen to the machine when the node is destroyed. By default: nothing.
pub fn wishes(on_destroy: &Value) -> Wishes {
    let wish = |name: &str, default: bool| on_destroy.get(name).as_bool().unwrap_or(default);
    Wishes {
        reset: wish("reset", false),
        graceful: wish("graceful", true),
        reboot: wish("reboot", true),
        remove_kubernetes_node: wish("remove_kubernetes_node", false),
    }
}

/// What an earlier run left, and what the plan promised to do about it.
pub fn known(prior: &Value, planned: &Value) -> Known {
    let text = |state: &Value, attribute: &str| state.get(attribute).as_str().map(str::to_owned);
    let steps = planned.get("steps").as_list().unwrap_or_default();
    Known {
        machine_uuid: text(prior, "machine_uuid"),
        node_name: text(prior, "node_name"),
        host: text(prior, "endpoint"),
        duties: Duties::of(steps.iter().filter_map(Value::as_str)),
        config_hash: text(planned, "config_hash"),
    }
}

/// The phase after a look at the node. Whoever was cut off between cordon and uncordon still owes the proof that the node
/// is well, also when somebody else has uncordoned it since.
pub fn phase_after_look(before: Option<&str>, cordoned: bool) -> &'static str {
    match before {
        _ if cordoned => CORDONED,
        Some(CHANGING | CORDONED) => CHANGING,
        _ => JOINED,
    }
}

/// Writes what was learned from the node into its state.
pub fn store(state: &mut Value, facts: &Facts) {
    state.set("talos_version", facts.talos_version.as_str());
    state.set("schematic_id", facts.schematic_id.as_deref().map_or(Value::Null, Value::from));
    state.set("platform", facts.platform.as_deref().map_or(Value::Null, Value::from));
    state.set("node_name", facts.node_name.as_str());
    state.set("addresses", Value::list(facts.addresses.iter().map(String::as_str)));
    let extensions = facts
        .extensions
        .iter()
        .map(|(name, version)| Value::object([("name", name.as_str().into()), ("version", version.as_str().into())]));
    state.set("extensions", Value::list(extensions));
    if let Some(uuid) = &facts.machine_uuid {
        state.set("machine_uuid", uuid.as_str());
    }
    if state.get("instance_id").is_unknown() {
        state.set("instance_id", facts.instance_id.as_deref().map_or(Value::Null, Value::from));
    }
}

/// What a plan left open keeps what was learned; what it promised stands.
pub fn keep_promises(state: &mut Value, promised: &Value) {
    for (attribute, value) in promised.as_map().into_iter().flatten() {
        if !value.is_unknown() {
            state.set(attribute.as_str(), value.clone());
        }
    }
}

/// Changes of a configuration as the plan shows them: a path, and values only where they are harmless.
pub fn changes(changes: &[Change]) -> Value {
    Value::list(changes.iter().map(describe))
}

fn describe(change: &Change) -> String {
    let Change { path, kind, old, new } = change;
    let masked = |value: &Option<String>| value.clone().unwrap_or_else(|| "(hidden)".to_owned());
    match kind {
        ChangeKind::Added => format!("+ {path} = {}", masked(new)),
        ChangeKind::Removed => format!("- {path} = {}", masked(old)),
        ChangeKind::Changed => format!("~ {path}: {} -> {}", masked(old), masked(new)),
    }
}

/// Leaves nothing unknown: what no step filled in is not there.
pub fn settled(mut state: Value) -> Value {
    let open = [
        "steps",
        "config_changes",
        "reboot_expected",
        "config_hash",
        "image_hash",
        "instance_id",
        "extensions",
        "platform",
        "addresses",
        "machine_uuid",
    ];
    for attribute in open {
        if state.get(attribute).is_unknown() {
            state.set(attribute, Value::Null);
        }
    }
    state
}
