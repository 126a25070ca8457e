use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::sops::Keyring;
use crate::talhelper::{Files, Variables};
use crate::yaml::{Node as Tree, Value};

/// Files by name, as `FileName` gives them.
type Folder = BTreeMap<String, String>;

impl Files for Folder {
    fn read(&self, name: FileName<'_>) -> Result<Option<String>, String> {
        Ok(self.get(&name.to_string()).cloned())
    }
}

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(golden(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A case of `tests/golden`: its talconfig.yaml and talenv.yaml, with the guide's secrets.
fn folder(case: &str) -> Folder {
    let file = |name: &str, path: &str| (name.to_owned(), text(path));
    Folder::from([
        file("talconfig.yaml", &format!("{case}/talconfig.yaml")),
        file("talenv.yaml", &format!("{case}/talenv.yaml")),
        file("talsecret.yaml", "guide/talsecret.yaml"),
    ])
}

fn rendered(folder: &Folder, node: &str) -> Result<Rendered, TalhelperError> {
    let (env, keys) = (Variables::new(), Keyring::new());
    render(&input(folder, node, &env, &keys))
}

fn input<'a>(folder: &'a Folder, node: &'a str, env: &'a Variables, keys: &'a Keyring) -> Input<'a> {
    Input { talconfig: "talconfig.yaml", node, secrets_file: None, env_files: None, env, keys, files: folder }
}

/// The error with its sources, and its hints.
fn failure(result: Result<Rendered, TalhelperError>) -> String {
    let error = result.expect_err("it must fail");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    for hint in error.hints() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

/// The guide's talconfig with one edit.
fn edited(from: &str, to: &str) -> Folder {
    let mut folder = folder("guide");
    let before = folder["talconfig.yaml"].clone();
    let after = before.replacen(from, to, 1);
    assert_ne!(before, after, "{from:?} is not in the guide's talconfig");
    folder.insert("talconfig.yaml".into(), after);
    folder
}

/// Documents by kind and name, each as JSON-like text with sorted keys.
fn content(yaml: &str) -> BTreeMap<String, String> {
    let documents = yaml::parse_documents(yaml).unwrap();
    let part = |document: &Tree, key: &str| document.get(key).and_then(Tree::as_scalar).map(|s| s.text.clone());
    let id = |document: &Tree| {
        let parts = [part(document, "kind"), part(document, "name")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    documents.iter().map(|document| (id(document), flat(document))).collect()
}

fn flat(node: &Tree) -> String {
    match &node.value {
        Value::Scalar(scalar) => {
            format!("{:?} {:?}", scalar.resolved(), Some(&scalar.text).filter(|_| !node.is_null()))
        }
        Value::List(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let mut fields: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key, flat(&e.value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn assert_same(got: &Rendered, wanted: &str, case: &str) {
    let (got, wanted) = (content(&got.config.to_yaml()), content(wanted));
    for (id, document) in &wanted {
        assert_eq!(got.get(id), Some(document), "{case}: document {id:?}");
    }
    assert_eq!(got.len(), wanted.len(), "{case}: {:?}", got.keys());
}

mod files;
mod golden;
mod strict;
