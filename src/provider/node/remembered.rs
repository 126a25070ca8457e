//! What the state remembers of a configuration beside its hash, so that the next plan can say what changes: a keyed
//! digest of each value, kept where no output shows it. No value is in it but those that may be shown anyway.

use std::collections::{BTreeMap, BTreeSet};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::provider::node::renewed::Applied;
use crate::talos::machine_config::{Change, ChangeKind, Leaf, MachineConfig};

/// The values of one configuration by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Tells whether two of these can be compared: they cannot after `machine.token` changed.
    check: String,
    leaves: BTreeMap<String, Entry>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<Applied>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    document: String,
    #[serde(rename = "h")]
    digest: String,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
}

impl Remembered {
    /// Remembers a configuration. The digests are keyed with the machine token, which every worker has and no state
    /// that was written through write-only attributes holds: who finds the state cannot try short secrets out on them.
    pub fn of(config: &MachineConfig) -> Self {
        let token = config.machine_token();
        let key = token.as_ref().map_or(&b""[..], |token| token.expose().as_bytes());
        let leaves = config.leaves().into_iter().map(|leaf| {
            let Leaf { document, path, digest, shown } = leaf;
            let digest = keyed(key, &[path.as_bytes(), &digest]);
            (path, Entry { document, digest, shown })
        });
        Self { check: keyed(key, &[b"check"]), leaves: leaves.collect(), ..Self::default() }
    }

    /// The same of a node that was imported: attributes that it could not tell are not in its state.
    #[must_use]
    pub fn imported(mut self, imported: bool) -> Self {
        self.imported = imported;
        self
    }

    /// The same with what was applied last, where write-only values are not compared.
    #[must_use]
    pub fn with_applied(mut self, applied: Option<Applied>) -> Self {
        self.applied = applied;
        self
    }

    /// What was applied last, where write-only values are not compared.
    pub fn applied(&self) -> Option<&Applied> {
        self.applied.as_ref()
    }

    /// Whether the node was imported.
    pub fn is_imported(&self) -> bool {
        self.imported
    }

    /// Whether there is a configuration to compare with: an import by a reader sees none.
    pub fn is_blank(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Reads what [`Remembered::bytes`] wrote; `None` for anything else, which only means that nothing is remembered.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// As it is stored.
    pub fn bytes(&self) -> Vec<u8> {
        // Strings and maps with string keys always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What differs in `new`. Values that may not be shown are left out; after a change of the machine token those
    /// cannot be compared, and only the token itself is listed.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let comparable = self.check == new.check;
        let documents = |one: &Self| one.leaves.values().map(|entry| entry.document.clone()).collect::<BTreeSet<_>>();
        let (before, after) = (documents(self), documents(new));
        let mut changes = Vec::new();
        let whole = |path: &str, kind| Change { path: path.to_owned(), kind, old: None, new: None };
        changes.extend(before.difference(&after).map(|gone| whole(gone, ChangeKind::Removed)));
        changes.extend(after.difference(&before).map(|added| whole(added, ChangeKind::Added)));
        for (path, old) in self.leaves.iter().filter(|(_, entry)| after.contains(&entry.document)) {
            match new.leaves.get(path) {
                None => changes.push(Change {
                    path: path.clone(),
                    kind: ChangeKind::Removed,
                    old: old.shown.clone(),
                    new: None,
                }),
                Some(entry) if differ(path, old, entry, comparable) => changes.push(Change {
                    path: path.clone(),
                    kind: ChangeKind::Changed,
                    old: old.shown.clone(),
                    new: entry.shown.clone(),
                }),
                Some(_) => {}
            }
        }
        let added = new
            .leaves
            .iter()
            .filter(|(path, entry)| !self.leaves.contains_key(*path) && before.contains(&entry.document));
        changes.extend(added.map(|(path, entry)| Change {
            path: path.clone(),
            kind: ChangeKind::Added,
            old: None,
            new: entry.shown.clone(),
        }));
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }
}

fn differ(path: &str, old: &Entry, new: &Entry, comparable: bool) -> bool {
    match (&old.shown, &new.shown) {
        (Some(old), Some(new)) => old != new,
        _ if comparable => old.digest != new.digest,
        _ => path == "machine.token",
    }
}

/// 64 bits tell two values apart, and are too few to be worth more to anybody else.
fn keyed(key: &[u8], parts: &[&[u8]]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(b"talosoci config digest v1");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    hex::encode(&mac.finalize().into_bytes()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str =
        "machine: {type: worker, token: abcdef.hunter2hunter2, env: {PROXY: s3cret}, install: {disk: /dev/sda}}\n";

    fn remembered(text: &str) -> Remembered {
        Remembered::of(&MachineConfig::parse(text).expect("a configuration"))
    }

    fn lines(old: &str, new: &str) -> Vec<String> {
        let line = |change: Change| format!("{:?} {} {:?} {:?}", change.kind, change.path, change.old, change.new);
        remembered(old).changes(&remembered(new)).into_iter().map(line).collect()
    }

    #[test]
    fn what_changed_is_listed_and_secrets_are_in_neither_list_nor_store() {
        let new = BASE.replace("s3cret", "0ther").replace("/dev/sda", "/dev/sdb")
            + "---\n{apiVersion: v1alpha1, kind: LinkConfig, name: net0}\n";
        assert_eq!(
            lines(BASE, &new),
            [
                "Added LinkConfig/net0 None None",
                "Changed machine.env.PROXY None None",
                "Changed machine.install.disk Some(\"/dev/sda\") Some(\"/dev/sdb\")",
            ]
        );
        let stored = String::from_utf8(remembered(BASE).bytes()).expect("JSON");
        assert!(!stored.contains("s3cret") && !stored.contains("hunter2"), "{stored}");
        assert_eq!(Remembered::read(stored.as_bytes()), Some(remembered(BASE)));
    }

    #[test]
    fn the_same_content_in_other_clothes_is_no_change() {
        let other = "# a comment\nmachine:\n  install:\n    disk: \"/dev/sda\"\n  env: {PROXY: s3cret}\n  token: abcdef.hunter2hunter2\n  type: worker\n";
        assert_eq!(lines(BASE, other), Vec::<String>::new());
    }

    #[test]
    fn a_new_token_makes_hidden_values_incomparable_but_not_changed() {
        let new = BASE.replace("hunter2hunter2", "otherotherother1").replace("/dev/sda", "/dev/sdb");
        assert_eq!(
            lines(BASE, &new),
            ["Changed machine.install.disk Some(\"/dev/sda\") Some(\"/dev/sdb\")", "Changed machine.token None None"]
        );
    }
}
