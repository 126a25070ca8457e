//! Types of `cluster` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Str, Text};
use super::super::model::{Field as F, OMIT, SECRET, SINCE_14, Struct as S, TextKind as T};

pub(super) static DISCOVERY_IDENTITY_CONFIG: S = S { name: "DiscoveryIdentityConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("clusterID", Str, SINCE_14),
    F::new("clusterSecret", Str, SINCE_14 | SECRET),
] };

pub(super) static DISCOVERY_SERVICE_CONFIG: S = S { name: "DiscoveryServiceConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("endpoint", Text(T::Url), SINCE_14),
] };
