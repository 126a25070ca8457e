//! Importing a node that exists.

use crate::client::talos::Address;
use crate::node::draft::Draft;
use crate::node::given::Given;
use crate::node::spec::{Image, Parsed};
use crate::provider::node::remembered::Remembered;
use crate::provider::node::{model, plan};
use crate::provider::settings::{IMAGE_FACTORY, Settings, factory_url};
use crate::provision::facts::Facts;
use crate::provision::refresh::{self, Found};
use crate::talos::image::{Architecture, InstallerReference, disk_image_url, registry_of};
use crate::talos::machine_config::{HashOptions, MachineConfig, MachineType};
use crate::talos::schematic::{Schematic, SchematicId};
use crate::talos::secret::Secret;
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::value::Value;

/// Whom to import: `[HOSTNAME@]ENDPOINT[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    hostname: Option<String>,
    host: String,
    port: Option<i64>,
}

/// A node that was found.
pub struct Imported {
    /// Its state.
    pub state: Value,
    /// Its configuration, where the credentials may see it.
    pub remembered: Option<Remembered>,
}

impl Target {
    /// Reads an import id.
    pub fn parse(id: &str) -> Option<Self> {
        let (hostname, address) = match id.split_once('@') {
            Some(("", _)) => return None,
            Some((hostname, address)) => (Some(hostname.to_owned()), address),
            None => (None, id),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']')?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            // More than one colon: an IPv6 address without brackets, hence without a port.
            None => match address.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (address, None),
            },
        };
        let port = port
            .map(|port| port.parse::<u16>().ok().filter(|port| *port > 0))
            .map(|port| port.ok_or(()))
            .transpose()
            .ok()?;
        (!host.is_empty()).then(|| Self { hostname, host: host.to_owned(), port: port.map(i64::from) })
    }
}

/// Looks at the node and writes down what it tells of itself.
pub async fn run(target: &Target, settings: &Settings) -> Result<Imported, Diagnostics> {
    let draft = Draft {
        endpoint: Given::Value(target.host.clone()),
        talos_port: Given::from(target.port),
        client: settings.client.clone(),
        ..Draft::default()
    };
    let parsed = Parsed::of(&draft, time::OffsetDateTime::now_utc());
    let Some(credentials) = parsed.credentials.value() else {
        return Err(failed(
            "there are no credentials to read the node with",
            "set talosconfig or client_configuration in the provider block, or TALOSCONFIG",
        ));
    };
    let Some(endpoint) = parsed.endpoint.value() else {
        return Err(failed(
            &format!("{:?} is not an address", target.host),
            "import by ENDPOINT or HOSTNAME@ENDPOINT[:PORT]",
        ));
    };
    let address = Address::new(endpoint.host.clone(), endpoint.talos_port);
    match refresh::look(&address, credentials).await {
        Found::Node { facts, config } => found(target, endpoint.talos_port, settings, &facts, config.as_ref()),
        Found::Unknown { why } => Err(failed(
            &format!("the node at {address} could not be read: {why}"),
            "a node can be imported only while it answers to the credentials of its cluster",
        )),
    }
}

fn found(
    target: &Target,
    port: u16,
    settings: &Settings,
    facts: &Facts,
    config: Option<&Secret<String>>,
) -> Result<Imported, Diagnostics> {
    if let Some(hostname) = target.hostname.as_ref().filter(|name| ![&facts.hostname, &facts.node_name].contains(name))
    {
        let what = format!("the node at {} is named {:?}, not {hostname:?}", target.host, facts.hostname);
        return Err(failed(&what, "check the address, or import by its own name"));
    }
    let config = config.and_then(|yaml| MachineConfig::parse(yaml.expose()).ok());
    if config.as_ref().and_then(MachineConfig::machine_type).is_some_and(|kind| kind != MachineType::Worker) {
        return Err(failed(
            &format!("the node at {} is a control plane node", target.host),
            "only workers can be managed",
        ));
    }
    let mut state = Value::object([
        ("endpoint", target.host.as_str().into()),
        ("talos_port", i64::from(port).into()),
        ("hostname", facts.hostname.as_str().into()),
        ("id", facts.machine_uuid.clone().unwrap_or_else(|| facts.node_name.clone()).into()),
        ("phase", model::JOINED.into()),
        ("steps", Value::list(Vec::<Value>::new())),
        ("config_changes", Value::list(Vec::<Value>::new())),
        ("reboot_expected", false.into()),
        // What the attributes are when they are not written.
        ("activation", "upgrade".into()),
        ("apply_mode", "auto".into()),
        ("drain", true.into()),
        ("force", false.into()),
        ("instance_id", facts.instance_id.clone().map_or(Value::Null, Value::from)),
        (
            "flash",
            Value::object([
                ("method", "none".into()),
                ("source", "push".into()),
                ("zero", "partitions".into()),
                ("allow_root_disk", false.into()),
            ]),
        ),
    ]);
    model::store(&mut state, facts);
    if let Some(image) = image(settings, facts) {
        state.set("image_hash", plan::image_hash(&image));
        state.set(
            "image",
            Value::object([
                ("talos_version", image.talos_version.to_string().into()),
                ("schematic_id", image.schematic.to_string().into()),
                ("url", image.url.as_ref().map_or(Value::Null, |url| url.as_str().into())),
                ("installer", image.installer.to_string().into()),
                ("schematic_yaml", image.schematic_yaml.as_deref().map_or(Value::Null, Value::from)),
            ]),
        );
    }
    if let Some(config) = &config {
        state.set("config_hash", config.content_hash(&HashOptions::default()));
    }
    Ok(Imported { state, remembered: config.as_ref().map(Remembered::of) })
}

/// What the node runs, as `talosoci_image` of the provider's own Factory names it; `None` for an image that no Factory made.
fn image(settings: &Settings, facts: &Facts) -> Option<Image> {
    let talos_version: crate::talos::version::TalosVersion = facts.talos_version.parse().ok()?;
    let schematic: SchematicId = facts.schematic_id.as_deref()?.parse().ok()?;
    let factory = factory_url(settings.image_factory_url.value().map_or(IMAGE_FACTORY, String::as_str)).ok()?;
    let architecture: Architecture = facts.architecture.parse().unwrap_or(Architecture::Arm64);
    let platform = facts.platform.as_deref().unwrap_or("oracle");
    Some(Image {
        url: Some(disk_image_url(&factory, &schematic, &talos_version, platform, architecture, false)),
        installer: InstallerReference::new(
            registry_of(&factory),
            platform,
            false,
            schematic.clone(),
            talos_version.clone(),
        ),
        // Only what hashes to the id that is active is the schematic that talosoci_image would name.
        schematic_yaml: facts
            .schematic_yaml
            .as_deref()
            .and_then(|yaml| Schematic::parse(yaml).ok())
            .filter(|parsed| parsed.id() == schematic)
            .map(|parsed| parsed.canonical()),
        talos_version,
        schematic,
        sha256: None,
        unregistered: false,
    })
}

/// An id that is none.
pub fn syntax(id: &str) -> Diagnostics {
    failed(&format!("{id:?} is not an id of a node"), "import by ENDPOINT, HOSTNAME@ENDPOINT or HOSTNAME@ENDPOINT:PORT")
}

fn failed(what: &str, hint: &str) -> Diagnostics {
    Diagnostic::error("Node Cannot Be Imported", format!("{what}.\n\nhint: {hint}.")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_an_endpoint_with_or_without_hostname_and_port() {
        let target = |hostname: Option<&str>, host: &str, port| {
            Some(Target { hostname: hostname.map(str::to_owned), host: host.to_owned(), port })
        };
        let cases = [
            ("150.136.211.213", target(None, "150.136.211.213", None)),
            ("cloudbox2@150.136.211.213", target(Some("cloudbox2"), "150.136.211.213", None)),
            ("cloudbox2@node.example.com:50001", target(Some("cloudbox2"), "node.example.com", Some(50001))),
            ("[fd00::1]:50000", target(None, "fd00::1", Some(50000))),
            ("fd00::1", target(None, "fd00::1", None)),
            ("@1.2.3.4", None),
            ("[fd00::1]", target(None, "fd00::1", None)),
            ("[fd00::1]50000", None),
            ("1.2.3.4:port", None),
            ("1.2.3.4:0", None),
            ("", None),
        ];
        for (id, wanted) in cases {
            assert_eq!(Target::parse(id), wanted, "{id}");
        }
    }
}
