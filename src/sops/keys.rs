//! Age and SSH keys: where sops looks for them, and the ring of those that were found.

use std::fmt;
use std::str::FromStr;

use super::Cleartext;

/// A place that may hold keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is called in messages: `SOPS_AGE_KEY_FILE` or a path.
    pub name: String,
    /// What kind of keys it holds.
    pub kind: KeyKind,
    /// How to get at them.
    pub source: Source,
}

/// What kind of keys a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `AGE-SECRET-KEY-1…` lines.
    Age,
    /// One private SSH key.
    Ssh,
}

/// How to get at the keys of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Here they are.
    Text(Cleartext),
    /// In this file.
    File(String),
    /// In the output of this command, split into words as a shell does; `SOPS_AGE_RECIPIENT` is set for it.
    Command(String),
    /// The environment variable is not set.
    Unset,
}

/// The system's convention for configuration folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// `$XDG_CONFIG_HOME` or `~/.config`.
    Unix,
    /// `$XDG_CONFIG_HOME` or `~/Library/Application Support`.
    MacOs,
    /// `%AppData%`.
    Windows,
}

/// All places where sops 3.11 looks for keys, in its order; what exists of them is for the caller to read.
pub fn places(environment: impl Fn(&str) -> Option<String>, platform: Platform) -> Vec<Place> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let home = match platform {
        Platform::Windows => set("USERPROFILE"),
        _ => set("HOME"),
    };
    let variable = |name: &str, kind, source: fn(String) -> Source| Place {
        name: name.into(),
        kind,
        source: environment(name).map_or(Source::Unset, source),
    };
    let file = |path: String, kind| Place { name: path.clone(), kind, source: Source::File(path) };
    let mut places = vec![
        variable("SOPS_AGE_SSH_PRIVATE_KEY_FILE", KeyKind::Ssh, Source::File),
        variable("SOPS_AGE_SSH_PRIVATE_KEY_CMD", KeyKind::Ssh, Source::Command),
    ];
    if let Some(home) = &home {
        places.push(file(format!("{home}/.ssh/id_ed25519"), KeyKind::Ssh));
        places.push(file(format!("{home}/.ssh/id_rsa"), KeyKind::Ssh));
    }
    places.extend([
        variable("SOPS_AGE_KEY", KeyKind::Age, |text| Source::Text(Cleartext::new(text))),
        variable("SOPS_AGE_KEY_FILE", KeyKind::Age, Source::File),
        variable("SOPS_AGE_KEY_CMD", KeyKind::Age, Source::Command),
    ]);
    let under_home = |folder: &str| home.as_ref().map(|home| format!("{home}/{folder}"));
    let configuration = match platform {
        Platform::Unix => set("XDG_CONFIG_HOME").or_else(|| under_home(".config")),
        Platform::MacOs => set("XDG_CONFIG_HOME").or_else(|| under_home("Library/Application Support")),
        Platform::Windows => set("APPDATA"),
    };
    places.extend(configuration.map(|folder| file(format!("{folder}/sops/age/keys.txt"), KeyKind::Age)));
    places
}

/// The keys at hand, with a record of where they were looked for.
#[derive(Default)]
pub struct Keyring {
    identities: Vec<Box<dyn age::Identity + Send + Sync>>,
    places: Vec<String>,
    problems: Vec<String>,
}

impl Keyring {
    /// An empty ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the keys of a place in. What cannot be used is remembered for the message when nothing fits.
    pub fn add(&mut self, place: &str, kind: KeyKind, text: &str) {
        self.places.push(place.into());
        match kind {
            KeyKind::Age => self.add_age(place, text),
            KeyKind::Ssh => self.add_ssh(place, text),
        }
    }

    /// Remembers that a place was looked at and had nothing.
    pub fn absent(&mut self, place: &str) {
        self.places.push(format!("{place} (nothing there)"));
    }

    /// Remembers why a place could not be read.
    pub fn unreadable(&mut self, place: &str, reason: &str) {
        self.places.push(place.into());
        self.problems.push(format!("{place}: {reason}"));
    }

    /// Whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    pub(super) fn identities(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity)
    }

    pub(super) fn looked_in(&self) -> (Vec<String>, Vec<String>) {
        (self.places.clone(), self.problems.clone())
    }

    /// A key file of age-keygen: one key a line, comments. `SOPS_AGE_KEY` may hold several on one line.
    fn add_age(&mut self, place: &str, text: &str) {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for word in lines.flat_map(str::split_whitespace) {
            match age::x25519::Identity::from_str(word) {
                Ok(identity) => self.identities.push(Box::new(identity)),
                Err(_) => self.problems.push(format!("{place}: {}", unusable(word))),
            }
        }
    }

    fn add_ssh(&mut self, place: &str, text: &str) {
        let problem = match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
            Ok(identity @ age::ssh::Identity::Unencrypted(_)) => {
                self.identities.push(Box::new(identity));
                return;
            }
            Ok(age::ssh::Identity::Encrypted(_)) => "the SSH key is protected by a passphrase",
            Ok(age::ssh::Identity::Unsupported(_)) => "SSH keys of this kind cannot open age files",
            Err(_) => "there is no SSH key in it",
        };
        self.problems.push(format!("{place}: {problem}"));
    }
}

fn unusable(word: &str) -> &'static str {
    if word.starts_with("AGE-PLUGIN-") {
        "keys of age plugins are not supported"
    } else if word.starts_with("AGE-SECRET-KEY-PQ-") {
        "post-quantum age keys are not supported"
    } else if word.starts_with("AGE-SECRET-KEY-") {
        "an age key is damaged"
    } else {
        "something that is no age key"
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("identities", &self.identities.len())
            .field("places", &self.places)
            .field("problems", &self.problems)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(platform: Platform, variables: &[(&str, &str)]) -> Vec<String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let shown = |place: Place| match place.source {
            Source::Unset => format!("{} unset", place.name),
            Source::File(path) => path,
            Source::Command(command) => format!("$({command})"),
            Source::Text(_) => format!("{} text", place.name),
        };
        places(environment, platform).into_iter().map(shown).collect()
    }

    #[test]
    fn keys_are_looked_for_where_sops_looks() {
        assert_eq!(
            names(Platform::Unix, &[("HOME", "/home/u"), ("SOPS_AGE_KEY_FILE", "/k"), ("SOPS_AGE_KEY", "x")]),
            [
                "SOPS_AGE_SSH_PRIVATE_KEY_FILE unset",
                "SOPS_AGE_SSH_PRIVATE_KEY_CMD unset",
                "/home/u/.ssh/id_ed25519",
                "/home/u/.ssh/id_rsa",
                "SOPS_AGE_KEY text",
                "/k",
                "SOPS_AGE_KEY_CMD unset",
                "/home/u/.config/sops/age/keys.txt",
            ]
        );
        for (platform, variables, wanted) in [
            (Platform::Unix, [("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")], "/x/sops/age/keys.txt"),
            (Platform::MacOs, [("HOME", "/h"), ("A", "")], "/h/Library/Application Support/sops/age/keys.txt"),
            (Platform::MacOs, [("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")], "/x/sops/age/keys.txt"),
            (Platform::Windows, [("APPDATA", "C:/r"), ("USERPROFILE", "C:/u")], "C:/r/sops/age/keys.txt"),
        ] {
            assert_eq!(names(platform, &variables).last().unwrap(), wanted);
        }
        assert_eq!(names(Platform::Unix, &[]).len(), 5);
    }

    #[test]
    fn a_key_file_is_read_with_its_comments_and_its_unusable_lines_are_named() {
        let file = include_str!("../../tests/golden/sops/key.txt");
        let mut ring = Keyring::new();
        ring.add("keys.txt", KeyKind::Age, &format!("{file}\nAGE-PLUGIN-YUBIKEY-1XYZ\nhunter2\n"));
        assert_eq!(ring.identities().count(), 1);
        let shown = format!("{ring:?}");
        assert!(shown.contains("age plugins") && shown.contains("no age key"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("SECRET"), "{shown}");
        let key = file.lines().last().unwrap();
        let mut inline = Keyring::new();
        inline.add("SOPS_AGE_KEY", KeyKind::Age, &format!("{key} {key}"));
        assert_eq!(inline.identities().count(), 2);
    }

    #[test]
    fn what_is_no_ssh_key_is_remembered() {
        let mut ring = Keyring::new();
        ring.add("/home/u/.ssh/id_rsa", KeyKind::Ssh, "hello");
        ring.absent("/home/u/.ssh/id_ed25519");
        assert!(ring.is_empty());
        let (places, problems) = ring.looked_in();
        assert_eq!(places, ["/home/u/.ssh/id_rsa", "/home/u/.ssh/id_ed25519 (nothing there)"]);
        assert_eq!(problems, ["/home/u/.ssh/id_rsa: there is no SSH key in it"]);
    }
}
