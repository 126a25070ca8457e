//! The configuration as attributes: what the guide sets of a worker, and no more. Everything else is a patch.
//!
//! A value that is not known yet gets a placeholder and is noted in [`Open`], so that the rest is checked all the same.

use crate::node::checks::Open;
use crate::node::door::{Defaults, Opened, Place};
use crate::node::draft::{Draft, ImageDraft};
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::talos::image::InstallerReference;
use crate::talos::machine_config::MachineConfig;
use crate::talos::machine_config::generate;
use crate::talos::machine_config::yaml::Node;
use crate::talos::version::TalosVersion;

/// The attributes as they were written.
mod draft;

/// What lies over the generated configuration.
mod machine;

/// The network card.
mod network;

/// The values that a worker needs of the cluster's secrets.
mod secrets;

pub use draft::{ClusterDraft, ConfigFile, List, MachineDraft, Map, NetworkDraft, ServiceDraft};

/// Renders the configuration that the attributes describe.
pub(super) fn open(draft: &Draft, place: Place, findings: &mut Findings) -> Opened {
    let shut = |config, defaults| Opened { config, open: Open::default(), place, defaults };
    let (machine, cluster) = match (&draft.machine, &draft.cluster) {
        (Given::Value(machine), Given::Value(cluster)) => (machine, cluster),
        (Given::Absent, _) | (_, Given::Absent) => {
            let (missing, there) =
                if draft.machine.is_absent() { ("machine", "cluster") } else { ("cluster", "machine") };
            findings.error(
                "native-missing",
                missing,
                format!("{there} is set without {missing}"),
                format!("set {missing} too"),
            );
            return shut(Given::Absent, Defaults::default());
        }
        _ => return shut(Given::Unknown, super::door::unknown()),
    };
    let mut work = Work { open: Open::default(), findings };
    let config = work.config(draft, machine, cluster);
    let authority = match &cluster.secrets {
        Given::Value(Ok(bundle)) if bundle.certs.os.has_key() => Given::Value(bundle.certs.os.clone()),
        Given::Unknown => Given::Unknown,
        _ => Given::Absent,
    };
    let defaults = Defaults { disk: machine.install_disk.clone(), authority, ..Defaults::default() };
    Opened { config: config.into(), open: work.open, place, defaults }
}

struct Work<'f> {
    open: Open,
    findings: &'f mut Findings,
}

impl Work<'_> {
    fn config(&mut self, draft: &Draft, machine: &MachineDraft, cluster: &ClusterDraft) -> Option<MachineConfig> {
        let secrets = self.secrets(machine, cluster)?;
        let name = self.needed(&cluster.name, "cluster.name", "cluster", |open| &mut open.other)?;
        let endpoint = self.needed(&cluster.endpoint, "cluster.endpoint", "https://192.0.2.1:6443", |open| {
            &mut open.cluster_endpoint
        })?;
        let kubernetes =
            self.needed(&cluster.kubernetes_version, "cluster.kubernetes_version", "", |open| &mut open.kubernetes)?;
        // The form is that of Talos' own versions.
        if !self.open.kubernetes && kubernetes.parse::<TalosVersion>().is_err() {
            self.findings.error(
                "native-syntax",
                "cluster.kubernetes_version",
                format!("{kubernetes:?} is no version of Kubernetes"),
                "write the one that the cluster runs, such as v1.35.0",
            );
        }
        let version = draft.image.value().and_then(|image| image.talos_version.value()?.parse::<TalosVersion>().ok());
        if version.is_none() {
            // Its shape depends on the release; a wrong release is named by the rules for the image.
            self.open.other = true;
        }
        // 1.14 reads what is written for 1.13.
        let contract = version.as_ref().map_or((1, 12), TalosVersion::minor_pair).clamp((1, 12), (1, 13));
        let installer = self.installer(&draft.image);
        let disk = self.text(&machine.install_disk, |open| &mut open.other).unwrap_or_default();
        let mut input = generate::Input::new(&name, &endpoint, &kubernetes, contract, secrets.borrow());
        input.install_disk = &disk;
        input.install_image = &installer;
        input.additional_sans = self.list(&machine.cert_sans, |open| &mut open.cert_sans);
        for (given, subnets) in
            [(&cluster.pod_subnets, &mut input.pod_subnets), (&cluster.service_subnets, &mut input.service_subnets)]
        {
            let written = self.list(given, |open| &mut open.subnets);
            if !written.is_empty() {
                *subnets = written;
            }
        }
        let base = generate::worker(&input);
        let patches = self.patches(machine);
        let patches: Vec<&str> = patches.iter().map(|patch| patch.expose().as_str()).collect();
        let patched = base.map_err(|error| error.to_string()).and_then(|base| {
            if patches.is_empty() {
                return Ok(base);
            }
            base.patch(&patches).map(|patched| patched.config).map_err(|error| reason(&error))
        });
        match patched {
            Ok(config) => Some(config),
            Err(problem) => {
                self.findings.error(
                    "native-syntax",
                    "machine",
                    format!("no configuration comes of machine and cluster: {problem}"),
                    "correct the attributes, or give the whole configuration in machine_configuration",
                );
                None
            }
        }
    }

    /// The image's installer, or the one that goes with its schematic and release.
    fn installer(&mut self, image: &Given<ImageDraft>) -> String {
        let Some(image) = image.value() else {
            self.open.other |= image.is_unknown();
            return String::new();
        };
        if let Some(installer) = image.installer.value() {
            return installer.clone();
        }
        self.open.other |= image.installer.is_unknown() || image.schematic_id.is_unknown();
        let schematic = image.schematic_id.value().and_then(|id| id.parse().ok());
        let version = image.talos_version.value().and_then(|version| version.parse().ok());
        match (schematic, version) {
            (Some(schematic), Some(version)) => {
                InstallerReference::new("factory.talos.dev", "oracle", false, schematic, version).to_string()
            }
            _ => String::new(),
        }
    }

    fn missing(&mut self, attribute: &str, remedy: &str) {
        self.findings.error("native-missing", attribute, format!("{attribute} is missing"), remedy);
    }

    fn needed(
        &mut self,
        given: &Given<String>,
        attribute: &str,
        placeholder: &str,
        open: fn(&mut Open) -> &mut bool,
    ) -> Option<String> {
        match given {
            Given::Value(text) => Some(text.clone()),
            Given::Unknown => {
                *open(&mut self.open) = true;
                Some(placeholder.to_owned())
            }
            Given::Absent => {
                self.missing(attribute, "set it as in the cluster's other configurations");
                None
            }
        }
    }

    fn text(&mut self, given: &Given<String>, open: fn(&mut Open) -> &mut bool) -> Option<String> {
        *open(&mut self.open) |= given.is_unknown();
        given.value().cloned()
    }

    /// The known items.
    fn list(&mut self, given: &List, open: fn(&mut Open) -> &mut bool) -> Vec<String> {
        let items = match given {
            Given::Unknown => {
                *open(&mut self.open) = true;
                return Vec::new();
            }
            Given::Absent => return Vec::new(),
            Given::Value(items) => items,
        };
        items.iter().filter_map(|item| self.text(item, open)).collect()
    }
}

fn document(kind: &'static str, name: &str) -> Vec<(&'static str, Node)> {
    vec![("apiVersion", Node::string("v1alpha1")), ("kind", Node::string(kind)), ("name", Node::string(name))]
}

fn strings(items: impl IntoIterator<Item = String>) -> Node {
    Node::sequence(items.into_iter().map(Node::string).collect())
}

fn reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", reason(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
