//! A cluster's secrets: the tree of `talosctl gen secrets` (talsecret.yaml) and of the siderolabs provider.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::talos::machine_config::generate::{GenerateSecrets, PemPair};
use crate::talos::pki::CertificateAndKey;
use crate::talos::secret::Secret;
use crate::yaml::{self, At, Emit, Node, YamlError};

/// All secrets of a cluster. A worker's configuration needs only the identity, the tokens and two certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsBundle {
    /// Identity in the discovery service.
    pub cluster: Cluster,
    /// Joins nodes to Kubernetes.
    pub bootstrap_token: Secret<String>,
    /// Encrypts Kubernetes secrets in etcd; base64.
    pub secretbox_encryption_secret: Option<Secret<String>>,
    /// The older cipher's key; base64.
    pub aescbc_encryption_secret: Option<Secret<String>>,
    /// Joins machines to Talos: `machine.token`.
    pub trustd_token: Secret<String>,
    /// Authorities and keys.
    pub certs: Certs,
}

/// A cluster's identity in the discovery service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// 32 bytes, base64 with the URL alphabet.
    pub id: String,
    /// 32 bytes, base64.
    pub secret: Secret<String>,
}

/// Authorities and keys, PEM. Keys are empty where only certificates were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certs {
    /// The Talos API's authority.
    pub os: CertificateAndKey,
    /// The Kubernetes authority.
    pub k8s: CertificateAndKey,
    /// The etcd authority; control planes only.
    pub etcd: Option<CertificateAndKey>,
    /// The aggregation layer's authority; control planes only.
    pub k8s_aggregator: Option<CertificateAndKey>,
    /// Signs service account tokens; control planes only.
    pub k8s_service_account: Option<Secret<String>>,
}

/// Why a text is no secrets bundle. Names keys and places, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// Not YAML.
    #[error("reading the secrets as YAML")]
    Yaml(#[source] YamlError),
    /// Nothing in it.
    #[error("the secrets are empty")]
    Empty,
    /// Still encrypted.
    #[error("the secrets are encrypted with SOPS and were not decrypted")]
    Encrypted,
    /// A key that does not belong there.
    #[error("{at}: unknown key {key:?} in {place}{}", suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        at: At,
        /// The key.
        key: String,
        /// The mapping it stands in.
        place: String,
        /// A known key that looks like it.
        suggestion: Option<String>,
    },
    /// Something that every cluster has is not there.
    #[error("{path} is missing from the secrets")]
    Missing {
        /// The path.
        path: String,
    },
    /// A value of the wrong kind.
    #[error("{at}: {path} must be {wanted}")]
    WrongValue {
        /// Where it stands.
        at: At,
        /// The path.
        path: String,
        /// What it must be.
        wanted: &'static str,
    },
}

impl SecretsBundle {
    /// Reads talsecret.yaml: the output of `talosctl gen secrets` or `talhelper gensecret`, decrypted.
    ///
    /// # Errors
    /// Broken YAML, unknown or missing keys, certificates that are no base64 of PEM.
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        read(text, &TALSECRET)
    }

    /// Reads the object `machine_secrets` of the siderolabs provider's `talos_machine_secrets`, as JSON or YAML.
    ///
    /// # Errors
    /// As [`SecretsBundle::parse`].
    pub fn from_machine_secrets(text: &str) -> Result<Self, SecretsError> {
        read(text, &MACHINE_SECRETS)
    }

    /// Writes talsecret.yaml.
    pub fn to_talsecret(&self) -> Secret<String> {
        Secret::new(yaml::emit(&tree(self)))
    }
}

impl<'a> From<&'a SecretsBundle> for GenerateSecrets<'a> {
    fn from(bundle: &'a SecretsBundle) -> Self {
        fn pair(pair: &CertificateAndKey) -> PemPair<'_> {
            PemPair { crt: &pair.crt, key: pair.key.expose() }
        }
        fn text(secret: &Option<Secret<String>>) -> &str {
            secret.as_ref().map_or("", |secret| secret.expose())
        }
        let certs = &bundle.certs;
        Self {
            cluster_id: &bundle.cluster.id,
            cluster_secret: bundle.cluster.secret.expose(),
            bootstrap_token: bundle.bootstrap_token.expose(),
            trustd_token: bundle.trustd_token.expose(),
            os_ca: pair(&certs.os),
            k8s_ca: pair(&certs.k8s),
            etcd_ca: certs.etcd.as_ref().map(pair).unwrap_or_default(),
            aggregator_ca: certs.k8s_aggregator.as_ref().map(pair).unwrap_or_default(),
            service_account_key: text(&certs.k8s_service_account),
            secretbox_secret: text(&bundle.secretbox_encryption_secret),
        }
    }
}

/// What the two trees call the same things.
struct Names {
    bootstrap_token: &'static str,
    aescbc: &'static str,
    secretbox: &'static str,
    crt: &'static str,
    aggregator: &'static str,
    service_account: &'static str,
}

const TALSECRET: Names = Names {
    bootstrap_token: "bootstraptoken",
    aescbc: "aescbcencryptionsecret",
    secretbox: "secretboxencryptionsecret",
    crt: "crt",
    aggregator: "k8saggregator",
    service_account: "k8sserviceaccount",
};

const MACHINE_SECRETS: Names = Names {
    bootstrap_token: "bootstrap_token",
    aescbc: "aescbc_encryption_secret",
    secretbox: "secretbox_encryption_secret",
    crt: "cert",
    aggregator: "k8s_aggregator",
    service_account: "k8s_serviceaccount",
};

fn read(text: &str, names: &Names) -> Result<SecretsBundle, SecretsError> {
    let root = yaml::parse_single(text)
        .map_err(SecretsError::Yaml)?
        .filter(|root| !root.is_null())
        .ok_or(SecretsError::Empty)?;
    if root.get("sops").is_some_and(|sops| sops.as_map().is_some()) {
        return Err(SecretsError::Encrypted);
    }
    let root = Section::new(Some(&root), "", &["cluster", "secrets", "trustdinfo", "certs"])?;
    let cluster = root.section("cluster", &["id", "secret"])?;
    let secrets = root.section("secrets", &[names.bootstrap_token, names.aescbc, names.secretbox])?;
    let trustd = root.section("trustdinfo", &["token"])?;
    let certs = root.section("certs", &["os", "k8s", "etcd", names.aggregator, names.service_account])?;
    Ok(SecretsBundle {
        cluster: Cluster { id: cluster.required("id")?, secret: Secret::new(cluster.required("secret")?) },
        bootstrap_token: Secret::new(secrets.required(names.bootstrap_token)?),
        secretbox_encryption_secret: secrets.text(names.secretbox)?.map(Secret::new),
        aescbc_encryption_secret: secrets.text(names.aescbc)?.map(Secret::new),
        trustd_token: Secret::new(trustd.required("token")?),
        certs: Certs {
            os: pair(&certs, "os", names)?.ok_or_else(|| missing("certs.os"))?,
            k8s: pair(&certs, "k8s", names)?.ok_or_else(|| missing("certs.k8s"))?,
            etcd: pair(&certs, "etcd", names)?,
            k8s_aggregator: pair(&certs, names.aggregator, names)?,
            k8s_service_account: certs.section(names.service_account, &["key"])?.pem("key")?.map(Secret::new),
        },
    })
}

fn pair(certs: &Section<'_>, name: &str, names: &Names) -> Result<Option<CertificateAndKey>, SecretsError> {
    let section = certs.section(name, &[names.crt, "key"])?;
    let (crt, key) = (section.pem(names.crt)?, section.pem("key")?);
    match (crt, key) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(missing(&section.path(names.crt))),
        (Some(crt), key) => Ok(Some(CertificateAndKey { crt, key: Secret::new(key.unwrap_or_default()) })),
    }
}

fn missing(path: &str) -> SecretsError {
    SecretsError::Missing { path: path.into() }
}

/// One mapping of the tree; an absent one has nothing in it.
struct Section<'n> {
    node: Option<&'n Node>,
    place: String,
}

impl<'n> Section<'n> {
    fn new(node: Option<&'n Node>, place: &str, known: &[&str]) -> Result<Self, SecretsError> {
        let node = node.filter(|node| !node.is_null());
        let section = Self { node, place: place.into() };
        let Some(node) = node else { return Ok(section) };
        let named = if place.is_empty() { "the secrets" } else { place };
        let entries = node.as_map().ok_or_else(|| SecretsError::WrongValue {
            at: node.at,
            path: named.into(),
            wanted: "a mapping",
        })?;
        match entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            None => Ok(section),
            Some(entry) => Err(SecretsError::UnknownKey {
                at: entry.key_at,
                key: entry.key.clone(),
                place: named.into(),
                suggestion: yaml::nearest(&entry.key, known.iter().copied()).map(Into::into),
            }),
        }
    }

    fn section(&self, name: &str, known: &[&str]) -> Result<Section<'n>, SecretsError> {
        Section::new(self.node.and_then(|node| node.get(name)), &self.path(name), known)
    }

    fn path(&self, name: &str) -> String {
        match self.place.as_str() {
            "" => name.into(),
            place => format!("{place}.{name}"),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, SecretsError> {
        let Some(node) = self.node.and_then(|node| node.get(name)).filter(|node| !node.is_null()) else {
            return Ok(None);
        };
        let scalar = node.as_scalar().ok_or_else(|| self.wrong(node, name, "a string"))?;
        Ok(Some(scalar.text.clone()).filter(|text| !text.is_empty()))
    }

    fn required(&self, name: &str) -> Result<String, SecretsError> {
        self.text(name)?.ok_or_else(|| missing(&self.path(name)))
    }

    /// The tree holds the base64 of PEM.
    fn pem(&self, name: &str) -> Result<Option<String>, SecretsError> {
        let Some(packed) = self.text(name)? else {
            return Ok(None);
        };
        let unpacked = STANDARD.decode(packed.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match unpacked.filter(|text| text.contains("-----BEGIN ")) {
            Some(text) => Ok(Some(text)),
            None => {
                let node = self.node.and_then(|node| node.get(name));
                let at = node.map(|node| node.at).unwrap_or_default();
                Err(SecretsError::WrongValue { at, path: self.path(name), wanted: "the base64 of PEM" })
            }
        }
    }

    fn wrong(&self, node: &Node, name: &str, wanted: &'static str) -> SecretsError {
        SecretsError::WrongValue { at: node.at, path: self.path(name), wanted }
    }
}

fn tree(bundle: &SecretsBundle) -> Vec<(String, Emit)> {
    let text = |key: &str, value: &str| (key.to_owned(), Emit::Text(value.into()));
    let secret = |key: &str, value: &Option<Secret<String>>| value.as_ref().map(|value| text(key, value.expose()));
    let packed = |key: &str, pem: &str| text(key, &STANDARD.encode(pem));
    let pair = |key: &str, pair: Option<&CertificateAndKey>| {
        pair.map(|pair| {
            let fields = vec![packed("crt", &pair.crt), packed("key", pair.key.expose())];
            (key.to_owned(), Emit::Map(fields))
        })
    };
    let map = |key: &str, fields: Vec<Option<(String, Emit)>>| {
        (key.to_owned(), Emit::Map(fields.into_iter().flatten().collect()))
    };
    let certs = &bundle.certs;
    let account = certs.k8s_service_account.as_ref();
    vec![
        map(
            "cluster",
            vec![Some(text("id", &bundle.cluster.id)), Some(text("secret", bundle.cluster.secret.expose()))],
        ),
        map(
            "secrets",
            vec![
                Some(text(TALSECRET.bootstrap_token, bundle.bootstrap_token.expose())),
                secret(TALSECRET.aescbc, &bundle.aescbc_encryption_secret),
                secret(TALSECRET.secretbox, &bundle.secretbox_encryption_secret),
            ],
        ),
        map("trustdinfo", vec![Some(text("token", bundle.trustd_token.expose()))]),
        map(
            "certs",
            vec![
                pair("etcd", certs.etcd.as_ref()),
                pair("k8s", Some(&certs.k8s)),
                pair(TALSECRET.aggregator, certs.k8s_aggregator.as_ref()),
                account.map(|key| map(TALSECRET.service_account, vec![Some(packed("key", key.expose()))])),
                pair("os", Some(&certs.os)),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests;
