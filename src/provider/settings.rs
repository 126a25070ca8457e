//! The provider block: credentials and places that every resource may use.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::client::cache::{ImageCache, user};
use crate::client::factory::Factory;
use crate::node::draft::{ClientDraft, SshDraft};
use crate::node::given::Given;
use crate::provider::{diagnostics, given};
use crate::provision::Places;
use crate::talos::secret::Secret;
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics};
use crate::tfplugin::path::Path;
use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::value::Value;

/// The public Image Factory.
pub const IMAGE_FACTORY: &str = "https://factory.talos.dev";

/// The provider block, with the environment filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Credentials of the cluster.
    pub client: Given<ClientDraft>,
    /// Kubeconfig of the cluster.
    pub kubeconfig: Given<Secret<String>>,
    /// Defaults for every rescue shell.
    pub ssh: SshDraft,
    /// Image Factory to ask.
    pub image_factory_url: Given<String>,
    /// Where downloaded images are kept.
    pub cache_dir: PathBuf,
}

impl Settings {
    /// The settings of a provider that is not configured yet: whatever a resource leaves out may still come from there.
    pub fn unconfigured() -> Self {
        Self {
            client: Given::Unknown,
            kubeconfig: Given::Unknown,
            ssh: SshDraft {
                private_key: Given::Unknown,
                known_hosts: Given::Unknown,
                user: Given::Unknown,
                ..SshDraft::default()
            },
            image_factory_url: Given::Unknown,
            cache_dir: default_cache_dir(),
        }
    }

    /// Reads the block and, for what it leaves out, the environment.
    pub fn read(config: &Value) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let object = client_object(config.get("client_configuration"));
        // The environment is only asked for what the block leaves out: a stale variable is then nobody's trouble.
        let talosconfig = match given::secret(config.get("talosconfig")) {
            Given::Absent if object.is_absent() => from_environment("TALOSCONFIG", "talosconfig", &mut diagnostics),
            given => given,
        };
        if !object.is_absent() && !config.get("talosconfig").is_null() {
            diagnostics.push(
                Diagnostic::error(
                    "Two sets of client credentials",
                    "talosconfig and client_configuration are both set in the provider block. Remove one of them.",
                )
                .at(Path::root().attribute("client_configuration")),
            );
        }
        let kubeconfig = match given::secret(config.get("kubeconfig")) {
            Given::Absent => from_environment("KUBECONFIG", "kubeconfig", &mut diagnostics),
            given => given,
        };
        let image_factory_url = given::string(config.get("image_factory_url"));
        if let Some(text) = image_factory_url.value()
            && let Err(problem) = factory_url(text)
        {
            diagnostics.push(
                Diagnostic::error("Invalid Image Factory address", problem)
                    .at(Path::root().attribute("image_factory_url")),
            );
        }
        let settings = Self {
            client: object.or(talosconfig.map(ClientDraft::Talosconfig)),
            kubeconfig,
            ssh: ssh(config.get("ssh"), &mut diagnostics),
            image_factory_url,
            cache_dir: config.get("cache_dir").as_str().map_or_else(default_cache_dir, PathBuf::from),
        };
        (settings, diagnostics)
    }
}

impl Settings {
    /// The Image Factory, unless it is not known yet.
    pub fn factory(&self) -> Option<Url> {
        match &self.image_factory_url {
            Given::Absent => Url::parse(IMAGE_FACTORY).ok(),
            Given::Value(text) => Url::parse(text).ok(),
            Given::Unknown => None,
        }
    }

    /// Where the image at `url` comes from, and where it is kept.
    pub fn places(&self, url: Option<&Url>) -> Result<Places, Diagnostics> {
        let fallback = Url::parse(IMAGE_FACTORY);
        let base = match (url, &fallback) {
            (Some(url), _) => url,
            (None, Ok(url)) => url,
            (None, Err(_)) => return Err(Diagnostic::error("Invalid Image Factory address", IMAGE_FACTORY).into()),
        };
        let factory = Factory::new(base)
            .map_err(|error| diagnostics::error("Image Factory Cannot Be Used", &error, &error.hints()))?;
        Ok(Places {
            factory: Arc::new(factory),
            cache: ImageCache::at(&self.cache_dir),
            journal: journal_place(&self.cache_dir),
        })
    }
}

/// Reads the `client_configuration` object of a block.
pub fn client_object(value: &Value) -> Given<ClientDraft> {
    given::object(value, |object| ClientDraft::Object {
        ca_certificate: given::string(object.get("ca_certificate")),
        client_certificate: given::string(object.get("client_certificate")),
        client_key: given::secret(object.get("client_key")),
    })
}

/// Checks the address of an Image Factory.
pub fn factory_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}."))?;
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err(format!("{text:?} is not an http or https address.")),
    }
}

fn ssh(value: &Value, diagnostics: &mut Diagnostics) -> SshDraft {
    if value.is_unknown() {
        return SshDraft {
            user: Given::Unknown,
            private_key: Given::Unknown,
            agent: Given::Unknown,
            known_hosts: Given::Unknown,
            ..SshDraft::default()
        };
    }
    let mut private_key = given::secret(value.get("private_key"));
    if private_key.is_absent()
        && let Some(path) = value.get("private_key_path").as_str()
    {
        match std::fs::read_to_string(path) {
            Ok(text) => private_key = Given::Value(Secret::new(text)),
            Err(error) => diagnostics.push(
                Diagnostic::error("SSH key cannot be read", format!("Reading {path}: {error}."))
                    .at(Path::root().attribute("ssh").attribute("private_key_path")),
            ),
        }
    }
    SshDraft {
        user: given::string(value.get("user")),
        private_key,
        agent: given::boolean(value.get("agent")),
        known_hosts: given::string(value.get("known_hosts")),
        ..SshDraft::default()
    }
}

/// The file that an environment variable names. Of a list of files, which `kubectl` would merge, nothing is read.
fn from_environment(variable: &str, attribute: &str, diagnostics: &mut Diagnostics) -> Given<Secret<String>> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Given::Absent;
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Given::Value(Secret::new(text)),
        Err(error) => {
            diagnostics.push(Diagnostic::warning(
                format!("{variable} cannot be used"),
                format!(
                    "Reading {}: {error}. Unset {variable}, or set {attribute} in the provider block.",
                    PathBuf::from(path).display()
                ),
            ));
            Given::Absent
        }
    }
}

/// Where runs are told to `terraform-provider-talosoci watch`: the file that `TALOSOCI_JOURNAL` names, else one in the cache
/// directory; `off` for nowhere.
pub fn journal_place(cache_dir: &std::path::Path) -> Option<PathBuf> {
    match std::env::var_os("TALOSOCI_JOURNAL").filter(|place| !place.is_empty()) {
        Some(place) if place == "off" => None,
        Some(place) => Some(place.into()),
        None => Some(cache_dir.join("journal.jsonl")),
    }
}

/// `$XDG_CACHE_HOME/terraform-provider-talosoci`, else below `~/.cache`, else below the temporary directory, where each user has
/// one of his own.
pub fn default_cache_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    cache_dir_of(set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))))
}

fn cache_dir_of(caches: Option<PathBuf>) -> PathBuf {
    match caches {
        Some(caches) => caches.join("terraform-provider-talosoci"),
        None => std::env::temp_dir().join(format!("terraform-provider-talosoci-{}", user())),
    }
}

/// Schema of the provider block.
pub fn schema() -> Schema {
    Schema::new([
        Attribute::string("talosconfig").optional().sensitive().description(
            "Talosconfig of the cluster that the nodes join, as text; its current context is used. Read from the file \
             that the environment variable `TALOSCONFIG` names when not set.",
        ),
        client_configuration_attribute(
            "Client credentials of the cluster, as base64 of PEM: the object that `talos_machine_secrets` of the \
             siderolabs provider gives. An alternative to `talosconfig`.",
        ),
        Attribute::string("kubeconfig").optional().sensitive().description(
            "Kubeconfig of the cluster, as text. Read from the file that the environment variable `KUBECONFIG` names \
             when not set.",
        ),
        Attribute::object(
            "ssh",
            [
                Attribute::string("user")
                    .optional()
                    .description("User of the rescue shell: root, or one with password-less sudo."),
                Attribute::string("private_key").optional().sensitive().description("Private key, as text."),
                Attribute::string("private_key_path").optional().description("File with the private key."),
                Attribute::bool("agent").optional().description("Use the keys of the running SSH agent."),
                Attribute::string("known_hosts").optional().description("Content of a known_hosts file."),
            ],
        )
        .optional()
        .description("Defaults for the rescue shells of all nodes."),
        Attribute::string("image_factory_url")
            .optional()
            .description(format!("Image Factory that makes the images. Default: `{IMAGE_FACTORY}`.")),
        Attribute::string("cache_dir").optional().description(
            "Directory where disk images are kept, compressed and decoded (an oracle image takes about 265 MB; the oldest go \
             beyond 4 GiB), shared by all nodes and runs. Who may write there decides what is flashed. Default: \
             `terraform-provider-talosoci` in the user's cache directory.",
        ),
    ])
    .description(
        "Turns Oracle Cloud instances into joined Talos Linux workers. Everything in the provider block is optional; \
         credentials here let read, update and destroy work when the resources themselves keep no secret in the state. \
         Values on a resource win over these.",
    )
}

/// The credentials object as the siderolabs provider shapes it.
pub fn client_configuration_attribute(description: &str) -> Attribute {
    Attribute::object(
        "client_configuration",
        [
            Attribute::string("ca_certificate").required().description("CA certificate of the Talos API."),
            Attribute::string("client_certificate").required().description("Client certificate."),
            Attribute::string("client_key").required().sensitive().description("Key of the client certificate."),
        ],
    )
    .optional()
    .description(description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_home_each_user_has_a_cache_of_his_own() {
        assert_eq!(cache_dir_of(Some("/c".into())), std::path::Path::new("/c/terraform-provider-talosoci"));
        assert!(cache_dir_of(None).to_string_lossy().ends_with(&format!("terraform-provider-talosoci-{}", user())));
    }
}
