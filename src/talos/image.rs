//! Names of Image Factory artefacts: disk image URLs and installer references.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::talos::schematic::SchematicId;
use crate::talos::version::TalosVersion;

/// The processor that an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// `arm64`: the Ampere A1 and A2 shapes.
    Arm64,
    /// `amd64`.
    Amd64,
}

/// The compression and format of a disk image, as the Factory names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// `raw.xz`: has a block index, so holes and sizes are known; what is flashed by default.
    RawXz,
    /// `raw.zst`: decodes fastest.
    RawZst,
    /// `qcow2`: what Oracle imports as a custom image.
    Qcow2,
}

/// A Factory installer image: `factory.talos.dev/oracle-installer/ID:v1.12.2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstallerReference {
    /// Host, with a port and path prefix if there are any.
    pub registry: String,
    /// `oracle`, `metal`, …
    pub platform: String,
    /// Whether it is the `-secureboot` flavour.
    pub secure_boot: bool,
    /// What is baked in.
    pub schematic: SchematicId,
    /// The tag.
    pub version: TalosVersion,
    /// `sha256:…`, if the reference is pinned.
    pub digest: Option<String>,
    /// Written with the old name `installer/` instead of `metal-installer/`.
    pub legacy_name: bool,
}

/// A text that is no name of an image artefact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not an architecture that Talos has.
    #[error("{0:?} is no architecture; there are arm64 and amd64")]
    Architecture(String),
    /// Not a Factory installer.
    #[error("{reference:?} is no Image Factory installer: {reason}")]
    Installer {
        /// The text.
        reference: String,
        /// What is missing or wrong.
        reason: String,
    },
}

/// The URL of the `raw.xz` disk image: `{base}/image/{schematic}/{version}/{platform}-{arch}[-secureboot].raw.xz`.
pub fn disk_image_url(
    base: &Url,
    schematic: &SchematicId,
    version: &TalosVersion,
    platform: &str,
    architecture: Architecture,
    secure_boot: bool,
) -> Url {
    let artefact = Artefact { schematic, version, platform, architecture, secure_boot };
    artefact.url(base, ImageFormat::RawXz)
}

/// Which image of the Factory is meant.
#[derive(Debug, Clone, Copy)]
pub struct Artefact<'a> {
    /// What is baked in.
    pub schematic: &'a SchematicId,
    /// The Talos release.
    pub version: &'a TalosVersion,
    /// `oracle`, `metal`, …; the Factory does not check it and fails on unknown ones.
    pub platform: &'a str,
    /// The processor.
    pub architecture: Architecture,
    /// The flavour with signed boot.
    pub secure_boot: bool,
}

impl Artefact<'_> {
    /// The URL below the Factory's base URL.
    pub fn url(&self, base: &Url, format: ImageFormat) -> Url {
        let Self { schematic, version, platform, architecture, secure_boot } = self;
        let secure = if *secure_boot { "-secureboot" } else { "" };
        let suffix = match format {
            ImageFormat::RawXz => "raw.xz",
            ImageFormat::RawZst => "raw.zst",
            ImageFormat::Qcow2 => "qcow2",
        };
        let mut url = base.clone();
        let prefix = base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/image/{schematic}/{version}/{platform}-{architecture}{secure}.{suffix}"));
        url.set_query(None);
        url.set_fragment(None);
        url
    }
}

/// The registry that goes with a Factory's base URL: its host, port and path without the scheme.
pub fn registry_of(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", base.path().trim_end_matches('/'))
}

/// The tag and digest of any image reference: `host:5000/a/b:TAG@sha256:…`.
pub fn split_reference(reference: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let name_starts = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[name_starts..].find(':') {
        Some(colon) => {
            let at = name_starts + colon;
            (&rest[..at], Some(&rest[at + 1..]), digest)
        }
        None => (rest, None, digest),
    }
}

impl FromStr for InstallerReference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        parse_installer(text).map_err(|reason| ImageError::Installer { reference: text.into(), reason })
    }
}

fn parse_installer(text: &str) -> Result<InstallerReference, String> {
    if text.contains("://") {
        return Err("a reference has no scheme".into());
    }
    if text.chars().any(char::is_whitespace) {
        return Err("it contains blanks".into());
    }
    let (name, tag, digest) = split_reference(text);
    let mut parts = name.rsplitn(3, '/');
    let (Some(schematic), Some(image), Some(registry)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has no REGISTRY/PLATFORM-installer/SCHEMATIC".into());
    };
    let (flavour, secure_boot) = match image.strip_suffix("-secureboot") {
        Some(flavour) => (flavour, true),
        None => (image, false),
    };
    let legacy_name = flavour == "installer";
    let platform = match flavour.strip_suffix("-installer") {
        Some(platform) if !platform.is_empty() => platform,
        _ if legacy_name => "metal",
        _ => return Err(format!("{image:?} does not end in -installer")),
    };
    let schematic = schematic.parse::<SchematicId>().map_err(|error| error.to_string())?;
    let version = tag.ok_or("it has no version tag")?;
    let version = version.parse::<TalosVersion>().map_err(|error| error.to_string())?;
    if let Some(digest) = digest {
        check_digest(digest)?;
    }
    Ok(InstallerReference {
        registry: registry.into(),
        platform: platform.into(),
        secure_boot,
        schematic,
        version,
        digest: digest.map(Into::into),
        legacy_name,
    })
}

fn check_digest(digest: &str) -> Result<(), String> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let sound = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match sound {
        true => Ok(()),
        false => Err(format!("{digest:?} is no sha256 digest")),
    }
}

impl InstallerReference {
    /// The reference without a digest, with the platform spelled out.
    pub fn new(
        registry: impl Into<String>,
        platform: impl Into<String>,
        secure_boot: bool,
        schematic: SchematicId,
        version: TalosVersion,
    ) -> Self {
        Self {
            registry: registry.into(),
            platform: platform.into(),
            secure_boot,
            schematic,
            version,
            digest: None,
            legacy_name: false,
        }
    }
}

impl fmt::Display for InstallerReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.registry)?;
        if !self.legacy_name {
            write!(f, "{}-", self.platform)?;
        }
        let secure = if self.secure_boot { "-secureboot" } else { "" };
        write!(f, "installer{secure}/{}:{}", self.schematic, self.version)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Architecture {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        match text {
            "arm64" => Ok(Self::Arm64),
            "amd64" => Ok(Self::Amd64),
            _ => Err(ImageError::Architecture(text.into())),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";

    fn url(base: &str, platform: &str, architecture: Architecture, secure_boot: bool) -> String {
        let version = "1.12.2".parse().unwrap();
        let base = Url::parse(base).unwrap();
        disk_image_url(&base, &ID.parse().unwrap(), &version, platform, architecture, secure_boot).into()
    }

    #[test]
    fn the_guides_image_url_is_built() {
        assert_eq!(
            url("https://factory.talos.dev", "oracle", Architecture::Arm64, false),
            format!("https://factory.talos.dev/image/{ID}/v1.12.2/oracle-arm64.raw.xz")
        );
        assert_eq!(
            url("http://127.0.0.1:8080/factory/?x=1", "metal", Architecture::Amd64, true),
            format!("http://127.0.0.1:8080/factory/image/{ID}/v1.12.2/metal-amd64-secureboot.raw.xz")
        );
    }

    #[test]
    fn other_formats_differ_in_their_suffix() {
        let artefact = Artefact {
            schematic: &ID.parse().unwrap(),
            version: &TalosVersion::new(1, 13, 0),
            platform: "oracle",
            architecture: Architecture::Arm64,
            secure_boot: false,
        };
        let base = Url::parse("https://factory.talos.dev").unwrap();
        for (format, suffix) in [(ImageFormat::RawZst, "raw.zst"), (ImageFormat::Qcow2, "qcow2")] {
            let url = artefact.url(&base, format);
            assert!(url.path().ends_with(&format!("/v1.13.0/oracle-arm64.{suffix}")), "{url}");
        }
    }

    #[test]
    fn an_installer_reference_reads_and_shows_the_same() {
        let digest = format!("sha256:{ID}");
        for text in [
            format!("factory.talos.dev/oracle-installer/{ID}:v1.12.2"),
            format!("factory.talos.dev/oracle-installer-secureboot/{ID}:v1.14.0-rc.1"),
            format!("factory.talos.dev/installer/{ID}:v1.9.0"),
            format!("registry.lan:5000/mirror/factory/oracle-installer/{ID}:v1.12.2@{digest}"),
            format!("[fd00::1]:5000/oracle-installer/{ID}:v1.12.2"),
        ] {
            assert_eq!(text.parse::<InstallerReference>().unwrap().to_string(), text);
        }
        let pinned: InstallerReference = format!("r:5000/oracle-installer/{ID}:1.12.2@{digest}").parse().unwrap();
        assert_eq!(pinned.registry, "r:5000");
        assert_eq!(pinned.platform, "oracle");
        assert_eq!(pinned.digest, Some(digest));
        assert_eq!(pinned.version, TalosVersion::new(1, 12, 2));
        let legacy: InstallerReference = format!("f/installer/{ID}:v1.12.2").parse().unwrap();
        assert_eq!((legacy.platform.as_str(), legacy.legacy_name), ("metal", true));
    }

    #[test]
    fn what_is_no_factory_installer_says_why() {
        for (text, wanted) in [
            ("ghcr.io/siderolabs/installer:v1.12.2".to_owned(), "does not end in -installer"),
            (format!("https://factory.talos.dev/oracle-installer/{ID}:v1.12.2"), "no scheme"),
            (format!("factory.talos.dev/oracle-installer/{ID}"), "no version tag"),
            (format!("factory.talos.dev/oracle-installer/{ID}:latest"), "no Talos version"),
            ("factory.talos.dev/oracle-installer/abc:v1.12.2".to_owned(), "no schematic id"),
            (format!("factory.talos.dev/oracle/{ID}:v1.12.2"), "does not end in -installer"),
            (format!("factory.talos.dev/oracle-installer/{ID}:v1.12.2@sha256:12"), "no sha256 digest"),
            ("installer:v1".to_owned(), "has no REGISTRY"),
            (String::new(), "has no REGISTRY"),
        ] {
            let error = text.parse::<InstallerReference>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn any_reference_splits_into_name_tag_and_digest() {
        assert_eq!(split_reference("a/b"), ("a/b", None, None));
        assert_eq!(split_reference("h:5000/a/b"), ("h:5000/a/b", None, None));
        assert_eq!(split_reference("h:5000/a/b:t@d"), ("h:5000/a/b", Some("t"), Some("d")));
        assert_eq!(split_reference("a@sha256:1"), ("a", None, Some("sha256:1")));
    }

    #[test]
    fn a_factorys_registry_is_its_url_without_the_scheme() {
        for (base, wanted) in [
            ("https://factory.talos.dev", "factory.talos.dev"),
            ("https://factory.talos.dev/", "factory.talos.dev"),
            ("http://127.0.0.1:8080/a/", "127.0.0.1:8080/a"),
        ] {
            assert_eq!(registry_of(&Url::parse(base).unwrap()), wanted);
        }
    }

    #[test]
    fn architectures_read_and_show_the_same() {
        for text in ["arm64", "amd64"] {
            assert_eq!(text.parse::<Architecture>().unwrap().to_string(), text);
        }
        assert!("aarch64".parse::<Architecture>().is_err());
    }
}
