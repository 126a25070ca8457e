//! Where the cluster is, and its subnets.

use super::super::super::yaml::Node;
use super::super::notation::{Subnet, endpoint};
use super::{Read, Report};

/// `cluster.go`.
pub(super) fn cluster(root: &Node, report: &mut Report) {
    if root.text("clusterName").is_empty() {
        report.error("clusterName", "clusterName must be specified");
    }
    match root.text("endpoint") {
        "" => report.error("endpoint", "endpoint must be specified"),
        text => {
            if let Err(message) = endpoint(text) {
                report.error("endpoint", format!("cluster endpoint is invalid: {message}"));
            }
        }
    }
}

/// `network.go`; the defaults and limits are those of Talos v1.14 `pkg/machinery/constants/constants.go`.
pub(super) fn network(root: &Node, report: &mut Report) {
    let mask = |field: &str, default: i128, limit: i128, report: &mut Report| match root.int(field) {
        0 => Some(default),
        size if (1..=limit).contains(&size) => Some(size),
        _ => {
            report.error(field, format!("{field} must be between 1 and {limit}"));
            None
        }
    };
    let narrow = mask("nodeCIDRMaskSizeIPv4", 24, 32, report);
    let wide = mask("nodeCIDRMaskSizeIPv6", 64, 128, report);
    let pods = |subnet: &Subnet| match if subnet.is_v6() { wide } else { narrow } {
        Some(mask) => pod_subnet(subnet, mask),
        None => Ok(()),
    };
    for (field, check) in
        [("podSubnets", &pods as &dyn Fn(&Subnet) -> Result<(), String>), ("serviceSubnets", &services)]
    {
        if let Err(message) = subnets(root.items(field), check) {
            report.error(field, message);
        }
    }
    if root.items("podSubnets").len() != root.items("serviceSubnets").len() {
        report.error("serviceSubnets", "there must be as many service subnets as pod subnets");
    }
}

/// At most this many bits may lie between the subnet of all pods and that of one node.
const NODES_BITS: i128 = 16;
/// Bits of hosts that a subnet has at least.
const HOSTS_MIN: u32 = 4;
/// Bits of hosts that a subnet of services has at most.
const SERVICES_BITS: u32 = 20;

fn pod_subnet(subnet: &Subnet, mask: i128) -> Result<(), String> {
    let bits = i128::from(subnet.bits());
    if bits > mask {
        return Err(format!("invalid subnet: {subnet} is smaller than the subnet of a node, /{mask}"));
    }
    if mask - bits > NODES_BITS {
        return Err(format!(
            "invalid subnet: {subnet} is too large for nodes of /{mask}: at most {NODES_BITS} bits may lie between"
        ));
    }
    Ok(())
}

fn services(subnet: &Subnet) -> Result<(), String> {
    if subnet.host_bits() > SERVICES_BITS {
        return Err(format!("invalid subnet: {subnet} is too large: it may have {SERVICES_BITS} bits of hosts"));
    }
    Ok(())
}

fn subnets(items: &[Node], check: &dyn Fn(&Subnet) -> Result<(), String>) -> Result<(), String> {
    match items.len() {
        0 => return Err("at least one subnet must be specified".into()),
        1 | 2 => {}
        _ => return Err("at most two subnets can be specified".into()),
    }
    let mut families = Vec::new();
    for item in items {
        let text = item.text("");
        let subnet = Subnet::parse(text).ok_or_else(|| format!("invalid subnet: {text:?}"))?;
        if !subnet.is_masked() {
            return Err(format!("invalid subnet: {subnet} has bits of a host"));
        }
        if subnet.host_bits() < HOSTS_MIN {
            return Err(format!("invalid subnet: {subnet} is too small"));
        }
        check(&subnet)?;
        if families.contains(&subnet.is_v6()) {
            return Err("two subnets must be one of IPv4 and one of IPv6".into());
        }
        families.push(subnet.is_v6());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::expect;

    #[test]
    fn the_cluster_and_its_subnets_are_judged_as_talos_does() {
        let cluster = "{apiVersion: v1alpha1, kind: KubeClusterConfig";
        let network = |pods: &str, services: &str| {
            format!(
                "{{apiVersion: v1alpha1, kind: KubeNetworkConfig, dnsDomain: a, podSubnets: [{pods}], serviceSubnets: [{services}]}}"
            )
        };
        let sized = |field: &str, size: &str| {
            let (text, _) = network("10.244.0.0/16, 'fd00::/56'", "10.96.0.0/12, 'fd01::/108'")
                .rsplit_once('}')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("a brace");
            format!("{text}, {field}: {size}}}")
        };
        expect(&[
            (&format!("{cluster}, clusterName: a, endpoint: 'https://a:6443'}}"), ""),
            (&format!("{cluster}, endpoint: 'https://a:6443'}}"), "clusterName: clusterName must be specified"),
            (&format!("{cluster}, clusterName: a}}"), "endpoint: endpoint must be specified"),
            (&format!("{cluster}, clusterName: a, endpoint: 'https://a:0'}}"), "endpoint: cluster endpoint is invalid"),
            (&network("10.244.0.0/16", "10.96.0.0/12"), ""),
            (&network("10.244.0.0/16, 'fd00::/56'", "10.96.0.0/12, 'fd01::/108'"), ""),
            (&sized("nodeCIDRMaskSizeIPv4", "20"), ""),
            (
                &sized("nodeCIDRMaskSizeIPv4", "33"),
                "nodeCIDRMaskSizeIPv4: nodeCIDRMaskSizeIPv4 must be between 1 and 32",
            ),
            (
                &sized("nodeCIDRMaskSizeIPv6", "-1"),
                "nodeCIDRMaskSizeIPv6: nodeCIDRMaskSizeIPv6 must be between 1 and 128",
            ),
            (&network("10.0.0.0/25", "10.96.0.0/12"), "podSubnets: invalid subnet: 10.0.0.0/25 is smaller"),
            (&network("10.0.0.0/7", "10.96.0.0/12"), "podSubnets: invalid subnet: 10.0.0.0/7 is too large"),
            (&network("10.244.0.0/16", "10.0.0.0/11"), "serviceSubnets: invalid subnet: 10.0.0.0/11 is too large"),
            (&network("10.244.0.0/16", "10.96.0.0/29"), "serviceSubnets: invalid subnet: 10.96.0.0/29 is too small"),
            (&network("10.244.0.0/16", "10.96.0.1/12"), "serviceSubnets: invalid subnet: 10.96.0.1/12 has bits"),
            (&network("10.244.0.0/16, 10.245.0.0/16", "10.96.0.0/12, 'fd01::/108'"), "podSubnets: two subnets must be"),
            (&network("10.244.0.0/16", "10.96.0.0/12, 'fd01::/108'"), "serviceSubnets: there must be as many"),
        ]);
        let three = network("10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16", "10.96.0.0/12, 10.97.0.0/16, 10.98.0.0/16");
        let problems = super::super::super::tests::judge(&three);
        assert!(problems.len() == 2 && problems.iter().all(|p| p.ends_with("at most two subnets can be specified")));
        let problems = super::super::super::tests::judge(&network("", ""));
        assert!(problems.len() == 2 && problems.iter().all(|p| p.ends_with("at least one subnet must be specified")));
    }
}
