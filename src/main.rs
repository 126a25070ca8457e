//! The provider's process.

use std::process::ExitCode;

use async_trait::async_trait;
use talosoci::tfplugin::{
    Context, Diagnostics, Provider, Schema, Value,
    serve::{self, Program},
};

const PROGRAM: Program = Program {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "a provider plugin; Terraform or OpenTofu starts it, running it by hand does nothing",
    source: "talosoci/talosoci",
};

fn main() -> ExitCode {
    serve::main(&PROGRAM, || Nothing)
}

/// Offers nothing yet.
struct Nothing;

#[async_trait]
impl Provider for Nothing {
    fn schema(&self) -> Schema {
        Schema::default()
    }

    async fn configure(&self, _: &Context, _: Value) -> Diagnostics {
        Diagnostics::new()
    }
}
