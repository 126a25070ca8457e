//! The text that is hashed.

use super::Schematic;
use crate::yaml::{Emit, emit, is_base60, is_old_bool};

pub(super) fn yaml(schematic: &Schematic) -> String {
    emit(&root(schematic))
}

/// go-yaml v3 to v4-rc.3 double-quoted these strings; later ones single-quote them, and the Factory moved along.
/// Blanks around a line feed moved too: from a literal block to a quoted string.
pub(super) fn depends_on_release(schematic: &Schematic) -> bool {
    root(schematic).iter().any(|(_, value)| differs(value))
}

fn differs(value: &Emit) -> bool {
    match value {
        Emit::Bare(_) => false,
        Emit::Text(text) => {
            let only_blanks = text.contains('\n') && text.chars().all(char::is_whitespace);
            is_old_bool(text) || is_base60(text) || text == "<<" || only_blanks
        }
        Emit::List(items) => items.iter().any(differs),
        Emit::Map(pairs) => pairs.iter().any(|(key, value)| differs(&Emit::Text(key.clone())) || differs(value)),
    }
}

fn root(schematic: &Schematic) -> Vec<(String, Emit)> {
    let mut root = Fields::default();
    root.text("owner", &schematic.owner);
    root.map("overlay", overlay(schematic));
    // Always there, even when empty.
    root.0.push(("customization".into(), Emit::Map(customization(schematic).0)));
    root.0
}

fn overlay(schematic: &Schematic) -> Fields {
    let overlay = &schematic.overlay;
    let mut fields = Fields::default();
    if !(overlay.image.is_empty() && overlay.name.is_empty() && overlay.options.is_empty()) {
        fields.0.push(("image".into(), Emit::Text(overlay.image.clone())));
        fields.0.push(("name".into(), Emit::Text(overlay.name.clone())));
        fields.map("options", Fields(overlay.options.clone()));
    }
    fields
}

fn customization(schematic: &Schematic) -> Fields {
    let mut extensions = Fields::default();
    extensions.texts("officialExtensions", &schematic.extensions);
    let mut secureboot = Fields::default();
    secureboot.text("enrollKeys", &schematic.enroll_keys);
    if schematic.well_known_certificates {
        secureboot.bare("includeWellKnownCertificates", "true");
    }
    let mut disk_image = Fields::default();
    if schematic.sector_size != 0 {
        disk_image.bare("sectorSize", &schematic.sector_size.to_string());
    }
    let mut fields = Fields::default();
    fields.text("embeddedMachineConfiguration", &schematic.embedded_machine_configuration);
    fields.texts("extraKernelArgs", &schematic.extra_kernel_args);
    fields.list("meta", meta(schematic));
    fields.map("systemExtensions", extensions);
    fields.text("bootloader", &schematic.bootloader);
    fields.map("secureboot", secureboot);
    fields.map("diskImage", disk_image);
    fields
}

fn meta(schematic: &Schematic) -> Vec<Emit> {
    let value = |meta: &super::Meta| {
        Emit::Map(vec![
            ("key".into(), Emit::Bare(meta.key.to_string())),
            ("value".into(), Emit::Text(meta.value.clone())),
        ])
    };
    schematic.meta.iter().map(value).collect()
}

/// A mapping under construction that leaves empty fields out.
#[derive(Default)]
struct Fields(Vec<(String, Emit)>);

impl Fields {
    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.0.push((key.into(), Emit::Text(text.into())));
        }
    }

    fn bare(&mut self, key: &str, text: &str) {
        self.0.push((key.into(), Emit::Bare(text.into())));
    }

    fn texts(&mut self, key: &str, texts: &[String]) {
        self.list(key, texts.iter().cloned().map(Emit::Text).collect());
    }

    fn list(&mut self, key: &str, items: Vec<Emit>) {
        if !items.is_empty() {
            self.0.push((key.into(), Emit::List(items)));
        }
    }

    fn map(&mut self, key: &str, fields: Fields) {
        if !fields.0.is_empty() {
            self.0.push((key.into(), Emit::Map(fields.0)));
        }
    }
}
