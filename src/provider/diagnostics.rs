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

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_in_a_list_becomes_an_element_path() {
        assert_eq!(path("config_patches[1]"), Path::root().attribute("config_patches").index(1));
        assert_eq!(path("flash.disk"), Path::root().attribute("flash").attribute("disk"));
    }
}
