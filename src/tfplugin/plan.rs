//! From configuration and state to a plan, by the schema alone.
//!
//! The host proposes a merge of configuration and prior state in which a computed value that the configuration leaves
//! out stays as it was. It never makes such a value unknown, so the provider must, or the apply could not change it.
//! Facts: Terraform v1.11.4 internal/plans/objchange.

use std::collections::BTreeMap;

use super::{
    conform::{each_object, without_write_only},
    path::Path,
    schema::{Attribute, Kind, Nesting},
    value::Value,
};

/// A proposal by the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The state to come. Exactly the prior state when nothing differs from it.
    pub proposed: Value,
    /// The state to come, had anything differed.
    pub on_change: Value,
}

/// Makes the host's proposal a plan: defaults are filled in, write-only values taken out, and, on a create or when
/// anything differs, what is computed and not configured becomes unknown (or stays, see
/// [`Attribute::use_state_for_unknown`]).
pub fn propose(attributes: &[Attribute], prior: &Value, host_proposal: &Value, config: &Value) -> Proposal {
    let merged = with_defaults(attributes, host_proposal, config);
    let merged = without_write_only(attributes, merged);
    // The host proposes to drop an object that is computed, but has values that a user must have set once. If it is to
    // stay, it must not count as a difference, or no plan would ever be empty again.
    let merged =
        where_unset(attributes, &merged, config, prior, &|attribute, value, before| match stays(attribute, before) {
            true => before.clone(),
            false => value.clone(),
        });
    let on_change =
        where_unset(attributes, &merged, config, prior, &|attribute, value, before| match attribute.computed
            && attribute.default.is_none()
            && !stays(attribute, before)
        {
            true => Value::Unknown,
            false => value.clone(),
        });
    let unchanged = !prior.is_null() && same_object(attributes, &merged, prior);
    Proposal { proposed: if unchanged { prior.clone() } else { on_change.clone() }, on_change }
}

/// Fills the schema's defaults in where the configuration has null.
pub fn with_defaults(attributes: &[Attribute], value: &Value, config: &Value) -> Value {
    where_unset(attributes, value, config, &Value::Null, &|attribute, value, _| match &attribute.default {
        Some(default) => complete(attribute, default),
        None => value.clone(),
    })
}

/// The attributes whose change makes a new object. Nothing on a create.
pub fn requires_replace(attributes: &[Attribute], prior: &Value, planned: &Value, config: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    if !prior.is_null() && !planned.is_null() {
        replaced(attributes, prior, planned, config, &Path::root(), &mut paths);
        paths.dedup();
    }
    paths
}

/// A default with all attributes of its objects, and their own defaults.
fn complete(attribute: &Attribute, default: &Value) -> Value {
    let Kind::Nested(nesting, nested) = &attribute.kind else {
        return default.clone();
    };
    each_object(*nesting, default.clone(), |object| {
        let Value::Map(mut entries) = object else {
            return object;
        };
        for attribute in nested {
            entries.entry(attribute.name.clone()).or_default();
        }
        let object = Value::Map(entries);
        with_defaults(nested, &object, &object)
    })
}

/// Whether a computed attribute keeps its prior value when the configuration does not set it.
fn stays(attribute: &Attribute, prior: &Value) -> bool {
    attribute.computed && attribute.use_state_for_unknown && attribute.default.is_none() && !prior.is_null()
}

/// Replaces each attribute that the configuration leaves null, at any depth, by what `fill` makes of it, its value and its
/// prior value.
fn where_unset(
    attributes: &[Attribute],
    value: &Value,
    config: &Value,
    prior: &Value,
    fill: &dyn Fn(&Attribute, &Value, &Value) -> Value,
) -> Value {
    let (Value::Map(entries), Value::Map(_)) = (value, config) else {
        return value.clone();
    };
    let mut entries = entries.clone();
    for attribute in attributes {
        let (value, wanted) = (value.get(&attribute.name), config.get(&attribute.name));
        let before = prior.get(&attribute.name);
        if wanted.is_null() {
            entries.insert(attribute.name.clone(), fill(attribute, value, before));
        } else if let Kind::Nested(nesting, nested) = &attribute.kind {
            let filled = zip(*nesting, nested, value, wanted, before, &|value, wanted, before| {
                where_unset(nested, value, wanted, before, fill)
            });
            entries.insert(attribute.name.clone(), filled);
        }
    }
    Value::Map(entries)
}

/// Applies `change` to each object of a nested attribute's value, with the objects of the configuration and of the prior
/// state that belong to it: by position, by key, and in a set by what the configuration says.
fn zip(
    nesting: Nesting,
    nested: &[Attribute],
    value: &Value,
    config: &Value,
    prior: &Value,
    change: &dyn Fn(&Value, &Value, &Value) -> Value,
) -> Value {
    match (nesting, value) {
        (Nesting::Single, object) => change(object, config, prior),
        (Nesting::List, Value::List(elements)) => {
            let elements = elements.iter().enumerate();
            Value::List(elements.map(|(at, object)| change(object, config.element(at), prior.element(at))).collect())
        }
        (Nesting::Map, Value::Map(entries)) => {
            let changed =
                entries.iter().map(|(key, object)| (key.clone(), change(object, config.get(key), prior.get(key))));
            Value::Map(changed.collect::<BTreeMap<_, _>>())
        }
        (Nesting::Set, Value::List(elements)) => {
            let mut wanted = unused(config);
            let mut before = unused(prior);
            let changed = elements.iter().map(|object| {
                let wanted = take(&mut wanted, |wanted| could_come_from(nested, object, wanted)).unwrap_or(object);
                let before = take(&mut before, |before| could_come_from(nested, before, wanted));
                change(object, wanted, before.unwrap_or(&Value::Null))
            });
            Value::List(changed.collect())
        }
        (_, other) => other.clone(),
    }
}

fn unused(value: &Value) -> Vec<&Value> {
    value.as_list().unwrap_or_default().iter().collect()
}

fn take<'v>(from: &mut Vec<&'v Value>, which: impl Fn(&Value) -> bool) -> Option<&'v Value> {
    let at = from.iter().position(|value| which(value))?;
    Some(from.remove(at))
}

/// Whether an object of a set may stem from this object of the configuration: it differs in computed attributes only.
fn could_come_from(nested: &[Attribute], object: &Value, config: &Value) -> bool {
    nested.iter().all(|attribute| {
        let wanted = config.get(&attribute.name);
        let has = object.get(&attribute.name);
        if attribute.write_only || (wanted.is_null() && attribute.computed) {
            return true;
        }
        match (&attribute.kind, wanted) {
            (Kind::Nested(Nesting::Single, nested), Value::Map(_)) => could_come_from(nested, has, wanted),
            (Kind::Nested(_, nested), Value::List(elements)) => {
                let all = has.as_list().unwrap_or_default();
                all.len() == elements.len() && all.iter().zip(elements).all(|(has, w)| could_come_from(nested, has, w))
            }
            (Kind::Nested(Nesting::Map, nested), Value::Map(entries)) => {
                let all = has.as_map();
                all.is_some_and(|all| all.keys().eq(entries.keys()))
                    && entries.iter().all(|(key, wanted)| could_come_from(nested, has.get(key), wanted))
            }
            _ => has == wanted,
        }
    })
}

/// Whether two values of an attribute mean the same: the order of a set's elements does not count.
fn same(attribute: &Attribute, a: &Value, b: &Value) -> bool {
    if attribute.write_only || a == b {
        return true;
    }
    match (&attribute.kind, a, b) {
        (Kind::Plain(super::Type::Set(_)), Value::List(a), Value::List(b)) => same_set(a, b, |a, b| a == b),
        (Kind::Nested(Nesting::Single, nested), a, b) => same_object(nested, a, b),
        (Kind::Nested(Nesting::Set, nested), Value::List(a), Value::List(b)) => {
            same_set(a, b, |a, b| same_object(nested, a, b))
        }
        (Kind::Nested(Nesting::List, nested), Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_object(nested, a, b))
        }
        (Kind::Nested(Nesting::Map, nested), Value::Map(a), Value::Map(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| same_object(nested, a, b))
        }
        _ => false,
    }
}

fn same_object(attributes: &[Attribute], a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Map(_), Value::Map(_)) => {
            attributes.iter().all(|attribute| same(attribute, a.get(&attribute.name), b.get(&attribute.name)))
        }
        _ => a == b,
    }
}

fn same_set(a: &[Value], b: &[Value], same: impl Fn(&Value, &Value) -> bool) -> bool {
    let mut rest: Vec<_> = b.iter().collect();
    a.len() == b.len() && a.iter().all(|a| take(&mut rest, |b| same(a, b)).is_some())
}

fn replaced(attributes: &[Attribute], prior: &Value, planned: &Value, config: &Value, at: &Path, to: &mut Vec<Path>) {
    for attribute in attributes.iter().filter(|attribute| !attribute.write_only) {
        let (before, after) = (prior.get(&attribute.name), planned.get(&attribute.name));
        let wanted = config.get(&attribute.name);
        // Unknown only because something else changes: no reason for a new object.
        let incidental = wanted.is_null() && after.is_unknown();
        if incidental || same(attribute, before, after) {
            continue;
        }
        let path = at.attribute(&*attribute.name);
        if attribute.requires_replace {
            to.push(path);
        } else if let Kind::Nested(nesting, nested) = &attribute.kind {
            match nesting {
                Nesting::Single if before.is_null() != after.is_null() || after.is_unknown() => {
                    if any_requires_replace(nested) {
                        to.push(path);
                    }
                }
                Nesting::Single => replaced(nested, before, after, wanted, &path, to),
                Nesting::List => elements_replaced(nested, (before, after, wanted), &path, to),
                Nesting::Map => entries_replaced(nested, (before, after, wanted), &path, to),
                // An element of a set has no path of its own, and one that changed is another element.
                Nesting::Set => to.extend(any_requires_replace(nested).then_some(path)),
            }
        }
    }
}

type BeforeAfterWanted<'v> = (&'v Value, &'v Value, &'v Value);

fn elements_replaced(nested: &[Attribute], values: BeforeAfterWanted<'_>, path: &Path, to: &mut Vec<Path>) {
    let (before, after, wanted) = values;
    let length = |value: &Value| value.as_list().map(<[Value]>::len);
    if length(before) != length(after) {
        to.extend(any_requires_replace(nested).then(|| path.clone()));
        return;
    }
    for at in 0..length(after).unwrap_or_default() {
        replaced(nested, before.element(at), after.element(at), wanted.element(at), &path.index(at), to);
    }
}

fn entries_replaced(nested: &[Attribute], values: BeforeAfterWanted<'_>, path: &Path, to: &mut Vec<Path>) {
    let (before, after, wanted) = values;
    let keys = |value: &Value| value.as_map().map(|entries| entries.keys().cloned().collect::<Vec<_>>());
    if keys(before) != keys(after) {
        to.extend(any_requires_replace(nested).then(|| path.clone()));
        return;
    }
    for key in keys(after).unwrap_or_default() {
        replaced(nested, before.get(&key), after.get(&key), wanted.get(&key), &path.key(key.clone()), to);
    }
}

fn any_requires_replace(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.requires_replace || any_requires_replace(attribute.nested()))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_laws.rs"]
mod laws;
