//! One document of a configuration.

use super::accessors::DocumentId;
use super::error::ConfigError;
use super::yaml::{Node, Value};

/// A decoded document.
#[derive(Clone)]
pub struct Document {
    id: DocumentId,
    root: Node,
}

impl Document {
    /// Its apiVersion, kind and name.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// Its content.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether this is the `machine`/`cluster` document.
    pub fn is_v1alpha1(&self) -> bool {
        self.id.kind == "v1alpha1"
    }

    pub(super) fn root_mut(&mut self) -> &mut Node {
        &mut self.root
    }

    pub(super) fn decode(root: Node) -> Result<Self, ConfigError> {
        let Value::Mapping(_) = root.value else {
            return Err(ConfigError::Document {
                line: root.mark.line,
                column: root.mark.column,
                message: "expected a mapping node".into(),
            });
        };
        let text = |key: &str| root.get(key).and_then(Node::as_str).map(str::to_owned);
        let id = DocumentId {
            api_version: text("apiVersion").unwrap_or_else(|| "v1alpha1".into()),
            kind: text("kind").unwrap_or_else(|| "v1alpha1".into()),
            name: if root.get("kind").is_some() { text("name") } else { None },
        };
        Ok(Self { id, root })
    }
}
