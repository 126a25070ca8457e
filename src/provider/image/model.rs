//! From the attributes of `talosoci_image` to an image, and back.

use url::Url;

use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::provider::given;
use crate::provider::image::output;
use crate::provider::settings::{IMAGE_FACTORY, factory_url};
use crate::talos::image::{Architecture, InstallerReference, disk_image_url, registry_of};
use crate::talos::oracle_archive;
use crate::talos::schematic::{Parts, Schematic, SchematicId};
use crate::talos::version::{OLDEST, TalosVersion};
use crate::tfplugin::value::Value;

/// An image that can be asked for.
#[derive(Clone, Debug)]
pub struct Image {
    /// The Factory.
    pub factory: Url,
    /// What is baked in.
    pub schematic: Schematic,
    version: TalosVersion,
    platform: String,
    architecture: Architecture,
    secure_boot: bool,
}

/// A judged configuration: `image` is there when everything is known and right.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What is wrong.
    pub findings: Findings,
    /// The image.
    pub image: Option<Image>,
}

/// Judges a configuration; `factory` is that of the provider block.
pub fn parse(config: &Value, factory: &Given<String>) -> Parsed {
    let mut findings = Findings::default();
    let version = version(config, &mut findings);
    let schematic = schematic(config, &mut findings);
    let factory =
        given::string(config.get("image_factory_url")).or(factory.clone()).or(Given::Value(IMAGE_FACTORY.to_owned()));
    let factory = match factory.value().map(|text| factory_url(text)) {
        Some(Ok(url)) => Some(url),
        Some(Err(problem)) => {
            findings.error(
                "factory-url",
                "image_factory_url",
                problem.trim_end_matches('.'),
                "write the address of an Image Factory",
            );
            None
        }
        None => None,
    };
    pin(config, &mut findings);
    output::judge(config, &mut findings);
    let architecture = match config.get("architecture").as_str() {
        Some("amd64") => Some(Architecture::Amd64),
        Some("arm64") => Some(Architecture::Arm64),
        _ if config.get("architecture").is_null() => Some(Architecture::Arm64),
        _ => None,
    };
    let platform = given::string(config.get("platform")).or(Given::Value("oracle".to_owned())).into_value();
    let secure_boot = given::boolean(config.get("secure_boot")).or(Given::Value(false)).into_value();
    let image = match (factory, schematic, version, platform, architecture, secure_boot) {
        (Some(factory), Some(schematic), Some(version), Some(platform), Some(architecture), Some(secure_boot))
            if !findings.has_errors() =>
        {
            Some(Image { factory, schematic, version, platform, architecture, secure_boot })
        }
        _ => None,
    };
    Parsed { findings, image }
}

impl Image {
    /// The disk image of this schematic.
    pub fn url(&self, id: &SchematicId) -> Url {
        disk_image_url(&self.factory, id, &self.version, &self.platform, self.architecture, self.secure_boot)
    }

    /// Whether a state names this image, by whatever id the Factory gave it.
    pub fn is_at(&self, state: &Value) -> bool {
        let id = state.get("schematic_id").as_str().and_then(|id| id.parse().ok());
        id.is_none_or(|id| state.get("url").as_str() == Some(self.url(&id).as_str()))
    }

    /// Its name for whoever watches: `image v1.12.2 4a0d65c6`.
    pub fn describe(&self) -> String {
        format!("image {} {}", self.version, &self.schematic.id().as_str()[..8])
    }

    /// Name of its disk in an archive for Oracle Cloud, as the Factory would call it.
    pub fn disk_name(&self) -> String {
        let flavour = if self.secure_boot { "-secureboot" } else { "" };
        format!("{}-{}{flavour}.qcow2", self.platform, self.architecture)
    }

    /// What that archive says of it.
    pub fn oracle_metadata(&self) -> String {
        oracle_archive::metadata(&self.version, self.architecture)
    }

    /// Fills in what is known without asking anybody.
    pub fn promise(&self, planned: &mut Value) {
        let id = self.schematic.id();
        if self.schematic.id_depends_on_factory_release() {
            for attribute in ["id", "schematic_id", "url", "installer"] {
                planned.set(attribute, Value::Unknown);
            }
            planned.set("schematic_yaml", self.schematic.canonical());
        } else {
            self.store(planned, &id, &self.url(&id));
        }
        planned.set("size", Value::Unknown);
    }

    /// Fills in what follows from the schematic's id.
    pub fn store(&self, state: &mut Value, id: &SchematicId, url: &Url) {
        let installer = InstallerReference::new(
            registry_of(&self.factory),
            &self.platform,
            self.secure_boot,
            id.clone(),
            self.version.clone(),
        );
        state.set("id", id.to_string());
        state.set("schematic_id", id.to_string());
        state.set("schematic_yaml", self.schematic.canonical());
        state.set("url", url.to_string());
        state.set("installer", installer.to_string());
    }
}

fn version(config: &Value, findings: &mut Findings) -> Option<TalosVersion> {
    let text = config.get("talos_version").as_str()?;
    match text.parse::<TalosVersion>() {
        Ok(version) if version.minor_pair() < OLDEST => {
            findings.error(
                "talos-too-old",
                "talos_version",
                format!("Talos {version} is older than v1.12"),
                "use Talos v1.12 or later",
            );
            None
        }
        Ok(version) => Some(version),
        Err(error) => {
            findings.error("image-syntax", "talos_version", error, "write a version such as v1.12.2");
            None
        }
    }
}

fn schematic(config: &Value, findings: &mut Findings) -> Option<Schematic> {
    let arguments = strings(config.get("extra_kernel_args"))?;
    let yaml = config.get("schematic");
    if yaml.is_unknown() {
        return None;
    }
    let Some(yaml) = yaml.as_str() else {
        let extensions = strings(config.get("extensions"))?;
        return Some(Schematic::from_parts(Parts { extensions, extra_kernel_args: arguments }));
    };
    if !arguments.is_empty() {
        findings.error(
            "schematic-and-kernel-args",
            "extra_kernel_args",
            "schematic and extra_kernel_args are both set",
            "write the arguments into customization.extraKernelArgs of the schematic",
        );
    }
    match Schematic::parse(yaml) {
        Ok(schematic) => Some(schematic),
        Err(error) => {
            findings.error(
                "schematic-syntax",
                "schematic",
                crate::provision::error::chain(&error),
                "correct the schematic; the Factory refuses what it does not know",
            );
            None
        }
    }
}

fn pin(config: &Value, findings: &mut Findings) {
    if let Some(text) = config.get("sha256").as_str()
        && (text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        findings.error(
            "image-syntax",
            "sha256",
            format!("{text:?} is not a SHA-256"),
            "write the 64 hex digits that sha256sum prints",
        );
    }
}

/// The strings of a list; `None` while one is unknown.
fn strings(value: &Value) -> Option<Vec<String>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    value.as_list()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests;
