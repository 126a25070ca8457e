//! Serves the provider to Terraform or OpenTofu.

use std::process::ExitCode;

fn main() -> ExitCode {
    talosoci::tfplugin::serve::run(talosoci::provider::ADDRESS, talosoci::provider::Talosoci::new())
}
