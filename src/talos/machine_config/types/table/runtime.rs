//! Types of `runtime` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, List, Map, Pointer, Str, Struct, Text};
use super::super::model::{Field as F, ListMerge as L, OMIT, SECRET, SINCE_13, SINCE_14, Struct as S, TextKind as T};

pub(super) static ENVIRONMENT: S = S { name: "Environment", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("variables", Map(&Str), SINCE_13 | SECRET),
] };

pub(super) static ETC_FILE_CONFIG: S = S { name: "EtcFileConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("mode", Text(T::FileMode), SINCE_14),
    F::new("contents", Str, SINCE_14 | SECRET),
] };

pub(super) static EVENT_SINK: S = S { name: "EventSink", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("endpoint", Str, 0),
] };

pub(super) static SERVICE_CONFIG: S = S { name: "ServiceConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("configFiles", List(&Struct(&CONFIG_FILE), L::By("mountPath")), OMIT),
    F::new("environment", List(&Str, L::Append), OMIT | SECRET),
] };

pub(super) static CONFIG_FILE: S = S { name: "ConfigFile", fields: &[
    F::new("content", Str, SECRET),
    F::new("mountPath", Str, 0),
] };

pub(super) static KERNEL_MODULE_CONFIG: S = S { name: "KernelModuleConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("parameters", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static KMSG_LOG: S = S { name: "KmsgLog", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("url", Text(T::Url), 0),
] };

pub(super) static OOM: S = S { name: "OOM", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("triggerExpression", Text(T::Cel), OMIT),
    F::new("cgroupRankingExpression", Text(T::Cel), OMIT),
    F::new("strictCgroupClassOrdering", Pointer(&Bool), OMIT),
    F::new("sampleInterval", Text(T::Duration), OMIT),
] };

pub(super) static SECURITY_PROFILE_CONFIG: S = S { name: "SecurityProfileConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("workloadIsolation", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static SYSCTL_CONFIG: S = S { name: "SysctlConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("params", Map(&Str), SINCE_14),
] };

pub(super) static SYSFS_CONFIG: S = S { name: "SysfsConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("params", Map(&Str), SINCE_14),
] };

pub(super) static UDEV_RULES_CONFIG: S = S { name: "UdevRulesConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("rules", List(&Str, L::Append), OMIT | SINCE_14),
] };

pub(super) static UNATTENDED_INSTALL_CONFIG: S = S { name: "UnattendedInstallConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("reboot", Pointer(&Bool), OMIT | SINCE_14),
    F::new("installer", Struct(&INSTALLER_SPEC), SINCE_14),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), SINCE_14),
] };

pub(super) static INSTALLER_SPEC: S = S { name: "InstallerSpec", fields: &[
    F::new("image", Str, OMIT | SINCE_14),
] };

pub(super) static PROVISIONING_SPEC: S = S { name: "ProvisioningSpec", fields: &[
    F::new("diskSelector", Struct(&DISK_SELECTOR_SPEC), OMIT | SINCE_14),
    F::new("wipe", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static DISK_SELECTOR_SPEC: S = S { name: "DiskSelectorSpec", fields: &[
    F::new("match", Text(T::Cel), OMIT | SINCE_14),
] };

pub(super) static WATCHDOG_TIMER: S = S { name: "WatchdogTimer", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("device", Str, 0),
    F::new("timeout", Text(T::Duration), OMIT),
] };
