//! How long the configuration engine takes for the guide's worker: parse, two patches, validate, hash.
//!
//! A plain program instead of a framework: `cargo bench --bench config`. The goal is under 1 ms on one core.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use talosoci::talos::machine_config::{HashOptions, MachineConfig, Mode};

const CONFIG: &str = include_str!("../tests/golden/guide/expected-talhelper-3.1.16.yaml");
const RESOLVER: &str = "apiVersion: v1alpha1\nkind: ResolverConfig\nnameservers:\n  - address: 1.1.1.1\n";
const MACHINE: &str = "machine:\n  certSANs: [cloudbox2.example]\n  kubelet:\n    nodeIP:\n      validSubnets: [10.0.1.0/24]\ncluster:\n  controlPlane:\n    endpoint: https://192.168.1.50:6443\n";
const ROUNDS: usize = 2000;

fn main() {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(once());
            start.elapsed()
        })
        .collect();
    times.sort();
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let (median, slow) = (micros(times[ROUNDS / 2]), micros(times[ROUNDS * 99 / 100]));
    let line = format!("config: parse + 2 patches + validate + hash: median {median:.1} µs, 99% {slow:.1} µs\n");
    std::io::stdout().write_all(line.as_bytes()).expect("a terminal or a pipe");
}

fn once() -> (String, usize) {
    let config = MachineConfig::parse(black_box(CONFIG)).expect("the guide's configuration");
    let patched = config.patch(&[RESOLVER, MACHINE]).expect("patches that fit").config;
    (patched.content_hash(&HashOptions::default()), patched.validate(Mode::Metal).len())
}
