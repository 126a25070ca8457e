//! Certificates, keys, and who may do what.

use super::super::super::yaml::Node;
use super::super::documents::{require_name, url};
use super::super::pem;
use super::{ROLES, Read, Report};

/// `apiserver_ca.go`, `aggregator_ca.go`.
pub(super) fn certificates(root: &Node, required: bool, report: &mut Report) {
    match root.get("issuingCA") {
        Some(pair) => pem::check_pair(pair, "issuingCA", "issuing CA", true, report),
        None if required => report.error("issuingCA", "an issuing CA is required"),
        None => {}
    }
    for (index, certificate) in root.items("acceptedCAs").iter().enumerate() {
        if let Err(message) = pem::check_blocks(certificate.text(""), Some("CERTIFICATE")) {
            report.error(format!("acceptedCAs[{index}]"), format!("accepted CA: {message}"));
        }
    }
}

/// `service_account.go`.
pub(super) fn service_account(root: &Node, report: &mut Report) {
    match root.text("issuer.privateKey") {
        "" => report.error("issuer.privateKey", "the private key of the issuer is required"),
        key => {
            if let Err(message) = pem::check_private_key(key) {
                report.error("issuer.privateKey", format!("the private key of the issuer is invalid: {message}"));
            }
        }
    }
    if url(root, "issuer.issuerURL").is_none() {
        report.error("issuer.issuerURL", "the URL of the issuer is required");
    }
}

/// `etcd_encryption.go`.
pub(super) fn etcd_encryption(root: &Node, report: &mut Report) {
    if !super::is_filled(root, "config") {
        report.error("config", "a configuration of the etcd encryption is required");
    }
}

/// `authorization.go`.
pub(super) fn authorizer(root: &Node, report: &mut Report) {
    require_name(root, "the name of the authorizer is required", report);
    let kind = root.text("type");
    if kind.is_empty() {
        report.error("type", "the type of the authorizer is required");
    } else if !["Node", "RBAC", "Webhook"].contains(&kind) {
        report.error("type", format!("authorizer type {kind:?} is none of Node, RBAC, Webhook"));
    }
    match (kind, super::is_filled(root, "webhook")) {
        ("Webhook", false) => report.error("webhook", "an authorizer of type Webhook needs a webhook"),
        ("Webhook", true) | (_, false) => {}
        (_, true) => report.note("webhook", "only an authorizer of type Webhook has a webhook"),
    }
}

/// `talos_api_access.go`.
pub(super) fn talos_api_access(root: &Node, report: &mut Report) {
    for name in root.items("allowedRoles").iter().map(|item| item.text("")) {
        if !ROLES.iter().any(|(role, _)| *role == name) {
            report.error("allowedRoles", format!("invalid role {name:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::pem::tests::pair;
    use super::super::super::tests::{expect, on_control_plane};

    #[test]
    fn authorities_are_judged_as_talos_does() {
        let (certificate, key) = pair();
        let quoted = |text: &str| format!("{text:?}");
        let (certificate, key) = (quoted(&certificate), quoted(&key));
        let empty = quoted("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n");
        let good = format!("issuingCA: {{cert: {certificate}, key: {key}}}");
        let mut cases: Vec<(String, &str)> = Vec::new();
        for kind in ["KubeAPIServerCAConfig", "KubeAggregatorCAConfig"] {
            for (rest, wanted) in [
                (good.clone(), ""),
                (format!("{good}, acceptedCAs: [{certificate}]"), ""),
                (format!("issuingCA: {{key: {key}}}"), "issuingCA.cert: issuing CA: certificate is required"),
                (format!("issuingCA: {{cert: {certificate}}}"), "issuingCA.key: issuing CA: key is required"),
                (format!("issuingCA: {{cert: x, key: {key}}}"), "issuingCA.cert: issuing CA: certificate: no PEM"),
                (
                    format!("issuingCA: {{cert: {key}, key: {key}}}"),
                    "issuingCA.cert: issuing CA: certificate: PEM block is of type",
                ),
                (format!("issuingCA: {{cert: {certificate}, key: x}}"), "issuingCA.key: issuing CA: key: no PEM"),
                (
                    format!("issuingCA: {{cert: {empty}, key: {key}}}"),
                    "issuingCA.cert: issuing CA: certificate is invalid",
                ),
                (
                    format!("issuingCA: {{cert: {certificate}, key: {certificate}}}"),
                    "issuingCA.key: issuing CA: key is invalid",
                ),
                (format!("{good}, acceptedCAs: [x]"), "acceptedCAs[0]: accepted CA: no PEM"),
            ] {
                // An API server needs its etcd encrypted, which is another rule.
                let encrypted = on_control_plane("KubeEtcdEncryptionConfig", "config: {a: b}");
                cases.push((format!("{encrypted}\n---\n{{apiVersion: v1alpha1, kind: {kind}, {rest}}}"), wanted));
            }
        }
        cases.push((on_control_plane("KubeAggregatorCAConfig", ""), "issuingCA: an issuing CA is required"));
        let issuer = "issuerURL: 'https://a'";
        cases.extend([
            (on_control_plane("KubeServiceAccountConfig", &format!("issuer: {{privateKey: {key}, {issuer}}}")), ""),
            (
                on_control_plane("KubeServiceAccountConfig", &format!("issuer: {{{issuer}}}")),
                "issuer.privateKey: the private key of the issuer is required",
            ),
            (
                on_control_plane("KubeServiceAccountConfig", &format!("issuer: {{privateKey: x, {issuer}}}")),
                "issuer.privateKey: the private key of the issuer is invalid",
            ),
            (
                on_control_plane("KubeServiceAccountConfig", &format!("issuer: {{privateKey: {key}}}")),
                "issuer.issuerURL: the URL",
            ),
            (on_control_plane("KubeEtcdEncryptionConfig", "config: {a: b}"), ""),
            (on_control_plane("KubeEtcdEncryptionConfig", ""), "config: a configuration"),
            (on_control_plane("KubeAuthorizerConfig", "name: a, type: RBAC"), ""),
            (on_control_plane("KubeAuthorizerConfig", "name: a, type: Webhook, webhook: {timeout: 3s}"), ""),
            (on_control_plane("KubeAuthorizerConfig", "type: Node"), "name: the name"),
            (on_control_plane("KubeAuthorizerConfig", "name: a"), "type: the type"),
            (
                on_control_plane("KubeAuthorizerConfig", "name: a, type: ABAC"),
                "type: authorizer type \"ABAC\" is none of",
            ),
            (
                on_control_plane("KubeAuthorizerConfig", "name: a, type: Webhook"),
                "webhook: an authorizer of type Webhook needs",
            ),
            (on_control_plane("KubeAuthorizerConfig", "name: a, type: Node, webhook: {a: b}"), "note: webhook: only"),
            (on_control_plane("KubeAdmissionControlConfig", "name: PodSecurity, configuration: {a: b}"), ""),
            (on_control_plane("KubeAdmissionControlConfig", "configuration: {a: b}"), "name: the name"),
            (on_control_plane("KubeAuditPolicyConfig", "configuration: {a: b}"), ""),
            (on_control_plane("KubeAuthenticationConfig", "configuration: {a: b}"), ""),
            (on_control_plane("KubeCoreDNSConfig", "enabled: false"), ""),
            (on_control_plane("KubeCredentialProviderConfig", "configuration: {a: b}"), ""),
            (on_control_plane("KubeTalosAPIAccessConfig", "allowedRoles: ['os:reader', 'os:meta:writer']"), ""),
            (on_control_plane("KubeTalosAPIAccessConfig", "allowedRoles: ['os:x']"), "allowedRoles: invalid role"),
        ]);
        let cases: Vec<(&str, &str)> = cases.iter().map(|(text, wanted)| (text.as_str(), *wanted)).collect();
        expect(&cases);
    }
}
