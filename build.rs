//! Compiles `proto/` into the messages and services of `src/wire`, with protox instead of an installed `protoc`.

use std::error::Error;

const FILES: &[&str] = &[
    "tfplugin6.proto",
    "goplugin/broker.proto",
    "goplugin/controller.proto",
    "goplugin/health.proto",
    "goplugin/stdio.proto",
    "talos/cosi.proto",
    "talos/image.proto",
    "talos/lifecycle.proto",
    "talos/machine.proto",
    "talos/security.proto",
    "talos/storage.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto", "proto/talos"])?;
    tonic_prost_build::configure().build_transport(false).bytes(".machine").compile_fds(descriptors)?;
    Ok(())
}
