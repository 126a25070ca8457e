//! The layers of `src/`: a module may use only those that stand before it.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer, and what it may use besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("tfplugin", &["wire"]),
    ("yaml", &[]),
    ("talos", &["yaml"]),
    ("sops", &["yaml"]),
    ("disk_image", &[]),
    ("talhelper", &["yaml", "talos", "sops"]),
    ("node", &["talos", "talhelper"]),
    ("client", &["wire", "talos", "disk_image"]),
    ("provision", &["talos", "node", "client", "disk_image"]),
    ("provider", &["tfplugin", "talos", "sops", "talhelper", "disk_image", "node", "client", "provision"]),
    ("sim", &["wire", "yaml", "talos", "disk_image"]),
];

/// Words that a layer must not contain, in code or text.
const FORBIDDEN: &[(&str, &[&str])] = &[("tfplugin", &["talos", "oracle"])];

#[test]
fn no_arrow_runs_up() {
    let mut wrong = Vec::new();
    for (layer, allowed) in LAYERS {
        for file in files(&source().join(layer)) {
            for (number, line) in text(&file).lines().enumerate() {
                for used in uses(line) {
                    let known = LAYERS.iter().any(|(name, _)| *name == used);
                    if known && used != *layer && !allowed.contains(&used.as_str()) {
                        wrong.push(format!("{}:{}: {layer} uses {used}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_layer() {
    let folders = fs::read_dir(source()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    for folder in folders {
        let name = folder.file_name().into_string().unwrap();
        assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "src/{name} is in no layer");
    }
}

#[test]
fn a_layer_speaks_only_its_own_language() {
    let mut wrong = Vec::new();
    for (layer, words) in FORBIDDEN {
        for file in files(&source().join(layer)) {
            for (number, line) in text(&file).lines().enumerate() {
                let lower = line.to_lowercase();
                if words.iter().any(|word| lower.contains(word)) {
                    wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// The `NAME` of every `crate::NAME` in a line.
fn uses(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .map(|(at, prefix)| {
            line[at + prefix.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        })
        .collect()
}
