//! Boot entries: what an image or an installer brings with it.

use super::state::{BootEntry, Extension};
use crate::{
    sim::factory::{Catalog, Recipe, cmdline, extension_version},
    talos::{
        image::{InstallerReference, split_reference},
        version::TalosVersion,
    },
};

/// The entry in a factory's disk image.
pub fn entry_of_image(catalog: &Catalog, recipe: &Recipe) -> Option<BootEntry> {
    let version: TalosVersion = recipe.version.parse().ok()?;
    let extensions = extensions(catalog, &recipe.schematic, &version)?;
    Some(BootEntry {
        schematic: recipe.schematic.clone(),
        uki: format!("Talos-{version}.efi"),
        version,
        platform: recipe.platform.clone(),
        cmdline: recipe.cmdline.clone(),
        extensions,
    })
}

/// The entry that an installer image writes; the error is that of the registry. The kernel command line is baked into
/// the installer's UKI, so its platform is the installer's, not the running one's.
pub fn entry_of_installer(catalog: &Catalog, image: &str) -> Result<BootEntry, String> {
    if let Ok(reference) = image.parse::<InstallerReference>() {
        let id = reference.schematic.to_string();
        let platform = reference.platform.as_str();
        let recipe =
            catalog.recipe(&id, &reference.version.to_string(), platform, "arm64").map_err(|_| not_found(image))?;
        return entry_of_image(catalog, &recipe).ok_or_else(|| not_found(image));
    }
    let (name, tag, _) = split_reference(image);
    let version = tag.and_then(|tag| tag.parse::<TalosVersion>().ok()).ok_or_else(|| not_found(image))?;
    // Published for metal only, and no longer from 1.14 on.
    if name != "ghcr.io/siderolabs/installer" || version.minor_pair() >= (1, 14) {
        return Err(not_found(image));
    }
    Ok(BootEntry {
        schematic: String::new(),
        uki: format!("Talos-{version}.efi"),
        version,
        platform: "metal".to_owned(),
        cmdline: cmdline("metal", &[]),
        extensions: Vec::new(),
    })
}

/// The name of a new UKI beside the running one: `Talos-v1.12.2~1.efi` when the plain name is taken.
pub fn uki_beside(version: &TalosVersion, running: &str) -> String {
    let plain = format!("Talos-{version}.efi");
    if running == plain { format!("Talos-{version}~1.efi") } else { plain }
}

fn extensions(catalog: &Catalog, schematic: &str, version: &TalosVersion) -> Option<Vec<Extension>> {
    let known = catalog.schematic(schematic)?;
    let mut extensions: Vec<_> = known
        .extensions()
        .iter()
        .map(|name| Extension {
            name: name.trim_start_matches("siderolabs/").to_owned(),
            version: extension_version(name, version),
            author: "Sidero Labs".to_owned(),
            description: format!("[core] This system extension provides {}.", name.trim_start_matches("siderolabs/")),
            extra: String::new(),
        })
        .collect();
    extensions.push(Extension {
        name: "schematic".to_owned(),
        version: schematic.to_owned(),
        author: "Image Factory (https://factory.talos.dev)".to_owned(),
        description: "Virtual extension which specifies the schematic of the image built with Image Factory."
            .to_owned(),
        extra: known.canonical(),
    });
    Some(extensions)
}

fn not_found(image: &str) -> String {
    format!("failed to pull image {image:?}: failed to resolve reference {image:?}: {image}: not found")
}
