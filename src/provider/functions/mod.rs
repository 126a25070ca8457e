//! Provider functions: pure, offline, usable in any expression.

use std::sync::Arc;

use crate::provision::error::chain;
use crate::tfplugin::function::{Function, FunctionError};
use crate::tfplugin::value::Value;

mod config;
mod image;
mod talconfig;

/// All functions, by name.
pub fn all() -> Vec<(&'static str, Arc<dyn Function>)> {
    vec![
        ("config_hash", Arc::new(config::ConfigHash)),
        ("image_url", Arc::new(image::ImageUrl)),
        ("installer_image", Arc::new(image::InstallerImage)),
        ("patch_config", Arc::new(config::PatchConfig)),
        ("redact_config", Arc::new(config::RedactConfig)),
        ("render_talconfig", Arc::new(talconfig::RenderTalconfig)),
        ("schematic_id", Arc::new(image::SchematicIdOf)),
        ("validate_config", Arc::new(config::ValidateConfig)),
    ]
}

/// The string at `index`. Terraform checks types before it calls.
fn string(arguments: &[Value], index: usize) -> Result<&str, FunctionError> {
    arguments.get(index).and_then(Value::as_str).ok_or_else(|| FunctionError::argument(index, "a string is required"))
}

/// Blames the argument at `index` for an error.
fn blame(index: usize, error: &dyn std::error::Error) -> FunctionError {
    FunctionError::argument(index, chain(error))
}
