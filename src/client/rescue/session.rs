//! One SSH connection to a rescue shell: who it is, who we are, and what it runs.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use tokio::time::{Instant, timeout_at};

use crate::talos::secret::Secret;

mod auth;
mod connect;
mod error;
mod host_key;
mod listening;
mod process;

pub use error::SessionError;
pub use host_key::Accepted;
pub use process::{Ending, Input, Lines, Process};

/// Where the shell is, how to log in, and which host keys are trusted.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name or address; an IPv6 address may stand in brackets.
    pub host: String,
    /// TCP port, 22 as a rule.
    pub port: u16,
    /// Login name: `root`, or a user who may `sudo -n`.
    pub user: String,
    /// Proof of who we are.
    pub auth: Auth,
    /// Proof of who they are.
    pub host_key: HostKeyPolicy,
}

/// How we log in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A private key without a passphrase: OpenSSH, PKCS#8, PKCS#1 or SEC1 text.
    PrivateKey(Secret<String>),
    /// The agent that `SSH_AUTH_SOCK` names.
    Agent,
    /// The agent behind this socket.
    AgentAt(std::path::PathBuf),
}

/// Which host keys are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// One of these: `SHA256:…` fingerprints, or public keys (`ssh-ed25519 AAAA…`, a `ssh-keyscan` line is fine too).
    Pinned(Vec<String>),
    /// The text of a `known_hosts` file.
    KnownHosts(String),
    /// Whatever is presented first, and then nothing else: all connections that share this memory insist on it.
    AcceptNew(Accepted),
}

/// What a finished script left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status, or 128 + 15 when a signal ended it.
    pub status: u32,
    /// Standard output, at most 1 MiB.
    pub stdout: String,
    /// The last 16 KiB of standard error.
    pub stderr: String,
}

/// With which rights a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Those of the login user.
    User,
    /// Root's: directly when the login user is root, through `sudo -n` otherwise.
    Root,
    /// Root's if the login user is root or may `sudo -n`, otherwise its own.
    RootIfPossible,
}

/// An open, authenticated connection. It ends when it is dropped.
pub struct Session {
    handle: Handle<connect::Client>,
    address: String,
    target: Target,
    host_key: String,
}

impl Session {
    /// Connects, checks the host key and logs in, all before `deadline` has passed. What heals
    /// ([`SessionError::is_transient`]) is for the caller to try again.
    ///
    /// # Errors
    /// A distinct error for a name that does not resolve, a refused connection, no answer, something that is not SSH,
    /// a host key that is not the expected one, and a login that is refused.
    pub async fn connect(target: &Target, deadline: Duration) -> Result<Self, SessionError> {
        let until = Instant::now() + deadline;
        let (mut handle, host_key) = connect::open(target, connect::Deadline { until, total: deadline }).await?;
        let address = connect::address(target);
        let login = auth::login(&mut handle, target, &address);
        match timeout_at(until, login).await {
            Ok(done) => done?,
            Err(_) => return Err(SessionError::timeout(&address, "logging in", deadline)),
        }
        Ok(Self { handle, address, target: target.clone(), host_key })
    }

    /// Connects anew to the same target, insisting on the same host key.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn reconnect(&self, deadline: Duration) -> Result<Self, SessionError> {
        let host_key = HostKeyPolicy::Pinned(vec![self.host_key.clone()]);
        Self::connect(&Target { host_key, ..self.target.clone() }, deadline).await
    }

    /// The key the host proved to have, as an OpenSSH public key line without a comment.
    pub fn host_key(&self) -> String {
        self.host_key.clone()
    }

    /// `host:port`, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Runs a POSIX shell script with the rights of the login user, and waits for its end (two minutes at most).
    ///
    /// # Errors
    /// When the connection is lost, the output is beyond bounds or the time is over; a non-zero status is no error.
    pub async fn run(&self, script: &str) -> Result<Output, SessionError> {
        self.run_with(Rights::User, script, RUN_DEADLINE).await
    }

    /// [`Session::run`] with chosen rights and time.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_with(&self, rights: Rights, script: &str, deadline: Duration) -> Result<Output, SessionError> {
        let run = async {
            let process = self.start(rights, script).await?;
            process.input.finish().await?;
            process.output.collect().await
        };
        match tokio::time::timeout(deadline, run).await {
            Ok(output) => output,
            Err(_) => Err(SessionError::timeout(&self.address, "running a script", deadline)),
        }
    }

    /// Starts a script whose input and output the caller drives.
    ///
    /// # Errors
    /// When the connection is lost or the server opens no channel.
    pub async fn start(&self, rights: Rights, script: &str) -> Result<Process, SessionError> {
        let channel =
            |doing, source| SessionError::Channel { address: self.address.clone(), doing, source: Box::new(source) };
        let open = self.handle.channel_open_session().await.map_err(|e| channel("opening a channel", e))?;
        open.exec(true, command(rights, script)).await.map_err(|e| channel("starting a script", e))?;
        Ok(process::pump(open, Arc::from(self.address.as_str())))
    }

    /// Says goodbye; errors do not matter any more.
    pub async fn close(self) {
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    }
}

/// Takes comments (but for the first line, which says what it is) and indentation out of a script that has no text over
/// several lines: dropbear, the server of small rescue systems, takes no command of more than 9000 bytes.
pub(crate) fn compact(script: &str) -> String {
    let lines = script.lines().map(str::trim).enumerate();
    let kept = lines.filter(|(number, line)| *number == 0 || !(line.is_empty() || line.starts_with('#')));
    kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// The one command line the login shell sees. It may be any shell that knows `exec` and single quotes (sh, bash, zsh, fish).
fn command(rights: Rights, script: &str) -> String {
    let script = quote(script);
    match rights {
        Rights::User => format!("exec sh -c {script}"),
        Rights::Root => format!("exec sh -c {} sh {script}", quote(AS_ROOT)),
        Rights::RootIfPossible => format!("exec sh -c {} sh {script}", quote(AS_ROOT_IF_POSSIBLE)),
    }
}

/// Quotes a word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

const AS_ROOT: &str = r#"if [ "$(id -u)" = 0 ]; then exec sh -c "$1"; fi; exec sudo -n sh -c "$1""#;

const AS_ROOT_IF_POSSIBLE: &str =
    r#"if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then exec sudo -n sh -c "$1"; fi; exec sh -c "$1""#;

const RUN_DEADLINE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_posix_shell() {
        assert_eq!(quote("/dev/sda"), "'/dev/sda'");
        assert_eq!(quote("it's; rm $x"), r"'it'\''s; rm $x'");
    }

    #[test]
    fn a_compact_script_keeps_its_first_line_and_its_code() {
        assert_eq!(
            compact("# talosoci probe 1\n# why\n\nif true; then\n    echo '#' # not here\nfi\n"),
            "# talosoci probe 1\nif true; then\necho '#' # not here\nfi"
        );
    }

    #[test]
    fn the_command_depends_on_the_rights() {
        assert_eq!(command(Rights::User, "id -u"), "exec sh -c 'id -u'");
        assert!(command(Rights::Root, "id -u").ends_with(" sh 'id -u'"));
    }

    #[test]
    fn a_target_shows_no_key_in_debug() {
        let target = Target {
            host: "h".into(),
            port: 22,
            user: "ubuntu".into(),
            auth: Auth::PrivateKey(Secret::new("-----BEGIN".into())),
            host_key: HostKeyPolicy::AcceptNew(Accepted::default()),
        };
        assert!(!format!("{target:?}").contains("BEGIN"));
    }
}
