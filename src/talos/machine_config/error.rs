//! What can be wrong with the text of a configuration.

use super::yaml::YamlError;

/// Why a text is not a machine configuration. Messages name places and keys, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not YAML, or too large or too deep.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// There is no document.
    #[error("config not found: the text holds no document")]
    Empty,
    /// A document is not what Talos knows.
    #[error("{}{message}", place(*line, *column))]
    Document {
        /// The line, counted from 1; 0 when the document was not read from text.
        line: u32,
        /// The column, counted from 1.
        column: u32,
        /// What is wrong, with the path.
        message: String,
    },
}

fn place(line: u32, column: u32) -> String {
    if line == 0 { String::new() } else { format!("line {line}, column {column}: ") }
}
