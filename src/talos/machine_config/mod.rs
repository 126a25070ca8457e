//! Talos machine configurations: parse, validate, patch, generate, hash and compare them as Talos does.
//!
//! A configuration is a stream of YAML documents: one `v1alpha1` document (`machine`, `cluster`) and any
//! number of documents with `apiVersion` and `kind`.

mod accessors;
mod decode;
mod diff;
mod document;
mod encode;
mod error;
pub mod generate;
mod hash;
mod patch;
#[cfg(test)]
mod properties;
mod redact;
mod releases;
mod types;
mod validate;
pub mod yaml;

use std::fmt;

pub use accessors::{DocumentId, ExtensionService, MachineType};
pub use diff::{Change, ChangeKind, Leaf};
pub use document::Document;
pub use error::ConfigError;
pub use hash::HashOptions;
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
        let mut documents = Vec::with_capacity(nodes.len());
        for node in nodes {
            documents.extend(Document::decode_owned(node)?);
        }
        Self::from_documents(documents)
    }

    /// The configuration as YAML that Talos reads back to the same content.
    pub fn to_yaml(&self) -> String {
        let written: Vec<_> = self.documents.iter().map(Document::written).collect();
        yaml::emit(&written)
    }

    /// A configuration of these documents, the v1alpha1 document first as Talos puts it.
    fn from_documents(mut documents: Vec<Document>) -> Result<Self, ConfigError> {
        if documents.is_empty() {
            return Err(ConfigError::Empty);
        }
        check_documents(&documents)?;
        documents.sort_by_key(|document| !document.is_v1alpha1());
        Ok(Self { documents })
    }
}

/// No document twice, and none next to one that excludes it (Talos `container.New`).
fn check_documents(documents: &[Document]) -> Result<(), ConfigError> {
    let mut seen: Vec<&DocumentId> = Vec::new();
    // The links that are configured: a veth configures both of its ends.
    let mut links: Vec<&str> = Vec::new();
    for document in documents {
        let id = document.id();
        let mark = document.root().mark;
        let error = |message| Err(ConfigError::Document { line: mark.line, column: mark.column, message });
        if seen.contains(&id) {
            return error(format!("duplicate document {id} is not allowed"));
        }
        for other in seen.iter().filter(|other| other.name == id.name) {
            if EXCLUSIVE.iter().any(|group| [&other.kind, &id.kind].iter().all(|kind| group.contains(&kind.as_str()))) {
                return error(format!("conflicting documents: {other} and {id}"));
            }
        }
        if EXCLUSIVE[0].contains(&id.kind.as_str()) {
            let peer = document.root().at("peer.name").and_then(yaml::Node::as_str).filter(|_| id.kind == "VethConfig");
            for link in [id.name.as_deref(), peer].into_iter().flatten() {
                if links.contains(&link) {
                    return error(format!("conflicting link configurations: {id} configures {link:?} again"));
                }
                links.push(link);
            }
        }
        seen.push(id);
    }
    Ok(())
}

/// Kinds of which only one may have a name (`ConflictsWithKinds` of the types).
const EXCLUSIVE: [&[&str]; 3] = [
    &[
        "BondConfig",
        "BridgeConfig",
        "DummyLinkConfig",
        "LinkConfig",
        "VLANConfig",
        "VRFConfig",
        "VethConfig",
        "WireguardConfig",
    ],
    &["ExistingVolumeConfig", "UserVolumeConfig"],
    &["HCloudVIPConfig", "Layer2VIPConfig"],
];

impl fmt::Debug for MachineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.documents.iter().map(Document::id)).finish()
    }
}
