//! The names that each environment has, and the fields behind them.

use super::{Environment, Type};

/// A variable or a constant.
pub(super) fn variable(environment: Environment, name: &str) -> Option<Type> {
    let found = match (environment, name) {
        (Environment::Link, "link") => Some(Type::Message(&LINK)),
        (Environment::Disk, "system_disk") => Some(Type::Bool),
        (Environment::Disk | Environment::Volume, "disk") => Some(Type::Message(&DISK)),
        (Environment::Volume, "volume") => Some(Type::Message(&VOLUME)),
        (Environment::OomTrigger, name) => pressure(name),
        (Environment::OomScoring, "memory_max" | "memory_current" | "memory_peak") => {
            Some(Type::Optional(Box::new(Type::Uint)))
        }
        (Environment::OomScoring, "path") => Some(Type::String),
        (Environment::OomScoring, "class") => Some(Type::Int),
        _ => None,
    };
    found.or_else(|| constant(environment, name))
}

fn constant(environment: Environment, name: &str) -> Option<Type> {
    const UNITS: [&str; 12] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "kB", "MB", "GB", "TB", "PB", "EB"];
    const CLASSES: [&str; 5] = ["Besteffort", "Burstable", "Guaranteed", "Podruntime", "System"];
    const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];
    if UNITS.contains(&name) && !matches!(environment, Environment::Link) {
        return Some(Type::Uint);
    }
    if CLASSES.contains(&name) && matches!(environment, Environment::OomTrigger | Environment::OomScoring) {
        return Some(Type::Int);
    }
    (TYPES.contains(&name) || name == "type").then_some(Type::Meta)
}

/// `memory_some_avg10`, `d_qos_memory_full_total` and their like.
fn pressure(name: &str) -> Option<Type> {
    if name == "time_since_trigger" {
        return Some(Type::Duration);
    }
    let rest = name.strip_prefix("d_").unwrap_or(name);
    let (rest, by_class) = rest.strip_prefix("qos_").map_or((rest, false), |rest| (rest, true));
    let what = rest.strip_prefix("memory_")?;
    let stall = what.split_once('_').is_some_and(|(kind, window)| {
        ["some", "full"].contains(&kind) && ["avg10", "avg60", "avg300", "total"].contains(&window)
    });
    let vector = Type::Map(Box::new(Type::Int), Box::new(Type::Double));
    match (stall, by_class) {
        (true, false) => Some(Type::Double),
        (true, true) => Some(vector),
        (false, true) if ["current", "peak", "max"].contains(&what) => Some(vector),
        _ => None,
    }
}

/// `LinkStatusSpec` of Talos' api/resource/definitions/network/network.proto; enumerations are numbers.
static LINK: [(&str, Type); 34] = [
    ("index", Type::Uint),
    ("type", Type::Int),
    ("link_index", Type::Uint),
    ("flags", Type::Uint),
    ("hardware_addr", Type::Bytes),
    ("broadcast_addr", Type::Bytes),
    ("mtu", Type::Uint),
    ("queue_disc", Type::String),
    ("master_index", Type::Uint),
    ("operational_state", Type::Int),
    ("kind", Type::String),
    ("slave_kind", Type::String),
    ("bus_path", Type::String),
    ("pciid", Type::String),
    ("driver", Type::String),
    ("driver_version", Type::String),
    ("firmware_version", Type::String),
    ("product_id", Type::String),
    ("vendor_id", Type::String),
    ("product", Type::String),
    ("vendor", Type::String),
    ("link_state", Type::Bool),
    ("speed_megabits", Type::Int),
    ("port", Type::Int),
    ("duplex", Type::Int),
    ("vlan", Type::Dyn),
    ("bridge_master", Type::Dyn),
    ("bond_master", Type::Dyn),
    ("wireguard", Type::Dyn),
    ("permanent_addr", Type::Bytes),
    ("alias", Type::String),
    ("alt_names", Type::Strings),
    ("vrf_master", Type::Dyn),
    ("veth", Type::Dyn),
];

/// The minor release that brought a field, for fields that came after v1.12.11 (the same files of v1.13.9 and v1.14.0-rc.1).
pub(super) fn since(fields: &'static [(&'static str, Type)], name: &str) -> u8 {
    match name {
        "firmware_version" if std::ptr::eq(fields, &DISK) => 14,
        "veth" if std::ptr::eq(fields, &LINK) => 14,
        "vrf_master" if std::ptr::eq(fields, &LINK) => 13,
        _ => 12,
    }
}

/// `DiskSpec` of api/resource/definitions/block/block.proto.
static DISK: [(&str, Type); 19] = [
    ("size", Type::Uint),
    ("io_size", Type::Uint),
    ("sector_size", Type::Uint),
    ("readonly", Type::Bool),
    ("model", Type::String),
    ("serial", Type::String),
    ("modalias", Type::String),
    ("wwid", Type::String),
    ("bus_path", Type::String),
    ("sub_system", Type::String),
    ("transport", Type::String),
    ("rotational", Type::Bool),
    ("cdrom", Type::Bool),
    ("dev_path", Type::String),
    ("pretty_size", Type::String),
    ("secondary_disks", Type::Strings),
    ("uuid", Type::String),
    ("symlinks", Type::Strings),
    ("firmware_version", Type::String),
];

/// `DiscoveredVolumeSpec` of the same file.
static VOLUME: [(&str, Type); 20] = [
    ("size", Type::Uint),
    ("sector_size", Type::Uint),
    ("io_size", Type::Uint),
    ("name", Type::String),
    ("uuid", Type::String),
    ("label", Type::String),
    ("block_size", Type::Uint),
    ("filesystem_block_size", Type::Uint),
    ("probed_size", Type::Uint),
    ("partition_uuid", Type::String),
    ("partition_type", Type::String),
    ("partition_label", Type::String),
    ("partition_index", Type::Uint),
    ("type", Type::String),
    ("device_path", Type::String),
    ("parent", Type::String),
    ("dev_path", Type::String),
    ("parent_dev_path", Type::String),
    ("pretty_size", Type::String),
    ("offset", Type::Uint),
];
