//! The content hash.

use sha2::{Digest, Sha256};

use super::MachineConfig;
use super::document::Document;
use super::yaml::{Node, Scalar, Tag, Value, integer_value};

/// What a hash leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashOptions {
    /// Leaves out the tags of Kubernetes images, which an upgrade of Kubernetes changes.
    pub ignore_kubernetes_versions: bool,
}

impl MachineConfig {
    /// A SHA-256 over the content, as 64 hexadecimal digits: formatting, comments and order of keys or
    /// documents do not count; neither does a field that is absent or written with its zero value.
    pub fn content_hash(&self, options: &HashOptions) -> String {
        let mut documents: Vec<&Document> = self.documents.iter().collect();
        documents.sort_by_key(|document| document.id());
        let mut hasher = Sha256::new();
        for document in documents {
            let mut content = document.decoded();
            if options.ignore_kubernetes_versions {
                strip_versions(document, &mut content);
            }
            text(&mut hasher, b'd', &document.id().to_string());
            node(&mut hasher, &content);
        }
        hex::encode(hasher.finalize())
    }
}

/// A SHA-256 over one value.
pub(super) fn of(content: &Node) -> [u8; 32] {
    let mut hasher = Sha256::new();
    node(&mut hasher, content);
    hasher.finalize().into()
}

fn node(hasher: &mut Sha256, content: &Node) {
    match &content.value {
        // A float without a fraction is written, and read again, as an integer.
        Value::Scalar(Scalar { tag: Tag::Float, text: content }) if integer_value(content).is_some() => {
            text(hasher, b'0' + Tag::Int as u8, content);
        }
        Value::Scalar(Scalar { tag, text: content }) => text(hasher, b'0' + *tag as u8, content),
        Value::Sequence(items) => {
            count(hasher, b'[', items.len());
            items.iter().for_each(|item| node(hasher, item));
        }
        Value::Mapping(entries) => {
            let mut order: Vec<_> = entries.iter().collect();
            order.sort_by(|a, b| key(&a.key).cmp(key(&b.key)));
            count(hasher, b'{', order.len());
            for entry in order {
                node(hasher, &entry.key);
                node(hasher, &entry.value);
            }
        }
    }
}

fn key(node: &Node) -> &str {
    node.as_scalar().map_or("", |scalar| scalar.text.as_str())
}

fn text(hasher: &mut Sha256, kind: u8, text: &str) {
    count(hasher, kind, text.len());
    hasher.update(text.as_bytes());
}

/// Lengths go in before contents, so that no two trees write the same bytes.
fn count(hasher: &mut Sha256, kind: u8, count: usize) {
    hasher.update([kind]);
    hasher.update((count as u64).to_be_bytes());
}

/// Cuts the tags off the images that follow the Kubernetes version.
fn strip_versions(document: &Document, content: &mut Node) {
    let paths: &[&[&str]] = match document.id().kind.as_str() {
        "v1alpha1" => &[
            &["machine", "kubelet", "image"],
            &["cluster", "apiServer", "image"],
            &["cluster", "controllerManager", "image"],
            &["cluster", "proxy", "image"],
            &["cluster", "scheduler", "image"],
        ],
        kind if kind.starts_with("Kube") => &[&["image"]],
        _ => &[],
    };
    for path in paths {
        let image = path.iter().try_fold(&mut *content, |node, key| node.get_mut(key));
        if let Some(Node { value: Value::Scalar(image), .. }) = image {
            let name = image.text.split('@').next().unwrap_or_default();
            // A colon before the last slash belongs to the registry's port.
            let end = name.rfind(':').filter(|colon| !name[*colon..].contains('/')).unwrap_or(name.len());
            image.text.truncate(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str, ignore_kubernetes_versions: bool) -> String {
        let config = MachineConfig::parse(text).expect("a configuration");
        config.content_hash(&HashOptions { ignore_kubernetes_versions })
    }

    const ONE: &str = "machine:\n  type: worker\n  files: [{permissions: 0644, path: /a}]\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
    const OTHER: &str = "# a comment\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: STABLE\n---\nmachine: {files: [{path: \"/a\", content: '', permissions: 420}], type: 'worker', token: \"\"}\n";

    #[test]
    fn order_style_and_zero_values_do_not_count() {
        assert_eq!(hash(ONE, false), hash(OTHER, false));
        assert_eq!(hash(ONE, false).len(), 64);
    }

    #[test]
    fn content_counts() {
        assert_ne!(hash(ONE, false), hash(&ONE.replace("/a", "/b"), false));
        assert_ne!(hash("machine: {certSANs: [a, b]}", false), hash("machine: {certSANs: [b, a]}", false));
        assert_ne!(hash("machine: {certSANs: [ab]}", false), hash("machine: {certSANs: [a, b]}", false));
    }

    #[test]
    fn kubernetes_tags_are_left_out_on_request_only() {
        let config = |tag: &str| format!("machine: {{kubelet: {{image: 'reg:5000/kubelet{tag}'}}, install: {{image: 'i:v1'}}}}");
        assert_ne!(hash(&config(":v1.35.0"), false), hash(&config(":v1.35.1"), false));
        assert_eq!(hash(&config(":v1.35.0"), true), hash(&config(":v1.36.0@sha256:ab"), true));
        assert_ne!(hash(&config(":v1"), true), hash(&config(":v1").replace("i:v1", "i:v2"), true));
    }
}
