//! A configuration and a patch, separated by a line of `=====`: the result can be read, or there is an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talosoci::talos::machine_config::MachineConfig;

fuzz_target!(|text: &str| {
    let (base, patch) = text.split_once("=====\n").unwrap_or(("machine: {}\n", text));
    let Ok(config) = MachineConfig::parse(base) else { return };
    if let Ok(patched) = config.patch(&[patch]) {
        MachineConfig::parse(&patched.config.to_yaml()).expect("what a patch leaves can be read");
    }
});
