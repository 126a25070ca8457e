//! What can be read without managing it.

use std::sync::Arc;

use crate::provider::SharedSettings;
use crate::tfplugin::data_source::DataSource;

/// `talosoci_image_versions`.
pub mod image_versions;

/// `talosoci_node_status`.
pub mod node_status;

/// All of them.
pub fn all(settings: &SharedSettings) -> Vec<(&'static str, Arc<dyn DataSource>)> {
    vec![
        ("talosoci_image_versions", Arc::new(image_versions::ImageVersions::new(settings.clone()))),
        ("talosoci_node_status", Arc::new(node_status::NodeStatus::new(settings.clone()))),
    ]
}
