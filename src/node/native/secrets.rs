//! The values that a worker needs of the cluster's secrets.

use super::{ClusterDraft, MachineDraft, Work};
use crate::node::given::Given;
use crate::talos::machine_config::generate::{GenerateSecrets, PemPair};
use crate::talos::secret::Secret;
use crate::talos::secrets::SecretsBundle;

impl Work<'_> {
    /// The six values that a worker needs of the cluster's secrets: each from its attribute, or all from `secrets`.
    pub(super) fn secrets(&mut self, machine: &MachineDraft, cluster: &ClusterDraft) -> Option<Values> {
        let bundle = match &cluster.secrets {
            Given::Value(Ok(bundle)) => Some(bundle),
            Given::Value(Err(problem)) => {
                self.findings.error(
                    "secrets-syntax",
                    cluster.secrets_attribute,
                    format!("the cluster's secrets cannot be read: {problem}"),
                    "give talos_machine_secrets.NAME.machine_secrets, or a talsecret.yaml",
                );
                return None;
            }
            Given::Unknown => {
                self.open.other = true;
                return Some(Values::default());
            }
            Given::Absent => None,
        };
        let all = bundle.map(|bundle| Values::of(bundle));
        let from = |pick: fn(&Values) -> &Secret<String>| all.as_ref().map(|all| pick(all).clone());
        let plain = |given: &Given<String>| given.clone().map(Secret::new);
        Some(Values {
            id: self.secret(plain(&cluster.id), from(|v| &v.id), "cluster.id")?,
            secret: self.secret(cluster.secret.clone(), from(|v| &v.secret), "cluster.secret")?,
            bootstrap_token: self.secret(cluster.token.clone(), from(|v| &v.bootstrap_token), "cluster.token")?,
            trustd_token: self.secret(machine.token.clone(), from(|v| &v.trustd_token), "machine.token")?,
            os_ca: self.certificate(&machine.ca, from(|v| &v.os_ca), "machine.ca")?,
            k8s_ca: self.certificate(&cluster.ca, from(|v| &v.k8s_ca), "cluster.ca")?,
        })
    }

    fn secret(
        &mut self,
        own: Given<Secret<String>>,
        other: Option<Secret<String>>,
        attribute: &str,
    ) -> Option<Secret<String>> {
        match (own, other) {
            (Given::Value(secret), _) => Some(secret),
            (Given::Unknown, _) => {
                self.open.other = true;
                Some(Secret::new(String::new()))
            }
            (Given::Absent, Some(secret)) => Some(secret),
            (Given::Absent, None) => {
                self.missing(attribute, "set it, or cluster.secrets or cluster.secrets_file, which hold all of them");
                None
            }
        }
    }

    fn certificate(
        &mut self,
        own: &Given<String>,
        other: Option<Secret<String>>,
        attribute: &str,
    ) -> Option<Secret<String>> {
        use base64::Engine as _;
        let Some(text) = own.value() else {
            return self.secret(own.clone().map(Secret::new), other, attribute);
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        match bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(pem) => Some(Secret::new(pem)),
            None => {
                self.findings.error(
                    "secrets-syntax",
                    attribute,
                    format!("{attribute} is not base64 of a PEM certificate"),
                    "copy the value of ca.crt from another node's configuration",
                );
                None
            }
        }
    }
}

/// The values that a worker needs.
pub(super) struct Values {
    id: Secret<String>,
    secret: Secret<String>,
    bootstrap_token: Secret<String>,
    trustd_token: Secret<String>,
    os_ca: Secret<String>,
    k8s_ca: Secret<String>,
}

impl Default for Values {
    fn default() -> Self {
        let empty = || Secret::new(String::new());
        Self {
            id: empty(),
            secret: empty(),
            bootstrap_token: empty(),
            trustd_token: empty(),
            os_ca: empty(),
            k8s_ca: empty(),
        }
    }
}

impl Values {
    fn of(bundle: &SecretsBundle) -> Self {
        Self {
            id: Secret::new(bundle.cluster.id.clone()),
            secret: bundle.cluster.secret.clone(),
            bootstrap_token: bundle.bootstrap_token.clone(),
            trustd_token: bundle.trustd_token.clone(),
            os_ca: Secret::new(bundle.certs.os.crt.clone()),
            k8s_ca: Secret::new(bundle.certs.k8s.crt.clone()),
        }
    }

    pub(super) fn borrow(&self) -> GenerateSecrets<'_> {
        fn pair(crt: &Secret<String>) -> PemPair<'_> {
            PemPair { crt: crt.expose(), key: "" }
        }
        GenerateSecrets {
            cluster_id: self.id.expose(),
            cluster_secret: self.secret.expose(),
            bootstrap_token: self.bootstrap_token.expose(),
            trustd_token: self.trustd_token.expose(),
            os_ca: pair(&self.os_ca),
            k8s_ca: pair(&self.k8s_ca),
            ..GenerateSecrets::default()
        }
    }
}
