//! The calls about etcd that only control planes answer; there is one member.

use prost::Message;
use tonic::Status;

use super::{
    machine::Machine,
    snapshot,
    spec::{Field, Value, text},
};

/// The id of the only member.
pub const MEMBER: u64 = 0x51b7_9c3e_2a4d_0001;

#[derive(Clone, PartialEq, Message)]
struct RemoveMember {
    #[prost(uint64, tag = "1")]
    member_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Downgrade {
    #[prost(string, tag = "1")]
    version: String,
}

/// Answers a call by its method's name (Talos v1.12.2 v1alpha1_server.go).
pub fn answer(machine: &Machine, method: &str, request: &[u8]) -> Result<Vec<Field>, Status> {
    let minor = machine.boot(|boot| boot.entry.version.minor_pair()).unwrap_or_default();
    only_control_planes(machine, name(method, minor < (1, 13)))?;
    if method == "EtcdRecover" {
        // The snapshot is kept for a Bootstrap that recovers from it, whether or not etcd runs.
        return Ok(Vec::new());
    }
    let version = match method {
        "EtcdDowngradeEnable" | "EtcdDowngradeValidate" => Some(downgrade(request)?),
        _ => None,
    };
    let trying = trying(method);
    if machine.boot(|boot| boot.runs("etcd")) != Some(true) {
        return Err(Status::unknown(format!("{trying}: context deadline exceeded")));
    }
    match method {
        "EtcdStatus" => Ok(vec![(2, "memberStatus", Value::Message(status(minor)))]),
        "EtcdSnapshot" => Ok(vec![(2, "bytes", Value::Bytes(snapshot::empty(), String::new()))]),
        "EtcdForfeitLeadership" => {
            Err(Status::unknown(format!("{trying}: cannot forfeit leadership, only one member")))
        }
        "EtcdLeaveCluster" => Err(Status::unknown(leave_failure())),
        "EtcdRemoveMemberByID" => {
            let id = RemoveMember::decode(request).map_err(|e| Status::internal(e.to_string()))?.member_id;
            if id == MEMBER {
                return Err(Status::unknown(format!("{trying}: {}", removal_failure())));
            }
            Err(Status::not_found(format!("failed to remove member {id}: etcdserver: member not found")))
        }
        "EtcdDowngradeCancel" => Err(Status::unknown(format!("{trying}: etcdserver: no inflight downgrade job"))),
        "EtcdDowngradeEnable" | "EtcdDowngradeValidate" => {
            let allowed = one_minor_below(release(minor));
            if version.as_deref() != Some(&*allowed) {
                return Err(Status::unknown(format!("{trying}: etcdserver: invalid downgrade target version")));
            }
            // The version that the cluster has now, without its patch.
            let cluster = vec![(1, "clusterVersion", text(&release(minor)[..3]))];
            Ok(vec![(2, "clusterDowngrade", Value::Message(cluster))])
        }
        // No alarms, and nothing to tell.
        _ => Ok(Vec::new()),
    }
}

/// What a call is named when it is refused on a worker. Before 1.13 Talos had one name for several.
fn name(method: &str, older: bool) -> &'static str {
    match (method, older) {
        ("EtcdStatus", _) => "etcd status",
        ("EtcdAlarmList", _) | ("EtcdAlarmDisarm", true) => "etcd alarm list",
        ("EtcdAlarmDisarm", false) => "etcd alarm disarm",
        ("EtcdDefragment", _) => "etcd defragment",
        ("EtcdSnapshot", _) => "etcd snapshot",
        ("EtcdRecover", _) => "etcd recover",
        ("EtcdLeaveCluster", _) => "etcd leave",
        ("EtcdRemoveMemberByID", _) => "etcd remove member",
        ("EtcdDowngradeEnable", false) => "etcd downgrade enable",
        ("EtcdDowngradeValidate", false) => "etcd downgrade validate",
        ("EtcdDowngradeCancel" | "EtcdDowngradeEnable" | "EtcdDowngradeValidate", _) => "etcd downgrade cancel",
        _ => "etcd forfeit leadership",
    }
}

/// What fails when etcd does.
fn trying(method: &str) -> &'static str {
    match method {
        "EtcdAlarmDisarm" => "failed to disarm etcd alarm",
        "EtcdAlarmList" => "failed to list etcd alarms",
        "EtcdDefragment" => "failed to defragment etcd",
        "EtcdSnapshot" => "failed reading etcd snapshot",
        "EtcdLeaveCluster" => "failed to leave cluster",
        "EtcdRemoveMemberByID" => "failed to remove member",
        "EtcdForfeitLeadership" => "failed to forfeit leadership",
        // Talos' words for downgrades too.
        _ => "failed to query etcd status",
    }
}

/// Why the only member cannot leave; Talos retries, and go-retry lists what it met.
pub fn leave_failure() -> String {
    format!("failed to leave cluster: 1 error(s) occurred:\n\t{}", removal_failure())
}

fn removal_failure() -> String {
    format!("failed to remove member {MEMBER}: etcdserver: re-configuration failed due to not enough started members")
}

/// The etcd that a release of Talos runs.
fn release(minor: (u64, u64)) -> &'static str {
    match minor {
        (1, 12) => "3.6.7",
        (1, 13) => "3.6.12",
        _ => "3.7.1",
    }
}

fn one_minor_below(version: &str) -> String {
    let mut numbers = version.split('.').filter_map(|number| number.parse::<u64>().ok());
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    format!("{major}.{}", minor.saturating_sub(1))
}

fn status(minor: (u64, u64)) -> Vec<Field> {
    let version = release(minor);
    vec![
        (1, "protocolVersion", text(version)),
        (2, "dbSize", Value::Int(2_000_000)),
        (3, "dbSizeInUse", Value::Int(1_200_000)),
        (4, "leader", Value::Int(MEMBER)),
        (5, "raftIndex", Value::Int(1234)),
        (6, "raftTerm", Value::Int(2)),
        (7, "raftAppliedIndex", Value::Int(1234)),
        (10, "memberId", Value::Int(MEMBER)),
        (11, "storageVersion", text(format!("{}.0", &version[..3]))),
    ]
}

/// Checks the version that a downgrade asks for.
fn downgrade(request: &[u8]) -> Result<String, Status> {
    let version = Downgrade::decode(request).map_err(|error| Status::internal(error.to_string()))?.version;
    let refuse = |words: &str| Err(Status::invalid_argument(words));
    if version.is_empty() {
        return refuse("version is required for etcd downgrade");
    }
    let Some((major, minor)) = version.split_once('.').filter(|(_, minor)| !minor.contains('.')) else {
        return refuse("version should be in MAJOR.MINOR format");
    };
    match (major.parse::<u64>(), minor.parse::<u64>()) {
        (Err(_), _) => refuse("major version should be a number"),
        (_, Err(_)) => refuse("minor version should be a number"),
        (Ok(major), Ok(minor)) if (major, minor) < (3, 5) => {
            refuse("etcd downgrade is only supported to 3.5 and later versions")
        }
        _ => Ok(version),
    }
}

/// Refuses on a worker, in the words that Talos has for most calls.
pub fn only_control_planes(machine: &Machine, name: &str) -> Result<(), Status> {
    if machine.boot(|boot| boot.is_control_plane()) == Some(true) {
        return Ok(());
    }
    Err(Status::unimplemented(format!("{name} is only available on control plane nodes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_downgrade_are_checked_before_etcd_is_asked() {
        let words = |version: &str| {
            let request = Downgrade { version: version.to_owned() }.encode_to_vec();
            downgrade(&request).err().map(|status| status.message().to_owned()).unwrap_or_default()
        };
        assert_eq!(words("3.5"), "");
        assert_eq!(words(""), "version is required for etcd downgrade");
        assert_eq!(words("3"), "version should be in MAJOR.MINOR format");
        assert_eq!(words("3.5.1"), "version should be in MAJOR.MINOR format");
        assert_eq!(words("x.5"), "major version should be a number");
        assert_eq!(words("3.x"), "minor version should be a number");
        assert_eq!(words("3.4"), "etcd downgrade is only supported to 3.5 and later versions");
    }
}
