//! Roles of clients, and which call needs which (the rules in services/machined.go of Talos v1.12.2, v1.13.9 and v1.14,
//! pkg/machinery/role).

use std::ops::RangeInclusive;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::talos::version::TalosVersion;

/// The roles of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(Vec<String>);

impl Roles {
    /// The organizations of a client certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Self::default() };
        let names = parsed.subject().iter_organization().filter_map(|name| name.as_str().ok());
        Self(names.map(str::to_owned).collect())
    }

    /// What everybody is in maintenance mode.
    pub fn reader() -> Self {
        Self(vec![READER.to_owned()])
    }

    /// Whether one of these roles is held.
    pub fn any(&self, wanted: &[&str]) -> bool {
        self.0.iter().any(|role| wanted.contains(&role.as_str()))
    }

    /// Whether this is an administrator.
    pub fn is_admin(&self) -> bool {
        self.any(&[ADMIN])
    }
}

const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
const READER: &str = "os:reader";
const BACKUP: &str = "os:etcd:backup";
const VERIFIER: &str = "os:image:verifier";
const META_WRITER: &str = "os:meta:writer";

/// Whether a release has a method. The table is complete: what it does not name, grpc-go has never heard of.
pub fn is_known(path: &str, version: &TalosVersion) -> bool {
    callers(path, version).is_some()
}

/// Whether a release has a service.
pub fn is_service(service: &str, version: &TalosVersion) -> bool {
    let minor = version.minor_pair().1;
    RULES.iter().any(|rule| rule.service == service && rule.releases.contains(&minor))
}

/// Whether a call is allowed; the caller's place (maintenance or not) is checked elsewhere.
pub fn may_call(path: &str, version: &TalosVersion, roles: &Roles) -> bool {
    roles.any(callers(path, version).unwrap_or(&[ADMIN]))
}

fn callers(path: &str, version: &TalosVersion) -> Option<&'static [&'static str]> {
    let (service, method) = path.trim_start_matches('/').split_once('/')?;
    let minor = version.minor_pair().1;
    let fits =
        |rule: &&Rule| rule.service == service && rule.releases.contains(&minor) && rule.methods.contains(&method);
    RULES.iter().find(fits).map(|rule| rule.callers)
}

/// Whether the extended key usage of a certificate is client authentication and nothing else.
pub fn only_client_auth(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    match parsed.extended_key_usage() {
        Ok(Some(usage)) => {
            let usage = usage.value;
            let more = usage.any
                || usage.server_auth
                || usage.code_signing
                || usage.email_protection
                || usage.time_stamping
                || usage.ocsp_signing
                || !usage.other.is_empty();
            usage.client_auth && !more
        }
        _ => false,
    }
}

/// Methods of a service that the same roles may call, in the minors of these releases.
struct Rule {
    service: &'static str,
    releases: RangeInclusive<u64>,
    callers: &'static [&'static str],
    methods: &'static [&'static str],
}

const fn rule(
    service: &'static str,
    releases: RangeInclusive<u64>,
    callers: &'static [&'static str],
    methods: &'static [&'static str],
) -> Rule {
    Rule { service, releases, callers, methods }
}

const ALL: RangeInclusive<u64> = 0..=u64::MAX;
const TO_12: RangeInclusive<u64> = 0..=12;
const FROM_13: RangeInclusive<u64> = 13..=u64::MAX;
const FROM_14: RangeInclusive<u64> = 14..=u64::MAX;

const READERS: &[&str] = &[ADMIN, OPERATOR, READER];
const OPERATORS: &[&str] = &[ADMIN, OPERATOR];
const ADMINS: &[&str] = &[ADMIN];
/// The handler lets readers in only in maintenance mode.
const MAINTAINERS: &[&str] = &[ADMIN, READER];

const MACHINE: &str = "machine.MachineService";
const IMAGE: &str = "machine.ImageService";
const STATE: &str = "cosi.resource.State";
const STORAGE: &str = "storage.StorageService";

const RULES: &[Rule] = &[
    rule("cluster.ClusterService", ALL, READERS, &["HealthCheck"]),
    rule(STATE, ALL, READERS, &["Get", "List", "Watch"]),
    rule(STATE, ALL, ADMINS, &["Create", "Destroy", "Update"]),
    rule(STATE, FROM_14, ADMINS, &["Teardown", "TeardownAndDestroy"]),
    rule("inspect.InspectService", ALL, READERS, &["ControllerRuntimeDependencies"]),
    rule("machine.DebugService", FROM_13, ADMINS, &["ContainerRun"]),
    rule(IMAGE, FROM_13, READERS, &["List"]),
    rule(IMAGE, FROM_13, &[ADMIN, OPERATOR, READER, VERIFIER], &["Verify"]),
    rule(IMAGE, FROM_13, OPERATORS, &["Pull"]),
    rule(IMAGE, FROM_13, ADMINS, &["Import", "Remove"]),
    rule(
        "machine.LVMService",
        FROM_14,
        MAINTAINERS,
        &["LogicalVolumeRemove", "PhysicalVolumeRemove", "VolumeGroupRemove"],
    ),
    rule("machine.LifecycleService", FROM_13, ADMINS, &["Install", "Upgrade"]),
    rule("machine.MDService", FROM_14, MAINTAINERS, &["Destroy"]),
    rule(
        MACHINE,
        ALL,
        READERS,
        &[
            "CPUFreqStats",
            "CPUInfo",
            "Containers",
            "DiskStats",
            "DiskUsage",
            "Dmesg",
            "Events",
            "Hostname",
            "ImageList",
            "List",
            "LoadAvg",
            "Logs",
            "LogsContainers",
            "Memory",
            "Mounts",
            "Netstat",
            "NetworkDeviceStats",
            "Processes",
            "ServiceList",
            "Stats",
            "SystemStat",
            "Version",
        ],
    ),
    rule(MACHINE, ALL, &[ADMIN, OPERATOR, READER, BACKUP], &["EtcdAlarmList", "EtcdMemberList", "EtcdStatus"]),
    rule(MACHINE, ALL, &[ADMIN, OPERATOR, BACKUP], &["EtcdSnapshot"]),
    rule(
        MACHINE,
        ALL,
        OPERATORS,
        &[
            "EtcdAlarmDisarm",
            "EtcdDefragment",
            "ImagePull",
            "PacketCapture",
            "Reboot",
            "Restart",
            "ServiceRestart",
            "ServiceStart",
            "ServiceStop",
            "Shutdown",
        ],
    ),
    rule(MACHINE, TO_12, ADMINS, &["ApplyConfiguration", "GenerateConfiguration", "MetaDelete", "MetaWrite"]),
    rule(MACHINE, FROM_13, MAINTAINERS, &["ApplyConfiguration"]),
    rule(MACHINE, FROM_13, &[ADMIN, META_WRITER], &["MetaDelete", "MetaWrite"]),
    rule(
        MACHINE,
        ALL,
        ADMINS,
        &[
            "Bootstrap",
            "Copy",
            "EtcdDowngradeCancel",
            "EtcdDowngradeEnable",
            "EtcdDowngradeValidate",
            "EtcdForfeitLeadership",
            "EtcdLeaveCluster",
            "EtcdRecover",
            "EtcdRemoveMemberByID",
            "GenerateClientConfiguration",
            "Kubeconfig",
            "Read",
            "Reset",
            "Rollback",
            "Upgrade",
        ],
    ),
    rule(STORAGE, ALL, READERS, &["Disks"]),
    rule(STORAGE, TO_12, ADMINS, &["BlockDeviceWipe"]),
    rule(STORAGE, FROM_13, MAINTAINERS, &["BlockDeviceWipe"]),
    rule("time.TimeService", ALL, READERS, &["Time", "TimeCheck"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> Roles {
        Roles(names.iter().map(ToString::to_string).collect())
    }

    fn release(text: &str) -> TalosVersion {
        text.parse().expect("a version")
    }

    #[test]
    fn each_role_reaches_its_own_calls() {
        let table = [
            ("/machine.MachineService/Version", "os:reader", true, true),
            ("/machine.MachineService/Reboot", "os:reader", false, false),
            ("/machine.MachineService/Reboot", "os:operator", true, true),
            ("/machine.MachineService/Upgrade", "os:operator", false, false),
            ("/machine.MachineService/Upgrade", "os:admin", true, true),
            ("/machine.MachineService/EtcdMemberList", "os:etcd:backup", true, true),
            ("/machine.MachineService/EtcdSnapshot", "os:etcd:backup", true, true),
            ("/machine.MachineService/EtcdSnapshot", "os:operator", true, true),
            ("/machine.MachineService/EtcdSnapshot", "os:reader", false, false),
            ("/machine.MachineService/EtcdAlarmDisarm", "os:etcd:backup", false, false),
            ("/machine.MachineService/Version", "os:etcd:backup", false, false),
            // What came with 1.13.
            ("/machine.MachineService/MetaWrite", "os:meta:writer", false, true),
            ("/machine.MachineService/ApplyConfiguration", "os:reader", false, true),
            ("/machine.MachineService/ApplyConfiguration", "os:operator", false, false),
            ("/machine.ImageService/Verify", "os:image:verifier", false, true),
            ("/machine.ImageService/List", "os:image:verifier", false, false),
        ];
        for (path, role, in_12, in_13) in table {
            for (version, allowed) in [("v1.12.2", in_12), ("v1.13.9", in_13)] {
                assert_eq!(may_call(path, &release(version), &roles(&[role])), allowed, "{role} {path} {version}");
            }
        }
    }

    #[test]
    fn the_table_knows_the_methods_of_each_release() {
        let known = |path: &str| ["v1.12.2", "v1.13.9", "v1.14.0-rc.1"].map(|text| is_known(path, &release(text)));
        assert_eq!(known("/machine.MachineService/Version"), [true, true, true]);
        assert_eq!(known("/machine.MachineService/GenerateConfiguration"), [true, false, false]);
        assert_eq!(known("/machine.ImageService/Remove"), [false, true, true]);
        assert_eq!(known("/machine.MDService/Destroy"), [false, false, true]);
        assert_eq!(known("/machine.MachineService/Unheard"), [false, false, false]);
        assert!(is_service("machine.LVMService", &release("v1.14.0")));
        assert!(!is_service("machine.LVMService", &release("v1.13.9")));
    }
}
