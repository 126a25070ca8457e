//! The strict validation of Talos (v1.12.11, v1.13.9 and v1.14.0-rc.1 `pkg/machinery/config/container` and the
//! `Validate` of every type), cut along the packages of `pkg/machinery/config/types`.
//!
//! As `talosctl validate` does, it leaves out what only a running node knows: which Kubernetes versions its Talos
//! supports, and what its disks and volumes are now (`RuntimeValidate`). Which release's rules count, see
//! [`MachineConfig::validate`].

mod bgp;
mod cel;
mod cluster;
mod conflicts;
mod containers;
mod cri;
mod devices;
mod discovery;
mod documents;
mod era;
mod image_reference;
mod k8s;
mod labels;
mod links;
mod machine;
mod network;
mod notation;
mod oci;
mod pem;
mod resolver;
mod runtime;
mod security;
mod storage;
mod volumes;
mod whole;

use std::fmt;

use super::MachineConfig;
use super::yaml::Node;
use crate::talos::version::TalosVersion;
use era::Releases;

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
    ///
    /// Every release from 1.12 to 1.14 that knows all of the content counts, so content of 1.14 is judged by 1.14
    /// alone. Of these releases the strictest counts; warnings count when all of them have it.
    pub fn validate(&self, mode: Mode) -> Vec<Problem> {
        self.judge(mode, Releases::of(self))
    }

    /// What the strict validator of that release would say. What the release does not know at all is left to
    /// [`MachineConfig::unknown_to`].
    pub fn validate_for(&self, mode: Mode, version: &TalosVersion) -> Vec<Problem> {
        self.judge(mode, Releases::only(version))
    }

    fn judge(&self, mode: Mode, releases: Releases) -> Vec<Problem> {
        let mut report = Report { releases, ..Report::default() };
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
                conflicts::validate(document, v1alpha1.root(), &mut report);
            }
        }
        report.prefix.clear();
        whole::validate(self, mode, &mut report);
        report.problems
    }
}

/// Collects problems below a prefix.
#[derive(Default)]
struct Report {
    problems: Vec<Problem>,
    /// The document; empty for the v1alpha1 one, whose paths start at its root.
    prefix: String,
    /// Whose rules count.
    releases: Releases,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a configuration in cloud mode, notes marked as such.
    pub(super) fn judge(text: &str) -> Vec<String> {
        told(parse(text).validate(Mode::Cloud))
    }

    /// The same for one release.
    pub(super) fn judge_for(text: &str, version: &str) -> Vec<String> {
        told(parse(text).validate_for(Mode::Cloud, &version.parse().expect(version)))
    }

    fn parse(text: &str) -> MachineConfig {
        MachineConfig::parse(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
    }

    fn told(problems: Vec<Problem>) -> Vec<String> {
        let tell = |problem: Problem| match problem.severity {
            Severity::Note => format!("note: {problem}"),
            Severity::Warning => format!("warning: {problem}"),
            Severity::Error => problem.to_string(),
        };
        problems.into_iter().map(tell).collect()
    }

    /// A document of that kind behind the smallest configuration of a control plane that 1.14 takes.
    pub(super) fn on_control_plane(kind: &str, rest: &str) -> String {
        let machine = "machine: {type: controlplane, ca: {crt: eA==, key: eA==}}\ncluster: {}";
        format!("{machine}\n---\n{{apiVersion: v1alpha1, kind: {kind}, {rest}}}")
    }

    /// Holds each configuration against the start of the only thing to be said of it, or against nothing. The last
    /// document's name is left out of paths, unless a `=` asks for the whole.
    pub(super) fn expect(cases: &[(&str, &str)]) {
        for (text, wanted) in cases {
            let config = parse(text);
            let id = config.documents.last().map(|document| format!("{}.", document.id())).unwrap_or_default();
            let told = judge(text);
            if wanted.is_empty() {
                assert_eq!(told, Vec::<String>::new(), "{text}");
                continue;
            }
            let [only] = &told[..] else { panic!("{text}\nexpected: {wanted}\nfound: {told:?}") };
            let (only, wanted) = match wanted.strip_prefix('=') {
                Some(wanted) => (only.clone(), wanted),
                None => (only.replacen(&id, "", 1), *wanted),
            };
            assert!(only.starts_with(wanted), "{text}\nexpected: {wanted}\nfound: {only}");
        }
    }
}
