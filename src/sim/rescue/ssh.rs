//! The embedded SSH server: key authentication, and commands that run in the sandbox.

use std::{process::Stdio, sync::Arc};

use russh::{
    Channel, ChannelId,
    keys::PrivateKey,
    server::{self, Auth, ChannelOpenHandle, Handle, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{filter::PathFilter, host::Shared};
use crate::sim::{cut::Cut, fault::Fault, journal::Event};

const STDERR: u32 = 1;

/// Accepts connections until the token is cancelled; then all of them are cut and all commands are killed.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener, host_key: PrivateKey, life: CancellationToken) {
    let config = Arc::new(server::Config {
        server_id: russh::SshId::Standard("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13".into()),
        keys: vec![host_key],
        auth_rejection_time: std::time::Duration::from_millis(50),
        auth_rejection_time_initial: Some(std::time::Duration::ZERO),
        nodelay: true,
        ..server::Config::default()
    });
    loop {
        let stream = tokio::select! {
            () = life.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let cut = Cut::new(stream, life.child_token(), CancellationToken::new());
        let connection = Connection {
            shared: Arc::clone(&shared),
            token: cut.token(),
            user: String::new(),
            received: 0,
            inputs: Vec::new(),
        };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, cut, connection).await {
                let _ = session.await;
            }
        });
    }
}

/// One client.
struct Connection {
    shared: Arc<Shared>,
    token: CancellationToken,
    user: String,
    received: u64,
    inputs: Vec<(ChannelId, mpsc::UnboundedSender<Vec<u8>>)>,
}

impl Connection {
    /// Kills the connection when a fault says that it dies at this byte; answers what may still be delivered.
    fn deliverable(&mut self, length: usize) -> usize {
        let (before, after) = (self.received, self.received + length as u64);
        self.received = after;
        let node = &self.shared.node;
        let dies = self.shared.faults.strike(&self.shared.journal, Some(node), |fault| match fault {
            Fault::SshKilled { after: limit } if *limit >= before && *limit < after => Some(*limit),
            _ => None,
        });
        match dies {
            Some(limit) => {
                self.token.cancel();
                (limit - before) as usize
            }
            None => length,
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = self.shared.authorized.key_data() == key.public_key.key_data();
        if known && self.shared.users.iter().any(|name| name == user) {
            self.user = user.to_owned();
            self.shared.note(Event::SshLogin { user: user.to_owned() });
            return Ok(Auth::Accept);
        }
        self.shared.note(Event::SshRefused { user: user.to_owned() });
        Ok(Auth::reject())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        match self.shared.command(&self.user, &command).and_then(|mut c| c.spawn()) {
            Ok(child) => {
                session.channel_success(channel)?;
                let (sender, receiver) = mpsc::unbounded_channel();
                self.inputs.push((channel, sender));
                let run = Run { shared: Arc::clone(&self.shared), token: self.token.clone(), command, channel };
                tokio::spawn(run.follow(child, receiver, session.handle()));
            }
            Err(_) => session.channel_failure(channel)?,
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        // A script on standard input; there is no terminal to pretend.
        self.exec_request(channel, b"sh -s", session).await
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        let length = self.deliverable(data.len());
        if let Some((_, input)) = self.inputs.iter().find(|(id, _)| *id == channel) {
            // The command may be gone; what it no longer reads is dropped, as sshd does.
            let _ = input.send(data[..length].to_vec());
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs.retain(|(id, _)| *id != channel);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs.retain(|(id, _)| *id != channel);
        Ok(())
    }
}

/// A running command.
struct Run {
    shared: Arc<Shared>,
    token: CancellationToken,
    command: String,
    channel: ChannelId,
}

impl Run {
    async fn follow(self, mut child: Child, input: mpsc::UnboundedReceiver<Vec<u8>>, handle: Handle) {
        let group = child.id();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feeder = tokio::spawn(feed(stdin, input));
        let root = self.shared.sandbox.root().display().to_string();
        let pump = async {
            tokio::join!(
                forward(stdout, PathFilter::new(&root), &handle, self.channel, None),
                forward(stderr, PathFilter::new(&root), &handle, self.channel, Some(STDERR)),
            )
        };
        let (bytes_out, status) = tokio::select! {
            ((bytes_out, _), status) = async { (pump.await, child.wait().await) } => (bytes_out, status.ok()),
            () = self.token.cancelled() => {
                // The machine went down; only a cut connection leaves its commands running.
                if self.shared.life.is_cancelled() {
                    kill_group(group).await;
                }
                (0, None)
            }
        };
        feeder.abort();
        let bytes_in = feeder.await.unwrap_or_default();
        let code = status.and_then(|s| s.code()).map(|code| code as u32);
        let command = self.command.chars().take(120).collect::<String>().replace('\n', "; ");
        self.shared.note(Event::SshExec { command, status: code, bytes_in, bytes_out });
        match (code, status) {
            (Some(code), _) => {
                let _ = handle.exit_status_request(self.channel, code).await;
            }
            (None, Some(_)) => {
                let signal = russh::Sig::KILL;
                let _ = handle.exit_signal_request(self.channel, signal, false, String::new(), String::new()).await;
            }
            (None, None) => {}
        }
        let _ = handle.eof(self.channel).await;
        let _ = handle.close(self.channel).await;
    }
}

async fn feed(stdin: Option<ChildStdin>, mut input: mpsc::UnboundedReceiver<Vec<u8>>) -> u64 {
    let mut total = 0;
    let Some(mut stdin) = stdin else { return total };
    while let Some(bytes) = input.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            break;
        }
        total += bytes.len() as u64;
    }
    total
}

async fn forward(
    source: Option<impl AsyncRead + Unpin>,
    mut filter: PathFilter,
    handle: &Handle,
    channel: ChannelId,
    extended: Option<u32>,
) -> u64 {
    let Some(mut source) = source else { return 0 };
    let (mut buffer, mut total) = (vec![0; 64 * 1024], 0);
    loop {
        let length = source.read(&mut buffer).await.unwrap_or_default();
        let bytes = if length == 0 { filter.finish() } else { filter.pass(&buffer[..length]) };
        total += bytes.len() as u64;
        let sent = match extended {
            None => handle.data(channel, bytes).await.is_ok(),
            Some(code) => handle.extended_data(channel, code, bytes).await.is_ok(),
        };
        if length == 0 || !sent {
            return total;
        }
    }
}

/// Kills a process and all that it started.
pub async fn kill_group(leader: Option<u32>) {
    let Some(leader) = leader else { return };
    let killed = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("kill -KILL -- -{leader}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let _ = killed.await;
}
