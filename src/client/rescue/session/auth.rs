//! Logging in: a private key or an agent.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{
    Error as KeyError, HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key,
};

use super::connect::Client;
use super::{Auth, SessionError, Target};
use crate::talos::secret::Secret;

pub(super) async fn login(
    handle: &mut Handle<Client>,
    target: &Target,
    address: &str,
) -> Result<(), SessionError> {
    let login = Login {
        handle,
        user: &target.user,
        address,
    };
    match &target.auth {
        Auth::PrivateKey(key) => login.with_key(key).await,
        Auth::Agent => {
            let agent = AgentClient::connect_env()
                .await
                .map_err(|source| SessionError::Agent { source })?;
            login.with_agent(agent).await
        }
        Auth::AgentAt(socket) => login.with_agent(agent_at(socket).await?).await,
    }
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    user: &'a str,
    address: &'a str,
}

impl Login<'_> {
    async fn with_key(self, secret: &Secret<String>) -> Result<(), SessionError> {
        let key = self.decode(secret)?;
        let shown = format!(
            "the {} key {}",
            key.algorithm(),
            key.fingerprint(HashAlg::Sha256)
        );
        let hash = if key.algorithm().is_rsa() {
            self.rsa_hash().await?
        } else {
            None
        };
        let proof = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let result = self
            .handle
            .authenticate_publickey(self.user, proof)
            .await
            .map_err(|source| self.broken(source))?;
        match result {
            AuthResult::Success => Ok(()),
            refused @ AuthResult::Failure { .. } => Err(self.refused(shown, &refused)),
        }
    }

    async fn with_agent<S: AgentStream + Send + Unpin>(
        self,
        mut agent: AgentClient<S>,
    ) -> Result<(), SessionError> {
        let ask = |source| SessionError::Agent { source };
        if let Some(binding) = self.handle.agent_session_binding().cloned() {
            // Only keys restricted to a destination need it, and old agents do not know it.
            let _ = agent.bind_session(&binding, false).await;
        }
        let identities = agent.request_identities().await.map_err(ask)?;
        let hash = self.rsa_hash().await?;
        let mut last = None;
        let mut shown = Vec::new();
        // OpenSSH's MaxAuthTries is 6: the seventh key is never looked at.
        for identity in identities.into_iter().take(6) {
            let result = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    shown.push(key.fingerprint(HashAlg::Sha256).to_string());
                    let hash = if key.algorithm().is_rsa() { hash } else { None };
                    self.handle
                        .authenticate_publickey_with(self.user, key, hash, &mut agent)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    shown.push(format!("certificate {:?}", certificate.key_id()));
                    let hash = if certificate.algorithm().is_rsa() {
                        hash
                    } else {
                        None
                    };
                    self.handle
                        .authenticate_certificate_with(self.user, certificate, hash, &mut agent)
                        .await
                }
            };
            match result {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(refused) => last = Some(refused),
                // The agent holds the key but may not use it (a confirmation was denied): the next one may do.
                Err(error) => tracing::debug!(%error, "agent did not sign"),
            }
        }
        let tried = if shown.is_empty() {
            "an agent that holds no key".into()
        } else {
            format!("the agent's keys {}", shown.join(", "))
        };
        let nothing = AuthResult::Failure {
            remaining_methods: russh::MethodSet::empty(),
            partial_success: false,
        };
        Err(self.refused(tried, &last.unwrap_or(nothing)))
    }

    fn decode(&self, secret: &Secret<String>) -> Result<PrivateKey, SessionError> {
        let (user, address) = (self.user.to_owned(), self.address.to_owned());
        let bad = |source| SessionError::BadPrivateKey {
            user: user.clone(),
            address: address.clone(),
            source,
        };
        // A heredoc in a configuration often indents the lines.
        let text = Secret::new(
            secret
                .expose()
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join("\n"),
        );
        let encrypted = ["Proc-Type: 4,ENCRYPTED", "BEGIN ENCRYPTED PRIVATE KEY"]
            .iter()
            .any(|mark| text.expose().contains(mark));
        match decode_secret_key(text.expose(), None) {
            Ok(key) if !key.is_encrypted() && !encrypted => Ok(key),
            Ok(_) | Err(KeyError::KeyIsEncrypted) => {
                Err(SessionError::EncryptedPrivateKey { user, address })
            }
            Err(_) if encrypted => Err(SessionError::EncryptedPrivateKey { user, address }),
            Err(source) => Err(bad(source)),
        }
    }

    async fn rsa_hash(&self) -> Result<Option<HashAlg>, SessionError> {
        let best = self
            .handle
            .best_supported_rsa_hash()
            .await
            .map_err(|source| self.broken(source))?;
        // A server that does not say what it likes has understood SHA-512 since OpenSSH 7.2.
        Ok(best.unwrap_or(Some(HashAlg::Sha512)))
    }

    fn broken(&self, source: russh::Error) -> SessionError {
        SessionError::Login {
            user: self.user.into(),
            address: self.address.into(),
            source,
        }
    }

    fn refused(&self, tried: String, result: &AuthResult) -> SessionError {
        let accepts = match result {
            AuthResult::Failure {
                remaining_methods, ..
            } if !remaining_methods.is_empty() => {
                let names: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                format!(" (it accepts {})", names.join(", "))
            }
            _ => String::new(),
        };
        SessionError::LoginRefused {
            user: self.user.into(),
            address: self.address.into(),
            tried,
            accepts,
        }
    }
}

async fn agent_at(socket: &Path) -> Result<AgentClient<tokio::net::UnixStream>, SessionError> {
    AgentClient::connect_uds(socket)
        .await
        .map_err(|source| SessionError::Agent { source })
}
