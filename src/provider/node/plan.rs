//! What a plan promises.

use sha2::{Digest, Sha256};

use crate::node::given::Given;
use crate::node::spec::{Activation, ApplyMode, Image, Parsed};
use crate::provider::node::model;
use crate::provider::node::remembered::Remembered;
use crate::provider::node::renewed::Renewed;
use crate::provision::foresee::apply_reboots;
use crate::provision::phase::sequence;
use crate::talos::version::TalosVersion;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::path::Path;
use crate::tfplugin::value::Value;

/// Plans a create: everything that follows from the configuration is known now, but for values that are `renewed`.
pub fn create(mut planned: Value, parsed: &Parsed, renewed: Option<&Renewed>) -> Value {
    planned.set("phase", "joined");
    planned.set("steps", steps(parsed));
    planned.set("config_changes", Value::list(Vec::<Value>::new()));
    planned.set("reboot_expected", true);
    promise(&mut planned, parsed, if renewed.is_some() { Value::Unknown } else { config_hash(parsed) });
    planned.set("node_name", node_name(parsed));
    planned
}

/// What an update is planned from.
pub struct Update<'a> {
    /// The state.
    pub prior: &'a Value,
    /// The configuration as it was written.
    pub config: &'a Value,
    /// The state judged: what it held of the configuration.
    pub before: &'a Parsed,
    /// The state to come, with all computed values open.
    pub changed: Value,
    /// The configuration judged.
    pub parsed: &'a Parsed,
    /// The configuration that the node had last.
    pub remembered: Option<&'a Remembered>,
    /// Set where write-only values are not compared.
    pub renewed: Option<&'a Renewed>,
}

impl Update<'_> {
    /// Plans an update, or nothing: then the prior state.
    pub fn plan(self) -> Value {
        let (apply, hash) = self.configuration();
        let Self { prior, config, before, changed, parsed, remembered, renewed } = self;
        let changed = in_old_clothes(prior, before, changed, parsed);
        let mut wanted = prior.clone();
        promise(&mut wanted, parsed, hash.clone());
        for attribute in ["endpoint", "talos_port"] {
            wanted.set(attribute, changed.get(attribute).clone());
        }
        let steps = update_steps(prior, &wanted, apply, kubernetes(parsed));
        let quiet = steps.as_ref().is_some_and(Vec::is_empty);
        if quiet && settled_like(&changed, prior, config) == *prior {
            return prior.clone();
        }
        let mut planned = changed;
        promise(&mut planned, parsed, hash);
        let stuck = quiet && prior.get("phase").as_str() == Some(model::CORDONED);
        planned.set("phase", if stuck { model::CORDONED } else { model::JOINED });
        // A name that is only staged shows after a reboot.
        let renamed = parsed.apply_mode != ApplyMode::Staged || quiet;
        planned.set("node_name", if renamed { node_name(parsed) } else { Value::Unknown });
        planned.set("steps", steps.as_ref().map_or(Value::Unknown, |steps| Value::list(steps.iter().copied())));
        if quiet {
            // Only settings of the provider itself change: what was learned from the node stays.
            for attribute in ["extensions", "platform", "addresses", "config_changes", "reboot_expected", "node_name"] {
                planned.set(attribute, prior.get(attribute).clone());
            }
            // What is still open may turn out to be as it was: then nothing changes, not even the steps in the state.
            if !config.is_wholly_known() {
                planned.set("steps", Value::Unknown);
            }
        } else if let Some(steps) = steps {
            foresee(&mut planned, &steps, parsed, remembered, renewed.is_some());
        }
        planned
    }

    /// Whether the configuration is to be applied, and its hash when that is done.
    fn configuration(&self) -> (Option<bool>, Value) {
        let before = self.prior.get("config_hash");
        let applied = self.remembered.and_then(Remembered::applied);
        match self.renewed.map(|renewed| renewed.is_due(self.prior, applied, self.parsed)) {
            Some(Some(false)) => (Some(false), before.clone()),
            Some(due) => (due, Value::Unknown),
            None => {
                let hash = config_hash(self.parsed);
                ((!hash.is_unknown()).then(|| hash != *before), hash)
            }
        }
    }
}

/// Whether Kubernetes can be asked.
fn kubernetes(parsed: &Parsed) -> Option<bool> {
    (!parsed.kubeconfig.is_unknown()).then(|| !parsed.kubeconfig.is_absent())
}

/// Attributes whose change makes a new machine. What an import could not know is no change.
pub fn replaces(prior: &Value, planned: &Value, imported: bool) -> Vec<Path> {
    let changed = |attribute: &str| prior.get(attribute) != planned.get(attribute);
    let mut paths = Vec::new();
    if !prior.get("instance_id").is_null() && !planned.get("instance_id").is_null() && changed("instance_id") {
        paths.push(Path::root().attribute("instance_id"));
    }
    if changed("reflash") && !(imported && prior.get("reflash").is_null()) {
        paths.push(Path::root().attribute("reflash"));
    }
    paths
}

/// The installer of the wanted version refuses a node that is too old or too new for it; better told now.
pub fn refused_upgrade(prior: &Value, parsed: &Parsed) -> Option<Diagnostic> {
    let found: TalosVersion = prior.get("talos_version").as_str()?.parse().ok()?;
    let wanted = &parsed.image.value()?.talos_version;
    let why = wanted.can_upgrade_from(&found).err()?;
    let detail = format!(
        "{why}.\n\nhint: set image.talos_version to a version that the node can be upgraded to from {found}, or change reflash \
         to flash the machine anew.\n\n(rule upgrade-path)"
    );
    Some(
        Diagnostic::error("Talos Refuses This Upgrade", detail)
            .at(Path::root().attribute("image").attribute("talos_version")),
    )
}

/// A configuration that only reads differently stays as it stands in the state: the plan is then empty.
fn in_old_clothes(prior: &Value, before: &Parsed, mut changed: Value, parsed: &Parsed) -> Value {
    let same = match (before.worker.value(), parsed.worker.value()) {
        (Some(old), Some(new)) => old.hash == new.hash,
        _ => false,
    };
    for attribute in ["machine_configuration", "config_patches"] {
        let (old, new) = (prior.get(attribute), changed.get(attribute));
        if same && !old.is_null() && !new.is_null() && old != new {
            changed.set(attribute, old.clone());
        }
    }
    changed
}

/// With what is open and was left to us filled in from the state. What the user wrote stays open: it may become the address
/// or the id of another machine.
fn settled_like(changed: &Value, prior: &Value, config: &Value) -> Value {
    let mut settled = changed.clone();
    for (attribute, value) in changed.as_map().into_iter().flatten() {
        if value.is_unknown() && config.get(attribute).is_null() {
            settled.set(attribute.as_str(), prior.get(attribute).clone());
        }
    }
    settled
}

/// What changes in the configuration, and whether the node reboots for it. `open` are changes that may be others when it is
/// applied.
fn foresee(planned: &mut Value, steps: &[&str], parsed: &Parsed, remembered: Option<&Remembered>, open: bool) {
    let (Some(worker), Some(image)) = (parsed.worker.value(), parsed.image.value()) else { return };
    let upgrades = steps.contains(&"upgrade");
    if !steps.contains(&"apply") {
        planned.set("config_changes", Value::list(Vec::<Value>::new()));
        planned.set("reboot_expected", upgrades);
        return;
    }
    let Some(remembered) = remembered.filter(|remembered| !remembered.is_blank() && !open) else {
        // Nothing to compare with: `settled` says so after the apply.
        if upgrades {
            planned.set("reboot_expected", true);
        }
        return;
    };
    let changes = remembered.changes(&Remembered::of(&worker.config));
    let paths = changes.iter().map(|change| change.path.as_str());
    let reboots = upgrades || apply_reboots(&image.talos_version, parsed.apply_mode, paths);
    planned.set("reboot_expected", reboots);
    planned.set("config_changes", model::changes(&changes));
}

/// What could not be foreseen of changes that are made anew at each run, now that they were made.
pub fn seen_at_last(state: &mut Value, parsed: &Parsed, remembered: Option<&Remembered>) {
    let steps = state.get("steps").clone();
    let steps: Vec<&str> = steps.as_list().unwrap_or_default().iter().filter_map(Value::as_str).collect();
    let mut seen = state.clone();
    foresee(&mut seen, &steps, parsed, remembered, false);
    for attribute in ["config_changes", "reboot_expected"] {
        if state.get(attribute).is_unknown() {
            state.set(attribute, seen.get(attribute).clone());
        }
    }
}

/// The hashes and versions that hold when the apply is done.
fn promise(state: &mut Value, parsed: &Parsed, config_hash: Value) {
    state.set("config_hash", config_hash);
    state.set("image_hash", known(&parsed.image, image_hash));
    state.set("talos_version", known(&parsed.image, |image| image.talos_version.to_string()));
    state.set("schematic_id", known(&parsed.image, |image| image.schematic.to_string()));
    // What the user wrote stays; what was left out comes from the configuration.
    if state.get("hostname").is_unknown() {
        state.set("hostname", name(parsed));
    }
}

/// Files can change between a plan and its apply. What was not looked at is not applied: the state would hold the hash of the
/// planned configuration, and the node another one.
pub fn changed_since(planned: &Value, parsed: &Parsed) -> Option<Diagnostic> {
    let (promised, found) = (planned.get("config_hash").as_str()?, &parsed.worker.value()?.hash);
    (promised != found).then(|| {
        let detail = "The machine configuration is not the one that was planned: its files, or values that are never stored, \
                      changed since. Nothing was done.\n\nhint: plan again, and apply that. Where a value is made anew at each run, set \
                      config_wo_version.";
        Diagnostic::error("Configuration Changed Since the Plan", detail)
    })
}

/// What could not be promised at plan, now that it is known.
pub fn keep(state: &mut Value, parsed: &Parsed) {
    let mut kept = state.clone();
    promise(&mut kept, parsed, config_hash(parsed));
    for attribute in ["hostname", "config_hash", "image_hash"] {
        if state.get(attribute).is_unknown() {
            state.set(attribute, kept.get(attribute).clone());
        }
    }
}

fn config_hash(parsed: &Parsed) -> Value {
    known(&parsed.worker, |worker| worker.hash.clone())
}

fn known<T>(given: &Given<T>, text: impl FnOnce(&T) -> String) -> Value {
    given.value().map_or(Value::Unknown, |value| text(value).into())
}

fn name(parsed: &Parsed) -> Value {
    known(&parsed.hostname, Clone::clone)
}

fn node_name(parsed: &Parsed) -> Value {
    known(&parsed.node_name, Clone::clone)
}

/// Steps of a create. Which of them `auto` needs on a machine that already runs Talos is only seen at apply.
fn steps(parsed: &Parsed) -> Value {
    let Some(flashes) = parsed.flashes.value().copied() else {
        return Value::Unknown;
    };
    if parsed.activation == Activation::Auto && !flashes {
        return Value::Unknown;
    }
    Value::list(sequence(flashes, parsed.activation).iter().map(|phase| phase.name()))
}

/// Steps of an update: each change maps to its cheapest action, `apply` to a changed configuration. `None` while something is
/// unknown. Without a kubeconfig a node that was left cordoned stays so: a step that cannot be done is not promised.
pub fn update_steps(
    prior: &Value,
    wanted: &Value,
    apply: Option<bool>,
    kubernetes: Option<bool>,
) -> Option<Vec<&'static str>> {
    let differs = |attribute: &str| -> Option<bool> {
        let wanted = wanted.get(attribute);
        if wanted.is_unknown() { None } else { Some(wanted != prior.get(attribute)) }
    };
    let mut steps = Vec::new();
    // Who answers at another address may be another machine: nothing is said to it before that is clear.
    let moved = differs("endpoint")? || differs("talos_port")?;
    // New keys of a configuration may need the new Talos: the upgrade comes first.
    if differs("talos_version")? || differs("schematic_id")? {
        steps.push("upgrade");
    }
    if apply? {
        steps.push("apply");
    }
    // An update that failed after its last change still owes the proof that the node is well.
    if steps.is_empty() && prior.get("phase").as_str() == Some(model::CHANGING) {
        steps.push("join");
    }
    if prior.get("phase").as_str() == Some(model::CORDONED) && kubernetes? {
        steps.push("uncordon");
    }
    if moved {
        steps.insert(0, "verify");
    }
    Some(steps)
}

/// Hash of what makes an upgrade necessary.
pub fn image_hash(image: &Image) -> String {
    hex::encode(Sha256::digest(format!("{}\n{}\n", image.schematic, image.talos_version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(config: &str, version: &str) -> Value {
        Value::object([("config_hash", config.into()), ("talos_version", version.into()), ("schematic_id", "s".into())])
    }

    fn steps(prior: &Value, wanted: &Value, kubernetes: bool) -> Option<Vec<&'static str>> {
        let (old, new) = (prior.get("config_hash"), wanted.get("config_hash"));
        update_steps(prior, wanted, (!new.is_unknown()).then(|| old != new), Some(kubernetes))
    }

    #[test]
    fn each_change_maps_to_its_cheapest_action() {
        let prior = state("a", "v1.12.2");
        let cases: [(Value, &[&str]); 6] = [
            (state("a", "v1.12.2"), &[]),
            (state("b", "v1.12.2"), &["apply"]),
            (state("a", "v1.13.9"), &["upgrade"]),
            (state("b", "v1.13.9"), &["upgrade", "apply"]),
            (state("a", "v1.12.2").with("endpoint", "10.0.0.1"), &["verify"]),
            (state("b", "v1.12.2").with("talos_port", 1), &["verify", "apply"]),
        ];
        for (wanted, expected) in cases {
            assert_eq!(steps(&prior, &wanted, true).as_deref(), Some(expected));
        }
        let halfway = prior.clone().with("phase", "changing");
        assert_eq!(steps(&halfway, &prior, true).as_deref(), Some(&["join"][..]));
        let cordoned = prior.clone().with("phase", "cordoned");
        assert_eq!(steps(&cordoned, &prior, true).as_deref(), Some(&["uncordon"][..]));
        assert_eq!(steps(&cordoned, &state("b", "v1.12.2"), true).as_deref(), Some(&["apply", "uncordon"][..]));
        assert_eq!(steps(&cordoned, &prior, false).as_deref(), Some(&[][..]));
        assert_eq!(update_steps(&cordoned, &prior, Some(false), None), None, "whether there is a kubeconfig is open");
    }

    #[test]
    fn an_unknown_configuration_or_address_leaves_the_steps_open() {
        let prior = state("a", "v1.12.2");
        assert_eq!(steps(&prior, &prior.clone().with("config_hash", Value::Unknown), true), None);
        assert_eq!(steps(&prior, &prior.clone().with("endpoint", Value::Unknown), true), None);
    }

    #[test]
    fn only_another_machine_or_another_reflash_replaces() {
        let with = |id: Value, reflash: Value| Value::object([("instance_id", id), ("reflash", reflash)]);
        let count = |prior: &Value, planned: &Value, imported| replaces(prior, planned, imported).len();
        let (none, one) = (with(Value::Null, Value::Null), with("a".into(), "1".into()));
        assert_eq!(count(&one, &one, false), 0);
        assert_eq!(count(&one, &with("b".into(), "1".into()), false), 1);
        assert_eq!(count(&one, &with(Value::Unknown, "1".into()), false), 1);
        assert_eq!(
            count(&none, &with("a".into(), Value::Null), false),
            0,
            "an id that was not known is no other machine"
        );
        assert_eq!(count(&none, &with(Value::Null, "1".into()), false), 1);
        assert_eq!(count(&none, &with(Value::Null, "1".into()), true), 0, "an import knows no reflash");
        assert_eq!(count(&one, &with("a".into(), Value::Null), true), 1);
    }
}
