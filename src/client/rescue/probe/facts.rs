//! The facts, and how they are read from what the script says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What is known about a rescue shell and the disk in question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// What the login may do.
    pub privilege: Privilege,
    /// `uname -m`: `aarch64`, `x86_64`.
    pub architecture: String,
    /// `uname -r`.
    pub kernel: String,
    /// Such as "Ubuntu 24.04.1 LTS"; empty when unknown.
    pub system: String,
    /// RAM in bytes; 0 when unknown.
    pub memory: u64,
    /// Those that were looked for and are there.
    pub tools: Vec<String>,
    /// Whether `dd` knows `iflag=fullblock`, without which a pipe cannot be cut into blocks.
    pub dd_fullblock: bool,
    /// The command that prints a SHA-256 of its standard input.
    pub hash_command: Option<String>,
    /// Whether the machine started by UEFI.
    pub efi: bool,
    /// Whether Secure Boot is on, if it can be told.
    pub secure_boot: Option<bool>,
    /// The device below `/`, or `None` when `/` is in RAM (or on a network).
    pub root_device: Option<String>,
    /// What the metadata service said.
    pub imds: Imds,
    /// The disk.
    pub disk: Disk,
}

/// What the login may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It is root.
    Root,
    /// It is not, nor may it become root; why, in sudo's words.
    None(String),
}

/// A disk, or what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// As it was asked for.
    pub path: String,
    /// With symbolic links resolved: what is written to.
    pub device: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 when unknown.
    pub size: u64,
    /// Logical sector size in bytes; 0 when unknown.
    pub sector_size: u32,
    /// Major and minor number, `8:0`; empty for what is no block device.
    pub number: String,
    /// Whether the kernel refuses to write.
    pub read_only: bool,
    /// Whether the device can zero ranges by itself.
    pub write_zeroes: bool,
    /// The whole disk, when this is a partition.
    pub partition_of: Option<String>,
    /// As the hardware says; may be empty.
    pub model: String,
    /// As the hardware says; may be empty.
    pub serial: String,
    /// Other names below `/dev`.
    pub aliases: Vec<String>,
    /// What is on it, as far as the kernel knows.
    pub partitions: Vec<Partition>,
    /// File systems mounted from it, or from what stands on it.
    pub mounts: Vec<Mount>,
    /// Swap space on it.
    pub swaps: Vec<String>,
    /// Device mapper and RAID devices that stand on it.
    pub holders: Vec<String>,
    /// Processes that have it open, as `PID NAME`.
    pub openers: Vec<String>,
    /// Whether `/` is on it.
    pub holds_root: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A block device.
    Block,
    /// A regular file.
    File,
    /// Something else.
    Other,
    /// Nothing.
    Missing,
}

/// A partition that the kernel sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Such as `sda1`.
    pub name: String,
    /// Its GPT label; may be empty.
    pub label: String,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Such as `sda1`.
    pub device: String,
    /// Such as `/boot`.
    pub point: String,
}

/// What Oracle's metadata service said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imds {
    /// It does not answer, so this is no OCI instance (or its network is down).
    Silent,
    /// Neither `curl` nor `wget` is there to ask.
    NotAsked,
    /// It answers.
    Instance {
        /// The OCID of the machine that the rescue shell runs on.
        id: String,
        /// Such as `VM.Standard.A1.Flex`.
        shape: String,
        /// What Talos would find.
        user_data: UserData,
    },
}

/// The instance's `user_data`, as Talos v1.12.2 reads it (`platform/oracle/oracle.go`): base64, then gzip or not, then a
/// machine configuration. Nothing of its content is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserData {
    /// None, or not base64: Talos goes on to maintenance mode.
    None,
    /// A Talos machine configuration: Talos would use it.
    Talos,
    /// Anything else: Talos would fail to parse it, for ever. With what it looks like.
    Foreign(String),
}

impl Facts {
    /// Whether a tool was found.
    pub fn has(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }

    /// Whether the shell runs from a disk other than the one in question: then it is a helper machine that the disk was
    /// attached to, and what it says about itself says nothing about the machine that will boot the disk.
    fn is_helper(&self) -> bool {
        self.root_device.is_some() && !self.disk.holds_root
    }

    /// Whether the shell is that of another machine than the instance that will boot the disk. What the metadata service says
    /// counts more than where the root lies: a helper may run from RAM, and a rescue system from a second disk.
    pub fn is_of_another(&self, instance_id: Option<&str>) -> bool {
        match self.ids(instance_id) {
            Some((id, wanted)) => id != wanted,
            None => self.is_helper(),
        }
    }

    /// The OCID that the metadata service gives beside the one that is wanted, where both are known.
    pub(super) fn ids<'a>(&'a self, wanted: Option<&'a str>) -> Option<(&'a str, &'a str)> {
        match &self.imds {
            Imds::Instance { id, .. } => Some((id.as_str(), wanted?)),
            _ => None,
        }
    }
}

/// Reads the script's answer; `None` when it is not complete.
pub(super) fn parse(path: &str, text: &str) -> Option<Facts> {
    let facts = Answer::after("probe=1", text);
    facts.one("end").filter(|end| *end == "1")?;
    let uid = facts.one("uid")?;
    let privilege = if uid == "0" { Privilege::Root } else { Privilege::None(facts.text("sudo")) };
    // A root file system in RAM or from the network has a kind, but no device.
    let root_device = facts.one("root").filter(|name| !name.is_empty()).map(str::to_owned);
    Some(Facts {
        privilege,
        architecture: facts.text("arch"),
        kernel: facts.text("kernel"),
        system: facts.text("system"),
        memory: facts.number("memory").saturating_mul(1024),
        tools: facts.all("tool"),
        dd_fullblock: facts.yes("fullblock"),
        hash_command: facts.one("hash").map(str::to_owned),
        efi: facts.yes("efi"),
        secure_boot: facts.one("secure_boot").and_then(|value| match value {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }),
        root_device,
        imds: facts.imds(),
        disk: facts.disk(path),
    })
}

/// Facts as a script says them, one a line.
pub(super) struct Answer<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Answer<'a> {
    /// What comes after a line that no greeting of a login shell holds.
    pub(super) fn after(start: &str, text: &'a str) -> Self {
        Self(text.lines().skip_while(|line| *line != start).filter_map(|line| line.split_once('=')).collect())
    }

    /// The last value: later mounts of `/` cover earlier ones.
    pub(super) fn one(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| *name == key).map(|(_, value)| value.trim())
    }

    pub(super) fn all(&self, key: &str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for (_, value) in self.0.iter().filter(|(name, _)| *name == key) {
            let value = value.trim();
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
        values
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.one(key).unwrap_or_default().to_owned()
    }

    pub(super) fn yes(&self, key: &str) -> bool {
        self.one(key) == Some("yes")
    }

    pub(super) fn number(&self, key: &str) -> u64 {
        self.one(key).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let split = |value: String| match value.split_once(' ') {
            Some((name, rest)) => (name.to_owned(), rest.trim().to_owned()),
            None => (value, String::new()),
        };
        self.all(key).into_iter().map(split).collect()
    }

    fn disk(&self, path: &str) -> Disk {
        let kind = match self.one("kind") {
            Some("block") => Kind::Block,
            Some("file") => Kind::File,
            Some("other") => Kind::Other,
            _ => Kind::Missing,
        };
        Disk {
            path: path.to_owned(),
            device: self.one("device").filter(|device| !device.is_empty()).unwrap_or(path).to_owned(),
            kind,
            // The kernel counts in 512 bytes whatever the sector size is.
            size: if kind == Kind::File { self.number("bytes") } else { self.number("sectors").saturating_mul(512) },
            sector_size: u32::try_from(self.number("sector_size")).unwrap_or(0),
            number: self.text("number"),
            read_only: self.number("read_only") != 0,
            write_zeroes: self.number("write_zeroes") != 0,
            partition_of: self.one("partition_of").map(str::to_owned),
            model: self.text("model"),
            serial: self.text("serial"),
            aliases: self.all("alias"),
            partitions: self.pairs("partition").into_iter().map(|(name, label)| Partition { name, label }).collect(),
            mounts: self.pairs("mount").into_iter().map(|(device, point)| Mount { device, point }).collect(),
            swaps: self.all("swap"),
            holders: self.all("holder"),
            openers: self.all("opener"),
            holds_root: self.yes("root_disk"),
        }
    }

    fn imds(&self) -> Imds {
        match self.one("imds") {
            None => Imds::NotAsked,
            Some("yes") => Imds::Instance {
                id: self.text("instance"),
                shape: self.text("shape"),
                user_data: self.one("user_data").map_or(UserData::None, user_data),
            },
            Some(_) => Imds::Silent,
        }
    }
}

fn user_data(text: &str) -> UserData {
    let Ok(bytes) = STANDARD.decode(text) else { return UserData::None };
    if bytes.is_empty() {
        return UserData::None;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return UserData::Foreign("something compressed with gzip that could not be looked into".to_owned());
    }
    let text = String::from_utf8_lossy(&bytes);
    let talos =
        text.lines().any(|line| line.starts_with("version: v1alpha1") || line.starts_with("apiVersion: v1alpha1"));
    if talos {
        return UserData::Talos;
    }
    // Only the marker that cloud-init goes by is shown: the rest may hold secrets.
    let first = text.lines().next().unwrap_or_default().trim();
    let marker = first.starts_with("#cloud-config") || first.starts_with("#!") || first.starts_with("#include");
    let what = if marker {
        first.chars().take(40).collect()
    } else {
        format!("{} bytes that are no Talos configuration", bytes.len())
    };
    UserData::Foreign(what)
}

#[cfg(test)]
#[path = "facts/tests.rs"]
pub(super) mod tests;
