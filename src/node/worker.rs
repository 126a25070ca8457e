//! The worker configuration after its patches, with its hash.

use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::talos::machine_config::{HashOptions, MachineConfig, MachineType, Mode, Severity};
use crate::talos::pki;
use crate::talos::secret::Secret;

/// The configuration that the node is to have in the end.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Parsed, patched, validated.
    pub config: MachineConfig,
    /// Hash of the content; formatting and order do not matter.
    pub hash: String,
}

impl Worker {
    /// The YAML that is sent to the node.
    pub fn yaml(&self) -> Secret<String> {
        Secret::new(self.config.to_yaml())
    }

    /// Names that the node's API certificate will carry besides its own addresses.
    pub fn cert_sans(&self) -> Vec<String> {
        self.config.cert_sans()
    }

    /// Parses `text`, lays `patches` over it, sets `hostname` where the configuration leaves it open, and judges the
    /// result. `attribute` is where the text came from.
    pub fn render(
        text: &Secret<String>,
        attribute: &str,
        patches: &[Given<Secret<String>>],
        hostname: &Given<String>,
        findings: &mut Findings,
    ) -> Given<Worker> {
        let Some(base) = parse(text, attribute, findings) else {
            return Given::Absent;
        };
        if patches.iter().any(Given::is_unknown) || hostname.is_unknown() {
            return Given::Unknown;
        }
        let Some(mut config) = lay_patches(base, patches, findings) else {
            return Given::Absent;
        };
        if let Some(hostname) = hostname.value() {
            match name(config, hostname, attribute, findings) {
                Some(named) => config = named,
                None => return Given::Absent,
            }
        }
        judge(&config, attribute, findings);
        if findings.has_errors() {
            return Given::Absent;
        }
        let hash = config.content_hash(&HashOptions::default());
        Given::Value(Worker { config, hash })
    }
}

fn parse(text: &Secret<String>, attribute: &str, findings: &mut Findings) -> Option<MachineConfig> {
    match MachineConfig::parse(text.expose()) {
        Ok(config) => Some(config),
        Err(error) => {
            findings.error(
                "config-syntax",
                attribute,
                format!("the machine configuration is not one that Talos reads: {error}"),
                "correct the configuration; `talosctl validate` and this provider apply the same rules",
            );
            None
        }
    }
}

fn lay_patches(
    mut config: MachineConfig,
    patches: &[Given<Secret<String>>],
    findings: &mut Findings,
) -> Option<MachineConfig> {
    for (index, patch) in patches.iter().enumerate() {
        let Some(patch) = patch.value() else { continue };
        let attribute = format!("config_patches[{index}]");
        match config.patch(&[patch.expose()]) {
            Ok(patched) => {
                for warning in patched.warnings {
                    findings.warning(
                        "config-patch",
                        &attribute,
                        warning,
                        "check that the patch does what it is meant to do",
                    );
                }
                config = patched.config;
            }
            Err(error) => {
                findings.error(
                    "config-patch",
                    attribute,
                    format!("the patch cannot be applied: {error}"),
                    "correct the patch; it is a strategic merge patch or a JSON patch as `talosctl` takes them",
                );
                return None;
            }
        }
    }
    Some(config)
}

/// Gives the node its name where the configuration leaves it to the platform (`HostnameConfig` with `auto`), since
/// Oracle's instance metadata would win otherwise.
fn name(
    config: MachineConfig,
    hostname: &str,
    attribute: &str,
    findings: &mut Findings,
) -> Option<MachineConfig> {
    match config.hostname() {
        Some(written) if written == hostname => Some(config),
        Some(written) => {
            findings.error(
                "hostname-mismatch",
                "hostname",
                format!("hostname is {hostname:?}, but the machine configuration in {attribute} names the node {written:?}"),
                "write the same name in both places",
            );
            None
        }
        None => {
            let patch = format!("apiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: {hostname}\n");
            match config.patch(&[&patch]) {
                Ok(patched) => Some(patched.config),
                Err(error) => {
                    findings.error(
                        "hostname-mismatch",
                        "hostname",
                        format!("the hostname cannot be set in the machine configuration: {error}"),
                        "set the hostname in the machine configuration itself",
                    );
                    None
                }
            }
        }
    }
}

fn judge(config: &MachineConfig, attribute: &str, findings: &mut Findings) {
    // Talos itself validates in cloud mode on platform oracle (Talos v1.12.2 pkg/machinery/platforms).
    for problem in config.validate(Mode::Cloud) {
        let message = if problem.path.is_empty() {
            problem.message
        } else {
            format!("{}: {}", problem.path, problem.message)
        };
        match problem.severity {
            Severity::Error => findings.error(
                "config-validation",
                attribute,
                message,
                "correct the machine configuration; Talos would refuse it",
            ),
            Severity::Warning => findings.warning(
                "config-validation",
                attribute,
                message,
                "correct the machine configuration; Talos accepts it with this warning",
            ),
            // Even the strict validator takes it.
            Severity::Note => {}
        }
    }
    if config.machine_type() != Some(MachineType::Worker) {
        findings.error(
            "config-not-a-worker",
            attribute,
            "the machine configuration is not of type worker",
            "this resource joins workers; give it the worker configuration of the cluster",
        );
    }
    if config.os_ca_certificate().is_some_and(|pem| pki::ca_fingerprint(&pem).is_err()) {
        findings.error(
            "config-ca",
            attribute,
            "machine.ca.crt is not a certificate",
            "copy machine.ca from the cluster's own configuration",
        );
    }
}
