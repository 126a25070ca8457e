//! Documents of the container runtime (Talos `types/cri`).

use super::super::yaml::Node;
use super::documents::{require_name, url};
use super::{Read, Report, labels, oci, pem};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "CRIBaseRuntimeSpecConfig" => oci::validate(root.get("overrides"), "overrides", report),
        "CRICustomizationConfig" => customization(root, report),
        "RegistryAuthConfig" => registry_auth(root, report),
        "RegistryMirrorConfig" => registry_mirror(root, report),
        "RegistryTLSConfig" => registry_tls(root, report),
        // Talos v1.14 image_cache.go has no rule but its conflict.
        "ImageCacheConfig" => {}
        _ => return false,
    }
    true
}

/// Talos v1.14 `pkg/machinery/config/types/cri/customization.go`.
fn customization(root: &Node, report: &mut Report) {
    let name = root.text("name");
    if let Err(message) = labels::qualified_name(name) {
        report.error("name", format!("invalid name: {message}"));
    }
    if name == "customization" {
        report.error("name", "the name \"customization\" is reserved for the customization by a machine file");
    }
}

fn registry_auth(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let set = |field: &str| !root.text(field).is_empty();
    let (user, token) = (set("username"), set("identityToken"));
    if user && token {
        report.error("", "only one of username/password or identityToken authentication can be specified");
    }
    if set("auth") && (user || token) {
        report.error("", "only one of auth, username/password or identityToken authentication can be specified");
    }
}

fn registry_mirror(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    for (index, endpoint) in root.items("endpoints").iter().enumerate() {
        let path = format!("endpoints[{index}].url");
        match url(endpoint, "url") {
            None => report.error(&path, format!("{path} must be specified")),
            Some(url) if !["http", "https"].contains(&url.scheme.as_str()) => {
                report.error(&path, format!("{path} has unsupported scheme: {:?}", url.scheme));
            }
            Some(_) => {}
        }
    }
}

fn registry_tls(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let ca = root.text("ca");
    if !ca.is_empty() && !pem::holds_certificate(ca) {
        report.error("ca", "ca must be a valid PEM-encoded certificate");
    }
    let Some(identity) = root.get("clientIdentity") else { return };
    // Until 1.13 the pair is loaded; 1.14 looks at the PEM only, but at all of it.
    let loaded = report.releases.before(14);
    let certificate = !loaded || pem::starts_with_certificate(identity.text("cert"));
    let key = !loaded || pem::check_private_key(identity.text("key")).is_ok();
    if !certificate {
        report.error("clientIdentity.cert", "client identity certificate is invalid");
    }
    if !key {
        report.error("clientIdentity.key", "client identity key is invalid");
    }
    if certificate && key && report.releases.reach(14) {
        pem::check_pair(identity, "clientIdentity", "client identity", false, report);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pem::tests::pair;
    use super::super::tests::{expect, judge_for};

    #[test]
    fn the_container_runtime_is_judged_as_talos_does() {
        let document = |kind: &str, rest: &str| format!("{{apiVersion: v1alpha1, kind: {kind}, {rest}}}");
        expect(&[
            (&document("CRICustomizationConfig", "name: a.b_c, content: x"), ""),
            (&document("CRICustomizationConfig", "name: '-a', content: x"), "name: invalid name"),
            (
                &document("CRICustomizationConfig", "name: customization"),
                "name: the name \"customization\" is reserved",
            ),
            (&document("ImageCacheConfig", "local: {enabled: true}"), ""),
        ]);
    }

    #[test]
    fn client_identities_are_loaded_until_1_13_and_looked_at_since_1_14() {
        let (certificate, key) = pair();
        let empty = "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n";
        let both = format!("{certificate}{key}");
        for (certificate, key, problems) in [
            (certificate.as_str(), key.as_str(), [0, 0]),
            (empty, empty, [2, 0]),
            (&both, &key, [0, 1]),
            (&certificate, "", [1, 1]),
            ("", &key, [1, 1]),
        ] {
            let identity = format!("{{cert: {certificate:?}, key: {key:?}}}");
            let text =
                format!("{{apiVersion: v1alpha1, kind: RegistryTLSConfig, name: a, clientIdentity: {identity}}}");
            let found = ["v1.13.9", "v1.14.0"].map(|minor| judge_for(&text, minor).len());
            assert_eq!(found, problems, "{text}");
        }
    }
}
