//! How long a flash takes, against what the guide does: `curl | xzcat | dd` over the `ssh` command, to the same disk.
//!
//! `cargo bench --bench flash`, as root for loop devices (otherwise the disk is a file), with an OpenSSH server installed.
//! The image is that of `benches/guide.rs`; about 22 GB below the directory for temporary files are needed.
//!
//! - `TALOSOCI_BENCH_IMAGE`: an `.xz` file to be used instead of the guide's.
//! - `TALOSOCI_BENCH_THROTTLE`: MiB a second that the disk takes and gives, as the OCI volume of the guide's instance does
//!   with 24 (root, cgroup v1; the guide's way takes more than six minutes then).
//! - `TALOSOCI_BENCH_DISKS`: `clean`, `dirty` or both (`clean,dirty`).
//!
//! Ours does all that a create does from an empty cache: it downloads, decodes once into a prepared image, writes that, and reads
//! back and compares everything it wrote; the guide's way does not. Ours runs in a process of its own, which is how its peak
//! memory is known.

use std::{
    env, error,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use talosoci::client::cache::{ImageCache, Wanted};
use talosoci::client::factory::Factory;
use talosoci::client::rescue::flash::{FlashOptions, flash};
use talosoci::client::rescue::probe::{Requirements, probe, refuse};
use talosoci::client::rescue::session::{Auth, HostKeyPolicy, Session, Target};
use talosoci::disk_image::ZeroMode;
use talosoci::talos::image::Architecture;
use talosoci::talos::secret::Secret;
use tokio_util::sync::CancellationToken;

mod guide;
#[allow(dead_code)]
#[path = "../tests/it/flash/sshd.rs"]
mod sshd;

use sshd::{Shell, Sshd, output};

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().position(|argument| argument == OURS) {
        Some(at) => ours(&arguments[at + 1..]),
        None => compare(),
    }
}

#[allow(clippy::print_stdout)]
fn compare() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let image = guide::image(scratch.path())?;
    let url = serve(&image)?;
    let throttle: Option<u64> = env::var("TALOSOCI_BENCH_THROTTLE").ok().map(|text| text.parse()).transpose()?;
    let disks = env::var("TALOSOCI_BENCH_DISKS").unwrap_or_else(|_| "clean,dirty".into());
    let Some(sshd) = Sshd::start(Shell::Dash) else { return Ok(()) };
    println!(
        "{} of .xz; disk {}",
        fs::metadata(&image)?.len(),
        throttle.map_or("unthrottled".into(), |t| format!("throttled to {t} MiB/s"))
    );
    println!(
        "| disk | way | seconds | x guide | written MB | zeroed MB | verified MB | peak MiB |\n|---|---|---|---|---|---|---|---|"
    );
    for state in disks.split(',') {
        let mut rival = None;
        for way in WAYS {
            let disk = Disk::make(scratch.path(), state == "dirty", throttle)?;
            let (seconds, rest) = if way == GUIDE {
                (guides_way(&sshd, &url, &disk.path)?, String::new())
            } else {
                contend(&sshd, &url, &disk.path, way)?
            };
            let rival = *rival.get_or_insert(seconds);
            println!(
                "| {state} | {way} | {seconds:.2} | {:.3} | {}",
                seconds / rival,
                if rest.is_empty() { "| | | |".into() } else { rest }
            );
        }
    }
    Ok(())
}

/// As the guide says it, but for the errors that it would not notice.
fn guides_way(sshd: &Sshd, url: &str, disk: &str) -> Result<f64> {
    let target = sshd.target();
    fs::write(sshd.path("known_hosts"), format!("[127.0.0.1]:{} {}", target.port, sshd.public("host_ed25519")))?;
    let start = Instant::now();
    let status = Command::new("ssh")
        .args(["-p", &target.port.to_string(), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", sshd.path("known_hosts").display()))
        .arg("-i")
        .arg(sshd.path("user"))
        .arg(format!("{}@127.0.0.1", target.user))
        .arg(format!("curl -sSfL --noproxy '*' {url} | xzcat | dd of={disk} bs=4M conv=fsync status=none"))
        .stdin(Stdio::null())
        .status()?;
    let seconds = start.elapsed().as_secs_f64();
    if status.success() { Ok(seconds) } else { Err("the guide's way failed".into()) }
}

fn contend(sshd: &Sshd, url: &str, disk: &str, way: &str) -> Result<(f64, String)> {
    let target = sshd.target();
    let key = sshd.path("user");
    let output = Command::new(env::current_exe()?)
        .args([OURS, way, url, disk, &target.user, &target.port.to_string()])
        .arg(key)
        .arg(sshd.path("host_ed25519.pub"))
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let (seconds, rest) = text.trim().split_once(' ').ok_or("ours failed")?;
    Ok((seconds.parse()?, rest.to_owned()))
}

/// Connects, looks, downloads, prepares, flashes, and prints seconds and the rest of the table's row.
#[allow(clippy::print_stdout)]
#[tokio::main]
async fn ours(arguments: &[String]) -> Result<()> {
    let [way, url, disk, user, port, key, host_key, ..] = arguments else { return Err("arguments".into()) };
    let start = Instant::now();
    let target = Target {
        host: "127.0.0.1".into(),
        port: port.parse()?,
        user: user.clone(),
        auth: Auth::PrivateKey(Secret::new(fs::read_to_string(key)?)),
        host_key: HostKeyPolicy::Pinned(vec![fs::read_to_string(host_key)?]),
    };
    let session = Session::connect(&target, Duration::from_secs(10)).await?;
    let facts = probe(&session, disk).await?;
    refuse(&facts, &Requirements::new(Architecture::Amd64).on_a_file())?;
    let url = url.parse()?;
    let factory = Factory::new(&url)?;
    let folder = tempfile::tempdir()?;
    let wanted = Wanted { factory: &factory, url: &url, pinned: None };
    let image = ImageCache::at(folder.path()).prepare(wanted, &|_| ()).await?;
    let zero = way.rsplit(' ').next().unwrap_or_default().parse::<ZeroMode>()?;
    let options = FlashOptions { zero, ..FlashOptions::default() };
    let done = flash(&session, &facts, &image, &options, &|_| (), &CancellationToken::new()).await?;
    let seconds = start.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak memory")?;
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    let mb = |bytes: u64| bytes / 1_000_000;
    println!(
        "{seconds} {} | {} | {} | {:.1} |",
        mb(done.written_bytes),
        mb(done.zeroed_bytes),
        mb(done.verified_bytes),
        peak / 1024.0
    );
    Ok(())
}

/// A disk of 10 GiB: a loop device for root, a file otherwise.
struct Disk {
    file: PathBuf,
    path: String,
    attached: bool,
}

impl Disk {
    fn make(scratch: &Path, dirty: bool, throttle: Option<u64>) -> Result<Self> {
        let file = scratch.join("disk");
        let _ = fs::remove_file(&file);
        File::create(&file)?.set_len(DISK_SIZE)?;
        if dirty {
            let fill = format!(
                "yes 'what was here before' | dd of={} bs=1M count={} iflag=fullblock conv=fsync status=none",
                file.display(),
                DISK_SIZE >> 20
            );
            Command::new("sh").args(["-c", &fill]).status()?;
        }
        output("sync", &[]);
        let path = if output("id", &["-u"]) == "0" {
            output("losetup", &["--find", "--show", file.to_str().ok_or("path")?])
        } else {
            String::new()
        };
        let disk = Self {
            attached: !path.is_empty(),
            path: if path.is_empty() { file.display().to_string() } else { path },
            file,
        };
        if let Some(throttle) = throttle {
            disk.throttle(throttle)?;
        }
        Ok(disk)
    }

    /// For every process: what goes through the page cache is written by the kernel's own.
    fn throttle(&self, mib: u64) -> Result<()> {
        let number = output("lsblk", &["-dno", "MAJ:MIN", &self.path]);
        for direction in ["read", "write"] {
            fs::write(
                format!("/sys/fs/cgroup/blkio/blkio.throttle.{direction}_bps_device"),
                format!("{number} {}", mib << 20),
            )?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.attached {
            // Zero takes the throttle away; a loop device keeps its number.
            let _ = self.throttle(0);
            output("losetup", &["--detach", &self.path]);
        }
        let _ = fs::remove_file(&self.file);
    }
}

/// Serves one file over HTTP, as the Factory does without a CDN; gives its URL.
fn serve(file: &Path) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/image.raw.xz", listener.local_addr()?);
    let file = file.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let file = file.clone();
            std::thread::spawn(move || answer(stream, &file));
        }
    });
    Ok(url)
}

fn answer(mut stream: std::net::TcpStream, file: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut file = File::open(file)?;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", file.metadata()?.len())?;
    io::copy(&mut file, &mut stream)?;
    Ok(())
}

const OURS: &str = "--ours";
const GUIDE: &str = "guide: curl, xzcat, dd";
const WAYS: [&str; 3] = [GUIDE, "ours, zero: partitions", "ours, zero: needed"];
const DISK_SIZE: u64 = 10 << 30;
