//! The guide's troubleshooting as rules: what was found on a node and around it in, causes with evidence and remedy out.
//! Pure, so that every rule is a table row in a test.

use std::collections::BTreeMap;

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
    /// Whether the clock follows a time server.
    pub clock_synced: Option<bool>,
    /// What Kubernetes says of the node.
    pub kubernetes: Option<KubernetesSeen>,
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

/// Applies all rules; the likeliest causes come first. Nothing is found on a healthy node.
pub fn diagnose(evidence: &Evidence) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = WORDS.iter().filter_map(|rule| rule.applies(evidence)).collect();
    found.extend(clock(evidence));
    found.extend(extensions(evidence, &found));
    found.extend(kubelet(evidence, &found));
    found.extend(kubernetes(evidence));
    found.extend(address(evidence));
    if matches!(evidence.answer, Answer::Closed(_) | Answer::Silent(_)) && found.is_empty() {
        found.push(no_api(evidence));
    }
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

/// Where a rule looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Dmesg,
    Log(&'static str),
}

/// A cause that shows in words: each group of alternatives must be in the line.
struct Words {
    rule: &'static str,
    place: Place,
    words: &'static [&'static [&'static str]],
    cause: &'static str,
    remedy: &'static str,
}

impl Words {
    fn matches(&self, line: &str) -> bool {
        self.words.iter().all(|any| any.iter().any(|word| line.contains(word)))
    }

    /// A complaint of a service that is well by now is old.
    fn applies(&self, evidence: &Evidence) -> Option<Diagnosis> {
        let lines = match self.place {
            Place::Dmesg if evidence.answer == Answer::Node && self.rule.starts_with("trustd") => return None,
            Place::Dmesg => &evidence.dmesg,
            Place::Log(service) => {
                let up = evidence.services.iter().any(|seen| seen.id == service && seen.is_up());
                let recovered = |line: &String| line.contains("Startup complete") || line.contains("Running state");
                let lines = evidence.logs.get(service)?;
                if up && lines.iter().rposition(recovered) > lines.iter().rposition(|line| self.matches(line)) {
                    return None;
                }
                lines
            }
        };
        let line = lines.iter().rev().find(|line| self.matches(line))?;
        Some(Diagnosis {
            rule: self.rule,
            cause: self.cause.to_owned(),
            evidence: vec![match self.place {
                Place::Dmesg => format!("dmesg: {}", shown(line)),
                Place::Log(service) => format!("log of {service}: {}", shown(line)),
            }],
            remedy: self.remedy.to_owned(),
        })
    }
}

const TAILSCALE: Place = Place::Log("ext-tailscale");

/// The words are those of tailscale 1.9x (ipn/ipnlocal, control/controlclient), of Talos v1.12.2 pkg/grpc/gen and of Go's
/// crypto/x509.
const WORDS: &[Words] = &[
    Words {
        rule: "tailscale-auth-key",
        place: TAILSCALE,
        words: &[&["invalid key", "API key does not exist", "key has expired", "key expired", "API key kSIM"]],
        cause: "Tailscale does not take the auth key: it is expired, used up, revoked or mistyped",
        remedy: "make a new reusable key in the Tailscale admin console, put it into TS_AUTHKEY of the ExtensionServiceConfig and \
                 apply; a node with no API of its own must be reset or flashed anew to get it",
    },
    Words {
        rule: "tailscale-tag",
        place: TAILSCALE,
        words: &[&["requested tags"], &["not permitted", "invalid"]],
        cause: "Tailscale does not permit the tags that the node asks for",
        remedy: "make the key's owner a tagOwner of the tags in the tailnet policy, or drop --advertise-tags from TS_EXTRA_ARGS",
    },
    Words {
        rule: "user-data",
        place: Place::Dmesg,
        words: &[&["failed to load config via platform oracle", "failed to load config via platform"]],
        cause: "Talos takes the instance's user_data for its machine configuration, cannot read it, and waits for ever",
        remedy: "create the instance anew without cloud-init user_data",
    },
    Words {
        rule: "trustd-unknown-authority",
        place: Place::Dmesg,
        words: &[&["API server CSR", "trustd"], &["certificate signed by unknown authority"]],
        cause: "the control plane's certificate is not of the authority in machine.ca of the configuration",
        remedy: "use machine.ca of the cluster that cluster.controlPlane.endpoint leads to",
    },
    Words {
        rule: "trustd-name",
        place: Place::Dmesg,
        words: &[&["API server CSR", "trustd"], &["certificate is valid for", "doesn't contain any IP SANs"]],
        cause: "the control plane's certificate does not name the address that the worker dials",
        remedy: "add the host of cluster.controlPlane.endpoint to machine.certSANs of the control planes",
    },
    Words {
        rule: "trustd-token",
        place: Place::Dmesg,
        words: &[&["API server CSR", "trustd"], &["Unauthenticated"]],
        cause: "trustd refuses machine.token",
        remedy: "use machine.token of the cluster that the node joins",
    },
    Words {
        rule: "trustd-clock",
        place: Place::Dmesg,
        words: &[&["certificate has expired or is not yet valid"]],
        cause: "the clocks of the node and of the control plane disagree",
        remedy: "give the node a time server that it can reach: 169.254.169.254 in Oracle Cloud, with a route to 169.254.0.0/16",
    },
    Words {
        rule: "trustd-refused",
        place: Place::Dmesg,
        words: &[&["API server CSR", "trustd"], &["connection refused"]],
        cause: "the control plane answers, but nothing listens on port 50001 (trustd)",
        remedy: "let the load balancer in front of the control planes forward port 50001 as well as 6443",
    },
    Words {
        rule: "trustd-unreachable",
        place: Place::Dmesg,
        words: &[
            &["API server CSR", "trustd", "50001"],
            &["i/o timeout", "no route to host", "network is unreachable", "deadline exceeded"],
        ],
        cause: "there is no route to the control plane: packets to trustd (port 50001) get no answer",
        remedy: "approve the subnet router's routes in the Tailscale admin console, put --accept-routes into TS_EXTRA_ARGS, and let \
                 port 50001 through",
    },
    Words {
        rule: "kubelet-token",
        place: Place::Log("kubelet"),
        words: &[&["Unauthorized"], &["bootstrap", "certificate signing request"]],
        cause: "Kubernetes refuses the bootstrap token of the kubelet",
        remedy: "use cluster.token of the cluster that the node joins",
    },
    Words {
        rule: "kubelet-unknown-authority",
        place: Place::Log("kubelet"),
        words: &[&["certificate signed by unknown authority"]],
        cause: "the Kubernetes API's certificate is not of the authority in cluster.ca of the configuration",
        remedy: "use cluster.ca of the cluster that the node joins",
    },
];

fn clock(evidence: &Evidence) -> Option<Diagnosis> {
    let unmet = evidence.unmet.iter().find(|(name, _)| name == "time");
    let shows = match (&evidence.answer, evidence.clock_synced, unmet) {
        (Answer::WrongTime(why), _, _) => why.clone(),
        (_, _, Some((_, reason))) => reason.clone(),
        (_, Some(false), _) => "the clock does not follow a time server".to_owned(),
        _ => return None,
    };
    Some(Diagnosis {
        rule: "clock",
        cause: "the node's clock is not in sync".into(),
        evidence: vec![shows],
        remedy: "give the node a time server that it can reach: 169.254.169.254 in Oracle Cloud, with a route to 169.254.0.0/16".into(),
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

fn kubelet(evidence: &Evidence, before: &[Diagnosis]) -> Option<Diagnosis> {
    let kubelet = evidence.services.iter().find(|service| service.id == "kubelet" && !service.is_up())?;
    if before.iter().any(|found| found.rule.starts_with("kubelet-") || found.rule.starts_with("trustd-")) {
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

fn kubernetes(evidence: &Evidence) -> Option<Diagnosis> {
    match evidence.kubernetes.as_ref()? {
        KubernetesSeen::NotReady(reason)
            if reason.to_lowercase().contains("cni") || reason.contains("network plugin") =>
        {
            Some(Diagnosis {
                rule: "cni",
                cause: "the network of Kubernetes (CNI) is not up on the node".into(),
                evidence: vec![format!("Kubernetes: {}", shown(reason))],
                remedy:
                    "wait some minutes for its images; then look at the CNI's pod on the node, and at its tolerations"
                        .into(),
            })
        }
        KubernetesSeen::NotReady(reason) => Some(Diagnosis {
            rule: "not-ready",
            cause: "the Kubernetes node is not Ready".into(),
            evidence: vec![format!("Kubernetes: {}", shown(reason))],
            remedy: "look at the node's conditions: kubectl describe node".into(),
        }),
        KubernetesSeen::Unregistered if evidence.answer == Answer::Node => Some(Diagnosis {
            rule: "not-registered",
            cause: "the kubelet has not registered the node in Kubernetes".into(),
            evidence: vec!["Kubernetes does not know the node".into()],
            remedy: "look at the kubelet's log: talosctl logs kubelet".into(),
        }),
        KubernetesSeen::Unasked(why) => Some(Diagnosis {
            rule: "kubernetes-unreachable",
            cause: "the Kubernetes API could not be asked from this computer".into(),
            evidence: vec![shown(why)],
            remedy: "check the kubeconfig, and that its server can be reached from here".into(),
        }),
        KubernetesSeen::Ready | KubernetesSeen::Unregistered => None,
    }
}

fn address(evidence: &Evidence) -> Option<Diagnosis> {
    let (rule, cause, shows, remedy) = match &evidence.answer {
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
        _ => return None,
    };
    Some(Diagnosis { rule, cause: cause.into(), evidence: vec![shown(shows)], remedy: remedy.into() })
}

/// A worker opens its API only after trustd has signed its certificate, so that a closed port has many causes, and nothing
/// on the node can be asked for them.
fn no_api(evidence: &Evidence) -> Diagnosis {
    let (Answer::Closed(why) | Answer::Silent(why)) = &evidence.answer else {
        return Diagnosis { rule: "no-api", cause: String::new(), evidence: Vec::new(), remedy: String::new() };
    };
    let mut shows = vec![shown(why)];
    if let Some(KubernetesSeen::Unregistered) = evidence.kubernetes {
        shows.push("Kubernetes does not know the node".into());
    }
    if matches!(evidence.answer, Answer::Silent(_)) {
        return Diagnosis {
            rule: "silent",
            cause: "the machine does not answer: it is off, booting, or packets to it are dropped".into(),
            evidence: shows,
            remedy: "check the instance's state and the security list, and its serial console".into(),
        };
    }
    Diagnosis {
        rule: "no-api",
        cause: "the machine is up but has no API yet: a worker opens it only after trustd of a control plane signed its certificate".into(),
        evidence: shows,
        remedy: "look at the instance's serial console. Usual causes: the Tailscale auth key is expired or its tag not permitted; the \
                 subnet router's routes are not approved or --accept-routes is missing; port 50001 of the control plane is closed; \
                 machine.token or machine.ca are of another cluster; the clock is wrong"
            .into(),
    }
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
