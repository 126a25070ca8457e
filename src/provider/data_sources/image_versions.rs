//! `talosoci_image_versions`: what the Image Factory offers.

use async_trait::async_trait;

use crate::client::factory::{Factory, FactoryError, OfficialExtension};
use crate::provider::settings::{IMAGE_FACTORY, factory_url};
use crate::provider::{SharedSettings, current, diagnostics};
use crate::talos::version::{OLDEST, TalosVersion};
use crate::tfplugin::data_source::DataSource;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::path::Path;
use crate::tfplugin::provider::Context;
use crate::tfplugin::resource::Outcome;
use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::types::Type;
use crate::tfplugin::value::Value;

/// The data source.
pub struct ImageVersions {
    settings: SharedSettings,
}

impl ImageVersions {
    /// A data source of a provider with these settings.
    pub fn new(settings: SharedSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl DataSource for ImageVersions {
    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("talos_version")
                .optional()
                .description("Version whose extensions are listed. Default: `latest`, the newest of `versions`."),
            Attribute::bool("prereleases")
                .optional()
                .description("List alpha, beta and release candidate versions as well."),
            Attribute::string("image_factory_url")
                .optional()
                .description("Image Factory to ask. Default: that of the provider block."),
            Attribute::string("id").computed().description("Address of the Factory."),
            Attribute::list("versions", Type::String).computed().description(
                "Talos versions that the Factory serves and this provider is for (v1.12 and later), oldest first.",
            ),
            Attribute::string("latest").computed().description("The newest of `versions`."),
            Attribute::list_of_objects(
                "extensions",
                [
                    Attribute::string("name").computed().description("Name, such as `siderolabs/tailscale`."),
                    Attribute::string("reference").computed().description("Its image."),
                    Attribute::string("description").computed().description("What it is for."),
                ],
            )
            .computed()
            .description("Official system extensions of `talos_version`."),
        ])
        .description("Talos versions, and the system extensions of one of them, as the Image Factory lists them.")
    }

    async fn read(&self, _ctx: &Context, config: Value) -> Outcome {
        let settings = current(&self.settings);
        let address =
            config.get("image_factory_url").as_str().or(settings.image_factory_url.value().map(String::as_str));
        let base = match factory_url(address.unwrap_or(IMAGE_FACTORY)) {
            Ok(base) => base,
            Err(problem) => return wrong("image_factory_url", "Invalid Image Factory Address", problem),
        };
        let version = match config.get("talos_version").as_str().map(str::parse::<TalosVersion>).transpose() {
            Ok(version) => version,
            Err(error) => return wrong("talos_version", "Invalid Talos Version", format!("{error}.")),
        };
        let asked = ask(&base, version, config.get("prereleases").as_bool() == Some(true)).await;
        match asked {
            Ok(offer) => Outcome::state(offer.store(config, base.as_str())),
            Err(error) => Outcome::failed(diagnostics::error("Image Factory Cannot Be Asked", &error, &error.hints())),
        }
    }
}

/// What the Factory offers.
struct Offer {
    versions: Vec<TalosVersion>,
    of: Option<TalosVersion>,
    extensions: Vec<OfficialExtension>,
}

async fn ask(base: &url::Url, version: Option<TalosVersion>, prereleases: bool) -> Result<Offer, FactoryError> {
    let factory = Factory::new(base)?;
    let mut versions = factory.versions().await?;
    versions.retain(|version| version.minor_pair() >= OLDEST && (prereleases || version.pre.is_none()));
    versions.sort();
    let of = version.or(versions.last().cloned());
    let extensions = match &of {
        Some(version) => factory.extensions(version).await?,
        None => Vec::new(),
    };
    Ok(Offer { versions, of, extensions })
}

impl Offer {
    fn store(self, mut state: Value, base: &str) -> Value {
        state.set("id", base);
        state.set("latest", self.versions.last().map_or(Value::Null, |version| version.to_string().into()));
        state.set("versions", Value::list(self.versions.iter().map(ToString::to_string)));
        if state.get("talos_version").is_null() {
            tracing::debug!(of = ?self.of.map(|version| version.to_string()), "extensions of the latest version");
        }
        state.set(
            "extensions",
            Value::list(self.extensions.into_iter().map(|extension| {
                Value::object([
                    ("name", extension.name.into()),
                    ("reference", extension.reference.into()),
                    ("description", extension.description.trim().into()),
                ])
            })),
        );
        state
    }
}

fn wrong(attribute: &str, summary: &str, detail: String) -> Outcome {
    Outcome::failed(Diagnostic::error(summary, detail).at(Path::root().attribute(attribute)))
}
