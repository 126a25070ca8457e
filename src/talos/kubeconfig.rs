//! Whether a kubeconfig leads anywhere; what more is in it, the Kubernetes client reads.

use crate::yaml::{self, Node};

/// Why a kubeconfig leads to no cluster. Shows names only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// Broken YAML.
    #[error("line {line}: {problem}")]
    Yaml {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Empty, or something else.
    #[error("it is no mapping")]
    NoMapping,
    /// Nothing says which cluster is meant.
    #[error("it has no current-context")]
    NoCurrentContext,
    /// The current context is not there.
    #[error("it has no context {0:?}, which is its current-context")]
    NoContext(String),
    /// The current context's cluster is not there.
    #[error("its context {0:?} leads to no cluster")]
    NoCluster(String),
}

/// Follows the current context to its cluster.
///
/// # Errors
/// Where the way ends.
pub fn check(text: &str) -> Result<(), KubeconfigError> {
    let documents = yaml::parse_documents(text)
        .map_err(|error| KubeconfigError::Yaml { line: error.at.line, problem: error.problem })?;
    let document = match documents.as_slice() {
        [] => return Err(KubeconfigError::NoMapping),
        [document] => document,
        // Files that were put together: the client merges them.
        _ => return Ok(()),
    };
    if document.as_map().is_none() {
        return Err(KubeconfigError::NoMapping);
    }
    let current = word(document.get("current-context")).ok_or(KubeconfigError::NoCurrentContext)?;
    let context = named(document, "contexts", &current).and_then(|entry| entry.get("context"));
    let context = context.ok_or_else(|| KubeconfigError::NoContext(current.clone()))?;
    let cluster = word(context.get("cluster")).and_then(|cluster| named(document, "clusters", &cluster));
    cluster.map(|_| ()).ok_or(KubeconfigError::NoCluster(current))
}

fn named<'n>(document: &'n Node, list: &str, name: &str) -> Option<&'n Node> {
    let entries = document.get(list).and_then(Node::as_list).unwrap_or_default();
    entries.iter().find(|entry| word(entry.get("name")).as_deref() == Some(name))
}

fn word(node: Option<&Node>) -> Option<String> {
    node.and_then(Node::as_scalar).map(|scalar| scalar.text.clone()).filter(|text| !text.is_empty())
}
