//! Reboot, Reset and Shutdown.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use tonic::{Request, Response, Status};

use super::{
    boot, etcd,
    gate::Note,
    machine::{Machine, Wish},
    state::{Disk, Stage},
    volumes::{self, LOOP_DEVICE},
};
use crate::{
    sim::journal::Event,
    wire::machine::{
        Reboot, RebootRequest, RebootResponse, Reset, ResetPartitionSpec, ResetRequest, ResetResponse, Shutdown,
        ShutdownRequest, ShutdownResponse, reset_request::WipeMode, sequence_event,
    },
};

/// Handles Reboot.
pub fn reboot(machine: &Arc<Machine>, request: Request<RebootRequest>) -> Result<Response<RebootResponse>, Status> {
    Note::set(&request, request.get_ref().mode().as_str_name());
    let actor_id = new_actor();
    boot::reboot_soon(machine, "reboot", actor_id.clone());
    Ok(Response::new(RebootResponse { messages: vec![Reboot { metadata: None, actor_id }] }))
}

/// Handles Shutdown.
pub fn shutdown(
    machine: &Arc<Machine>,
    request: Request<ShutdownRequest>,
) -> Result<Response<ShutdownResponse>, Status> {
    Note::set(&request, format!("force={}", request.get_ref().force));
    let actor_id = new_actor();
    leave(machine, "shutdown", Stage::ShuttingDown, actor_id.clone(), Wish::PowerOff("shutdown".to_owned()));
    Ok(Response::new(ShutdownResponse { messages: vec![Shutdown { metadata: None, actor_id }] }))
}

/// Handles Reset.
pub fn reset(machine: &Arc<Machine>, request: Request<ResetRequest>) -> Result<Response<ResetResponse>, Status> {
    let request = {
        let wiped = labels(request.get_ref());
        let words =
            format!("graceful={}, reboot={}, wipe={wiped:?}", request.get_ref().graceful, request.get_ref().reboot);
        Note::set(&request, words);
        request.into_inner()
    };
    if request.mode() == WipeMode::SystemDisk && !request.user_disks_to_wipe.is_empty() {
        return Err(Status::unknown(
            "reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter",
        ));
    }
    if request.mode() == WipeMode::UserDisks && !request.system_partitions_to_wipe.is_empty() {
        return Err(Status::unknown(
            "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter",
        ));
    }
    request.user_disks_to_wipe.iter().try_for_each(|device| user_disk(machine, device))?;
    located(machine, &request.system_partitions_to_wipe)?;
    let actor_id = new_actor();
    let single = machine.look(|state| state.disk.etcd) && machine.boot(|boot| boot.is_control_plane()) == Some(true);
    if request.graceful && single {
        // The etcd leave task of a single member fails, and a failed sequence reboots the node.
        let words = format!("error running phase 6 in reset sequence: task 1/1: failed, {}", etcd::leave_failure());
        machine.sequence("reset", sequence_event::Action::Noop, Some(&words), &actor_id);
        boot::reboot_soon(machine, "reboot", actor_id.clone());
    } else {
        wipe(machine, &request);
        let wish = if request.reboot { Wish::Reboot("reset".to_owned()) } else { Wish::PowerOff("reset".to_owned()) };
        leave(machine, "reset", Stage::Resetting, actor_id.clone(), wish);
    }
    Ok(Response::new(ResetResponse { messages: vec![Reset { metadata: None, actor_id }] }))
}

/// What Talos finds wrong with a disk that is to be wiped beside the system's: there is none here that it takes.
fn user_disk(machine: &Machine, device: &str) -> Result<(), Status> {
    let what = match device {
        LOOP_DEVICE => "is readonly",
        device if device.strip_prefix("/dev/") == Some(&machine.hardware.disk) => "is the system disk",
        _ => "wasn't found",
    };
    Err(Status::unknown(format!("reset user disk failed: device {device} {what}")))
}

/// Each volume has to be known, and to have a place. One that is a directory on another goes with that one since 1.14.
fn located(machine: &Machine, wanted: &[ResetPartitionSpec]) -> Result<(), Status> {
    let volumes = volumes::all(machine);
    let backed = machine.boot(|boot| boot.entry.version.minor_pair() >= (1, 14)) == Some(true);
    for ResetPartitionSpec { label, .. } in wanted {
        let Some(volume) = volumes.iter().find(|volume| volume.id == label) else {
            return Err(Status::unknown(format!(
                "failed to get volume status with label {label:?}: resource VolumeStatuses.block.talos.dev(runtime/{label}@undefined) doesn't exist"
            )));
        };
        if volume.partition.is_some() {
            continue;
        }
        if !backed {
            return Err(Status::unknown(format!("failed to reset: volume {label:?} is not located")));
        }
        if volume.parent.is_empty() {
            let words = "is not located and doesn't reside on another volume";
            return Err(Status::unknown(format!("failed to reset: volume {label:?} {words}")));
        }
        // Everything else lies on EPHEMERAL.
        let below = volumes::EPHEMERAL;
        if !wanted.iter().any(|other| other.label == below && other.wipe) {
            return Err(Status::unknown(format!(
                "failed to reset: volume {label:?} resides on volume {below:?}, and therefore {label:?} cannot be wiped \
                 without wiping {below:?}"
            )));
        }
    }
    Ok(())
}

fn labels(request: &ResetRequest) -> Vec<String> {
    let wiped = request.system_partitions_to_wipe.iter().filter(|partition| partition.wipe);
    wiped.map(|partition| partition.label.clone()).collect()
}

fn wipe(machine: &Machine, request: &ResetRequest) {
    let mut labels = labels(request);
    let whole = request.system_partitions_to_wipe.is_empty() && request.mode() != WipeMode::UserDisks;
    if whole || labels.iter().any(|label| label == "META") {
        // The table goes, or META without which the disk does not count as installed: nothing boots any more.
        labels = if whole { vec!["the whole system disk".to_owned()] } else { labels };
        let zeros = vec![0; 1024 * 1024];
        let wiped = File::options().write(true).open(&machine.disk).and_then(|disk| disk.write_all_at(&zeros, 0));
        if let Err(error) = wiped {
            machine.say(&format!("wiping the system disk: {error}"));
        }
    }
    machine.with(|state| {
        if whole {
            state.disk = Disk::default();
        }
        if labels.iter().any(|label| label == "STATE") {
            state.disk.config = None;
        }
        if labels.iter().any(|label| label == "EPHEMERAL") {
            state.disk.etcd = false;
            state.disk.images.clear();
        }
    });
    machine.note(Event::Wiped { labels });
}

fn leave(machine: &Arc<Machine>, sequence: &'static str, stage: Stage, actor: String, wish: Wish) {
    let machine = Arc::clone(machine);
    tokio::spawn(async move {
        machine.sequence(sequence, sequence_event::Action::Start, None, &actor);
        machine.change(|boot| boot.sequence = Some(sequence));
        machine.stage(stage);
        tokio::time::sleep(machine.world.timings.reboot_grace).await;
        machine.phase("stopServices", "stopAllServices", &actor);
        machine.take(machine.world.timings.stop_services).await;
        machine.close_api().await;
        machine.wish(wish);
    });
}

fn new_actor() -> String {
    uuid::Uuid::new_v4().to_string()
}
