//! Which Talos releases know a configuration's documents and fields.

use super::MachineConfig;
use super::types::{Struct, Type};
use super::yaml::{Node, Value};

impl MachineConfig {
    /// What Talos of that release refuses as unknown, by path: kinds and fields that came later. The engine
    /// itself takes everything up to 1.14.
    pub fn unknown_to(&self, release: (u64, u64)) -> Vec<String> {
        let minor = match release {
            (0, _) => 0,
            (1, minor) => u8::try_from(minor).unwrap_or(u8::MAX),
            _ => u8::MAX,
        };
        let mut unknown = Vec::new();
        for document in &self.documents {
            let prefix = if document.is_v1alpha1() { String::new() } else { document.id().to_string() };
            // Everything of 1.12 and before counts as 1.12.
            if document.kind().since > minor.max(12) {
                unknown.push(prefix);
                continue;
            }
            fields(document.kind().body, document.root(), minor.max(12), &prefix, &mut unknown);
        }
        unknown
    }
}

fn fields(body: &'static Struct, node: &Node, minor: u8, path: &str, unknown: &mut Vec<String>) {
    for entry in node.as_mapping().unwrap_or_default() {
        let Some(field) = entry.key.as_str().and_then(|key| body.field(key)) else { continue };
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", field.name);
        if field.since() > minor {
            unknown.push(path);
        } else {
            value(field.ty, &entry.value, minor, &path, unknown);
        }
    }
}

fn value(ty: Type, node: &Node, minor: u8, path: &str, unknown: &mut Vec<String>) {
    match (ty, &node.value) {
        (Type::Pointer(inner), _) => value(*inner, node, minor, path, unknown),
        (Type::Struct(body), _) => fields(body, node, minor, path, unknown),
        (Type::List(inner, _), Value::Sequence(items)) => {
            for (index, item) in items.iter().enumerate() {
                value(*inner, item, minor, &format!("{path}[{index}]"), unknown);
            }
        }
        (Type::Map(inner), Value::Mapping(entries)) => {
            for entry in entries {
                let key = entry.key.as_str().unwrap_or_default();
                value(*inner, &entry.value, minor, &format!("{path}.{key}"), unknown);
            }
        }
        // Until 1.13 an argument is one text.
        (Type::Args, Value::Mapping(entries)) if minor < 13 => {
            let lists = entries.iter().filter(|entry| entry.value.as_sequence().is_some());
            unknown.extend(lists.map(|entry| format!("{path}.{}", entry.key.as_str().unwrap_or_default())));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_later_is_named() {
        let text = "machine: {kubelet: {extraArgs: {v: ['4']}}}\n---\n{apiVersion: v1alpha1, kind: KubeSpanConfig, enabled: true}\n---\n{apiVersion: v1alpha1, kind: DHCPv4Config, name: a, ignoreRoutes: true}\n";
        let config = MachineConfig::parse(text).expect("a configuration");
        let later = ["machine.kubelet.extraArgs.v", "KubeSpanConfig", "DHCPv4Config/a.ignoreRoutes"];
        assert_eq!(config.unknown_to((1, 12)), later);
        assert_eq!(config.unknown_to((1, 13)), later[2..]);
        assert!(config.unknown_to((1, 14)).is_empty());
    }

    #[test]
    fn the_mounts_of_volumes_have_the_fields_of_their_kind_and_release() {
        let existing = "{apiVersion: v1alpha1, kind: ExistingVolumeConfig, name: a, mount: {readOnly: true}}";
        let config = MachineConfig::parse(existing).expect("a configuration");
        assert!(config.unknown_to((1, 12)).is_empty());
        let system = "{apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL, mount: {readOnly: true}}";
        let error = MachineConfig::parse(system).expect_err("no field of system volumes").to_string();
        assert!(error.contains("mount: unknown key \"readOnly\""), "{error}");
    }
}
