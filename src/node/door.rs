//! The ways in which a configuration is given: as text, by talconfig.yaml, or as attributes. Exactly one is open.

use crate::node::checks::Open;
use crate::node::draft::{Draft, ImageDraft, Talconfig};
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::native;
use crate::talhelper::Rendered;
use crate::talos::machine_config::MachineConfig;
use crate::talos::pki::CertificateAndKey;
use crate::talos::schematic::Schematic;
use crate::talos::secret::Secret;

/// Where a configuration came from, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    attribute: &'static str,
    native: bool,
}

impl Place {
    /// The attribute to blame for what stands in `native` when the configuration is given as attributes.
    pub fn at(&self, native: &str) -> String {
        if self.native { native.to_owned() } else { self.attribute.to_owned() }
    }

    /// The attribute to blame for the whole.
    pub fn whole(&self) -> &'static str {
        self.attribute
    }
}

/// What came through a door.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The configuration before patches; with placeholders where something is [`Open`].
    pub config: Given<MachineConfig>,
    /// What of it is not known yet.
    pub open: Open,
    /// Where it came from.
    pub place: Place,
    /// What else is known from there.
    pub defaults: Defaults,
}

/// What a door tells beside the configuration; it counts where the user wrote nothing else.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The node's name.
    pub hostname: Given<String>,
    /// What the node runs.
    pub image: Given<ImageDraft>,
    /// The schematic, when nobody else makes it known to the Image Factory.
    pub schematic: Option<Schematic>,
    /// The disk that Talos lies on.
    pub disk: Given<String>,
    /// The authority of the Talos API, with its key.
    pub authority: Given<CertificateAndKey>,
}

/// Opens the one door that the draft has.
pub fn open(draft: &Draft, findings: &mut Findings) -> Opened {
    let native = !draft.machine.is_absent() || !draft.cluster.is_absent();
    let doors = [!draft.machine_configuration.is_absent(), !draft.talconfig.is_absent(), native];
    let place = |attribute, native| Place { attribute, native };
    // Which of the other attributes are missing depends on the door.
    let shut = |place| Opened { config: Given::Absent, open: Open::default(), place, defaults: unknown() };
    match doors {
        [true, false, false] => {
            text(&draft.machine_configuration, place(draft.machine_configuration_attribute, false), findings)
        }
        [false, true, false] => talconfig(&draft.talconfig, place("talconfig", false), findings),
        [false, false, true] => native::open(draft, place("machine", true), findings),
        [false, false, false] => {
            findings.error(
                "config-missing",
                "machine_configuration",
                "there is no machine configuration for the node",
                "set machine_configuration or machine_configuration_wo, or talconfig, or machine and cluster",
            );
            shut(place("machine_configuration", false))
        }
        [text, talconfig, _] => {
            let (first, blamed) = match (text, talconfig) {
                (true, true) => ("machine_configuration", "talconfig"),
                (true, false) => ("machine_configuration", "machine"),
                _ => ("talconfig", "machine"),
            };
            findings.error(
                "config-twice",
                blamed,
                format!("the machine configuration is given twice: by {first} and by {blamed}"),
                "keep one of machine_configuration, talconfig, and machine with cluster; config_patches lay over any of them",
            );
            shut(place(blamed, false))
        }
    }
}

fn text(given: &Given<Secret<String>>, place: Place, findings: &mut Findings) -> Opened {
    let config = match given {
        Given::Value(text) => match MachineConfig::parse(text.expose()) {
            Ok(config) => Given::Value(config),
            Err(error) => {
                findings.error(
                    "config-syntax",
                    place.whole(),
                    format!("the machine configuration is not one that Talos reads: {error}"),
                    "correct the configuration; `talosctl validate` and this provider apply the same rules",
                );
                Given::Absent
            }
        },
        Given::Unknown => Given::Unknown,
        Given::Absent => Given::Absent,
    };
    // A name that cannot be read is not missing.
    let hostname = if config.is_absent() { Given::Unknown } else { named(&config) };
    Opened { config, open: Open::default(), place, defaults: Defaults { hostname, ..Defaults::default() } }
}

fn talconfig(given: &Given<Talconfig>, place: Place, findings: &mut Findings) -> Opened {
    let (config, defaults) = match given {
        Given::Value(Ok(rendered)) => {
            for warning in &rendered.warnings {
                findings.warning(
                    "talconfig-trap",
                    place.whole(),
                    warning,
                    "change talconfig.yaml so that it says what is meant",
                );
            }
            (Given::Value(rendered.config.clone()), of_talconfig(rendered))
        }
        Given::Value(Err(error)) => {
            let hints = error.hints();
            let remedy = match hints.is_empty() {
                true => "correct the file".to_owned(),
                false => hints.join("; "),
            };
            findings.error("talconfig", place.whole(), crate::causes::chain(error.as_ref()), remedy);
            (Given::Absent, unknown())
        }
        Given::Unknown => (Given::Unknown, unknown()),
        Given::Absent => (Given::Absent, Defaults::default()),
    };
    Opened { config, open: Open::default(), place, defaults }
}

fn of_talconfig(rendered: &Rendered) -> Defaults {
    let image = rendered.schematic_id.as_ref().map(|id| ImageDraft {
        talos_version: Given::Value(rendered.talos_version.to_string()),
        schematic_id: Given::Value(id.to_string()),
        schematic_yaml: rendered.schematic.as_ref().map(Schematic::canonical).into(),
        installer: Given::Value(rendered.installer.clone()),
        ..ImageDraft::default()
    });
    let authority = &rendered.secrets.certs.os;
    Defaults {
        hostname: Given::Value(rendered.hostname.clone()),
        image: image.into(),
        schematic: rendered.schematic.clone(),
        disk: rendered.install_disk.clone().into(),
        authority: authority.has_key().then(|| authority.clone()).into(),
    }
}

/// Nothing is known yet, and everything may come: so nothing is missing either.
pub(super) fn unknown() -> Defaults {
    Defaults {
        hostname: Given::Unknown,
        image: Given::Unknown,
        schematic: None,
        disk: Given::Unknown,
        authority: Given::Unknown,
    }
}

/// The name that a configuration gives its node.
pub(super) fn named(config: &Given<MachineConfig>) -> Given<String> {
    match config {
        Given::Value(config) => config.hostname().into(),
        Given::Unknown => Given::Unknown,
        Given::Absent => Given::Absent,
    }
}
