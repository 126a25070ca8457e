//! talosconfig: where a cluster's Talos API answers and the client certificate that it trusts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::talos::pki::CertificateAndKey;
use crate::talos::secret::Secret;
use crate::yaml::{self, Emit, Node, YamlError};

/// A parsed talosconfig. Unknown keys are let through, as talosctl lets them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Talosconfig {
    /// The name of the context that is used when none is asked for.
    pub current: String,
    contexts: Vec<(String, Packed)>,
}

/// One context with its credentials unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The context's name.
    pub name: String,
    /// Hosts, perhaps with a port, that forward requests.
    pub endpoints: Vec<String>,
    /// Nodes that talosctl would talk to.
    pub nodes: Vec<String>,
    /// Proof of who we are and of who they are.
    pub credentials: ClientCredentials,
}

/// What mutual TLS with a Talos node needs; all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The authority that the node's certificate must come from.
    pub ca: String,
    /// The client certificate.
    pub crt: String,
    /// The client's private key.
    pub key: Secret<String>,
}

/// Why a talosconfig or credentials cannot be used. Never shows a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TalosconfigError {
    /// Not YAML.
    #[error("reading the talosconfig as YAML")]
    Yaml(#[source] YamlError),
    /// YAML of another shape.
    #[error("reading the talosconfig: {path} must be {wanted}")]
    Shape {
        /// Where.
        path: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// No such context.
    #[error("the talosconfig has no context {name:?}; it has {known}")]
    NoContext {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// None asked for, and the file names none.
    #[error("the talosconfig names no current context")]
    NoCurrent,
    /// A context that works without certificates (Omni, basic authentication).
    #[error("the context {name:?} has no client certificate")]
    NoCertificate {
        /// The context.
        name: String,
    },
    /// Not the base64 of PEM.
    #[error("{field} is neither PEM nor the base64 of PEM")]
    Encoding {
        /// Which part.
        field: &'static str,
    },
}

/// A context as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Packed {
    endpoints: Vec<String>,
    nodes: Vec<String>,
    ca: String,
    crt: String,
    key: Secret<String>,
}

impl Talosconfig {
    /// A talosconfig with one context.
    pub fn new(name: &str, endpoints: Vec<String>, nodes: Vec<String>, credentials: &ClientCredentials) -> Self {
        let packed = Packed {
            endpoints,
            nodes,
            ca: STANDARD.encode(&credentials.ca),
            crt: STANDARD.encode(&credentials.crt),
            key: Secret::new(STANDARD.encode(credentials.key.expose())),
        };
        Self { current: name.into(), contexts: vec![(name.into(), packed)] }
    }

    /// Reads a talosconfig.
    ///
    /// # Errors
    /// Broken YAML, or values of another shape.
    pub fn parse(text: &str) -> Result<Self, TalosconfigError> {
        let Some(root) = yaml::parse_single(text).map_err(TalosconfigError::Yaml)? else {
            return Err(shape("the file", "a mapping with contexts"));
        };
        let contexts = root.get("contexts").ok_or_else(|| shape("the file", "a mapping with contexts"))?;
        let mut read = Vec::new();
        if !contexts.is_null() {
            for entry in contexts.as_map().ok_or_else(|| shape("contexts", "a mapping"))? {
                read.push((entry.key.clone(), packed(&entry.value, &format!("contexts.{}", entry.key))?));
            }
        }
        Ok(Self { current: text_at(&root, "context", "context")?, contexts: read })
    }

    /// The names of all contexts, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|(name, _)| name.as_str())
    }

    /// A context by name, or the current one.
    ///
    /// # Errors
    /// No such context, one without a client certificate, or certificates that cannot be unpacked.
    pub fn context(&self, name: Option<&str>) -> Result<Context, TalosconfigError> {
        let wanted = name.unwrap_or(&self.current);
        if wanted.is_empty() {
            return Err(TalosconfigError::NoCurrent);
        }
        let Some((_, packed)) = self.contexts.iter().find(|(name, _)| name == wanted) else {
            return Err(TalosconfigError::NoContext {
                name: wanted.into(),
                known: match self.contexts.is_empty() {
                    true => "none".into(),
                    false => self.names().collect::<Vec<_>>().join(", "),
                },
            });
        };
        if packed.crt.is_empty() || packed.key.expose().is_empty() {
            return Err(TalosconfigError::NoCertificate { name: wanted.into() });
        }
        Ok(Context {
            name: wanted.into(),
            endpoints: packed.endpoints.clone(),
            nodes: packed.nodes.clone(),
            credentials: ClientCredentials::from_base64(&packed.ca, &packed.crt, packed.key.expose())?,
        })
    }

    /// Writes the talosconfig.
    pub fn to_yaml(&self) -> Secret<String> {
        let text = |key: &str, text: &str| (key.to_owned(), Emit::Text(text.into()));
        let list =
            |key: &str, items: &[String]| (key.to_owned(), Emit::List(items.iter().cloned().map(Emit::Text).collect()));
        let context = |packed: &Packed| {
            let mut fields = vec![list("endpoints", &packed.endpoints)];
            if !packed.nodes.is_empty() {
                fields.push(list("nodes", &packed.nodes));
            }
            fields.extend([text("ca", &packed.ca), text("crt", &packed.crt), text("key", packed.key.expose())]);
            Emit::Map(fields)
        };
        let contexts = self.contexts.iter().map(|(name, packed)| (name.clone(), context(packed)));
        Secret::new(yaml::emit(&[text("context", &self.current), ("contexts".into(), Emit::Map(contexts.collect()))]))
    }
}

impl ClientCredentials {
    /// Unpacks the three base64 texts of a talosconfig or of the siderolabs provider's `client_configuration`.
    /// A text that is PEM already is taken as it is.
    ///
    /// # Errors
    /// The part that is neither.
    pub fn from_base64(ca: &str, crt: &str, key: &str) -> Result<Self, TalosconfigError> {
        Ok(Self {
            ca: unpack(ca, "the CA certificate")?,
            crt: unpack(crt, "the client certificate")?,
            key: Secret::new(unpack(key, "the client key")?),
        })
    }

    /// The client's certificate and key as a pair, for checks.
    pub fn pair(&self) -> CertificateAndKey {
        CertificateAndKey { crt: self.crt.clone(), key: self.key.clone() }
    }
}

fn unpack(text: &str, field: &'static str) -> Result<String, TalosconfigError> {
    const BEGIN: &str = "-----BEGIN ";
    if text.contains(BEGIN) {
        return Ok(text.into());
    }
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let unpacked = STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    unpacked.filter(|text| text.contains(BEGIN)).ok_or(TalosconfigError::Encoding { field })
}

fn packed(node: &Node, path: &str) -> Result<Packed, TalosconfigError> {
    if node.is_null() {
        return Ok(Packed::default());
    }
    if node.as_map().is_none() {
        return Err(shape(path, "a mapping"));
    }
    let text = |key: &str| text_at(node, key, &format!("{path}.{key}"));
    let mut endpoints = texts_at(node, "endpoints", path)?;
    // The name of before Talos 0.3; talosctl still reads it.
    let target = text("target")?;
    if !target.is_empty() {
        endpoints.push(target);
    }
    Ok(Packed {
        endpoints,
        nodes: texts_at(node, "nodes", path)?,
        ca: text("ca")?,
        crt: text("crt")?,
        key: Secret::new(text("key")?),
    })
}

fn text_at(node: &Node, key: &str, path: &str) -> Result<String, TalosconfigError> {
    match node.get(key) {
        None => Ok(String::new()),
        Some(value) if value.is_null() => Ok(String::new()),
        Some(value) => value.as_scalar().map(|scalar| scalar.text.clone()).ok_or_else(|| shape(path, "a string")),
    }
}

fn texts_at(node: &Node, key: &str, path: &str) -> Result<Vec<String>, TalosconfigError> {
    let path = format!("{path}.{key}");
    let items = match node.get(key) {
        None => return Ok(Vec::new()),
        Some(value) if value.is_null() => return Ok(Vec::new()),
        Some(value) => value.as_list().ok_or_else(|| shape(&path, "a list of strings"))?,
    };
    items
        .iter()
        .map(|item| item.as_scalar().map(|scalar| scalar.text.clone()))
        .collect::<Option<_>>()
        .ok_or_else(|| shape(&path, "a list of strings"))
}

fn shape(path: &str, wanted: &'static str) -> TalosconfigError {
    TalosconfigError::Shape { path: path.into(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talos::pki::{Validity, admin_certificate, temporary_secrets};

    fn credentials() -> ClientCredentials {
        let ca = temporary_secrets(b"s", "n", Validity::FIXED).unwrap().certs.os;
        let now = time::macros::datetime!(2026-11-22 10:00 UTC);
        let client = admin_certificate(&ca, now, time::Duration::HOUR).unwrap();
        ClientCredentials { ca: ca.crt, crt: client.crt, key: client.key }
    }

    #[test]
    fn what_is_written_reads_back() {
        let credentials = credentials();
        let endpoints = vec!["192.168.1.50".to_owned()];
        let written = Talosconfig::new("eh-ops", endpoints.clone(), Vec::new(), &credentials).to_yaml();
        let context = Talosconfig::parse(written.expose()).unwrap().context(None).unwrap();
        assert_eq!((context.name.as_str(), &context.endpoints), ("eh-ops", &endpoints));
        assert_eq!(context.credentials, credentials);
    }

    #[test]
    fn a_context_is_chosen_by_name_or_by_the_file() {
        let ours = Talosconfig::new("one", Vec::new(), vec!["10.0.0.214".into()], &credentials());
        let text =
            ours.to_yaml().expose().clone() + "    two:\n        target: 10.0.0.9\n        auth: {siderov1: {}}\n";
        let file = Talosconfig::parse(&text).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(file.context(None).unwrap().name, "one");
        assert_eq!(file.context(Some("one")).unwrap().nodes, ["10.0.0.214"]);
        let error = file.context(Some("two")).unwrap_err().to_string();
        assert_eq!(error, "the context \"two\" has no client certificate");
        let error = file.context(Some("three")).unwrap_err().to_string();
        assert_eq!(error, "the talosconfig has no context \"three\"; it has one, two");
    }

    #[test]
    fn other_texts_are_refused_without_showing_them() {
        for (text, wanted) in [
            ("", "a mapping with contexts"),
            ("hello", "a mapping with contexts"),
            ("contexts: [1]", "contexts must be a mapping"),
            ("contexts: {a: {endpoints: 1}}", "contexts.a.endpoints must be a list of strings"),
            ("contexts: {a: {key: {}}}", "contexts.a.key must be a string"),
            ("contexts: {", "as YAML"),
        ] {
            let error = Talosconfig::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
        let none = Talosconfig::parse("contexts: {}").unwrap();
        assert_eq!(none.context(None), Err(TalosconfigError::NoCurrent));
    }

    #[test]
    fn credentials_come_as_base64_or_as_pem() {
        let pem = credentials();
        let packed = [&pem.ca, &pem.crt, pem.key.expose()].map(|text| STANDARD.encode(text) + "\n");
        assert_eq!(ClientCredentials::from_base64(&packed[0], &packed[1], &packed[2]), Ok(pem.clone()));
        assert_eq!(ClientCredentials::from_base64(&pem.ca, &packed[1], pem.key.expose()), Ok(pem.clone()));
        let error = ClientCredentials::from_base64(&packed[0], "hunter2", &packed[2]).unwrap_err();
        assert_eq!(error.to_string(), "the client certificate is neither PEM nor the base64 of PEM");
        assert!(!format!("{pem:?}").contains("PRIVATE"));
    }
}
