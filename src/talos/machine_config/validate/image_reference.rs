//! References of container images, as google/go-containerregistry `pkg/name` reads them with its defaults.

use super::super::types::url::Url;

/// Whether a reference names its image by digest; `None` when it is no reference.
pub(super) fn is_pinned(text: &str) -> Option<bool> {
    if is_tagged(text) {
        return Some(false);
    }
    let (base, digest) = text.split_once('@')?;
    let hex = digest.strip_prefix("sha256:")?;
    let pinned = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // A tag next to the digest is dropped.
    (pinned && (is_tagged(base) || is_repository(base))).then_some(true)
}

/// A repository with or without a tag.
fn is_tagged(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((base, tag)) if !tag.contains('/') => {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            (1..=128).contains(&tag.len()) && tag.bytes().all(allowed) && is_repository(base)
        }
        _ => is_repository(text),
    }
}

fn is_repository(text: &str) -> bool {
    let (registry, path) = match text.split_once('/') {
        Some((registry, path)) if registry == "localhost" || registry.contains(['.', ':']) => (registry, path),
        _ => ("", text),
    };
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b);
    (1..=255).contains(&path.len())
        && path.bytes().all(allowed)
        && Url::parse(&format!("//{registry}")).is_ok_and(|url| url.host == registry)
}

#[cfg(test)]
mod tests {
    use super::is_pinned;

    #[test]
    fn references_are_read_with_the_defaults_of_go_containerregistry() {
        let hex = "0123456789abcdef".repeat(4);
        for text in
            ["nginx", "nginx:1.27", "docker.io/library/nginx:1.27", "localhost:5000/a/b", "localhost/a", "a:B_.-"]
        {
            assert_eq!(is_pinned(text), Some(false), "{text}");
        }
        for text in [format!("nginx@sha256:{hex}"), format!("ghcr.io/a/b:v1@sha256:{hex}")] {
            assert_eq!(is_pinned(&text), Some(true), "{text}");
        }
        for text in [
            "",
            "Nginx",
            "nginx:",
            "nginx:a b",
            "a b",
            "ghcr.io/",
            "nginx@sha256:abc",
            &format!("nginx@sha512:{hex}"),
            &format!("a@sha256:{hex}@sha256:{hex}"),
            &format!("Nginx@sha256:{hex}"),
            &format!("nginx@sha256:{}", hex.to_uppercase()),
            &"a".repeat(256),
        ] {
            assert_eq!(is_pinned(text), None, "{text}");
        }
    }
}
