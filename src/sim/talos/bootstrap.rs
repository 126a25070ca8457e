//! Bootstrap: the conditions in Talos' order, and its words.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::{gate::Note, machine::Machine};
use crate::{
    sim::journal::Event,
    wire::machine::{Bootstrap, BootstrapRequest, BootstrapResponse},
};

/// Talos waits this long for the CRI, and for the time.
const CRI: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(5);

/// Handles the call.
pub async fn bootstrap(
    machine: &Arc<Machine>,
    request: Request<BootstrapRequest>,
) -> Result<Response<BootstrapResponse>, Status> {
    Note::set(&request, format!("recover_etcd={}", request.get_ref().recover_etcd));
    let (version, control_plane, etcd_authority) = machine
        .boot(|boot| {
            let authority = boot.config.as_ref().and_then(|config| config.text_at("cluster.etcd.ca.crt"));
            (boot.entry.version.clone(), boot.is_control_plane(), authority)
        })
        .ok_or_else(|| Status::unavailable("no system"))?;
    let cri = machine.until(|state| state.boot.as_ref()?.runs("cri").then_some(()));
    let pending = version.minor_pair() >= (1, 14) && machine.boot(|boot| boot.sequence.is_some()) == Some(true);
    if timeout(CRI, cri).await.is_err() || pending {
        return Err(Status::failed_precondition("bootstrap is not available yet"));
    }
    if !control_plane {
        return Err(if version.minor_pair() >= (1, 13) {
            Status::unimplemented("bootstrap is only available on control plane nodes")
        } else {
            Status::failed_precondition("bootstrap can only be performed on a control plane node")
        });
    }
    if version.minor_pair() >= (1, 14) && etcd_authority.is_none() {
        return Err(Status::invalid_argument("etcd is not configured, bootstrap is not possible"));
    }
    let synced = machine.until(|state| state.boot.as_ref()?.time_synced.then_some(()));
    if timeout(TIME, synced).await.is_err() {
        return Err(Status::failed_precondition("time is not in sync yet"));
    }
    let taken = machine.with(|state| {
        let taken = state.disk.etcd || state.boot.as_ref().is_some_and(|boot| boot.bootstrapping);
        state.boot.iter_mut().for_each(|boot| boot.bootstrapping = true);
        taken
    });
    if taken {
        return Err(Status::already_exists("etcd data directory is not empty"));
    }
    machine.say("bootstrap request received");
    machine.note(Event::Bootstrapped);
    Ok(Response::new(BootstrapResponse { messages: vec![Bootstrap { metadata: None }] }))
}
