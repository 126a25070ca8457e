//! The rendering itself, in talhelper's order (`cmd/genconfig.go`, `pkg/generate/config.go`).

use super::documents::{self, Node};
use super::envsubst::Variables;
use super::error::{Finding, TalhelperError};
use super::installer::{Installer, installer};
use super::talconfig::section::Findings;
use super::talconfig::{self, Cluster, FileText, NodeConfigs, NodeEntry, Patch};
use super::{FileName, Input, Rendered, files, overridden};
use crate::talos::machine_config::generate;
use crate::talos::machine_config::{MachineConfig, Mode, Severity};
use crate::talos::secrets::SecretsBundle;
use crate::talos::version::TalosVersion;
use crate::yaml::{self, At, Emit};

/// Renders one node of a talconfig.yaml. The same input gives the same result.
///
/// # Errors
/// A file that cannot be read, opened or completed, mistakes in talconfig.yaml (all at once), a feature that is not
/// supported, a patch that does not apply, or a result that Talos would refuse.
pub fn render(input: &Input<'_>) -> Result<Rendered, TalhelperError> {
    let variables = files::variables(input)?;
    let plan = plan(input, &variables)?;
    let secrets = secrets(input, &variables)?;
    let mut work = Work { input, variables: &variables, plan: &plan, warnings: warnings(&plan.configs) };
    let node = work.node(&secrets)?;
    let base = work.base(&node, &secrets)?;
    let config = work.patched(base, &node)?;
    work.check(&config)?;
    let warnings = std::mem::take(&mut work.warnings);
    Ok(plan.rendered(config, secrets, warnings))
}

/// What talconfig.yaml says about the node, sound as far as it goes.
struct Plan {
    cluster: Cluster,
    entry: NodeEntry,
    configs: NodeConfigs,
    version: TalosVersion,
    installer: Installer,
}

/// Reads talconfig.yaml; all its mistakes come in one error.
fn plan(input: &Input<'_>, variables: &Variables) -> Result<Plan, TalhelperError> {
    let text = files::open(input, FileName::Given(input.talconfig))?;
    let text = files::complete(input.talconfig, text.expose(), variables)?;
    let root = yaml::parse_single(&text.text).map_err(|error| TalhelperError::Yaml {
        file: input.talconfig.to_owned(),
        line: text.line_before(error.at.line),
        problem: error.problem,
    })?;
    let line_before = |line| text.line_before(line);
    let findings = Findings::new(&line_before);
    let Some(root) = root else {
        findings.mistake(TOP, "the file is empty");
        return Err(mistakes(input, findings.finish()));
    };
    let mut cluster = talconfig::read(&root, input.node, &findings);
    let version = versions(&cluster, &findings);
    let node = cluster.node.take();
    let installer = node.as_ref().map(|(_, configs)| installer(&cluster, configs, &version, &findings));
    let found = findings.finish();
    match (node, installer) {
        _ if !found.is_empty() => Err(mistakes(input, found)),
        (Some((entry, configs)), Some(installer)) => Ok(Plan { cluster, entry, configs, version, installer }),
        _ => Err(TalhelperError::NoNode {
            file: input.talconfig.to_owned(),
            node: input.node.to_owned(),
            known: cluster.hostnames.join(", "),
        }),
    }
}

impl Plan {
    fn rendered(self, config: MachineConfig, secrets: SecretsBundle, warnings: Vec<String>) -> Rendered {
        let architecture = architecture(&self.configs).map(Into::into);
        let Self { cluster, entry, configs, version, installer } = self;
        Rendered {
            config,
            secrets,
            talos_version: version,
            kubernetes_version: without_v(&cluster.kubernetes_version).to_owned(),
            schematic_id: installer.schematic_id,
            schematic: configs.schematic.filter(|_| configs.image_url.is_none()),
            installer: installer.image,
            install_disk: Some(entry.install_disk).filter(|disk| !disk.is_empty()),
            cluster_name: cluster.name,
            cluster_endpoint: cluster.endpoint,
            hostname: entry.hostname,
            ip_addresses: entry.ip_addresses,
            architecture,
            warnings,
        }
    }
}

/// What the files and values of a render are combined with.
struct Work<'a> {
    input: &'a Input<'a>,
    variables: &'a Variables,
    plan: &'a Plan,
    warnings: Vec<String>,
}

impl<'a> Work<'a> {
    fn node(&self, secrets: &'a SecretsBundle) -> Result<Node<'a>, TalhelperError> {
        let entry = &self.plan.entry;
        let aescbc = secrets.aescbc_encryption_secret.as_ref();
        Ok(Node {
            hostname: &entry.hostname,
            ignore_hostname: entry.ignore_hostname,
            control_plane: entry.control_plane,
            install_disk_selector: entry.install_disk_selector.as_ref(),
            configs: &self.plan.configs,
            machine_files: self.machine_files()?,
            inline_manifests: self.inline_manifests()?,
            aescbc_secret: aescbc.map(|secret| secret.expose().as_str()),
        })
    }

    fn base(&self, node: &Node<'_>, secrets: &SecretsBundle) -> Result<MachineConfig, TalhelperError> {
        let cluster = &self.plan.cluster;
        let mut input = generate::Input::new(
            &cluster.name,
            &cluster.endpoint,
            &cluster.kubernetes_version,
            self.plan.version.minor_pair(),
            secrets.into(),
        );
        input.install_disk = &self.plan.entry.install_disk;
        input.install_image = &self.plan.installer.image;
        input.allow_scheduling_on_control_planes = cluster.allow_scheduling;
        if !cluster.domain.is_empty() {
            input.dns_domain = &cluster.domain;
        }
        if !cluster.pod_subnets.is_empty() {
            input.pod_subnets = cluster.pod_subnets.clone();
        }
        if !cluster.service_subnets.is_empty() {
            input.service_subnets = cluster.service_subnets.clone();
        }
        let made = match node.control_plane {
            true => generate::controlplane(&input),
            false => generate::worker(&input),
        };
        made.map_err(|source| TalhelperError::Generate { node: node.hostname.to_owned(), source: Box::new(source) })
    }

    /// Overrides, further documents, the node's patches with the group's before them, then the cluster's.
    fn patched(&mut self, base: MachineConfig, node: &Node<'_>) -> Result<MachineConfig, TalhelperError> {
        let mut config = base;
        for patch in documents::overrides(&self.plan.cluster, node) {
            config = self.apply(&config, &patch, &format!("the settings of {}", node.hostname))?;
        }
        let documents = documents::additions(node);
        config = self.apply(&config, &documents, &format!("the documents of {}", node.hostname))?;
        let own = self.load(self.plan.configs.patches.as_deref().unwrap_or_default())?;
        let global = self.load(&self.plan.cluster.patches)?;
        let texts = |patches: &[(String, String)]| patches.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
        for path in overridden::overridden(&texts(&own), &texts(&global)) {
            self.warnings.push(format!(
                "{path} is set by a patch of {} and then changed by one of the cluster's patches: talhelper applies \
                 those last",
                node.hostname
            ));
        }
        for (place, text) in own.into_iter().chain(global) {
            config = self.apply(&config, &text, &place)?;
        }
        Ok(config)
    }

    fn apply(&mut self, config: &MachineConfig, patch: &str, place: &str) -> Result<MachineConfig, TalhelperError> {
        let patched = config.patch(&[patch]).map_err(|source| TalhelperError::Patch {
            file: self.input.talconfig.to_owned(),
            place: place.to_owned(),
            source: Box::new(source),
        })?;
        let warnings = patched.warnings.into_iter().map(|warning| format!("{place}: {warning}"));
        self.warnings.extend(warnings);
        Ok(patched.config)
    }

    /// The texts of patches with the places they are named by; empty files are left out.
    fn load(&self, patches: &[Patch]) -> Result<Vec<(String, String)>, TalhelperError> {
        let mut loaded = Vec::new();
        for patch in patches {
            let (place, text) = match patch.text.strip_prefix('@') {
                None => (format!("{} (line {})", patch.path, patch.line), patch.text.clone()),
                Some(file) => {
                    let file = file.trim();
                    let text = self.file(file, &patch.path, false)?;
                    (format!("{} ({file})", patch.path), text)
                }
            };
            if !text.trim().is_empty() {
                loaded.push((place, text));
            }
        }
        Ok(loaded)
    }

    /// An `@file`: opened, and with its variables put in unless they are to be left alone.
    fn file(&self, file: &str, path: &str, skip_envsubst: bool) -> Result<String, TalhelperError> {
        let text = files::open(self.input, FileName::Beside(file))?;
        if skip_envsubst {
            return Ok(text.expose().to_owned());
        }
        if talconfig::opens_template(text.expose()) && path.contains("patches") {
            let line_before = |line| line;
            let findings = Findings::new(&line_before);
            findings.unsupported(TOP, &format!("the Go template in the file of {path}"));
            return Err(TalhelperError::Talconfig { file: file.to_owned(), findings: findings.finish() });
        }
        // A file that is no YAML keeps its comments, if they are any. Mistakes are told with the lines of the file.
        let bare = yaml::without_comments(text.expose());
        let done = files::fill_in(file, bare.as_deref().unwrap_or(text.expose()), self.variables)?.text;
        // The layout of a patch is nobody's content.
        let laid = if path.contains("patches") { None } else { yaml::relayout(text.expose()) };
        match laid {
            Some(laid) => files::fill_in(file, &laid, self.variables).map(|done| done.text),
            None => Ok(done),
        }
    }

    fn file_text(&self, content: &FileText, path: &str) -> Result<String, TalhelperError> {
        match content.text.strip_prefix('@').map(str::trim).filter(|file| !file.is_empty()) {
            Some(file) => self.file(file, path, content.skip_envsubst),
            None => Ok(content.text.clone()),
        }
    }

    fn machine_files(&self) -> Result<Vec<Emit>, TalhelperError> {
        let files = self.plan.configs.machine_files.iter().flatten();
        let file = |file: &talconfig::MachineFile| {
            let content = self.file_text(&file.content, "machineFiles")?;
            let mut fields = vec![documents::text("content", &content)];
            fields.extend(file.rest.iter().cloned());
            Ok(Emit::Map(fields))
        };
        files.map(file).collect()
    }

    fn inline_manifests(&self) -> Result<Vec<Emit>, TalhelperError> {
        let manifest = |(name, contents): &(String, FileText)| {
            let contents = self.file_text(contents, "inlineManifests")?;
            Ok(Emit::Map(vec![documents::text("name", name), documents::text("contents", &contents)]))
        };
        self.plan.cluster.inline_manifests.iter().map(manifest).collect()
    }

    /// talhelper validates strictly, for metal machines whatever the node is, and with the machinery of v1.12.2. What
    /// that could not read is judged by the releases that can. The node's own release is for the node to judge by.
    fn check(&mut self, config: &MachineConfig) -> Result<(), TalhelperError> {
        let mut problems = Vec::new();
        let found = match config.unknown_to((1, 12)).is_empty() {
            true => config.validate_for(Mode::Metal, &TalosVersion::new(1, 12, 2)),
            false => config.validate(Mode::Metal),
        };
        for problem in found {
            let text = match problem.path.as_str() {
                "" => problem.message,
                path => format!("{path}: {}", problem.message),
            };
            match problem.severity {
                Severity::Error | Severity::Warning => problems.push(text),
                Severity::Note => self.warnings.push(text),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(TalhelperError::Invalid { node: self.input.node.to_owned(), problems }),
        }
    }
}

/// Reads the Talos version and holds the Kubernetes version against it.
fn versions(cluster: &Cluster, findings: &Findings<'_>) -> TalosVersion {
    let known = TalosVersion::new(1, 12, 0);
    if cluster.talos_version.is_empty() {
        return known;
    }
    let version = match cluster.talos_version.parse::<TalosVersion>() {
        Ok(version) => version,
        Err(error) => {
            findings.mistake(cluster.talos_version_at, format!("talosVersion: {error}"));
            return known;
        }
    };
    if !matches!(version.minor_pair(), (1, 12 | 13)) {
        findings
            .unsupported(cluster.talos_version_at, &format!("talosVersion {version}: only v1.12 and v1.13 are, it"));
        return known;
    }
    let ((_, low), (_, high)) = version.kubernetes_range();
    let minor = kubernetes_minor(&cluster.kubernetes_version);
    if !cluster.kubernetes_version.is_empty() && !minor.is_some_and(|minor| (low..=high).contains(&minor)) {
        let text = format!("kubernetesVersion must be from v1.{low} to v1.{high} for Talos {version}");
        findings.mistake(cluster.kubernetes_version_at, text);
    }
    version
}

fn kubernetes_minor(version: &str) -> Option<u64> {
    // The form is the same as that of Talos versions.
    let version = version.parse::<TalosVersion>().ok()?;
    (version.major == 1).then_some(version.minor)
}

fn without_v(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

fn secrets(input: &Input<'_>, variables: &Variables) -> Result<SecretsBundle, TalhelperError> {
    let (file, text) = files::secrets(input)?;
    let text = files::complete(&file, text.expose(), variables)?;
    SecretsBundle::parse(&text.text).map_err(|source| TalhelperError::Secrets { file, source })
}

fn architecture(configs: &NodeConfigs) -> Option<&str> {
    let spec = configs.machine_spec.as_ref()?;
    Some(spec.architecture.as_str()).filter(|architecture| !architecture.is_empty())
}

fn warnings(configs: &NodeConfigs) -> Vec<String> {
    match architecture(configs) {
        None | Some("arm64") => Vec::new(),
        Some(other) => vec![format!(
            "machineSpec.arch is {other:?}; Oracle's Ampere shapes need \"arm64\" (it has no effect on this node's \
             configuration)"
        )],
    }
}

fn mistakes(input: &Input<'_>, findings: Vec<Finding>) -> TalhelperError {
    TalhelperError::Talconfig { file: input.talconfig.to_owned(), findings }
}

const TOP: At = At { line: 1, column: 1 };

#[cfg(test)]
mod tests;
