//! The image of the guide, for benches: `oracle-arm64.raw.xz` in shape and size.

use std::{
    env, error, fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

/// The file that `TALOSOCI_BENCH_IMAGE` names, or one made below `scratch`; that takes a minute and sgdisk, mkfs.fat,
/// mtools and xz.
pub fn image(scratch: &Path) -> Result<PathBuf> {
    env::var_os("TALOSOCI_BENCH_IMAGE").map_or_else(|| make(scratch), |path| Ok(PathBuf::from(path)))
}

/// Talos v1.12: the oracle image (pkg/imager/profile) with an EFI partition of 2101 MiB and META of 1 MiB.
fn make(scratch: &Path) -> Result<PathBuf> {
    let (raw, payload) = (scratch.join("guide.raw"), scratch.join("payload"));
    File::create(&raw)?.set_len(9192 << 20)?;
    let partitions = ["-n1:1M:+2101M", "-t1:ef00", "-c1:EFI", "-n2:0:+1M", "-c2:META"];
    tool(Command::new("sgdisk").args(partitions).arg(&raw))?;
    tool(Command::new("mkfs.fat").args(["-F", "32", "-n", "EFI", "--offset", "2048"]).arg(&raw).arg((2101 << 10).to_string()))?;
    fs::write(&payload, noise(137 << 20))?;
    let volume = format!("{}@@1M", raw.display());
    tool(Command::new("mmd").args(["-i", &volume, "::EFI", "::EFI/Linux"]))?;
    tool(Command::new("mcopy").args(["-i", &volume]).arg(&payload).arg("::EFI/Linux/talos.efi"))?;
    fs::remove_file(payload)?;
    tool(Command::new("xz").args(["-0", "-T0"]).arg(&raw))?;
    Ok(scratch.join("guide.raw.xz"))
}

fn tool(command: &mut Command) -> Result<()> {
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH")?);
    let output = command.env("PATH", path).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Bytes that no compressor shortens, the same in every run (xorshift64*).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let words = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    });
    words.take(len / 8).flat_map(u64::to_le_bytes).collect()
}
