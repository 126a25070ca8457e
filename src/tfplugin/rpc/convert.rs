//! Between our values and the messages of the protocol.

use std::time::SystemTime;

use crate::{
    tfplugin::{
        conform::{self, Misfit},
        diagnostic::{Diagnostic, Diagnostics, Severity},
        function::{Parameter, Signature},
        json, msgpack,
        path::{Path, Step},
        schema::{Attribute, Kind, Nesting, Schema},
        types::Type,
        value::Value,
    },
    wire::tfplugin6 as wire,
};

/// Reads a value of a type. No value means null.
pub fn value(dynamic: Option<&wire::DynamicValue>, of: &Type) -> Result<Value, Diagnostics> {
    let Some(dynamic) = dynamic else {
        return Ok(Value::Null);
    };
    let read = if !dynamic.msgpack.is_empty() {
        msgpack::decode(&dynamic.msgpack, of).map_err(|error| error.to_string())
    } else if !dynamic.json.is_empty() {
        return raw_json(&dynamic.json).and_then(|json| typed_json(&json, of));
    } else {
        Ok(Value::Null)
    };
    read.map_err(|error| Diagnostic::error("Unreadable value from the host", error).into())
}

/// Reads a state as it lies in a state file.
pub fn raw_json(bytes: &[u8]) -> Result<serde_json::Value, Diagnostics> {
    // The parser's message may quote what it read; its position is enough.
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("The state is not valid JSON (line {}, column {}).", error.line(), error.column());
        Diagnostic::error("Unreadable state", detail).into()
    })
}

/// Reads a state of a type; what it lacks is null.
pub fn typed_json(json: &serde_json::Value, of: &Type) -> Result<Value, Diagnostics> {
    json::from_json(json, of).map_err(|error| Diagnostic::error("Unreadable state", error.to_string()).into())
}

/// A value for the host. It must have the shape of its type.
pub fn dynamic(value: &Value) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue { msgpack: msgpack::encode(value), json: Vec::new() })
}

/// A finished state or result: of the exact shape of the schema, wholly known, without write-only values.
pub fn finished(attributes: &[Attribute], value: Value, diagnostics: &mut Diagnostics) -> Value {
    let value = shaped(attributes, value, diagnostics);
    let (value, unknown) = conform::without_unknown(value);
    for path in unknown {
        let detail = format!("{path} is still unknown; null is stored. This is a defect of the provider.");
        diagnostics.warning("Value left unknown", detail);
    }
    value
}

/// A plan or result of the exact shape of the schema, without write-only values.
pub fn shaped(attributes: &[Attribute], value: Value, diagnostics: &mut Diagnostics) -> Value {
    let (value, misfits) = conform::conform(attributes, value);
    diagnostics.extend(misfits.iter().map(misfit));
    conform::without_write_only(attributes, value)
}

/// A defect of the author's: the answer did not fit.
pub fn misfit(misfit: &Misfit) -> Diagnostic {
    let detail = format!(
        "{} does not fit the schema ({}); it was left out. This is a defect of the provider.",
        misfit.path, misfit.expected
    );
    Diagnostic::error("Provider returned an invalid value", detail)
}

pub fn diagnostics(diagnostics: Diagnostics) -> Vec<wire::Diagnostic> {
    diagnostics.into_iter().map(diagnostic).collect()
}

/// A diagnostic at a deep path points at the part that the host can show, and names the whole path in its text.
fn diagnostic(diagnostic: Diagnostic) -> wire::Diagnostic {
    let Diagnostic { severity, summary, mut detail, path } = diagnostic;
    let pointable = path.as_ref().map(Path::pointable);
    if let (Some(full), Some(shown)) = (&path, &pointable) {
        let named = full.to_string();
        if full != shown && !detail.contains(&named) && !summary.contains(&named) {
            let gap = if detail.is_empty() { "" } else { "\n\n" };
            detail = format!("{detail}{gap}Attribute: {named}");
        }
    }
    let severity = match severity {
        Severity::Error => wire::diagnostic::Severity::Error,
        Severity::Warning => wire::diagnostic::Severity::Warning,
    };
    let attribute = pointable.filter(|path| !path.is_root()).map(|path| attribute_path(&path));
    wire::Diagnostic { severity: severity.into(), summary, detail, attribute }
}

pub fn attribute_path(path: &Path) -> wire::AttributePath {
    use wire::attribute_path::{Step as Wire, step::Selector};
    let steps = path.steps().iter().map(|step| {
        let selector = match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX)),
        };
        Wire { selector: Some(selector) }
    });
    wire::AttributePath { steps: steps.collect() }
}

pub fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(time)
}

pub fn schema(schema: &Schema) -> wire::Schema {
    let block = wire::schema::Block {
        version: schema.version,
        attributes: schema.attributes.iter().map(attribute).collect(),
        block_types: Vec::new(),
        description: schema.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
        deprecated: schema.deprecation.is_some(),
        deprecation_message: schema.deprecation.clone().unwrap_or_default(),
    };
    wire::Schema { version: schema.version, block: Some(block) }
}

fn attribute(attribute: &Attribute) -> wire::schema::Attribute {
    // Exactly one of the two: hosts refuse an attribute that has both.
    let (of, nested) = match &attribute.kind {
        Kind::Plain(of) => (of.to_json().to_string().into_bytes(), None),
        Kind::Nested(nesting, attributes) => (Vec::new(), Some(object(*nesting, attributes))),
    };
    wire::schema::Attribute {
        name: attribute.name.clone(),
        r#type: of,
        nested_type: nested,
        description: attribute.description.clone(),
        required: attribute.required,
        optional: attribute.optional,
        computed: attribute.computed,
        sensitive: attribute.sensitive,
        description_kind: wire::StringKind::Markdown.into(),
        deprecated: attribute.deprecation.is_some(),
        write_only: attribute.write_only,
        deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
    }
}

fn object(nesting: Nesting, attributes: &[Attribute]) -> wire::schema::Object {
    use wire::schema::object::NestingMode;
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    wire::schema::Object { attributes: attributes.iter().map(attribute).collect(), nesting: nesting.into() }
}

pub fn function(signature: &Signature) -> wire::Function {
    wire::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(wire::function::Return { r#type: signature.returns.to_json().to_string().into_bytes() }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
        deprecation_message: signature.deprecation.clone().unwrap_or_default(),
    }
}

fn parameter(parameter: &Parameter) -> wire::function::Parameter {
    wire::function::Parameter {
        name: parameter.name.clone(),
        r#type: parameter.of.to_json().to_string().into_bytes(),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: parameter.allow_unknown,
        description: parameter.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_path_points_at_what_the_host_can_show_and_is_named_in_the_text() {
        let told = diagnostic(Diagnostic::error("Bad address", "Not an IP address.").at("nets[1].routes[0].via"));
        assert_eq!(told.detail, "Not an IP address.\n\nAttribute: nets[1].routes[0].via");
        assert_eq!(told.attribute, Some(attribute_path(&"nets[1]".into())));
        let told = diagnostic(Diagnostic::warning("Bad address", "").at("flash.disk"));
        assert_eq!(told.detail, "Attribute: flash.disk");
        assert_eq!(told.attribute.unwrap().steps.len(), 1);
    }

    #[test]
    fn a_path_that_the_text_names_is_not_repeated() {
        let told = diagnostic(Diagnostic::error("Bad", "flash.disk must be a path.").at("flash.disk"));
        assert_eq!(told.detail, "flash.disk must be a path.");
        let told = diagnostic(Diagnostic::error("Bad", "Wrong.").at("name"));
        assert_eq!(told.detail, "Wrong.");
        let told = diagnostic(Diagnostic::error("Bad", "Wrong.").at(Path::root()));
        assert_eq!(told.attribute, None);
    }

    #[test]
    fn a_nested_attribute_has_no_type_of_its_own() {
        let told = attribute(&Attribute::object("a", [Attribute::list("b", Type::String)]));
        assert!(told.r#type.is_empty());
        let nested = told.nested_type.unwrap();
        assert_eq!(nested.attributes[0].r#type, b"[\"list\",\"string\"]");
        assert!(nested.attributes[0].nested_type.is_none());
    }

    #[test]
    fn a_broken_state_is_reported_without_quoting_it() {
        let told = raw_json(b"{\"token\": secret}").unwrap_err();
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
    }
}
