//! A raw SSH client, nothing of the provider's.

use std::{sync::Arc, time::Duration};

use russh::{
    ChannelMsg,
    client::{self, Handle},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use talosoci::sim::{SimNode, World};

/// How a command ended.
#[derive(Debug)]
pub struct Output {
    pub status: Option<u32>,
    pub stdout: String,
    pub stderr: String,
}

struct TrustAll;

impl client::Handler for TrustAll {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A connection.
pub struct Shell(Handle<TrustAll>);

impl Shell {
    /// Logs in with the world's key; `None` when it is refused.
    pub async fn log_in(world: &World, node: &SimNode, user: &str) -> Option<Self> {
        Self::log_in_with(node, user, world.ssh_keys().private().clone()).await
    }

    pub async fn log_in_with(node: &SimNode, user: &str, key: PrivateKey) -> Option<Self> {
        let config = Arc::new(client::Config::default());
        let address = (node.host(), node.ssh_port());
        let mut handle = client::connect(config, address, TrustAll).await.ok()?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        handle.authenticate_publickey(user, key).await.ok()?.success().then_some(Self(handle))
    }

    /// Runs a command with something on its standard input.
    pub async fn run_with(&self, command: &str, input: &[u8]) -> Output {
        let mut channel = self.0.channel_open_session().await.expect("a channel");
        channel.exec(true, command).await.expect("a command");
        let mut output = Output { status: None, stdout: String::new(), stderr: String::new() };
        // The server may be gone before everything is sent; then the ending says so.
        let _ = channel.data_bytes(input.to_vec()).await;
        let _ = channel.eof().await;
        let finished = async {
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } => output.stdout.push_str(&String::from_utf8_lossy(&data)),
                    ChannelMsg::ExtendedData { data, .. } => output.stderr.push_str(&String::from_utf8_lossy(&data)),
                    ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), finished).await.expect("the command ends");
        output
    }

    /// Runs a command.
    pub async fn run(&self, command: &str) -> Output {
        self.run_with(command, b"").await
    }
}
