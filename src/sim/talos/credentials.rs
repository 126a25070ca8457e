//! Credentials that a control plane makes: a kubeconfig, and client certificates of its own API.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use prost::Message;
use tonic::Status;

use super::{
    archive::{Entry, tar_gz},
    config::Config,
    etcd::only_control_planes,
    machine::Machine,
};
use crate::{
    sim::pki::{Authority, PkiError},
    wire::common::Data,
};

/// `common.Data`: a tar.gz with one file, in one chunk of the stream.
pub fn kubeconfig(machine: &Machine) -> Result<Vec<u8>, Status> {
    only_control_planes(machine, "kubeconfig")?;
    let config = active(machine)?;
    let (endpoint, name) =
        (config.parsed.cluster_endpoint().unwrap_or_default(), config.parsed.cluster_name().unwrap_or_default());
    let pem = |path: &str| {
        let text = config.text_at(path).and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    };
    let ca = pem("cluster.ca.crt");
    let failed = |error: PkiError| Status::unknown(format!("error getting Kubernetes CA: {error}"));
    let authority = Authority::from_pem("cluster.ca", &ca, &pem("cluster.ca.key")).map_err(failed)?;
    let pair = authority.client(&["system:masters"], "admin", machine.now()).map_err(failed)?;
    let user = format!("admin@{name}");
    let [ca, crt, key] = [ca, pair.certificate, pair.key].map(|pem| BASE64.encode(pem));
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {endpoint}\n    \
         certificate-authority-data: {ca}\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {crt}\n    \
         client-key-data: {key}\ncontexts:\n- context:\n    cluster: {name}\n    namespace: default\n    user: {user}\n  \
         name: {user}\ncurrent-context: {user}\n"
    );
    Ok(Data {
        metadata: None,
        bytes: tar_gz(&[Entry { name: "kubeconfig".to_owned(), content: Some(text.into_bytes()) }]),
    }
    .encode_to_vec())
}

#[derive(Clone, PartialEq, Message)]
pub struct ClientConfigurationRequest {
    #[prost(string, repeated, tag = "1")]
    roles: Vec<String>,
    #[prost(message, optional, tag = "2")]
    crt_ttl: Option<prost_types::Duration>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ClientConfiguration {
    #[prost(bytes = "vec", tag = "2")]
    ca: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    crt: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    talosconfig: Vec<u8>,
}

/// A client of this node's API (Talos v1.12.2 v1alpha1_server.go GenerateClientConfiguration).
pub fn client(machine: &Machine, request: &ClientConfigurationRequest) -> Result<ClientConfiguration, Status> {
    let (control_plane, older) =
        machine.boot(|boot| (boot.is_control_plane(), boot.entry.version.minor_pair() < (1, 13))).unwrap_or_default();
    if !control_plane && older {
        let words = "client configuration (talosconfig) can't be generated on worker nodes";
        return Err(Status::failed_precondition(words));
    }
    only_control_planes(machine, "client configuration")?;
    let lasts = request.crt_ttl.and_then(|ttl| Duration::try_from(ttl).ok()).filter(|ttl| !ttl.is_zero());
    if lasts.is_none() {
        return Err(Status::invalid_argument("crt_ttl should be positive"));
    }
    let config = active(machine)?;
    let ca = config.parsed.os_ca_certificate().unwrap_or_default();
    let key = config.parsed.os_ca_key().map(|key| key.expose().clone()).unwrap_or_default();
    let failed = |error: PkiError| Status::unknown(error.to_string());
    let authority = Authority::from_pem("machine.ca", &ca, &key).map_err(failed)?;
    let roles: Vec<&str> = request.roles.iter().map(String::as_str).collect();
    let pair = authority.client(&roles, "", machine.now()).map_err(failed)?;
    // No endpoints: who asks knows them.
    let mut name = config.parsed.cluster_name().unwrap_or_default();
    if let [role] = &roles[..] {
        name = format!("{}@{name}", role.trim_start_matches("os:"));
    }
    let [shown_ca, crt, shown_key] = [&ca, &pair.certificate, &pair.key].map(|pem| BASE64.encode(pem));
    let talosconfig = format!(
        "context: {name}\ncontexts:\n    {name}:\n        endpoints: []\n        ca: {shown_ca}\n        crt: {crt}\n        \
         key: {shown_key}\n"
    );
    Ok(ClientConfiguration {
        ca: ca.into_bytes(),
        crt: pair.certificate.into_bytes(),
        key: pair.key.into_bytes(),
        talosconfig: talosconfig.into_bytes(),
    })
}

fn active(machine: &Machine) -> Result<Config, Status> {
    machine.boot(|boot| boot.config.clone()).flatten().ok_or_else(|| Status::unavailable("no config"))
}
