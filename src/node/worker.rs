//! The worker configuration after its patches, with its hash.

use crate::node::door::Opened;
use crate::node::draft::Patches;
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::talos::machine_config::{HashOptions, MachineConfig, MachineType, Mode, Severity};
use crate::talos::pki;
use crate::talos::secret::Secret;
use crate::talos::version::TalosVersion;

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

    /// Lays `patches` over what came through the door, sets `hostname` where that leaves it open, and judges the
    /// result by the rules of `version`, where that is known. The second part is the configuration as far as it is
    /// known, for the rules that look at it.
    pub fn render(
        opened: &Opened,
        patches: [(&'static str, &Patches); 2],
        hostname: &Given<String>,
        version: Option<&TalosVersion>,
        findings: &mut Findings,
    ) -> (Given<Worker>, Option<MachineConfig>) {
        let base = match &opened.config {
            Given::Value(config) => config.clone(),
            Given::Unknown => return (Given::Unknown, None),
            Given::Absent => return (Given::Absent, None),
        };
        let mut known = Vec::new();
        for (attribute, patches) in patches {
            match patches {
                Given::Unknown => return (Given::Unknown, None),
                Given::Absent => {}
                Given::Value(patches) if patches.iter().any(Given::is_unknown) => return (Given::Unknown, None),
                Given::Value(patches) => {
                    let patches = patches.iter().enumerate();
                    known
                        .extend(patches.filter_map(|(at, patch)| Some((format!("{attribute}[{at}]"), patch.value()?))));
                }
            }
        }
        let Some(mut config) = lay_patches(base, known, findings) else {
            return (Given::Absent, None);
        };
        let attribute = opened.place.whole();
        if let Some(hostname) = hostname.value() {
            match name(config, hostname, attribute, findings) {
                Some(named) => config = named,
                None => return (Given::Absent, None),
            }
        }
        let before = findings.clone();
        judge(&config, version, attribute, findings);
        if opened.open.any() || hostname.is_unknown() {
            // A placeholder may be to blame; the whole is judged when it is known.
            *findings = before;
            return (Given::Unknown, Some(config));
        }
        if findings.has_errors() {
            return (Given::Absent, Some(config));
        }
        let hash = config.content_hash(&HashOptions::default());
        (Given::Value(Worker { config: config.clone(), hash }), Some(config))
    }
}

fn lay_patches(
    mut config: MachineConfig,
    patches: Vec<(String, &Secret<String>)>,
    findings: &mut Findings,
) -> Option<MachineConfig> {
    for (attribute, patch) in patches {
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
                    format!("the patch cannot be applied: {}", crate::causes::chain(&error)),
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
fn name(config: MachineConfig, hostname: &str, attribute: &str, findings: &mut Findings) -> Option<MachineConfig> {
    match config.hostname() {
        Some(written) if written == hostname => Some(config),
        Some(written) => {
            findings.error(
                "hostname-mismatch",
                "hostname",
                format!(
                    "hostname is {hostname:?}, but the machine configuration in {attribute} names the node {written:?}"
                ),
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

fn judge(config: &MachineConfig, version: Option<&TalosVersion>, attribute: &str, findings: &mut Findings) {
    // Talos itself validates in cloud mode on platform oracle (Talos v1.12.2 pkg/machinery/platforms).
    let problems = match version {
        Some(version) => config.validate_for(Mode::Cloud, version),
        None => config.validate(Mode::Cloud),
    };
    for problem in problems {
        let message =
            if problem.path.is_empty() { problem.message } else { format!("{}: {}", problem.path, problem.message) };
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
    if let Some(version) = version {
        for path in config.unknown_to(version.minor_pair()) {
            findings.error(
                "config-validation",
                attribute,
                format!("{path}: Talos {version} does not know this"),
                "take it out, or choose a Talos version that knows it",
            );
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
