//! Reading a configuration as a node of a release does: what that release does not know is refused, in its words
//! (Talos v1.12.2 pkg/machinery/config/configloader/internal/decoder, siderolabs/gen xyaml).

use super::apply::has_fix;
use crate::talos::{
    machine_config::{
        ConfigError, MachineConfig,
        yaml::{Limits, Node, Value, emit, parse_stream},
    },
    version::TalosVersion,
};

/// Reads a configuration strictly.
pub fn read(text: &str, version: &TalosVersion) -> Result<MachineConfig, String> {
    let nodes = parse_stream(text, &Limits::default()).map_err(|error| format!("decode error: {error}"))?;
    // Since 1.12.3 empty documents are skipped.
    if !has_fix(version, 3, 0) && nodes.iter().any(Node::is_null) {
        return Err("missing kind".to_owned());
    }
    let mut documents: Vec<Node> = nodes.into_iter().filter(|node| !node.is_null()).collect();
    let (originals, mut strange) = (documents.clone(), vec![Vec::new(); documents.len()]);
    let parsed = loop {
        // The first time it is the text itself, so that lines are right.
        let known = strange.iter().all(Vec::is_empty);
        let text = if known { text.to_owned() } else { emit(&documents) };
        let error = match MachineConfig::parse(&text) {
            Ok(config) => break Ok(config),
            Err(error) => error,
        };
        let at = place(&text, &error);
        match unknown_path(&error).filter(|path| at.is_some_and(|at| remove(&mut documents[at], path))) {
            Some(path) => strange[at.unwrap_or_default()].push(path),
            None => break Err((at, refusal(at.map(|at| &originals[at]), &error, version))),
        }
    };
    let later = parsed.as_ref().map(|config| config.unknown_to(version.minor_pair())).unwrap_or_default();
    for (at, (node, strange)) in originals.iter().zip(strange).enumerate() {
        // Talos reads one document after the other.
        if let Err((Some(broken), words)) = &parsed
            && *broken == at
        {
            return Err(words.clone());
        }
        let mut paths = of_document(node, &later);
        if paths.contains(&"") {
            let words = format!("{:?} {:?}: not registered", text_of(node, "kind"), text_of(node, "apiVersion"));
            return Err(placed(node, &words, version));
        }
        paths.extend(strange.iter().map(String::as_str));
        if !paths.is_empty() {
            return Err(placed(node, &unknown_keys(node, &paths), version));
        }
    }
    parsed.map_err(|(_, words)| words)
}

/// Which document an error is about, of those that are not empty.
fn place(text: &str, error: &ConfigError) -> Option<usize> {
    let ConfigError::Document { line, .. } = error else { return None };
    let nodes = parse_stream(text, &Limits::default()).ok()?;
    let before = nodes.iter().filter(|node| !node.is_null() && node.mark.line <= *line).count();
    before.checked_sub(1)
}

fn unknown_path(error: &ConfigError) -> Option<String> {
    let ConfigError::Document { message, .. } = error else { return None };
    unknown_key(message)
}

/// Takes out what is at a path; whether it was there.
fn remove(node: &mut Node, path: &str) -> bool {
    match &mut node.value {
        Value::Scalar(_) => false,
        Value::Sequence(items) => {
            let Some((index, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                return false;
            };
            let item = index.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.is_some_and(|item| remove(item, rest.trim_start_matches('.')))
        }
        Value::Mapping(entries) => {
            let mut here = entries.iter_mut().enumerate().filter_map(|(at, entry)| {
                let rest = path.strip_prefix(entry.key.as_str()?)?;
                (rest.is_empty() || rest.starts_with(['.', '['])).then_some((at, rest, &mut entry.value))
            });
            match here.next() {
                None => false,
                Some((_, rest, value)) if !rest.is_empty() => remove(value, rest.trim_start_matches('.')),
                Some((at, ..)) => {
                    drop(here);
                    entries.remove(at);
                    true
                }
            }
        }
    }
}

/// The words of Talos for an error of the engine, where they are known.
fn refusal(node: Option<&Node>, error: &ConfigError, version: &TalosVersion) -> String {
    let ConfigError::Document { message, .. } = error else {
        return match error {
            ConfigError::Empty => "config not found".to_owned(),
            other => other.to_string(),
        };
    };
    let Some(node) = node else { return error.to_string() };
    let words = if let Some((words, _)) = message.split_once(": not registered") {
        format!("{words}: not registered")
    } else if message.starts_with("missing kind") {
        "missing kind".to_owned()
    } else if message.starts_with("missing apiVersion") {
        // Before 1.12.6 a kind without a version is as unknown as any other.
        let old = format!("{:?} \"\": not registered", text_of(node, "kind"));
        if has_fix(version, 6, 0) { "missing apiVersion".to_owned() } else { old }
    } else if let Some(path) = unknown_key(message) {
        unknown_keys(node, &[&path])
    } else if message.starts_with("duplicate document") || message.starts_with("conflicting") {
        return message.clone();
    } else {
        message.clone()
    };
    placed(node, &words, version)
}

/// Since 1.12.3 the document is named.
fn placed(node: &Node, words: &str, version: &TalosVersion) -> String {
    if !has_fix(version, 3, 0) {
        return words.to_owned();
    }
    let kind = text_of(node, "kind");
    let kind = if kind.is_empty() { "v1alpha1" } else { kind };
    let (api, name, line) = (text_of(node, "apiVersion"), text_of(node, "name"), node.mark.line);
    format!("error decoding document {api}/{kind}/{name} (line {line}): {words}")
}

fn text_of<'a>(node: &'a Node, key: &str) -> &'a str {
    node.get(key).and_then(Node::as_str).unwrap_or_default()
}

/// Those of the paths that lie in a document, from its root.
fn of_document<'a>(node: &Node, paths: &'a [String]) -> Vec<&'a str> {
    let (kind, name) = (text_of(node, "kind"), text_of(node, "name"));
    if kind.is_empty() {
        // Only the v1alpha1 document has paths without a kind, which begin with a small letter.
        return paths.iter().map(String::as_str).filter(|path| path.starts_with(char::is_lowercase)).collect();
    }
    let id = if name.is_empty() { kind.to_owned() } else { format!("{kind}/{name}") };
    let inside = |path: &'a String| {
        let rest = path.strip_prefix(&id).or_else(|| path.strip_prefix(kind))?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
    };
    paths.iter().filter_map(inside).collect()
}

/// The path of the key that the engine complains about.
fn unknown_key(message: &str) -> Option<String> {
    let (path, rest) = message.split_once("unknown key \"")?;
    let key = rest.split('"').next()?;
    let path = path.trim_end_matches(": ");
    Some(if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") })
}

fn unknown_keys(node: &Node, paths: &[&str]) -> String {
    let trees = paths.iter().filter_map(|path| select(node, path));
    let tree = sorted(trees.reduce(merge).unwrap_or_else(Node::null));
    format!("unknown keys found during decoding:\n{}", emit([&tree]))
}

/// What is at a path, with nothing beside it.
fn select(node: &Node, path: &str) -> Option<Node> {
    if path.is_empty() {
        return Some(node.clone());
    }
    match &node.value {
        Value::Scalar(_) => None,
        Value::Sequence(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            Some(Node::sequence(vec![select(item, rest.trim_start_matches('.'))?]))
        }
        Value::Mapping(entries) => entries.iter().find_map(|entry| {
            let key = entry.key.as_str()?;
            let rest = path.strip_prefix(key)?;
            if !rest.is_empty() && !rest.starts_with(['.', '[']) {
                return None;
            }
            Some(Node::mapping([(key, select(&entry.value, rest.trim_start_matches('.'))?)]))
        }),
    }
}

/// Talos makes Go maps of what it shows, and those come out in order.
fn sorted(node: Node) -> Node {
    match node.value {
        Value::Mapping(mut entries) => {
            entries.sort_by(|a, b| a.key.as_str().cmp(&b.key.as_str()));
            for entry in &mut entries {
                entry.value = sorted(std::mem::replace(&mut entry.value, Node::null()));
            }
            Node::new(Value::Mapping(entries))
        }
        Value::Sequence(items) => Node::sequence(items.into_iter().map(sorted).collect()),
        scalar => Node::new(scalar),
    }
}

fn merge(a: Node, b: Node) -> Node {
    match (a.value, b.value) {
        (Value::Mapping(mut all), Value::Mapping(more)) => {
            for entry in more {
                let same = all.iter().position(|known| known.key.as_str() == entry.key.as_str());
                match same {
                    Some(at) => all[at].value = merge(all[at].value.clone(), entry.value),
                    None => all.push(entry),
                }
            }
            Node::new(Value::Mapping(all))
        }
        (Value::Sequence(mut all), Value::Sequence(more)) => {
            all.extend(more);
            Node::sequence(all)
        }
        (_, b) => Node::new(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, version: &str) -> String {
        read(text, &version.parse().expect("a version")).expect_err("refused")
    }

    #[test]
    fn kinds_of_later_releases_are_not_registered() {
        let text = "apiVersion: v1alpha1\nkind: KubeSpanConfig\nenabled: true\n";
        assert_eq!(refused(text, "v1.12.2"), "\"KubeSpanConfig\" \"v1alpha1\": not registered");
        let placed = "error decoding document v1alpha1/KubeSpanConfig/ (line 1): \"KubeSpanConfig\" \"v1alpha1\": not \
                      registered";
        assert_eq!(refused(text, "v1.12.3"), placed);
        assert!(read(text, &"v1.13.0".parse().expect("a version")).is_ok());
        let nobody = "apiVersion: v1alpha1\nkind: LinkConfg\nname: a\n";
        assert_eq!(refused(nobody, "v1.12.2"), "\"LinkConfg\" \"v1alpha1\": not registered");
    }

    #[test]
    fn unknown_keys_are_shown_with_what_they_hold() {
        let text = "machine:\n  type: worker\n  network:\n    interfaces:\n      - interface: a\n        foo: [1]\n";
        let keys = "unknown keys found during decoding:\nmachine:\n    network:\n        interfaces:\n            - foo:\n                - 1\n";
        assert_eq!(refused(text, "v1.12.2"), keys);
        let later = "apiVersion: v1alpha1\nkind: DHCPv4Config\nname: a\nignoreRoutes: true\n";
        assert_eq!(refused(later, "v1.12.2"), "unknown keys found during decoding:\nignoreRoutes: true\n");
        assert!(read(later, &"v1.14.0".parse().expect("a version")).is_ok());
    }

    #[test]
    fn all_unknown_keys_of_a_document_are_shown_in_order() {
        let text = "machine:\n  type: worker\n  zoo: 1\n  bar: {b: 1, a: 2}\n  kubelet:\n    foo: x\nfoo: true\n";
        let keys = "unknown keys found during decoding:\nfoo: true\nmachine:\n    bar:\n        a: 2\n        b: 1\n    \
                    kubelet:\n        foo: x\n    zoo: 1\n";
        assert_eq!(refused(text, "v1.12.2"), keys);
        // Talos stops at the first document that it does not like.
        let second = format!("{text}---\napiVersion: v1alpha1\nkind: LinkConfg\nname: a\n");
        assert_eq!(refused(&second, "v1.12.2"), keys);
        let link = "apiVersion: v1alpha1\nkind: LinkConfg\nname: a\n---\n";
        assert_eq!(refused(&format!("{link}{text}"), "v1.12.2"), "\"LinkConfg\" \"v1alpha1\": not registered");
        // What only a later release knows is as unknown as the rest.
        let later = "apiVersion: v1alpha1\nkind: DHCPv4Config\nname: a\nignoreRoutes: true\nabc: 1\n";
        assert_eq!(refused(later, "v1.12.2"), "unknown keys found during decoding:\nabc: 1\nignoreRoutes: true\n");
    }

    #[test]
    fn empty_documents_and_missing_words_are_refused_as_the_release_does() {
        let text = "machine:\n  type: worker\n---\n";
        assert_eq!(refused(text, "v1.12.2"), "missing kind");
        assert!(read(text, &"v1.12.3".parse().expect("a version")).is_ok());
        assert_eq!(refused("kind: LinkConfig\nname: a\n", "v1.12.2"), "\"LinkConfig\" \"\": not registered");
        assert!(refused("kind: LinkConfig\nname: a\n", "v1.13.0").ends_with("(line 1): missing apiVersion"));
        assert_eq!(refused("", "v1.13.0"), "config not found");
    }
}
