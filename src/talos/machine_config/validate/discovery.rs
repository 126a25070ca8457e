//! Documents of the cluster (Talos `types/cluster`).

use super::super::types::text::decode_base64;
use super::super::yaml::Node;
use super::documents::{require_name, url};
use super::{Read, Report};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "DiscoveryIdentityConfig" => identity(root, report),
        "DiscoveryServiceConfig" => service(root, report),
        _ => return false,
    }
    true
}

/// Talos v1.14 `pkg/machinery/config/types/cluster/discovery_identity.go`: the id is any text, the secret an AES-256 key.
fn identity(root: &Node, report: &mut Report) {
    if root.text("clusterID").is_empty() {
        report.error("clusterID", "clusterID is required");
        return;
    }
    // The secret is never in the message.
    match root.text("clusterSecret") {
        "" => report.error("clusterSecret", "clusterSecret is required"),
        secret => match decode_base64(secret).map(|bytes| bytes.len()) {
            Some(32) => {}
            Some(length) => report.error("clusterSecret", format!("clusterSecret must have 32 bytes, not {length}")),
            None => report.error("clusterSecret", "clusterSecret is no base64"),
        },
    }
}

/// Talos v1.14 `pkg/machinery/config/types/cluster/discovery_service.go`.
fn service(root: &Node, report: &mut Report) {
    if !require_name(root, "name is required", report) {
        return;
    }
    match url(root, "endpoint") {
        None => report.error("endpoint", "endpoint is required"),
        Some(url) if !["http", "https", "grpc"].contains(&url.scheme.as_str()) => {
            report.error("endpoint", "endpoint scheme must be http://, https:// or grpc://");
        }
        Some(url) if url.hostname().is_empty() => report.error("endpoint", "endpoint host is required"),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect, judge};

    const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn discovery_is_judged_as_talos_does() {
        let identity = |rest: &str| format!("{{apiVersion: v1alpha1, kind: DiscoveryIdentityConfig, {rest}}}");
        let known = identity(&format!("clusterID: a, clusterSecret: '{SECRET}'"));
        let service =
            |rest: &str| format!("{known}\n---\n{{apiVersion: v1alpha1, kind: DiscoveryServiceConfig, {rest}}}");
        expect(&[
            (&known, ""),
            (&identity(&format!("clusterSecret: '{SECRET}'")), "clusterID: clusterID is required"),
            (&identity("clusterID: a"), "clusterSecret: clusterSecret is required"),
            (
                &identity("clusterID: a, clusterSecret: c2hvcnQ="),
                "clusterSecret: clusterSecret must have 32 bytes, not 5",
            ),
            (&identity("clusterID: a, clusterSecret: '?'"), "clusterSecret: clusterSecret is no base64"),
            (&service("name: a, endpoint: 'grpc://a:1'"), ""),
            (&service("endpoint: 'https://a'"), "name: name is required"),
            (&service("name: a"), "endpoint: endpoint is required"),
            (&service("name: a, endpoint: 'tcp://a'"), "endpoint: endpoint scheme must be"),
            (&service("name: a, endpoint: 'https://:1'"), "endpoint: endpoint host is required"),
        ]);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let text = "{apiVersion: v1alpha1, kind: DiscoveryIdentityConfig, clusterID: a, clusterSecret: hidden}";
        assert!(judge(text).iter().all(|told| !told.contains("hidden")));
    }
}
