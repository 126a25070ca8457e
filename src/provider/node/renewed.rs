//! Write-only values that are made anew at each run, such as an auth key of an ephemeral resource. Terraform opens ephemeral
//! resources once for the plan and again for the apply, so a promise about such a value would always be broken: with
//! `config_wo_version` they are not compared, and what was applied last is remembered instead (DESIGN.md D40).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::node::door;
use crate::node::draft::Draft;
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::spec::Parsed;
use crate::node::worker::Worker;
use crate::provider::node::model;
use crate::provider::settings::Settings;
use crate::talos::machine_config::HashOptions;
use crate::tfplugin::value::Value;

/// The attribute that says that write-only values are not to be compared.
pub const VERSION: &str = "config_wo_version";

/// Where values stand that are not compared, inside of other attributes.
const INNER: [&str; 3] = ["env_wo", "environment_wo", "content_wo"];

/// Where whole parts of the configuration stand that are not compared.
const OUTER: [&str; 2] = ["machine_configuration_wo", "config_patches_wo"];

/// What stands in for a value that is not compared.
const PLACEHOLDER: &str = "write-only";

/// What was applied last: kept beside the state, where it shows neither value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Hash of the configuration as the node got it.
    #[serde(rename = "c")]
    config: String,
    /// Hash of what of it came from elsewhere than write-only values.
    #[serde(rename = "p")]
    plain: String,
}

/// A configuration whose write-only values are not compared.
#[derive(Clone, Debug)]
pub struct Renewed {
    version: Value,
    plain: Given<String>,
}

impl Renewed {
    /// `None` where the user wants them compared.
    pub fn of(config: &Value, settings: &Settings) -> Option<Self> {
        let version = config.get(VERSION);
        (!version.is_null()).then(|| Self { version: version.clone(), plain: plain(config, settings) })
    }

    /// Whether the configuration is to be applied: the version changed, or what is compared did, or the node shows another
    /// configuration than it was given. `None` while that is not known.
    pub fn is_due(&self, prior: &Value, applied: Option<&Applied>, parsed: &Parsed) -> Option<bool> {
        let before = prior.get(VERSION);
        if self.version.is_unknown() {
            return None;
        }
        if !before.is_null() && *before != self.version {
            return Some(true);
        }
        let shown = prior.get("config_hash").as_str();
        match applied {
            Some(applied) if shown != Some(applied.config.as_str()) => Some(true),
            Some(applied) => self.plain.value().map(|plain| *plain != applied.plain),
            // Nothing was applied in this way yet: values that do not change need no apply.
            None => parsed.worker.value().map(|worker| shown != Some(worker.hash.as_str())),
        }
    }

    /// To be remembered of a configuration with this hash that was applied.
    pub fn applied(&self, config: &str) -> Option<Applied> {
        Some(Applied { config: config.to_owned(), plain: self.plain.value()?.clone() })
    }
}

/// Hash of what does not come from write-only values. Where nothing can be rendered without them, it is that of the name and
/// the patches alone.
fn plain(config: &Value, settings: &Settings) -> Given<String> {
    let mut shown = config.clone();
    for attribute in OUTER {
        shown.set(attribute, Value::Null);
    }
    hide(&mut shown);
    let draft = model::draft(&shown, settings);
    let mut findings = Findings::default();
    let opened = door::open(&draft, &mut findings);
    let hostname = draft.hostname.clone().or(opened.defaults.hostname.clone());
    match Worker::render(&opened, draft.patches(), &hostname, None, &mut findings) {
        (Given::Value(worker), _) => Given::Value(worker.hash),
        (Given::Unknown, _) => Given::Unknown,
        (Given::Absent, Some(config)) => Given::Value(config.content_hash(&HashOptions::default())),
        (Given::Absent, None) => name_and_patches(&draft),
    }
}

fn name_and_patches(draft: &Draft) -> Given<String> {
    let patches = match &draft.config_patches {
        Given::Unknown => return Given::Unknown,
        Given::Absent => &[][..],
        Given::Value(patches) => patches,
    };
    if draft.hostname.is_unknown() || patches.iter().any(Given::is_unknown) {
        return Given::Unknown;
    }
    let mut hash = Sha256::new();
    let name = draft.hostname.value().map(String::as_str);
    let patches = patches.iter().filter_map(Given::value).map(|patch| patch.expose().as_str());
    for part in name.into_iter().chain(patches) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Given::Value(hex::encode(hash.finalize()))
}

fn hide(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            for (name, value) in entries {
                if INNER.contains(&name.as_str()) { cover(value) } else { hide(value) }
            }
        }
        Value::List(elements) => elements.iter_mut().for_each(hide),
        _ => {}
    }
}

/// The names of variables are compared, their values are not. A map that is open as a whole stays open.
fn cover(value: &mut Value) {
    match value {
        Value::Map(entries) => entries.values_mut().for_each(|value| *value = PLACEHOLDER.into()),
        Value::String(_) => *value = PLACEHOLDER.into(),
        _ => {}
    }
}
