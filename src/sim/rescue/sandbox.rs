//! The pretend root directory of a rescue host: its disks are files, its kernel facts are files, and its tools are the
//! real ones of this machine but for the few in `tools.sh` that would touch the real machine.
//!
//! What is real: the shell, `dd`, `sha256sum`, `cmp`, `xz`, `curl` and all other coreutils, run as the current user.
//! What is rewritten: the text of a command, by `enter.sh`, so that absolute paths below `/dev`, `/sys`, `/proc`, `/run`
//! and `/tmp` mean the pretend ones. What that cannot catch: a path that a program builds at run time from pieces.

use std::{
    fs, io,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::options::{DiskContent, RescueOptions, RescueRoot};

/// A prepared root directory.
#[derive(Debug)]
pub struct Sandbox {
    root: PathBuf,
    disk: String,
    real_dd: PathBuf,
    real_busybox: Option<PathBuf>,
}

impl Sandbox {
    /// Makes the directory below `parent`, with nothing but the machine's disk in it.
    pub fn create(parent: &Path, options: &RescueOptions) -> io::Result<Self> {
        let root = parent.join("rescue");
        fs::create_dir_all(root.join("dev"))?;
        let root = root.canonicalize()?;
        let real_dd = which("dd").ok_or_else(|| io::Error::other("this machine has no dd"))?;
        let sandbox = Self { root, disk: options.disk.clone(), real_dd, real_busybox: which("busybox") };
        let file = block_device(&sandbox.disk(), options.disk_bytes)?;
        if options.content == DiskContent::OldSystem {
            write_old_system(&file, options.disk_bytes)?;
        }
        Ok(sandbox)
    }

    /// Puts everything in that a rescue system needs; done once, by the first one that boots.
    pub fn furnish(&self, options: &RescueOptions) -> io::Result<()> {
        if self.control().exists() {
            return Ok(());
        }
        for directory in ["bin", "dev/disk/by-id", "dev/oracleoci", "etc", "home", "run/facts", "tmp", "proc", "sys"] {
            fs::create_dir_all(self.root.join(directory))?;
        }
        self.make_devices(options)?;
        self.write_facts(options)?;
        super::kernel::write(&self.root, options)?;
        self.link_tools(options)
    }

    /// Makes the file systems of all disks read-only, or as they are at the start.
    pub fn remount(&self, options: &RescueOptions, read_only: bool) -> io::Result<()> {
        super::kernel::write_mounts(&self.root, options, read_only)
    }

    /// The pretend `/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that is the machine's disk.
    pub fn disk(&self) -> PathBuf {
        self.root.join("dev").join(&self.disk)
    }

    /// Where the tools say `reboot` and `write …`, a line each: a named pipe.
    pub fn control(&self) -> PathBuf {
        self.root.join("run/control")
    }

    /// The real busybox, when this machine has one.
    pub fn real_busybox(&self) -> Option<&Path> {
        self.real_busybox.as_deref()
    }

    /// Limits what the disk takes, in bytes from its start; `None` is its size.
    pub fn limit_disk(&self, bytes: Option<u64>) -> io::Result<()> {
        self.set_fact(&format!("limit-{}", self.disk), bytes.map(|b| (b / 512).to_string()))
    }

    /// After each write, spoil this byte.
    pub fn flip_after_write(&self, offset: Option<u64>) -> io::Result<()> {
        self.set_fact(&format!("flip-{}", self.disk), offset.map(|o| o.to_string()))
    }

    fn set_fact(&self, name: &str, value: Option<String>) -> io::Result<()> {
        let path = self.root.join("run/facts").join(name);
        match value {
            Some(text) => fs::write(path, text + "\n"),
            None if path.exists() => fs::remove_file(path),
            None => Ok(()),
        }
    }

    fn make_devices(&self, options: &RescueOptions) -> io::Result<()> {
        if let RescueRoot::Disk(name) = &options.root
            && *name != options.disk
        {
            block_device(&self.root.join("dev").join(name), options.disk_bytes)?;
        }
        for (link, target) in [
            (format!("disk/by-id/scsi-{}", options.serial), format!("../../{}", options.disk)),
            ("oracleoci/oraclevda".to_owned(), format!("../{}", options.disk)),
        ] {
            symlink(target, self.root.join("dev").join(link))?;
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty", "stdin", "stdout", "stderr", "fd"] {
            symlink(Path::new("/dev").join(name), self.root.join("dev").join(name))?;
        }
        Ok(())
    }

    fn link_tools(&self, options: &RescueOptions) -> io::Result<()> {
        let bin = self.root.join("bin");
        // A directory of its own, so that the real one can be called by its plain name and prints that.
        fs::create_dir_all(self.root.join("real"))?;
        symlink(&self.real_dd, self.root.join("real/dd"))?;
        let script = self.root.join("tools.sh");
        fs::write(&script, TOOLS)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        fs::write(self.root.join("enter.sh"), ENTER.replace("@WRAPPED@", &WRAPPED.join("|")))?;
        let missing = |name: &&str| !options.missing_tools.iter().any(|gone| gone == name);
        let has_busybox = self.real_busybox.is_some();
        for name in WRAPPED.iter().filter(|name| missing(name) && (**name != "busybox" || has_busybox)) {
            symlink(&script, bin.join(name))?;
        }
        for name in REAL.iter().filter(|name| missing(name)) {
            if let Some(path) = which(name) {
                symlink(path, bin.join(name))?;
            }
        }
        let made = Command::new("mkfifo").arg("-m").arg("600").arg(self.control()).status()?;
        if made.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) }
    }

    fn write_facts(&self, options: &RescueOptions) -> io::Result<()> {
        self.set_fact("machine", Some(options.machine.clone()))?;
        self.set_fact("kernel", Some("6.8.0-1028-oracle".to_owned()))?;
        self.set_fact("hostname", Some(options.hostname.clone()))?;
        self.set_fact("dmi", Some("OracleCloud.com".to_owned()))?;
        self.set_fact("sudo", options.sudo.then(String::new))?;
        let direct = Command::new(&self.real_dd)
            .args(["if=/dev/zero", "bs=4096", "count=1", "oflag=direct"])
            .arg(format!("of={}", self.root.join("tmp/direct").display()))
            .output()?;
        self.set_fact("no-direct", (!direct.status.success()).then(String::new))
    }
}

/// A sparse file with the sticky bit, by which `enter.sh` tells pretend block devices from files.
fn block_device(path: &Path, bytes: u64) -> io::Result<fs::File> {
    let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(0o1660))?;
    Ok(file)
}

/// A disk that had another life: a protective MBR, junk where partitions were, and a stale backup table at the end.
fn write_old_system(file: &fs::File, bytes: u64) -> io::Result<()> {
    use crate::sim::factory::gpt;
    let partition = gpt::Partition {
        label: "cloudimg-rootfs".to_owned(),
        kind: gpt::TYPE_LINUX,
        id: [0x11; 16],
        first: gpt::FIRST_PARTITION,
        sectors: 4_194_304,
    };
    for (at, piece) in gpt::table([0x22; 16], bytes / gpt::SECTOR, &[partition]) {
        file.write_all_at(&piece, at)?;
    }
    let junk = [0xa5; 4096];
    let end = bytes.min(512 * 1024 * 1024);
    for at in (1024 * 1024..end).step_by(2 * 1024 * 1024) {
        file.write_all_at(&junk, at + 64 * 1024)?;
    }
    Ok(())
}

/// A program of this machine.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|path| path.is_file())
}

const TOOLS: &str = include_str!("tools.sh");
const ENTER: &str = include_str!("enter.sh");

/// Tools that `tools.sh` plays.
const WRAPPED: &[&str] = &[
    "arch",
    "blkdiscard",
    "blockdev",
    "busybox",
    "dd",
    "dmidecode",
    "findmnt",
    "free",
    "fstrim",
    "halt",
    "hostname",
    "id",
    "init",
    "ip",
    "lsblk",
    "modprobe",
    "mount",
    "nproc",
    "partprobe",
    "partx",
    "poweroff",
    "reboot",
    "shutdown",
    "sudo",
    "swapoff",
    "sync",
    "sysctl",
    "systemctl",
    "telinit",
    "udevadm",
    "umount",
    "uname",
    "whoami",
];

/// Tools of this machine that the rescue host has too, when they are here.
const REAL: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "bash",
    "blkid",
    "bzip2",
    "cat",
    "chmod",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "curl",
    "cut",
    "dash",
    "date",
    "diff",
    "dirname",
    "echo",
    "egrep",
    "env",
    "expr",
    "fallocate",
    "false",
    "fgrep",
    "file",
    "find",
    "fold",
    "grep",
    "gunzip",
    "gzip",
    "head",
    "hexdump",
    "kill",
    "ldd",
    "ln",
    "logger",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nl",
    "nohup",
    "numfmt",
    "od",
    "openssl",
    "paste",
    "perl",
    "pgrep",
    "pkill",
    "printf",
    "ps",
    "pv",
    "python3",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "sleep",
    "sort",
    "split",
    "stat",
    "stdbuf",
    "stty",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "uniq",
    "unxz",
    "unzstd",
    "wc",
    "wget",
    "which",
    "xargs",
    "xxd",
    "xz",
    "xzcat",
    "yes",
    "zcat",
    "zstd",
    "zstdcat",
];
