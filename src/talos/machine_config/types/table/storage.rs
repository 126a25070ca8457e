//! Types of `storage` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Pointer, Str, Struct, Text, Uint};
use super::super::model::{Field as F, OMIT, SINCE_14, Struct as S, TextKind as T};
use super::{enums};

pub(super) static LVM_LOGICAL_VOLUME_CONFIG: S = S { name: "LVMLogicalVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("type", Text(T::Enum(&enums::LVM_LOGICAL_VOLUME_TYPE)), SINCE_14),
    F::new("mirrors", Pointer(&Uint(32)), OMIT | SINCE_14),
    F::new("stripes", Pointer(&Uint(32)), OMIT | SINCE_14),
    F::new("provisioning", Struct(&LVM_LOGICAL_VOLUME_PROVISIONING_SPEC), SINCE_14),
] };

pub(super) static LVM_LOGICAL_VOLUME_PROVISIONING_SPEC: S = S { name: "LVMLogicalVolumeProvisioningSpec", fields: &[
    F::new("volumeGroup", Str, SINCE_14),
    F::new("minSize", Text(T::ByteSize), OMIT | SINCE_14),
    F::new("maxSize", Text(T::Size), OMIT | SINCE_14),
] };

pub(super) static LVM_VOLUME_GROUP_CONFIG: S = S { name: "LVMVolumeGroupConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), SINCE_14),
] };

pub(super) static PROVISIONING_SPEC: S = S { name: "ProvisioningSpec", fields: &[
    F::new("volumeSelector", Struct(&LVM_VOLUME_SELECTOR_SPEC), OMIT | SINCE_14),
] };

pub(super) static LVM_VOLUME_SELECTOR_SPEC: S = S { name: "LVMVolumeSelectorSpec", fields: &[
    F::new("match", Text(T::Cel), OMIT | SINCE_14),
] };

pub(super) static RAID_ARRAY_CONFIG: S = S { name: "RAIDArrayConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("level", Text(T::Enum(&enums::MD_LEVEL)), SINCE_14),
    F::new("metadata", Text(T::Enum(&enums::MD_METADATA)), OMIT | SINCE_14),
    F::new("provisioning", Struct(&RAID_PROVISIONING_SPEC), SINCE_14),
] };

pub(super) static RAID_PROVISIONING_SPEC: S = S { name: "RAIDProvisioningSpec", fields: &[
    F::new("volumeSelector", Struct(&RAID_VOLUME_SELECTOR), SINCE_14),
] };

pub(super) static RAID_VOLUME_SELECTOR: S = S { name: "RAIDVolumeSelector", fields: &[
    F::new("match", Text(T::Cel), OMIT | SINCE_14),
] };
