//! The throw-away control plane that carries a machine from maintenance mode to its real configuration.
//!
//! It exists so that the machine can be upgraded and proven before it is given the real cluster's secrets, and so that
//! nothing secret of the real cluster crosses the unauthenticated maintenance API. Its keys are derived, never stored
//! (DESIGN.md D3): whoever holds the same worker configuration derives the same keys and finds a half-done machine again.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::node::spec::NodeSpec;
use crate::talos::machine_config::generate::{self, GenerateError, GenerateSecrets, PemPair};
use crate::talos::machine_config::{MachineConfig, PatchError};
use crate::talos::pki::{self, CertificateAndKey, PkiError, Validity};
use crate::talos::secret::Secret;
use crate::talos::secrets::SecretsBundle;
use crate::talos::talosconfig::ClientCredentials;

/// Annotation that remembers, on the machine itself, from which boot the upgrade was started. A later run that sees
/// another boot id knows that the machine has been through it.
pub const UPGRADED_FROM_BOOT: &str = "talosoci/upgraded-from-boot";

/// A temporary cluster of one node.
#[derive(Clone, Debug)]
pub struct Temporary {
    secrets: SecretsBundle,
    config: MachineConfig,
}

/// Why a temporary cluster cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TemporaryError {
    /// Its certificates cannot be made.
    #[error("making the certificates of the temporary cluster")]
    Certificates(#[source] PkiError),
    /// Its configuration cannot be generated.
    #[error("generating the configuration of the temporary cluster")]
    Generate(#[source] GenerateError),
    /// The note of the upgrade does not fit its configuration.
    #[error("noting the upgrade in the configuration of the temporary cluster")]
    Note(#[source] PatchError),
}

impl Temporary {
    /// Derives the cluster from the secrets of the real configuration and the node's name.
    pub fn derive(spec: &NodeSpec) -> Result<Self, TemporaryError> {
        let seed = seed(spec);
        let secrets = pki::temporary_secrets(
            seed.expose(),
            &format!("talosoci temporary cluster of {}", spec.hostname),
            Validity::FIXED,
        )
        .map_err(TemporaryError::Certificates)?;
        let name = format!("{}-temp", spec.hostname);
        let installer = spec.image.installer.to_string();
        let generated = for_generate(&secrets);
        let config = generate::controlplane(&generate::Input {
            install_disk: spec.flash.disk().unwrap_or("/dev/sda"),
            install_image: &installer,
            additional_sans: vec![spec.endpoint.host.clone(), name.clone()],
            // Nothing outside needs to find this cluster, and no pod will run on it.
            discovery: false,
            cni: "none",
            // The shape of 1.12 is read by 1.12, 1.13 and 1.14 alike.
            ..generate::Input::new(
                &name,
                "https://127.0.0.1:6443",
                spec.image.talos_version.default_kubernetes(),
                (1, 12),
                generated,
            )
        })
        .map_err(TemporaryError::Generate)?;
        Ok(Self { secrets, config })
    }

    /// The configuration that is applied in maintenance mode.
    pub fn yaml(&self) -> Secret<String> {
        Secret::new(self.config.to_yaml())
    }

    /// The configuration with a note of the boot that the upgrade starts from.
    pub fn yaml_upgrading_from(&self, boot_id: &str) -> Result<Secret<String>, TemporaryError> {
        let patch = format!("machine:\n  nodeAnnotations:\n    {UPGRADED_FROM_BOOT}: \"{boot_id}\"\n");
        let patched = self.config.patch(&[&patch]).map_err(TemporaryError::Note)?;
        Ok(Secret::new(patched.config.to_yaml()))
    }

    /// Administrator credentials, minted for `lifetime` from an hour before `now`.
    pub fn credentials(
        &self,
        now: OffsetDateTime,
        lifetime: time::Duration,
    ) -> Result<ClientCredentials, TemporaryError> {
        let ca = &self.secrets.certs.os;
        let admin = pki::admin_certificate(ca, now, lifetime).map_err(TemporaryError::Certificates)?;
        Ok(ClientCredentials { ca: ca.crt.clone(), crt: admin.crt, key: admin.key })
    }
}

/// Everything secret that the real worker configuration holds, condensed: not guessable without it.
fn seed(spec: &NodeSpec) -> Secret<Vec<u8>> {
    let config = &spec.worker.config;
    let mut hash = Sha256::new();
    for part in [config.machine_token(), text(config, "cluster.token"), text(config, "cluster.secret")] {
        let part = part.unwrap_or_default();
        let part = part.expose();
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(spec.hostname.as_bytes());
    Secret::new(hash.finalize().to_vec())
}

fn text(config: &MachineConfig, path: &str) -> Option<Secret<String>> {
    config.get(path)?.as_str().map(|text| Secret::new(text.to_owned()))
}

/// The boot that a configuration notes as the start of its upgrade.
pub fn upgraded_from(config: &MachineConfig) -> Option<String> {
    config.get("machine.nodeAnnotations")?.get(UPGRADED_FROM_BOOT)?.as_str().map(str::to_owned)
}

fn for_generate(secrets: &SecretsBundle) -> GenerateSecrets<'_> {
    GenerateSecrets {
        cluster_id: &secrets.cluster.id,
        cluster_secret: secrets.cluster.secret.expose(),
        bootstrap_token: secrets.bootstrap_token.expose(),
        trustd_token: secrets.trustd_token.expose(),
        os_ca: pem_pair(&secrets.certs.os),
        k8s_ca: pem_pair(&secrets.certs.k8s),
        etcd_ca: secrets.certs.etcd.as_ref().map(pem_pair).unwrap_or_default(),
        aggregator_ca: secrets.certs.k8s_aggregator.as_ref().map(pem_pair).unwrap_or_default(),
        service_account_key: secrets.certs.k8s_service_account.as_ref().map_or("", |key| key.expose()),
        secretbox_secret: secrets.secretbox_encryption_secret.as_ref().map_or("", |secret| secret.expose()),
    }
}

fn pem_pair(pair: &CertificateAndKey) -> PemPair<'_> {
    PemPair { crt: &pair.crt, key: pair.key.expose() }
}
