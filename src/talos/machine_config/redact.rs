//! Configurations without their secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MachineConfig;
use super::types::{Struct, Type};
use super::yaml::{self, Node, Tag, Value};

/// What stands in the place of a secret; Talos reads it where a key belongs.
const MARK: &str = "******";

impl MachineConfig {
    /// The configuration as YAML with every secret replaced: fields the type table knows to be secret, and
    /// anything elsewhere that looks like a key or is named like one.
    pub fn redacted(&self) -> String {
        let documents: Vec<Node> = self
            .documents
            .iter()
            .map(|document| {
                let mut content = document.decoded();
                fields(document.kind().body, &mut content);
                content
            })
            .collect();
        yaml::emit(&documents)
    }
}

/// Whether a text looks like a secret whatever its place.
pub(super) fn looks_secret(text: &str) -> bool {
    const STARTS: [&str; 14] = [
        "tskey-",
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "ASIA",
        "AGE-SECRET-KEY-",
        "eyJhbGciOi",
        "sk-",
        "hf_",
        "dckr_pat_",
    ];
    let word_starts =
        |start: &str| text.split(['=', ' ', ',', '"', '\'', '\n', ':']).any(|word| word.starts_with(start));
    text.contains("PRIVATE KEY")
        || STARTS.iter().any(|start| word_starts(start))
        || is_bootstrap_token(text)
        || has_password(text)
        || is_encoded_key(text)
}

fn fields(body: &'static Struct, node: &mut Node) {
    for field in body.fields {
        let Some(value) = node.get_mut(field.name) else { continue };
        if field.secret() {
            erase(value);
        } else {
            visit(field.ty, value, field.name);
        }
    }
}

fn visit(ty: Type, node: &mut Node, name: &str) {
    match ty {
        Type::Pointer(inner) => visit(*inner, node, name),
        Type::Struct(body) => fields(body, node),
        Type::List(inner, _) => {
            if let Value::Sequence(items) = &mut node.value {
                items.iter_mut().for_each(|item| visit(*inner, item, name));
            }
        }
        Type::Map(Type::Str) | Type::Unstructured | Type::Args | Type::Any => anything(node, name),
        Type::Map(inner) => {
            if let Value::Mapping(entries) = &mut node.value {
                entries.iter_mut().for_each(|entry| visit(*inner, &mut entry.value, name));
            }
        }
        _ => text(node),
    }
}

/// Free-form values, judged by the names of their keys as well.
fn anything(node: &mut Node, name: &str) {
    const NAMES: [&str; 9] =
        ["password", "passwd", "passphrase", "secret", "token", "apikey", "api-key", "api_key", "credential"];
    let lower = name.to_lowercase();
    if NAMES.iter().any(|word| lower.contains(word)) {
        return erase(node);
    }
    match &mut node.value {
        Value::Scalar(_) => text(node),
        Value::Sequence(items) => items.iter_mut().for_each(|item| anything(item, name)),
        Value::Mapping(entries) => {
            for entry in entries {
                let key = entry.key.as_str().unwrap_or_default().to_owned();
                anything(&mut entry.value, &key);
            }
        }
    }
}

fn text(node: &mut Node) {
    if node.as_scalar().is_some_and(|scalar| scalar.tag == Tag::Str && looks_secret(&scalar.text)) {
        erase(node);
    }
}

/// Replaces every text below; of `NAME=value` the name stays.
fn erase(node: &mut Node) {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.tag == Tag::Null || scalar.text.is_empty() => {}
        Value::Scalar(scalar) => {
            let name = scalar.text.split_once('=').map(|(name, _)| name).filter(|name| is_variable(name));
            *node = Node::string(name.map_or_else(|| MARK.to_owned(), |name| format!("{name}={MARK}")));
        }
        Value::Sequence(items) => items.iter_mut().for_each(erase),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| erase(&mut entry.value)),
    }
}

/// The name of an environment variable, too short and plain to be a secret itself.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_uppercase())
}

/// `[0-9a-z]{6}.[0-9a-z]{16}`
fn is_bootstrap_token(text: &str) -> bool {
    let word =
        |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

/// A URL with a user and a password.
fn has_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

fn is_encoded_key(text: &str) -> bool {
    // Base64 of "-----BEGIN".
    text.starts_with("LS0tLS1CRUdJTi")
        && STANDARD.decode(text).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        MachineConfig::parse(text).expect("a configuration").redacted()
    }

    #[test]
    fn known_secrets_are_replaced_and_the_rest_stays() {
        let text = redacted(
            "machine:\n  token: hunter2\n  install: {disk: /dev/sda}\n  ca: {crt: Zm9v, key: aHVudGVyMg==}\n  env: {HTTP_PROXY: hunter2}\n  files: [{path: /etc/x, content: hunter2}]\n  registries: {config: {r: {auth: {username: u, password: hunter2}}}}\ncluster:\n  secret: hunter2\n  aescbcEncryptionSecret: hunter2\n---\napiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: tailscale\nenvironment: [TS_AUTHKEY=hunter2, 'hunter2=x']\nconfigFiles: [{content: hunter2, mountPath: /x}]\n---\napiVersion: v1alpha1\nkind: WireguardConfig\nname: wg0\nprivateKey: hunter2\npeers: [{publicKey: p, presharedKey: hunter2}]\n",
        );
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        for kept in ["/dev/sda", "Zm9v", "TS_AUTHKEY=******", "mountPath: /x", "username: u", "publicKey: p"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    #[test]
    fn what_looks_like_a_key_is_replaced_wherever_it_stands() {
        let text = redacted(
            "machine:\n  kubelet:\n    extraArgs: {a: tskey-auth-k1, b: abcdef.0123456789abcdef, my-token: x1}\n    extraConfig: {deep: [{password: hunter2}], url: 'https://u:hunter2@h/'}\n",
        );
        for secret in ["tskey", "0123456789abcdef", "x1", "hunter2"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn a_redacted_configuration_reads_back() {
        let text = redacted("machine: {ca: {crt: Zm9v, key: Zm9v}}\ncluster: {serviceAccount: {key: Zm9v}}");
        assert!(MachineConfig::parse(&text).is_ok(), "{text}");
    }
}
