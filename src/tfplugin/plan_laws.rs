//! What a host demands of any plan, checked for arbitrary schemas and configurations.
//!
//! The host's side is written after Terraform v1.11.4 internal/plans/objchange: objchange.go (the proposal), plan_valid.go
//! (what may be planned) and compatible.go (what may become of a plan).

use proptest::{collection::btree_map, prelude::*, sample::select};

use super::*;
use crate::tfplugin::{
    conform::{conform, without_write_only},
    types::Type,
};

/// The host's merge of configuration and prior state.
pub fn host_merge(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    if !matches!(config, Value::Map(_)) {
        return config.clone();
    }
    let merged = attributes.iter().map(|attribute| {
        let (before, wanted) = (prior.get(&attribute.name), config.get(&attribute.name));
        let value = match &attribute.kind {
            _ if attribute.computed && wanted.is_null() => {
                if attribute.optional && came_from_config(attribute.nested(), before) {
                    Value::Null
                } else {
                    before.clone()
                }
            }
            Kind::Plain(_) => wanted.clone(),
            Kind::Nested(nesting, nested) => {
                zip(*nesting, nested, wanted, wanted, before, &|wanted, _, before| host_merge(nested, before, wanted))
            }
        };
        (attribute.name.clone(), value)
    });
    Value::object(merged.collect::<Vec<_>>())
}

/// Whether something in a nested value can only have come from a configuration.
fn came_from_config(nested: &[Attribute], value: &Value) -> bool {
    match value {
        Value::List(elements) => elements.iter().any(|element| came_from_config(nested, element)),
        Value::Map(entries) if nested.iter().any(|attribute| entries.contains_key(&attribute.name)) => {
            nested.iter().any(|attribute| {
                let value = value.get(&attribute.name);
                !value.is_null() && (!attribute.computed || came_from_config(attribute.nested(), value))
            })
        }
        Value::Map(entries) => entries.values().any(|entry| came_from_config(nested, entry)),
        _ => false,
    }
}

/// Where a plan is one that the host refuses.
fn refused(attributes: &[Attribute], prior: &Value, config: &Value, planned: &Value, at: &Path) -> Vec<Path> {
    let each = attributes.iter().flat_map(|attribute| {
        let (before, wanted) = (prior.get(&attribute.name), config.get(&attribute.name));
        let (after, path) = (planned.get(&attribute.name), at.attribute(&*attribute.name));
        let bad = || vec![path.clone()];
        if after == wanted || (after == before && !before.is_null() && !wanted.is_null()) {
            return vec![];
        }
        if attribute.write_only {
            return if after.is_null() { vec![] } else { bad() };
        }
        if attribute.is_read_only() || (wanted.is_null() && attribute.computed) {
            return vec![];
        }
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            return bad();
        };
        if wanted.is_null() || after.is_null() || after.is_unknown() {
            return bad();
        }
        match (nesting, after, wanted) {
            (Nesting::Single, _, _) => refused(nested, before, wanted, after, &path),
            (Nesting::List, Value::List(all), Value::List(wanted)) if all.len() == wanted.len() => {
                let elements = all.iter().zip(wanted).enumerate();
                let refused = elements
                    .flat_map(|(i, (after, wanted))| refused(nested, before.element(i), wanted, after, &path.index(i)));
                refused.collect()
            }
            (Nesting::Map, Value::Map(all), Value::Map(wanted)) if all.keys().eq(wanted.keys()) => {
                let refused = all.iter().flat_map(|(key, after)| {
                    refused(nested, before.get(key), &wanted[key], after, &path.key(key.clone()))
                });
                refused.collect()
            }
            (Nesting::Set, Value::List(all), Value::List(wanted)) if all.len() == wanted.len() => {
                vec![]
            }
            _ => bad(),
        }
    });
    each.collect()
}

/// Whether `actual` keeps all that `planned` promised.
fn keeps(planned: &Value, actual: &Value) -> bool {
    match (planned, actual) {
        (Value::Unknown, _) => true,
        (Value::Map(planned), Value::Map(actual)) => {
            planned.keys().eq(actual.keys()) && planned.values().zip(actual.values()).all(|(p, a)| keeps(p, a))
        }
        (Value::List(planned), Value::List(actual)) => {
            planned.len() == actual.len() && planned.iter().zip(actual).all(|(p, a)| keeps(p, a))
        }
        (planned, actual) => planned == actual,
    }
}

/// Replaces what is unknown: by what a user would set, or by what a provider would find out.
fn settle(attributes: &[Attribute], value: &Value, by_user: bool) -> Value {
    let settled = attributes.iter().map(|attribute| {
        let settled = match (&attribute.kind, value.get(&attribute.name)) {
            (_, Value::Unknown) => made_up(attribute, by_user),
            (Kind::Nested(nesting, nested), known) => each_object(*nesting, known.clone(), |object| match object {
                Value::Map(_) => settle(nested, &object, by_user),
                other => other,
            }),
            (_, known) => known.clone(),
        };
        (attribute.name.clone(), settled)
    });
    Value::object(settled.collect::<Vec<_>>())
}

fn made_up(attribute: &Attribute, by_user: bool) -> Value {
    match &attribute.kind {
        Kind::Plain(Type::Number) => 77.into(),
        Kind::Plain(Type::List(_)) => vec!["made"].into(),
        Kind::Plain(_) => "made".into(),
        Kind::Nested(nesting, nested) => {
            let set = nested.iter().map(|attribute| {
                let sets = if by_user { attribute.required } else { attribute.computed };
                (attribute.name.clone(), if sets { made_up(attribute, by_user) } else { Value::Null })
            });
            let object = Value::object(set.collect::<Vec<_>>());
            match nesting {
                Nesting::Single => object,
                Nesting::Map => Value::object([("k", object)]),
                _ => Value::List(vec![object]),
            }
        }
    }
}

fn any_attribute() -> impl Strategy<Value = Attribute> {
    let name = || select(vec!["a", "b", "c", "d", "e"]);
    let of = select(vec![Type::String, Type::Number, Type::list(Type::String)]);
    let leaf = (name(), of, flags()).prop_map(|(name, of, flags)| flags(Attribute::plain(name, of)));
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let nesting = select(vec![Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map]);
        (name(), nesting, prop::collection::vec(inner, 1..5), flags()).prop_map(|(name, nesting, nested, flags)| {
            let nested = by_name(nested, nesting == Nesting::Set);
            let attribute = Attribute { kind: Kind::Nested(nesting, nested), ..Attribute::string(name) };
            flags(Attribute { write_only: false, ..attribute })
        })
    })
}

/// One way to flag an attribute; as a pointer, so that it can be sampled.
type Flags = fn(Attribute) -> Attribute;

fn flags() -> impl Strategy<Value = Flags> {
    let all: Vec<Flags> = vec![
        |attribute| attribute.required(),
        |attribute| attribute.required().requires_replace(),
        |attribute| attribute,
        |attribute| attribute.computed(),
        |attribute| attribute.computed().use_state_for_unknown(),
        |attribute| attribute.computed().optional(),
        |attribute| attribute.computed().optional().use_state_for_unknown(),
        |attribute| match attribute.kind {
            Kind::Plain(Type::String) => attribute.default("default"),
            Kind::Nested(Nesting::Single, _) => attribute.default(Value::object::<String>([])),
            _ => attribute,
        },
        |attribute| match attribute.kind {
            Kind::Plain(_) => attribute.write_only(),
            Kind::Nested(..) => attribute,
        },
    ];
    select(all)
}

fn by_name(attributes: Vec<Attribute>, in_set: bool) -> Vec<Attribute> {
    let unique: BTreeMap<_, _> = attributes.into_iter().map(|a| (a.name.clone(), a)).collect();
    unique.into_values().map(|attribute| if in_set { without_write_only_flag(attribute) } else { attribute }).collect()
}

/// A set may not hold write-only attributes.
fn without_write_only_flag(mut attribute: Attribute) -> Attribute {
    attribute.write_only = false;
    if let Kind::Nested(_, nested) = &mut attribute.kind {
        *nested = std::mem::take(nested).into_iter().map(without_write_only_flag).collect();
    }
    attribute
}

fn any_config(attributes: Vec<Attribute>) -> BoxedStrategy<Value> {
    let entries: Vec<_> =
        attributes.iter().map(|attribute| (Just(attribute.name.clone()), any_wish(attribute))).collect();
    entries.prop_map(Value::object).boxed()
}

/// What a configuration may say about an attribute.
fn any_wish(attribute: &Attribute) -> BoxedStrategy<Value> {
    if attribute.is_read_only() {
        return Just(Value::Null).boxed();
    }
    let known = match &attribute.kind {
        Kind::Plain(Type::Number) => (0..3).prop_map(Value::from).boxed(),
        Kind::Plain(Type::List(_)) => prop::collection::vec("[xy]", 0..3).prop_map(Value::from).boxed(),
        Kind::Plain(_) => "[xy]".prop_map(Value::from).boxed(),
        Kind::Nested(nesting, nested) => {
            let object = any_config(nested.clone());
            match nesting {
                Nesting::Single => object,
                Nesting::Map => btree_map("[kl]", object, 0..3).prop_map(Value::Map).boxed(),
                Nesting::List => prop::collection::vec(object, 0..3).prop_map(Value::List).boxed(),
                // One element: which of several a prior element belongs to is the host's guess.
                Nesting::Set => prop::collection::vec(object, 0..2).prop_map(Value::List).boxed(),
            }
        }
    };
    let nothing = if attribute.required { known.clone() } else { Just(Value::Null).boxed() };
    prop_oneof![6 => known, 3 => nothing, 1 => Just(Value::Unknown)].boxed()
}

/// A schema, a configuration that was applied, and one to plan.
fn any_case() -> impl Strategy<Value = (Vec<Attribute>, Value, Value)> {
    let attributes = prop::collection::vec(any_attribute(), 1..5).prop_map(|all| by_name(all, false));
    attributes.prop_flat_map(|all| (Just(all.clone()), any_config(all.clone()), any_config(all)))
}

fn plan(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    let proposed = propose(attributes, prior, &host_merge(attributes, prior, config), config).proposed;
    let (planned, misfits) = conform(attributes, proposed);
    assert_eq!(misfits, []);
    without_write_only(attributes, planned)
}

/// Plans and applies a known configuration as a host and an honest provider would.
fn apply(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    settle(attributes, &plan(attributes, prior, config), false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_host_accepts_every_plan_and_the_next_one_is_empty((attributes, first, wish) in any_case()) {
        let first = settle(&attributes, &first, true);
        for prior in [Value::Null, apply(&attributes, &Value::Null, &first)] {
            let planned = plan(&attributes, &prior, &wish);
            prop_assert_eq!(refused(&attributes, &prior, &wish, &planned, &Path::root()), vec![]);

            // In the apply all is known; the plan made then keeps what the first one promised, and so does the result.
            let config = settle(&attributes, &wish, true);
            let again = plan(&attributes, &prior, &config);
            prop_assert_eq!(refused(&attributes, &prior, &config, &again, &Path::root()), vec![]);
            prop_assert!(keeps(&planned, &again), "{planned:?}\n{again:?}");
            let state = settle(&attributes, &again, false);
            prop_assert!(keeps(&again, &state), "{again:?}\n{state:?}");
            prop_assert!(state.is_wholly_known());

            prop_assert_eq!(plan(&attributes, &state, &config), state);
        }
    }

    #[test]
    fn every_path_that_asks_for_a_new_object_leads_to_a_change((attributes, first, wish) in any_case()) {
        let prior = apply(&attributes, &Value::Null, &settle(&attributes, &first, true));
        let planned = plan(&attributes, &prior, &wish);
        for path in requires_replace(&attributes, &prior, &planned, &wish) {
            prop_assert_ne!(prior.at(&path), planned.at(&path), "{}", path);
        }
    }
}
