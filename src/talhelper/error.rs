//! What can go wrong with a talconfig.yaml and the files beside it. Values are never shown, only names and places.

use std::fmt;

use super::envsubst::Problem;
use crate::sops::SopsError;
use crate::talos::machine_config::PatchError;
use crate::talos::machine_config::generate::GenerateError;
use crate::talos::secrets::SecretsError;

/// Why no machine configuration comes of a talconfig.yaml.
#[derive(Debug, thiserror::Error)]
pub enum TalhelperError {
    /// A file cannot be read.
    #[error("reading {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A file is not there.
    #[error("reading {file}: there is no such file")]
    Absent {
        /// The file.
        file: String,
    },
    /// No secrets file was named and none has a usual name.
    #[error("finding the cluster's secrets: none of {names} is beside {file}")]
    NoSecrets {
        /// The talconfig.yaml.
        file: String,
        /// The names that were tried.
        names: String,
    },
    /// A SOPS file does not open.
    #[error("opening {file}")]
    Sops {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: SopsError,
    },
    /// Broken YAML.
    #[error("{file}:{line}: {problem}")]
    Yaml {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A line of an env file that talhelper would silently drop together with the whole file.
    #[error("{file}:{line}: {problem}")]
    Dotenv {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A variable without a value.
    #[error("{file}:{line}: {problem}")]
    Variable {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// Mistakes in talconfig.yaml, all that were found.
    #[error("{}", listed(file, findings))]
    Talconfig {
        /// The talconfig.yaml.
        file: String,
        /// The mistakes in the order of the file.
        findings: Vec<Finding>,
    },
    /// The node is not in it.
    #[error("{file} has no node with the hostname {node:?}; it has {known}")]
    NoNode {
        /// The talconfig.yaml.
        file: String,
        /// The hostname asked for.
        node: String,
        /// The hostnames there are.
        known: String,
    },
    /// The secrets file does not hold a cluster's secrets.
    #[error("reading {file}")]
    Secrets {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: SecretsError,
    },
    /// The base configuration cannot be made.
    #[error("generating the configuration of {node}")]
    Generate {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: Box<GenerateError>,
    },
    /// A patch cannot be applied.
    #[error("{file}: applying {place}")]
    Patch {
        /// The talconfig.yaml.
        file: String,
        /// Which part: `patches[0] of the node cloudbox2`.
        place: String,
        /// Why.
        #[source]
        source: Box<PatchError>,
    },
    /// Talos would refuse the result.
    #[error("the configuration of {node} is not valid: {}", problems.join("; "))]
    Invalid {
        /// The node.
        node: String,
        /// What is wrong with it.
        problems: Vec<String>,
    },
}

/// One mistake in a talconfig.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
    /// Whether it is no mistake but a feature of talhelper that is not read here.
    pub unsupported: bool,
}

impl TalhelperError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Variable { problem: Problem::NotSet(name) | Problem::Empty(name), .. } => format!(
                "give {name} a value in one of the env files or in env; the environment of the process is not read"
            ),
            Self::Dotenv { .. } => {
                "env files hold NAME: value or NAME=value lines; values of several lines are written \
                                    in double quotes with \\n"
                    .into()
            }
            Self::Sops { source, .. } => match source.hint() {
                Some(hint) => hint.into(),
                None => return Vec::new(),
            },
            Self::Absent { .. } => {
                "name a file that is there; names in talconfig.yaml count from its own folder, all others from the folder \
                 in which Terraform runs"
                    .into()
            }
            Self::NoSecrets { .. } => "name the file in secrets_file; it is the output of `talhelper gensecret`".into(),
            Self::Talconfig { findings, .. } if findings.iter().any(|finding| finding.unsupported) => {
                "render this node with talhelper itself and pass the file in machine_configuration".into()
            }
            Self::Generate { .. } => "pass a rendered file in machine_configuration for other Talos releases".into(),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.text)
    }
}

fn listed(file: &str, findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(|finding| format!("{file}:{finding}")).collect();
    lines.join("\n")
}
