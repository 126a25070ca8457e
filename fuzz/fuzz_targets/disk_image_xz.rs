//! Any bytes as an image, in any chunks: no panic, no hang, and the same verdict and bytes as liblzma's own reader.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/disk_image/mod.rs"]
mod disk_image;
#[path = "oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [shape, file @ ..] = data else { return };
    oracle::compare(file, *shape);
});
