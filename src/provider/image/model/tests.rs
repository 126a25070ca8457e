//! The judgement of an image.

use super::*;

const SCHEMATIC: &str = "customization:\n  systemExtensions:\n    officialExtensions:\n      - siderolabs/tailscale\n";

fn image() -> Value {
    Value::object([("talos_version", "v1.12.2".into()), ("schematic", SCHEMATIC.into())])
}

#[test]
fn each_mistake_is_named_by_its_rule_and_attribute() {
    let cases: [(&str, &str, &str, Value); 7] = [
        ("talos-too-old", "talos_version", "talos_version", "v1.11.6".into()),
        ("image-syntax", "talos_version", "talos_version", "newest".into()),
        ("image-syntax", "sha256", "sha256", "0123".into()),
        ("factory-url", "image_factory_url", "image_factory_url", "ftp://factory.talos.dev".into()),
        ("schematic-and-kernel-args", "extra_kernel_args", "extra_kernel_args", Value::list(["console=ttyS0"])),
        ("schematic-syntax", "schematic", "schematic", "customisation: {}\n".into()),
        ("image-output", "output.path", "output", Value::object([("path", "".into()), ("format", "oci".into())])),
    ];
    for (rule, attribute, changed, value) in cases {
        let parsed = parse(&image().with(changed, value), &Given::Absent);
        let hit = parsed.findings.iter().any(|found| found.rule == rule && found.attribute == attribute);
        assert!(hit && parsed.image.is_none(), "{rule} at {attribute} was not found, but {:?}", parsed.findings);
    }
}

#[test]
fn an_archive_for_oracle_cloud_is_made_of_oracles_image_only() {
    let archive = Value::object([("path", "talos.oci".into()), ("format", "oci".into())]);
    let blamed = |platform: &str| {
        let parsed =
            parse(&image().with("platform", Value::from(platform)).with("output", archive.clone()), &Given::Absent);
        parsed.findings.iter().any(|found| found.rule == "image-output" && found.attribute == "output.format")
    };
    assert!(blamed("metal") && !blamed("oracle"));
}

#[test]
fn a_correct_image_is_blamed_for_nothing() {
    let parsed = parse(&image(), &Given::Absent);
    assert!(parsed.findings.is_empty() && parsed.image.is_some(), "{:?}", parsed.findings);
}

/// The Factory of the provider block is no attribute of the resource, so that only the URL shows that it is another.
#[test]
fn an_image_of_another_factory_is_not_the_one_in_the_state() {
    let at = |factory: &str| parse(&image(), &Given::Value(factory.to_owned())).image.unwrap();
    let here = at("https://factory.talos.dev");
    let mut state = image();
    here.store(&mut state, &here.schematic.id(), &here.url(&here.schematic.id()));
    assert!(here.is_at(&state));
    assert!(!at("https://factory.example.com").is_at(&state));
}
