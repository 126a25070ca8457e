//! Rules for the endpoint, the image and the flash target.

use std::net::IpAddr;

use url::Url;

use crate::node::draft::{FlashDraft, ImageDraft, SshDraft};
use crate::node::finding::Findings;
use crate::node::given::Given;
use crate::node::spec::{Endpoint, Flash, HostKey, Image, Source, SshAuth, SshFlash, Zero, choice};
use crate::talos::image::InstallerReference;
use crate::talos::schematic::SchematicId;
use crate::talos::version::{OLDEST, TalosVersion};

/// Port of apid (Talos v1.12.2 pkg/machinery/constants: ApidPort).
pub const TALOS_PORT: u16 = 50000;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Method {
    #[default]
    Ssh,
    InPlace,
    None,
}

const METHODS: &[(&str, Method)] = &[("ssh", Method::Ssh), ("in_place", Method::InPlace), ("none", Method::None)];

const ZEROS: &[(&str, Zero)] = &[("partitions", Zero::Partitions), ("needed", Zero::Needed), ("all", Zero::All)];

pub(super) fn hostname(given: &Given<String>, findings: &mut Findings) -> Given<String> {
    let Some(name) = given.value() else {
        if given.is_absent() {
            findings.error("hostname-missing", "hostname", "the node has no name", "set hostname");
        }
        return given.clone();
    };
    if !is_hostname(name) {
        findings.error(
            "hostname-syntax",
            "hostname",
            format!("{name:?} is not a host name"),
            "use lower-case letters, digits and hyphens, at most 63 characters a label",
        );
        return Given::Absent;
    }
    given.clone()
}

/// RFC 1123 labels in lower case: the name becomes a Kubernetes node name, which has no upper case.
fn is_hostname(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

pub(super) fn endpoint(host: &Given<String>, port: &Given<i64>, findings: &mut Findings) -> Given<Endpoint> {
    let talos_port = self::port(port, "talos_port", TALOS_PORT, findings);
    match host {
        Given::Unknown => Given::Unknown,
        Given::Absent => {
            findings.error(
                "endpoint-missing",
                "endpoint",
                "there is no address to reach the machine at",
                "set endpoint, for example to the public_ip of the instance",
            );
            Given::Absent
        }
        Given::Value(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let named = bare.parse::<IpAddr>().is_ok() || is_hostname(&bare.to_ascii_lowercase());
            if !named {
                findings.error(
                    "endpoint-syntax",
                    "endpoint",
                    format!("{host:?} is not an IP address or host name"),
                    "write the address alone, without scheme and port; the port goes into talos_port",
                );
                return Given::Absent;
            }
            Given::Value(Endpoint { host: bare.to_owned(), talos_port })
        }
    }
}

fn port(given: &Given<i64>, attribute: &str, default: u16, findings: &mut Findings) -> u16 {
    let Some(number) = given.value() else { return default };
    match u16::try_from(*number) {
        Ok(port) if port > 0 => port,
        _ => {
            findings.error(
                "port-range",
                attribute,
                format!("{number} is not a TCP port"),
                "use a number from 1 to 65535",
            );
            default
        }
    }
}

pub(super) fn image(given: &Given<ImageDraft>, flash: &Given<Flash>, findings: &mut Findings) -> Given<Image> {
    let draft = match given {
        Given::Unknown => return Given::Unknown,
        Given::Absent => {
            findings.error("image-missing", "image", "the node has no image", "set image = talosoci_image.NAME");
            return Given::Absent;
        }
        Given::Value(draft) => draft,
    };
    let version = parsed::<TalosVersion>(
        &draft.talos_version,
        "image.talos_version",
        "a Talos version such as v1.12.2",
        findings,
    );
    if let Some(version) = version.value()
        && (version.major, version.minor) < OLDEST
    {
        findings.error(
            "talos-too-old",
            "image.talos_version",
            format!("Talos {version} is older than v1.12"),
            "use Talos v1.12 or later",
        );
    }
    let schematic =
        parsed::<SchematicId>(&draft.schematic_id, "image.schematic_id", "a schematic id of 64 hex digits", findings);
    let installer = parsed::<InstallerReference>(
        &draft.installer,
        "image.installer",
        "an installer such as factory.talos.dev/oracle-installer/ID:v1.12.2",
        findings,
    );
    let url = parsed::<Url>(&draft.url, "image.url", "a URL", findings);
    let sha256 = sha256(&draft.sha256, findings);
    let flashes = !matches!(flash, Given::Value(Flash::None));
    if draft.url.is_absent() && flashes {
        findings.error(
            "image-url-missing",
            "image.url",
            "the image has no URL, so the disk cannot be flashed",
            "set image = talosoci_image.NAME, or flash = { method = \"none\" } for a machine that already runs Talos",
        );
    }
    for (given, attribute) in
        [(&draft.talos_version, "image.talos_version"), (&draft.schematic_id, "image.schematic_id")]
    {
        if given.is_absent() {
            findings.error(
                "image-incomplete",
                attribute,
                format!("{attribute} is missing, and nothing else says it"),
                "set image = talosoci_image.NAME",
            );
        }
    }
    let (Some(version), Some(schematic)) = (version.value(), schematic.value()) else {
        return if given_unknown(draft) { Given::Unknown } else { Given::Absent };
    };
    let installer = match installer {
        Given::Unknown => return Given::Unknown,
        Given::Absent if draft.installer.is_absent() => {
            InstallerReference::new("factory.talos.dev", "oracle", false, schematic.clone(), version.clone())
        }
        Given::Absent => return Given::Absent,
        Given::Value(installer) => installer,
    };
    agree(&installer, schematic, version, findings);
    if url.is_unknown() || sha256.is_unknown() {
        return Given::Unknown;
    }
    Given::Value(Image {
        talos_version: version.clone(),
        schematic: schematic.clone(),
        url: url.into_value(),
        installer,
        sha256: sha256.into_value(),
        schematic_yaml: draft.schematic_yaml.value().cloned(),
        unregistered: false,
    })
}

fn given_unknown(draft: &ImageDraft) -> bool {
    draft.talos_version.is_unknown() || draft.schematic_id.is_unknown()
}

/// An installer of another platform silently turns the node into that platform (docs of the provider: "installer is not
/// oracle-installer"); one of another schematic or version activates something else than was flashed.
fn agree(installer: &InstallerReference, schematic: &SchematicId, version: &TalosVersion, findings: &mut Findings) {
    if installer.platform != "oracle" {
        findings.error(
            "installer-platform",
            "image.installer",
            format!(
                "{installer} is an installer for platform {}: an upgrade with it turns the node away from Oracle Cloud",
                installer.platform
            ),
            "use the oracle-installer of the same schematic, as talosoci_image gives it",
        );
    }
    if installer.schematic != *schematic || installer.version != *version {
        findings.error(
            "installer-mismatch",
            "image.installer",
            format!("{installer} does not carry schematic {schematic} at {version}"),
            "use the installer of the same schematic and version, as talosoci_image gives it",
        );
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    given: &Given<String>,
    attribute: &str,
    what: &str,
    findings: &mut Findings,
) -> Given<T> {
    let Some(text) = given.value() else {
        return if given.is_unknown() { Given::Unknown } else { Given::Absent };
    };
    match text.parse() {
        Ok(value) => Given::Value(value),
        Err(error) => {
            findings.error(
                "image-syntax",
                attribute,
                format!("{text:?} cannot be read: {error}"),
                format!("write {what}"),
            );
            Given::Absent
        }
    }
}

fn sha256(given: &Given<String>, findings: &mut Findings) -> Given<String> {
    if let Some(text) = given.value()
        && (text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        findings.error(
            "image-syntax",
            "image.sha256",
            format!("{text:?} is not a SHA-256"),
            "write the 64 hex digits that sha256sum prints for the compressed image",
        );
        return Given::Absent;
    }
    given.clone().map(|text| text.to_ascii_lowercase())
}

/// Whether the disk is written.
pub(super) fn flashes(given: &Given<FlashDraft>) -> Given<bool> {
    match given {
        Given::Value(draft) if draft.method.is_unknown() => Given::Unknown,
        Given::Value(draft) => Given::Value(draft.method.value().is_none_or(|method| method != "none")),
        Given::Unknown => Given::Unknown,
        Given::Absent => Given::Absent,
    }
}

/// `installed` is the disk that the configuration says Talos lies on: the one to flash, unless another is named.
pub(super) fn flash(
    given: &Given<FlashDraft>,
    installed: &Given<String>,
    endpoint: &Given<Endpoint>,
    findings: &mut Findings,
) -> Given<Flash> {
    let draft = match given {
        Given::Unknown => return Given::Unknown,
        Given::Absent => {
            findings.error(
                "flash-missing",
                "flash",
                "it is not said how the image comes onto the disk",
                "set flash with disk and ssh, or flash = { method = \"none\" } for a machine that already runs Talos",
            );
            return Given::Absent;
        }
        Given::Value(draft) => draft,
    };
    if draft.method.is_unknown() {
        return Given::Unknown;
    }
    let method = choice(&draft.method, "flash.method", METHODS, findings);
    if method == Method::None {
        return Given::Value(Flash::None);
    }
    let in_place = method == Method::InPlace;
    let source = choice(&draft.source, "flash.source", &[("push", Source::Push), ("pull", Source::Pull)], findings);
    if in_place && source == Source::Pull {
        findings.error(
            "in-place-pull",
            "flash.source",
            "the running system is overwritten in place with what was sent to its RAM: it cannot download it by itself",
            "remove flash.source, or write \"push\"",
        );
    }
    let zero = choice(&draft.zero, "flash.zero", ZEROS, findings);
    let disk = disk(&draft.disk.clone().or(installed.clone()), findings);
    let auth = auth(&draft.ssh, findings);
    let host_key = host_key(&draft.ssh, findings);
    let port = port(&draft.ssh.port, "flash.ssh.port", 22, findings);
    let host = match &draft.ssh.host {
        Given::Absent => endpoint.map_ref(|endpoint| endpoint.host.clone()),
        given => given.clone(),
    };
    if [disk.is_unknown(), auth.is_unknown(), host_key.is_unknown(), host.is_unknown(), draft.ssh.user.is_unknown()]
        .contains(&true)
    {
        return Given::Unknown;
    }
    match (disk.into_value(), auth.into_value(), host_key.into_value(), host.into_value()) {
        (Some(disk), Some(auth), Some(host_key), Some(host)) => Given::Value(Flash::Ssh(Box::new(SshFlash {
            disk,
            in_place,
            source,
            zero,
            allow_root_disk: draft.allow_root_disk.value().copied().unwrap_or(false),
            host,
            port,
            user: draft.ssh.user.value().cloned().unwrap_or_else(|| "root".to_owned()),
            auth,
            host_key,
        }))),
        _ => Given::Absent,
    }
}

fn disk(given: &Given<String>, findings: &mut Findings) -> Given<String> {
    match given {
        Given::Absent => {
            findings.error(
                "disk-missing",
                "flash.disk",
                "it is not said which disk is to be overwritten",
                "set flash.disk, for example \"/dev/sda\"; it is never guessed",
            );
            Given::Absent
        }
        Given::Value(path) => {
            let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._:+-@".contains(&b));
            if !path.starts_with("/dev/") || path.len() <= "/dev/".len() || path.contains("/../") || !plain {
                findings.error(
                    "disk-syntax",
                    "flash.disk",
                    format!("{path:?} is not the path of a disk"),
                    "write a path below /dev, such as \"/dev/sda\" or \"/dev/disk/by-id/…\"",
                );
                return Given::Absent;
            }
            given.clone()
        }
        Given::Unknown => Given::Unknown,
    }
}

fn auth(ssh: &SshDraft, findings: &mut Findings) -> Given<SshAuth> {
    match (&ssh.private_key, &ssh.agent) {
        (Given::Value(key), _) => Given::Value(SshAuth::PrivateKey(key.clone())),
        (Given::Unknown, _) => Given::Unknown,
        (Given::Absent, Given::Value(true)) => Given::Value(SshAuth::Agent),
        (Given::Absent, Given::Unknown) => Given::Unknown,
        (Given::Absent, _) => {
            findings.error(
                "ssh-key-missing",
                "flash.ssh",
                "there is no key to log in to the rescue shell with",
                "set flash.ssh.private_key (or private_key_wo), or flash.ssh.agent = true",
            );
            Given::Absent
        }
    }
}

fn host_key(ssh: &SshDraft, findings: &mut Findings) -> Given<HostKey> {
    let accept_new =
        choice(&ssh.host_key_policy, "flash.ssh.host_key_policy", &[("strict", false), ("accept-new", true)], findings);
    match (&ssh.host_key, &ssh.known_hosts) {
        (Given::Unknown, _) | (Given::Absent, Given::Unknown) => Given::Unknown,
        (Given::Value(keys), _) => {
            let keys: Vec<String> =
                keys.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
            Given::Value(HostKey::Pinned(keys))
        }
        (Given::Absent, Given::Value(content)) => Given::Value(HostKey::KnownHosts(content.clone())),
        (Given::Absent, Given::Absent) if ssh.host_key_policy.is_unknown() => Given::Unknown,
        (Given::Absent, Given::Absent) if accept_new => Given::Value(HostKey::AcceptNew),
        (Given::Absent, Given::Absent) => {
            findings.error(
                "host-key-missing",
                "flash.ssh.host_key",
                "nothing says how the rescue host proves that it is the right machine",
                "set flash.ssh.host_key (`ssh-keyscan HOST` over a trusted path) or known_hosts; host_key_policy = \"accept-new\" trusts whatever answers first",
            );
            Given::Absent
        }
    }
}
