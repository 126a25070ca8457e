//! What a plan promises.

use sha2::{Digest, Sha256};

use crate::node::given::Given;
use crate::node::spec::{Activation, Flash, Image, Parsed};
use crate::provision::phase::sequence;
use crate::tfplugin::value::Value;

/// Plans a create: everything that follows from the configuration is known now.
pub fn create(mut planned: Value, parsed: &Parsed) -> Value {
    planned.set("phase", "joined");
    planned.set("steps", steps(parsed));
    planned.set("config_changes", Value::list(Vec::<Value>::new()));
    planned.set("reboot_expected", true);
    promise(&mut planned, parsed);
    planned.set("node_name", name(parsed));
    planned
}

/// Plans an update, or nothing: `unchanged` is the prior state, `changed` the same with all computed values open.
pub fn update(prior: &Value, unchanged: Value, changed: Value, parsed: &Parsed) -> Value {
    let mut wanted = prior.clone();
    promise(&mut wanted, parsed);
    let steps = update_steps(prior, &wanted);
    if steps.as_ref().is_some_and(Vec::is_empty) && unchanged == *prior {
        return unchanged;
    }
    let mut planned = changed;
    promise(&mut planned, parsed);
    planned.set("phase", "joined");
    planned.set("node_name", name(parsed));
    let quiet = steps.as_ref().is_some_and(Vec::is_empty);
    planned.set("steps", steps.as_ref().map_or(Value::Unknown, |steps| Value::list(steps.iter().copied())));
    if quiet {
        // Only settings of the provider itself change: what was learned from the node stays.
        for attribute in ["extensions", "platform", "addresses", "config_changes", "reboot_expected"] {
            planned.set(attribute, prior.get(attribute).clone());
        }
    }
    planned
}

/// The hashes and versions that hold when the apply is done.
fn promise(state: &mut Value, parsed: &Parsed) {
    state.set("config_hash", known(&parsed.worker, |worker| worker.hash.clone()));
    state.set("image_hash", known(&parsed.image, image_hash));
    state.set("talos_version", known(&parsed.image, |image| image.talos_version.to_string()));
    state.set("schematic_id", known(&parsed.image, |image| image.schematic.to_string()));
    // What the user wrote stays; what was left out comes from the configuration.
    if state.get("hostname").is_unknown() {
        state.set("hostname", name(parsed));
    }
}

fn known<T>(given: &Given<T>, text: impl FnOnce(&T) -> String) -> Value {
    given.value().map_or(Value::Unknown, |value| text(value).into())
}

fn name(parsed: &Parsed) -> Value {
    known(&parsed.hostname, Clone::clone)
}

/// Steps of a create. Which of them `auto` needs on a machine that already runs Talos is only seen at apply.
fn steps(parsed: &Parsed) -> Value {
    let Some(flash) = parsed.flash.value() else {
        return Value::Unknown;
    };
    if parsed.activation == Activation::Auto && matches!(flash, Flash::None) {
        return Value::Unknown;
    }
    Value::list(sequence(flash, parsed.activation).iter().map(|phase| phase.name()))
}

/// Steps of an update: each change maps to its cheapest action. `None` while something is unknown.
pub fn update_steps(prior: &Value, wanted: &Value) -> Option<Vec<&'static str>> {
    let differs = |attribute: &str| -> Option<bool> {
        let wanted = wanted.get(attribute);
        if wanted.is_unknown() { None } else { Some(wanted != prior.get(attribute)) }
    };
    let mut steps = Vec::new();
    // New keys of a configuration may need the new Talos: the upgrade comes first.
    if differs("talos_version")? || differs("schematic_id")? {
        steps.push("upgrade");
    }
    if differs("config_hash")? {
        steps.push("apply");
    }
    Some(steps)
}

/// Hash of what makes an upgrade necessary.
fn image_hash(image: &Image) -> String {
    hex::encode(Sha256::digest(format!("{}\n{}\n", image.schematic, image.talos_version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(config: &str, version: &str) -> Value {
        Value::object([
            ("config_hash", config.into()),
            ("talos_version", version.into()),
            ("schematic_id", "s".into()),
        ])
    }

    #[test]
    fn each_change_maps_to_its_cheapest_action() {
        let prior = state("a", "v1.12.2");
        let cases: [(Value, &[&str]); 4] = [
            (state("a", "v1.12.2"), &[]),
            (state("b", "v1.12.2"), &["apply"]),
            (state("a", "v1.13.9"), &["upgrade"]),
            (state("b", "v1.13.9"), &["upgrade", "apply"]),
        ];
        for (wanted, steps) in cases {
            assert_eq!(update_steps(&prior, &wanted).as_deref(), Some(steps));
        }
    }

    #[test]
    fn an_unknown_configuration_leaves_the_steps_open() {
        let wanted = state("a", "v1.12.2").with("config_hash", Value::Unknown);
        assert_eq!(update_steps(&state("a", "v1.12.2"), &wanted), None);
    }
}
