//! Properties that hold for every configuration, tried on random ones made from the type table.

use proptest::prelude::*;

use super::types::{self, Kind, Struct, TextKind, Type};
use super::yaml::{self, Entry, Node, Scalar, Tag, Value};
use super::{HashOptions, MachineConfig, Mode};
use crate::talos::version::TalosVersion;

/// What stands in every secret field, and nowhere else.
const SECRET: &str = "qZx7secretBytes";

/// A small random generator: proptest shrinks its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len() as u64) as usize]
    }
}

fn document(dice: &mut Dice, kind: &'static Kind) -> Node {
    let mut body = fields(dice, kind.body, 0);
    let Value::Mapping(entries) = &mut body.value else { return body };
    entries.retain(|entry| !matches!(entry.key.as_str(), Some("apiVersion" | "kind")));
    if kind.kind == "v1alpha1" {
        if entries.iter().all(|entry| !matches!(entry.key.as_str(), Some("machine" | "cluster" | "debug" | "persist")))
        {
            entries.push(entry("debug", Node::boolean(false)));
        }
    } else {
        entries.push(entry("kind", Node::string(kind.kind)));
        entries.push(entry("apiVersion", Node::string("v1alpha1")));
    }
    body
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: Node::string(key), value }
}

fn fields(dice: &mut Dice, body: &'static Struct, depth: u64) -> Node {
    let mut entries = Vec::new();
    for field in body.fields {
        if dice.roll(3 + depth) == 0 {
            let value = if field.secret() { secret(field.ty) } else { value(dice, field.ty, depth + 1) };
            entries.push(entry(field.name, value));
        }
    }
    Node::new(Value::Mapping(entries))
}

fn secret(ty: Type) -> Node {
    match ty {
        Type::Text(TextKind::Base64 | TextKind::PemKey) => Node::string("cVp4N3NlY3JldEJ5dGVz"),
        Type::Text(TextKind::Url) => Node::string(format!("https://{SECRET}")),
        Type::List(inner, _) | Type::Pointer(inner) => match ty {
            Type::List(..) => Node::sequence(vec![secret(*inner)]),
            _ => secret(*inner),
        },
        Type::Map(_) | Type::Unstructured | Type::Args => Node::mapping([("key", Node::string(SECRET))]),
        _ => Node::string(SECRET),
    }
}

fn value(dice: &mut Dice, ty: Type, depth: u64) -> Node {
    match ty {
        Type::Str => {
            Node::string(dice.one_of(&["", "a", "off", "a: b", "10.0.0.1", "line\nline\n", " x", "0644", "é"]))
        }
        Type::Bool => Node::boolean(dice.roll(2) == 0),
        Type::Int(_) | Type::Uint(_) | Type::Float => Node::integer(i128::from(dice.roll(200) as u8)),
        Type::Text(kind) => text(dice, kind),
        Type::Pointer(inner) => value(dice, *inner, depth),
        Type::List(inner, _) => Node::sequence((0..dice.roll(3)).map(|_| value(dice, *inner, depth + 1)).collect()),
        Type::Map(inner) => mapping(dice, |dice| value(dice, *inner, depth + 1)),
        Type::Struct(body) => fields(dice, body, depth),
        Type::Unstructured => mapping(dice, |dice| anything(dice, depth)),
        Type::Args => mapping(dice, |dice| Node::string(dice.one_of(&["1", "x"]))),
        Type::Any => anything(dice, depth),
    }
}

fn mapping(dice: &mut Dice, mut make: impl FnMut(&mut Dice) -> Node) -> Node {
    let mut entries = Vec::new();
    for key in ["a", "on", "b.c/d", "5"] {
        if dice.roll(3) == 0 {
            entries.push(entry(key, make(dice)));
        }
    }
    Node::new(Value::Mapping(entries))
}

fn anything(dice: &mut Dice, depth: u64) -> Node {
    match dice.roll(if depth > 6 { 5 } else { 7 }) {
        0 => Node::null(),
        1 => Node::boolean(true),
        2 => Node::integer(-5),
        3 => Node::new(Value::Scalar(Scalar { tag: Tag::Float, text: "1e3".into() })),
        4 => Node::string(dice.one_of(&["", "x", "true", "1.5"])),
        5 => Node::sequence(vec![anything(dice, depth + 1)]),
        _ => mapping(dice, |dice| anything(dice, depth + 1)),
    }
}

fn text(dice: &mut Dice, kind: TextKind) -> Node {
    Node::string(match kind {
        TextKind::Cel | TextKind::Manifest => dice.one_of(&["", "true", "link.mtu > 1u"]),
        TextKind::ByteSize => dice.one_of(&["1GiB", "100MB"]),
        TextKind::Percentage => "50%",
        TextKind::Size => dice.one_of(&["50%", "1GiB"]),
        TextKind::Address => dice.one_of(&["10.0.0.1", "fd00::1"]),
        TextKind::AddressPort => "10.0.0.1:80",
        TextKind::Prefix => dice.one_of(&["10.0.0.0/24", "FD00::/64"]),
        TextKind::Url => dice.one_of(&["https://h:6443/x", "tcp://10.0.0.1:5"]),
        TextKind::PortRange => "80-90",
        TextKind::Base64 | TextKind::PemKey => "Zm9v",
        TextKind::DiskSize => dice.one_of(&["1GB", "1GiB"]),
        TextKind::FileMode => return Node::integer(0o644),
        TextKind::SizeMatch => ">= 1TB",
        TextKind::Hardware => "02:00:17:27:16:32",
        TextKind::Duration => dice.one_of(&["90s", "1h30m"]),
        TextKind::Enum(words) => words.values[dice.roll(words.values.len() as u64) as usize].0,
    })
}

/// The text of a random configuration of up to three documents of different kinds.
fn random_text(seed: u64) -> String {
    let mut dice = Dice(seed | 1);
    let mut nodes: Vec<Node> = Vec::new();
    let mut used = Vec::new();
    for _ in 0..=dice.roll(3) {
        let kind = &types::KINDS[if dice.roll(2) == 0 { 0 } else { dice.roll(types::KINDS.len() as u64) as usize }];
        // Kinds that exclude each other would need names of their own.
        if used.contains(&kind.kind) || kind.kind.contains("Volume") || is_link(kind.kind) {
            continue;
        }
        used.push(kind.kind);
        nodes.push(document(&mut dice, kind));
    }
    if nodes.is_empty() {
        nodes.push(document(&mut dice, &types::KINDS[0]));
    }
    yaml::emit(&nodes)
}

fn is_link(kind: &str) -> bool {
    super::EXCLUSIVE.iter().any(|group| group.contains(&kind)) && kind != "LinkConfig"
}

fn parse(text: &str) -> MachineConfig {
    MachineConfig::parse(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

fn hash(config: &MachineConfig) -> String {
    config.content_hash(&HashOptions::default())
}

/// The same tree with the entries of every mapping turned around.
fn reversed(node: &Node) -> Node {
    Node::new(match &node.value {
        Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
        Value::Sequence(items) => Value::Sequence(items.iter().map(reversed).collect()),
        Value::Mapping(entries) => {
            let entry = |entry: &Entry| Entry { key: entry.key.clone(), value: reversed(&entry.value) };
            Value::Mapping(entries.iter().rev().map(entry).collect())
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_the_same(seed: u64) {
        let config = parse(&random_text(seed));
        let written = config.to_yaml();
        let again = parse(&written);
        prop_assert_eq!(hash(&again), hash(&config));
        prop_assert_eq!(again.to_yaml(), written);
        prop_assert!(config.diff(&again).is_empty());
    }

    #[test]
    fn order_does_not_change_the_hash(seed: u64) {
        let text = random_text(seed);
        let mut nodes = yaml::parse_stream(&text, &yaml::Limits::default()).expect("YAML");
        nodes.reverse();
        let turned: Vec<Node> = nodes.iter().map(reversed).collect();
        prop_assert_eq!(hash(&parse(&yaml::emit(&turned))), hash(&parse(&text)));
    }

    #[test]
    fn a_patch_that_sets_nothing_changes_nothing(seed: u64) {
        let config = parse(&random_text(seed));
        let unpatched = config.patch(&[]).expect("no patches");
        prop_assert_eq!(unpatched.config.to_yaml(), config.to_yaml());
        if let Some(v1alpha1) = config.v1alpha1().filter(|document| document.root().get("machine").is_some()) {
            prop_assert!(v1alpha1.is_v1alpha1());
            let patched = config.patch(&["machine: {}\n"]).expect("an empty section");
            prop_assert_eq!(hash(&patched.config), hash(&config));
        }
    }

    #[test]
    fn patching_with_itself_keeps_the_kinds(seed: u64) {
        let text = random_text(seed);
        let config = parse(&text);
        if let Ok(patched) = config.patch(&[&text]) {
            let kinds = |config: &MachineConfig| config.documents().cloned().collect::<Vec<_>>();
            prop_assert_eq!(kinds(&patched.config), kinds(&config));
            prop_assert!(MachineConfig::parse(&patched.config.to_yaml()).is_ok());
        }
    }

    #[test]
    fn redacted_output_holds_no_secret(seed: u64) {
        let config = parse(&random_text(seed));
        let redacted = config.redacted();
        prop_assert!(!redacted.contains(SECRET) && !redacted.contains("cVp4N3NlY3JldEJ5dGVz"), "{}", redacted);
        let debug = format!("{config:?}");
        prop_assert!(!debug.contains(SECRET));
        let shown: Vec<_> = parse("machine: {}").diff(&config).into_iter().flat_map(|change| [change.old, change.new]).collect();
        let shown = format!("{shown:?}");
        prop_assert!(!shown.contains(SECRET));
    }

    #[test]
    fn validation_answers_in_every_mode(seed: u64) {
        let config = parse(&random_text(seed));
        for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
            let newest = config.validate_for(mode, &TalosVersion::new(1, 14, 0));
            for problem in config.validate(mode).into_iter().chain(newest) {
                prop_assert!(!problem.message.contains(SECRET), "{}", problem);
            }
        }
    }

    #[test]
    fn arbitrary_text_is_parsed_or_refused(text in "[-a-z:{}\\[\\]&*!|>'\"%@`#, \\n]{0,200}") {
        if let Ok(config) = MachineConfig::parse(&text) {
            prop_assert!(MachineConfig::parse(&config.to_yaml()).is_ok());
        }
    }
}
