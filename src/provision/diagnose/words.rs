//! Causes that show in the words of a log.

use crate::provision::diagnose::{Answer, Diagnosis, Evidence, shown};

/// Where a rule looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Dmesg,
    Log(&'static str),
}

/// A cause that shows in words: each group of alternatives must be in the line.
pub(super) struct Words {
    rule: &'static str,
    pub(super) place: Place,
    words: &'static [&'static [&'static str]],
    cause: &'static str,
    remedy: &'static str,
}

impl Words {
    pub(super) fn matches(&self, line: &str) -> bool {
        self.words.iter().all(|any| any.iter().any(|word| line.contains(word)))
    }

    fn of_trustd(&self) -> bool {
        self.rule.starts_with("trustd")
    }

    /// A complaint of a service that is well by now is old.
    pub(super) fn applies(&self, evidence: &Evidence) -> Option<Diagnosis> {
        let lines = match self.place {
            // A node that answers has a configuration, and had its certificate signed: what it said before is old, unless it
            // has lost the control plane since.
            Place::Dmesg if evidence.answer == Answer::Node && !(self.of_trustd() && evidence.is_cut_off()) => {
                return None;
            }
            Place::Dmesg => &evidence.dmesg,
            Place::Log(service) => {
                let up = evidence.services.iter().any(|seen| seen.id == service && seen.is_up());
                let recovered = |line: &String| line.contains("Startup complete") || line.contains("-> Running");
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

/// The words are those of tailscale 1.5x to 1.9x (the control server's answers, as tailscaled logs them after "Received
/// error:"; ipn/ipnlocal for the states), of Talos v1.12.2 (config/acquire.go, secrets/api.go, pkg/grpc/gen) and of Go's
/// net and crypto/x509.
pub(super) const WORDS: &[Words] = &[
    Words {
        rule: "tailscale-auth-key",
        place: TAILSCALE,
        words: &[&[
            "invalid key: ",
            "API key does not exist",
            "key cannot be used for node auth",
            "key has expired",
            "key expired",
        ]],
        cause: "Tailscale does not take the auth key: it is expired, used up, revoked, mistyped, or no auth key",
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
        rule: "tailscale-approval",
        place: TAILSCALE,
        words: &[&["-> NeedsMachineAuth"]],
        cause: "the tailnet wants each machine to be approved, and this one is not",
        remedy: "approve the machine in the Tailscale admin console, or use a pre-approved auth key",
    },
    Words {
        rule: "user-data",
        place: Place::Dmesg,
        words: &[&[
            "failed to load config via platform",
            "failed to validate config acquired via platform",
            "failed to runtime validate config acquired via platform",
            "error unzipping machine config",
        ]],
        cause: "Talos takes the instance's user_data for its machine configuration, cannot use it, and tries for ever",
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
        words: &[&["API server CSR", "trustd"], &["certificate has expired or is not yet valid"]],
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
        rule: "trustd-lookup",
        place: Place::Dmesg,
        words: &[&["API server CSR", "trustd"], &["no such host", "server misbehaving"]],
        cause: "the node cannot look up the name of the control plane",
        remedy: "use an address in cluster.controlPlane.endpoint, or name servers that know the name and that the node can reach",
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
