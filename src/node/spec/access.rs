//! Rules for credentials: whose they are, and whether they can work.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::node::door::Place;
use crate::node::draft::ClientDraft;
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::spec::Endpoint;
use crate::node::worker::Worker;
use crate::talos::kubeconfig;
use crate::talos::machine_config::MachineConfig;
use crate::talos::pki::{self, CertificateAndKey};
use crate::talos::secret::Secret;
use crate::talos::talosconfig::{ClientCredentials, Talosconfig};

const ATTRIBUTE: &str = "client_configuration";

pub(super) fn credentials(
    given: &Given<ClientDraft>,
    authority: &Given<CertificateAndKey>,
    now: OffsetDateTime,
    findings: &mut Findings,
) -> Given<ClientCredentials> {
    let credentials = match given {
        Given::Unknown => return Given::Unknown,
        Given::Absent if authority.is_unknown() => return Given::Unknown,
        Given::Absent if authority.value().is_some() => return minted(authority, now),
        Given::Absent => {
            findings.error(
                "client-missing",
                ATTRIBUTE,
                "there are no credentials of the cluster, so it cannot be proven that the node joined",
                "set client_configuration here, or talosconfig or client_configuration in the provider block",
            );
            return Given::Absent;
        }
        Given::Value(ClientDraft::Talosconfig(text)) => Talosconfig::parse(text.expose())
            .and_then(|config| config.context(None))
            .map(|context| context.credentials)
            .map_err(|error| error.to_string()),
        Given::Value(ClientDraft::Object { ca_certificate, client_certificate, client_key }) => {
            match (ca_certificate.value(), client_certificate.value(), client_key.value()) {
                (Some(ca), Some(crt), Some(key)) => {
                    ClientCredentials::from_base64(ca, crt, key.expose()).map_err(|error| error.to_string())
                }
                _ if ca_certificate.is_unknown() || client_certificate.is_unknown() || client_key.is_unknown() => {
                    return Given::Unknown;
                }
                _ => Err("ca_certificate, client_certificate and client_key are all needed".to_owned()),
            }
        }
    };
    match credentials {
        Ok(credentials) => {
            usable(&credentials, now, findings);
            Given::Value(credentials)
        }
        Err(message) => {
            findings.error(
                "client-syntax",
                ATTRIBUTE,
                format!("the credentials cannot be read: {message}"),
                "give the client_configuration object of talos_machine_secrets, or a talosconfig",
            );
            Given::Absent
        }
    }
}

/// The secrets file holds the key that all credentials are issued with: a short-lived one is made in memory.
fn minted(authority: &Given<CertificateAndKey>, now: OffsetDateTime) -> Given<ClientCredentials> {
    let Some(ca) = authority.value() else { return Given::Absent };
    let admin = pki::admin_certificate(ca, now, LIFETIME);
    admin.map_or(Given::Absent, |admin| {
        Given::Value(ClientCredentials { ca: ca.crt.clone(), crt: admin.crt, key: admin.key })
    })
}

/// Longer than any run.
const LIFETIME: time::Duration = time::Duration::days(1);

fn usable(credentials: &ClientCredentials, now: OffsetDateTime, findings: &mut Findings) {
    if let Err(error) = pki::check_client(&credentials.ca, &credentials.pair(), now) {
        findings.error(
            "client-certificate",
            ATTRIBUTE,
            format!("the client certificate cannot be used: {error}"),
            "issue a new one, for example with `talosctl config new` or by refreshing talos_machine_secrets",
        );
    }
}

/// The credentials must be of the cluster that the configuration joins: otherwise the node would join and never be seen.
pub(super) fn same_cluster(credentials: &Given<ClientCredentials>, worker: &Given<Worker>, findings: &mut Findings) {
    let (Some(credentials), Some(worker)) = (credentials.value(), worker.value()) else { return };
    let ours = pki::ca_fingerprint(&credentials.ca).ok();
    // With machine.acceptedCAs another CA may sign clients; only the plain case can be told apart here.
    let issuing = worker.config.os_ca_certificate().and_then(|pem| pki::ca_fingerprint(&pem).ok());
    let alone = worker.config.get("machine.acceptedCAs").is_none();
    if alone && issuing.is_some() && issuing != ours {
        findings.error(
            "client-other-cluster",
            ATTRIBUTE,
            "the credentials are signed by another CA than machine.ca of the worker configuration",
            "use the credentials and the configuration of the same cluster",
        );
    }
}

/// A public address in Oracle Cloud is translated: the node does not know it, so its certificate only carries it when
/// machine.certSANs says so (Talos v1.12.2 controllers/secrets/api_cert_sans.go).
pub(super) fn name_on_certificate(
    endpoint: &Given<Endpoint>,
    config: &MachineConfig,
    place: Place,
    findings: &mut Findings,
) {
    let Some(endpoint) = endpoint.value() else { return };
    let sans = config.cert_sans();
    let host = &endpoint.host;
    let named = match host.parse::<IpAddr>() {
        Ok(address) => sans.iter().any(|san| san.parse() == Ok(address)) || address.is_loopback(),
        Err(_) => sans.iter().any(|san| san.eq_ignore_ascii_case(host)),
    };
    if !named {
        findings.error(
            "endpoint-not-in-cert-sans",
            place.at("machine.cert_sans"),
            format!("the node's certificate will not name the endpoint {host}: machine.certSANs does not list it"),
            format!("add {host} to machine.certSANs"),
        );
    }
}

/// A kubeconfig that cannot be read would be found only when the node has joined.
pub(super) fn kubeconfig(given: &Given<Secret<String>>, findings: &mut Findings) {
    let Some(Err(problem)) = given.value().map(|text| kubeconfig::check(text.expose())) else { return };
    findings.error(
        "kubeconfig-syntax",
        "kubeconfig",
        format!("the kubeconfig cannot be read: {problem}"),
        "give the content of the file, as `talosctl kubeconfig` writes it",
    );
}
