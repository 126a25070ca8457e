//! The documents next to the v1alpha1 one, kind by kind.

use super::super::document::Document;
use super::super::types::url::Url;
use super::super::yaml::Node;
use super::{Read, Report, containers, cri, discovery, k8s, network, runtime, security, storage, volumes};

pub(super) fn validate(document: &Document, report: &mut Report) {
    judge(&document.id().kind, document.root(), report);
}

/// Whether some part of the validator knows the kind, after it judged the document.
fn judge(kind: &str, root: &Node, report: &mut Report) -> bool {
    runtime::validate(kind, root, report)
        || network::validate(kind, root, report)
        || volumes::validate(kind, root, report)
        || storage::validate(kind, root, report)
        || k8s::validate(kind, root, report)
        || cri::validate(kind, root, report)
        || containers::validate(kind, root, report)
        || discovery::validate(kind, root, report)
        || security::validate(kind, root, report)
        || other(kind, root, report)
}

fn other(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "SideroLinkConfig" => sidero_link(root, report),
        // Talos v1.14 hardware/pci_driver_rebind_config.go: judged on the running node only.
        "PCIDriverRebindConfig" => {}
        _ => return false,
    }
    true
}

/// A name that must not be empty.
pub(super) fn require_name(root: &Node, message: &str, report: &mut Report) -> bool {
    let missing = root.text("name").is_empty();
    if missing {
        report.error("name", message);
    }
    !missing
}

/// Nanoseconds of a duration field; decoding left nothing but Go's notation there.
pub(super) fn nanoseconds(root: &Node, path: &str) -> i64 {
    super::super::types::duration::parse(root.text(path)).unwrap_or_default()
}

/// The URL in a field, if there is one.
pub(super) fn url(root: &Node, field: &str) -> Option<Url> {
    Url::parse(root.at(field)?.as_str()?).ok()
}

fn sidero_link(root: &Node, report: &mut Report) {
    match url(root, "apiUrl") {
        None => report.error("apiUrl", "apiUrl is required"),
        Some(url) if !["https", "grpc"].contains(&url.scheme.as_str()) => {
            report.error("apiUrl", "apiUrl scheme must be https:// or grpc://");
        }
        Some(url) if !["", "/"].contains(&url.path.as_str()) => report.error("apiUrl", "apiUrl path must be empty"),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::types::KINDS;
    use super::*;

    #[test]
    fn every_kind_of_document_is_judged() {
        let nothing = Node::mapping(Vec::<(String, Node)>::new());
        for kind in KINDS.iter().filter(|kind| kind.kind != "v1alpha1") {
            assert!(judge(kind.kind, &nothing, &mut Report::default()), "{}", kind.kind);
        }
    }
}
