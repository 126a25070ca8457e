//! The calls about etcd that only control planes answer; there is one member.

use tonic::Status;

use super::{
    machine::Machine,
    spec::{Field, Value, text},
};

/// The id of the only member.
pub const MEMBER: u64 = 0x51b7_9c3e_2a4d_0001;

/// Answers a call by its method's name.
pub fn answer(machine: &Machine, method: &str) -> Result<Vec<Field>, Status> {
    let (name, trying) = match method {
        "EtcdStatus" => ("etcd status", "failed to query etcd status"),
        // Talos says "list" for both.
        "EtcdAlarmDisarm" => ("etcd alarm list", "failed to disarm etcd alarm"),
        "EtcdAlarmList" => ("etcd alarm list", "failed to list etcd alarms"),
        "EtcdDefragment" => ("etcd defragment", "failed to defragment etcd"),
        _ => ("etcd forfeit leadership", "failed to forfeit leadership"),
    };
    only_control_planes(machine, name)?;
    if machine.boot(|boot| boot.runs("etcd")) != Some(true) {
        return Err(Status::unknown(format!("{trying}: context deadline exceeded")));
    }
    if method != "EtcdStatus" {
        // No alarms, nothing to tell, and nobody to hand the leadership to.
        return Ok(Vec::new());
    }
    let version = match machine.boot(|boot| boot.entry.version.minor_pair()).unwrap_or_default() {
        (1, 12) => "3.6.7",
        (1, 13) => "3.6.12",
        _ => "3.7.1",
    };
    let status = vec![
        (1, "protocolVersion", text(version)),
        (2, "dbSize", Value::Int(2_000_000)),
        (3, "dbSizeInUse", Value::Int(1_200_000)),
        (4, "leader", Value::Int(MEMBER)),
        (5, "raftIndex", Value::Int(1234)),
        (6, "raftTerm", Value::Int(2)),
        (7, "raftAppliedIndex", Value::Int(1234)),
        (10, "memberId", Value::Int(MEMBER)),
        (11, "storageVersion", text(format!("{}.0", &version[..3]))),
    ];
    Ok(vec![(2, "memberStatus", Value::Message(status))])
}

/// Refuses on a worker, in the words that Talos has for most calls.
pub fn only_control_planes(machine: &Machine, name: &str) -> Result<(), Status> {
    if machine.boot(|boot| boot.is_control_plane()) == Some(true) {
        return Ok(());
    }
    Err(Status::unimplemented(format!("{name} is only available on control plane nodes")))
}
