//! The cluster that workers are to join: its secrets, its trustd, its tailnet and its Nodes. It stands for machines at
//! home that the simulator does not run.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::{
    node_object::NodeObject,
    pki::{Authority, PemPair, PkiError, ServerCertificate, ServerNames},
};
use crate::talos::secrets::SecretsBundle;

/// The part of the world outside the cloud that can be switched on and off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// Whether trustd answers on port 50001 once packets get there.
    pub trustd_reachable: bool,
    /// Whether a worker needs the tailnet to reach the control plane.
    pub behind_tailscale: bool,
    /// Whether the tailnet takes the auth key.
    pub auth_key: AuthKey,
    /// Whether the tags that a node asks for are permitted.
    pub tags_permitted: bool,
    /// Whether a subnet router advertises the control plane's addresses.
    pub routes_advertised: bool,
    /// Whether the CNI comes up, so that Nodes turn Ready.
    pub cni_ready: bool,
    /// Whether evictions meet a PodDisruptionBudget that allows none.
    pub evictions_blocked: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            trustd_reachable: true,
            behind_tailscale: true,
            auth_key: AuthKey::Accepted,
            tags_permitted: true,
            routes_advertised: true,
            cni_ready: true,
            evictions_blocked: false,
        }
    }
}

/// What the tailnet says about an auth key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKey {
    /// Any `tskey-…` is good.
    Accepted,
    /// It was deleted or has expired.
    Expired,
    /// It was used up.
    Used,
}

/// What a worker shows when it asks for its certificate.
#[derive(Debug)]
pub struct TrustdCall<'a> {
    /// `machine.token`
    pub token: &'a str,
    /// `machine.ca.crt` and accepted authorities, PEM: what trustd's certificate is checked against.
    pub ca: &'a str,
    /// Host of `cluster.controlPlane.endpoint`.
    pub endpoint: &'a str,
}

/// The cluster.
pub struct Cluster {
    name: String,
    endpoint: String,
    secrets: SecretsBundle,
    os: Authority,
    kubernetes: Authority,
    switches: Mutex<Switches>,
    nodes: Mutex<BTreeMap<String, NodeObject>>,
    changed: watch::Sender<u64>,
}

impl Cluster {
    /// A cluster with these secrets; both authorities must have their keys.
    pub fn new(name: &str, endpoint: &str, secrets: SecretsBundle) -> Result<Arc<Self>, PkiError> {
        let certs = &secrets.certs;
        let os = Authority::from_pem("the cluster's OS authority", &certs.os.crt, certs.os.key.expose())?;
        let kubernetes =
            Authority::from_pem("the cluster's Kubernetes authority", &certs.k8s.crt, certs.k8s.key.expose())?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            secrets,
            os,
            kubernetes,
            switches: Mutex::default(),
            nodes: Mutex::default(),
            changed: watch::Sender::new(0),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of its Kubernetes API, as machine configurations name it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its secrets.
    pub fn secrets(&self) -> &SecretsBundle {
        &self.secrets
    }

    /// The authority of its Talos API.
    pub fn os(&self) -> &Authority {
        &self.os
    }

    /// The authority of its Kubernetes API.
    pub fn kubernetes(&self) -> &Authority {
        &self.kubernetes
    }

    /// How the switches stand.
    pub fn switches(&self) -> Switches {
        lock(&self.switches).clone()
    }

    /// Turns switches; nodes that wait see it at once.
    pub fn set(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut lock(&self.switches));
        self.touch();
    }

    /// Counts changes of switches and Nodes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A client certificate for its Talos API with these roles.
    pub fn client(&self, roles: &[&str]) -> Result<PemPair, PkiError> {
        self.os.client(roles, "", OffsetDateTime::now_utc())
    }

    /// A kubeconfig of an administrator for a Kubernetes API at `server`.
    pub fn kubeconfig(&self, server: &str) -> Result<String, PkiError> {
        let admin = self.kubernetes.client(&["system:masters"], "admin", OffsetDateTime::now_utc())?;
        let (name, ca) = (&self.name, BASE64.encode(self.kubernetes.certificate_pem()));
        let (crt, key) = (BASE64.encode(&admin.certificate), BASE64.encode(&admin.key));
        Ok(format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: admin@{name}\n  user:\n    \
             client-certificate-data: {crt}\n    client-key-data: {key}\ncontexts:\n- name: admin@{name}\n  \
             context:\n    cluster: {name}\n    user: admin@{name}\n    namespace: default\n\
             current-context: admin@{name}\n"
        ))
    }

    /// Asks trustd for an API certificate. The errors are those of gRPC in Talos' log
    /// (v1.12.2 pkg/grpc/gen/remote.go, pkg/grpc/middleware/auth/basic/token.go).
    pub fn trustd(
        &self,
        call: &TrustdCall<'_>,
        common_name: &str,
        ips: &[IpAddr],
        dns: &[String],
    ) -> Result<ServerCertificate, String> {
        let unavailable = |detail: &str| {
            let host = call.endpoint;
            format!(
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: {}\"",
                detail.replace("HOST", host)
            )
        };
        if call.endpoint != host_of(&self.endpoint) || !self.switches().trustd_reachable {
            return Err(unavailable("Error while dialing: dial tcp HOST:50001: i/o timeout"));
        }
        if !same_certificate(call.ca, self.os.certificate_pem()) {
            return Err(unavailable(
                "authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by \
                 unknown authority",
            ));
        }
        if call.token != self.secrets.trustd_token.expose() {
            return Err("rpc error: code = Unknown desc = Unauthenticated".to_owned());
        }
        let names = ServerNames { common_name, dns, ips, not_before: OffsetDateTime::now_utc() };
        self.os.server(&names).map_err(|error| error.to_string())
    }

    /// A copy of a Node.
    pub fn node(&self, name: &str) -> Option<NodeObject> {
        lock(&self.nodes).get(name).cloned()
    }

    /// Copies of all Nodes.
    pub fn nodes(&self) -> Vec<NodeObject> {
        lock(&self.nodes).values().cloned().collect()
    }

    /// Adds a Node, or refreshes what its kubelet reports.
    pub fn register(&self, node: NodeObject) {
        let mut nodes = lock(&self.nodes);
        match nodes.get_mut(&node.name) {
            Some(known) => known.refresh(node),
            None => drop(nodes.insert(node.name.clone(), node)),
        }
        drop(nodes);
        self.touch();
    }

    /// Changes a Node; `None` when there is none of that name.
    pub fn change<T>(&self, name: &str, change: impl FnOnce(&mut NodeObject) -> T) -> Option<T> {
        let result = lock(&self.nodes).get_mut(name).map(change);
        self.touch();
        result
    }

    /// Deletes a Node.
    pub fn remove(&self, name: &str) -> Option<NodeObject> {
        let removed = lock(&self.nodes).remove(name);
        self.touch();
        removed
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// The host of an URL such as `https://192.168.1.50:6443`.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Whether two PEM texts hold the same first certificate, however they are wrapped.
pub fn same_certificate(a: &str, b: &str) -> bool {
    let first = |pem: &str| super::pki::certificates(pem).into_iter().next();
    matches!((first(a), first(b)), (Some(a), Some(b)) if a == b)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_urls() {
        assert_eq!(host_of("https://192.168.1.50:6443"), "192.168.1.50");
        assert_eq!(host_of("https://cp.example.com"), "cp.example.com");
        assert_eq!(host_of("https://[fd00::1]:6443/x"), "fd00::1");
    }
}
