//! Attributes of `talosoci_image`.

use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::types::Type;
use crate::tfplugin::validator::one_of;

/// The schema.
pub fn schema() -> Schema {
    Schema::new([
        Attribute::string("talos_version").required().description("Talos version, such as `v1.12.2`; at least v1.12."),
        Attribute::string("architecture")
            .optional()
            .default("arm64")
            .validate(one_of(&["arm64", "amd64"]))
            .description("Processor: `arm64` (A1, A2 shapes) or `amd64`."),
        Attribute::string("platform").optional().default("oracle").description("Platform of the image."),
        Attribute::list("extensions", Type::String).optional().description(
            "Official system extensions, such as `siderolabs/tailscale`. Their order counts for the schematic's id. At \
             most one of `extensions` and `schematic`.",
        ),
        Attribute::string("schematic").optional().description("The whole schematic, as YAML."),
        Attribute::list("extra_kernel_args", Type::String).optional().description(
            "Kernel arguments to add; a leading `-` removes a default one. With `schematic`, write them there.",
        ),
        Attribute::bool("secure_boot").optional().default(false).description("The flavour with signed boot."),
        Attribute::string("image_factory_url")
            .optional()
            .description("Image Factory. Default: that of the provider block."),
        Attribute::string("sha256").optional().description(
            "Pinned SHA-256 of the compressed disk image. The public Factory gives no digests, so this is what you \
             computed of an image you trust; a node refuses any other before its disk is touched.",
        ),
        Attribute::string("id").computed().description("The schematic id."),
        Attribute::string("schematic_id").computed().description("Id of the schematic: SHA-256 of its canonical YAML."),
        Attribute::string("schematic_yaml").computed().description("The schematic in canonical YAML."),
        Attribute::string("url").computed().description("The compressed disk image."),
        Attribute::string("installer").computed().description("Installer with the same schematic and version."),
        Attribute::number("size").computed().description("Size of the compressed disk image in bytes."),
    ])
    .description(
        "A Talos disk image of the Image Factory: a version, a platform and a schematic. Its id, URL and installer are \
         known at plan, without any network; at apply the schematic is registered and the image is built.",
    )
}
