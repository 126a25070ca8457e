//! Manifests and static pods.

use super::super::super::yaml::Node;
use super::super::documents::url;
use super::{Read, Report, labels};

/// What Kubernetes takes for the name of an object.
pub(super) fn name(root: &Node, what: &str, report: &mut Report) {
    match root.text("name") {
        "" => report.error("name", format!("{what} is required")),
        name if !labels::is_subdomain(name) => report.error("name", format!("{what} {name:?} is no DNS subdomain")),
        _ => {}
    }
}

/// `external_manifest.go`.
pub(super) fn external(root: &Node, report: &mut Report) {
    name(root, "manifest name", report);
    match url(root, "url") {
        None => report.error("url", "manifest URL is required"),
        Some(url) if !["http", "https"].contains(&url.scheme.as_str()) => {
            report.error("url", format!("manifest URL scheme must be http or https, not {:?}", url.scheme));
        }
        Some(_) => {}
    }
}

/// `static_pod.go`.
pub(super) fn static_pod(root: &Node, report: &mut Report) {
    name(root, "static pod name", report);
    if !super::is_filled(root, "pod") {
        report.error("pod", "static pod spec is required");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::expect;

    #[test]
    fn manifests_are_judged_as_talos_does() {
        let external = "{apiVersion: v1alpha1, kind: KubeExternalManifestConfig";
        let inline = "{apiVersion: v1alpha1, kind: KubeInlineManifestConfig";
        let pod = "{apiVersion: v1alpha1, kind: KubeStaticPodConfig";
        expect(&[
            (&format!("{external}, name: a.b-c, url: 'https://a/b'}}"), ""),
            (&format!("{external}, url: 'https://a/b'}}"), "name: manifest name is required"),
            (&format!("{external}, name: A, url: 'https://a/b'}}"), "name: manifest name \"A\" is no DNS subdomain"),
            (&format!("{external}, name: a}}"), "url: manifest URL is required"),
            (&format!("{external}, name: a, url: 'ftp://a/b'}}"), "url: manifest URL scheme must be"),
            (&format!("{inline}, name: a, manifest: 'kind: Pod'}}"), ""),
            (&format!("{inline}, manifest: ''}}"), "name: manifest name is required"),
            (&format!("{inline}, name: a_b}}"), "name: manifest name \"a_b\" is no DNS subdomain"),
            (&format!("{pod}, name: a, pod: {{kind: Pod}}}}"), ""),
            (&format!("{pod}, pod: {{kind: Pod}}}}"), "name: static pod name is required"),
            (&format!("{pod}, name: a_b, pod: {{kind: Pod}}}}"), "name: static pod name \"a_b\" is no DNS subdomain"),
            (&format!("{pod}, name: a}}"), "pod: static pod spec is required"),
        ]);
    }
}
