//! Configuration patches: strategic merge and JSON patch (Talos `pkg/machinery/config/configpatcher`).

mod delete;
mod json;
mod merge;

use delete::Selector;

use super::MachineConfig;
use super::document::Document;
use super::error::ConfigError;
use super::yaml::{self, Limits, Node};

/// A patched configuration, and what should be said about the patches.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The result.
    pub config: MachineConfig,
    /// What is legal but hardly meant.
    pub warnings: Vec<String>,
}

/// Why patches cannot be applied. `index` counts patches from 0. Messages name paths, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A patch is not a patch.
    #[error("loading patch {index}")]
    Load {
        /// Which patch.
        index: usize,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// A `$patch: delete` stands where it cannot.
    #[error("loading patch {index}: {message}")]
    Selector {
        /// Which patch.
        index: usize,
        /// Why.
        message: String,
    },
    /// A patch and the configuration do not go together.
    #[error("merging patch {index} into {document} at {path}: {message}")]
    Merge {
        /// Which patch.
        index: usize,
        /// The document.
        document: String,
        /// Where.
        path: String,
        /// Why.
        message: String,
    },
    /// What a patch deletes is not there, or cannot be deleted.
    #[error("patch {index} deletes {path} of {document}: {message}")]
    Delete {
        /// Which patch.
        index: usize,
        /// The document.
        document: String,
        /// Where.
        path: String,
        /// Why.
        message: String,
    },
    /// A JSON patch meets a configuration of several documents.
    #[error("applying patch {index}: JSON6902 patches are not supported for multi-document machine configuration")]
    MultiDocument {
        /// Which patch.
        index: usize,
    },
    /// An operation of a JSON patch does not apply.
    #[error("applying JSON patch {index}: {message}")]
    Json {
        /// Which patch.
        index: usize,
        /// Why.
        message: String,
    },
    /// What comes out is no configuration.
    #[error("reading what patch {index} leaves")]
    Result {
        /// Which patch.
        index: usize,
        /// Why.
        #[source]
        source: ConfigError,
    },
}

impl PatchError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::MultiDocument { .. } => vec![
                "write it as a strategic merge patch: the YAML of the changed fields, with `$patch: delete` to remove one".into(),
            ],
            Self::Load { source: ConfigError::Document { message, .. }, .. } if message.starts_with("duplicate document") => {
                vec!["a patch may name a document once; put the second part into a patch of its own".into()]
            }
            _ => Vec::new(),
        }
    }
}

impl MachineConfig {
    /// Applies patches in order, each a strategic merge patch or a JSON patch, loaded as Talos does. An empty
    /// patch changes nothing.
    pub fn patch(&self, patches: &[&str]) -> Result<Patched, PatchError> {
        let mut patched = Patched { config: self.clone(), warnings: Vec::new() };
        let loaded = patches.iter().enumerate().map(|(index, text)| Patch::load(text, index));
        let mut loaded = loaded.collect::<Result<Vec<_>, _>>()?.into_iter().enumerate().peekable();
        while let Some((index, patch)) = loaded.next() {
            match patch {
                Patch::Strategic { selectors, documents } => patched.merge(index, selectors, documents)?,
                Patch::Json(operations) => {
                    // What one JSON patch leaves need not be a configuration before the next one is through.
                    let mut run = vec![(index, operations)];
                    while let Some((index, Patch::Json(operations))) =
                        loaded.next_if(|(_, patch)| matches!(patch, Patch::Json(_)))
                    {
                        run.push((index, operations));
                    }
                    patched.apply_json(&run)?;
                }
            }
        }
        Ok(patched)
    }
}

enum Patch {
    Strategic { selectors: Vec<Step>, documents: Vec<Document> },
    Json(Vec<json::Operation>),
}

/// A delete, and how many of the patch's documents come before it.
struct Step {
    after: usize,
    selector: Selector,
}

impl Patch {
    /// Loads a patch (Talos `configpatcher.LoadPatch`): first as configuration, then as JSON patch.
    fn load(text: &str, index: usize) -> Result<Self, PatchError> {
        let load = |source| PatchError::Load { index, source };
        let nodes = yaml::parse_stream(text, &Limits::default()).map_err(|error| load(error.into()))?;
        match Self::strategic(nodes.clone(), index) {
            Ok(patch) => Ok(patch),
            Err(error) => json::load(text, &nodes).map(Self::Json).ok_or(error),
        }
    }

    fn strategic(nodes: Vec<Node>, index: usize) -> Result<Self, PatchError> {
        let load = |source| PatchError::Load { index, source };
        let (mut selectors, mut documents) = (Vec::new(), Vec::new());
        for mut node in nodes {
            let mut found = Vec::new();
            let nothing_left =
                delete::take(&mut node, &mut found).map_err(|message| PatchError::Selector { index, message })?;
            selectors.extend(found.into_iter().map(|selector| Step { after: documents.len(), selector }));
            if !nothing_left {
                documents.extend(Document::decode(&node).map_err(load)?);
            }
        }
        if documents.is_empty() && selectors.is_empty() {
            return Err(load(ConfigError::Empty));
        }
        super::check_documents(&documents).map_err(load)?;
        Ok(Self::Strategic { selectors, documents })
    }
}

impl Patched {
    fn merge(&mut self, index: usize, selectors: Vec<Step>, documents: Vec<Document>) -> Result<(), PatchError> {
        // What is deleted from the v1alpha1 document comes first, then its own patch, then the rest in order.
        let (first, rest): (Vec<Step>, Vec<Step>) =
            selectors.into_iter().partition(|step| step.selector.kind == "v1alpha1");
        for step in &first {
            self.delete(index, &step.selector)?;
        }
        let mut rest = rest.into_iter().peekable();
        let (main, others): (Vec<_>, Vec<_>) =
            documents.into_iter().enumerate().partition(|(_, doc)| doc.is_v1alpha1());
        for (_, document) in main {
            self.merge_document(index, document)?;
        }
        for (position, document) in others {
            while let Some(step) = rest.next_if(|step| step.after <= position) {
                self.delete(index, &step.selector)?;
            }
            self.merge_document(index, document)?;
        }
        for step in rest {
            self.delete(index, &step.selector)?;
        }
        let documents = std::mem::take(&mut self.config.documents);
        let config = MachineConfig::from_documents(documents);
        self.config = config.map_err(|source| PatchError::Result { index, source })?;
        Ok(())
    }

    fn merge_document(&mut self, index: usize, right: Document) -> Result<(), PatchError> {
        let Some(left) = self.config.documents.iter_mut().find(|left| left.id() == right.id()) else {
            self.config.documents.push(right);
            return Ok(());
        };
        let body = left.kind().body;
        let root = std::mem::replace(left.root_mut(), Node::null());
        let merged = merge::document(body, root, right.root());
        *left.root_mut() = merged.map_err(|conflict| PatchError::Merge {
            index,
            document: right.id().to_string(),
            path: conflict.path,
            message: conflict.message,
        })?;
        Ok(())
    }

    fn delete(&mut self, index: usize, selector: &Selector) -> Result<(), PatchError> {
        let documents = &mut self.config.documents;
        let position = documents.iter().position(|document| {
            let id = document.id();
            id.kind == selector.kind && id.name == selector.name && id.api_version == selector.api_version
        });
        let named = selector.name.as_deref().map(|name| format!("/{name}")).unwrap_or_default();
        let Some(position) = position else {
            // Talos up to 1.13 panics here, 1.14 skips it in silence.
            self.warnings
                .push(format!("patch {index} deletes from document {}{named}, which does not exist", selector.kind));
            return Ok(());
        };
        if selector.path.is_empty() {
            documents.remove(position);
            return Ok(());
        }
        let document = &mut documents[position];
        let body = document.kind().body;
        selector.apply(body, document.root_mut()).map_err(|message| PatchError::Delete {
            index,
            document: format!("{}{named}", selector.kind),
            path: selector.path(),
            message: message.into(),
        })
    }

    fn apply_json(&mut self, patches: &[(usize, Vec<json::Operation>)]) -> Result<(), PatchError> {
        let [document] = self.config.documents.as_slice() else {
            for (index, operations) in patches {
                if !operations.is_empty() {
                    return Err(PatchError::MultiDocument { index: *index });
                }
                self.warnings.push(format!("patch {index} is empty"));
            }
            return Ok(());
        };
        let fail = |index| move |message| PatchError::Json { index, message };
        let (first, last) =
            (patches.first().map_or(0, |(index, _)| *index), patches.last().map_or(0, |(index, _)| *index));
        let mut content = match document.source() {
            Some(source) => json::from_yaml(source, !document.is_verbatim()),
            None => json::from_yaml(&document.written(), false),
        }
        .map_err(fail(first))?;
        for (index, operations) in patches {
            json::apply(&mut content, operations).map_err(fail(*index))?;
        }
        let result = Document::verbatim(json::to_yaml(&content));
        let documents = result.map_err(|source| PatchError::Result { index: last, source })?;
        let config = MachineConfig::from_documents(documents.into_iter().collect());
        self.config = config.map_err(|source| PatchError::Result { index: last, source })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_of_another_version_of_a_kind_selects_nothing() {
        let config = "machine: {type: worker}\n---\n{apiVersion: v1alpha1, kind: OOMConfig, sampleInterval: 100ms}";
        let config = MachineConfig::parse(config).expect("a configuration");
        let patched = |version: &str| {
            let patch = format!("{{apiVersion: {version}, kind: OOMConfig, $patch: delete}}");
            let patched = config.patch(&[&patch]).expect("patched");
            (patched.config.documents().count(), patched.warnings.len())
        };
        assert_eq!(patched("v1alpha1"), (1, 0));
        assert_eq!(patched("v1beta1"), (2, 1));
    }
}
