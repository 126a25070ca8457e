//! Whatever can be read can be validated, in every mode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talosoci::talos::machine_config::{MachineConfig, Mode};
use talosoci::talos::version::TalosVersion;

fuzz_target!(|text: &str| {
    let Ok(config) = MachineConfig::parse(text) else { return };
    for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
        let _ = config.validate(mode);
        for minor in 12..=14 {
            let _ = config.validate_for(mode, &TalosVersion::new(1, minor, 0));
        }
    }
    let _ = config.unknown_to((1, 12));
});
