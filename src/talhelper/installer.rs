//! The installer image of a node.

use super::talconfig::section::Findings;
use super::talconfig::{Cluster, NodeConfigs};
use crate::talos::image::InstallerReference;
use crate::talos::schematic::{Schematic, SchematicId};
use crate::talos::version::TalosVersion;
use crate::yaml::At;

/// The image with its tag, and what is baked into it as far as it is known.
pub(super) struct Installer {
    pub(super) image: String,
    pub(super) schematic_id: Option<SchematicId>,
}

/// `talosImageURL` and the version, or else the Factory's image of the schematic for the machine's mode.
pub(super) fn installer(
    cluster: &Cluster,
    configs: &NodeConfigs,
    version: &TalosVersion,
    findings: &Findings<'_>,
) -> Installer {
    if let Some((url, _)) = &configs.image_url {
        let name = url.rsplit('/').next().unwrap_or_default();
        return Installer { image: format!("{url}:{version}"), schematic_id: name.parse().ok() };
    }
    let spec = configs.machine_spec.as_ref();
    let at = spec.map_or(At { line: 1, column: 1 }, |spec| spec.at);
    let mode = spec.map(|spec| spec.mode.as_str()).filter(|mode| !mode.is_empty()).unwrap_or("metal");
    if matches!(mode, "cloud" | "container") {
        let text =
            format!("machineSpec.mode {mode:?} is no platform of the Image Factory; for Oracle Cloud it is \"oracle\"");
        findings.mistake(at, text);
    }
    let schematic = configs.schematic.clone().unwrap_or_else(|| Schematic::from_parts(Default::default()));
    if schematic.id_depends_on_factory_release() {
        let text = "the id of this schematic differs between releases of the Image Factory; set talosImageURL";
        findings.mistake(at, text);
    }
    let platform = match cluster.installer_template.as_str() {
        "" | TEMPLATE => mode,
        OLD_TEMPLATE => "metal",
        _ => {
            findings.unsupported(At { line: 1, column: 1 }, "the Go template in imageFactory.installerURLTmpl");
            mode
        }
    };
    let registry = match cluster.registry.as_str() {
        "" => "factory.talos.dev",
        registry => registry,
    };
    let reference = InstallerReference {
        legacy_name: cluster.installer_template == OLD_TEMPLATE,
        ..InstallerReference::new(
            registry,
            platform,
            spec.is_some_and(|spec| spec.secure_boot),
            schematic.id(),
            version.clone(),
        )
    };
    Installer { image: reference.to_string(), schematic_id: Some(reference.schematic) }
}

/// talhelper's default, and the one of its documentation.
const TEMPLATE: &str = "{{.RegistryURL}}/{{.Mode}}-installer{{if .Secureboot}}-secureboot{{end}}/{{.ID}}:{{.Version}}";
const OLD_TEMPLATE: &str = "{{.RegistryURL}}/installer{{if .Secureboot}}-secureboot{{end}}/{{.ID}}:{{.Version}}";
