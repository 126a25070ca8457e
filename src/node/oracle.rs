//! What Oracle Cloud demands of a configuration: its addresses, its metadata service, its virtual machines.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::node::checks::Subject;
use crate::node::finding::Findings;
use crate::node::layout::subnet;
use crate::talos::image::{Architecture, InstallerReference};
use crate::talos::schematic::Schematic;

/// Metadata service and resolver of every Oracle Cloud instance, on a link-local address.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    hardware_addresses(subject, findings);
    addresses(subject, findings);
    gateways(subject, findings);
    metadata_route(subject, findings);
    names_of_the_address(subject, findings);
    node_ip(subject, findings);
    image(subject, findings);
    installer(subject, findings);
}

/// Talos compares the pattern with the address as Go writes it: six groups in lower case (Talos v1.12.2
/// pkg/machinery/cel/celenv, go-glob). Oracle's console shows upper case.
fn hardware_addresses(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.link {
        return;
    }
    for pattern in &subject.layout.hardware {
        let attribute = subject.place.at("machine.network.mac_address");
        if !is_hardware_pattern(pattern) {
            findings.error(
                "mac-syntax",
                attribute,
                format!("{pattern:?} selects a link, but no hardware address can look like that"),
                "write six groups of two lower-case hex digits with colons, such as 02:00:17:27:16:32",
            );
        } else if !pattern.contains('*') && !ORACLE_PREFIXES.iter().any(|prefix| pattern.starts_with(prefix)) {
            findings.warning(
                "mac-not-oracle",
                attribute,
                format!(
                    "{pattern} is not the hardware address of a network card in Oracle Cloud: those begin with {}",
                    ORACLE_PREFIXES.join(" or ")
                ),
                "copy the MAC address of the instance's VNIC",
            );
        }
    }
}

fn is_hardware_pattern(pattern: &str) -> bool {
    if pattern.contains('*') {
        return pattern.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b':' || b == b'*');
    }
    let groups: Vec<&str> = pattern.split(':').collect();
    let group =
        |group: &&str| group.len() == 2 && group.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    groups.len() == 6 && groups.iter().all(group)
}

fn addresses(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.addresses {
        return;
    }
    for net in &subject.layout.addresses {
        let IpNet::V4(v4) = net else { continue };
        // A network of 31 or 32 bits has neither address.
        if v4.prefix_len() < 31 && (v4.addr() == v4.network() || v4.addr() == v4.broadcast()) {
            findings.error(
                "address-not-a-host",
                subject.place.at("machine.network.address"),
                format!("{net} is the first or last address of its subnet, which belongs to no machine"),
                "write the private IP of the instance's VNIC with the subnet's prefix length",
            );
        }
    }
}

fn gateways(subject: &Subject<'_>, findings: &mut Findings) {
    let layout = &subject.layout;
    if subject.open.routes || subject.open.addresses || layout.addresses.is_empty() {
        return;
    }
    for gateway in layout.routes.iter().filter_map(|route| route.gateway) {
        if layout.addresses.iter().any(|net| net.addr() == gateway) {
            findings.error(
                "gateway-is-the-node",
                subject.place.at("machine.network.gateway"),
                format!("the gateway {gateway} is the node's own address"),
                "use the first address of the subnet, where Oracle's router answers",
            );
        } else if !layout.on_link(&gateway) && !is_link_local_v6(&gateway) && !layout.dhcp {
            let nets: Vec<String> = layout.addresses.iter().map(ToString::to_string).collect();
            findings.error(
                "gateway-not-in-subnet",
                subject.place.at("machine.network.gateway"),
                format!("the gateway {gateway} is on no subnet of the node ({})", nets.join(", ")),
                "use the first address of the node's subnet, and write the address with the subnet's prefix length",
            );
        }
    }
    // A default route serves the addresses of its own family; with both, the cluster is reached over IPv4.
    let v4 = layout.addresses.iter().any(|net| matches!(net, IpNet::V4(_)));
    let serves = |gateway: Option<IpAddr>| gateway.is_none_or(|gateway| gateway.is_ipv4() == v4);
    if !layout.dhcp && !layout.routes.iter().any(|route| route.is_default() && serves(route.gateway)) {
        findings.error(
            "default-route-missing",
            subject.place.at("machine.network.gateway"),
            "the node has static addresses, but no default route: it would not reach the internet or the cluster",
            "add the route 0.0.0.0/0 through the subnet's gateway, or use DHCP",
        );
    }
}

fn is_link_local_v6(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The resolver answers on the link only: a packet through the gateway is lost. DHCP gives the route.
fn metadata_route(subject: &Subject<'_>, findings: &mut Findings) {
    let layout = &subject.layout;
    if subject.open.nameservers || subject.open.routes || layout.dhcp || !layout.nameservers.contains(&METADATA) {
        return;
    }
    if !layout.on_link(&METADATA) {
        findings.error(
            "metadata-route-missing",
            subject.place.at("machine.network.routes"),
            format!("the resolver is {METADATA}, but the node has no route to it on its link"),
            "add a route to 169.254.0.0/16 without a gateway, or use DHCP",
        );
    }
}

fn names_of_the_address(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.cert_sans || subject.open.addresses {
        return;
    }
    let sans = subject.config.cert_sans();
    for net in &subject.layout.addresses {
        if !sans.iter().any(|san| san.parse() == Ok(net.addr())) {
            findings.warning(
                "address-not-in-cert-sans",
                subject.place.at("machine.cert_sans"),
                format!("machine.certSANs does not list the node's own address {}", net.addr()),
                format!(
                    "add {} to machine.certSANs, so that the node's certificate names it from its first minute",
                    net.addr()
                ),
            );
        }
    }
}

fn node_ip(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.open.node_ip {
        return;
    }
    let subnets = NodeIp::of(subject);
    let attribute = || subject.place.at("machine.node_ip_subnets");
    let own = &subject.layout.addresses;
    if subnets.only.is_empty() {
        let beside = subject.config.extension_services().iter().any(|service| service.name == "tailscale");
        if beside && !subnets.excludes_tailscale() {
            findings.warning(
                "node-ip-open",
                attribute(),
                "nothing says which of the node's addresses the kubelet uses: it may take Tailscale's",
                "set machine.kubelet.nodeIP.validSubnets to the node's subnet in Oracle Cloud",
            );
        }
        return;
    }
    if !subject.open.addresses && !own.is_empty() && !own.iter().any(|net| subnets.allows(&net.addr())) {
        findings.error(
            "node-ip-not-in-subnets",
            attribute(),
            format!("machine.kubelet.nodeIP.validSubnets ({}) holds none of the node's addresses: the kubelet would not start", subnets.written),
            "set it to the node's subnet in Oracle Cloud",
        );
    }
    let tailnet = tailnet();
    let overlap = subnets.only.iter().any(|net| net.contains(&tailnet) || tailnet.contains(net));
    if overlap && !subnets.excludes_tailscale() && !own.iter().any(|net| tailnet.contains(net)) {
        findings.error(
            "node-ip-tailscale",
            attribute(),
            format!("machine.kubelet.nodeIP.validSubnets ({}) allows {tailnet}, Tailscale's addresses: the kubelet may announce one that other nodes do not reach", subnets.written),
            "set it to the node's subnet in Oracle Cloud",
        );
    }
}

/// `machine.kubelet.nodeIP.validSubnets`: entries that begin with `!` exclude.
struct NodeIp {
    only: Vec<IpNet>,
    not: Vec<IpNet>,
    written: String,
}

impl NodeIp {
    fn of(subject: &Subject<'_>) -> Self {
        let written = subject.config.node_ip_subnets();
        Self {
            only: written.iter().filter(|text| !text.starts_with('!')).filter_map(|text| subnet(text)).collect(),
            not: written.iter().filter_map(|text| text.strip_prefix('!')).filter_map(subnet).collect(),
            written: written.join(", "),
        }
    }

    fn allows(&self, address: &IpAddr) -> bool {
        self.only.iter().any(|net| net.contains(address)) && !self.not.iter().any(|net| net.contains(address))
    }

    fn excludes_tailscale(&self) -> bool {
        self.not.iter().any(|net| net.contains(&tailnet()))
    }
}

/// The range that Tailscale takes its addresses from.
fn tailnet() -> IpNet {
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10)
}

fn image(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(image) = subject.image else { return };
    if image.architecture() == Architecture::Amd64 {
        findings.warning(
            "architecture-not-arm64",
            "image.url",
            "the disk image is for amd64, which the Ampere shapes (A1, A2) do not boot",
            "set architecture = \"arm64\" in talosoci_image, unless the instance has an Intel or AMD shape",
        );
    }
    let signed = image.url.as_ref().is_some_and(|url| url.path().contains("-secureboot"));
    if signed || image.installer.secure_boot {
        findings.error(
            "secure-boot",
            "image",
            "the image is of the flavour with secure boot, whose keys an instance in Oracle Cloud cannot enrol",
            "set secure_boot = false in talosoci_image",
        );
    }
    let schematic = image.schematic_yaml.as_deref().and_then(|yaml| Schematic::parse(yaml).ok());
    if schematic.is_some_and(|schematic| schematic.extensions().iter().any(|name| name.ends_with("/qemu-guest-agent")))
    {
        findings.error(
            "qemu-guest-agent",
            "image",
            "the schematic has siderolabs/qemu-guest-agent, whose service waits for a device that Oracle Cloud does not have",
            "take siderolabs/qemu-guest-agent out of the extensions",
        );
    }
}

/// `machine.install.image` is what later installs and other tools take for the node's system.
fn installer(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(written) = subject.config.install_image() else { return };
    let attribute = subject.place.at("machine");
    let Some(image) = subject.image else { return };
    match written.parse::<InstallerReference>() {
        Ok(reference) if reference.platform != "oracle" => findings.warning(
            "install-image-platform",
            attribute,
            format!("machine.install.image is {written}: an upgrade with it turns the node away from Oracle Cloud"),
            format!("set machine.install.image to {}", image.installer),
        ),
        Ok(reference) if reference.schematic != image.schematic || reference.version != image.talos_version => findings.warning(
            "install-image-mismatch",
            attribute,
            format!("machine.install.image is {written}, but the node runs schematic {} at {}", image.schematic, image.talos_version),
            format!("set machine.install.image to {}", image.installer),
        ),
        Ok(_) => {}
        Err(_) => findings.warning(
            "install-image-platform",
            attribute,
            format!("machine.install.image is {written}, which is no oracle-installer of the Image Factory: an upgrade with it would lose the extensions"),
            format!("set machine.install.image to {}", image.installer),
        ),
    }
}

/// Of the virtual network cards that Oracle Cloud makes.
const ORACLE_PREFIXES: [&str; 2] = ["02:00:17", "00:00:17"];
