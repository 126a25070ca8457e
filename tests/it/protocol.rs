//! The plugin protocol as a host meets it: real processes, real sockets, and Terraform itself when it is installed.

mod demo_provider;
mod go_plugin_client;
mod host;
mod lifetime;
mod terraform;
