//! Every answer in the exact shape of its schema.
//!
//! A host refuses an object that lacks an attribute or has one too many, and loses a resource that was just made with it.
//! So whatever an author returns passes through here: the result always fits, and what had to be bent is reported.

use std::collections::BTreeMap;

use super::{
    path::Path,
    schema::{Attribute, Kind, Nesting},
    types::Type,
    value::Value,
};

/// Something that did not fit, and was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where.
    pub path: Path,
    /// What was expected, or that nothing was.
    pub expected: String,
}

/// Brings a value into the shape of these attributes: missing ones are null, strangers and wrong types are dropped.
pub fn conform(attributes: &[Attribute], value: Value) -> (Value, Vec<Misfit>) {
    let mut fit = Fit::default();
    (fit.object(attributes, value, &Path::root()), fit.misfits)
}

/// Brings a value into the shape of a type.
pub fn conform_type(of: &Type, value: Value) -> (Value, Vec<Misfit>) {
    let mut fit = Fit::default();
    (fit.plain(of, value, &Path::root()), fit.misfits)
}

/// Nulls every write-only attribute.
pub fn without_write_only(attributes: &[Attribute], value: Value) -> Value {
    let Value::Map(mut entries) = value else {
        return value;
    };
    for attribute in attributes {
        let Some(entry) = entries.get_mut(&attribute.name) else {
            continue;
        };
        let inner = std::mem::take(entry);
        if attribute.write_only {
            continue;
        }
        *entry = match &attribute.kind {
            Kind::Plain(_) => inner,
            Kind::Nested(nesting, nested) => each_object(*nesting, inner, |object| without_write_only(nested, object)),
        };
    }
    Value::Map(entries)
}

/// Nulls what is unknown, and says where that was.
pub fn without_unknown(value: Value) -> (Value, Vec<Path>) {
    fn walk(value: Value, path: &Path, found: &mut Vec<Path>) -> Value {
        match value {
            Value::Unknown => {
                found.push(path.clone());
                Value::Null
            }
            Value::List(elements) => {
                let elements = elements.into_iter().enumerate();
                Value::List(elements.map(|(at, element)| walk(element, &path.index(at), found)).collect())
            }
            Value::Map(entries) => {
                let entries = entries.into_iter();
                let walked = entries.map(|(key, value)| {
                    let value = walk(value, &path.attribute(key.clone()), found);
                    (key, value)
                });
                Value::Map(walked.collect())
            }
            Value::Dynamic(inner) => {
                let (of, value) = *inner;
                Value::Dynamic(Box::new((of, walk(value, path, found))))
            }
            known => known,
        }
    }
    let mut found = Vec::new();
    let value = walk(value, &Path::root(), &mut found);
    (value, found)
}

/// Applies `change` to each object of a nested attribute's value.
pub(super) fn each_object(nesting: Nesting, value: Value, mut change: impl FnMut(Value) -> Value) -> Value {
    match (nesting, value) {
        (Nesting::Single, object) => change(object),
        (Nesting::List | Nesting::Set, Value::List(elements)) => {
            Value::List(elements.into_iter().map(change).collect())
        }
        (Nesting::Map, Value::Map(entries)) => {
            Value::Map(entries.into_iter().map(|(key, object)| (key, change(object))).collect())
        }
        (_, other) => other,
    }
}

/// The type of a value that brings none.
fn infer(value: &Value) -> Type {
    match value {
        Value::Null | Value::Unknown => Type::Dynamic,
        Value::Bool(_) => Type::Bool,
        Value::Number(_) => Type::Number,
        Value::String(_) => Type::String,
        Value::List(elements) => Type::Tuple(elements.iter().map(infer).collect()),
        Value::Map(entries) => Type::object(entries.iter().map(|(key, value)| (key.clone(), infer(value)))),
        Value::Dynamic(inner) => inner.0.clone(),
    }
}

#[derive(Default)]
struct Fit {
    misfits: Vec<Misfit>,
}

impl Fit {
    fn object(&mut self, attributes: &[Attribute], value: Value, path: &Path) -> Value {
        let mut entries = match undynamic(value) {
            Value::Map(entries) => entries,
            empty @ (Value::Null | Value::Unknown) => return empty,
            _ => return self.misfit(path, "an object"),
        };
        let fitted = attributes.iter().map(|attribute| {
            let value = entries.remove(&attribute.name).unwrap_or_default();
            (attribute.name.clone(), self.attribute(attribute, value, &path.attribute(attribute.name.clone())))
        });
        let fitted: BTreeMap<_, _> = fitted.collect();
        self.strangers(entries, path);
        Value::Map(fitted)
    }

    fn attribute(&mut self, attribute: &Attribute, value: Value, path: &Path) -> Value {
        let (nesting, nested) = match &attribute.kind {
            Kind::Plain(of) => return self.plain(of, value, path),
            Kind::Nested(nesting, nested) => (*nesting, nested),
        };
        match (nesting, undynamic(value)) {
            (_, empty @ (Value::Null | Value::Unknown)) => empty,
            (Nesting::Single, value) => self.object(nested, value, path),
            (Nesting::List | Nesting::Set, Value::List(elements)) => {
                let elements = elements.into_iter().enumerate();
                Value::List(elements.map(|(at, value)| self.object(nested, value, &path.index(at))).collect())
            }
            (Nesting::Map, Value::Map(entries)) => {
                let entries = entries.into_iter();
                let fitted = entries.map(|(key, value)| {
                    let value = self.object(nested, value, &path.key(key.clone()));
                    (key, value)
                });
                Value::Map(fitted.collect())
            }
            _ => self.misfit(path, &attribute.value_type().to_string()),
        }
    }

    fn plain(&mut self, of: &Type, value: Value, path: &Path) -> Value {
        if *of == Type::Dynamic {
            return self.dynamic(value, path);
        }
        match (of, undynamic(value)) {
            (_, empty @ (Value::Null | Value::Unknown)) => empty,
            (Type::Bool, value @ Value::Bool(_)) => value,
            (Type::Number, value @ Value::Number(_)) => value,
            (Type::String, value @ Value::String(_)) => value,
            (Type::List(element) | Type::Set(element), Value::List(elements)) => {
                let elements = elements.into_iter().enumerate();
                Value::List(elements.map(|(at, value)| self.plain(element, value, &path.index(at))).collect())
            }
            (Type::Tuple(types), Value::List(elements)) if types.len() == elements.len() => {
                let elements = types.iter().zip(elements).enumerate();
                Value::List(elements.map(|(at, (of, value))| self.plain(of, value, &path.index(at))).collect())
            }
            (Type::Map(element), Value::Map(entries)) => {
                let entries = entries.into_iter();
                let fitted = entries.map(|(key, value)| {
                    let value = self.plain(element, value, &path.key(key.clone()));
                    (key, value)
                });
                Value::Map(fitted.collect())
            }
            (Type::Object(attributes), Value::Map(mut entries)) => {
                let fitted = attributes.iter().map(|(name, of)| {
                    let value = entries.remove(name).unwrap_or_default();
                    (name.clone(), self.plain(of, value, &path.attribute(name.clone())))
                });
                let fitted = fitted.collect();
                self.strangers(entries, path);
                Value::Map(fitted)
            }
            _ => self.misfit(path, &of.to_string()),
        }
    }

    /// A dynamic value brings its type, or gets the one that it evidently has.
    fn dynamic(&mut self, value: Value, path: &Path) -> Value {
        match value {
            Value::Dynamic(inner) => {
                let (of, value) = *inner;
                if of == Type::Dynamic {
                    return self.dynamic(value, path);
                }
                let value = self.plain(&of, value, path);
                Value::Dynamic(Box::new((of, value)))
            }
            empty @ (Value::Null | Value::Unknown) => empty,
            value => {
                let of = infer(&value);
                let value = self.plain(&of, value, path);
                Value::Dynamic(Box::new((of, value)))
            }
        }
    }

    fn strangers(&mut self, entries: BTreeMap<String, Value>, path: &Path) {
        for (name, _) in entries {
            self.misfit(&path.attribute(name), "no such attribute");
        }
    }

    fn misfit(&mut self, path: &Path, expected: &str) -> Value {
        self.misfits.push(Misfit { path: path.clone(), expected: expected.to_owned() });
        Value::Null
    }
}

fn undynamic(value: Value) -> Value {
    match value {
        Value::Dynamic(inner) => undynamic(inner.1),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tfplugin::{msgpack, number::Number};

    fn attributes() -> Vec<Attribute> {
        vec![
            Attribute::string("name").required(),
            Attribute::list("tags", Type::String),
            Attribute::object("ssh", [Attribute::number("port"), Attribute::string("key").write_only()]),
            Attribute::list_of_objects("nets", [Attribute::string("ip")]),
            Attribute::dynamic("any"),
        ]
    }

    fn misfits(value: Value) -> Vec<String> {
        conform(&attributes(), value).1.iter().map(|misfit| format!("{}: {}", misfit.path, misfit.expected)).collect()
    }

    #[test]
    fn a_missing_attribute_becomes_null() {
        let (value, misfits) = conform(&attributes(), Value::object([("name", "a".into())]));
        assert_eq!(misfits, []);
        let expected = Value::object([
            ("name", "a".into()),
            ("tags", Value::Null),
            ("ssh", Value::Null),
            ("nets", Value::Null),
            ("any", Value::Null),
        ]);
        assert_eq!(value, expected);
    }

    #[test]
    fn strangers_and_wrong_types_are_dropped_and_named() {
        let value = Value::object([
            ("name", 1.into()),
            ("nam", "typo".into()),
            ("tags", Value::List(vec!["a".into(), true.into()])),
            ("ssh", Value::object([("port", "22".into())])),
            ("nets", Value::List(vec![Value::object([("ipp", "::1".into())])])),
        ]);
        let expected = [
            "name: string",
            "tags[1]: string",
            "ssh.port: number",
            "nets[0].ipp: no such attribute",
            "nam: no such attribute",
        ];
        assert_eq!(misfits(value), expected);
    }

    #[test]
    fn a_dynamic_value_gets_the_type_that_it_has() {
        let any = Value::object([("a", Value::List(vec![1.into(), "x".into()])), ("b", Value::Null)]);
        let (value, misfits) = conform(&attributes(), Value::object([("any", any.clone())]));
        assert_eq!(misfits, []);
        let of = Type::object([("a", Type::Tuple(vec![Type::Number, Type::String])), ("b", Type::Dynamic)]);
        assert_eq!(value.get("any"), &Value::Dynamic(Box::new((of, any))));
    }

    #[test]
    fn write_only_values_are_nulled_at_any_depth() {
        let ssh = Value::object([("port", 22.into()), ("key", "secret".into())]);
        let value = without_write_only(&attributes(), Value::object([("ssh", ssh)]));
        assert_eq!(value.at(&"ssh.port".into()), &Value::from(22));
        assert_eq!(value.at(&"ssh.key".into()), &Value::Null);
    }

    #[test]
    fn unknown_leaves_are_nulled_and_named() {
        let value = Value::object([("a", Value::List(vec![Value::Unknown, 1.into()])), ("b", Value::Unknown)]);
        let (value, paths) = without_unknown(value);
        assert!(value.is_wholly_known());
        assert_eq!(paths, [Path::from("a[0]"), Path::from("b")]);
    }

    /// Whether a value has exactly the shape of a type: what a host demands of an answer.
    fn fits(value: &Value, of: &Type) -> bool {
        match (of, value) {
            (_, Value::Null | Value::Unknown) => true,
            (Type::Dynamic, Value::Dynamic(inner)) => fits(&inner.1, &inner.0),
            (Type::Bool, Value::Bool(_)) | (Type::Number, Value::Number(_)) | (Type::String, Value::String(_)) => true,
            (Type::List(element) | Type::Set(element), Value::List(elements)) => {
                elements.iter().all(|value| fits(value, element))
            }
            (Type::Tuple(types), Value::List(elements)) => {
                types.len() == elements.len() && types.iter().zip(elements).all(|(of, value)| fits(value, of))
            }
            (Type::Map(element), Value::Map(entries)) => entries.values().all(|value| fits(value, element)),
            (Type::Object(types), Value::Map(entries)) => {
                types.keys().eq(entries.keys()) && types.iter().all(|(name, of)| fits(&entries[name], of))
            }
            _ => false,
        }
    }

    /// Few names, so that values and schemas often meet.
    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
    }

    fn any_type() -> impl Strategy<Value = Type> {
        let leaf = prop_oneof![Just(Type::Bool), Just(Type::Number), Just(Type::String), Just(Type::Dynamic)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(Type::list),
                inner.clone().prop_map(Type::set),
                inner.clone().prop_map(Type::map),
                prop::collection::btree_map(name(), inner.clone(), 0..3).prop_map(Type::Object),
                prop::collection::vec(inner, 0..3).prop_map(Type::Tuple),
            ]
        })
    }

    fn any_attributes() -> impl Strategy<Value = Vec<Attribute>> {
        let leaf = (name(), any_type()).prop_map(|(name, of)| Attribute::plain(name, of));
        let attribute = leaf.prop_recursive(3, 12, 3, |inner| {
            let nesting = prop::sample::select(vec![Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map]);
            (name(), nesting, prop::collection::vec(inner, 0..4)).prop_map(|(name, nesting, nested)| Attribute {
                kind: Kind::Nested(nesting, unique(nested)),
                ..Attribute::string(name)
            })
        });
        prop::collection::vec(attribute, 0..4).prop_map(unique)
    }

    fn unique(attributes: Vec<Attribute>) -> Vec<Attribute> {
        let by_name: BTreeMap<_, _> = attributes.into_iter().map(|a| (a.name.clone(), a)).collect();
        by_name.into_values().collect()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(Value::Unknown),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (any::<i64>(), -40..40_i32).prop_map(|(m, e)| Value::from(Number::parse(&format!("{m}e{e}")))),
            "[a-z]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(name(), inner.clone(), 0..4).prop_map(Value::Map),
                (any_type(), inner).prop_map(|(of, value)| Value::Dynamic(Box::new((of, value)))),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_an_author_returns_fits_its_schema_and_survives_the_wire(
            attributes in any_attributes(), value in any_value()
        ) {
            let of = Type::object(attributes.iter().map(|a| (a.name.clone(), a.value_type())));
            let (conformed, _) = conform(&attributes, value);
            prop_assert!(fits(&conformed, &of), "{conformed:?} as {of}");
            let (again, misfits) = conform(&attributes, conformed.clone());
            prop_assert_eq!(&again, &conformed);
            prop_assert_eq!(misfits, []);
            let read = msgpack::decode(&msgpack::encode(&conformed), &of);
            prop_assert_eq!(read.as_ref(), Ok(&conformed));
        }
    }
}
