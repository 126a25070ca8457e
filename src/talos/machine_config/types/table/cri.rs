//! Types of `cri` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, List, Pointer, Str, Struct, Text, Unstructured};
use super::super::model::{Field as F, ListMerge as L, OMIT, REPLACE, SECRET, SINCE_14, Struct as S, TextKind as T};
use super::{shared};

pub(super) static CRI_BASE_RUNTIME_SPEC_CONFIG: S = S { name: "CRIBaseRuntimeSpecConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("overrides", Unstructured, OMIT | REPLACE | SINCE_14),
] };

pub(super) static CRI_CUSTOMIZATION_CONFIG: S = S { name: "CRICustomizationConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("name", Str, SINCE_14),
    F::new("content", Str, SINCE_14),
] };

pub(super) static IMAGE_CACHE_CONFIG: S = S { name: "ImageCacheConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_14),
    F::new("kind", Str, SINCE_14),
    F::new("local", Struct(&LOCAL_IMAGE_CACHE_CONFIG), SINCE_14),
] };

pub(super) static LOCAL_IMAGE_CACHE_CONFIG: S = S { name: "LocalImageCacheConfig", fields: &[
    F::new("enabled", Pointer(&Bool), OMIT | SINCE_14),
] };

pub(super) static REGISTRY_AUTH_CONFIG: S = S { name: "RegistryAuthConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("username", Str, OMIT),
    F::new("password", Str, OMIT | SECRET),
    F::new("auth", Str, OMIT | SECRET),
    F::new("identityToken", Str, OMIT | SECRET),
] };

pub(super) static REGISTRY_MIRROR_CONFIG: S = S { name: "RegistryMirrorConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("endpoints", List(&Struct(&REGISTRY_ENDPOINT), L::Append), OMIT),
    F::new("skipFallback", Pointer(&Bool), OMIT),
] };

pub(super) static REGISTRY_ENDPOINT: S = S { name: "RegistryEndpoint", fields: &[
    F::new("url", Text(T::Url), 0),
    F::new("overridePath", Pointer(&Bool), OMIT),
] };

pub(super) static REGISTRY_TLS_CONFIG: S = S { name: "RegistryTLSConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("clientIdentity", Pointer(&Struct(&shared::CERTIFICATE_AND_KEY)), OMIT),
    F::new("ca", Str, OMIT),
    F::new("insecureSkipVerify", Pointer(&Bool), OMIT),
] };
