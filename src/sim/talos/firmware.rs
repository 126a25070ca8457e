//! What the firmware and the boot loader make of the disk.

use std::{fs::File, io, os::unix::fs::FileExt};

use sha2::{Digest, Sha256};

use super::{
    config::Config,
    entry::entry_of_image,
    machine::Machine,
    state::{BootEntry, Disk},
};
use crate::sim::{
    factory::{Built, gpt},
    fault::Fault,
    journal::{BootVerdict, Event},
};

/// Chooses what boots; `None` leaves the machine dark. Writes the verdict into the journal.
pub fn choose(machine: &Machine) -> Option<BootEntry> {
    let (verdict, entry) = match look(machine) {
        Ok(found) => found,
        Err(error) => (BootVerdict::NoBootableDevice { reason: error.to_string() }, None),
    };
    machine.note(Event::Boot(verdict));
    entry
}

/// Makes the disk count as installed, without an image on it.
pub fn pretend_installed(
    machine: &Machine,
    schematic: &str,
    version: &str,
    config: Option<&str>,
) -> Result<(), String> {
    let catalog = &machine.world.catalog;
    let id = catalog.register(schematic).map_err(|error| error.to_string())?.id().to_string();
    let recipe = catalog.recipe(&id, version, "oracle", "arm64").map_err(|error| error.to_string())?;
    let entry = entry_of_image(catalog, &recipe).ok_or("no such entry")?;
    let config = config.map(|text| Config::load(text.as_bytes(), &entry.version)).transpose()?;
    let table = File::open(&machine.disk).and_then(|disk| table_hash(&disk)).map_err(|error| error.to_string())?;
    let identity = uuid::Uuid::new_v4().simple().to_string();
    machine.with(|state| {
        state.disk = Disk { entry: Some(entry), table: Some(table), config, identity, ..Disk::default() };
    });
    Ok(())
}

fn look(machine: &Machine) -> io::Result<(BootVerdict, Option<BootEntry>)> {
    let disk = File::options().read(true).write(true).open(&machine.disk)?;
    let table = table_hash(&disk)?;
    if machine.look(|state| state.disk.table == Some(table)) {
        let entry = next_entry(machine);
        let verdict = match &entry {
            Some(entry) => BootVerdict::Installed {
                schematic: entry.schematic.clone(),
                version: entry.version.to_string(),
                platform: entry.platform.clone(),
            },
            None => BootVerdict::NoBootableDevice { reason: "no boot entry".to_owned() },
        };
        return Ok((verdict, entry));
    }
    // Somebody wrote to the disk: whatever was installed is gone.
    machine.with(|state| state.disk = Disk::default());
    let built = machine.world.catalog.store().built();
    let Some(found) = find_image(&built, &disk)? else {
        let reason = "no partition table of a known image".to_owned();
        return Ok((BootVerdict::NoBootableDevice { reason }, None));
    };
    if let Some(offset) = found.image.first_difference(&disk)? {
        let reason = format!("the disk differs from the image at byte {offset}");
        return Ok((BootVerdict::NoBootableDevice { reason }, None));
    }
    let recipe = &found.image.recipe;
    let Some(entry) = entry_of_image(&machine.world.catalog, recipe) else {
        return Ok((BootVerdict::NoBootableDevice { reason: "an image of another factory".to_owned() }, None));
    };
    let verdict = BootVerdict::Flashed { schematic: recipe.schematic.clone(), version: recipe.version.clone() };
    let table = create_volumes(machine, &disk, found)?;
    machine.with(|state| {
        state.disk = Disk {
            entry: Some(entry.clone()),
            table: Some(table),
            identity: uuid::Uuid::new_v4().simple().to_string(),
            ..Disk::default()
        };
    });
    Ok((verdict, Some(entry)))
}

/// The image whose table is on the disk; a store may be shared, so one that nobody here asked for counts too.
fn find_image<'a>(built: &'a [std::sync::Arc<Built>], disk: &File) -> io::Result<Option<&'a Built>> {
    for candidate in built {
        if candidate.image.is_on(disk)? {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The default entry, or the one before when a fault says that the new one does not boot.
fn next_entry(machine: &Machine) -> Option<BootEntry> {
    let has_fallback = machine.look(|state| state.disk.fallback.is_some());
    let broken = |fault: &Fault| matches!(fault, Fault::NewEntryDoesNotBoot).then_some(());
    if has_fallback && machine.strike(broken).is_some() {
        machine.with(|state| state.disk.entry = state.disk.fallback.take());
    }
    machine.look(|state| state.disk.entry.clone())
}

/// Adds STATE and EPHEMERAL as Talos does on the first boot, with the backup table at the disk's end.
fn create_volumes(machine: &Machine, disk: &File, found: &Built) -> io::Result<[u8; 32]> {
    let sectors = machine.hardware.disk_bytes / gpt::SECTOR;
    let mut partitions = found.image.partitions.clone();
    let after = partitions.last().map_or(gpt::FIRST_PARTITION, |last| last.first + last.sectors);
    let state_sectors = 100 * 1024 * 1024 / gpt::SECTOR;
    let ephemeral = after + state_sectors;
    let id = |tag: u8| [tag; 16];
    for (label, tag, first, length) in
        [("STATE", 0x53, after, state_sectors), ("EPHEMERAL", 0x45, ephemeral, sectors - gpt::TABLE - 1 - ephemeral)]
    {
        partitions.push(gpt::Partition {
            label: label.to_owned(),
            kind: gpt::TYPE_LINUX,
            id: id(tag),
            first,
            sectors: length,
        });
    }
    for (at, bytes) in gpt::table(found.image.disk_id, sectors, &partitions) {
        disk.write_all_at(&bytes, at)?;
    }
    table_hash(disk)
}

fn table_hash(disk: &File) -> io::Result<[u8; 32]> {
    let mut table = vec![0; ((gpt::TABLE + 1) * gpt::SECTOR) as usize];
    disk.read_exact_at(&mut table, 0)?;
    Ok(Sha256::digest(&table).into())
}
