use super::*;

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    r#in: String,
    canonical: Option<String>,
    id: Option<String>,
    error: Option<String>,
}

#[test]
fn every_schematic_gets_the_id_that_the_factory_gives_it() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tests/golden/schematic/vectors.json")).unwrap();
    assert_eq!(vectors.len(), 40);
    for vector in vectors {
        let parsed = Schematic::parse(&vector.r#in);
        if vector.error.is_some() {
            assert!(parsed.is_err(), "{}", vector.name);
            continue;
        }
        let schematic = parsed.unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(Some(schematic.canonical()), vector.canonical, "{}", vector.name);
        assert_eq!(Some(schematic.id().to_string()), vector.id, "{}", vector.name);
        let again = Schematic::parse(&schematic.canonical()).unwrap();
        assert_eq!(again, schematic, "{}: canonical text reads back", vector.name);
    }
}

#[test]
fn the_guides_schematic_needs_only_its_extension() {
    let schematic =
        Schematic::from_parts(Parts { extensions: vec!["siderolabs/tailscale".into()], ..Parts::default() });
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    assert_eq!(schematic.id().to_string(), id);
    assert_eq!(schematic.extensions(), ["siderolabs/tailscale"]);
    assert!(!schematic.id_depends_on_factory_release());
}

#[test]
fn strings_that_factory_releases_quote_differently_are_known() {
    for (argument, wanted) in [
        ("off", true),
        ("Yes", true),
        ("n", true),
        ("12:30", true),
        ("<<", true),
        ("\n", true),
        ("true", false),
        ("1", false),
        ("quiet", false),
        ("console=ttyAMA0", false),
        ("a\nb", false),
    ] {
        let schematic = Schematic::from_parts(Parts { extra_kernel_args: vec![argument.into()], ..Parts::default() });
        assert_eq!(schematic.id_depends_on_factory_release(), wanted, "{argument:?}");
    }
    let keys = Schematic::parse("customization: {secureboot: {enrollKeys: off}}").unwrap();
    assert!(keys.id_depends_on_factory_release());
}

#[test]
fn mistakes_are_refused_with_place_and_remedy() {
    for (yaml, wanted) in [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("[]", "the schematic must be a mapping, not a list"),
        ("customisation: {}", "unknown key \"customisation\" in the schematic; did you mean \"customization\"?"),
        (
            "customization:\n  systemExtension: {}\n",
            "line 2, column 3: unknown key \"systemExtension\" in customization; did you mean \"systemExtensions\"?",
        ),
        ("customization: {systemExtensions: {officialExtensions: x}}", "officialExtensions must be a list"),
        ("customization: {extraKernelArgs: [[x]]}", "customization.extraKernelArgs[0] must be a string, not a list"),
        ("customization: {meta: [{key: 256, value: x}]}", "meta[0].key must be a number from 0 to 255"),
        ("customization: {meta: [{key: -1}]}", "meta[0].key"),
        ("customization: {meta: [{key: '10'}]}", "meta[0].key"),
        ("customization: {bootloader: auto}", "must be none, dual-boot, sd-boot or grub, not a string \"auto\""),
        ("customization: {secureboot: {includeWellKnownCertificates: maybe}}", "must be true or false"),
        ("customization: {}\n---\n{}\n", "reading the schematic as YAML"),
    ] {
        let error = Schematic::parse(yaml).unwrap_err().to_string();
        assert!(error.contains(wanted), "{yaml:?}: {error}");
    }
}

#[test]
fn nulls_and_loose_types_are_taken_as_go_takes_them() {
    let schematic = Schematic::parse(
        "owner:\noverlay: ~\ncustomization:\n  meta: [null, {key: 0x0b, value: 1}]\n  secureboot: \
         {includeWellKnownCertificates: yes}\n  diskImage: {sectorSize: 0x1000}\n  bootloader:\n",
    )
    .unwrap();
    assert_eq!(
        schematic.canonical(),
        "customization:\n    meta:\n        - key: 11\n          value: \"1\"\n    secureboot:\n        \
         includeWellKnownCertificates: true\n    diskImage:\n        sectorSize: 4096\n"
    );
}

#[test]
fn an_id_is_64_lower_case_digits() {
    let id = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
    assert_eq!(id.parse::<SchematicId>().unwrap().as_str(), id);
    for text in ["", "4a0d", &id.to_uppercase(), &format!("{id}0"), &id.replace('4', "g")] {
        assert!(text.parse::<SchematicId>().is_err(), "{text:?}");
    }
}
