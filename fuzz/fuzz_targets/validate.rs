//! Whatever can be read can be validated, in every mode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talosoci::talos::machine_config::{MachineConfig, Mode};

fuzz_target!(|text: &str| {
    let Ok(config) = MachineConfig::parse(text) else { return };
    for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
        let _ = config.validate(mode);
    }
    let _ = config.unknown_to((1, 12));
});
