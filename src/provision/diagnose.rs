//! The guide's troubleshooting as rules: what was found on a node and around it in, causes with evidence and remedy out.
//! Pure, so that every rule is a table row in a test.

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use route::Route;
use words::{Place, WORDS};

mod route;
mod words;

/// What was found. Everything that could not be asked is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What answers at the address.
    pub answer: Answer,
    /// Stage, such as `running`.
    pub stage: Option<String>,
    /// Conditions that the machine waits for, with reasons.
    pub unmet: Vec<(String, String)>,
    /// Services.
    pub services: Vec<ServiceSeen>,
    /// Lines of the kernel log, oldest first.
    pub dmesg: Vec<String>,
    /// Last lines of service logs, by service.
    pub logs: BTreeMap<String, Vec<String>>,
    /// Addresses of the node, without prefix length.
    pub addresses: Vec<String>,
    /// Routes of the node.
    pub routes: Vec<Route>,
    /// Address of the control plane, where the configuration names one.
    pub control_plane: Option<IpAddr>,
    /// Whether the clock follows a time server.
    pub clock_synced: Option<bool>,
    /// What Kubernetes says of the node.
    pub kubernetes: Option<KubernetesSeen>,
}

impl Evidence {
    /// Whether Kubernetes hears nothing of the node, or its kubelet is not well: reasons to look at the way there.
    fn is_cut_off(&self) -> bool {
        let unheard = match &self.kubernetes {
            Some(KubernetesSeen::NotReady(reason)) => is_lost(reason),
            Some(KubernetesSeen::Unregistered) => true,
            Some(KubernetesSeen::Ready) => return false,
            Some(KubernetesSeen::Unasked(_)) | None => false,
        };
        unheard || self.services.iter().any(|service| service.id == "kubelet" && !service.is_up())
    }
}

/// What answers at the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// The node, to the cluster's credentials.
    Node,
    /// The port is closed.
    Closed(String),
    /// No answer at all.
    Silent(String),
    /// A machine in maintenance mode.
    Maintenance,
    /// A node of another cluster.
    Foreign(String),
    /// Something that wants a client certificate, and there is none to show.
    Locked,
    /// The node, but it refuses the credentials.
    Rejected(String),
    /// The node's certificate does not name the address.
    WrongName(String),
    /// The clocks disagree.
    WrongTime(String),
    /// Something else.
    Other(String),
}

impl Answer {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotAsked => "not asked",
            Self::Node => "node",
            Self::Closed(_) => "closed",
            Self::Silent(_) => "silent",
            Self::Maintenance => "maintenance",
            Self::Foreign(_) => "foreign",
            Self::Locked => "locked",
            Self::Rejected(_) => "rejected",
            Self::WrongName(_) => "wrong name",
            Self::WrongTime(_) => "wrong time",
            Self::Other(_) => "other",
        }
    }
}

/// A service of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// `kubelet`, `ext-tailscale` …
    pub id: String,
    /// `Running`, `Waiting` …
    pub state: String,
    /// Whether its health check passes; `None` without one.
    pub healthy: Option<bool>,
    /// Its last message.
    pub message: String,
}

impl ServiceSeen {
    fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "Running" | "Finished" | "Skipped") && self.healthy != Some(false)
    }
}

/// What Kubernetes says of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubernetesSeen {
    /// It does not know the node.
    Unregistered,
    /// The node is Ready.
    Ready,
    /// It is not, with the reason.
    NotReady(String),
    /// It could not be asked.
    Unasked(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Stable name of the rule.
    pub rule: &'static str,
    /// What is wrong.
    pub cause: String,
    /// What shows it, as the node words it.
    pub evidence: Vec<String>,
    /// What to do.
    pub remedy: String,
}

/// Applies all rules; the likeliest causes come first, and what answers at the address before all else. Nothing is found on
/// a healthy node.
pub fn diagnose(evidence: &Evidence) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = address(evidence).into_iter().collect();
    found.extend(WORDS.iter().filter_map(|rule| rule.applies(evidence)));
    found.extend(clock(evidence));
    found.extend(extensions(evidence, &found));
    routes(evidence, &mut found);
    found.extend(kubelet(evidence, &found));
    found.extend(kubernetes(evidence, &found));
    found
}

/// Lines of the kernel log that the rules look at: what `dmesg` says about the guide's troubles.
pub fn findings(dmesg: &[String]) -> Vec<String> {
    let of_interest = |line: &&String| WORDS.iter().any(|rule| rule.place == Place::Dmesg && rule.matches(line));
    let mut lines: Vec<String> = Vec::new();
    for line in dmesg.iter().rev().filter(of_interest) {
        let shown = shown(line);
        // The same complaint comes every few seconds: the newest is enough.
        let said = |line: &str| line.split_once("]: ").map_or(line.to_owned(), |(_, text)| text.to_owned());
        if !lines.iter().any(|known| said(known) == said(&shown)) {
            lines.insert(0, shown);
        }
    }
    lines
}

const TIME_SERVER: &str =
    "give the node a time server that it can reach: 169.254.169.254 in Oracle Cloud, with a route to 169.254.0.0/16";

fn clock(evidence: &Evidence) -> Option<Diagnosis> {
    let unmet = evidence.unmet.iter().find(|(name, _)| name == "time");
    let shows = match (evidence.clock_synced, unmet) {
        (_, Some((_, reason))) => reason.clone(),
        (Some(false), _) => "the clock does not follow a time server".to_owned(),
        _ => return None,
    };
    Some(Diagnosis {
        rule: "clock",
        cause: "the node's clock is not in sync".into(),
        evidence: vec![shows],
        remedy: TIME_SERVER.into(),
    })
}

fn extensions(evidence: &Evidence, before: &[Diagnosis]) -> Vec<Diagnosis> {
    let waiting = evidence.services.iter().filter(|service| service.id.starts_with("ext-") && !service.is_up());
    let explained = |id: &str| id == "ext-tailscale" && before.iter().any(|found| found.rule.starts_with("tailscale-"));
    waiting
        .filter(|service| !explained(&service.id))
        .map(|service| {
            let name = service.id.trim_start_matches("ext-");
            let (rule, cause, remedy) = if service.message.contains("extension service config") {
                (
                    "extension-config",
                    format!("the extension service {name} waits for its configuration"),
                    format!(
                        "add a document `kind: ExtensionServiceConfig` with `name: {name}` to the machine configuration"
                    ),
                )
            } else if service.message.contains("virtio-ports") {
                (
                    "extension-device",
                    format!("the extension service {name} waits for a device that Oracle Cloud does not have"),
                    format!("leave {name} out of the schematic"),
                )
            } else {
                (
                    "extension-down",
                    format!("the extension service {name} does not run"),
                    format!("look at its log: talosctl logs {}", service.id),
                )
            };
            Diagnosis { rule, cause, evidence: vec![service_line(service)], remedy }
        })
        .collect()
}

/// The route table says more where the control plane is known not to be reached.
fn routes(evidence: &Evidence, found: &mut Vec<Diagnosis>) {
    let Some(lines) = route::missing(evidence) else { return };
    if let Some(known) = found.iter_mut().find(|known| known.rule == "trustd-unreachable") {
        known.evidence.extend(lines);
        return;
    }
    // A tailnet that the node is not in has no routes for it.
    let outside = found.iter().any(|known| known.rule.starts_with("tailscale-") || known.cause.contains("tailscale"));
    if outside || evidence.answer != Answer::Node || !evidence.is_cut_off() {
        return;
    }
    let mut shows = lines;
    shows.extend(kubernetes_line(evidence));
    found.push(Diagnosis {
        rule: "no-route",
        cause: "there is no route to the control plane".into(),
        evidence: shows,
        remedy: "approve the subnet router's routes in the Tailscale admin console, and put --accept-routes into TS_EXTRA_ARGS"
            .into(),
    });
}

/// Rules of which the kubelet's trouble is only a consequence.
fn explains_kubelet(found: &Diagnosis) -> bool {
    found.rule == "no-route" || found.rule.starts_with("kubelet-") || found.rule.starts_with("trustd-")
}

fn kubelet(evidence: &Evidence, before: &[Diagnosis]) -> Option<Diagnosis> {
    let kubelet = evidence.services.iter().find(|service| service.id == "kubelet" && !service.is_up())?;
    if before.iter().any(explains_kubelet) {
        return None;
    }
    Some(Diagnosis {
        rule: "kubelet-down",
        cause: "the kubelet is not healthy".into(),
        evidence: vec![service_line(kubelet)],
        remedy: "look at its log: talosctl logs kubelet; it must reach cluster.controlPlane.endpoint on port 6443"
            .into(),
    })
}

/// What Kubernetes says counts where the node itself answers, or was not asked; else it is evidence at most.
fn kubernetes(evidence: &Evidence, before: &[Diagnosis]) -> Option<Diagnosis> {
    let told = |rule, cause: &str, shows: String, remedy: &str| {
        Some(Diagnosis { rule, cause: cause.into(), evidence: vec![shows], remedy: remedy.into() })
    };
    let asked = matches!(evidence.answer, Answer::Node | Answer::NotAsked);
    let shows = kubernetes_line(evidence).unwrap_or_default();
    match evidence.kubernetes.as_ref()? {
        KubernetesSeen::Unasked(why) => told(
            "kubernetes-unreachable",
            "the Kubernetes API could not be asked from this computer",
            shown(why),
            "check the kubeconfig, and that its server can be reached from here",
        ),
        KubernetesSeen::NotReady(reason)
            if is_cni(reason) && (asked || matches!(evidence.answer, Answer::Closed(_))) =>
        {
            told(
                "cni",
                "the network of Kubernetes (CNI) is not up on the node",
                shows,
                "wait some minutes for its images; then look at the CNI's pod on the node, and at its tolerations",
            )
        }
        _ if !asked || before.iter().any(explains_kubelet) => None,
        KubernetesSeen::NotReady(reason) if is_lost(reason) => told(
            "kubelet-lost",
            "the kubelet stopped reporting to Kubernetes",
            shows,
            "see that the node reaches cluster.controlPlane.endpoint on port 6443, and look at the kubelet's log: talosctl logs kubelet",
        ),
        KubernetesSeen::NotReady(_) => told(
            "not-ready",
            "the Kubernetes node is not Ready",
            shows,
            "look at the node's conditions: kubectl describe node",
        ),
        KubernetesSeen::Unregistered if evidence.answer == Answer::Node => told(
            "not-registered",
            "the kubelet has not registered the node in Kubernetes",
            shows,
            "look at the kubelet's log: talosctl logs kubelet",
        ),
        KubernetesSeen::Ready | KubernetesSeen::Unregistered => None,
    }
}

/// Reason and message that the kubelet gives while there is no CNI (Kubernetes pkg/kubelet, containerd and CRI-O).
fn is_cni(reason: &str) -> bool {
    ["NetworkPluginNotReady", "cni plugin not initialized", "cni config uninitialized", "network plugin is not ready"]
        .iter()
        .any(|words| reason.contains(words))
}

/// What the node controller writes for a kubelet that is not heard of; then the last known conditions mean nothing.
fn is_lost(reason: &str) -> bool {
    ["NodeStatusUnknown", "NodeStatusNeverUpdated", "Kubelet stopped posting", "Kubelet never posted"]
        .iter()
        .any(|words| reason.contains(words))
}

fn kubernetes_line(evidence: &Evidence) -> Option<String> {
    Some(match evidence.kubernetes.as_ref()? {
        KubernetesSeen::Unregistered => "Kubernetes does not know the node".to_owned(),
        KubernetesSeen::Ready => "Kubernetes: the node is Ready".to_owned(),
        KubernetesSeen::NotReady(reason) => format!("Kubernetes: {}", shown(reason)),
        KubernetesSeen::Unasked(_) => return None,
    })
}

fn address(evidence: &Evidence) -> Option<Diagnosis> {
    let (rule, cause, shows, remedy) = match &evidence.answer {
        Answer::NotAsked | Answer::Node => return None,
        Answer::Closed(why) => return Some(no_api(evidence, why)),
        Answer::Silent(why) => (
            "silent",
            "the machine does not answer: it is off, booting, or packets to it are dropped",
            why.as_str(),
            "check the instance's state and the security list, and its serial console",
        ),
        Answer::Maintenance => (
            "maintenance",
            "the machine is in maintenance mode: it has no configuration",
            "its API answers strangers",
            "apply the node's resource; if it is in the state already, change reflash",
        ),
        Answer::Foreign(issuer) => (
            "foreign",
            "a node of another cluster answers",
            issuer.as_str(),
            "check the address, and whose credentials these are",
        ),
        Answer::Locked => (
            "no-credentials",
            "a node answers, but there are no client credentials to ask it with",
            "its API wants a client certificate",
            "set client_configuration, or talosconfig or client_configuration in the provider block",
        ),
        Answer::Rejected(why) => (
            "credentials",
            "the node refuses the client certificate",
            why.as_str(),
            "issue a new one: talosctl config new",
        ),
        Answer::WrongName(names) => (
            "certificate-name",
            "the node's certificate does not name the address",
            names.as_str(),
            "add the address to machine.certSANs of the worker configuration",
        ),
        Answer::WrongTime(why) => {
            ("clock", "the clocks of the node and of this computer disagree", why.as_str(), TIME_SERVER)
        }
        Answer::Other(why) => (
            "not-talos",
            "what answers at the address is no Talos node that can be spoken to",
            why.as_str(),
            "check endpoint and talos_port",
        ),
    };
    let mut lines = vec![shown(shows)];
    lines.extend(kubernetes_line(evidence).filter(|_| rule == "silent"));
    Some(Diagnosis { rule, cause: cause.into(), evidence: lines, remedy: remedy.into() })
}

/// A worker opens its API only after trustd has signed its certificate, so that a closed port has many causes, and nothing
/// on the node can be asked for them. What Kubernetes says narrows them down.
fn no_api(evidence: &Evidence, why: &str) -> Diagnosis {
    let (cause, remedy) = match &evidence.kubernetes {
        Some(KubernetesSeen::NotReady(reason)) if is_lost(reason) => (
            "the machine has no API, and its kubelet does not report either: it is off, booting, or runs something else",
            "check the instance's state, and its serial console",
        ),
        Some(KubernetesSeen::Ready | KubernetesSeen::NotReady(_)) => (
            "the machine has no API yet though its kubelet reports: trustd of a control plane has not signed its certificate",
            "the way to the control plane is open for port 6443: open port 50001 (trustd) as well; machine.token and machine.ca must \
             be of this cluster, and the host of cluster.controlPlane.endpoint in machine.certSANs of the control planes",
        ),
        _ => (
            "the machine is up but has no API yet: a worker opens it only after trustd of a control plane signed its certificate",
            "look at the instance's serial console. Usual causes: the Tailscale auth key is expired or its tag not permitted; the \
             subnet router's routes are not approved or --accept-routes is missing; port 50001 of the control plane is closed; \
             machine.token or machine.ca are of another cluster; the clock is wrong; the instance still has cloud-init user_data",
        ),
    };
    let mut shows = vec![shown(why)];
    shows.extend(kubernetes_line(evidence));
    Diagnosis { rule: "no-api", cause: cause.into(), evidence: shows, remedy: remedy.into() }
}

fn service_line(service: &ServiceSeen) -> String {
    format!("service {} is {}: {}", service.id, service.state, shown(&service.message))
}

/// Longest line that is shown.
const SHOWN: usize = 400;

/// A line of a log as it may be shown: short, and without auth keys, which some programs print.
fn shown(line: &str) -> String {
    let words = line.trim().split(' ').map(|word| match word.find("tskey-") {
        Some(at) => format!("{}tskey-(hidden)", &word[..at]),
        None => word.to_owned(),
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
