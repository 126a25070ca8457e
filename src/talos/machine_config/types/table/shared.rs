//! Types of `shared` documents.
// Generated from the document registries of Talos v1.12.11, v1.13.9 and v1.14.0-rc.1
// (`pkg/machinery/config/types`): every field in the order Talos writes it.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::super::model::Type::{Str, Text};
use super::super::model::{Field as F, OMIT, SECRET, Struct as S, TextKind as T};

pub(super) static PEM_ENCODED_CERTIFICATE_AND_KEY: S = S { name: "PEMEncodedCertificateAndKey", fields: &[
    F::new("crt", Text(T::Base64), 0),
    F::new("key", Text(T::PemKey), SECRET),
] };

pub(super) static PEM_ENCODED_CERTIFICATE: S = S { name: "PEMEncodedCertificate", fields: &[
    F::new("crt", Text(T::Base64), 0),
] };

pub(super) static PEM_ENCODED_KEY: S = S { name: "PEMEncodedKey", fields: &[
    F::new("key", Text(T::PemKey), SECRET),
] };

pub(super) static CERTIFICATE_AND_KEY: S = S { name: "CertificateAndKey", fields: &[
    F::new("cert", Str, OMIT),
    F::new("key", Str, OMIT | SECRET),
] };
