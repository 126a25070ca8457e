//! Upgrades: the legacy call, and what both roads share.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    apply::has_fix,
    entry::{entry_of_installer, uki_beside},
    gate::Note,
    machine::{Machine, Wish},
    state::{BootEntry, Stage},
};
use crate::{
    sim::{fault::Fault, journal::Event},
    wire::machine::{Upgrade, UpgradeRequest, UpgradeResponse, sequence_event},
};

/// Handles the legacy call.
pub async fn upgrade(
    machine: &Arc<Machine>,
    request: Request<UpgradeRequest>,
) -> Result<Response<UpgradeResponse>, Status> {
    let UpgradeRequest { image, preserve, stage, force, .. } = request.get_ref().clone();
    Note::set(&request, format!("image={image}, preserve={preserve}, stage={stage}, force={force}"));
    let version = machine.boot(|boot| boot.entry.version.clone()).ok_or_else(|| Status::unavailable("no system"))?;
    machine.say(&format!("validating {image:?}"));
    machine.take(machine.world.timings.pull).await;
    let entry = entry_of_installer(&machine.world.catalog, &image)
        .map_err(|error| Status::unknown(format!("error validating installer image {image:?}: {error}")))?;
    let skips_etcd = force || (preserve && has_fix(&version, 9, 4));
    let control_plane = machine.boot(|boot| boot.is_control_plane()) == Some(true);
    if control_plane && !skips_etcd {
        // The first thing is a lease in etcd for the mutex; without etcd it hangs until the client gives up.
        machine.until(|state| state.boot.as_ref()?.runs("etcd").then_some(())).await;
    }
    let actor_id = uuid::Uuid::new_v4().to_string();
    // A second one while the first still runs is ignored; the call itself is answered all the same.
    let busy = machine.change(|boot| boot.sequence.replace("upgrade").is_some()) == Some(true);
    if busy {
        machine.sequence("upgrade", sequence_event::Action::Noop, Some("sequence is already in progress"), &actor_id);
    } else if stage {
        machine.with(|state| state.disk.staged_upgrade = Some(image));
        super::boot::reboot_soon(machine, "stageUpgrade", actor_id.clone());
    } else {
        let (machine, actor) = (Arc::clone(machine), actor_id.clone());
        tokio::spawn(async move { sequence(&machine, &image, entry, &actor).await });
    }
    let ack = "Upgrade request received".to_owned();
    Ok(Response::new(UpgradeResponse { messages: vec![Upgrade { metadata: None, ack, actor_id }] }))
}

/// The upgrade sequence of the legacy call, which ends in a reboot whatever happens.
async fn sequence(machine: &Machine, image: &str, entry: BootEntry, actor: &str) {
    machine.sequence("upgrade", sequence_event::Action::Start, None, actor);
    machine.stage(Stage::Upgrading);
    for (phase, task) in
        [("drain", "cordonAndDrainNode"), ("cleanup", "removeAllPods"), ("unmount", "unmountPodMounts")]
    {
        machine.phase(phase, task, actor);
    }
    machine.phase("stopServices", "stopServicesForUpgrade", actor);
    if let Err(reason) = install(machine, image, entry).await {
        machine.sequence("upgrade", sequence_event::Action::Noop, Some(&reason), actor);
        machine.stage(Stage::Rebooting);
        machine.close_api().await;
        return machine.wish(Wish::Reboot("failed upgrade".to_owned()));
    }
    machine.phase("upgrade", "upgrade", actor);
    machine.stage(Stage::Rebooting);
    machine.phase("stopEverything", "stopAllServices", actor);
    machine.take(machine.world.timings.stop_services).await;
    machine.close_api().await;
    machine.wish(Wish::Reboot("upgrade".to_owned()));
}

/// The installer: checks, and writes a new boot entry beside the running one.
pub async fn install(machine: &Machine, image: &str, mut entry: BootEntry) -> Result<(), String> {
    machine.take(machine.world.timings.install).await;
    let running = machine.boot(|boot| boot.entry.clone()).ok_or("no system")?;
    let told = machine.strike(|f| if let Fault::FailUpgrade(words) = f { Some(words.clone()) } else { None });
    let refused = told.map_or_else(|| entry.version.can_upgrade_from(&running.version), Err);
    if let Err(reason) = refused {
        machine.note(Event::UpgradeFailed { image: image.to_owned(), reason: reason.clone() });
        return Err(format!("error running phase 8 in upgrade sequence: task 1/1: failed, {reason}"));
    }
    entry.uki = uki_beside(&entry.version, &running.uki);
    machine.with(|state| {
        state.disk.fallback = Some(running);
        state.disk.entry = Some(entry);
    });
    machine.note(Event::Upgraded { image: image.to_owned() });
    Ok(())
}

/// Runs an upgrade that was staged before the reboot; `true` when the machine goes down again.
pub async fn run_staged(machine: &Machine) -> bool {
    let Some(image) = machine.with(|state| state.disk.staged_upgrade.take()) else { return false };
    let entry = entry_of_installer(&machine.world.catalog, &image);
    let result = match entry {
        Ok(entry) => install(machine, &image, entry).await,
        Err(error) => Err(error),
    };
    if let Err(reason) = result {
        machine.say(&reason);
    }
    machine.wish(Wish::Reboot("staged upgrade".to_owned()));
    true
}
