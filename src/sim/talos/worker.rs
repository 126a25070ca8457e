//! A worker: no API at all until trustd has signed its certificate.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    boot::{self, certified},
    config::Config,
    control_plane::names,
    extension,
    machine::Machine,
    state::Serving,
};
use crate::sim::{
    cluster::{TrustdCall, host_of, same_certificate},
    journal::Event,
    node_object::NodeObject,
    pki::certificates,
};

/// From the configuration to `running`, if it gets there.
pub async fn run(machine: &Arc<Machine>) {
    machine.service("apid", "Waiting", "Waiting for api certificates");
    machine.service("kubelet", "Waiting", "Waiting for service \"cri\" to be \"up\"");
    boot::sync_time(machine);
    boot::start_containers(machine).await;
    extension::start_all(machine);
    let follower = Arc::clone(machine);
    let kubelet = async move { kubelet(&follower).await };
    tokio::join!(api(machine), kubelet);
    boot::finish(machine).await;
}

/// Asks trustd until it signs; then opens the API with the cluster's authority.
pub async fn api(machine: &Machine) {
    let mut last = String::new();
    loop {
        let (mut home, mut own) = (machine.world.cluster.watch(), machine.watch());
        home.mark_unchanged();
        own.mark_unchanged();
        machine.take(machine.world.timings.trustd).await;
        match ask_trustd(machine) {
            Ok(serving) => {
                machine.note(Event::Joined);
                machine.change(|boot| boot.serving = serving);
                machine.service_with("apid", "Running", "Health check successful", Some(true));
                return;
            }
            Err(reason) => {
                machine.controller_failed("secrets.APIController", &reason);
                if reason != last {
                    machine.note(Event::JoinRefused { reason: reason.clone() });
                }
                last = reason;
            }
        }
        // The real controller tries forever with a backoff; here only a change can make a difference.
        tokio::select! {
            _ = home.changed() => {}
            _ = own.changed() => {}
        }
    }
}

/// Asks for a certificate with the names of the present configuration; until it is there the old one serves.
pub fn renew(machine: &Machine) {
    match ask_trustd(machine) {
        Ok(serving) => {
            machine.change(|boot| boot.serving = serving);
        }
        Err(reason) => machine.controller_failed("secrets.APIController", &reason),
    }
}

fn ask_trustd(machine: &Machine) -> Result<Serving, String> {
    let config = machine.boot(|boot| boot.config.clone()).flatten().ok_or("no machine configuration")?;
    let endpoint = config.parsed.cluster_endpoint().unwrap_or_default();
    let endpoint = host_of(&endpoint);
    let wrap = |error: String| format!("failed to sign API server CSR: {error}");
    let cluster = &machine.world.cluster;
    if machine.boot(|boot| extension::has_route(boot, cluster)) != Some(true) {
        return Err(wrap(format!(
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp \
             {endpoint}:50001: i/o timeout\""
        )));
    }
    let token = config.parsed.machine_token().map(|token| token.expose().clone()).unwrap_or_default();
    let ca = config.parsed.os_ca_certificate().unwrap_or_default();
    let call = TrustdCall { token: &token, ca: &ca, endpoint };
    let (mut ips, mut dns) = (Vec::new(), Vec::new());
    let names = names(machine, &config, &mut ips, &mut dns);
    let certificate = cluster.trustd(&call, names.common_name, names.ips, names.dns).map_err(wrap)?;
    let certificate = certified(certificate).map_err(|error| error.to_string())?;
    Ok(Serving::Mutual(certificate, certificates(cluster.os().certificate_pem())))
}

/// Starts the kubelet; its Node appears when the control plane is reached with the right token and authority.
async fn kubelet(machine: &Arc<Machine>) {
    let cluster = &machine.world.cluster;
    let mut home = cluster.watch();
    loop {
        home.mark_unchanged();
        let ready = machine.until(|state| {
            let boot = state.boot.as_ref()?;
            (boot.runs("cri") && extension::has_route(boot, cluster)).then_some(())
        });
        tokio::select! {
            () = ready => break,
            changed = home.changed() => if changed.is_err() { return },
        }
    }
    machine.take(machine.world.timings.kubelet).await;
    let Some(config) = machine.boot(|boot| boot.config.clone()).flatten() else { return };
    if let Err(reason) = may_register(machine, &config) {
        machine.logs.write("kubelet", &reason);
        machine.service_with("kubelet", "Running", "Health check failed: connection refused", Some(false));
        return;
    }
    let name = machine.kubernetes_name();
    machine.service_with("kubelet", "Running", "Health check successful", Some(true));
    machine.change(|boot| boot.node_name = Some(name.clone()));
    let known = machine.world.cluster.node(&name).is_some();
    machine.world.cluster.register(node_object(machine, &config, name.clone()));
    machine.note(Event::NodeObject { change: if known { "refreshed" } else { "registered" }.to_owned() });
    let follower = Arc::clone(machine);
    let boot_id = machine.boot(|boot| boot.id.clone());
    tokio::spawn(async move { turn_ready(&follower, &name, boot_id).await });
}

fn may_register(machine: &Machine, config: &Config) -> Result<(), String> {
    let cluster = &machine.world.cluster;
    let token = config.text_at("cluster.token").unwrap_or_default();
    if token != *cluster.secrets().bootstrap_token.expose() {
        return Err(
            "E bootstrap.go: failed to run Kubelet: cannot create certificate signing request: Unauthorized".into()
        );
    }
    let ca = config.text_at("cluster.ca.crt").unwrap_or_default();
    let ca = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, ca).unwrap_or_default();
    if !same_certificate(&String::from_utf8_lossy(&ca), cluster.kubernetes().certificate_pem()) {
        return Err(
            "E reflector.go: tls: failed to verify certificate: x509: certificate signed by unknown authority".into()
        );
    }
    Ok(())
}

fn node_object(machine: &Machine, config: &Config, name: String) -> NodeObject {
    let image = config.parsed.kubelet_image().unwrap_or_default();
    let version = machine.boot(|boot| boot.entry.version.clone());
    let kubernetes = version.as_ref().map_or("", |version| version.default_kubernetes());
    let kubelet_version = match image.rsplit_once(":v") {
        Some((_, tag)) => format!("v{}", tag.split('@').next().unwrap_or_default()),
        None => format!("v{kubernetes}"),
    };
    let talos = version.map(|version| version.to_string()).unwrap_or_default();
    let arch = "kubernetes.io/arch";
    let platform = machine.boot(|boot| boot.entry.platform.clone()).unwrap_or_default();
    let provider_id =
        if platform == "oracle" { format!("oci://{}", machine.hardware.instance_id) } else { String::new() };
    NodeObject {
        uid: uuid::Uuid::new_v4().to_string(),
        kubelet_version,
        system_uuid: machine.hardware.uuid.clone(),
        machine_id: machine.look(|state| state.disk.identity.clone()),
        boot_id: machine.boot(|boot| boot.id.clone()).unwrap_or_default(),
        os_image: format!("Talos ({talos})"),
        provider_id,
        internal_ip: node_ip(machine, config),
        unschedulable: false,
        cordoned_by: String::new(),
        ready: false,
        silent: false,
        labels: [
            ("kubernetes.io/hostname", name.as_str()),
            (arch, &machine.hardware.arch),
            ("kubernetes.io/os", "linux"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        annotations: [("extensions.talos.dev/schematic".to_owned(), String::new())].into(),
        taints: Vec::new(),
        created: OffsetDateTime::now_utc(),
        version: 1,
        name,
    }
}

/// The address in `machine.kubelet.nodeIP.validSubnets`, else the private one.
fn node_ip(machine: &Machine, config: &Config) -> String {
    let subnets = config.parsed.get("machine.kubelet.nodeIP.validSubnets").and_then(|node| node.as_sequence());
    let subnets: Vec<ipnet::IpNet> =
        subnets.unwrap_or_default().iter().filter_map(|one| one.as_str()?.parse().ok()).collect();
    let fits = |ip: &std::net::IpAddr| subnets.iter().any(|subnet| subnet.contains(ip));
    let own = machine.hardware.private_ip;
    machine.addresses().into_iter().find(fits).unwrap_or(own).to_string()
}

async fn turn_ready(machine: &Machine, name: &str, boot_id: Option<String>) {
    machine.take(machine.world.timings.node_ready).await;
    let mut home = machine.world.cluster.watch();
    while !machine.world.cluster.switches().cni_ready {
        if home.changed().await.is_err() {
            return;
        }
    }
    if machine.boot(|boot| boot.id.clone()) != boot_id {
        return;
    }
    let boot = boot_id.unwrap_or_default();
    machine.world.cluster.change(name, |node| {
        if node.boot_id == boot {
            (node.ready, node.version) = (true, node.version + 1);
        }
    });
    machine.note(Event::NodeObject { change: "Ready".to_owned() });
    machine.change(|_| ());
    report(machine, name, &boot).await;
}

/// Posts the node's status as long as packets get to the control plane. The node controller gives a kubelet that is not
/// heard of up after 40 s; here at once.
async fn report(machine: &Machine, name: &str, boot_id: &str) {
    let cluster = &machine.world.cluster;
    let mut home = cluster.watch();
    while home.changed().await.is_ok() {
        let routed = machine.boot(|boot| (boot.id == boot_id).then(|| extension::has_route(boot, cluster)));
        let Some(Some(routed)) = routed else { return };
        if cluster.node(name).is_some_and(|node| node.boot_id == boot_id && node.silent == routed) {
            cluster.change(name, |node| (node.silent, node.ready, node.version) = (!routed, routed, node.version + 1));
            machine.change(|_| ());
        }
    }
}
