//! Attributes of `talosoci_image`.

use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::types::Type;
use crate::tfplugin::validator::{not_empty, one_of};

/// The schema.
pub fn schema() -> Schema {
    Schema::new([
        Attribute::string("talos_version").required().description("Talos version, such as `v1.12.2`; at least v1.12."),
        Attribute::string("architecture")
            .optional()
            .default("arm64")
            .validate(one_of(&["arm64", "amd64"]))
            .description("Processor: `arm64` (A1, A2 shapes) or `amd64`."),
        Attribute::string("platform")
            .optional()
            .default("oracle")
            .validate(not_empty)
            .description("Platform of the image."),
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
        output(),
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

fn output() -> Attribute {
    Attribute::object(
        "output",
        [
            Attribute::string("path").required().description(
                "Path of the file; its directory is made when there is none. A file that is there is replaced, in one \
                 step, when the new one is complete.",
            ),
            Attribute::string("format").optional().default("raw.xz").validate(one_of(&["raw.xz", "oci"])).description(
                "`raw.xz`: the compressed disk image as it was downloaded. `oci`: the archive that OCI imports as a custom \
                 image, with the disk as `PLATFORM-ARCHITECTURE.qcow2` and an `image_metadata.json` that asks for UEFI \
                 (`UEFI_64`) and, for arm64, names the shapes `VM.Standard.A1.Flex` and `VM.Standard.A2.Flex`. For amd64 it \
                 names no shapes: add them in the console.",
            ),
            Attribute::string("sha256").computed().description("SHA-256 of the file."),
            Attribute::number("size").computed().description("Size of the file in bytes."),
        ],
    )
    .optional()
    .description(
        "The image as a file. It is downloaded once for the file and for all nodes, and decoded to its end before the file \
         is there. The same image always gives the same bytes.\n\n\
         The file belongs to the resource. Gone or changed, it is written again by the next apply; with another `path` \
         the old one is removed after the new one was written; without `output`, or with the resource, it is removed. A \
         file is only removed while its SHA-256 is that of what was written: whatever else is there is left alone, with a \
         warning.\n\n\
         ~> **Importing into OCI.** As of Talos v1.13, OCI takes the archive, but the custom image does not boot: \
         with UEFI firmware it ends in the UEFI shell, with BIOS in a blank screen (siderolabs/talos#12557, \
         #10833, #9161; siderolabs/docs#659). Talos' pages for v1.14 import a stream-optimised VMDK instead (`qemu-img \
         convert -f qcow2 -O vmdk -o subformat=streamOptimized`, then `oci compute image import from-object \
         --source-image-type VMDK --launch-mode PARAVIRTUALIZED --operating-system Talos`), which OCI starts with BIOS \
         firmware: that is no way for arm64 shapes, which only have UEFI. Until this is mended upstream, flashing \
         (`talosoci_node`) is the road that works on A1 and A2.",
    )
}
