//! Values as MessagePack, the way cty encodes them (go-cty v1.16 cty/msgpack).

use rmp::{Marker, decode, encode};
use thiserror::Error;

use super::{
    number::{Encoding, Number},
    path::Path,
    types::Type,
    value::Value,
};

/// Why bytes are no value of a type.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Something else than the type says.
    #[error("decoding {path}: expected {expected}, found {found}")]
    Mismatch {
        /// Where.
        path: Path,
        /// The type.
        expected: String,
        /// The kind of thing there, or its length.
        found: String,
    },
    /// The bytes end too early, or are no MessagePack.
    #[error("decoding {path}: the message is cut off or malformed")]
    Malformed {
        /// Where.
        path: Path,
    },
    /// The bytes go on after the value.
    #[error("decoding a value: {0} bytes follow it")]
    Trailing(usize),
}

/// Encodes a value. The value must have the shape of its type ([`conform`](super::conform::conform) sees to that).
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

/// Decodes a value of a type.
pub fn decode(mut bytes: &[u8], of: &Type) -> Result<Value, DecodeError> {
    let value = Reader { rest: &mut bytes }.value(of, &Path::root())?;
    if bytes.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(bytes.len())) }
}

/// Writing into a `Vec` cannot fail: its error type is an empty enum.
macro_rules! infallible {
    ($result:expr) => {
        match $result {
            Ok(_) => {}
            Err(_) => unreachable!("writing to memory does not fail"),
        }
    };
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Null => infallible!(encode::write_nil(to)),
        // Any extension type means unknown; cty itself writes this one when nothing more is known.
        Value::Unknown => to.extend([0xd4, 0, 0]),
        Value::Bool(value) => infallible!(encode::write_bool(to, *value)),
        Value::Number(number) => match number.encoding() {
            Encoding::Int(int) => infallible!(encode::write_sint(to, int)),
            Encoding::Float(float) => infallible!(encode::write_f64(to, float)),
            Encoding::Text(text) => infallible!(encode::write_str(to, &text)),
        },
        Value::String(text) => infallible!(encode::write_str(to, text)),
        Value::List(elements) => {
            infallible!(encode::write_array_len(to, length(elements.len())));
            elements.iter().for_each(|element| write(element, to));
        }
        Value::Map(entries) => {
            infallible!(encode::write_map_len(to, length(entries.len())));
            for (key, value) in entries {
                infallible!(encode::write_str(to, key));
                write(value, to);
            }
        }
        Value::Dynamic(inner) => {
            infallible!(encode::write_array_len(to, 2));
            infallible!(encode::write_bin(to, inner.0.to_json().to_string().as_bytes()));
            write(&inner.1, to);
        }
    }
}

/// No collection of four thousand million elements fits a message of 256 MiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

struct Reader<'r, 'b> {
    rest: &'r mut &'b [u8],
}

impl<'b> Reader<'_, 'b> {
    fn value(&mut self, of: &Type, path: &Path) -> Result<Value, DecodeError> {
        let marker = self.peek(path)?;
        match marker {
            Marker::Null => {
                self.skip(1, path)?;
                return Ok(Value::Null);
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => return self.unknown(path),
            _ => {}
        }
        match of {
            Type::Dynamic => self.dynamic(path),
            Type::Bool => match decode::read_bool(self.rest) {
                Ok(value) => Ok(Value::Bool(value)),
                Err(_) => Err(mismatch(path, of, marker)),
            },
            Type::String => Ok(Value::String(self.text(of, path)?)),
            Type::Number => self.number(path).map(Value::Number),
            Type::List(element) | Type::Set(element) => {
                let length = self.array(of, path)?;
                (0..length).map(|at| self.value(element, &path.index(at))).collect::<Result<_, _>>().map(Value::List)
            }
            Type::Tuple(elements) => {
                let length = self.array(of, path)?;
                if length != elements.len() {
                    return Err(mismatch(path, of, format!("{length} elements")));
                }
                let elements = elements.iter().enumerate();
                elements
                    .map(|(at, element)| self.value(element, &path.index(at)))
                    .collect::<Result<_, _>>()
                    .map(Value::List)
            }
            Type::Map(_) | Type::Object(_) => self.entries(of, path),
        }
    }

    /// Map entries, or the attributes of an object; a missing attribute is null, as for any newer host's older state.
    fn entries(&mut self, of: &Type, path: &Path) -> Result<Value, DecodeError> {
        let marker = self.peek(path)?;
        let length = decode::read_map_len(self.rest).map_err(|_| mismatch(path, of, marker))?;
        let mut entries = std::collections::BTreeMap::new();
        if let Type::Object(attributes) = of {
            entries.extend(attributes.keys().map(|name| (name.clone(), Value::Null)));
        }
        for _ in 0..length {
            let key = self.text(&Type::String, path)?;
            let value = match of {
                Type::Map(element) => self.value(element, &path.key(key.clone()))?,
                Type::Object(attributes) => {
                    let path = path.attribute(key.clone());
                    match attributes.get(&key) {
                        Some(of) => self.value(of, &path)?,
                        None => {
                            return Err(mismatch(&path, of, "an attribute that is not in the schema"));
                        }
                    }
                }
                _ => return Err(mismatch(path, of, marker)),
            };
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }

    /// `[type as JSON bytes, value]`
    fn dynamic(&mut self, path: &Path) -> Result<Value, DecodeError> {
        let length = self.array(&Type::Dynamic, path)?;
        if length != 2 {
            return Err(mismatch(path, &Type::Dynamic, format!("{length} elements")));
        }
        let length = decode::read_bin_len(self.rest).map_err(|_| malformed(path))?;
        let json = self.take(length as usize, path)?;
        let of =
            serde_json::from_slice(json).ok().and_then(|json| Type::from_json(&json)).ok_or_else(|| malformed(path))?;
        let value = self.value(&of, path)?;
        Ok(Value::Dynamic(Box::new((of, value))))
    }

    fn number(&mut self, path: &Path) -> Result<Number, DecodeError> {
        let marker = self.peek(path)?;
        let number = match marker {
            Marker::U64 => decode::read_u64(self.rest).ok().map(Number::from),
            Marker::F32 => decode::read_f32(self.rest).ok().and_then(|float| Number::from_exact_f64(float.into())),
            Marker::F64 => decode::read_f64(self.rest).ok().and_then(Number::from_exact_f64),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Number::parse(&self.text(&Type::Number, path)?)
            }
            _ => decode::read_int::<i64, _>(self.rest).ok().map(Number::from),
        };
        number.ok_or_else(|| mismatch(path, &Type::Number, marker))
    }

    fn text(&mut self, of: &Type, path: &Path) -> Result<String, DecodeError> {
        let marker = self.peek(path)?;
        let length = decode::read_str_len(self.rest).map_err(|_| mismatch(path, of, marker))?;
        let bytes = self.take(length as usize, path)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| malformed(path))
    }

    fn array(&mut self, of: &Type, path: &Path) -> Result<usize, DecodeError> {
        let marker = self.peek(path)?;
        decode::read_array_len(self.rest).map(|length| length as usize).map_err(|_| mismatch(path, of, marker))
    }

    /// A refined unknown says more (not null, a prefix, bounds); that may be ignored.
    fn unknown(&mut self, path: &Path) -> Result<Value, DecodeError> {
        let meta = decode::read_ext_meta(self.rest).map_err(|_| malformed(path))?;
        self.skip(meta.size as usize, path)?;
        Ok(Value::Unknown)
    }

    fn peek(&self, path: &Path) -> Result<Marker, DecodeError> {
        self.rest.first().map(|byte| Marker::from_u8(*byte)).ok_or_else(|| malformed(path))
    }

    fn skip(&mut self, length: usize, path: &Path) -> Result<(), DecodeError> {
        self.take(length, path).map(|_| ())
    }

    fn take(&mut self, length: usize, path: &Path) -> Result<&'b [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| malformed(path))?;
        *self.rest = rest;
        Ok(taken)
    }
}

fn mismatch(path: &Path, expected: &Type, found: impl Into<Found>) -> DecodeError {
    DecodeError::Mismatch { path: path.clone(), expected: expected.to_string(), found: found.into().0 }
}

/// What stands where something else was expected: its kind only, as small numbers and booleans are their own markers.
struct Found(String);

impl From<&str> for Found {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Found {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Marker> for Found {
    fn from(marker: Marker) -> Self {
        Self::from(match marker {
            Marker::Null => "null",
            Marker::True | Marker::False => "a boolean",
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "text",
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
            Marker::Reserved => "a reserved marker",
            _ => "a number",
        })
    }
}

fn malformed(path: &Path) -> DecodeError {
    DecodeError::Malformed { path: path.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as go-cty writes them, the type, and what they mean.
    fn vectors() -> Vec<(&'static str, Type, Value)> {
        vec![
            ("c0", Type::String, Value::Null),
            ("d40000", Type::String, Value::Unknown),
            ("c3", Type::Bool, true.into()),
            ("a3616263", Type::String, "abc".into()),
            ("01", Type::Number, 1.into()),
            ("ff", Type::Number, (-1).into()),
            ("d3ffffffff00000000", Type::Number, Value::from(-4_294_967_296_i64)),
            ("cb3ff8000000000000", Type::Number, Value::from(1.5)),
            ("a3302e31", Type::Number, Value::from(0.1)),
            (
                "b43138343436373434303733373039353531363136",
                Type::Number,
                Value::Number(Number::parse("18446744073709551616").unwrap()),
            ),
            ("92a161a162", Type::list(Type::String), vec!["a", "b"].into()),
            ("9201a178", Type::Tuple(vec![Type::Number, Type::String]), Value::List(vec![1.into(), "x".into()])),
            ("81a16b01", Type::map(Type::Number), Value::object([("k", 1.into())])),
            (
                "82a161c0a162d40000",
                Type::object([("a", Type::String), ("b", Type::Bool)]),
                Value::object([("a", Value::Null), ("b", Value::Unknown)]),
            ),
            ("92c40822737472696e6722a178", Type::Dynamic, Value::Dynamic(Box::new((Type::String, "x".into())))),
        ]
    }

    #[test]
    fn values_are_read_and_written_as_cty_does() {
        for (bytes, of, value) in vectors() {
            let raw = hex::decode(bytes).unwrap();
            assert_eq!(decode(&raw, &of).as_ref(), Ok(&value), "{bytes}");
            assert_eq!(hex::encode(encode(&value)), bytes, "{of}");
        }
    }

    #[test]
    fn a_refined_unknown_is_unknown() {
        // ext 12 with {1: false} (not null), inside a list, before another element.
        let raw = hex::decode("92c7030c8101c2a178").unwrap();
        assert_eq!(decode(&raw, &Type::list(Type::String)), Ok(Value::List(vec![Value::Unknown, "x".into()])));
    }

    #[test]
    fn a_number_may_come_in_any_of_its_forms() {
        for (bytes, text) in [
            ("a431653330", "1000000000000000000000000000000"),
            ("ca3fc00000", "1.5"),
            ("cb4000000000000000", "2"),
            ("b4", "-"),
            ("bf313030303030303030303030303030303030303030303030303030303030303030", "-"),
            ("cd0100", "256"),
            ("cfffffffffffffffff", "18446744073709551615"),
            ("cb43f0000000000000", "18446744073709551616"),
            ("d180ff", "-32513"),
        ] {
            let read = decode(&hex::decode(bytes).unwrap(), &Type::Number);
            match Number::parse(text) {
                Some(number) => assert_eq!(read, Ok(Value::Number(number)), "{bytes}"),
                None => assert!(read.is_err(), "{bytes}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_names_the_attribute() {
        let of = Type::object([("net", Type::list(Type::object([("port", Type::Number)])))]);
        // {net: [{port: true}]}
        let error = decode(&hex::decode("81a36e65749181a4706f7274c3").unwrap(), &of).unwrap_err();
        assert_eq!(error.to_string(), "decoding net[0].port: expected number, found a boolean");
        let error = decode(&hex::decode("81a36e65749181a178c3").unwrap(), &of).unwrap_err();
        assert!(error.to_string().starts_with("decoding net[0].x: expected object"), "{error}");
    }

    #[test]
    fn a_cut_off_message_is_an_error_at_every_length() {
        let value = Value::object([("a", vec!["x", "y"].into()), ("b", Value::from(0.1))]);
        let of = Type::object([("a", Type::list(Type::String)), ("b", Type::Number)]);
        let bytes = encode(&value);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], &of).is_err(), "{length}");
        }
        assert_eq!(decode(&[bytes.as_slice(), &[0]].concat(), &of), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn a_lying_length_reserves_no_memory() {
        assert!(decode(&hex::decode("ddffffffff01").unwrap(), &Type::list(Type::Number)).is_err());
    }
}
