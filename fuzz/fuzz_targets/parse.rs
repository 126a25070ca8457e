//! Any text is a configuration or an error; what is written reads back to the same content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talosoci::talos::machine_config::{HashOptions, MachineConfig};

fuzz_target!(|text: &str| {
    let Ok(config) = MachineConfig::parse(text) else { return };
    let written = config.to_yaml();
    let again = MachineConfig::parse(&written).expect("what is written can be read");
    let options = HashOptions::default();
    assert_eq!(config.content_hash(&options), again.content_hash(&options));
    let _ = config.redacted();
    assert!(config.diff(&again).is_empty());
});
