//! Reading COSI resources: the truth about a node, as YAML.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use tokio::time::Instant;
use tonic::Code;

use crate::talos::secret::Secret;
use crate::wire::cosi;

use super::call::request;
use super::resources::{
    AddressStatus, CmdlineSpec, ConfigSource, ConfigSpec, Disk, ExtensionSpec, Extensions, HostnameStatus,
    KubernetesNode, MachineKind, MachineStatus, NodeAddresses, Nodename, PlatformMetadata, RouteStatus,
    ServiceConfigSpec, ServiceStatus, SystemDisk, SystemInformation, TimeStatus, VersionSpec,
};
use super::{Node, TalosError};

/// No kind that we list has nearly as many.
const MAX_LISTED: usize = 10_000;

/// A COSI resource: where it is found, and how its `yaml_spec` reads.
pub trait Resource: DeserializeOwned {
    /// Namespace.
    const NAMESPACE: &'static str;
    /// Canonical type string.
    const TYPE: &'static str;
}

impl Node {
    /// One resource; `None` when it does not exist (yet).
    ///
    /// # Errors
    /// As any call; `Resource` when it does not read.
    pub async fn resource<R: Resource>(&self, id: &str) -> Result<Option<R>, TalosError> {
        self.spec(R::NAMESPACE, R::TYPE, id).await?.map(|spec| self.read(R::TYPE, id, &spec)).transpose()
    }

    /// All resources of a kind, with their ids.
    ///
    /// # Errors
    /// As any call; `Resource` when one does not read.
    pub async fn resources<R: Resource>(&self) -> Result<Vec<(String, R)>, TalosError> {
        const METHOD: &str = "State.List";
        let message =
            cosi::ListRequest { namespace: R::NAMESPACE.to_owned(), r#type: R::TYPE.to_owned(), options: None };
        let end = Instant::now() + self.within;
        let mut client = self.state_service();
        let call = client.list(request(message, self.within));
        let mut stream = self.call(METHOD, self.within, call).await?;
        let mut found = Vec::new();
        loop {
            let Some(item) = self.next(METHOD, self.within, end, &mut stream).await? else {
                return Ok(found);
            };
            let resource = item.resource.unwrap_or_default();
            let id = resource.metadata.map(|metadata| metadata.id).unwrap_or_default();
            let Some(spec) = resource.spec else { continue };
            let value = self.read(R::TYPE, &id, &spec)?;
            found.push((id, value));
            if found.len() > MAX_LISTED {
                return Err(self.nonsense(METHOD, format!("more than {MAX_LISTED} resources of type {}", R::TYPE)));
            }
        }
    }

    /// Stage and readiness; answers in every mode of every version.
    ///
    /// # Errors
    /// As any call.
    pub async fn machine_status(&self) -> Result<MachineStatus, TalosError> {
        self.must_exist("machine").await
    }

    /// System extensions of the running image.
    ///
    /// # Errors
    /// As any call.
    pub async fn extensions(&self) -> Result<Extensions, TalosError> {
        let listed = self.resources::<ExtensionSpec>().await?;
        Ok(Extensions::from_specs(listed.into_iter().map(|(_, spec)| spec)))
    }

    /// The running version, `v1.12.2`; unlike [`Node::version`] it answers in every mode of every version.
    ///
    /// # Errors
    /// As any call.
    pub async fn version_resource(&self) -> Result<String, TalosError> {
        Ok(self.must_exist::<VersionSpec>("version").await?.version)
    }

    /// The machine configuration as YAML; `None` before there is one. Administrators only.
    ///
    /// # Errors
    /// As any call.
    pub async fn machine_config(&self, source: ConfigSource) -> Result<Option<Secret<String>>, TalosError> {
        let id = match source {
            ConfigSource::Active => "v1alpha1",
            ConfigSource::Persistent => "persistent",
        };
        let Some(spec) = self.spec(ConfigSpec::NAMESPACE, ConfigSpec::TYPE, id).await? else {
            return Ok(None);
        };
        // Not through `read`: what its error says may quote the configuration.
        match serde_saphyr::from_str::<ConfigSpec>(&spec.yaml_spec) {
            Ok(ConfigSpec(yaml)) => Ok(Some(Secret::new(yaml))),
            Err(_) => Err(self.unreadable(ConfigSpec::TYPE, id, "the spec is not one YAML string".to_owned())),
        }
    }

    /// The machine's role; `None` before there is a configuration.
    ///
    /// # Errors
    /// As any call.
    pub async fn machine_type(&self) -> Result<Option<MachineKind>, TalosError> {
        self.resource("machine-type").await
    }

    /// Host name.
    ///
    /// # Errors
    /// As any call.
    pub async fn hostname(&self) -> Result<Option<HostnameStatus>, TalosError> {
        self.resource("hostname").await
    }

    /// All addresses the node has now.
    ///
    /// # Errors
    /// As any call.
    pub async fn addresses(&self) -> Result<NodeAddresses, TalosError> {
        let none = NodeAddresses { addresses: Vec::new() };
        Ok(self.resource("current").await?.unwrap_or(none))
    }

    /// The addresses of one link, such as `tailscale0`.
    ///
    /// # Errors
    /// As any call.
    pub async fn link_addresses(&self, link: &str) -> Result<Vec<AddressStatus>, TalosError> {
        let all = self.resources::<AddressStatus>().await?;
        Ok(all.into_iter().map(|(_, status)| status).filter(|status| status.link_name == link).collect())
    }

    /// The routes in the kernel, of all tables.
    ///
    /// # Errors
    /// As any call.
    pub async fn routes(&self) -> Result<Vec<RouteStatus>, TalosError> {
        Ok(self.resources::<RouteStatus>().await?.into_iter().map(|(_, route)| route).collect())
    }

    /// SMBIOS identity.
    ///
    /// # Errors
    /// As any call.
    pub async fn system_information(&self) -> Result<Option<SystemInformation>, TalosError> {
        self.resource("systeminformation").await
    }

    /// The machine's UUID, lower-case; `None` when it has none.
    ///
    /// # Errors
    /// As any call.
    pub async fn system_uuid(&self) -> Result<Option<String>, TalosError> {
        let information = self.system_information().await?;
        Ok(information.map(|found| found.uuid.to_ascii_lowercase()).filter(|uuid| !uuid.is_empty()))
    }

    /// What the cloud told the node.
    ///
    /// # Errors
    /// As any call.
    pub async fn platform_metadata(&self) -> Result<Option<PlatformMetadata>, TalosError> {
        self.resource("platformmetadata").await
    }

    /// The platform that the booted image was made for, from the kernel command line: `oracle`, or `metal` after an
    /// upgrade with the wrong installer.
    ///
    /// # Errors
    /// As any call.
    pub async fn platform(&self) -> Result<Option<String>, TalosError> {
        let cmdline = self.resource::<CmdlineSpec>("cmdline").await?;
        Ok(cmdline.and_then(|spec| {
            let platform = spec.cmdline.split_whitespace().find_map(|word| word.strip_prefix("talos.platform="));
            platform.map(str::to_owned)
        }))
    }

    /// The extension services that have a configuration.
    ///
    /// # Errors
    /// As any call.
    pub async fn configured_extension_services(&self) -> Result<Vec<String>, TalosError> {
        let listed = self.resources::<ServiceConfigSpec>().await?;
        Ok(listed.into_iter().map(|(id, _)| id).collect())
    }

    /// Whether the clock is in sync.
    ///
    /// # Errors
    /// As any call.
    pub async fn time_status(&self) -> Result<Option<TimeStatus>, TalosError> {
        self.resource("node").await
    }

    /// A service that runs; `None` while it does not.
    ///
    /// # Errors
    /// As any call.
    pub async fn service(&self, id: &str) -> Result<Option<ServiceStatus>, TalosError> {
        self.resource(id).await
    }

    /// The name in Kubernetes.
    ///
    /// # Errors
    /// As any call.
    pub async fn nodename(&self) -> Result<Option<Nodename>, TalosError> {
        self.resource("nodename").await
    }

    /// The node's own view of its Kubernetes Node; `None` before it registered.
    ///
    /// # Errors
    /// As any call.
    pub async fn node_status(&self) -> Result<Option<KubernetesNode>, TalosError> {
        let mut listed = self.resources::<KubernetesNode>().await?;
        Ok(listed.pop().map(|(_, status)| status))
    }

    /// All disks.
    ///
    /// # Errors
    /// As any call.
    pub async fn disks(&self) -> Result<Vec<Disk>, TalosError> {
        Ok(self.resources::<Disk>().await?.into_iter().map(|(_, disk)| disk).collect())
    }

    /// The disk Talos runs from.
    ///
    /// # Errors
    /// As any call.
    pub async fn system_disk(&self) -> Result<Option<SystemDisk>, TalosError> {
        self.resource("system-disk").await
    }

    async fn must_exist<R: Resource>(&self, id: &str) -> Result<R, TalosError> {
        let missing = || self.unreadable(R::TYPE, id, "it does not exist".to_owned());
        self.resource(id).await?.ok_or_else(missing)
    }

    async fn spec(&self, namespace: &str, kind: &str, id: &str) -> Result<Option<cosi::Spec>, TalosError> {
        const METHOD: &str = "State.Get";
        let message = cosi::GetRequest {
            namespace: namespace.to_owned(),
            r#type: kind.to_owned(),
            id: id.to_owned(),
            options: None,
        };
        let mut client = self.state_service();
        match self.call(METHOD, self.within, client.get(request(message, self.within))).await {
            Ok(answer) => {
                let spec = answer.resource.and_then(|resource| resource.spec);
                spec.map(Some).ok_or_else(|| self.nonsense(METHOD, format!("{kind}/{id} came without a spec")))
            }
            Err(TalosError::Rpc { code: Code::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read<R: Resource>(&self, kind: &str, id: &str, spec: &cosi::Spec) -> Result<R, TalosError> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&spec.yaml_spec, options)
            .map_err(|error| self.unreadable(kind, id, error.to_string()))
    }

    fn unreadable(&self, kind: &str, id: &str, problem: String) -> TalosError {
        TalosError::Resource { resource: format!("{kind}/{id}"), address: self.address.clone(), problem }
    }
}

/// Go writes an empty list or map as `null` or `[]`, whichever it was.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
