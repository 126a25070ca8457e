//! What was learned from a node that answers to the credentials of its cluster.

use crate::client::kubernetes::CORDON_MARK;
use crate::client::talos::{Node, TalosError};

/// Facts that the state keeps. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Talos version that runs, such as `v1.12.2`.
    pub talos_version: String,
    /// Schematic that is active, if the image came from a Factory.
    pub schematic_id: Option<String>,
    /// The schematic itself, as the Factory wrote it into the image.
    pub schematic_yaml: Option<String>,
    /// Extensions that are active, by name and version, without the schematic's own entry.
    pub extensions: Vec<(String, String)>,
    /// Platform, such as `oracle`.
    pub platform: Option<String>,
    /// UUID of the machine, from its firmware.
    pub machine_uuid: Option<String>,
    /// Host name, with its domain if it has one.
    pub hostname: String,
    /// Name of the Kubernetes node.
    pub node_name: String,
    /// Addresses, without prefix length.
    pub addresses: Vec<String>,
    /// OCID of the instance, as the metadata service told it.
    pub instance_id: Option<String>,
    /// Processor, such as `arm64`.
    pub architecture: String,
    /// The Kubernetes node is cordoned, and carries our mark: a run is at work, or was cut off. As the node itself sees it.
    pub cordoned_by_us: bool,
}

impl Facts {
    /// Asks the node.
    pub async fn gather(node: &Node) -> Result<Self, TalosError> {
        // One connection, all questions at once: a refresh of many nodes is made of round trips.
        let (version, extensions, machine_uuid, hostname, nodename, addresses, cloud, cordoned) = tokio::try_join!(
            node.version(),
            node.extensions(),
            node.system_uuid(),
            node.hostname(),
            node.nodename(),
            node.addresses(),
            node.platform_metadata(),
            cordoned_by_us(node),
        )?;
        let (hostname, short) = hostname.map(|status| (status.fqdn(), status.hostname)).unwrap_or_default();
        Ok(Self {
            talos_version: version.tag,
            architecture: version.arch,
            platform: version.platform.map(|platform| platform.name),
            schematic_id: extensions.schematic().map(str::to_owned),
            schematic_yaml: extensions.named(SCHEMATIC).map(|marker| marker.extra_info.clone()),
            extensions: extensions
                .real()
                .map(|extension| (extension.name.clone(), extension.version.clone()))
                .collect(),
            machine_uuid,
            hostname,
            // A node whose configuration is not there yet has no name in Kubernetes.
            node_name: nodename.map(|nodename| nodename.nodename).filter(|name| !name.is_empty()).unwrap_or(short),
            addresses: addresses.addresses.iter().map(|net| net.addr().to_string()).collect(),
            instance_id: cloud.map(|cloud| cloud.instance_id).filter(|id| !id.is_empty()),
            cordoned_by_us: cordoned,
        })
    }
}

/// Talos watches its own Kubernetes node, so that no Kubernetes credentials are needed for this. Where it cannot be read,
/// nothing is said.
async fn cordoned_by_us(node: &Node) -> Result<bool, TalosError> {
    let seen = node.node_status().await.ok().flatten();
    Ok(seen.is_some_and(|seen| seen.unschedulable && seen.annotations.contains_key(CORDON_MARK)))
}

/// Name of the entry that the Image Factory adds to every image; its version is the schematic id
/// (siderolabs/image-factory v1.5.0 internal/artifacts/schematic.go).
const SCHEMATIC: &str = "schematic";
