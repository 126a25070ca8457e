//! A rescue host: the sandbox with its SSH server, until somebody reboots it.

use std::{
    io,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use russh::keys::{PrivateKey, PublicKey};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, unix::pipe},
    process::Command,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{options::RescueOptions, sandbox::Sandbox, ssh, sshd::Sshd};
use crate::sim::{
    fault::{Fault, Faults},
    journal::{Event, Journal},
};

/// What the connections of one rescue session share.
pub struct Shared {
    /// The node's name.
    pub node: String,
    /// Its pretend root directory.
    pub sandbox: Arc<Sandbox>,
    /// Who may log in.
    pub users: Vec<String>,
    /// With which key.
    pub authorized: PublicKey,
    /// Where it is written down.
    pub journal: Journal,
    /// What goes wrong.
    pub faults: Faults,
    /// Ends when the rescue system goes down.
    pub life: CancellationToken,
    cleared: AtomicU64,
    shell: Option<String>,
    metadata: String,
}

/// How a rescue session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for a reboot.
    Reboot,
    /// Somebody switched the machine off.
    PowerOff,
}

/// What a rescue session needs beside its options.
pub struct Context {
    /// The node's name.
    pub node: String,
    /// Its pretend root directory.
    pub sandbox: Arc<Sandbox>,
    /// `host:port` of its metadata service.
    pub metadata: String,
    /// The server's key.
    pub host_key: PrivateKey,
    /// The user's key.
    pub authorized: PublicKey,
    /// The journal.
    pub journal: Journal,
    /// The faults.
    pub faults: Faults,
}

impl Shared {
    /// Writes a line about this node.
    pub fn note(&self, event: Event) {
        self.journal.node(&self.node, event);
    }

    /// The command in the sandbox, ready to run.
    pub fn command(&self, user: &str, text: &str) -> io::Result<Command> {
        self.arm_disk_faults()?;
        let root = self.sandbox.root();
        let mut command = Command::new("/bin/sh");
        command
            .arg(root.join("enter.sh"))
            .env_clear()
            .envs(self.environment(user))
            .env("SSH_ORIGINAL_COMMAND", text)
            .current_dir(root.join("home"))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// The environment of every command.
    pub fn environment(&self, user: &str) -> Vec<(String, String)> {
        let root = self.sandbox.root().display().to_string();
        let mut variables = vec![
            ("PATH", format!("{root}/bin")),
            ("HOME", format!("{root}/home")),
            ("TMPDIR", format!("{root}/tmp")),
            ("LANG", "C.UTF-8".to_owned()),
            ("LC_ALL", "C".to_owned()),
            ("USER", user.to_owned()),
            ("SIM", root.clone()),
            ("SIM_USER", user.to_owned()),
            ("SIM_ADMIN", u8::from(user == "root").to_string()),
            ("SIM_METADATA", self.metadata.clone()),
            ("NO_PROXY", "*".to_owned()),
        ];
        variables.extend(self.sandbox.real_busybox().map(|path| ("SIM_REAL_BUSYBOX", path.display().to_string())));
        variables.extend(self.shell.iter().map(|shell| ("SIM_SHELL", shell.clone())));
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn arm_disk_faults(&self) -> io::Result<()> {
        let cleared = self.faults.cleared();
        if self.cleared.swap(cleared, Ordering::SeqCst) != cleared {
            self.sandbox.limit_disk(None)?;
            self.sandbox.flip_after_write(None)?;
        }
        let strike = |pick: fn(&Fault) -> Option<u64>| self.faults.strike(&self.journal, Some(&self.node), pick);
        if let Some(at) = strike(|f| if let Fault::DiskFull { at } = f { Some(*at) } else { None }) {
            self.sandbox.limit_disk(Some(at))?;
        }
        if let Some(at) = strike(|f| if let Fault::FlippedByte { at } = f { Some(*at) } else { None }) {
            self.sandbox.flip_after_write(Some(at))?;
        }
        Ok(())
    }
}

/// Runs the rescue system on an open port until somebody reboots it, or `life` is cancelled (then `None`).
pub async fn run(
    context: Context,
    options: &RescueOptions,
    listener: TcpListener,
    life: CancellationToken,
) -> io::Result<Option<Ending>> {
    let life = life.child_token();
    let _down = life.clone().drop_guard();
    let (sender, mut endings) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        node: context.node,
        sandbox: context.sandbox,
        users: options.users.clone(),
        authorized: context.authorized,
        journal: context.journal,
        faults: context.faults,
        life: life.clone(),
        cleared: AtomicU64::new(0),
        shell: options.shell.clone(),
        metadata: context.metadata,
    });
    shared.sandbox.furnish(options)?;
    shared.sandbox.remount(options, false)?;
    // Read and write: the pipe then never reports its end, however often tools open and close it.
    let control = pipe::OpenOptions::new().read_write(true).open_receiver(shared.sandbox.control())?;
    let sshd = if options.real_sshd { Sshd::prepare(&shared, &context.host_key, &shared.authorized)? } else { None };
    let serve = async {
        match sshd {
            Some(sshd) => sshd.serve(listener, life.clone()).await,
            None => ssh::serve(Arc::clone(&shared), listener, context.host_key, life.clone()).await,
        }
    };
    let listen = listen_to_tools(Arc::clone(&shared), options, control, sender);
    tokio::select! {
        () = serve => Ok(None),
        result = listen => result.map(|()| None),
        ending = endings.recv() => Ok(ending),
    }
}

async fn listen_to_tools(
    shared: Arc<Shared>,
    options: &RescueOptions,
    control: pipe::Receiver,
    endings: mpsc::UnboundedSender<Ending>,
) -> io::Result<()> {
    let mut lines = BufReader::new(control).lines();
    while let Some(line) = lines.next_line().await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let ending = match verb {
            "write" => {
                let root = shared.sandbox.root().display().to_string();
                shared.note(Event::DiskWrite { arguments: rest.replace(&root, "") });
                continue;
            }
            // A real sshd's command ended; it says so by itself.
            "exec" => {
                let (code, command) = rest.split_once(' ').unwrap_or((rest, ""));
                let (status, command) = (code.parse().ok(), command.to_owned());
                shared.note(Event::SshExec { command, status, bytes_in: 0, bytes_out: 0 });
                continue;
            }
            // Letters for the sysrq trigger: u remounts, b reboots, o switches off; s has nothing to do.
            "u" => {
                shared.sandbox.remount(options, true)?;
                continue;
            }
            "reboot" | "b" => Ending::Reboot,
            "poweroff" | "o" => Ending::PowerOff,
            _ => continue,
        };
        let ignored = |fault: &Fault| matches!(fault, Fault::RebootIgnored).then_some(());
        if shared.faults.strike(&shared.journal, Some(&shared.node), ignored).is_none() {
            let _ = endings.send(ending);
        }
    }
    Ok(())
}
