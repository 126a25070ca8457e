//! One document of a configuration.

use super::accessors::DocumentId;
use super::error::ConfigError;
use super::types::{self, Kind};
use super::yaml::{Node, Value};
use super::{decode, encode};

/// A decoded document.
#[derive(Clone)]
pub struct Document {
    id: DocumentId,
    kind: &'static Kind,
    root: Node,
    /// The text's own tree, as long as nothing changed in the document.
    source: Option<Node>,
    /// Whether the document is written as its source says: what a JSON patch leaves is.
    verbatim: bool,
}

impl Document {
    /// Its apiVersion, kind and name.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// What is set in it. A field with its zero value is absent unless Talos tells the two apart.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether this is the `machine`/`cluster` document.
    pub fn is_v1alpha1(&self) -> bool {
        self.id.kind == V1ALPHA1
    }

    /// The content as Talos writes it.
    pub fn written(&self) -> Node {
        match &self.source {
            Some(source) if self.verbatim => source.clone(),
            _ => self.decoded(),
        }
    }

    /// The content as Talos writes it once it has read it.
    pub(super) fn decoded(&self) -> Node {
        encode::document(self.kind.body, &self.root)
    }

    /// The tree the document was read from, unless it was changed since.
    pub(super) fn source(&self) -> Option<&Node> {
        self.source.as_ref()
    }

    pub(super) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Whether the document is what a JSON patch left.
    pub(super) fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    pub(super) fn root_mut(&mut self) -> &mut Node {
        self.source = None;
        self.verbatim = false;
        &mut self.root
    }

    /// Decodes what a JSON patch left: Talos passes it on as it is.
    pub(super) fn verbatim(root: Node) -> Result<Option<Self>, ConfigError> {
        Ok(Self::decode_owned(root)?.map(|document| Self { verbatim: true, ..document }))
    }

    /// Decodes a document and keeps its tree.
    pub(super) fn decode_owned(root: Node) -> Result<Option<Self>, ConfigError> {
        Ok(Self::decode(&root)?.map(|document| Self { source: Some(root), ..document }))
    }

    /// Decodes a document; `None` for one without content, which Talos skips (since v1.12.3).
    pub(super) fn decode(root: &Node) -> Result<Option<Self>, ConfigError> {
        if root.is_null() {
            return Ok(None);
        }
        let Value::Mapping(_) = root.value else {
            return Err(error(root, "a document must be a mapping".into()));
        };
        let kind = kind_of(root)?;
        let body = decode::document(kind, root)?;
        let name = if kind.named { Some(text(&body, "name")) } else { None };
        let id = DocumentId { api_version: V1ALPHA1.into(), kind: kind.kind.into(), name };
        Ok(Some(Self { id, kind, root: body, source: None, verbatim: false }))
    }
}

const V1ALPHA1: &str = "v1alpha1";

/// Which kind a document is (Talos `configloader/internal/decoder` `decode`).
fn kind_of(root: &Node) -> Result<&'static Kind, ConfigError> {
    let kind = text(root, "kind");
    let mut version = text(root, "apiVersion");
    if ["machine", "cluster", "debug", "persist"].iter().any(|key| root.get(key).is_some()) {
        version = V1ALPHA1.into();
    }
    let found = match (version.as_str(), kind.as_str()) {
        (V1ALPHA1, "") => types::kind(V1ALPHA1),
        (_, "") => return Err(error(root, "missing kind: neither a kind nor machine or cluster is set".into())),
        ("", _) => return Err(error(root, format!("missing apiVersion next to kind {kind:?}"))),
        (V1ALPHA1, V1ALPHA1) => None,
        (V1ALPHA1, kind) => types::kind(kind),
        _ => None,
    };
    found.ok_or_else(|| {
        let known: Vec<_> = types::KINDS.iter().map(|kind| kind.kind).collect();
        let hint = decode::closest_word(&kind, &known).map(|word| format!(", did you mean {word:?}?"));
        error(root, format!("{kind:?} {version:?}: not registered{}", hint.unwrap_or_default()))
    })
}

fn text(root: &Node, key: &str) -> String {
    root.get(key).and_then(Node::as_str).unwrap_or_default().to_owned()
}

fn error(root: &Node, message: String) -> ConfigError {
    ConfigError::Document { line: root.mark.line, column: root.mark.column, message }
}
