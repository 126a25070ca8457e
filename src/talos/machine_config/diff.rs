//! What differs between two configurations, fit to be shown.

use super::MachineConfig;
use super::hash;
use super::redact::looks_secret;
use super::types::{Struct, Type};
use super::yaml::{Node, Tag, Value};

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the new configuration has it.
    Added,
    /// Only the old configuration has it.
    Removed,
    /// Both have it, with different values.
    Changed,
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, such as `machine.install.disk` or `LinkConfig/net0.mtu`.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The old value, when it may be shown.
    pub old: Option<String>,
    /// The new value, when it may be shown.
    pub new: Option<String>,
}

/// One value of a configuration, to be remembered without being kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its document, such as `LinkConfig/net0`; empty for the v1alpha1 document.
    pub document: String,
    /// Where, as in [`Change::path`].
    pub path: String,
    /// SHA-256 of the content. A short secret can be guessed from it: it must be keyed before it is stored.
    pub digest: [u8; 32],
    /// The value, when it may be shown.
    pub shown: Option<String>,
}

impl MachineConfig {
    /// All values by path, as [`MachineConfig::diff`] would list them, had everything been added.
    pub fn leaves(&self) -> Vec<Leaf> {
        let (mut changes, mut leaves) = (Vec::new(), Vec::new());
        for document in &self.documents {
            let first = leaves.len();
            let mut walk = Walk::new(prefix(document.id()), &mut changes);
            walk.leaves = Some(&mut leaves);
            walk.fields(document.kind().body, None, Some(&document.decoded()));
            for leaf in leaves.iter_mut().skip(first) {
                leaf.document = prefix(document.id());
            }
        }
        leaves
    }

    /// What differs between this (old) and another (new) configuration, by path. Values are shown for
    /// numbers, booleans and texts known to be harmless; all others are left out.
    pub fn diff(&self, new: &MachineConfig) -> Vec<Change> {
        let mut changes = Vec::new();
        for left in &self.documents {
            let right = new.documents.iter().find(|right| right.id() == left.id());
            let mut walk = Walk::new(prefix(left.id()), &mut changes);
            match right {
                Some(right) => walk.fields(left.kind().body, Some(&left.decoded()), Some(&right.decoded())),
                None => walk.document(ChangeKind::Removed),
            }
        }
        for right in &new.documents {
            if !self.documents.iter().any(|left| left.id() == right.id()) {
                Walk::new(prefix(right.id()), &mut changes).document(ChangeKind::Added);
            }
        }
        changes
    }
}

fn prefix(id: &super::DocumentId) -> String {
    if id.kind == "v1alpha1" { String::new() } else { id.to_string() }
}

/// Fields whose texts say nothing secret.
const HARMLESS: [&str; 46] = [
    "address", "addresses", "allowedIPs", "auto", "bondMode", "certSANs", "clusterDNS", "clusterName", "destination",
    "disk", "dnsDomain", "domain", "driver", "endpoint", "gateway", "hardwareAddr", "hostname", "hostnames", "image",
    "ingress", "interface", "ip", "kind", "link", "links", "match", "maxSize", "metric", "minSize", "mode", "mountPath",
    "name", "nameservers", "network", "parent", "path", "podSubnets", "protocol", "searchDomains", "serviceSubnets",
    "servers", "source", "subnet", "type", "validSubnets", "version",
];

struct Walk<'a> {
    path: String,
    changes: &'a mut Vec<Change>,
    /// Where the values themselves go, when they are asked for.
    leaves: Option<&'a mut Vec<Leaf>>,
    /// Inside a field that is secret as a whole.
    secret: bool,
    /// The last field's name, by which texts are judged.
    field: &'static str,
}

impl<'a> Walk<'a> {
    fn new(path: String, changes: &'a mut Vec<Change>) -> Self {
        Self { path, changes, leaves: None, secret: false, field: "" }
    }

    fn document(&mut self, kind: ChangeKind) {
        let path = if self.path.is_empty() { "v1alpha1".to_owned() } else { self.path.clone() };
        self.changes.push(Change { path, kind, old: None, new: None });
    }

    fn value(&mut self, ty: Type, left: Option<&Node>, right: Option<&Node>) {
        if left.zip(right).is_some_and(|(left, right)| left.same_content(right)) || (left.is_none() && right.is_none()) {
            return;
        }
        // A section that is there but empty is not an absent one.
        if left.is_none() != right.is_none() && left.or(right).is_some_and(is_hollow) {
            return self.leaf(left, right);
        }
        match ty {
            Type::Pointer(inner) if is_open(left) && is_open(right) => self.value(*inner, left, right),
            Type::Struct(body) if is_open(left) && is_open(right) => self.fields(body, left, right),
            Type::List(inner, _) => self.items(*inner, left, right),
            Type::Map(inner) => self.entries(*inner, left, right),
            Type::Unstructured | Type::Args => self.entries(Type::Any, left, right),
            Type::Any => match (left.or(right)).map(|node| &node.value) {
                Some(Value::Mapping(_)) if is_mapping(left) && is_mapping(right) => self.entries(Type::Any, left, right),
                Some(Value::Sequence(_)) if is_list(left) && is_list(right) => self.items(Type::Any, left, right),
                _ => self.leaf(left, right),
            },
            _ => self.leaf(left, right),
        }
    }

    fn fields(&mut self, body: &'static Struct, left: Option<&Node>, right: Option<&Node>) {
        for field in body.fields {
            let (left, right) = (left.and_then(|node| node.get(field.name)), right.and_then(|node| node.get(field.name)));
            let before = (self.secret, self.field);
            self.secret |= field.secret();
            self.field = field.name;
            self.below(field.name, |walk| walk.value(field.ty, left, right));
            (self.secret, self.field) = before;
        }
    }

    fn items(&mut self, inner: Type, left: Option<&Node>, right: Option<&Node>) {
        let items = |node: Option<&'_ Node>| node.and_then(Node::as_sequence).map(<[Node]>::to_vec).unwrap_or_default();
        let (left, right) = (items(left), items(right));
        for index in 0..left.len().max(right.len()) {
            let key = format!("[{index}]");
            self.below(&key, |walk| walk.value(inner, left.get(index), right.get(index)));
        }
    }

    fn entries(&mut self, inner: Type, left: Option<&Node>, right: Option<&Node>) {
        let keys = |node: Option<&'_ Node>| {
            let entries = node.and_then(Node::as_mapping).unwrap_or_default();
            entries.iter().filter_map(|entry| entry.key.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let mut all = keys(left);
        all.extend(keys(right));
        all.sort();
        all.dedup();
        for key in all {
            let (left, right) = (left.and_then(|node| node.get(&key)), right.and_then(|node| node.get(&key)));
            self.below(&key, |walk| walk.value(inner, left, right));
        }
    }

    fn leaf(&mut self, left: Option<&Node>, right: Option<&Node>) {
        let shown = self.shown(right);
        if let (Some(leaves), Some(node)) = (self.leaves.as_deref_mut(), right) {
            leaves.push(Leaf { document: String::new(), path: self.path.clone(), digest: hash::of(node), shown });
            return;
        }
        let kind = match (left, right) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        let change = Change { path: self.path.clone(), kind, old: self.shown(left), new: self.shown(right) };
        self.changes.push(change);
    }

    fn shown(&self, node: Option<&Node>) -> Option<String> {
        let scalar = node?.as_scalar()?;
        let harmless = match scalar.tag {
            Tag::Bool | Tag::Int | Tag::Float | Tag::Null => true,
            Tag::Str | Tag::Timestamp => HARMLESS.contains(&self.field) && !looks_secret(&scalar.text),
        };
        (harmless && !self.secret).then(|| scalar.text.clone())
    }

    fn below(&mut self, key: &str, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !key.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(key);
        walk(self);
        self.path.truncate(length);
    }
}

fn is_hollow(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Scalar(_) => false,
    }
}

fn is_open(node: Option<&Node>) -> bool {
    node.is_none_or(|node| !node.is_null())
}

fn is_mapping(node: Option<&Node>) -> bool {
    node.is_none_or(|node| node.as_mapping().is_some())
}

fn is_list(node: Option<&Node>) -> bool {
    node.is_none_or(|node| node.as_sequence().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> Vec<String> {
        let parse = |text| MachineConfig::parse(text).expect("a configuration");
        let line = |change: Change| format!("{:?} {} {:?} {:?}", change.kind, change.path, change.old, change.new);
        parse(old).diff(&parse(new)).into_iter().map(line).collect()
    }

    #[test]
    fn differences_are_listed_by_path() {
        let old = "machine: {install: {disk: /dev/sda, wipe: false}, certSANs: [a, b], nodeLabels: {x: '1'}}";
        let new = "machine: {install: {disk: /dev/sdb, wipe: true}, certSANs: [a], nodeLabels: {x: '2'}}\n---\n{apiVersion: v1alpha1, kind: LinkConfig, name: net0}";
        assert_eq!(
            diff(old, new),
            [
                "Removed machine.certSANs[1] Some(\"b\") None",
                "Changed machine.install.disk Some(\"/dev/sda\") Some(\"/dev/sdb\")",
                "Changed machine.install.wipe Some(\"false\") Some(\"true\")",
                "Changed machine.nodeLabels.x None None",
                "Added LinkConfig/net0 None None",
            ]
        );
        assert!(diff(old, old).is_empty());
    }

    #[test]
    fn every_value_has_a_leaf_and_secrets_are_not_shown_in_it() {
        let text = "machine: {token: hunter2, install: {disk: /dev/sda}}\n---\n{apiVersion: v1alpha1, kind: LinkConfig, name: net0, mtu: 1400}";
        let config = MachineConfig::parse(text).expect("a configuration");
        let leaves = config.leaves();
        let of = |path: &str| leaves.iter().find(|leaf| leaf.path == path).unwrap_or_else(|| panic!("no {path}: {leaves:?}"));
        assert_eq!(of("machine.install.disk").shown.as_deref(), Some("/dev/sda"));
        assert_eq!(of("machine.token").shown, None);
        assert_eq!(of("LinkConfig/net0.mtu").document, "LinkConfig/net0");
        assert!(!format!("{leaves:?}").contains("hunter2"));
        let other = MachineConfig::parse(&text.replace("hunter2", "other")).expect("a configuration").leaves();
        let differ: Vec<_> = leaves.iter().zip(&other).filter(|(a, b)| a != b).map(|(a, _)| a.path.as_str()).collect();
        assert_eq!(differ, ["machine.token"]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let old = "{machine: {token: hunter2, env: {A: hunter2}}, cluster: {secret: hunter2}}";
        let new = "{machine: {token: other, env: {A: other}}, cluster: {secret: other}}";
        let text = diff(old, new).join("\n");
        assert!(text.contains("machine.token") && !text.contains("hunter2") && !text.contains("other"), "{text}");
    }
}
