//! Talos machine configurations: parse, validate, patch, generate, hash and compare them as Talos does.
//!
//! A configuration is a stream of YAML documents: one `v1alpha1` document (`machine`, `cluster`) and any
//! number of documents with `apiVersion` and `kind`.

mod accessors;
mod document;
mod error;
pub mod generate;
mod hash;
mod patch;
mod validate;
pub mod yaml;

use std::fmt;

pub use accessors::{DocumentId, ExtensionService, MachineType};
pub use document::Document;
pub use error::ConfigError;
pub use hash::{Change, ChangeKind, HashOptions};
pub use patch::{PatchError, Patched};
pub use validate::{Mode, Problem, Severity};

use yaml::Limits;

/// A machine configuration: one or more documents in the order of their source.
#[derive(Clone)]
pub struct MachineConfig {
    documents: Vec<Document>,
}

impl MachineConfig {
    /// Reads a configuration strictly: unknown kinds, unknown keys and duplicate documents are errors that
    /// name line, column and path.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let nodes = yaml::parse_stream(text, &Limits::default())?;
        let documents = nodes.into_iter().map(Document::decode).collect::<Result<Vec<_>, _>>()?;
        Self::from_documents(documents)
    }

    /// The configuration as YAML that Talos reads back to the same content.
    pub fn to_yaml(&self) -> String {
        yaml::emit(self.documents.iter().map(Document::root))
    }

    fn from_documents(documents: Vec<Document>) -> Result<Self, ConfigError> {
        if documents.is_empty() {
            return Err(ConfigError::Empty);
        }
        Ok(Self { documents })
    }
}

impl fmt::Debug for MachineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.documents.iter().map(Document::id)).finish()
    }
}
