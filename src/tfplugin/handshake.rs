//! How host and plugin find each other: environment variables in, one line out (go-plugin v1.7.0, core protocol 1).

use std::{fmt::Write, path::Path, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};
use thiserror::Error;

/// The version of the plugin protocol that is spoken.
pub const PROTOCOL: u32 = 6;

/// What a host tells the plugin that it starts.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// The only client that may connect. Absent when the user switched TLS off (`TF_DISABLE_PLUGIN_TLS`).
    pub client_certificate: Option<CertificateDer<'static>>,
    /// Where the socket should be.
    pub socket_dir: Option<PathBuf>,
    /// The host asks whether connections are multiplexed; ours are not.
    asks_multiplex: bool,
}

/// Why there is no host to talk to.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// Started by hand.
    #[error("reading the host's environment: not started by Terraform or OpenTofu")]
    NoHost,
    /// The certificate is damaged; going on without one would let anybody in.
    #[error("reading the client certificate in PLUGIN_CLIENT_CERT")]
    ClientCertificate(#[source] pem::Error),
}

impl Host {
    /// Reads the environment that a host sets.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, HandshakeError> {
        if env(COOKIE.0).as_deref() != Some(COOKIE.1) {
            return Err(HandshakeError::NoHost);
        }
        let set = |name| env(name).filter(|value| !value.is_empty());
        let certificate = set("PLUGIN_CLIENT_CERT").map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()));
        Ok(Self {
            client_certificate: certificate.transpose().map_err(HandshakeError::ClientCertificate)?,
            socket_dir: set("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            asks_multiplex: set("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }

    /// The line that the host waits for: how to connect, and which certificate it will meet.
    ///
    /// The version is ours even if the host did not list it: it then says so better than we could.
    pub fn line(&self, socket: &Path, certificate: Option<&CertificateDer<'_>>) -> String {
        let certificate = certificate.map(|der| BASE64_STANDARD_NO_PAD.encode(der)).unwrap_or_default();
        let mut line = format!("{CORE_PROTOCOL}|{PROTOCOL}|unix|{}|grpc|{certificate}", socket.display());
        if self.asks_multiplex {
            let _ = write!(line, "|false");
        }
        line
    }
}

/// What a user exports to make a host use a provider that runs already.
pub fn reattach(address: &str, process: u32, socket: &Path) -> String {
    // Without the version hosts assume protocol 5; with `Test` they do not try to end the process.
    let config = serde_json::json!({ address: {
        "Protocol": "grpc",
        "ProtocolVersion": PROTOCOL,
        "Pid": process,
        "Test": true,
        "Addr": { "Network": "unix", "String": socket },
    }});
    format!("TF_REATTACH_PROVIDERS='{config}'")
}

const CORE_PROTOCOL: u32 = 1;

/// Not a secret: it tells a plugin that a host started it.
const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../../tests/fixtures/go-plugin-client.crt");

    fn host(extra: &[(&str, &str)]) -> Result<Host, HandshakeError> {
        let all: Vec<_> = [&[COOKIE], extra].concat();
        Host::from_env(|name| all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_the_cookie_there_is_no_host() {
        assert!(matches!(Host::from_env(|_| None), Err(HandshakeError::NoHost)));
        assert!(matches!(host(&[(COOKIE.0, "")]), Err(HandshakeError::NoHost)));
    }

    #[test]
    fn a_damaged_certificate_is_an_error_and_not_a_missing_one() {
        for damaged in ["-----BEGIN CERTIFICATE-----\nAAAA", "hello"] {
            let host = host(&[("PLUGIN_CLIENT_CERT", damaged)]);
            assert!(matches!(host, Err(HandshakeError::ClientCertificate(_))), "{damaged:?}: {host:?}");
        }
        assert_eq!(host(&[("PLUGIN_CLIENT_CERT", "")]).unwrap().client_certificate, None);
        assert!(host(&[("PLUGIN_CLIENT_CERT", CERTIFICATE)]).unwrap().client_certificate.is_some());
    }

    #[test]
    fn the_line_says_where_and_who() {
        let certificate = CertificateDer::from(vec![0xfb, 0xff, 0xfe, 0x01]);
        let socket = Path::new("/tmp/s");
        let plain = host(&[]).unwrap();
        assert_eq!(plain.line(socket, Some(&certificate)), "1|6|unix|/tmp/s|grpc|+//+AQ");
        assert_eq!(plain.line(socket, None), "1|6|unix|/tmp/s|grpc|");
        let asking = host(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).unwrap();
        assert_eq!(asking.line(socket, None), "1|6|unix|/tmp/s|grpc||false");
    }

    #[test]
    fn the_reattach_line_is_what_a_shell_and_a_host_read() {
        let line = reattach("a/b", 7, Path::new("/tmp/s"));
        let json = line.strip_prefix("TF_REATTACH_PROVIDERS='").and_then(|rest| rest.strip_suffix('\'')).unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["a/b"]["ProtocolVersion"], 6);
        assert_eq!(json["a/b"]["Addr"]["String"], "/tmp/s");
        assert_eq!(json["a/b"]["Pid"], 7);
    }
}
