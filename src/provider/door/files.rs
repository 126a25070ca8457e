//! The one place where the files of a talconfig.yaml, and the keys to them, are read. What is decrypted stays in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::node::draft::Talconfig;
use crate::sops::{self, Cleartext, KeyKind, Keyring, Platform, SopsError, Source};
use crate::talhelper::{self, FileName, Files, TalhelperError};
use crate::talos::secret::Secret;

/// The `talconfig` object, all of it known.
pub struct Request {
    /// talconfig.yaml.
    pub path: String,
    /// Host name of the node in it.
    pub node: String,
    /// The secrets file.
    pub secrets_file: Option<String>,
    /// The env files.
    pub env_files: Option<Vec<String>>,
    /// Variables over those of the env files.
    pub env: BTreeMap<String, String>,
    /// File with age keys.
    pub age_key_file: Option<String>,
}

impl Request {
    /// Reads the files and renders the node.
    pub fn render(&self) -> Talconfig {
        let folder = Path::new(&self.path).parent().map(Path::to_owned).unwrap_or_default();
        let files = Disk { folder };
        let with = |keys: &Keyring| {
            talhelper::render(&talhelper::Input {
                talconfig: &self.path,
                node: &self.node,
                secrets_file: self.secrets_file.as_deref(),
                env_files: self.env_files.as_deref(),
                env: &self.env,
                keys,
                files: &files,
            })
        };
        let mut done = with(&keyring(self.age_key_file.as_deref(), Commands::Leave));
        if matches!(&done, Err(TalhelperError::Sops { source, .. }) if no_key(source)) && has_commands() {
            done = with(&keyring(self.age_key_file.as_deref(), Commands::Run));
        }
        done.map(Arc::new).map_err(Arc::new)
    }
}

/// Reads a file, and opens it if it is encrypted. The error says why not, without content.
pub fn read_opened(path: &str, age_key_file: Option<&str>) -> Result<Secret<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("reading {path}: {error}"))?;
    let mut opened = sops::decrypt_if_encrypted(&text, &keyring(age_key_file, Commands::Leave));
    if opened.as_ref().is_err_and(no_key) && has_commands() {
        opened = sops::decrypt_if_encrypted(&text, &keyring(age_key_file, Commands::Run));
    }
    match opened {
        Ok(text) => Ok(Secret::new(text.expose().to_owned())),
        Err(error) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            Err(format!("opening {path}: {error}{hint}"))
        }
    }
}

/// The folders of this computer.
struct Disk {
    folder: PathBuf,
}

impl Files for Disk {
    fn read(&self, name: FileName<'_>) -> Result<Option<String>, String> {
        let path = match name {
            FileName::Given(name) => PathBuf::from(name),
            FileName::Beside(name) => self.folder.join(name),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("it is not text".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What to do with the commands that give keys (`SOPS_AGE_KEY_CMD`). They may ask a person, so they are run only for
/// a file that no other key opens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commands {
    Leave,
    Run,
}

fn no_key(error: &SopsError) -> bool {
    matches!(error, SopsError::NoKey { .. })
}

fn places() -> Vec<sops::Place> {
    let platform = if cfg!(windows) {
        Platform::Windows
    } else if cfg!(target_os = "macos") {
        Platform::MacOs
    } else {
        Platform::Unix
    };
    sops::places(|name| std::env::var(name).ok(), platform)
}

fn has_commands() -> bool {
    places().iter().any(|place| matches!(place.source, Source::Command(_)))
}

/// The keys at hand: those of the named file, then those of all places where sops looks.
fn keyring(age_key_file: Option<&str>, commands: Commands) -> Keyring {
    let mut ring = Keyring::new();
    if let Some(path) = age_key_file {
        add_file(&mut ring, "age_key_file", KeyKind::Age, path);
    }
    for place in places() {
        match &place.source {
            Source::Text(text) => ring.add(&place.name, place.kind, text.expose()),
            Source::File(path) => add_file(&mut ring, &place.name, place.kind, path),
            Source::Command(command) if commands == Commands::Run => match output(command) {
                Ok(text) => ring.add(&place.name, place.kind, text.expose()),
                Err(reason) => ring.unreadable(&place.name, &reason),
            },
            Source::Command(_) => {}
            Source::Unset => {}
        }
    }
    ring
}

fn add_file(ring: &mut Keyring, name: &str, kind: KeyKind, path: &str) {
    let shown = if name == path { name.to_owned() } else { format!("{name} ({path})") };
    match std::fs::read_to_string(path).map(Secret::new) {
        Ok(text) => ring.add(&shown, kind, text.expose()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => ring.absent(&shown),
        Err(error) => ring.unreadable(&shown, &error.to_string()),
    }
}

/// What a command prints. Its words are split as a shell does, without a shell.
fn output(command: &str) -> Result<Secret<String>, String> {
    let words = words(command).ok_or("its quotes do not match")?;
    let (program, arguments) = words.split_first().ok_or("it is empty")?;
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("it cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map(Secret::new).map_err(|_| "it printed something that is not text".to_owned())
}

/// Words separated by blanks; quotes keep blanks, a backslash keeps the next letter (not inside of single quotes).
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), letter) if letter == mark => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(letters.next()?),
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Files that are given as texts; there are no others.
pub struct Texts<'a> {
    /// Each name with its text.
    pub texts: &'a [(&'a str, &'a str)],
}

impl Files for Texts<'_> {
    fn read(&self, name: FileName<'_>) -> Result<Option<String>, String> {
        let (FileName::Given(wanted) | FileName::Beside(wanted)) = name;
        if let Some((_, text)) = self.texts.iter().find(|(name, _)| *name == wanted) {
            return Ok(Some((*text).to_owned()));
        }
        Err("a function reads no files: put the text of it into talconfig.yaml, or use the talconfig attribute"
            .to_owned())
    }
}

/// So that a text which was opened here is not copied about.
impl From<Cleartext> for Secret<String> {
    fn from(text: Cleartext) -> Self {
        Self::new(text.expose().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_does() {
        let cases: [(&str, Option<&[&str]>); 5] = [
            ("op read 'op://a b/c'", Some(&["op", "read", "op://a b/c"])),
            ("a \"b \\\" c\" d\\ e ''", Some(&["a", "b \" c", "d e", ""])),
            ("  ", Some(&[])),
            ("a 'b", None),
            ("a \\", None),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), expected.map(|words| words.iter().map(ToString::to_string).collect()), "{text}");
        }
    }

    #[test]
    fn a_key_file_is_read_and_a_missing_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("key.txt"), include_str!("../../../tests/golden/sops/key.txt")).unwrap();
        std::fs::write(path("a.yaml"), include_str!("../../../tests/golden/sops/hello.sops.yaml")).unwrap();
        let opened = read_opened(&path("a.yaml"), Some(&path("key.txt"))).unwrap();
        assert!(opened.expose().contains("mysecretvalue"));
        let error = read_opened(&path("a.yaml"), Some(&path("none.txt"))).unwrap_err();
        assert!(error.contains("none.txt) (nothing there)") && error.contains("age10k9"), "{error}");
        assert!(read_opened(&path("b.yaml"), None).unwrap_err().contains("b.yaml"));
    }
}
