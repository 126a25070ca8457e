//! Whether the system that runs can be overwritten below its own feet (`flash.method = "in_place"`).

use std::time::Duration;

use super::facts::{Answer, Facts};
use super::refuse::{self, Refusal, Requirements};
use super::{ProbeError, beginning};
use crate::client::rescue::flash::Levers;
use crate::client::rescue::session::{Rights, Session, compact};

/// What else must be known of a system that is to be overwritten while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ground {
    /// RAM that can be had without swapping, in bytes, with what an earlier attempt has staged there and will be taken away; 0 when
    /// unknown.
    pub available: u64,
    /// Whether sysrq can be triggered.
    pub trigger: bool,
    /// Those that were looked for and are there.
    pub tools: Vec<String>,
    /// Why the kernel does not let the disk be opened for writing, if so.
    pub locked: Option<String>,
    /// Type of the root file system, such as `ext4`.
    pub root_kind: String,
    /// What stands between the root file system and the disk: `dm-LVM`, `dm-CRYPT`, `dm-mpath`, `raid`, `iscsi`, `network`,
    /// `panic`.
    pub stack: Vec<String>,
    /// An overwrite that was started earlier and is at work.
    pub running: bool,
    /// What an earlier overwrite said last, if it ended after it had begun to write.
    pub half: Option<String>,
}

/// What an overwrite needs beside what every flash needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Bytes of the image that are not zero: they are held in RAM.
    pub payload: u64,
}

/// Looks. Writes nothing.
///
/// # Errors
/// When the connection is lost, or what answers is no POSIX shell.
pub async fn survey(session: &Session, facts: &Facts, levers: &Levers) -> Result<Ground, ProbeError> {
    let script = format!("{}\n{}", levers.variables(&facts.disk.device), compact(SCRIPT));
    let output = session.run_with(Rights::RootIfPossible, &script, DEADLINE).await?;
    parse(&output.stdout).ok_or_else(|| ProbeError::Unreadable {
        address: session.address().to_owned(),
        status: output.status,
        said: beginning(&output.stderr, &output.stdout),
    })
}

fn parse(text: &str) -> Option<Ground> {
    let answer = Answer::after("ground=1", text);
    answer.one("end").filter(|end| *end == "1")?;
    Some(Ground {
        available: answer.number("available").saturating_add(answer.number("left")).saturating_mul(1024),
        trigger: answer.yes("trigger"),
        tools: answer.all("tool"),
        locked: answer.one("writable").filter(|said| *said != "yes").map(str::to_owned),
        root_kind: answer.text("root_kind"),
        stack: answer.all("stack"),
        running: answer.one("running").is_some(),
        half: answer.one("half").map(str::to_owned),
    })
}

/// All reasons not to overwrite the running system, those that every flash has first.
pub fn refusals_in_place(facts: &Facts, ground: &Ground, requirements: &Requirements, needs: Needs) -> Vec<Refusal> {
    let mut found = refuse::shell(facts, requirements);
    found.extend(refuse::disk(&facts.disk, requirements));
    found.extend(beneath(facts, ground, requirements));
    found.extend(refuse::machine(facts, requirements));
    found.extend(room(ground, needs));
    found
}

/// The first of [`refusals_in_place`].
///
/// # Errors
/// That reason.
pub fn refuse_in_place(
    facts: &Facts,
    ground: &Ground,
    requirements: &Requirements,
    needs: Needs,
) -> Result<(), Refusal> {
    refusals_in_place(facts, ground, requirements, needs).into_iter().next().map_or(Ok(()), Err)
}

/// What the root file system stands on.
fn beneath(facts: &Facts, ground: &Ground, requirements: &Requirements) -> Vec<Refusal> {
    let disk = &facts.disk;
    if let Some((id, wanted)) = facts.ids(requirements.instance_id.as_deref())
        && id != wanted
    {
        return vec![Refusal::NotTheMachine { found: id.to_owned(), wanted: wanted.to_owned() }];
    }
    let mut found: Vec<Refusal> = ground.stack.iter().map(|layer| Refusal::RootOn(layer_name(layer))).collect();
    if NETWORK.contains(&ground.root_kind.as_str()) {
        found.push(Refusal::RootOn(format!("a network file system ({})", ground.root_kind)));
    }
    if !found.is_empty() {
        return found;
    }
    if !disk.holds_root && !requirements.is_on_a_file() {
        let root = facts.root_device.clone().unwrap_or_else(|| format!("RAM ({})", ground.root_kind));
        return vec![Refusal::NotTheRootDisk { disk: disk.path.clone(), root }];
    }
    if !disk.holders.is_empty() {
        found.push(Refusal::Held { disk: disk.path.clone(), holders: disk.holders.join(", ") });
    }
    if let Some(said) = &ground.half {
        found.push(Refusal::HalfOverwritten { disk: disk.path.clone(), said: said.clone() });
    }
    if let Some(why) = &ground.locked {
        found.push(Refusal::Locked { disk: disk.path.clone(), why: why.clone() });
    }
    found
}

fn layer_name(layer: &str) -> String {
    match layer {
        "dm-LVM" => "LVM",
        "dm-CRYPT" => "an encrypted volume (LUKS)",
        "dm-mpath" => "a multipath device",
        "raid" => "a software RAID",
        "iscsi" => "an iSCSI disk",
        "panic" => "a file system that makes the kernel panic when it finds an error (errors=panic)",
        "network" => "a network block device",
        other => return format!("a device of its own kind ({other})"),
    }
    .to_owned()
}

/// What must be in the system and in its RAM.
fn room(ground: &Ground, needs: Needs) -> Vec<Refusal> {
    let mut found = Vec::new();
    if !ground.trigger {
        found.push(Refusal::NoSysrq);
    }
    let has = |tool: &str| ground.tools.iter().any(|name| name == tool);
    for tool in TOOLS.iter().filter(|tool| !has(tool)) {
        found.push(Refusal::MissingInPlace(tool));
    }
    if !has("ldd") && !has("static-busybox") {
        found.push(Refusal::MissingInPlace("ldd, and no static busybox"));
    }
    let needed = needs.payload.saturating_add(MARGIN);
    // One that runs holds it already.
    if ground.available < needed && !ground.running {
        found.push(Refusal::LittleMemory { available: ground.available, needed });
    }
    found
}

/// What stays free for the system while the image is in RAM, in bytes.
const MARGIN: u64 = 64 << 20;

const TOOLS: [&str; 13] =
    ["sh", "dd", "sha256sum", "sleep", "sync", "cp", "mkdir", "rm", "mount", "swapoff", "setsid", "tail", "blockdev"];

const NETWORK: [&str; 7] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs"];

const SCRIPT: &str = include_str!("ground.sh");

const DEADLINE: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "ground/tests.rs"]
mod tests;
