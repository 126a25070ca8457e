//! Ready-made validators, for [`Attribute::validate`](crate::tfplugin::Attribute::validate) and for whole configurations.

use std::ops::RangeInclusive;

use super::{diagnostic::Diagnostics, path::Path, value::Value};

/// The text is one of these.
pub fn one_of(allowed: &'static [&'static str]) -> impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync {
    move |path, value, diagnostics| {
        if value.as_str().is_some_and(|text| !allowed.contains(&text)) {
            let list: Vec<_> = allowed.iter().map(|text| format!("{text:?}")).collect();
            diagnostics.error_at(path, "Invalid value", format!("{path} must be one of {}.", list.join(", ")));
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
pub fn within(range: RangeInclusive<i64>) -> impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync {
    move |path, value, diagnostics| {
        let Some(number) = value.as_number() else {
            return;
        };
        if !number.as_i64().is_some_and(|int| range.contains(&int)) {
            let text = format!("{path} must be a whole number from {} to {}.", range.start(), range.end());
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
        diagnostics.error_at(first(names), "Missing attribute", format!("Exactly one of {list} must be set; none is."));
    }
}

/// At most one of these attributes of `config` is set.
pub fn at_most_one_of(config: &Value, names: &[&str], diagnostics: &mut Diagnostics) {
    let set: Vec<_> =
        names.iter().filter(|name| !config.get(name).is_null() && config.get(name).is_known()).copied().collect();
    if set.len() > 1 {
        let text = format!("Only one of {} may be set; {} are.", names.join(", "), set.join(" and "));
        diagnostics.error_at(set[1], "Conflicting attributes", text);
    }
}

/// When one of these attributes of `config` is set, all are.
pub fn all_or_none_of(config: &Value, names: &[&str], diagnostics: &mut Diagnostics) {
    let is_set = |name: &&&str| !config.get(name).is_null() && config.get(name).is_known();
    let Some(present) = names.iter().find(is_set) else {
        return;
    };
    for missing in names.iter().filter(|name| config.get(name).is_null()) {
        let text = format!("{missing} must be set together with {present}.");
        diagnostics.error_at(*present, "Missing attribute", text);
    }
}

fn first(names: &[&str]) -> Path {
    names.first().map_or_else(Path::root, |name| Path::from(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl Fn(&Path, &Value, &mut Diagnostics), value: impl Into<Value>) -> usize {
        let mut diagnostics = Diagnostics::new();
        check(&"a".into(), &value.into(), &mut diagnostics);
        diagnostics.iter().count()
    }

    #[test]
    fn single_values_are_judged() {
        assert_eq!(told(one_of(&["ssh", "none"]), "ssh"), 0);
        assert_eq!(told(one_of(&["ssh", "none"]), "dd"), 1);
        assert_eq!(told(not_empty, ""), 1);
        assert_eq!(told(not_empty, " "), 0);
        assert_eq!(told(within(1..=10), 10), 0);
        assert_eq!(told(within(1..=10), 11), 1);
        assert_eq!(told(within(1..=10), 1.5), 1);
        let even = |text: &str| {
            if text.len().is_multiple_of(2) { Ok(()) } else { Err("odd".to_owned()) }
        };
        assert_eq!(told(text(even), "ab"), 0);
        assert_eq!(told(text(even), "abc"), 1);
    }

    #[test]
    fn groups_are_judged_and_the_unknown_gets_the_benefit_of_the_doubt() {
        let config = |a: Value, b: Value| Value::object([("a", a), ("b", b)]);
        let summaries = |check: fn(&Value, &[&str], &mut Diagnostics), a: Value, b: Value| {
            let mut told = Diagnostics::new();
            check(&config(a, b), &["a", "b"], &mut told);
            told.into_iter().map(|d| d.summary).collect::<Vec<_>>()
        };
        assert_eq!(summaries(exactly_one_of, 1.into(), Value::Null), Vec::<String>::new());
        assert_eq!(summaries(exactly_one_of, Value::Unknown, 1.into()), Vec::<String>::new());
        assert_eq!(summaries(exactly_one_of, Value::Unknown, Value::Null), Vec::<String>::new());
        assert_eq!(summaries(exactly_one_of, Value::Null, Value::Null), ["Missing attribute"]);
        assert_eq!(summaries(exactly_one_of, 1.into(), 2.into()), ["Conflicting attributes"]);
        assert_eq!(summaries(at_most_one_of, Value::Null, Value::Null), Vec::<String>::new());
        assert_eq!(summaries(all_or_none_of, 1.into(), Value::Null), ["Missing attribute"]);
        assert_eq!(summaries(all_or_none_of, 1.into(), Value::Unknown), Vec::<String>::new());
        assert_eq!(summaries(all_or_none_of, Value::Unknown, Value::Null), Vec::<String>::new());
        assert_eq!(summaries(all_or_none_of, Value::Null, Value::Null), Vec::<String>::new());
    }
}
