//! What a schema forbids: in itself, and in a configuration.

use std::collections::BTreeSet;

use super::{
    diagnostic::Diagnostics,
    path::Path,
    schema::{Attribute, Kind, Nesting, Schema},
    types::Type,
    value::Value,
};

/// Checks a configuration by its schema: what is required is set, what only the provider sets is not, write-only values
/// reach only a host that keeps them out of its state, and the attributes' own validators agree.
///
/// Null and unknown values are not validated. (A host checks none of this but the presence of required attributes.)
pub fn config(attributes: &[Attribute], config: &Value, write_only_allowed: bool) -> Diagnostics {
    let mut check = Check { write_only_allowed, diagnostics: Diagnostics::new() };
    check.object(attributes, config, &Path::root());
    check.diagnostics
}

/// What a host would refuse in a schema, or could not make sense of; empty for a sound one.
pub fn schema(schema: &Schema) -> Vec<String> {
    let mut problems = Vec::new();
    attributes(&schema.attributes, &Path::root(), false, &mut problems);
    problems
}

struct Check {
    write_only_allowed: bool,
    diagnostics: Diagnostics,
}

impl Check {
    fn object(&mut self, attributes: &[Attribute], object: &Value, path: &Path) {
        if !matches!(object, Value::Map(_)) {
            return;
        }
        for attribute in attributes {
            self.attribute(attribute, object.get(&attribute.name), &path.attribute(&*attribute.name));
        }
    }

    fn attribute(&mut self, attribute: &Attribute, value: &Value, path: &Path) {
        if value.is_null() {
            if attribute.required {
                let detail = format!("{path} is required, and must not be null.");
                self.diagnostics.error_at(path, "Missing required attribute", detail);
            }
            return;
        }
        if attribute.is_read_only() {
            let detail = format!("{path} is set by the provider; remove it from the configuration.");
            return self.diagnostics.error_at(path, "Read-only attribute", detail);
        }
        if attribute.write_only && !self.write_only_allowed {
            let detail = format!(
                "{path} is write-only, which needs Terraform or OpenTofu 1.11 or later; this version would store it in the \
                 state in clear. Upgrade, or use the plain attribute."
            );
            return self.diagnostics.error_at(path, "Write-only attribute not supported", detail);
        }
        if value.is_unknown() {
            return;
        }
        for validator in &attribute.validators {
            validator(path, value, &mut self.diagnostics);
        }
        self.nested(attribute, value, path);
    }

    fn nested(&mut self, attribute: &Attribute, value: &Value, path: &Path) {
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            return;
        };
        match (nesting, value) {
            (Nesting::Single, object) => self.object(nested, object, path),
            (Nesting::List, Value::List(elements)) => {
                for (at, object) in elements.iter().enumerate() {
                    self.object(nested, object, &path.index(at));
                }
            }
            // An element of a set has no index to point at.
            (Nesting::Set, Value::List(elements)) => {
                elements.iter().for_each(|object| self.object(nested, object, path));
            }
            (Nesting::Map, Value::Map(entries)) => {
                for (key, object) in entries {
                    self.object(nested, object, &path.key(key.clone()));
                }
            }
            _ => {}
        }
    }
}

fn attributes(all: &[Attribute], path: &Path, in_set: bool, problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for attribute in all {
        let path = path.attribute(&*attribute.name);
        let mut problem = |text: &str| problems.push(format!("{path}: {text}"));
        if !names.insert(&attribute.name) {
            problem("declared twice");
        }
        if !is_name(&attribute.name) {
            problem("a name is made of a-z, 0-9 and _, and starts with a letter");
        }
        if attribute.required && (attribute.optional || attribute.computed) {
            problem("required excludes optional and computed");
        }
        if !(attribute.required || attribute.optional || attribute.computed) {
            problem("neither required nor optional nor computed");
        }
        if attribute.write_only && (attribute.computed || in_set) {
            problem("a write-only attribute is neither computed (or defaulted) nor inside a set");
        }
        if in_set && attribute.value_type() == Type::Dynamic {
            problem("no dynamic attribute inside a set");
        }
        if attribute.default.as_ref().is_some_and(|default| !default.is_wholly_known() || default.is_null()) {
            problem("a default is known and not null");
        }
        if attribute.default.as_ref().is_some_and(|default| misfits(attribute, default)) {
            problem("the default is not of the attribute's type");
        }
        if attribute.default.is_some() && finds_out(attribute.nested()) {
            problem("a default object leaves nothing for the provider to find out");
        }
        let in_set = in_set || matches!(attribute.kind, Kind::Nested(Nesting::Set, _));
        attributes(attribute.nested(), &path, in_set, problems);
    }
}

/// Whether something in here is known after apply only: the plan of a default says all that there is.
fn finds_out(nested: &[Attribute]) -> bool {
    nested.iter().any(|attribute| (attribute.computed && attribute.default.is_none()) || finds_out(attribute.nested()))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn misfits(attribute: &Attribute, default: &Value) -> bool {
    let whole = Value::object([(attribute.name.clone(), default.clone())]);
    !super::conform::conform(std::slice::from_ref(attribute), whole).1.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::validator;

    fn sound() -> Vec<Attribute> {
        vec![
            Attribute::string("id").computed(),
            Attribute::string("name").required().validate(validator::not_empty),
            Attribute::string("method").validate(validator::one_of(&["ssh", "none"])),
            Attribute::string("token").write_only(),
            Attribute::list_of_objects(
                "nets",
                [Attribute::number("port").validate(validator::within(1..=65535)), Attribute::string("mac").computed()],
            ),
        ]
    }

    fn told(value: Value, write_only_allowed: bool) -> Vec<String> {
        let (value, misfits) = crate::tfplugin::conform::conform(&sound(), value);
        assert_eq!(misfits, []);
        let told = config(&sound(), &value, write_only_allowed);
        told.iter().map(|d| format!("{}: {}", d.path.clone().unwrap_or_default(), d.summary)).collect()
    }

    #[test]
    fn a_good_configuration_and_an_unknown_one_pass() {
        let net = Value::object([("port", 22.into())]);
        let good = Value::object([("name", "a".into()), ("method", "ssh".into()), ("nets", Value::List(vec![net]))]);
        assert_eq!(told(good, true), Vec::<String>::new());
        let unknown = Value::object([("name", Value::Unknown), ("method", Value::Unknown), ("nets", Value::Unknown)]);
        assert_eq!(told(unknown, true), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_told_at_its_attribute() {
        let net = Value::object([("port", 0.into()), ("mac", "m".into())]);
        let bad = Value::object([
            ("id", "x".into()),
            ("name", "".into()),
            ("method", "dd".into()),
            ("nets", Value::List(vec![Value::Null, net])),
        ]);
        let expected = [
            "id: Read-only attribute",
            "name: Empty value",
            "method: Invalid value",
            "nets[1].port: Number out of range",
            "nets[1].mac: Read-only attribute",
        ];
        assert_eq!(told(bad, true), expected);
        assert_eq!(told(Value::object([("name", Value::Null)]), true), ["name: Missing required attribute"]);
    }

    #[test]
    fn a_write_only_value_is_refused_where_the_host_would_store_it() {
        let value = Value::object([("name", "a".into()), ("token", "t".into())]);
        assert_eq!(told(value.clone(), true), Vec::<String>::new());
        assert_eq!(told(value.clone(), false), ["token: Write-only attribute not supported"]);
        assert_eq!(told(value.with("token", Value::Unknown), false), ["token: Write-only attribute not supported"]);
    }

    #[test]
    fn an_unsound_schema_is_told() {
        assert_eq!(schema(&Schema::new(sound())), Vec::<String>::new());
        let unsound = Schema::new([
            Attribute::string("a").required().default("x").required(),
            Attribute::string("b").write_only().default("x"),
            Attribute::string("B"),
            Attribute::number("c").default("text"),
            Attribute::set_of_objects("d", [Attribute::dynamic("e"), Attribute::string("f").write_only()]),
            Attribute::bool("g"),
            Attribute::bool("g").default(Value::Unknown),
            Attribute::object("h", [Attribute::string("i").computed()]).default(Value::object::<String>([])),
        ]);
        let expected = [
            "a: required excludes optional and computed",
            "b: a write-only attribute is neither computed (or defaulted) nor inside a set",
            "B: a name is made of a-z, 0-9 and _, and starts with a letter",
            "c: the default is not of the attribute's type",
            "d.e: no dynamic attribute inside a set",
            "d.f: a write-only attribute is neither computed (or defaulted) nor inside a set",
            "g: declared twice",
            "g: a default is known and not null",
            "h: a default object leaves nothing for the provider to find out",
        ];
        assert_eq!(schema(&unsound), expected);
    }
}
