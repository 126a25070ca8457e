//! What /proc of the pretend machine says, as `talosctl` and its dashboard read it: an Ampere A1 with four cores.

use super::{
    machine::Machine,
    spec::{Field, Value, text},
};

const GIB: u64 = 1 << 30;
const CORES: u64 = 4;

/// `machine.Memory`, in KiB.
pub fn memory() -> Vec<Field> {
    let kib = |bytes: u64| Value::Int(bytes / 1024);
    let info = vec![
        (1, "memtotal", kib(24 * GIB)),
        (2, "memfree", kib(20 * GIB)),
        (3, "memavailable", kib(22 * GIB)),
        (4, "buffers", kib(GIB / 64)),
        (5, "cached", kib(2 * GIB)),
        (7, "active", kib(GIB)),
        (8, "inactive", kib(GIB)),
        (21, "shmem", kib(GIB / 128)),
    ];
    vec![(2, "meminfo", Value::Message(info))]
}

/// `machine.LoadAvg`
pub fn load() -> Vec<Field> {
    vec![(2, "load1", Value::Float(0.25)), (3, "load5", Value::Float(0.5)), (4, "load15", Value::Float(0.25))]
}

/// `machine.CPUsInfo`
pub fn cpus() -> Vec<Field> {
    let one = |index: u64| {
        Value::Message(vec![
            (1, "processor", Value::Int(index)),
            (2, "vendorId", text("0x41")),
            (3, "cpuFamily", text("8")),
            (4, "model", text("0xd0c")),
            (12, "coreId", text(index.to_string())),
            (13, "cpuCores", Value::Int(CORES)),
            (22, "bogoMips", Value::Float(50.0)),
        ])
    };
    vec![(2, "cpuInfo", Value::List((0..CORES).map(one).collect()))]
}

/// `machine.CPUsFreqStats`: a virtual machine has no governor.
pub fn frequencies() -> Vec<Field> {
    vec![(2, "cpuFreqStats", Value::List((0..CORES).map(|_| Value::Message(Vec::new())).collect()))]
}

/// `machine.DiskStats`
pub fn disks(machine: &Machine) -> Vec<Field> {
    let counters = |name: &str| {
        Value::Message(vec![
            (1, "name", text(name)),
            (2, "readCompleted", Value::Int(4000)),
            (4, "readSectors", Value::Int(400_000)),
            (6, "writeCompleted", Value::Int(2000)),
            (8, "writeSectors", Value::Int(200_000)),
        ])
    };
    vec![(2, "total", counters("")), (3, "devices", Value::List(vec![counters(&machine.hardware.disk)]))]
}

/// `machine.NetworkDeviceStats`
pub fn network() -> Vec<Field> {
    let counters = |name: &str| {
        Value::Message(vec![
            (1, "name", text(name)),
            (2, "rxBytes", Value::Int(1_000_000)),
            (3, "rxPackets", Value::Int(2000)),
            (10, "txBytes", Value::Int(500_000)),
            (11, "txPackets", Value::Int(1500)),
        ])
    };
    vec![(2, "total", counters("")), (3, "devices", Value::List(vec![counters("eth0"), counters("lo")]))]
}

/// `machine.Process`: init, and one for each service that runs.
pub fn processes(machine: &Machine) -> Vec<Field> {
    let services = machine.boot(|boot| {
        let running = boot.services.iter().filter(|service| service.state == "Running" && service.id != "machined");
        running.map(|service| service.id).collect::<Vec<_>>()
    });
    let process = |pid: u64, parent: u64, command: &str, path: &str| {
        Value::Message(vec![
            (1, "pid", Value::Int(pid)),
            (2, "ppid", Value::Int(parent)),
            (3, "state", text("S")),
            (4, "threads", Value::Int(12)),
            (5, "cpuTime", Value::Float(1.5)),
            (6, "virtualMemory", Value::Int(GIB)),
            (7, "residentMemory", Value::Int(GIB / 16)),
            (8, "command", text(command)),
            (9, "executable", text(path)),
            (10, "args", text(path)),
        ])
    };
    let mut all = vec![process(1, 0, "init", "/sbin/init")];
    let others = services.unwrap_or_default().into_iter().zip(1000..);
    all.extend(others.map(|(id, pid)| process(pid, 1, id, &format!("/usr/bin/{id}"))));
    vec![(2, "processes", Value::List(all))]
}

/// `machine.Mounts`
pub fn mounts(machine: &Machine) -> Vec<Field> {
    let disk = &machine.hardware.disk;
    let configured = machine.look(|state| state.disk.config.is_some());
    let mut all = vec![
        ("devtmpfs".to_owned(), 12 * GIB, "/dev"),
        ("tmpfs".to_owned(), 12 * GIB, "/run"),
        ("tmpfs".to_owned(), 12 * GIB, "/system"),
        ("tmpfs".to_owned(), GIB / 16, "/tmp"),
        ("overlay".to_owned(), 0, "/"),
    ];
    if configured {
        all.push((format!("/dev/{disk}3"), GIB / 10, "/system/state"));
        all.push((format!("/dev/{disk}4"), machine.hardware.disk_bytes.saturating_sub(3 * GIB), "/var"));
    }
    let mount = |(filesystem, size, at): (String, u64, &str)| {
        Value::Message(vec![
            (1, "filesystem", text(filesystem)),
            (2, "size", Value::Int(size)),
            (3, "available", Value::Int(size / 10 * 9)),
            (4, "mountedOn", text(at)),
        ])
    };
    vec![(2, "stats", Value::List(all.into_iter().map(mount).collect()))]
}

/// `machine.Netstat`: the ports that somebody listens at.
pub fn sockets(machine: &Machine, connected_only: bool) -> Vec<Field> {
    let ports = [("apid", 50000), ("trustd", 50001), ("kubelet", 10250), ("etcd", 2379), ("etcd", 2380)];
    let listening =
        ports.into_iter().filter(|(id, _)| !connected_only && machine.boot(|boot| boot.runs(id)) == Some(true));
    let record = |(_, port): (&str, u64)| {
        Value::Message(vec![
            (1, "l4proto", text("tcp6")),
            (2, "localip", text("::")),
            (3, "localport", Value::Int(port)),
            (4, "remoteip", text("::")),
            (6, "state", Value::Enum(10, "LISTEN")),
            (17, "process", Value::Message(Vec::new())),
        ])
    };
    vec![(2, "connectrecord", Value::List(listening.map(record).collect()))]
}
