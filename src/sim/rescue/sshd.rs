//! A real OpenSSH `sshd` in front of the same sandbox, run as the current user, one process per connection (`sshd -i`).

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use russh::keys::{PrivateKey, PublicKey, ssh_key::LineEnding};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use super::{host::Shared, options::RescueOptions, sandbox::which, ssh::kill_group};

/// A configured server.
pub struct Sshd {
    program: PathBuf,
    config: PathBuf,
}

impl Sshd {
    /// Writes the configuration; `None` when this machine has no `sshd`.
    pub fn prepare(shared: &Shared, host_key: &PrivateKey, authorized: &PublicKey) -> io::Result<Option<Self>> {
        let Some(program) = which("sshd") else { return Ok(None) };
        let home = shared.sandbox.root().join("sshd");
        fs::create_dir_all(&home)?;
        let private = host_key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        write(&home.join("host_key"), &private, 0o600)?;
        let public = authorized.to_openssh().map_err(io::Error::other)?;
        write(&home.join("authorized_keys"), &format!("{public}\n"), 0o600)?;
        write(&home.join("force.sh"), &force(shared), 0o700)?;
        let at = home.display();
        let text = format!(
            "HostKey {at}/host_key\nAuthorizedKeysFile {at}/authorized_keys\nForceCommand /bin/sh {at}/force.sh\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPrintMotd no\nPidFile none\n"
        );
        write(&home.join("sshd_config"), &text, 0o600)?;
        // sshd run by root insists on this directory; others do not need it, and cannot make it.
        let _ = fs::create_dir_all("/run/sshd");
        Ok(Some(Self { program, config: home.join("sshd_config") }))
    }

    /// Serves connections until the token is cancelled; then their processes are killed.
    pub async fn serve(self, listener: TcpListener, life: CancellationToken) {
        let server = Arc::new(self);
        loop {
            let stream = tokio::select! {
                () = life.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
            };
            let (server, life) = (Arc::clone(&server), life.clone());
            tokio::spawn(async move {
                match server.spawn(stream) {
                    Ok(mut child) => {
                        let group = child.id();
                        tokio::select! {
                            _ = child.wait() => {}
                            () = life.cancelled() => kill_group(group).await,
                        }
                    }
                    Err(error) => tracing::error!("starting sshd: {error}"),
                }
            });
        }
    }

    fn spawn(&self, stream: TcpStream) -> io::Result<Child> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let socket = OwnedFd::from(stream);
        Command::new(&self.program)
            .args(["-i", "-e", "-f"])
            .arg(&self.config)
            .stdin(Stdio::from(socket.try_clone()?))
            .stdout(Stdio::from(socket))
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// What every session runs: the same environment and the same rewriting as in the embedded server. Perl, which every
/// Linux with OpenSSH has, takes the sandbox's path out of the output.
fn force(shared: &Shared) -> String {
    let root = shared.sandbox.root().display();
    let user = "$(id -un)";
    let variables: String = shared
        .environment("SIM_LOGIN")
        .into_iter()
        .filter(|(name, _)| name != "SIM_ADMIN")
        .map(|(name, value)| format!("export {name}=\"{}\"\n", value.replace("SIM_LOGIN", user)))
        .collect();
    format!(
        "command=${{SSH_ORIGINAL_COMMAND:-sh -s}}\nif [ \"$(id -u)\" = 0 ]; then export SIM_ADMIN=1; fi\n{variables}\
         export SSH_ORIGINAL_COMMAND=\"$command\"\nstatus=$(mktemp)\n\
         {{ /bin/sh {root}/enter.sh; echo $? >\"$status\"; }} | \
         {{ if command -v perl >/dev/null; then exec perl -pe 'BEGIN {{ $| = 1 }} s{{\\Q$ENV{{SIM}}\\E}}{{}}g'; else exec cat; fi; }}\n\
         code=$(cat \"$status\")\nrm -f \"$status\"\n\
         echo \"exec $code $(printf %.100s \"$command\" | tr '\\n' ' ')\" >>{root}/run/control\nexit \"$code\"\n"
    )
}

/// A name that logs in: `ubuntu`, or the current user's when a real `sshd` answers.
pub fn login_name(options: &RescueOptions) -> String {
    let first = options.users.iter().find(|user| *user != "root").or(options.users.first());
    let usual = first.cloned().unwrap_or_else(|| "root".to_owned());
    if !options.real_sshd || which("sshd").is_none() {
        return usual;
    }
    let output = std::process::Command::new("id").arg("-un").output();
    output.map_or(usual, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
