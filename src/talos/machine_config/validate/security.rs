//! Documents of security (Talos `types/security`).

use super::super::yaml::Node;
use super::{Read, Report};

pub(super) fn validate(kind: &str, root: &Node, report: &mut Report) -> bool {
    match kind {
        "ImageVerificationConfig" => image_verification(root, report),
        // No release has a rule for it (trusted_roots.go).
        "TrustedRootsConfig" => {}
        _ => return false,
    }
    true
}

fn image_verification(root: &Node, report: &mut Report) {
    for (index, rule) in root.items("rules").iter().enumerate() {
        let path = format!("rules[{index}]");
        let (skip, deny) = (rule.flag("skip"), rule.flag("deny"));
        let (keyless, public) = (rule.get("keyless"), rule.get("publicKey"));
        let verifiers = keyless.is_some() || public.is_some();
        let broken = [
            (rule.text("image").is_empty(), "imagePattern must be specified"),
            (skip && deny, "skip and deny cannot both be true"),
            ((skip || deny) && verifiers, "verifiers cannot be configured if skip or deny is true"),
            (!skip && !deny && !verifiers, "at least one verifier must be configured"),
            (keyless.is_some() && public.is_some(), "only one of keyless or publicKey verifier can be configured"),
            (keyless.is_some_and(|rule| rule.text("issuer").is_empty()), "verifier OIDC issuer must be specified"),
            (
                keyless.is_some_and(|rule| rule.text("subject").is_empty() && rule.text("subjectRegex").is_empty()),
                "verifier subject or subjectRegex must be specified",
            ),
            (public.is_some_and(|rule| rule.text("certificate").is_empty()), "verifier certificates must be specified"),
        ];
        image_pattern(rule.text("image"), &format!("{path}.image"), report);
        for (_, message) in broken.iter().filter(|(broken, _)| *broken) {
            report.error(&path, *message);
        }
    }
}

/// Patterns that match less than they seem to (Talos v1.13 `pkg/machinery/config/types/security/image_verification.go`).
fn image_pattern(pattern: &str, path: &str, report: &mut Report) {
    const ONLY: &str = "but matching applies to registry and repository only, not to tag or digest";
    if pattern.contains('@') {
        report.note(path, format!("the image pattern contains '@', {ONLY}"));
    }
    if pattern.split_once('/').is_some_and(|(_, repository)| repository.contains(':')) {
        report.note(path, format!("the image pattern contains ':', {ONLY}"));
    }
    if !pattern.contains('/') && !["", "*"].contains(&pattern) {
        report.note(path, "the image pattern has no '/': an image such as nginx is matched as docker.io/nginx");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;

    #[test]
    fn rules_of_images_are_judged_as_talos_does() {
        let rule = |rest: &str| format!("{{apiVersion: v1alpha1, kind: ImageVerificationConfig, rules: [{{{rest}}}]}}");
        let keyless = "keyless: {issuer: 'https://a', subject: b}";
        expect(&[
            (&rule("image: 'localhost:5000/*', skip: true"), ""),
            (&rule("image: '*', deny: true"), ""),
            (&rule(&format!("image: a/b, {keyless}")), ""),
            (&rule("deny: true"), "rules[0]: imagePattern must be specified"),
            (&rule("image: a/b, skip: true, deny: true"), "rules[0]: skip and deny cannot both be true"),
            (&rule(&format!("image: a/b, skip: true, {keyless}")), "rules[0]: verifiers cannot be configured"),
            (&rule("image: a/b"), "rules[0]: at least one verifier"),
            (&rule(&format!("image: a/b, {keyless}, publicKey: {{certificate: c}}")), "rules[0]: only one of keyless"),
            (&rule("image: a/b, keyless: {subject: b}"), "rules[0]: verifier OIDC issuer"),
            (&rule("image: a/b, keyless: {issuer: b}"), "rules[0]: verifier subject or subjectRegex"),
            (&rule("image: a/b, publicKey: {}"), "rules[0]: verifier certificates"),
            (&rule("image: 'a/b@c', skip: true"), "note: rules[0].image: the image pattern contains '@'"),
            (&rule("image: 'a/b:c', skip: true"), "note: rules[0].image: the image pattern contains ':'"),
            (&rule("image: nginx, skip: true"), "note: rules[0].image: the image pattern has no '/'"),
        ]);
    }
}
