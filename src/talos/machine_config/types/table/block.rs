//! Types of `block` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, Int, List, Pointer, Str, Struct, Text, Uint};
use super::super::model::{Field as F, ListMerge as L, OMIT, SECRET, SINCE_13, SINCE_14, Struct as S, TextKind as T};
use super::{enums};

pub(super) static EXISTING_VOLUME_CONFIG: S = S { name: "ExistingVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("discovery", Struct(&VOLUME_DISCOVERY_SPEC), OMIT),
    F::new("mount", Struct(&EXISTING_MOUNT_SPEC), OMIT),
    F::new("trim", Pointer(&Struct(&TRIM_CONFIG)), OMIT | SINCE_14),
    F::new("scrub", Pointer(&Struct(&SCRUB_CONFIG)), OMIT | SINCE_14),
] };

pub(super) static VOLUME_DISCOVERY_SPEC: S = S { name: "VolumeDiscoverySpec", fields: &[
    F::new("volumeSelector", Struct(&VOLUME_SELECTOR), OMIT),
] };

pub(super) static VOLUME_SELECTOR: S = S { name: "VolumeSelector", fields: &[
    F::new("match", Text(T::Cel), OMIT),
] };

pub(super) static EXISTING_MOUNT_SPEC: S = S { name: "ExistingMountSpec", fields: &[
    F::new("readOnly", Pointer(&Bool), OMIT),
    F::new("disableAccessTime", Pointer(&Bool), OMIT | SINCE_13),
    F::new("secure", Pointer(&Bool), OMIT | SINCE_13),
] };

pub(super) static TRIM_CONFIG: S = S { name: "TrimConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("interval", Text(T::Duration), OMIT | SINCE_14),
] };

pub(super) static SCRUB_CONFIG: S = S { name: "ScrubConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
    F::new("interval", Text(T::Duration), OMIT | SINCE_14),
] };

pub(super) static EXTERNAL_VOLUME_CONFIG: S = S { name: "ExternalVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("name", Str, SINCE_13),
    F::new("filesystemType", Text(T::Enum(&enums::FILESYSTEM_TYPE)), SINCE_13),
    F::new("mount", Struct(&EXTERNAL_MOUNT_SPEC), OMIT | SINCE_13),
] };

pub(super) static EXTERNAL_MOUNT_SPEC: S = S { name: "ExternalMountSpec", fields: &[
    F::new("readOnly", Pointer(&Bool), OMIT | SINCE_13),
    F::new("disableAccessTime", Pointer(&Bool), OMIT | SINCE_13),
    F::new("secure", Pointer(&Bool), OMIT | SINCE_13),
    F::new("virtiofs", Pointer(&Struct(&VIRTIOFS_MOUNT_SPEC)), OMIT | SINCE_13),
] };

pub(super) static VIRTIOFS_MOUNT_SPEC: S = S { name: "VirtiofsMountSpec", fields: &[
    F::new("tag", Str, SINCE_13),
] };

pub(super) static FILESYSTEM_SCRUB_CONFIG: S = S { name: "FilesystemScrubConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("interval", Text(T::Duration), OMIT | SINCE_14),
] };

pub(super) static FILESYSTEM_TRIM_CONFIG: S = S { name: "FilesystemTrimConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("interval", Text(T::Duration), OMIT | SINCE_14),
] };

pub(super) static RAW_VOLUME_CONFIG: S = S { name: "RawVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), OMIT),
    F::new("encryption", Struct(&ENCRYPTION_SPEC), OMIT),
] };

pub(super) static PROVISIONING_SPEC: S = S { name: "ProvisioningSpec", fields: &[
    F::new("diskSelector", Struct(&DISK_SELECTOR), OMIT),
    F::new("grow", Pointer(&Bool), OMIT),
    F::new("minSize", Text(T::ByteSize), OMIT),
    F::new("maxSize", Text(T::Size), OMIT),
] };

pub(super) static DISK_SELECTOR: S = S { name: "DiskSelector", fields: &[
    F::new("match", Text(T::Cel), OMIT),
] };

pub(super) static ENCRYPTION_SPEC: S = S { name: "EncryptionSpec", fields: &[
    F::new("provider", Text(T::Enum(&enums::ENCRYPTION_PROVIDER_TYPE)), 0),
    F::new("keys", List(&Struct(&ENCRYPTION_KEY), L::Append), 0),
    F::new("cipher", Str, OMIT),
    F::new("keySize", Uint(64), OMIT),
    F::new("blockSize", Uint(64), OMIT),
    F::new("options", List(&Str, L::Append), OMIT),
    F::new("allowDiscards", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static ENCRYPTION_KEY: S = S { name: "EncryptionKey", fields: &[
    F::new("slot", Int(64), 0),
    F::new("static", Pointer(&Struct(&ENCRYPTION_KEY_STATIC)), OMIT),
    F::new("nodeID", Pointer(&Struct(&ENCRYPTION_KEY_NODE_ID)), OMIT),
    F::new("kms", Pointer(&Struct(&ENCRYPTION_KEY_KMS)), OMIT),
    F::new("tpm", Pointer(&Struct(&ENCRYPTION_KEY_TPM)), OMIT),
    F::new("lockToState", Pointer(&Bool), OMIT),
] };

pub(super) static ENCRYPTION_KEY_STATIC: S = S { name: "EncryptionKeyStatic", fields: &[
    F::new("passphrase", Str, OMIT | SECRET),
] };

pub(super) static ENCRYPTION_KEY_NODE_ID: S = S { name: "EncryptionKeyNodeID", fields: &[
] };

pub(super) static ENCRYPTION_KEY_KMS: S = S { name: "EncryptionKeyKMS", fields: &[
    F::new("endpoint", Str, 0),
] };

pub(super) static ENCRYPTION_KEY_TPM: S = S { name: "EncryptionKeyTPM", fields: &[
    F::new("options", Pointer(&Struct(&ENCRYPTION_KEY_TPM_OPTIONS)), OMIT),
    F::new("checkSecurebootStatusOnEnroll", Pointer(&Bool), OMIT),
] };

pub(super) static ENCRYPTION_KEY_TPM_OPTIONS: S = S { name: "EncryptionKeyTPMOptions", fields: &[
    F::new("pcrs", List(&Int(64), L::Append), OMIT),
] };

pub(super) static SWAP_VOLUME_CONFIG: S = S { name: "SwapVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), OMIT),
    F::new("encryption", Struct(&ENCRYPTION_SPEC), OMIT),
] };

pub(super) static USER_VOLUME_CONFIG: S = S { name: "UserVolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("volumeType", Pointer(&Text(T::Enum(&enums::VOLUME_TYPE))), OMIT),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), OMIT),
    F::new("filesystem", Struct(&FILESYSTEM_SPEC), OMIT),
    F::new("encryption", Struct(&ENCRYPTION_SPEC), OMIT),
    F::new("mount", Struct(&USER_MOUNT_SPEC), OMIT | SINCE_13),
    F::new("trim", Pointer(&Struct(&TRIM_CONFIG)), OMIT | SINCE_14),
    F::new("scrub", Pointer(&Struct(&SCRUB_CONFIG)), OMIT | SINCE_14),
] };

pub(super) static FILESYSTEM_SPEC: S = S { name: "FilesystemSpec", fields: &[
    F::new("type", Text(T::Enum(&enums::FILESYSTEM_TYPE)), OMIT),
    F::new("projectQuotaSupport", Pointer(&Bool), OMIT),
    F::new("xfs", Pointer(&Struct(&XFS_SPEC)), OMIT | SINCE_14),
] };

pub(super) static XFS_SPEC: S = S { name: "XFSSpec", fields: &[
    F::new("minAllocationGroupSize", Text(T::ByteSize), OMIT | SINCE_14),
] };

pub(super) static USER_MOUNT_SPEC: S = S { name: "UserMountSpec", fields: &[
    F::new("disableAccessTime", Pointer(&Bool), OMIT | SINCE_13),
    F::new("secure", Pointer(&Bool), OMIT | SINCE_13),
] };

pub(super) static VOLUME_CONFIG: S = S { name: "VolumeConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("provisioning", Struct(&PROVISIONING_SPEC), OMIT),
    F::new("filesystem", Struct(&SYSTEM_VOLUME_FILESYSTEM_SPEC), OMIT | SINCE_14),
    F::new("encryption", Struct(&ENCRYPTION_SPEC), OMIT),
    F::new("mount", Struct(&MOUNT_SPEC), OMIT | SINCE_13),
    F::new("trim", Pointer(&Struct(&TRIM_CONFIG)), OMIT | SINCE_14),
    F::new("scrub", Pointer(&Struct(&SCRUB_CONFIG)), OMIT | SINCE_14),
] };

pub(super) static SYSTEM_VOLUME_FILESYSTEM_SPEC: S = S { name: "SystemVolumeFilesystemSpec", fields: &[
    F::new("xfs", Pointer(&Struct(&XFS_SPEC)), OMIT | SINCE_14),
] };

pub(super) static MOUNT_SPEC: S = S { name: "MountSpec", fields: &[
    F::new("secure", Pointer(&Bool), OMIT | SINCE_13),
    F::new("disableAccessTime", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static ZSWAP_CONFIG: S = S { name: "ZswapConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("maxPoolPercent", Pointer(&Int(64)), OMIT),
    F::new("shrinkerEnabled", Pointer(&Bool), OMIT),
] };
