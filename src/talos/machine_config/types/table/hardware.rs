//! Types of `hardware` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Str};
use super::super::model::{Field as F, OMIT, Struct as S};

pub(super) static PCI_DRIVER_REBIND_CONFIG: S = S { name: "PCIDriverRebindConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("targetDriver", Str, 0),
] };
