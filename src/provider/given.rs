//! From Terraform's values to the drafts of the node layer.

use zeroize::Zeroize;

use crate::node::given::Given;
use crate::talos::secret::Secret;
use crate::tfplugin::value::Value;

/// A string attribute.
pub fn string(value: &Value) -> Given<String> {
    of(value, |value| value.as_str().map(str::to_owned))
}

/// A secret string attribute.
pub fn secret(value: &Value) -> Given<Secret<String>> {
    string(value).map(Secret::new)
}

/// A number attribute with an integer in it.
pub fn integer(value: &Value) -> Given<i64> {
    of(value, Value::as_i64)
}

/// A bool attribute.
pub fn boolean(value: &Value) -> Given<bool> {
    of(value, Value::as_bool)
}

/// A list of secret strings.
pub fn secrets(value: &Value) -> Given<Vec<Given<Secret<String>>>> {
    of(value, |value| value.as_list().map(|items| items.iter().map(secret).collect()))
}

/// An object attribute, read by `read`.
pub fn object<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Given<T> {
    match value.plain() {
        Value::Null => Given::Absent,
        Value::Unknown => Given::Unknown,
        known => Given::Value(read(known)),
    }
}

/// The first of two twins that is set: the plain attribute, then the write-only one. An empty string counts as unset,
/// as it does for an environment variable.
pub fn twin<T: Zeroize + AsRef<str>>(plain: Given<Secret<T>>, write_only: Given<Secret<T>>) -> Given<Secret<T>> {
    present(plain).or(present(write_only))
}

fn present<T: Zeroize + AsRef<str>>(given: Given<Secret<T>>) -> Given<Secret<T>> {
    match given {
        Given::Value(secret) if secret.expose().as_ref().is_empty() => Given::Absent,
        given => given,
    }
}

fn of<T>(value: &Value, read: impl FnOnce(&Value) -> Option<T>) -> Given<T> {
    match value.plain() {
        Value::Null => Given::Absent,
        Value::Unknown => Given::Unknown,
        known => read(known).map_or(Given::Absent, Given::Value),
    }
}
