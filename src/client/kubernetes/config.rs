//! A kubeconfig, or its parts -> a client.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::client::AuthError;
use kube::config::{AuthInfo, Cluster as KubeCluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::config::{NamedAuthInfo, NamedCluster, NamedContext};
use kube::{Client, Config};

use crate::talos::secret::Secret;

use super::KubernetesError;

/// Longest time for a TCP connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest silence on a connection.
const SILENCE: Duration = Duration::from_secs(20);

/// The structured form of credentials, as the siderolabs `talos` provider gives it in
/// `kubernetes_client_configuration`.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `https://HOST:PORT`.
    pub host: String,
    /// CA certificate, PEM.
    pub ca_certificate: String,
    /// Client certificate, PEM.
    pub client_certificate: String,
    /// Client key, PEM.
    pub client_key: Secret<String>,
}

/// Reads a kubeconfig's current context; whatever kube supports is supported, credential plugins too.
pub(super) async fn client_of_kubeconfig(text: &Secret<String>) -> Result<(Client, String), KubernetesError> {
    let kubeconfig = Kubeconfig::from_yaml(text.expose()).map_err(problem)?;
    client(kubeconfig).await
}

/// The same from its parts.
pub(super) async fn client_of_parts(parts: &Parts) -> Result<(Client, String), KubernetesError> {
    const NAME: &str = "talosoci";
    let encoded = |pem: &str| Some(STANDARD.encode(pem));
    // Talos' label for the PKCS#8 of an Ed25519 key, which kube skips.
    let key = Secret::new(parts.client_key.expose().replace("ED25519 PRIVATE KEY", "PRIVATE KEY"));
    let kubeconfig = Kubeconfig {
        current_context: Some(NAME.to_owned()),
        clusters: vec![NamedCluster {
            name: NAME.to_owned(),
            cluster: Some(KubeCluster {
                server: Some(parts.host.clone()),
                certificate_authority_data: encoded(&parts.ca_certificate),
                ..KubeCluster::default()
            }),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: NAME.to_owned(),
            auth_info: Some(AuthInfo {
                client_certificate_data: encoded(&parts.client_certificate),
                client_key_data: encoded(key.expose()).map(Into::into),
                ..AuthInfo::default()
            }),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: NAME.to_owned(),
            context: Some(Context { cluster: NAME.to_owned(), user: Some(NAME.to_owned()), ..Context::default() }),
            ..NamedContext::default()
        }],
        ..Kubeconfig::default()
    };
    client(kubeconfig).await
}

async fn client(kubeconfig: Kubeconfig) -> Result<(Client, String), KubernetesError> {
    for cluster in kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()) {
        if let Some(server) = &cluster.server {
            check_server(server)?;
        }
    }
    let plugins: Vec<String> = kubeconfig
        .auth_infos
        .iter()
        .filter_map(|named| named.auth_info.as_ref()?.exec.as_ref()?.command.clone())
        .collect();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(problem)?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // A refused eviction is an answer (429), and every wait has its own condition.
    config.default_retry = false;
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let failed = |problem: String| KubernetesError::Client { server: server.clone(), problem };
    // Credential plugins are programs, and kube waits for them without yielding.
    let made = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    match made {
        Ok(Ok(client)) => Ok((client, server)),
        Ok(Err(kube::Error::Auth(AuthError::AuthExecRun { out, .. }))) => {
            Err(failed(plugin_failed(&plugins.join(" or "), &out)))
        }
        Ok(Err(kube::Error::Auth(error))) if !plugins.is_empty() => {
            Err(failed(format!("credential plugin {}: {error}", plugins.join(" or "))))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("the credential plugin broke off".to_owned())),
    }
}

/// A server without scheme or port is taken for `http` on port 80 further down, and the first call hangs on a closed
/// or wrong port. The port may only be left out with a DNS name over https, as hosted clusters do.
fn check_server(server: &str) -> Result<(), KubernetesError> {
    let wrong = |problem| Err(KubernetesError::Server { server: server.to_owned(), problem });
    let Ok(uri) = server.parse::<Uri>() else {
        return wrong("it is no URL");
    };
    let host = uri.host().unwrap_or_default();
    let is_ip = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    match (uri.scheme_str(), uri.port()) {
        (None, _) => wrong("it has no scheme (https://)"),
        (Some("https"), Some(_)) | (Some("http"), Some(_)) => Ok(()),
        (Some("https"), None) if !is_ip => Ok(()),
        (Some("https" | "http"), None) => wrong("it has no port"),
        (Some(_), _) => wrong("its scheme is not https"),
    }
}

/// What a plugin complained of; never what it printed as its result, nor the arguments and variables it was given.
fn plugin_failed(command: &str, output: &std::process::Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: String = complaint.trim().chars().take(300).collect();
    format!("credential plugin {command} ended with {}: {complaint}", output.status)
}

/// What is wrong, without the pieces of the file that a parser quotes.
fn problem(error: KubeconfigError) -> KubernetesError {
    let problem = match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(location) => format!("not a kubeconfig: line {}, column {}", location.line(), location.column()),
            None => "not a kubeconfig".to_owned(),
        },
        KubeconfigError::CurrentContextNotSet => "no current-context".to_owned(),
        other => other.to_string(),
    };
    KubernetesError::Kubeconfig { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_needs_scheme_and_port() {
        for server in [
            "https://192.168.1.50:6443",
            "https://[fd7a::1]:6443",
            "http://127.0.0.1:8080",
            "https://hosted.example",
            "https://rancher.example/k8s/clusters/c-1",
        ] {
            assert!(check_server(server).is_ok(), "{server}");
        }
        for (server, word) in [
            ("192.168.1.50", "scheme"),
            ("192.168.1.50:6443", "scheme"),
            ("cluster.example:6443", "scheme"),
            ("https://192.168.1.50", "port"),
            ("https://[fd7a::1]", "port"),
            ("http://cluster.example", "port"),
            ("ftp://cluster.example:21", "https"),
            ("", "URL"),
        ] {
            let error = check_server(server).unwrap_err();
            assert!(error.to_string().contains(word), "{server}: {error}");
            assert!(error.hints()[0].contains("6443"));
        }
    }
}
