//! What is wrong with a draft, and what to do about it.

use std::fmt;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but is a known trap.
    Warning,
    /// It cannot work.
    Error,
}

/// One judgement about one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable name of the rule, such as `endpoint-syntax`; the documentation lists them all.
    pub rule: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Attribute to blame, dotted from the resource's root (`flash.ssh.host_key`, `config_patches[1]`).
    pub attribute: String,
    /// What is wrong, with the offending value unless it is secret.
    pub message: String,
    /// The one thing to do.
    pub remedy: String,
}

/// Findings in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds an error.
    pub fn error(
        &mut self,
        rule: &'static str,
        attribute: impl Into<String>,
        message: impl fmt::Display,
        remedy: impl fmt::Display,
    ) {
        self.push(rule, Severity::Error, attribute.into(), message.to_string(), remedy.to_string());
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        rule: &'static str,
        attribute: impl Into<String>,
        message: impl fmt::Display,
        remedy: impl fmt::Display,
    ) {
        self.push(rule, Severity::Warning, attribute.into(), message.to_string(), remedy.to_string());
    }

    fn push(&mut self, rule: &'static str, severity: Severity, attribute: String, message: String, remedy: String) {
        self.0.push(Finding { rule, severity, attribute, message, remedy });
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// Takes the findings of `other` in.
    pub fn append(&mut self, other: Findings) {
        self.0.extend(other.0);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
