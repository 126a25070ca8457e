//! What the cluster and the image demand of a configuration.

use std::net::IpAddr;

use url::Url;

use crate::node::checks::Subject;
use crate::node::finding::Findings;
use crate::node::layout::subnet;
use crate::talos::image::split_reference;
use crate::talos::version::TalosVersion;

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    endpoint(subject, findings);
    subnets(subject, findings);
    kubernetes(subject, findings);
}

fn endpoint(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.cluster_endpoint {
        return;
    }
    // An absent or broken one is found by Talos' own rules.
    let Some(written) = subject.config.cluster_endpoint() else { return };
    let Ok(url) = Url::parse(&written) else { return };
    let attribute = || subject.place.at("cluster.endpoint");
    if url.scheme() != "https" {
        findings.error(
            "cluster-endpoint-scheme",
            attribute(),
            format!("the cluster endpoint {written} is not https, and the Kubernetes API speaks nothing else"),
            "write it as https://ADDRESS:6443",
        );
    }
    if !has_port(&written) {
        findings.warning(
            "cluster-endpoint-port",
            attribute(),
            format!("the cluster endpoint {written} names no port: the kubelet would use 443"),
            "write the port, which is 6443 unless a load balancer moves it",
        );
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let own = subject.endpoint.is_some_and(|endpoint| endpoint.host.eq_ignore_ascii_case(host));
    let address: Option<IpAddr> = host.parse().ok();
    let local = address.is_some_and(|address| {
        address.is_loopback() || subject.layout.addresses.iter().any(|net| net.addr() == address)
    });
    if own || local {
        findings.error(
            "cluster-endpoint-is-the-node",
            attribute(),
            format!("the cluster endpoint {written} is the node itself, and a worker serves no Kubernetes API"),
            "write the address of the control plane or of the load balancer before it",
        );
    }
}

/// The url crate drops a port that is the scheme's own, so the text is asked.
fn has_port(url: &str) -> bool {
    let authority =
        url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    after_host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn subnets(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.subnets || subject.open.addresses {
        return;
    }
    for (nets, what, attribute) in [
        (subject.config.pod_subnets(), "pods", "cluster.pod_subnets"),
        (subject.config.service_subnets(), "services", "cluster.service_subnets"),
    ] {
        for net in nets.iter().filter_map(|net| subnet(net)) {
            if let Some(own) = subject.layout.addresses.iter().find(|own| net.contains(&own.addr())) {
                findings.error(
                    "subnets-overlap",
                    subject.place.at(attribute),
                    format!("the node's address {own} lies in {net}, which the cluster uses for {what}"),
                    "move the node to a subnet outside of it; the cluster's subnets cannot be changed later",
                );
            }
        }
    }
}

fn kubernetes(subject: &Subject<'_>, findings: &mut Findings) {
    let (Some(image), false) = (subject.image, subject.open.kubernetes) else { return };
    let Some(kubelet) = subject.config.kubelet_image() else { return };
    // A digest or a name of one's own says nothing.
    let (_, Some(tag), _) = split_reference(&kubelet) else { return };
    let Ok(version) = tag.parse::<TalosVersion>() else { return };
    let (low, high) = image.talos_version.kubernetes_range();
    let minor = (version.major, version.minor);
    if minor < low || minor > high {
        findings.error(
            "kubernetes-version",
            subject.place.at("cluster.kubernetes_version"),
            format!(
                "Kubernetes {tag} does not run on Talos {}: it takes v{}.{} to v{}.{}",
                image.talos_version, low.0, low.1, high.0, high.1
            ),
            "choose a release of Talos that takes the cluster's release of Kubernetes",
        );
    }
}
