//! Ready-made validators, for [`Attribute::validate`](super::Attribute::validate) and for whole configurations.

use std::ops::RangeInclusive;

use super::{diagnostic::Diagnostics, path::Path, value::Value};

/// The text is one of these.
pub fn one_of(
    allowed: &'static [&'static str],
) -> impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync {
    move |path, value, diagnostics| {
        if value.as_str().is_some_and(|text| !allowed.contains(&text)) {
            let list: Vec<_> = allowed.iter().map(|text| format!("{text:?}")).collect();
            diagnostics.error_at(
                path,
                "Invalid value",
                format!("{path} must be one of {}.", list.join(", ")),
            );
        }
    }
}

/// The text is not empty.
pub fn not_empty(path: &Path, value: &Value, diagnostics: &mut Diagnostics) {
    if value.as_str() == Some("") {
        diagnostics.error_at(path, "Empty value", format!("{path} must not be empty."));
    }
}

/// The number is whole and in the range.
pub fn within(
    range: RangeInclusive<i64>,
) -> impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync {
    move |path, value, diagnostics| {
        let Some(number) = value.as_number() else {
            return;
        };
        if !number.as_i64().is_some_and(|int| range.contains(&int)) {
            let text = format!(
                "{path} must be a whole number from {} to {}.",
                range.start(),
                range.end()
            );
            diagnostics.error_at(path, "Number out of range", text);
        }
    }
}

/// The text is accepted by `check`, which says what is wrong (without quoting the value, if that may be a secret).
pub fn text(
    check: impl Fn(&str) -> Result<(), String> + Send + Sync,
) -> impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync {
    move |path, value, diagnostics| {
        if let Some(Err(wrong)) = value.as_str().map(&check) {
            diagnostics.error_at(path, "Invalid value", format!("{path}: {wrong}"));
        }
    }
}

/// Exactly one of these attributes of `config` is set. Silent while an unknown one may still turn out either way.
pub fn exactly_one_of(config: &Value, names: &[&str], diagnostics: &mut Diagnostics) {
    at_most_one_of(config, names, diagnostics);
    if names.iter().all(|name| config.get(name).is_null()) {
        let list = names.join(", ");
        diagnostics.error_at(
            first(names),
            "Missing attribute",
            format!("Exactly one of {list} must be set; none is."),
        );
    }
}

/// At most one of these attributes of `config` is set.
pub fn at_most_one_of(config: &Value, names: &[&str], diagnostics: &mut Diagnostics) {
    let set: Vec<_> = names
        .iter()
        .filter(|name| !config.get(name).is_null() && config.get(name).is_known())
        .copied()
        .collect();
    if set.len() > 1 {
        let text = format!(
            "Only one of {} may be set; {} are.",
            names.join(", "),
            set.join(" and ")
        );
        diagnostics.error_at(set[1], "Conflicting attributes", text);
    }
}

/// When one of these attributes of `config` is set, all are.
pub fn all_or_none_of(config: &Value, names: &[&str], diagnostics: &mut Diagnostics) {
    let set: Vec<_> = names
        .iter()
        .filter(|name| !config.get(name).is_null())
        .copied()
        .collect();
    for missing in names.iter().filter(|name| config.get(name).is_null()) {
        if let Some(present) = set.first() {
            let text = format!("{missing} must be set together with {present}.");
            diagnostics.error_at(*present, "Missing attribute", text);
        }
    }
}

fn first(names: &[&str]) -> Path {
    names
        .first()
        .map_or_else(Path::root, |name| Path::from(*name))
}
