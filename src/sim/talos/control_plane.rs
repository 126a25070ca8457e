//! A control plane node: the single one of a temporary cluster.

use std::sync::Arc;

use super::{
    boot::{self, certified},
    config::Config,
    extension,
    machine::{Machine, Wish},
    state::Serving,
};
use crate::sim::{
    fault::Fault,
    pki::{Authority, PkiError, ServerNames, certificates},
};

/// From the configuration to `running`, if it gets there.
pub async fn run(machine: &Arc<Machine>) {
    load_services(machine);
    boot::sync_time(machine);
    if let Err(error) = open_api(machine) {
        machine.controller_failed("secrets.APIController", &error.to_string());
        return;
    }
    boot::start_containers(machine).await;
    extension::start_all(machine);
    machine.service_with("kubelet", "Running", "Health check successful", Some(true));
    machine.service("etcd", "Preparing", "Running pre state");
    let bootstrapped = machine.look(|state| state.disk.etcd);
    if !bootstrapped {
        machine.until(|state| state.boot.as_ref()?.bootstrapping.then_some(())).await;
        if machine.strike(|f| matches!(f, Fault::LoseBootstrap).then_some(())).is_some() {
            // Long enough for the answer to get away.
            tokio::time::sleep(machine.world.timings.reboot_grace).await;
            machine.wish(Wish::Reboot("power failure".to_owned()));
            return std::future::pending().await;
        }
    }
    machine.take(machine.world.timings.etcd).await;
    machine.with(|state| {
        state.disk.etcd = true;
        state.boot.iter_mut().for_each(|boot| boot.bootstrapping = false);
    });
    machine.service_with("etcd", "Running", "Health check successful", Some(true));
    register(machine);
    boot::finish(machine).await;
}

fn load_services(machine: &Machine) {
    machine.service_with("apid", "Running", "Health check successful", Some(true));
    machine.service_with("trustd", "Running", "Health check successful", Some(true));
    machine.service("etcd", "Waiting", "Waiting for service \"cri\" to be \"up\"");
    machine.service("kubelet", "Waiting", "Waiting for service \"cri\" to be \"up\"");
}

/// The API certificate is issued by the node itself: a control plane has the key of `machine.ca`.
pub fn open_api(machine: &Machine) -> Result<(), PkiError> {
    let Some(config) = machine.boot(|boot| boot.config.clone()).flatten() else { return Ok(()) };
    let ca = config.parsed.os_ca_certificate().unwrap_or_default();
    let key = config.parsed.os_ca_key().map(|key| key.expose().clone()).unwrap_or_default();
    let authority = Authority::from_pem("machine.ca", &ca, &key)?;
    let certificate = certified(authority.server(&names(machine, &config, &mut Vec::new(), &mut Vec::new()))?)?;
    machine.change(|boot| boot.serving = Serving::Mutual(certificate, accepted(&config, &ca)));
    Ok(())
}

/// The names of the API certificate: the node's addresses, its names, and `machine.certSANs`. A public address behind
/// NAT is none of the node's own (Talos v1.12.2 controllers/secrets/api_cert_sans.go).
pub fn names<'a>(
    machine: &Machine,
    config: &Config,
    ips: &'a mut Vec<std::net::IpAddr>,
    dns: &'a mut Vec<String>,
) -> ServerNames<'a> {
    let (more_ips, more_names) = config.sans();
    let own = machine.addresses();
    let answers_without_sans = |ip: &std::net::IpAddr| !machine.hardware.nat_ips.contains(ip);
    ips.extend(own.into_iter().filter(answers_without_sans).chain(more_ips));
    ips.sort_unstable();
    ips.dedup();
    dns.push(machine.fqdn());
    dns.push(machine.hostname());
    dns.extend(more_names);
    let dns: &'a Vec<String> = dns;
    ServerNames { common_name: &dns[0], dns, ips, not_before: machine.now() }
}

/// `machine.ca` and `machine.acceptedCAs`.
pub fn accepted(config: &Config, ca: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let mut accepted = certificates(ca);
    let more = config.parsed.get("machine.acceptedCAs").and_then(|node| node.as_sequence()).unwrap_or_default();
    for one in more.iter().filter_map(|one| one.get("crt")?.as_str()) {
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, one).unwrap_or_default();
        accepted.extend(certificates(&String::from_utf8_lossy(&decoded)));
    }
    accepted
}

/// The Node of the node's own cluster; without a CNI it never turns Ready.
fn register(machine: &Machine) {
    let name = machine.kubernetes_name();
    machine.change(|boot| {
        let cni = boot.config.as_ref().and_then(|config| config.text_at("cluster.network.cni.name"));
        boot.node_name = Some(name);
        boot.own_node_ready = cni.as_deref() != Some("none");
    });
}
