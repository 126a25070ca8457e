//! What Terraform sees.

use std::sync::{Arc, RwLock};

use async_trait::async_trait;

use crate::provider::settings::Settings;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::function::Function;
use crate::tfplugin::provider::{Context, Provider};
use crate::tfplugin::resource::Resource;
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

/// The provider block: credentials and places that every resource may use.
pub mod settings;

/// From Terraform's values to the drafts of the node layer.
mod given;

/// Every error and finding becomes a diagnostic here, and nowhere else.
pub mod diagnostics;

/// Provider functions.
pub mod functions;

/// `talosoci_image`.
pub mod image;

/// `talosoci_node`.
pub mod node;

/// What [`Provider::configure`] learned, shared with the resources. Empty until then: the resources' validation runs
/// before the provider is configured.
pub type SharedSettings = Arc<RwLock<Option<Arc<Settings>>>>;

/// The provider.
#[derive(Default)]
pub struct Talosoci {
    settings: SharedSettings,
}

impl Talosoci {
    /// A provider that is not configured yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Provider for Talosoci {
    fn schema(&self) -> Schema {
        settings::schema()
    }

    async fn validate(&self, _ctx: &Context, config: &Value) -> Diagnostics {
        Settings::read(config).1
    }

    async fn configure(&self, _ctx: &Context, config: Value) -> Diagnostics {
        let (settings, diagnostics) = Settings::read(&config);
        // A poisoned lock means that a writer panicked between these two lines, where nothing can panic.
        *self.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(settings));
        diagnostics
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        vec![
            ("talosoci_image", Arc::new(image::ImageResource::new(self.settings.clone()))),
            ("talosoci_node", Arc::new(node::NodeResource::new(self.settings.clone()))),
        ]
    }

    fn functions(&self) -> Vec<(&'static str, Arc<dyn Function>)> {
        functions::all()
    }
}

/// The settings, or those of a provider that is not configured: everything unknown.
fn current(settings: &SharedSettings) -> Arc<Settings> {
    settings
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone()
        .unwrap_or_else(|| Arc::new(Settings::unconfigured()))
}
