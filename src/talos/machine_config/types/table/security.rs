//! Types of `security` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Bool, List, Pointer, Str, Struct};
use super::super::model::{Field as F, ListMerge as L, OMIT, SINCE_13, Struct as S};

pub(super) static IMAGE_VERIFICATION_CONFIG: S = S { name: "ImageVerificationConfig", fields: &[
    F::new("apiVersion", Str, OMIT | SINCE_13),
    F::new("kind", Str, SINCE_13),
    F::new("rules", List(&Struct(&IMAGE_VERIFICATION_RULE), L::ReplaceBy("image")), OMIT | SINCE_13),
] };

pub(super) static IMAGE_VERIFICATION_RULE: S = S { name: "ImageVerificationRule", fields: &[
    F::new("image", Str, OMIT | SINCE_13),
    F::new("skip", Pointer(&Bool), OMIT | SINCE_13),
    F::new("deny", Pointer(&Bool), OMIT | SINCE_13),
    F::new("keyless", Pointer(&Struct(&IMAGE_KEYLESS_VERIFIER)), OMIT | SINCE_13),
    F::new("publicKey", Pointer(&Struct(&IMAGE_PUBLIC_KEY_VERIFIER)), OMIT | SINCE_13),
] };

pub(super) static IMAGE_KEYLESS_VERIFIER: S = S { name: "ImageKeylessVerifier", fields: &[
    F::new("issuer", Str, OMIT | SINCE_13),
    F::new("subject", Str, OMIT | SINCE_13),
    F::new("subjectRegex", Str, OMIT | SINCE_13),
] };

pub(super) static IMAGE_PUBLIC_KEY_VERIFIER: S = S { name: "ImagePublicKeyVerifier", fields: &[
    F::new("certificate", Str, OMIT | SINCE_13),
] };

pub(super) static TRUSTED_ROOTS_CONFIG: S = S { name: "TrustedRootsConfig", fields: &[
    F::new("apiVersion", Str, OMIT),
    F::new("kind", Str, 0),
    F::new("name", Str, 0),
    F::new("certificates", Str, 0),
] };
