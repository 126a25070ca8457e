//! Types of `container` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, Int, List, Pointer, Str, Struct};
use super::super::model::{Field as F, ListMerge as L, OMIT, SINCE_14, Struct as S};

pub(super) static CONTAINER_CONFIG: S = S { name: "ContainerConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("image", Str, SINCE_14),
    F::new("entrypoint", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("args", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("workingDir", Str, OMIT | SINCE_14),
    F::new("runAs", Pointer(&Struct(&CONTAINER_RUN_AS)), OMIT | SINCE_14),
    F::new("environment", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("mounts", List(&Struct(&CONTAINER_MOUNT), L::Append), OMIT | SINCE_14),
    F::new("security", Pointer(&Struct(&CONTAINER_SECURITY)), OMIT | SINCE_14),
    F::new("network", Pointer(&Struct(&CONTAINER_NETWORK)), OMIT | SINCE_14),
    F::new("resources", Pointer(&Struct(&CONTAINER_RESOURCES)), OMIT | SINCE_14),
    F::new("dependsOn", Pointer(&Struct(&CONTAINER_DEPENDS_ON)), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_RUN_AS: S = S { name: "ContainerRunAs", fields: &[
    F::new("uid", Pointer(&Int(32)), OMIT | SINCE_14),
    F::new("gid", Pointer(&Int(32)), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_MOUNT: S = S { name: "ContainerMount", fields: &[
    F::new("userVolume", Pointer(&Struct(&USER_VOLUME_MOUNT)), OMIT | SINCE_14),
    F::new("tmpfs", Pointer(&Struct(&TMPFS_MOUNT)), OMIT | SINCE_14),
    F::new("hostPath", Pointer(&Struct(&HOST_PATH_MOUNT)), OMIT | SINCE_14),
] };

pub(super) static USER_VOLUME_MOUNT: S = S { name: "UserVolumeMount", fields: &[
    F::new("name", Str, SINCE_14),
    F::new("destination", Str, SINCE_14),
    F::new("options", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static TMPFS_MOUNT: S = S { name: "TmpfsMount", fields: &[
    F::new("destination", Str, SINCE_14),
    F::new("size", Str, OMIT | SINCE_14),
    F::new("options", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static HOST_PATH_MOUNT: S = S { name: "HostPathMount", fields: &[
    F::new("source", Str, SINCE_14),
    F::new("destination", Str, SINCE_14),
    F::new("options", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_SECURITY: S = S { name: "ContainerSecurity", fields: &[
    F::new("profile", Str, OMIT | SINCE_14),
    F::new("capabilities", Pointer(&Struct(&CONTAINER_CAPABILITIES)), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_CAPABILITIES: S = S { name: "ContainerCapabilities", fields: &[
    F::new("add", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("drop", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_NETWORK: S = S { name: "ContainerNetwork", fields: &[
    F::new("mode", Str, OMIT | SINCE_14),
] };

pub(super) static CONTAINER_RESOURCES: S = S { name: "ContainerResources", fields: &[
    F::new("limits", Pointer(&Struct(&CONTAINER_RESOURCE_LIMITS)), OMIT | SINCE_14),
] };

pub(super) static CONTAINER_RESOURCE_LIMITS: S = S { name: "ContainerResourceLimits", fields: &[
    F::new("cpu", Str, OMIT | SINCE_14),
    F::new("memory", Str, OMIT | SINCE_14),
] };

pub(super) static CONTAINER_DEPENDS_ON: S = S { name: "ContainerDependsOn", fields: &[
    F::new("paths", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("networks", List(&Str, L::Append), OMIT | SINCE_14),
    F::new("time", Pointer(&Bool), OMIT | SINCE_14),
    F::new("containers", List(&Str, L::Append), OMIT | SINCE_14),
] };
