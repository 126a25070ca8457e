//! `docs/` is what the schemas and `examples/` say; `UPDATE_DOCS=1` writes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use talosoci::provider::Talosoci;
use talosoci::tfplugin::docs::pages;
use talosoci::tfplugin::{Provider, Schema, validate};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rendered() -> Vec<(PathBuf, String)> {
    let example = |path: &str| fs::read_to_string(root().join("examples").join(path)).ok();
    pages("talosoci", &Talosoci::new(), &example)
        .into_iter()
        .map(|page| (root().join("docs").join(page.path), page.content))
        .collect()
}

#[test]
fn the_pages_say_what_the_schemas_say() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut stale = Vec::new();
    for (path, content) in rendered() {
        if update {
            fs::create_dir_all(path.parent().expect("a page lies in a folder")).expect("docs/ is writable");
            fs::write(&path, &content).expect("docs/ is writable");
        } else if fs::read_to_string(&path).ok().as_deref() != Some(content.as_str()) {
            stale.push(path.display().to_string());
        }
    }
    assert!(stale.is_empty(), "run `make docs`; out of date: {}", stale.join(", "));
}

#[test]
fn no_page_is_left_over() {
    let wanted: BTreeSet<PathBuf> = rendered().into_iter().map(|(path, _)| path).collect();
    let left: Vec<_> = files(&root().join("docs"))
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "guides") && !wanted.contains(path))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_schema_is_one_that_terraform_accepts_and_every_attribute_is_described() {
    let provider = Talosoci::new();
    let mut schemas: Vec<(String, Schema)> = vec![("provider".into(), provider.schema())];
    schemas.extend(provider.resources().into_iter().map(|(name, resource)| (name.to_owned(), resource.schema())));
    schemas.extend(provider.data_sources().into_iter().map(|(name, source)| (name.to_owned(), source.schema())));
    schemas.extend(provider.ephemeral_resources().into_iter().map(|(name, source)| (name.to_owned(), source.schema())));
    for (name, schema) in schemas {
        let problems = validate::schema(&schema);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        for attribute in &schema.attributes {
            described(&name, attribute);
        }
    }
}

fn described(parent: &str, attribute: &talosoci::tfplugin::Attribute) {
    let name = format!("{parent}.{}", attribute.name);
    assert!(!attribute.description.is_empty(), "{name} has no description");
    for nested in attribute.nested() {
        described(&name, nested);
    }
}

#[test]
fn every_function_and_resource_has_an_example() {
    let provider = Talosoci::new();
    for (name, _) in provider.resources() {
        assert!(root().join(format!("examples/resources/{name}/resource.tf")).is_file(), "{name}");
    }
    for (name, _) in provider.data_sources() {
        assert!(root().join(format!("examples/data-sources/{name}/data-source.tf")).is_file(), "{name}");
    }
    for (name, _) in provider.functions() {
        assert!(root().join(format!("examples/functions/{name}/function.tf")).is_file(), "{name}");
    }
}

#[test]
fn every_example_in_a_guide_is_one_that_is_tested() {
    let examples: Vec<String> = files(&root().join("examples"))
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
        .map(|path| fs::read_to_string(path).expect("an example is text"))
        .collect();
    for page in files(&root().join("docs/guides")) {
        let text = fs::read_to_string(&page).expect("a guide is text");
        for block in text.split("```terraform\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            assert!(examples.iter().any(|example| example == block), "{}:\n{block}", page.display());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("docs/ can be listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
