//! Roles of clients, and which call needs which (Talos v1.12.2 services/machined.go, pkg/machinery/role).

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

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

/// Whether a call is allowed; the caller's place (maintenance or not) is checked elsewhere.
pub fn may_call(path: &str, roles: &Roles) -> bool {
    let method = path.trim_start_matches('/');
    if READER_CALLS.contains(&method) {
        return roles.any(&[ADMIN, OPERATOR, READER]) || (method.contains("/Etcd") && roles.any(&[BACKUP]));
    }
    if OPERATOR_CALLS.contains(&method) {
        return roles.any(&[ADMIN, OPERATOR]);
    }
    roles.is_admin()
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

const READER_CALLS: &[&str] = &[
    "cluster.ClusterService/HealthCheck",
    "cosi.resource.State/Get",
    "cosi.resource.State/List",
    "cosi.resource.State/Watch",
    "inspect.InspectService/ControllerRuntimeDependencies",
    "machine.ImageService/List",
    "machine.ImageService/Verify",
    "machine.MachineService/CPUFreqStats",
    "machine.MachineService/CPUInfo",
    "machine.MachineService/Containers",
    "machine.MachineService/DiskStats",
    "machine.MachineService/DiskUsage",
    "machine.MachineService/Dmesg",
    "machine.MachineService/EtcdAlarmList",
    "machine.MachineService/EtcdMemberList",
    "machine.MachineService/EtcdStatus",
    "machine.MachineService/Events",
    "machine.MachineService/Hostname",
    "machine.MachineService/ImageList",
    "machine.MachineService/List",
    "machine.MachineService/LoadAvg",
    "machine.MachineService/Logs",
    "machine.MachineService/LogsContainers",
    "machine.MachineService/Memory",
    "machine.MachineService/Mounts",
    "machine.MachineService/Netstat",
    "machine.MachineService/NetworkDeviceStats",
    "machine.MachineService/Processes",
    "machine.MachineService/ServiceList",
    "machine.MachineService/Stats",
    "machine.MachineService/SystemStat",
    "machine.MachineService/Version",
    "storage.StorageService/Disks",
    "time.TimeService/Time",
    "time.TimeService/TimeCheck",
];

const OPERATOR_CALLS: &[&str] = &[
    "machine.ImageService/Pull",
    "machine.MachineService/EtcdAlarmDisarm",
    "machine.MachineService/EtcdDefragment",
    "machine.MachineService/ImagePull",
    "machine.MachineService/PacketCapture",
    "machine.MachineService/Reboot",
    "machine.MachineService/Restart",
    "machine.MachineService/ServiceRestart",
    "machine.MachineService/ServiceStart",
    "machine.MachineService/ServiceStop",
    "machine.MachineService/Shutdown",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> Roles {
        Roles(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_role_reaches_its_own_calls() {
        let table = [
            ("/machine.MachineService/Version", "os:reader", true),
            ("/machine.MachineService/Reboot", "os:reader", false),
            ("/machine.MachineService/Reboot", "os:operator", true),
            ("/machine.MachineService/Upgrade", "os:operator", false),
            ("/machine.MachineService/Upgrade", "os:admin", true),
            ("/machine.MachineService/Unheard", "os:operator", false),
            ("/machine.MachineService/EtcdMemberList", "os:etcd:backup", true),
            ("/machine.MachineService/Version", "os:etcd:backup", false),
        ];
        for (path, role, allowed) in table {
            assert_eq!(may_call(path, &roles(&[role])), allowed, "{role} {path}");
        }
    }
}
