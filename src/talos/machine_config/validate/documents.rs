//! The documents next to the v1alpha1 one, kind by kind.

use super::super::document::Document;
use super::super::types::url::Url;
use super::super::yaml::Node;
use super::notation::split_host_port;
use super::{Read, Report, cel, network, volumes};

pub(super) fn validate(document: &Document, report: &mut Report) {
    let root = document.root();
    match document.id().kind.as_str() {
        "EventSinkConfig" => event_sink(root, report),
        "KmsgLogConfig" => kmsg_log(root, report),
        "OOMConfig" => out_of_memory(root, report),
        "WatchdogTimerConfig" => watchdog(root, report),
        "ExtensionServiceConfig" => extension_service(root, report),
        "SideroLinkConfig" => sidero_link(root, report),
        "RegistryAuthConfig" => registry_auth(root, report),
        "RegistryMirrorConfig" => registry_mirror(root, report),
        "RegistryTLSConfig" => registry_tls(root, report),
        "EnvironmentConfig" => environment(root, report),
        "ImageVerificationConfig" => image_verification(root, report),
        kind if kind.contains("Volume") || kind == "ZswapConfig" => volumes::validate(kind, root, report),
        kind => network::validate(kind, root, report),
    }
}

/// A name that must not be empty.
pub(super) fn require_name(root: &Node, message: &str, report: &mut Report) -> bool {
    let missing = root.text("name").is_empty();
    if missing {
        report.error("name", message);
    }
    !missing
}

/// Nanoseconds of a duration field; decoding left nothing but Go's notation there.
pub(super) fn nanoseconds(root: &Node, path: &str) -> i64 {
    super::super::types::duration::parse(root.text(path)).unwrap_or_default()
}

fn event_sink(root: &Node, report: &mut Report) {
    if split_host_port(root.text("endpoint")).is_none() {
        report.error("endpoint", "event sink endpoint: host and port are expected");
    }
}

fn kmsg_log(root: &Node, report: &mut Report) {
    if !require_name(root, "name is required", report) {
        return;
    }
    let Some(url) = url(root, "url") else {
        report.error("url", "url is required");
        return;
    };
    if !["tcp", "udp"].contains(&url.scheme.as_str()) {
        report.error("url", "url scheme must be tcp:// or udp://");
    } else if !["", "/"].contains(&url.path.as_str()) {
        report.error("url", "url path must be empty");
    } else if url.port().is_empty() {
        report.error("url", "url port is required");
    }
}

fn out_of_memory(root: &Node, report: &mut Report) {
    for (field, what, result, environment) in [
        ("triggerExpression", "OOM trigger expression", cel::Type::Bool, cel::Environment::OomTrigger),
        ("cgroupRankingExpression", "OOM cgroup scoring expression", cel::Type::Double, cel::Environment::OomScoring),
    ] {
        if let Some(expression) = root.get(field).and_then(Node::as_str)
            && let Err(message) = cel::check(expression, environment, result)
        {
            report.error(field, format!("{what} is invalid: {message}"));
        }
    }
    if nanoseconds(root, "sampleInterval") < 0 {
        report.error("sampleInterval", "OOM sample interval must be longer than 0");
    }
}

fn watchdog(root: &Node, report: &mut Report) {
    const MINIMUM: i64 = 10_000_000_000;
    let timeout = nanoseconds(root, "timeout");
    if root.text("device").is_empty() {
        report.error("device", "watchdog device: empty value");
    } else if timeout != 0 && timeout < MINIMUM {
        report.error("timeout", "watchdog timeout: minimum value is 10s");
    }
}

fn extension_service(root: &Node, report: &mut Report) {
    let name = root.text("name");
    let files = root.items("configFiles");
    if name.is_empty() {
        report.error("name", "name is required");
    } else if files.is_empty() && root.items("environment").is_empty() {
        report.error("configFiles", format!("no config files found for extension {name:?}"));
    } else if let Some(index) = files.iter().position(|file| file.text("content").is_empty()) {
        report.error(
            format!("configFiles[{index}].content"),
            format!("extension content is required for extension {name:?}"),
        );
    } else if let Some(index) = files.iter().position(|file| file.text("mountPath").is_empty()) {
        report.error(
            format!("configFiles[{index}].mountPath"),
            format!("extension mount path is required for extension {name:?}"),
        );
    }
}

fn sidero_link(root: &Node, report: &mut Report) {
    match url(root, "apiUrl") {
        None => report.error("apiUrl", "apiUrl is required"),
        Some(url) if !["https", "grpc"].contains(&url.scheme.as_str()) => {
            report.error("apiUrl", "apiUrl scheme must be https:// or grpc://");
        }
        Some(url) if !["", "/"].contains(&url.path.as_str()) => report.error("apiUrl", "apiUrl path must be empty"),
        Some(_) => {}
    }
}

fn registry_auth(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let set = |field: &str| !root.text(field).is_empty();
    let (user, token) = (set("username"), set("identityToken"));
    if user && token {
        report.error("", "only one of username/password or identityToken authentication can be specified");
    }
    if set("auth") && (user || token) {
        report.error("", "only one of auth, username/password or identityToken authentication can be specified");
    }
}

fn registry_mirror(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    for (index, endpoint) in root.items("endpoints").iter().enumerate() {
        let path = format!("endpoints[{index}].url");
        match url(endpoint, "url") {
            None => report.error(&path, format!("{path} must be specified")),
            Some(url) if !["http", "https"].contains(&url.scheme.as_str()) => {
                report.error(&path, format!("{path} has unsupported scheme: {:?}", url.scheme));
            }
            Some(_) => {}
        }
    }
}

fn registry_tls(root: &Node, report: &mut Report) {
    require_name(root, "name must be specified", report);
    let ca = root.text("ca");
    if !ca.is_empty() && !holds_certificate(ca) {
        report.error("ca", "ca must be a valid PEM-encoded certificate");
    }
    if let Some(identity) = root.get("clientIdentity") {
        if !holds_certificate(identity.text("cert")) {
            report.error("clientIdentity.cert", "client identity certificate is invalid");
        }
        if !holds_private_key(identity.text("key")) {
            report.error("clientIdentity.key", "client identity key is invalid");
        }
    }
}

fn environment(root: &Node, report: &mut Report) {
    for entry in root.get("variables").and_then(Node::as_mapping).unwrap_or_default() {
        let name = entry.key.as_str().unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
            report.error("variables", format!("invalid environment variable name: {name:?}"));
        }
    }
}

fn image_verification(root: &Node, report: &mut Report) {
    for (index, rule) in root.items("rules").iter().enumerate() {
        let path = format!("rules[{index}]");
        let (skip, deny) = (rule.flag("skip"), rule.flag("deny"));
        let (keyless, public) = (rule.get("keyless"), rule.get("publicKey"));
        let verifiers = keyless.is_some() || public.is_some();
        let broken = [
            (rule.text("image").is_empty(), "imagePattern must be specified"),
            (skip && deny, "skip and deny cannot both be true"),
            ((skip || deny) && verifiers, "verifiers cannot be configured if skip or deny is true"),
            (!skip && !deny && !verifiers, "at least one verifier must be configured"),
            (keyless.is_some() && public.is_some(), "only one of keyless or publicKey verifier can be configured"),
            (keyless.is_some_and(|rule| rule.text("issuer").is_empty()), "verifier OIDC issuer must be specified"),
            (
                keyless.is_some_and(|rule| rule.text("subject").is_empty() && rule.text("subjectRegex").is_empty()),
                "verifier subject or subjectRegex must be specified",
            ),
            (public.is_some_and(|rule| rule.text("certificate").is_empty()), "verifier certificates must be specified"),
        ];
        for (_, message) in broken.iter().filter(|(broken, _)| *broken) {
            report.error(&path, *message);
        }
    }
}

fn url(root: &Node, field: &str) -> Option<Url> {
    Url::parse(root.get(field)?.as_str()?).ok()
}

fn holds_certificate(pem: &str) -> bool {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    blocks.flatten().any(|block| block.label == "CERTIFICATE" && block.parse_x509().is_ok())
}

fn holds_private_key(pem: &str) -> bool {
    let block = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).flatten().next();
    block.is_some_and(|block| block.label.ends_with("PRIVATE KEY") && !block.contents.is_empty())
}
