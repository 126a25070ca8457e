//! The strict validation of Talos (v1.12.2 to v1.13.9 `container.Validate` and the `Validate` of every type).
//!
//! Documents of 1.14 are decoded strictly, but have no rules here yet.

mod cel;
mod cluster;
mod devices;
mod documents;
mod labels;
mod machine;
mod network;
mod notation;
mod volumes;

use std::fmt;

use super::MachineConfig;
use super::document::Document;
use super::yaml::Node;

/// What Talos runs on, as far as validation cares. Oracle Cloud validates as [`Mode::Cloud`] on the node;
/// [`Mode::Metal`] asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A machine whose disk Talos is installed to.
    Metal,
    /// A cloud instance, already installed.
    Cloud,
    /// A container.
    Container,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Talos refuses the configuration.
    Error,
    /// Talos takes the configuration; the strict validator does not.
    Warning,
    /// Talos remarks on it, and even the strict validator takes it.
    Note,
}

/// One finding of the validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where, such as `machine.install.disk` or `LinkConfig/net0.routes[0]`.
    pub path: String,
    /// The rule that is broken.
    pub message: String,
}

impl Problem {
    /// Whether the strict validator refuses the configuration for it.
    pub fn is_fatal(&self) -> bool {
        self.severity != Severity::Note
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl MachineConfig {
    /// Everything the strict validator of Talos would say. The configuration is valid when no problem is
    /// [fatal](Problem::is_fatal).
    pub fn validate(&self, mode: Mode) -> Vec<Problem> {
        let mut report = Report::default();
        if let Some(document) = self.v1alpha1() {
            machine::validate(document.root(), mode, &mut report);
        }
        for document in self.documents.iter().filter(|document| !document.is_v1alpha1()) {
            report.prefix = document.id().to_string();
            documents::validate(document, &mut report);
        }
        if let Some(v1alpha1) = self.v1alpha1() {
            for document in &self.documents {
                report.prefix = document.id().to_string();
                conflicts(document, v1alpha1.root(), &mut report);
            }
        }
        report.problems
    }
}

/// What a document and the v1alpha1 document must not both set (`V1Alpha1ConflictValidate`).
fn conflicts(document: &Document, v1alpha1: &Node, report: &mut Report) {
    match document.id().kind.as_str() {
        "HostnameConfig" | "ResolverConfig" | "TimeSyncConfig" | "KubeSpanConfig" => {
            network::conflicts(&document.id().kind, v1alpha1, report);
        }
        "VolumeConfig" => volumes::conflicts(document.root(), v1alpha1, report),
        _ => {}
    }
}

/// Collects problems below a prefix.
#[derive(Default)]
struct Report {
    problems: Vec<Problem>,
    /// The document; empty for the v1alpha1 one, whose paths start at its root.
    prefix: String,
}

impl Report {
    fn error(&mut self, path: impl AsRef<str>, message: impl Into<String>) {
        self.push(Severity::Error, path.as_ref(), message.into());
    }

    fn warning(&mut self, path: impl AsRef<str>, message: impl Into<String>) {
        self.push(Severity::Warning, path.as_ref(), message.into());
    }

    fn note(&mut self, path: impl AsRef<str>, message: impl Into<String>) {
        self.push(Severity::Note, path.as_ref(), message.into());
    }

    fn push(&mut self, severity: Severity, path: &str, message: String) {
        let dot = if self.prefix.is_empty() || path.is_empty() { "" } else { "." };
        self.problems.push(Problem { severity, path: format!("{}{dot}{path}", self.prefix), message });
    }
}

/// Short ways to read what Talos' getters read.
trait Read {
    /// The text at a path; empty when absent.
    fn text(&self, path: &str) -> &str;
    /// The boolean at a path; false when absent.
    fn flag(&self, path: &str) -> bool;
    /// The integer at a path; 0 when absent.
    fn int(&self, path: &str) -> i128;
    /// The items of the list at a path.
    fn items(&self, path: &str) -> &[Node];
    /// Whether something is set at a path.
    fn has(&self, path: &str) -> bool;
}

impl Read for Node {
    fn text(&self, path: &str) -> &str {
        self.at(path).and_then(Node::as_str).unwrap_or_default()
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path).and_then(Node::as_bool).unwrap_or_default()
    }

    fn int(&self, path: &str) -> i128 {
        self.at(path).and_then(Node::as_integer).unwrap_or_default()
    }

    fn items(&self, path: &str) -> &[Node] {
        self.at(path).and_then(Node::as_sequence).unwrap_or_default()
    }

    fn has(&self, path: &str) -> bool {
        self.at(path).is_some_and(|node| !node.is_null())
    }
}
