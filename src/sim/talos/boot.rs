//! The life of a running Talos, from the firmware to the role that its configuration gives it.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{
    config::Config,
    control_plane, firmware,
    machine::{Machine, Wish},
    serve,
    state::{Boot, Serving, Stage},
    upgrade, worker,
};
use crate::{
    sim::{
        fault::Fault,
        journal::Event,
        pki::{Authority, KeyKind, PkiError, ServerCertificate, ServerNames},
    },
    wire::machine::sequence_event,
};

/// Runs Talos until `life` ends; returns early when nothing on the disk boots.
pub async fn run(machine: Arc<Machine>, life: CancellationToken) {
    machine.take(machine.world.timings.firmware).await;
    if let Some(longer) = machine.strike(|f| if let Fault::SlowBoot(by) = f { Some(*by) } else { None }) {
        machine.take(longer).await;
    }
    let Some(entry) = firmware::choose(&machine) else { return };
    start(&machine, entry);
    let server = tokio::spawn(serve::run(Arc::clone(&machine), life.clone()));
    tokio::select! {
        () = life.cancelled() => {}
        () = story(&machine) => life.cancelled().await,
    }
    // The server ends with the same token; what it leaves open is cut.
    let _ = server.await;
}

/// Memory as it is right after the kernel has started.
fn start(machine: &Machine, entry: super::state::BootEntry) {
    let skew = machine.strike(|f| if let Fault::ClockSkew(seconds) = f { Some(*seconds) } else { None });
    machine.logs.clear();
    let now = OffsetDateTime::now_utc() + time::Duration::seconds(skew.unwrap_or_default());
    let boot = Boot::new(uuid::Uuid::new_v4().to_string(), entry, now, skew.unwrap_or_default());
    machine.with(|state| state.boot = Some(boot));
    machine.sequence("initialize", sequence_event::Action::Start, None, "");
    machine.note(Event::Stage("booting".to_owned()));
    machine.service("machined", "Running", "Service started as goroutine");
}

async fn story(machine: &Arc<Machine>) {
    machine.take(machine.world.timings.boot).await;
    machine.sequence("initialize", sequence_event::Action::Stop, None, "");
    if upgrade::run_staged(machine).await {
        return;
    }
    let config = match acquire(machine).await {
        Some(config) => config,
        None => maintenance(machine).await,
    };
    machine.sequence("boot", sequence_event::Action::Start, None, "");
    machine.stage(Stage::Booting);
    let control_plane = config.is_control_plane();
    let trouble = config.network_trouble(&machine.hardware.mac, machine.hardware.private_ip);
    machine.change(|boot| boot.config = Some(config));
    if let Some(trouble) = trouble {
        // Nobody outside ever hears of this machine again; the console would.
        machine.note(Event::NoNetwork { reason: trouble });
        return std::future::pending().await;
    }
    if control_plane {
        control_plane::run(machine).await;
    } else {
        worker::run(machine).await;
    }
}

/// A configuration from STATE or from the cloud; `None` leads to maintenance mode. Waits forever when the cloud has
/// something that is no configuration.
async fn acquire(machine: &Machine) -> Option<Config> {
    if let Some(config) = machine.look(|state| state.disk.config.clone()) {
        return Some(config).filter(Config::is_complete);
    }
    let user_data = machine.metadata.instance().user_data?;
    // Talos v1.12.2 platform/oracle/oracle.go: not found and not base64 both mean that there is none.
    let decoded = BASE64.decode(user_data.trim()).ok().filter(|bytes| !bytes.is_empty())?;
    let version = machine.boot(|boot| boot.entry.version.clone())?;
    match Config::load(&decoded, &version).and_then(|config| config.validate(&version).map(|_| config)) {
        Ok(config) if config.is_complete() => {
            machine.with(|state| state.disk.config = Some(config.clone()));
            Some(config)
        }
        Ok(_) => None,
        Err(error) => {
            let words = format!("failed to load config via platform oracle: {error}");
            machine.note(Event::Fault("user_data is no machine configuration: Talos waits forever".to_owned()));
            let event = crate::wire::machine::TaskEvent { task: "loadConfig".to_owned(), action: 0 };
            machine.logs.publish("TaskEvent", &event, "");
            machine.controller_failed("config.AcquireController", &words);
            std::future::pending().await
        }
    }
}

/// Serves the maintenance API until a complete configuration was applied.
async fn maintenance(machine: &Arc<Machine>) -> Config {
    match maintenance_certificate(machine) {
        Ok(certificate) => {
            machine.change(|boot| boot.serving = Serving::Maintenance(certificate));
        }
        Err(error) => machine.say(&error.to_string()),
    }
    machine.change(|boot| boot.time_synced = true);
    machine.until(|state| state.boot.as_ref()?.listening.then_some(())).await;
    machine.stage(Stage::Maintenance);
    machine.say("this machine is reachable at:");
    machine.say("upload configuration using talosctl:");
    let config = machine
        .until(|state| {
            let staged = state.boot.as_ref()?.config.as_ref()?;
            staged.is_complete().then(|| staged.clone())
        })
        .await;
    // The reply is on its way; then the maintenance service stops, and for a while nobody listens.
    tokio::time::sleep(machine.world.timings.reboot_grace).await;
    machine.close_api().await;
    machine.take(machine.world.timings.apply_gap).await;
    config
}

/// A leaf of an authority that lives in memory for this boot only.
fn maintenance_certificate(machine: &Machine) -> Result<Arc<CertifiedKey>, PkiError> {
    let now = machine.now();
    let authority = Authority::generate("talos", KeyKind::Ed25519, now)?;
    let mut ips = machine.addresses();
    ips.extend([IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    ips.dedup();
    let dns = [machine.hostname()];
    let common_name = "maintenance-service.talos.dev";
    let names = ServerNames { common_name, dns: &dns, ips: &ips, not_before: now };
    certified(authority.server(&names)?)
}

/// A certificate in the form that rustls serves.
pub fn certified(certificate: ServerCertificate) -> Result<Arc<CertifiedKey>, PkiError> {
    let key = any_supported_type(&certificate.key).map_err(|_| PkiError::Key("a server"))?;
    Ok(Arc::new(CertifiedKey::new(certificate.chain, key)))
}

/// Services that every configured machine starts before its API; the last one is the CRI.
pub async fn start_containers(machine: &Machine) {
    machine.service_with("containerd", "Running", "Health check successful", Some(true));
    machine.service_with("udevd", "Running", "Health check successful", Some(true));
    machine.service_with("syslogd", "Running", "Health check successful", Some(true));
    machine.take(machine.world.timings.cri).await;
    machine.service_with("cri", "Running", "Health check successful", Some(true));
}

/// The clock is in sync a little after the network is up.
pub fn sync_time(machine: &Arc<Machine>) {
    let machine = Arc::clone(machine);
    tokio::spawn(async move {
        tokio::time::sleep(machine.world.timings.time_sync).await;
        machine.change(|boot| boot.time_synced = true);
    });
}

/// Ends the boot sequence once every loaded service is up.
pub async fn finish(machine: &Machine) {
    machine
        .until(|state| {
            let boot = state.boot.as_ref()?;
            let up = |service: &super::state::Service| {
                matches!(service.state, "Running" | "Finished" | "Skipped") && service.healthy != Some(false)
            };
            boot.services.iter().all(up).then_some(())
        })
        .await;
    machine.sequence("boot", sequence_event::Action::Stop, None, "");
    machine.with(|state| state.disk.fallback = None);
    machine.stage(Stage::Running);
    if machine.readiness().1.is_empty() {
        machine.say("machine is running and ready");
    }
}

/// Presses the reboot button after the reply has left and the services have stopped.
pub fn reboot_soon(machine: &Arc<Machine>, sequence: &'static str, actor: String) {
    let machine = Arc::clone(machine);
    tokio::spawn(async move {
        machine.sequence(sequence, sequence_event::Action::Start, None, &actor);
        machine.change(|boot| boot.sequence = Some(sequence));
        machine.stage(Stage::Rebooting);
        tokio::time::sleep(machine.world.timings.reboot_grace).await;
        machine.phase("stopServices", "stopAllServices", &actor);
        machine.take(machine.world.timings.stop_services).await;
        machine.close_api().await;
        machine.wish(Wish::Reboot(sequence.to_owned()));
    });
}
