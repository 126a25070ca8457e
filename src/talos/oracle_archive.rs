//! What Oracle Cloud wants to know of a custom image: `image_metadata.json` in an `.oci` archive.

use serde_json::{Value, json};

use super::image::Architecture;
use super::version::TalosVersion;

/// Name of the description in the archive.
pub const METADATA_NAME: &str = "image_metadata.json";

/// The description of an image, in the form of the Talos guide (v1.8 to v1.13): UEFI, everything paravirtualised, and for
/// arm64 the Ampere shapes. No list of the many amd64 shapes is made up.
pub fn metadata(version: &TalosVersion, architecture: Architecture) -> String {
    let paravirtualized = "PARAVIRTUALIZED";
    let shapes: Vec<Value> = match architecture {
        Architecture::Arm64 => ["VM.Standard.A1.Flex", "VM.Standard.A2.Flex"].map(shape).into(),
        Architecture::Amd64 => Vec::new(),
    };
    let metadata = json!({
        "version": 2,
        "externalLaunchOptions": {
            "firmware": "UEFI_64",
            "networkType": paravirtualized,
            "bootVolumeType": paravirtualized,
            "remoteDataVolumeType": paravirtualized,
            "localDataVolumeType": paravirtualized,
            "launchOptionsSource": paravirtualized,
            "pvAttachmentVersion": 2,
            "pvEncryptionInTransitEnabled": true,
            "consistentVolumeNamingEnabled": true,
        },
        "imageCapabilityData": null,
        "imageCapsFormatVersion": null,
        "operatingSystem": "Talos",
        "operatingSystemVersion": version.to_string().trim_start_matches('v'),
        "additionalMetadata": { "shapeCompatibilities": shapes },
    });
    format!("{metadata:#}\n")
}

fn shape(name: &str) -> Value {
    json!({ "internalShapeName": name, "ocpuConstraints": null, "memoryConstraints": null })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(architecture: Architecture) -> Value {
        serde_json::from_str(&metadata(&"v1.12.2".parse().unwrap(), architecture)).unwrap()
    }

    #[test]
    fn arm64_images_boot_by_uefi_on_ampere_shapes() {
        let metadata = parsed(Architecture::Arm64);
        assert_eq!(metadata["externalLaunchOptions"]["firmware"], "UEFI_64");
        assert_eq!(metadata["operatingSystemVersion"], "1.12.2");
        let shapes = metadata["additionalMetadata"]["shapeCompatibilities"].as_array().unwrap();
        let names: Vec<_> = shapes.iter().map(|shape| shape["internalShapeName"].as_str().unwrap()).collect();
        assert_eq!(names, ["VM.Standard.A1.Flex", "VM.Standard.A2.Flex"]);
    }

    #[test]
    fn no_shape_is_made_up_for_amd64() {
        assert_eq!(parsed(Architecture::Amd64)["additionalMetadata"]["shapeCompatibilities"], json!([]));
    }
}
