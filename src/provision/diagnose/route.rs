//! Whether packets to the control plane can find their way, by the kernel's routes.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::provision::diagnose::Evidence;

/// A route of the node, without those that lead to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads; `None` for a default route.
    pub to: Option<IpNet>,
    /// Next hop.
    pub via: Option<IpAddr>,
    /// Link, such as `eth0` or `tailscale0`.
    pub link: String,
}

impl Route {
    /// A default route has no destination; the next hop tells the family.
    fn is_default_for(&self, address: IpAddr) -> bool {
        self.to.is_none_or(|to| to.prefix_len() == 0)
            && self.via.is_none_or(|via| via.is_ipv4() == address.is_ipv4())
            && self.to.is_none_or(|to| to.addr().is_ipv4() == address.is_ipv4())
    }

    fn leads_to(&self, address: IpAddr) -> bool {
        self.to.is_some_and(|to| to.prefix_len() > 0 && to.contains(&address))
    }
}

/// What the route table has to say about a control plane that cannot be reached: lines of evidence. Nothing when there is a
/// route of its own, or when the address is public, so that the default route is the right one.
pub(super) fn missing(evidence: &Evidence) -> Option<Vec<String>> {
    let address = evidence.control_plane.filter(|address| is_private(*address))?;
    let routes = &evidence.routes;
    if routes.is_empty() || routes.iter().any(|route| route.leads_to(address)) {
        return None;
    }
    let covers = match routes.iter().find(|route| route.is_default_for(address)) {
        Some(Route { via: Some(via), link, .. }) => {
            format!("route table: only the default route, via {via} on {link}, covers the control plane {address}")
        }
        Some(Route { link, .. }) => {
            format!("route table: only the default route, on {link}, covers the control plane {address}")
        }
        None => format!("route table: no route covers the control plane {address}"),
    };
    let tailscale: Vec<String> = routes
        .iter()
        .filter(|route| route.link.starts_with("tailscale"))
        .filter_map(|route| Some(route.to?.to_string()))
        .take(SHOWN)
        .collect();
    let over = if tailscale.is_empty() {
        "route table: there is no route over tailscale0".to_owned()
    } else {
        format!("route table: tailscale0 leads to {} only", tailscale.join(", "))
    };
    Some(vec![covers, over])
}

/// A tailnet has a route for each peer.
const SHOWN: usize = 8;

/// Addresses that no router of the internet knows.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}
