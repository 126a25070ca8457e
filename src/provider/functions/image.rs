//! Functions on images and schematics.

use async_trait::async_trait;
use url::Url;

use super::{blame, string};
use crate::provider::settings::IMAGE_FACTORY;
use crate::talos::image::{Architecture, InstallerReference, disk_image_url, registry_of};
use crate::talos::schematic::{Schematic, SchematicId};
use crate::talos::version::TalosVersion;
use crate::tfplugin::function::{Function, FunctionError, Parameter, Signature};
use crate::tfplugin::provider::Context;
use crate::tfplugin::types::Type;
use crate::tfplugin::value::Value;

/// Platform of every image that these functions name.
const PLATFORM: &str = "oracle";

/// `schematic_id(yaml)`.
pub struct SchematicIdOf;

/// `image_url(schematic_id, talos_version, architecture)`.
pub struct ImageUrl;

/// `installer_image(schematic_id, talos_version)`.
pub struct InstallerImage;

fn id_parameter() -> Parameter {
    Parameter::new("schematic_id", Type::String).description("Schematic id: 64 hex digits.")
}

fn version_parameter() -> Parameter {
    Parameter::new("talos_version", Type::String).description("Talos version, such as `v1.12.2`.")
}

fn id(arguments: &[Value]) -> Result<SchematicId, FunctionError> {
    string(arguments, 0)?.parse().map_err(|error| blame(0, &error))
}

fn version(arguments: &[Value]) -> Result<TalosVersion, FunctionError> {
    string(arguments, 1)?.parse().map_err(|error| blame(1, &error))
}

fn factory() -> Result<Url, FunctionError> {
    Url::parse(IMAGE_FACTORY).map_err(|error| FunctionError::new(error.to_string()))
}

#[async_trait]
impl Function for SchematicIdOf {
    fn signature(&self) -> Signature {
        let yaml = Parameter::new("yaml", Type::String).description("A schematic as YAML.");
        Signature::new([yaml], Type::String).summary("Computes the id of a schematic").description(
            "The id that the Image Factory gives a schematic: SHA-256 of its canonical YAML. What the Factory would refuse \
             is refused. Strings such as `yes` or `on` hash differently between Factory releases; they are refused too, \
             since no id would be right everywhere.",
        )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let schematic = Schematic::parse(string(&arguments, 0)?).map_err(|error| blame(0, &error))?;
        if schematic.id_depends_on_factory_release() {
            return Err(FunctionError::argument(
                0,
                "the schematic holds a string such as yes or on, whose id differs between releases of the Factory: use a \
                 talosoci_image resource, which asks the Factory",
            ));
        }
        Ok(schematic.id().to_string().into())
    }
}

#[async_trait]
impl Function for ImageUrl {
    fn signature(&self) -> Signature {
        let architecture = Parameter::new("architecture", Type::String).description("`arm64` or `amd64`.");
        Signature::new([id_parameter(), version_parameter(), architecture], Type::String)
            .summary("Names the disk image of a schematic")
            .description("URL of the compressed Oracle Cloud disk image of a schematic in the public Image Factory.")
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let architecture = match string(&arguments, 2)? {
            "arm64" => Architecture::Arm64,
            "amd64" => Architecture::Amd64,
            other => {
                return Err(FunctionError::argument(2, format!("architecture {other:?} is not one of arm64, amd64")));
            }
        };
        let (id, version) = (id(&arguments)?, version(&arguments)?);
        Ok(disk_image_url(&factory()?, &id, &version, PLATFORM, architecture, false).to_string().into())
    }
}

#[async_trait]
impl Function for InstallerImage {
    fn signature(&self) -> Signature {
        Signature::new([id_parameter(), version_parameter()], Type::String)
            .summary("Names the installer of a schematic")
            .description(
                "Installer image for Oracle Cloud with a schematic and version. The plain `installer` is for bare metal and \
                 would turn the node away from Oracle Cloud.",
            )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let (id, version) = (id(&arguments)?, version(&arguments)?);
        Ok(InstallerReference::new(registry_of(&factory()?), PLATFORM, false, id, version).to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";

    async fn call(function: &dyn Function, arguments: &[&str]) -> Result<String, FunctionError> {
        let arguments = arguments.iter().map(|text| Value::from(*text)).collect();
        let value = function.call(&Context::default(), arguments).await?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn the_guides_schematic_has_its_id_url_and_installer() {
        let yaml = "customization:\n  systemExtensions:\n    officialExtensions: [siderolabs/tailscale]\n";
        assert_eq!(call(&SchematicIdOf, &[yaml]).await.unwrap(), GUIDE);
        assert_eq!(
            call(&ImageUrl, &[GUIDE, "v1.12.2", "arm64"]).await.unwrap(),
            format!("https://factory.talos.dev/image/{GUIDE}/v1.12.2/oracle-arm64.raw.xz")
        );
        assert_eq!(
            call(&InstallerImage, &[GUIDE, "1.12.2"]).await.unwrap(),
            format!("factory.talos.dev/oracle-installer/{GUIDE}:v1.12.2")
        );
    }

    #[tokio::test]
    async fn a_bad_argument_is_blamed_by_its_position() {
        assert_eq!(call(&ImageUrl, &["abc", "v1.12.2", "arm64"]).await.unwrap_err().argument, Some(0));
        assert_eq!(call(&ImageUrl, &[GUIDE, "latest", "arm64"]).await.unwrap_err().argument, Some(1));
        assert_eq!(call(&ImageUrl, &[GUIDE, "v1.12.2", "riscv"]).await.unwrap_err().argument, Some(2));
        assert_eq!(call(&SchematicIdOf, &["customisation: {}"]).await.unwrap_err().argument, Some(0));
    }
}
