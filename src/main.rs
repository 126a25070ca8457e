//! The provider's process.

use std::process::ExitCode;

use talosoci::provider::Talosoci;
use talosoci::tfplugin::serve::{self, Program};

const PROGRAM: Program = Program {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "a provider plugin; Terraform or OpenTofu starts it, running it by hand does nothing",
    source: "talosoci/talosoci",
};

fn main() -> ExitCode {
    serve::main(&PROGRAM, Talosoci::new)
}
