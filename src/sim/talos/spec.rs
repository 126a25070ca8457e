//! Contents of COSI resources, written once and encoded twice: as protobuf and as YAML.

use std::net::IpAddr;

use ipnet::IpNet;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::yaml::{Emit, emit};

/// One field: its protobuf number, its YAML key, its value.
pub type Field = (u32, &'static str, Value);

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A number of an enumeration, and the word for it in YAML.
    Enum(i32, &'static str),
    /// A boolean.
    Bool(bool),
    /// A number.
    Int(u64),
    /// A number with a fraction (`double`).
    Float(f64),
    /// A message.
    Message(Vec<Field>),
    /// A repeated field.
    List(Vec<Value>),
    /// A map of strings.
    Map(Vec<(String, String)>),
    /// `common.NetIP`; a plain string in YAML.
    Ip(IpAddr),
    /// `common.NetIPPrefix`; a plain string in YAML.
    Prefix(IpNet),
    /// Bytes that YAML shows as this text.
    Bytes(Vec<u8>, String),
}

/// What a resource holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// A message.
    Message(Vec<Field>),
    /// A single word in YAML; a message in protobuf.
    Word(String, Vec<Field>),
    /// A machine configuration: a text in both forms (`yaml_marshalled`).
    Config(String),
}

impl Spec {
    /// The `proto_spec`.
    pub fn proto(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Message(fields) | Self::Word(_, fields) => put_fields(&mut out, fields),
            Self::Config(text) => put_bytes(&mut out, 1, text.as_bytes()),
        }
        out
    }

    /// The `yaml_spec`.
    pub fn yaml(&self) -> String {
        match self {
            Self::Message(fields) if fields.is_empty() => "{}\n".to_owned(),
            Self::Message(fields) => emit(&yaml_fields(fields)),
            Self::Word(word, _) => format!("{word}\n"),
            Self::Config(text) => literal(text),
        }
    }
}

/// A text value.
pub fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn put_fields(out: &mut Vec<u8>, fields: &[Field]) {
    for (number, _, value) in fields {
        put(out, *number, value, false);
    }
}

/// Writes a field; defaults are left out, but not inside a list.
fn put(out: &mut Vec<u8>, number: u32, value: &Value, keep: bool) {
    match value {
        Value::Text(text) if keep || !text.is_empty() => put_bytes(out, number, text.as_bytes()),
        Value::Enum(code, _) if keep || *code != 0 => put_varint(out, number, *code as u64),
        Value::Bool(set) if keep || *set => put_varint(out, number, u64::from(*set)),
        Value::Int(count) if keep || *count != 0 => put_varint(out, number, *count),
        Value::Float(value) if keep || *value != 0.0 => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend(value.to_le_bytes());
        }
        Value::Message(fields) => put_message(out, number, |inner| put_fields(inner, fields)),
        Value::List(values) => values.iter().for_each(|value| put(out, number, value, true)),
        Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            put_message(out, number, |inner| {
                put_bytes(inner, 1, key.as_bytes());
                put_bytes(inner, 2, value.as_bytes());
            });
        }),
        Value::Ip(ip) => put_message(out, number, |inner| put_bytes(inner, 1, &octets(*ip))),
        Value::Prefix(net) => put_message(out, number, |inner| {
            put_bytes(inner, 1, &octets(net.addr()));
            put_varint(inner, 2, u64::from(net.prefix_len()));
        }),
        Value::Bytes(bytes, _) if keep || !bytes.is_empty() => put_bytes(out, number, bytes),
        _ => {}
    }
}

fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    put_bytes(out, number, &inner);
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn yaml_fields(fields: &[Field]) -> Vec<(String, Emit)> {
    fields.iter().map(|(_, key, value)| ((*key).to_owned(), yaml_value(value))).collect()
}

fn yaml_value(value: &Value) -> Emit {
    match value {
        Value::Text(text) | Value::Bytes(_, text) => Emit::Text(text.clone()),
        Value::Enum(_, word) => Emit::Text((*word).to_owned()),
        Value::Bool(set) => Emit::Bare(set.to_string()),
        Value::Int(count) => Emit::Bare(count.to_string()),
        Value::Float(value) => Emit::Bare(value.to_string()),
        Value::Message(fields) => Emit::Map(yaml_fields(fields)),
        Value::List(values) => Emit::List(values.iter().map(yaml_value).collect()),
        Value::Map(pairs) => {
            Emit::Map(pairs.iter().map(|(key, value)| (key.clone(), Emit::Text(value.clone()))).collect())
        }
        Value::Ip(ip) => Emit::Text(ip.to_string()),
        Value::Prefix(net) => Emit::Text(net.to_string()),
    }
}

/// A literal block scalar as go-yaml writes one at the top level.
fn literal(text: &str) -> String {
    let header = if text.ends_with('\n') { "|" } else { "|-" };
    let body: String =
        text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect();
    format!("{header}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_description_gives_both_forms() {
        let spec = Spec::Message(vec![
            (1, "stage", Value::Enum(3, "maintenance")),
            (
                2,
                "status",
                Value::Message(vec![(1, "ready", Value::Bool(true)), (2, "unmetConditions", Value::List(vec![]))]),
            ),
        ]);
        assert_eq!(spec.proto(), [0x08, 3, 0x12, 2, 0x08, 1]);
        assert_eq!(spec.yaml(), "stage: maintenance\nstatus:\n    ready: true\n    unmetConditions: []\n");
    }

    #[test]
    fn a_configuration_is_a_text_scalar() {
        let spec = Spec::Config("version: v1alpha1\nmachine:\n    type: worker\n".to_owned());
        assert_eq!(spec.yaml(), "|\n    version: v1alpha1\n    machine:\n        type: worker\n");
        let back: String = serde_saphyr::from_str(&spec.yaml()).expect("YAML");
        assert_eq!(back, "version: v1alpha1\nmachine:\n    type: worker\n");
    }
}
