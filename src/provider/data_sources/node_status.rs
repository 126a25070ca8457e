//! `talosoci_node_status`: what a node is doing, and what is wrong with it.

use async_trait::async_trait;

use crate::client::talos::Address;
use crate::node::draft::Draft;
use crate::node::spec::Parsed;
use crate::provider::settings::{client_configuration_attribute, client_object};
use crate::provider::{SharedSettings, current, given};
use crate::provision::diagnose::{self, Answer, Diagnosis, Evidence, KubernetesSeen, Route};
use crate::provision::examine::{Patient, Seen, examine};
use crate::tfplugin::data_source::DataSource;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::path::Path;
use crate::tfplugin::provider::Context;
use crate::tfplugin::resource::Outcome;
use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::types::Type;
use crate::tfplugin::validator::within;
use crate::tfplugin::value::Value;

/// The data source.
pub struct NodeStatus {
    settings: SharedSettings,
}

impl NodeStatus {
    /// A data source of a provider with these settings.
    pub fn new(settings: SharedSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl DataSource for NodeStatus {
    fn schema(&self) -> Schema {
        let mut attributes = asked();
        attributes.extend(answered());
        Schema::new(attributes).description(
            "What a node is doing, and, when something is wrong, a `diagnosis`: causes with evidence and remedy, from its \
             services, logs, kernel log, routes, clock and Kubernetes node. A node that cannot be reached is no error, but a \
             diagnosis.",
        )
    }

    async fn read(&self, _ctx: &Context, config: Value) -> Outcome {
        let settings = current(&self.settings);
        let draft = Draft {
            endpoint: given::string(config.get("endpoint")),
            talos_port: given::integer(config.get("talos_port")),
            client: client_object(config.get("client_configuration")).or(settings.client.clone()),
            kubeconfig: given::twin(given::secret(config.get("kubeconfig")), crate::node::given::Given::Absent)
                .or(settings.kubeconfig.clone()),
            ..Draft::default()
        };
        let parsed = Parsed::of(&draft, time::OffsetDateTime::now_utc());
        let Some(endpoint) = parsed.endpoint.value() else {
            let detail = "endpoint must be an IP address or host name, without scheme and port.";
            return Outcome::failed(
                Diagnostic::error("Invalid Endpoint", detail).at(Path::root().attribute("endpoint")),
            );
        };
        let patient = Patient {
            address: Address::new(endpoint.host.clone(), endpoint.talos_port),
            credentials: parsed.credentials.value(),
            kubeconfig: parsed.kubeconfig.value(),
            name: config.get("hostname").as_str(),
        };
        let seen = examine(&patient).await;
        Outcome::state(store(config, &endpoint.to_string(), &seen))
    }
}

fn asked() -> Vec<Attribute> {
    vec![
        Attribute::string("endpoint").required().description("Address where the Talos API answers."),
        Attribute::number("talos_port")
            .optional()
            .validate(within(1..=65535))
            .description("Port of the Talos API. Default: 50000."),
        Attribute::string("hostname")
            .optional()
            .description("Name of the Kubernetes node, for when the node itself cannot be asked."),
        client_configuration_attribute("Client credentials of the cluster. Default: those of the provider block."),
        Attribute::string("kubeconfig")
            .optional()
            .sensitive()
            .description("Kubeconfig of the cluster, as text. Default: that of the provider block."),
    ]
}

fn answered() -> Vec<Attribute> {
    let text = |name: &str, what: &str| Attribute::string(name).computed().description(what);
    vec![
        text("id", "Address and port that were asked."),
        text(
            "answer",
            "What answers there: `node`, `closed`, `silent`, `maintenance`, `foreign`, `locked` (there are no credentials to ask \
             it with), `rejected`, `wrong name`, `wrong time` or `other`.",
        ),
        Attribute::bool("healthy").computed().description("The node answers, is ready, and nothing is wrong with it."),
        text("stage", "What the machine is doing, such as `running`."),
        Attribute::bool("ready").computed().description("Whether the machine has all that it waits for."),
        Attribute::list_of_objects("unmet_conditions", [text("name", "Name."), text("reason", "Reason.")])
            .computed()
            .description("What the machine waits for."),
        text("talos_version", "Talos version."),
        text("schematic_id", "Active schematic."),
        Attribute::list_of_objects("extensions", [text("name", "Name."), text("version", "Version.")])
            .computed()
            .description("Active system extensions."),
        Attribute::list_of_objects(
            "services",
            [
                text("id", "Name, such as `kubelet` or `ext-tailscale`."),
                text("state", "State, such as `Running` or `Waiting`."),
                Attribute::bool("healthy").computed().description("Outcome of its health check, if it has one."),
                text("message", "Its last message."),
            ],
        )
        .computed()
        .description("Services."),
        text("machine_uuid", "UUID of the machine."),
        text("node_name", "Name of the node."),
        Attribute::list("addresses", Type::String).computed().description("Addresses."),
        Attribute::list_of_objects(
            "routes",
            [
                text("destination", "Network, such as `192.168.1.0/24`; null for the default route."),
                text("gateway", "Next hop, if there is one."),
                text("link", "Link, such as `eth0` or `tailscale0`."),
            ],
        )
        .computed()
        .description(
            "Routes of the kernel that lead elsewhere, of all tables: Tailscale's are those over `tailscale0`.",
        ),
        text(
            "kubernetes",
            "What Kubernetes says: `Ready`, `NotReady`, `unregistered` or `unasked`; null without a kubeconfig.",
        ),
        Attribute::list("findings", Type::String)
            .computed()
            .description("Lines of the kernel log that say what keeps a node from joining."),
        Attribute::list_of_objects(
            "diagnosis",
            [
                text("rule", "Stable name of the rule."),
                text("cause", "What is wrong."),
                Attribute::list("evidence", Type::String).computed().description("What shows it."),
                text("remedy", "What to do."),
            ],
        )
        .computed()
        .description("What is wrong, likeliest first; empty when nothing is."),
    ]
}

fn store(mut state: Value, id: &str, seen: &Seen) -> Value {
    let Seen { evidence, facts, ready } = seen;
    let diagnosis = diagnose::diagnose(evidence);
    let optional = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let facts = facts.as_ref();
    state.set("id", id);
    state.set("answer", evidence.answer.word());
    state.set("healthy", evidence.answer == Answer::Node && *ready == Some(true) && diagnosis.is_empty());
    state.set("stage", optional(evidence.stage.as_deref()));
    state.set("ready", ready.map_or(Value::Null, Value::from));
    state.set("unmet_conditions", pairs(("name", "reason"), &evidence.unmet));
    state.set("talos_version", optional(facts.map(|facts| facts.talos_version.as_str())));
    state.set("schematic_id", optional(facts.and_then(|facts| facts.schematic_id.as_deref())));
    state.set("extensions", pairs(("name", "version"), facts.map_or(&[][..], |facts| &facts.extensions)));
    state.set("machine_uuid", optional(facts.and_then(|facts| facts.machine_uuid.as_deref())));
    state.set("node_name", optional(facts.map(|facts| facts.node_name.as_str())));
    state.set("addresses", Value::list(evidence.addresses.iter().map(String::as_str)));
    state.set("routes", Value::list(evidence.routes.iter().map(route)));
    state.set("kubernetes", optional(kubernetes(evidence)));
    state.set("services", services(evidence));
    state.set("findings", Value::list(diagnose::findings(&evidence.dmesg)));
    state.set("diagnosis", Value::list(diagnosis.iter().map(told)));
    state
}

fn pairs(names: (&str, &str), pairs: &[(String, String)]) -> Value {
    Value::list(
        pairs.iter().map(|(first, second)| {
            Value::object([(names.0, first.as_str().into()), (names.1, second.as_str().into())])
        }),
    )
}

fn route(route: &Route) -> Value {
    let optional = |text: Option<String>| text.map_or(Value::Null, Value::from);
    Value::object([
        ("destination", optional(route.to.map(|to| to.to_string()))),
        ("gateway", optional(route.via.map(|via| via.to_string()))),
        ("link", route.link.as_str().into()),
    ])
}

fn kubernetes(evidence: &Evidence) -> Option<&'static str> {
    Some(match evidence.kubernetes.as_ref()? {
        KubernetesSeen::Ready => "Ready",
        KubernetesSeen::NotReady(_) => "NotReady",
        KubernetesSeen::Unregistered => "unregistered",
        KubernetesSeen::Unasked(_) => "unasked",
    })
}

fn services(evidence: &Evidence) -> Value {
    Value::list(evidence.services.iter().map(|service| {
        Value::object([
            ("id", service.id.as_str().into()),
            ("state", service.state.as_str().into()),
            ("healthy", service.healthy.map_or(Value::Null, Value::from)),
            ("message", service.message.as_str().into()),
        ])
    }))
}

fn told(found: &Diagnosis) -> Value {
    Value::object([
        ("rule", found.rule.into()),
        ("cause", found.cause.as_str().into()),
        ("evidence", Value::list(found.evidence.iter().map(String::as_str))),
        ("remedy", found.remedy.as_str().into()),
    ])
}
