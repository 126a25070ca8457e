//! Ephemeral resources: what is rendered, used and forgotten.

/// `talosoci_machine_configuration`.
mod machine_configuration;

pub use machine_configuration::MachineConfiguration;
