//! The provider's process.

use std::process::ExitCode;

use talosoci::provider::Talosoci;
use talosoci::tfplugin::serve::{self, Program};

const PROGRAM: Program = Program {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "a provider plugin; Terraform or OpenTofu starts it. By hand: `watch` shows what running applies do",
    source: "talosoci/talosoci",
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("watch") {
        return talosoci::watch::main(arguments);
    }
    serve::main(&PROGRAM, Talosoci::new)
}
