//! What the benches with a real CLI share: running it, and watching how much memory the provider takes.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The provider.
pub const BINARY: &str = env!("CARGO_BIN_EXE_terraform-provider-talosoci");

/// The guide's worker.
pub const CONFIG: &str = include_str!("../tests/golden/guide/expected-talhelper-3.1.16.yaml");

/// And its cluster.
pub const SECRETS: &str = include_str!("../tests/golden/guide/talsecret.yaml");

pub type Outcome = Result<(), Box<dyn Error>>;

/// Makes the CLI take our binary without an init.
pub fn override_provider(folder: &Path) -> Outcome {
    let binaries = Path::new(BINARY).parent().ok_or("the binary lies in no folder")?;
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"talosoci/talosoci\" = {binaries:?}\n  }}\n  direct {{}}\n}}\n"
    );
    fs::write(folder.join("cli.tfrc"), overrides)?;
    Ok(())
}

/// Runs the CLI in a folder, with more in its environment.
pub fn run(cli: &Path, folder: &Path, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Outcome {
    let output = Command::new(cli)
        .args(arguments)
        .current_dir(folder)
        .env("TF_CLI_CONFIG_FILE", folder.join("cli.tfrc"))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TALOSCONFIG")
        .env_remove("KUBECONFIG")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// Looks for processes of our binary and remembers the largest resident set (`VmHWM`) of any.
pub struct Watch {
    done: Arc<AtomicBool>,
    peak_kib: Arc<AtomicU64>,
}

impl Watch {
    pub fn start() -> Self {
        let watch = Self { done: Arc::default(), peak_kib: Arc::default() };
        let (done, peak) = (Arc::clone(&watch.done), Arc::clone(&watch.peak_kib));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(largest(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        watch
    }

    pub fn peak_mib(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        self.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

fn largest() -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let ours = |process: &Path| fs::read_link(process.join("exe")).is_ok_and(|exe| exe == Path::new(BINARY));
    processes
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| ours(path))
        .filter_map(|path| fs::read_to_string(path.join("status")).ok())
        .filter_map(|status| {
            status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
        })
        .max()
        .unwrap_or(0)
}

pub fn cli() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TF_ACC_TERRAFORM_PATH") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    ["tofu", "terraform"]
        .into_iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

pub fn say(line: &str) {
    // A closed output is the reader's wish.
    let _ = writeln!(std::io::stdout(), "{line}");
}
