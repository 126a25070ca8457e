//! What the benches with a real CLI share: running it, and watching how much memory the provider takes.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// What the provider's processes cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Largest resident set of any (`VmHWM`).
    pub peak_mib: f64,
    /// Of all together, as far as it was seen: looks are 20 ms apart.
    pub processor: Duration,
}

/// Looks for processes of our binary again and again.
pub struct Watch {
    done: Arc<AtomicBool>,
    looks: std::thread::JoinHandle<Cost>,
}

impl Watch {
    pub fn start() -> Self {
        let done = Arc::new(AtomicBool::default());
        let stop = Arc::clone(&done);
        let looks = std::thread::spawn(move || {
            let (mut peak, mut times) = (0, BTreeMap::new());
            while !stop.load(Ordering::Relaxed) {
                for process in ours() {
                    peak = peak.max(peak_kib(&process));
                    let time = processor_time(&process);
                    let last = times.entry(process).or_insert(time);
                    *last = time.max(*last);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Cost { peak_mib: f64::from(peak) / 1024.0, processor: times.values().sum() }
        });
        Self { done, looks }
    }

    pub fn end(self) -> Cost {
        self.done.store(true, Ordering::Relaxed);
        self.looks.join().unwrap_or_default()
    }
}

/// Processes of our binary, as folders of /proc.
fn ours() -> Vec<PathBuf> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let ours = |process: &PathBuf| fs::read_link(process.join("exe")).is_ok_and(|exe| exe == Path::new(BINARY));
    processes.filter_map(Result::ok).map(|entry| entry.path()).filter(ours).collect()
}

fn peak_kib(process: &Path) -> u32 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system time of a process: fields 14 and 15 of proc(5)'s stat, in hundredths of a second.
pub fn processor_time(process: &Path) -> Duration {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>()).unwrap_or_default();
    let ticks = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(ticks * 10)
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
