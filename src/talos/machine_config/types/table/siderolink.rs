//! Types of `siderolink` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Str, Text};
use super::super::model::{Field as F, OMIT, SECRET, Struct as S, TextKind as T};

pub(super) static CONFIG: S = S { name: "Config", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("apiUrl", Text(T::Url), SECRET),
    F::new("uniqueToken", Str, OMIT | SECRET),
] };
