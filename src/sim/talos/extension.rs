//! Extension services, above all Tailscale (siderolabs/extensions network/tailscale).

use std::sync::Arc;

use super::{machine::Machine, state::Boot};
use crate::sim::{
    cluster::{AuthKey, Cluster},
    journal::Event,
};

const WAITING_FOR_CONFIG: &str = "Waiting for extension service config";

/// Starts the services of the extensions that have one.
pub fn start_all(machine: &Arc<Machine>) {
    if machine.boot(|boot| boot.entry.has("tailscale")) == Some(true) {
        machine.service("ext-tailscale", "Waiting", WAITING_FOR_CONFIG);
        let machine = Arc::clone(machine);
        tokio::spawn(async move { tailscale(&machine).await });
    }
    if machine.boot(|boot| boot.entry.has("qemu-guest-agent")) == Some(true) {
        // Its device never appears on Oracle Cloud: there is no virtio-serial port.
        let device = "/dev/virtio-ports/org.qemu.guest_agent.0";
        machine.service("ext-qemu-guest-agent", "Waiting", &format!("Waiting for file {device:?} to exist"));
    }
}

/// Waits for a configuration, and then tries again and again, as the service does.
async fn tailscale(machine: &Machine) {
    let mut home = machine.world.cluster.watch();
    let boot_id = machine.boot(|boot| boot.id.clone());
    machine
        .until(|state| {
            let config = state.boot.as_ref()?.config.as_ref()?;
            config.extension_environment("tailscale").map(|_| ())
        })
        .await;
    loop {
        home.mark_unchanged();
        // A reboot ends this container; the next boot has its own.
        if machine.boot(|boot| boot.id.clone()) != boot_id {
            return;
        }
        machine.service(
            "ext-tailscale",
            "Running",
            "Started task ext-tailscale (PID 2214) for container ext-tailscale",
        );
        machine.take(machine.world.timings.tailscale).await;
        match machine.boot(|boot| log_in(boot, &machine.world.cluster)) {
            Some(Ok(())) => {
                machine.logs.write("ext-tailscale", "boot: Startup complete, waiting for shutdown signal");
                machine.change(|boot| boot.tailscale_up = true);
                machine.note(Event::Tailscale { up: true, detail: "in the tailnet".to_owned() });
                return;
            }
            Some(Err(words)) => {
                machine.logs.write("ext-tailscale", &format!("Received error: {words}"));
                machine.logs.write("ext-tailscale", &format!("backend error: {words}"));
                machine.note(Event::Tailscale { up: false, detail: words });
                machine.service(
                    "ext-tailscale",
                    "Waiting",
                    "Error running Containerd(ext-tailscale), going to restart forever: task \"ext-tailscale\" failed: \
                     exit code 1",
                );
            }
            None => return,
        }
        // The real one tries every five seconds; nothing changes here unless a switch or the configuration does.
        let tried = machine.boot(environment);
        tokio::select! {
            _ = home.changed() => {}
            () = machine.until(|state| (state.boot.as_ref().map(environment) != tried).then_some(())) => {}
        }
    }
}

fn log_in(boot: &Boot, cluster: &Cluster) -> Result<(), String> {
    let variables = environment(boot);
    let value = |name: &str| variables.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let key = value("TS_AUTHKEY").unwrap_or_default();
    let switches = cluster.switches();
    if !key.starts_with("tskey-") {
        return Err("invalid key: unable to validate API key".to_owned());
    }
    match switches.auth_key {
        AuthKey::Expired => return Err("invalid key: API key does not exist".to_owned()),
        AuthKey::Used => return Err("invalid key: API key kSIM0000CNTRL not valid".to_owned()),
        AuthKey::Accepted => {}
    }
    let tags = value("TS_EXTRA_ARGS")
        .and_then(|arguments| arguments.split_whitespace().find_map(|word| word.strip_prefix("--advertise-tags=")));
    match tags {
        Some(tags) if !switches.tags_permitted => {
            Err(format!("requested tags [{}] are invalid or not permitted", tags.replace(',', " ")))
        }
        _ => Ok(()),
    }
}

/// Whether packets to the control plane find their way.
pub fn has_route(boot: &Boot, cluster: &Cluster) -> bool {
    let switches = cluster.switches();
    if !switches.behind_tailscale {
        return true;
    }
    let accepts = environment(boot).iter().any(|pair| {
        pair.starts_with("TS_EXTRA_ARGS=")
            && pair.contains("--accept-routes")
            && !pair.contains("--accept-routes=false")
    });
    boot.tailscale_up && accepts && switches.routes_advertised
}

fn environment(boot: &Boot) -> Vec<String> {
    boot.config.as_ref().and_then(|config| config.extension_environment("tailscale")).unwrap_or_default()
}
