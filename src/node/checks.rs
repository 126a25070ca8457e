//! What is judged of a configuration beyond what Talos itself checks: that it can work in Oracle Cloud, with Tailscale,
//! with this image and this cluster. All rules are listed in `docs/guides/plan-checks.md`.
//!
//! The rules look at the configuration as it will be sent, whichever door it came through. What is not known yet is
//! [`Open`], and no rule speaks of it.

use crate::node::door::Place;
use crate::node::finding::Findings;
use crate::node::layout::Layout;
use crate::node::spec::{Endpoint, Image};
use crate::node::{cluster, oracle, tailscale};
use crate::talos::machine_config::MachineConfig;

/// What is not known of a configuration yet: it stands empty or with a placeholder in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// `machine.certSANs` is not complete.
    pub cert_sans: bool,
    /// Which link is meant.
    pub link: bool,
    /// The static addresses.
    pub addresses: bool,
    /// Routes and gateways.
    pub routes: bool,
    /// The resolvers.
    pub nameservers: bool,
    /// `machine.kubelet.nodeIP.validSubnets`.
    pub node_ip: bool,
    /// What the extension services are given.
    pub services: bool,
    /// The release of Kubernetes.
    pub kubernetes: bool,
    /// The URL of the Kubernetes API.
    pub cluster_endpoint: bool,
    /// Subnets of pods and services.
    pub subnets: bool,
    /// Secrets, names, and all else that no rule here looks at.
    pub other: bool,
}

impl Open {
    /// Whether anything is open, so that the configuration cannot be hashed or sent.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What the rules look at.
pub(super) struct Subject<'a> {
    /// The configuration with its patches.
    pub config: &'a MachineConfig,
    /// What of it is not known yet.
    pub open: Open,
    /// Where it came from, for messages.
    pub place: Place,
    /// Where the node answers, if that is known.
    pub endpoint: Option<&'a Endpoint>,
    /// What the node runs, if that is known.
    pub image: Option<&'a Image>,
    /// Its network.
    pub layout: Layout,
}

/// Judges a configuration by all rules.
pub(super) fn run(
    config: &MachineConfig,
    open: Open,
    place: Place,
    endpoint: Option<&Endpoint>,
    image: Option<&Image>,
    findings: &mut Findings,
) {
    let subject = Subject { config, open, place, endpoint, image, layout: Layout::of(config) };
    oracle::check(&subject, findings);
    tailscale::check(&subject, findings);
    cluster::check(&subject, findings);
}

#[cfg(test)]
mod tests;
