//! Where the cluster's patches undo a node's: talhelper applies the former last, which surprises.

use crate::yaml::{self, Node, Value};

/// The paths that both set to different values, shown as `machine.sysctls.a`.
pub(super) fn overridden(node_patches: &[String], cluster_patches: &[String]) -> Vec<String> {
    let (of_node, of_cluster) = (settings(node_patches), settings(cluster_patches));
    let mut paths = Vec::new();
    for (path, value) in &of_node {
        // Of several settings of one path the last one counts.
        let last = of_cluster.iter().rev().find(|(known, _)| known == path);
        let differs = last.is_some_and(|(_, other)| other != value);
        if differs && !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}

/// All scalars that merging replaces; what is inside of lists is appended and undoes nothing.
fn settings(patches: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for patch in patches {
        // What is no YAML is reported where it is applied.
        for document in yaml::parse_documents(patch).unwrap_or_default() {
            let part = |key: &str| document.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.as_str());
            let prefix = match (part("kind"), part("name")) {
                (Some(kind), Some(name)) => format!("{kind} {name} "),
                (Some(kind), None) => format!("{kind} "),
                _ => String::new(),
            };
            collect(&document, &prefix, "", &mut found);
        }
    }
    found
}

fn collect(node: &Node, prefix: &str, path: &str, found: &mut Vec<(String, String)>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter().filter(|entry| !matches!(entry.key.as_str(), "apiVersion" | "kind" | "name")) {
                let path = match path {
                    "" => entry.key.clone(),
                    path => format!("{path}.{}", entry.key),
                };
                collect(&entry.value, prefix, &path, found);
            }
        }
        Value::Scalar(scalar) => found.push((format!("{prefix}{path}"), scalar.text.clone())),
        Value::List(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_with_other_values_count() {
        let node = ["machine: {sysctls: {a: node, b: same}, certSANs: [x]}".to_owned()];
        let cluster = ["machine: {sysctls: {a: cluster, b: same, c: new}, certSANs: [y]}".to_owned()];
        assert_eq!(overridden(&node, &cluster), ["machine.sysctls.a"]);
        let node = ["kind: HostnameConfig\nhostname: a\n---\nkind: LinkConfig\nname: e0\nmtu: 9000\n".to_owned()];
        let cluster = ["kind: LinkConfig\nname: e0\nmtu: 1500\n".to_owned(), "broken: [".to_owned()];
        assert_eq!(overridden(&node, &cluster), ["LinkConfig e0 mtu"]);
    }
}
