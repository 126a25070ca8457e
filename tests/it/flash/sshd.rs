//! A real OpenSSH server on loopback, run by whoever runs the tests, with keys that live as long as the test.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use talosoci::client::rescue::session::{Auth, HostKeyPolicy, Session, Target};
use talosoci::talos::secret::Secret;
use tempfile::TempDir;

/// Which `sh` the remote side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Dash,
    Bash,
    /// And all other commands of busybox.
    Busybox,
}

pub struct Sshd {
    dir: TempDir,
    port: u16,
    servers: Arc<Mutex<Vec<u32>>>,
}

impl Sshd {
    /// Starts one, or says why not and gives `None`.
    pub fn start(shell: Shell) -> Option<Self> {
        Self::start_with(shell, None)
    }

    /// Starts one whose remote side has only these tools of this machine, beside what comes with its shell.
    pub fn start_with_only(shell: Shell, tools: &[&str]) -> Option<Self> {
        Self::start_with(shell, Some(tools))
    }

    fn start_with(shell: Shell, tools: Option<&[&str]>) -> Option<Self> {
        let Some(binary) = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
        else {
            skip("no sshd (apt-get install openssh-server)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        if !install(shell, &bin) {
            skip(&format!("no {shell:?}"));
            return None;
        }
        for tool in tools.unwrap_or_default() {
            let Some(place) =
                ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(tool)).into_iter().find(|p| p.exists())
            else {
                skip(&format!("no {tool}"));
                return None;
            };
            let _ = std::fs::remove_file(bin.join(tool));
            std::os::unix::fs::symlink(place, bin.join(tool)).unwrap();
        }
        let others = if tools.is_some() { "" } else { ":/usr/bin:/bin" };
        for key in keys() {
            std::fs::copy(&key, dir.path().join(key.file_name().unwrap())).unwrap();
        }
        let keys =
            ["user.pub", "user_rsa.pub"].map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap()).concat();
        std::fs::write(dir.path().join("authorized_keys"), keys).unwrap();
        let config = format!(
            "HostKey {0}/host_ed25519\nHostKey {0}/host_rsa\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel ERROR\nPidFile none\nSetEnv PATH={0}/bin{others}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("sshd_config"), config).unwrap();
        // Only root's sshd wants it; it is there on every machine that runs one.
        let _ = std::fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let servers = Arc::new(Mutex::new(Vec::new()));
        serve(listener, binary, dir.path().join("sshd_config"), Arc::clone(&servers));
        Some(Self { dir, port, servers })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How a careful user would name it.
    pub fn target(&self) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port: self.port,
            user: output("id", &["-un"]),
            auth: self.key("user"),
            host_key: HostKeyPolicy::Pinned(vec![self.public("host_ed25519")]),
        }
    }

    pub fn key(&self, name: &str) -> Auth {
        Auth::PrivateKey(Secret::new(std::fs::read_to_string(self.path(name)).unwrap()))
    }

    pub fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap()
    }

    pub async fn session(&self) -> Session {
        Session::connect(&self.target(), Duration::from_secs(20)).await.unwrap()
    }

    /// Kills every server process as a crash would; what they started lives on.
    pub fn kill(&self) {
        for group in self.servers.lock().unwrap().iter() {
            Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status().unwrap();
        }
    }

    /// Whether a connection is open.
    pub fn is_busy(&self) -> bool {
        !self.servers.lock().unwrap().is_empty()
    }

    /// Puts a script in front of a command of the remote side.
    pub fn shim(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, script).unwrap();
        Command::new("chmod").args(["755", path.to_str().unwrap()]).status().unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Throw-away keys, made once: an RSA key takes seconds.
fn keys() -> Vec<PathBuf> {
    static KEYS: OnceLock<TempDir> = OnceLock::new();
    let dir = KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("host_ed25519", "ed25519"),
            ("host_rsa", "rsa"),
            ("user", "ed25519"),
            ("user_rsa", "rsa"),
            ("stranger", "ed25519"),
        ] {
            keygen(&dir.path().join(name), kind, &[]);
        }
        dir
    });
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub fn keygen(path: &Path, kind: &str, options: &[&str]) {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "test", "-t", kind, "-f"])
        .arg(path)
        .args(rsa_bits(kind))
        .args(options)
        .status()
        .unwrap();
    assert!(done.success());
}

/// The smallest that servers accept: larger ones take seconds to make.
fn rsa_bits(kind: &str) -> &[&str] {
    if kind == "rsa" { &["-b", "2048"] } else { &[] }
}

pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

pub fn output(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn install(shell: Shell, bin: &Path) -> bool {
    let candidates: &[&str] = match shell {
        Shell::Dash => &["/usr/bin/dash", "/bin/dash"],
        Shell::Bash => &["/usr/bin/bash", "/bin/bash"],
        Shell::Busybox => &["/usr/bin/busybox", "/bin/busybox"],
    };
    let Some(binary) = candidates.iter().find(|path| Path::new(path).exists()) else { return false };
    if shell == Shell::Busybox {
        return Command::new(binary).args(["--install", "-s"]).arg(bin).status().unwrap().success();
    }
    std::os::unix::fs::symlink(binary, bin.join("sh")).unwrap();
    true
}

/// One server process for each connection, as inetd would start it: no port is ever free for somebody else.
fn serve(listener: TcpListener, binary: &'static str, config: PathBuf, servers: Arc<Mutex<Vec<u32>>>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let input: OwnedFd = stream.try_clone().unwrap().into();
            let output: OwnedFd = stream.into();
            let mut command = Command::new(binary);
            command
                .args(["-i", "-e", "-f"])
                .arg(&config)
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(output))
                .stderr(Stdio::null());
            let mut child = command.process_group(0).spawn().unwrap();
            servers.lock().unwrap().push(child.id());
            let servers = Arc::clone(&servers);
            std::thread::spawn(move || {
                let id = child.id();
                let _ = child.wait();
                servers.lock().unwrap().retain(|server| *server != id);
            });
        }
    });
}
