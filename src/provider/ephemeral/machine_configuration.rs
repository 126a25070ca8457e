//! `talosoci_machine_configuration`: a rendered configuration that is never stored.

use async_trait::async_trait;

use crate::node::door;
use crate::node::draft::{Draft, ImageDraft};
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::worker::Worker;
use crate::provider::door as attributes;
use crate::provider::{diagnostics, given};
use crate::talos::version::TalosVersion;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::ephemeral::{EphemeralResource, Opened};
use crate::tfplugin::provider::Context;
use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::value::Value;

/// The ephemeral resource.
pub struct MachineConfiguration;

#[async_trait]
impl EphemeralResource for MachineConfiguration {
    fn schema(&self) -> Schema {
        let mut all = vec![
            Attribute::string("hostname")
                .optional()
                .description("Name of the node, where the configuration leaves it open."),
            Attribute::string("base")
                .optional()
                .sensitive()
                .description("A configuration as YAML, to be patched and checked."),
        ];
        // Nothing here is ever stored, so the twins that are never stored have no use.
        all.extend(attributes::schema::attributes().into_iter().map(without_twins));
        all.push(attributes::schema::config_patches());
        all.extend([
            Attribute::string("talos_version")
                .optional()
                .description("Release that `machine` and `cluster` are rendered for."),
            Attribute::string("machine_configuration")
                .computed()
                .sensitive()
                .description("The configuration, with all its documents."),
            Attribute::string("config_hash")
                .computed()
                .description("Hash of its content, as `talosoci_node` shows it."),
        ]);
        Schema::new(all).description(
            "The configuration of a worker, rendered from a talconfig.yaml, from attributes, or from a configuration and \
             patches. It lives for one run and is in no plan and no state: give it to a write-only attribute.",
        )
    }

    async fn validate(&self, _ctx: &Context, config: &Value) -> Diagnostics {
        diagnostics::errors(&render(config).1)
    }

    async fn open(&self, _ctx: &Context, config: Value) -> Opened {
        let (worker, findings) = render(&config);
        let mut result = config;
        match worker {
            Given::Value(worker) => {
                result.set("machine_configuration", worker.yaml().expose().as_str());
                result.set("config_hash", worker.hash.as_str());
                Opened { diagnostics: diagnostics::findings(&findings), ..Opened::result(result) }
            }
            _ => Opened::failed(diagnostics::findings(&findings)),
        }
    }
}

const TALCONFIG: &str = "The node as talhelper's talconfig.yaml has it. The files are read, decrypted and rendered in \
                         memory. `hostname` and the Talos version come from there too.";

fn render(config: &Value) -> (Given<Worker>, Findings) {
    let mut draft = Draft {
        machine_configuration: given::twin(given::secret(config.get("base")), Given::Absent),
        machine_configuration_attribute: "base",
        ..Draft::default()
    };
    let version = given::string(config.get("talos_version"));
    if !version.is_absent() {
        draft.image = Given::Value(ImageDraft { talos_version: version, ..ImageDraft::default() });
    }
    attributes::model::read(config, &mut draft);
    let mut findings = Findings::default();
    let opened = door::open(&draft, &mut findings);
    let hostname = given::string(config.get("hostname")).or(opened.defaults.hostname.clone());
    let image = draft.image.clone().or(opened.defaults.image.clone());
    let version = image.value().and_then(|image| image.talos_version.value()?.parse::<TalosVersion>().ok());
    let (worker, _) = Worker::render(&opened, draft.patches(), &hostname, version.as_ref(), &mut findings);
    if draft.image.is_absent() && opened.place.at("machine") == "machine" && !draft.machine.is_absent() {
        findings.error(
            "talos-version-missing",
            "talos_version",
            "machine and cluster are rendered for a release of Talos, and none is named",
            "set talos_version",
        );
    }
    (worker, findings)
}

/// The same attribute for something that is never stored.
fn without_twins(mut attribute: Attribute) -> Attribute {
    attribute.description = match attribute.name.as_str() {
        "talconfig" => TALCONFIG.to_owned(),
        _ => attribute.description.replace(" Kept in the state.", ""),
    };
    if let crate::tfplugin::schema::Kind::Nested(_, nested) = &mut attribute.kind {
        nested.retain(|attribute| !attribute.write_only);
        for inner in nested.iter_mut() {
            *inner = without_twins(inner.clone());
        }
    }
    attribute
}
