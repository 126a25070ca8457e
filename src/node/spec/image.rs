//! What the node runs, where the door says it.

use crate::node::door::Defaults;
use crate::node::draft::{Draft, ImageDraft};
use crate::node::given::Given;
use crate::node::spec::{Flash, Image};
use crate::talos::image::{Architecture, disk_image_url};

/// Platform of every image here.
const PLATFORM: &str = "oracle";

/// The user's image with what the door says where the user wrote nothing. With no image at all, the disk image is the
/// Factory's of the door's schematic and version.
pub(super) fn completed(draft: &Draft, defaults: &Defaults, flash: &Given<Flash>) -> Given<ImageDraft> {
    match (&draft.image, &defaults.image) {
        (Given::Absent, Given::Value(known)) => {
            let mut image = known.clone();
            if !matches!(flash, Given::Value(Flash::None)) {
                image.url = url(&image, draft);
            }
            Given::Value(image)
        }
        (Given::Absent, other) => other.clone(),
        (Given::Value(image), Given::Value(known)) => {
            let same = image.schematic_id.is_absent() || image.schematic_id == known.schematic_id;
            Given::Value(ImageDraft {
                talos_version: image.talos_version.clone().or(known.talos_version.clone()),
                schematic_id: image.schematic_id.clone().or(known.schematic_id.clone()),
                schematic_yaml: image.schematic_yaml.clone().or(if same {
                    known.schematic_yaml.clone()
                } else {
                    Given::Absent
                }),
                ..image.clone()
            })
        }
        (Given::Value(image), Given::Unknown) if image.talos_version.is_absent() || image.schematic_id.is_absent() => {
            Given::Unknown
        }
        (given, _) => given.clone(),
    }
}

fn url(image: &ImageDraft, draft: &Draft) -> Given<String> {
    let version = image.talos_version.value().and_then(|text| text.parse().ok());
    let schematic = image.schematic_id.value().and_then(|text| text.parse().ok());
    match (version, schematic, &draft.image_factory) {
        (Some(version), Some(schematic), Some(base)) => {
            Given::Value(disk_image_url(base, &schematic, &version, PLATFORM, Architecture::Arm64, false).to_string())
        }
        _ => Given::Unknown,
    }
}

/// Notes that no other resource makes the schematic known to the Image Factory.
pub(super) fn registering(mut image: Image, draft: &Draft, defaults: &Defaults) -> Image {
    image.unregistered = draft.image.is_absent() && defaults.schematic.is_some() && image.schematic_yaml.is_some();
    image
}
