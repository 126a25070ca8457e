//! Reading a schematic with the Factory's strictness and go-yaml's conversions.

use super::{Meta, Overlay, Schematic, SchematicError};
use crate::yaml::{self, Emit, Node, Resolved, Value};

pub(super) fn schematic(text: &str) -> Result<Schematic, SchematicError> {
    let root = yaml::parse_single(text).map_err(SchematicError::Yaml)?.ok_or(SchematicError::Empty)?;
    node(&root)
}

pub(super) fn node(root: &Node) -> Result<Schematic, SchematicError> {
    let mut schematic = Schematic::default();
    for (key, value) in fields(root, "", &["owner", "overlay", "customization"])? {
        match key {
            "owner" => schematic.owner = text_of(value, key)?,
            "overlay" => schematic.overlay = overlay(value)?,
            _ => customization(value, &mut schematic)?,
        }
    }
    Ok(schematic)
}

fn overlay(node: &Node) -> Result<Overlay, SchematicError> {
    let mut overlay = Overlay::default();
    for (key, value) in fields(node, "overlay", &["image", "name", "options"])? {
        match key {
            "image" => overlay.image = text_of(value, "overlay.image")?,
            "name" => overlay.name = text_of(value, "overlay.name")?,
            _ => overlay.options = options(value, "overlay.options")?,
        }
    }
    Ok(overlay)
}

fn customization(node: &Node, schematic: &mut Schematic) -> Result<(), SchematicError> {
    const KNOWN: [&str; 7] = [
        "embeddedMachineConfiguration",
        "extraKernelArgs",
        "meta",
        "systemExtensions",
        "bootloader",
        "secureboot",
        "diskImage",
    ];
    for (key, value) in fields(node, "customization", &KNOWN)? {
        let path = format!("customization.{key}");
        match key {
            "embeddedMachineConfiguration" => schematic.embedded_machine_configuration = text_of(value, &path)?,
            "extraKernelArgs" => schematic.extra_kernel_args = texts(value, &path)?,
            "meta" => schematic.meta = meta(value, &path)?,
            "systemExtensions" => {
                for (key, value) in fields(value, &path, &["officialExtensions"])? {
                    schematic.extensions = texts(value, &format!("{path}.{key}"))?;
                }
            }
            "bootloader" => schematic.bootloader = bootloader(value, &path)?,
            "secureboot" => {
                for (key, value) in fields(value, &path, &["enrollKeys", "includeWellKnownCertificates"])? {
                    let path = format!("{path}.{key}");
                    match key {
                        "enrollKeys" => schematic.enroll_keys = text_of(value, &path)?,
                        _ => schematic.well_known_certificates = boolean(value, &path)?,
                    }
                }
            }
            _ => {
                for (key, value) in fields(value, &path, &["sectorSize"])? {
                    schematic.sector_size = number(value, &format!("{path}.{key}"), u64::MAX)?;
                }
            }
        }
    }
    Ok(())
}

fn meta(node: &Node, path: &str) -> Result<Vec<Meta>, SchematicError> {
    let mut metas = Vec::new();
    for (index, item) in list(node, path)?.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let mut meta = Meta { key: 0, value: String::new() };
        for (key, value) in fields(item, &path, &["key", "value"])? {
            let path = format!("{path}.{key}");
            match key {
                // The bound makes the conversion exact.
                "key" => meta.key = u8::try_from(number(value, &path, u8::MAX.into())?).unwrap_or(u8::MAX),
                _ => meta.value = text_of(value, &path)?,
            }
        }
        // go-yaml leaves a null item out of the list.
        if !item.is_null() {
            metas.push(meta);
        }
    }
    Ok(metas)
}

/// The kinds that Talos' imager knows besides `none`; `auto` is refused although the documentation lists it.
fn bootloader(node: &Node, path: &str) -> Result<String, SchematicError> {
    if node.is_null() {
        return Ok(String::new());
    }
    let lower = text_of(node, path)?.to_ascii_lowercase();
    match lower.as_str() {
        "none" => Ok(String::new()),
        "dual-boot" | "sd-boot" | "grub" => Ok(lower),
        _ => Err(wrong(node, path, "none, dual-boot, sd-boot or grub")),
    }
}

/// The known keys of a mapping with their values; null is an empty mapping.
fn fields<'n>(node: &'n Node, place: &str, known: &[&str]) -> Result<Vec<(&'n str, &'n Node)>, SchematicError> {
    if node.is_null() {
        return Ok(Vec::new());
    }
    let named = if place.is_empty() { "the schematic" } else { place };
    let entries = node.as_map().ok_or_else(|| wrong(node, named, "a mapping"))?;
    let mut fields = Vec::with_capacity(entries.len());
    for entry in entries {
        if !known.contains(&entry.key.as_str()) {
            let meant = yaml::nearest(&entry.key, known.iter().copied());
            let meant = meant.map(|meant| format!("; did you mean {meant:?}?"));
            return Err(SchematicError::Mistake {
                at: entry.key_at,
                problem: format!("unknown key {:?} in {named}{}", entry.key, meant.unwrap_or_default()),
            });
        }
        fields.push((entry.key.as_str(), &entry.value));
    }
    Ok(fields)
}

fn list<'n>(node: &'n Node, path: &str) -> Result<&'n [Node], SchematicError> {
    if node.is_null() {
        return Ok(&[]);
    }
    node.as_list().ok_or_else(|| wrong(node, path, "a list"))
}

/// Any scalar as its text, as go-yaml puts numbers and booleans into string fields; null is "".
fn text_of(node: &Node, path: &str) -> Result<String, SchematicError> {
    let scalar = node.as_scalar().ok_or_else(|| wrong(node, path, "a string"))?;
    match node.is_null() {
        true => Ok(String::new()),
        false => Ok(scalar.text.clone()),
    }
}

fn texts(node: &Node, path: &str) -> Result<Vec<String>, SchematicError> {
    let items = list(node, path)?.iter().enumerate();
    items.filter(|(_, item)| !item.is_null()).map(|(index, item)| text_of(item, &format!("{path}[{index}]"))).collect()
}

/// `true`, `false`, and the YAML 1.1 words that go-yaml still takes for a boolean field.
fn boolean(node: &Node, path: &str) -> Result<bool, SchematicError> {
    match (node.resolved(), node.as_scalar().map(|s| s.text.as_str())) {
        (Some(Resolved::Null), _) => Ok(false),
        (Some(Resolved::Bool(value)), _) => Ok(value),
        (_, Some("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON")) => Ok(true),
        (_, Some("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF")) => Ok(false),
        _ => Err(wrong(node, path, "true or false")),
    }
}

fn number(node: &Node, path: &str, max: u64) -> Result<u64, SchematicError> {
    let wanted = match max {
        255 => "a number from 0 to 255",
        _ => "a whole number",
    };
    match node.resolved() {
        Some(Resolved::Null) => Ok(0),
        Some(Resolved::Int(value)) => {
            u64::try_from(value).ok().filter(|value| *value <= max).ok_or_else(|| wrong(node, path, wanted))
        }
        _ => Err(wrong(node, path, wanted)),
    }
}

/// Free-form values, keys sorted as Go sorts map keys.
fn options(node: &Node, path: &str) -> Result<Vec<(String, Emit)>, SchematicError> {
    if node.is_null() {
        return Ok(Vec::new());
    }
    let entries = node.as_map().ok_or_else(|| wrong(node, path, "a mapping"))?;
    let mut pairs = entries
        .iter()
        .map(|entry| Ok((entry.key.clone(), free(&entry.value, &format!("{path}.{}", entry.key))?)))
        .collect::<Result<Vec<_>, SchematicError>>()?;
    yaml::sort_keys(&mut pairs);
    Ok(pairs)
}

fn free(node: &Node, path: &str) -> Result<Emit, SchematicError> {
    let scalar = match &node.value {
        Value::Map(_) => return options(node, path).map(Emit::Map),
        Value::List(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| free(item, &format!("{path}[{index}]")));
            return items.collect::<Result<_, _>>().map(Emit::List);
        }
        Value::Scalar(scalar) => scalar,
    };
    Ok(match scalar.resolved() {
        Resolved::Null => Emit::Bare("null".into()),
        Resolved::Bool(value) => Emit::Bare(value.to_string()),
        Resolved::Int(value) => Emit::Bare(value.to_string()),
        Resolved::Float(value) => Emit::Bare(yaml::go_float(value)),
        Resolved::Timestamp => return Err(wrong(node, path, "quoted, if it is a string")),
        Resolved::Merge | Resolved::Text => Emit::Text(scalar.text.clone()),
    })
}

fn wrong(node: &Node, path: &str, wanted: &str) -> SchematicError {
    let found = match node.as_scalar() {
        Some(scalar) => format!("{} {:?}", node.kind(), scalar.text),
        None => node.kind().to_owned(),
    };
    SchematicError::Mistake { at: node.at, problem: format!("{path} must be {wanted}, not {found}") }
}
