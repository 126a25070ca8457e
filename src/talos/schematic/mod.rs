//! Image Factory schematics: what is baked into an image, and the id that the Factory gives it.
//!
//! The id is the SHA-256 of the canonical YAML (`pkg/schematic/schematic.go` of siderolabs/image-factory), so it is
//! known without asking the Factory; the Factory only has to be told the schematic before it serves its images.

mod canonical;
mod parse;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::yaml::{At, Node, YamlError};

/// A schematic, in the fields and the order that the Factory hashes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schematic {
    owner: String,
    overlay: Overlay,
    embedded_machine_configuration: String,
    extra_kernel_args: Vec<String>,
    meta: Vec<Meta>,
    extensions: Vec<String>,
    /// Lower case; empty for none.
    bootloader: String,
    enroll_keys: String,
    well_known_certificates: bool,
    sector_size: u64,
}

/// What most users ask for; everything else needs [`Schematic::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// Names such as `siderolabs/tailscale`; order and repetition count.
    pub extensions: Vec<String>,
    /// Kernel arguments; a leading `-` removes a default one.
    pub extra_kernel_args: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Overlay {
    image: String,
    name: String,
    options: Vec<(String, crate::yaml::Emit)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Meta {
    key: u8,
    value: String,
}

/// Why a text is no schematic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchematicError {
    /// Not YAML, or a key given twice.
    #[error("reading the schematic as YAML")]
    Yaml(#[source] YamlError),
    /// Nothing in it.
    #[error("the schematic is empty; one without any customization is written customization: {{}}")]
    Empty,
    /// An unknown key, or a value of the wrong kind or range.
    #[error("{at}: {problem}")]
    Mistake {
        /// Where it stands.
        at: At,
        /// What is wrong, with a suggestion for a mistyped key.
        problem: String,
    },
}

impl Schematic {
    /// Reads a schematic as strictly as the Factory does.
    ///
    /// # Errors
    /// Broken YAML, an empty document, unknown or repeated keys, values of the wrong kind.
    pub fn parse(yaml: &str) -> Result<Self, SchematicError> {
        parse::schematic(yaml)
    }

    /// Reads a schematic that stands in a larger document, as strictly as [`Schematic::parse`].
    ///
    /// # Errors
    /// Unknown keys and values of the wrong kind, always [`SchematicError::Mistake`].
    pub fn from_node(node: &Node) -> Result<Self, SchematicError> {
        parse::node(node)
    }

    /// Makes a schematic of extensions and kernel arguments.
    pub fn from_parts(parts: Parts) -> Self {
        Self { extensions: parts.extensions, extra_kernel_args: parts.extra_kernel_args, ..Self::default() }
    }

    /// The YAML that the Factory stores and hashes.
    pub fn canonical(&self) -> String {
        canonical::yaml(self)
    }

    /// The id: the SHA-256 of [`Schematic::canonical`].
    pub fn id(&self) -> SchematicId {
        SchematicId(hex::encode(Sha256::digest(self.canonical())))
    }

    /// Whether Factory releases disagree on the id, so that only the Factory itself can tell it.
    ///
    /// Strings like `yes`, `off`, `12:30` or `<<` are quoted differently since Factory v1.5.
    pub fn id_depends_on_factory_release(&self) -> bool {
        canonical::depends_on_release(self)
    }

    /// The official extensions, in order.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The extra kernel arguments, in order.
    pub fn extra_kernel_args(&self) -> &[String] {
        &self.extra_kernel_args
    }

    /// Whether a machine configuration is embedded in the image.
    pub fn has_embedded_configuration(&self) -> bool {
        !self.embedded_machine_configuration.is_empty()
    }

    /// The owner; only Enterprise factories take one. Empty for none.
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

/// A schematic's id: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchematicId(String);

/// A text that is no schematic id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no schematic id; one has 64 lower-case hexadecimal digits")]
pub struct SchematicIdError {
    text: String,
}

impl SchematicId {
    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SchematicId {
    type Err = SchematicIdError;

    fn from_str(text: &str) -> Result<Self, SchematicIdError> {
        let sound = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match sound {
            true => Ok(Self(text.into())),
            false => Err(SchematicIdError { text: text.into() }),
        }
    }
}

impl fmt::Display for SchematicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
