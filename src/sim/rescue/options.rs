//! What a rescue host looks like.

/// What the machine's disk holds before anybody touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskContent {
    /// Another system's tables and junk: zeros that are not written will show.
    #[default]
    OldSystem,
    /// Zeros.
    Blank,
}

/// Where the rescue system runs from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RescueRoot {
    /// Memory: the disk is free.
    #[default]
    Memory,
    /// A disk, by kernel name; when it is the machine's own, the system runs in place.
    Disk(String),
}

/// A rescue host.
#[derive(Debug, Clone)]
pub struct RescueOptions {
    /// Login names that the key opens.
    pub users: Vec<String>,
    /// Kernel name of the machine's disk.
    pub disk: String,
    /// Its size.
    pub disk_bytes: u64,
    /// What is on it.
    pub content: DiskContent,
    /// Its serial number.
    pub serial: String,
    /// Where the rescue system runs from.
    pub root: RescueRoot,
    /// More mounts: (device, directory).
    pub mounts: Vec<(String, String)>,
    /// Device mapper or RAID names that hold the disk.
    pub holders: Vec<String>,
    /// Swap partitions.
    pub swaps: Vec<String>,
    /// The disk takes no writes.
    pub read_only: bool,
    /// Logical sector size; the images need 512.
    pub sector: u32,
    /// `uname -m`.
    pub machine: String,
    /// `hostname`.
    pub hostname: String,
    /// Whether `sudo` works without a password.
    pub sudo: bool,
    /// Whether the firmware is UEFI.
    pub efi: bool,
    /// Whether Secure Boot is on.
    pub secure_boot: bool,
    /// Tools that are not installed.
    pub missing_tools: Vec<String>,
    /// The shell that runs commands, when not this machine's `/bin/sh`.
    pub shell: Option<String>,
    /// Runs a real OpenSSH `sshd` instead of the embedded server, when this machine has one.
    pub real_sshd: bool,
}

impl Default for RescueOptions {
    fn default() -> Self {
        Self {
            users: ["root", "ubuntu", "opc"].map(str::to_owned).to_vec(),
            disk: "sda".to_owned(),
            // OCI's smallest boot volume: 47 GiB.
            disk_bytes: 47 << 30,
            content: DiskContent::OldSystem,
            serial: "6001405aa0d1b2c3d4e5f60718293a4b".to_owned(),
            root: RescueRoot::Memory,
            mounts: Vec::new(),
            holders: Vec::new(),
            swaps: Vec::new(),
            read_only: false,
            sector: 512,
            machine: "aarch64".to_owned(),
            hostname: "rescue".to_owned(),
            sudo: true,
            efi: true,
            secure_boot: false,
            missing_tools: Vec::new(),
            shell: None,
            real_sshd: false,
        }
    }
}
