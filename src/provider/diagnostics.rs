//! Every error and finding becomes a diagnostic here, and nowhere else.

use std::error::Error as StdError;

use crate::node::finding::{Finding, Findings, Severity};
use crate::provision::error::{Failure, chain};
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::path::Path;

/// All findings: what a plan shows.
pub fn findings(findings: &Findings) -> Diagnostics {
    findings.iter().map(finding).collect()
}

/// Errors only: warnings are told once, by the plan.
pub fn errors(findings: &Findings) -> Diagnostics {
    findings.iter().filter(|finding| finding.severity == Severity::Error).map(finding).collect()
}

fn finding(finding: &Finding) -> Diagnostic {
    let detail = format!("{}.\n\nhint: {}.\n\n(rule {})", capitalised(&finding.message), finding.remedy, finding.rule);
    let summary = summary(&finding.attribute);
    let diagnostic = match finding.severity {
        Severity::Error => Diagnostic::error(format!("Invalid {summary}"), detail),
        Severity::Warning => Diagnostic::warning(format!("Questionable {summary}"), detail),
    };
    diagnostic.at(path(&finding.attribute))
}

/// A failed create or update, with what every phase did.
pub fn failure(what: &str, failure: &Failure) -> Diagnostic {
    let mut detail = format!("{}\n", failure.transcript);
    detail.push_str(&format!("Endpoint: {}\nCause: {}\n", failure.endpoint, chain(&failure.cause)));
    for found in &failure.diagnosis {
        detail.push_str(&format!("\nDiagnosis: {} (rule {})", found.cause, found.rule));
        for evidence in &found.evidence {
            detail.push_str(&format!("\n  seen: {evidence}"));
        }
        detail.push_str(&format!("\n  remedy: {}\n", found.remedy));
    }
    for hint in &failure.hints {
        detail.push_str(&format!("\nhint: {hint}"));
    }
    Diagnostic::error(format!("{what} Failed in Phase {}", title(failure.phase.name())), detail)
}

/// Any other error, with its chain and hints.
pub fn error(summary: &str, error: &dyn StdError, hints: &[String]) -> Diagnostic {
    let mut detail = capitalised(&chain(error));
    detail.push('.');
    for hint in hints {
        detail.push_str(&format!("\n\nhint: {hint}"));
    }
    Diagnostic::error(summary, detail)
}

/// `flash.ssh.host_key` as a path; `config_patches[1]` as an element.
fn path(attribute: &str) -> Path {
    attribute.split('.').fold(Path::root(), |path, part| match part.split_once('[') {
        Some((name, index)) => {
            let path = path.attribute(name);
            match index.trim_end_matches(']').parse() {
                Ok(index) => path.index(index),
                Err(_) => path,
            }
        }
        None => path.attribute(part),
    })
}

fn summary(attribute: &str) -> String {
    let name = attribute.split(['.', '[']).next().unwrap_or(attribute);
    name.replace('_', " ")
}

fn title(name: &str) -> String {
    capitalised(name)
}

/// A sentence begins with a capital; the name of a file or of a key in its place stays what it is.
fn capitalised(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default();
    if !word.trim_end_matches([':', ',']).bytes().all(|b| b.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_but_a_name_stays_as_it_is() {
        for (text, wanted) in [
            ("the node has no name", "The node has no name"),
            ("opening a.yaml: no key", "Opening a.yaml: no key"),
            ("talconfig.yaml:12: found a tab", "talconfig.yaml:12: found a tab"),
            ("machine.certSANs does not list 1.2.3.4", "machine.certSANs does not list 1.2.3.4"),
            ("patches[0] is no patch", "patches[0] is no patch"),
            ("", ""),
        ] {
            assert_eq!(capitalised(text), wanted);
        }
    }

    #[test]
    fn an_attribute_in_a_list_becomes_an_element_path() {
        assert_eq!(path("config_patches[1]"), Path::root().attribute("config_patches").index(1));
        assert_eq!(path("flash.disk"), Path::root().attribute("flash").attribute("disk"));
    }
}
