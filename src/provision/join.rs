//! Phase join: the machine becomes a worker of the real cluster, and proves it.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::kubernetes::Cluster;
use crate::client::talos::{
    ApplyMode, ConfigSource, ErrorKind, HostnameStatus, MachineKind, Node, ResetOptions, TalosError, Trust,
};
use crate::node::spec::Activation;
use crate::provision::Job;
use crate::provision::configure::Sender;
use crate::provision::error::{Cause, chain};
use crate::provision::facts::Facts;
use crate::provision::observe::{HANDSHAKE, Observation, talos};
use crate::provision::refresh::config_hash;
use crate::provision::wait::{Limits, Look, bounded, until};

/// A machine that has not rebooted this long after the hand-over is asked again.
const REPLY_LOST: Duration = Duration::from_secs(60);

/// Hands the real configuration over and waits until every proof of the join holds.
pub async fn run(job: &Job, seen: &Observation) -> Result<Facts, Cause> {
    let limits = job.limits.within(job.spec.join.timeout);
    let direct = Sender::new(job, job.spec.worker.yaml());
    if let Observation::Maintenance(running) = seen
        && job.spec.activation == Activation::None
        && !running.runs(&job.spec.image)
    {
        return Err(Cause::NotActive {
            found: running.describe(),
            wanted: format!("Talos {}, schematic {}", job.spec.image.talos_version, job.spec.image.schematic),
        });
    }
    let handover = HandOver::new(job);
    until(&limits, "the node to join its cluster", || async {
        match talos(job).await {
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Joined) => joined(job, Configuration::MakeIt).await,
            Ok(Observation::Maintenance(running)) => direct.send(running.fingerprint.clone()).await,
            Ok(Observation::Temporary(_)) => handover.step().await,
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    })
    .await
    .map_err(Cause::ended)
}

/// Waits until every proof holds for a node that has joined before. One that moved must be known by its new name in the end: it
/// asks trustd for that certificate when it has the configuration.
pub async fn prove(job: &Job, limits: &Limits, configuration: Configuration) -> Result<Facts, Cause> {
    let settled = job.settled();
    let moved = settled.address() != job.address();
    until(limits, "the node to be well", || async {
        match talos(&settled).await {
            Err(cause @ Cause::WrongName { .. }) if moved => Look::Pending(chain(&cause)),
            Err(cause) => Look::Failed(cause),
            Ok(Observation::Joined) => joined(&settled, configuration).await,
            Ok(Observation::Foreign { issuer }) => Look::Failed(Cause::Foreign { issuer }),
            Ok(other) => Look::Pending(other.to_string()),
        }
    })
    .await
    .map_err(Cause::ended)
}

/// What is to be done about a configuration that is not the wanted one.
#[derive(Clone, Copy, Debug)]
pub enum Configuration {
    /// Apply the wanted one: the node joined in an earlier run with another.
    MakeIt,
    /// Wait: it was applied, and is to be seen there.
    MustBe(ConfigSource),
    /// Leave it alone, whatever it is; what is there counts.
    Stays(ConfigSource),
}

impl Configuration {
    fn is_active(self) -> bool {
        !matches!(self, Self::MustBe(ConfigSource::Persistent) | Self::Stays(ConfigSource::Persistent))
    }
}

/// Stages the worker configuration and resets EPHEMERAL, which reboots into it. STAGED is the one mode that neither
/// reboots on its own (1.12, 1.13: AUTO) nor locks us out before the reboot (1.14: AUTO) (DESIGN.md D6).
struct HandOver<'a> {
    job: &'a Job,
    done: Mutex<Option<Instant>>,
}

impl<'a> HandOver<'a> {
    fn new(job: &'a Job) -> Self {
        Self { job, done: Mutex::new(None) }
    }

    /// Hands over, again only when an earlier reset seems to be lost.
    async fn step<T>(&self) -> Look<T, Cause> {
        let done = *self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done.is_some_and(|at| at.elapsed() < REPLY_LOST) {
            return Look::Pending("the worker configuration is staged; about to reboot into it".into());
        }
        match stage_and_reset(self.job).await {
            Ok(()) => {
                *self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
                Look::Pending("the worker configuration was staged, and the reboot requested".into())
            }
            // A refusal in words is final. All else may be the reboot itself, in the middle of a conversation or since the
            // last look: the next look shows what is there.
            Err(error)
                if matches!(error.kind(), ErrorKind::Rpc(_))
                    && !error.is_transient()
                    && !error.may_have_taken_effect() =>
            {
                Look::Failed(Cause::Talos(error))
            }
            Err(error) => Look::Pending(chain(&error)),
        }
    }
}

async fn stage_and_reset(job: &Job) -> Result<(), TalosError> {
    let trust = Trust::Mutual(job.temporary_credentials.clone());
    let node = Node::connect(&job.address(), &trust, HANDSHAKE).await?;
    node.apply_configuration(job.spec.worker.yaml().expose(), ApplyMode::Staged, false).await?;
    tracing::info!(phase = "join", "worker configuration staged, rebooting into it");
    // EPHEMERAL holds only what belongs to the temporary cluster: etcd, images, CNI leftovers. The configuration lives
    // on STATE and survives. Not graceful: a single etcd member cannot leave.
    node.reset(&ResetOptions { graceful: false, reboot: true, wipe_state: false, wipe_ephemeral: true }).await.map(drop)
}

/// Everything that must hold, in the order in which it comes true.
async fn joined(job: &Job, configuration: Configuration) -> Look<Facts, Cause> {
    let proofs = async {
        let node = Node::connect(&job.address(), &Trust::Mutual(job.spec.credentials.clone()), HANDSHAKE)
            .await
            .map_err(Cause::Talos)?;
        right_node(job, &node).await?;
        right_image(job, &node).await?;
        if let Some(missing) = missing(job, &node, configuration).await.map_err(Cause::Talos)? {
            return Ok(Look::Pending(missing));
        }
        if let Some(missing) = kubernetes(job, configuration).await? {
            return Ok(Look::Pending(missing));
        }
        Facts::gather(&node).await.map(Look::Ready).map_err(Cause::Talos)
    };
    match bounded(&job.limits, proofs).await.map_err(Cause::ended) {
        Ok(look) => look,
        Err(Cause::Talos(error)) if error.is_transient() => Look::Pending(chain(&error)),
        Err(Cause::Kubernetes(error)) if error.is_transient() => Look::Pending(chain(&error)),
        Err(cause) => Look::Failed(cause),
    }
}

/// A machine that answers to the cluster's credentials may still be another node of the cluster. Where the machine is
/// known from before its UUID decides, so that its name can change.
pub async fn right_node(job: &Job, node: &Node) -> Result<(), Cause> {
    let (kind, name, uuid) =
        tokio::try_join!(node.machine_type(), node.hostname(), node.system_uuid()).map_err(Cause::Talos)?;
    if kind.is_some_and(|kind| kind != MachineKind::Worker) {
        return Err(Cause::WrongNode { what: "a control plane node".into() });
    }
    match (job.known.as_ref().and_then(|known| known.machine_uuid.as_ref()), uuid) {
        (Some(ours), Some(theirs)) if *ours == theirs => return Ok(()),
        (Some(ours), Some(theirs)) => {
            return Err(Cause::WrongNode { what: format!("a machine with UUID {theirs} instead of {ours}") });
        }
        _ => {}
    }
    match name.filter(|name| !name.hostname.is_empty()) {
        Some(name) if !is_ours(job, &name) => Err(Cause::WrongNode { what: format!("a node named {:?}", name.fqdn()) }),
        _ => Ok(()),
    }
}

/// The name that it is to have, or one that it had: then only its Kubernetes name is known.
fn is_ours(job: &Job, name: &HostnameStatus) -> bool {
    let before = job.known.as_ref().and_then(|known| known.node_name.as_ref());
    name.fqdn() == job.spec.hostname || before.is_some_and(|before| *before == name.fqdn() || *before == name.hostname)
}

/// Extensions and version do not change while a system runs: a wrong image now is wrong for good.
async fn right_image(job: &Job, node: &Node) -> Result<(), Cause> {
    let extensions = node.extensions().await.map_err(Cause::Talos)?;
    let found = extensions.schematic().unwrap_or("none");
    let version = node.version().await.map_err(Cause::Talos)?.tag;
    let image = &job.spec.image;
    if found == image.schematic.to_string() && version == image.talos_version.to_string() {
        return Ok(());
    }
    Err(Cause::NotActive {
        found: format!("Talos {version}, schematic {found}"),
        wanted: format!("Talos {}, schematic {}", image.talos_version, image.schematic),
    })
}

/// What is not as it should be yet on the node itself.
async fn missing(job: &Job, node: &Node, configuration: Configuration) -> Result<Option<String>, TalosError> {
    let source = match configuration {
        Configuration::MakeIt => ConfigSource::Active,
        Configuration::MustBe(source) | Configuration::Stays(source) => source,
    };
    match node.machine_config(source).await {
        Ok(Some(_)) if matches!(configuration, Configuration::Stays(_)) => {}
        Ok(Some(yaml)) if config_hash(&yaml).as_deref() == Some(job.wanted_hash()) => {}
        Ok(Some(_)) if matches!(configuration, Configuration::MakeIt) => {
            node.apply_configuration(job.spec.worker.yaml().expose(), ApplyMode::Auto, false).await?;
            return Ok(Some("the node had another configuration; the right one was applied".into()));
        }
        Ok(Some(_)) => return Ok(Some("the node does not run the new configuration yet".into())),
        Ok(None) => return Ok(Some("the node shows no configuration yet".into())),
        // A reader may not see the configuration; the other proofs still stand.
        Err(error) if error.kind() == ErrorKind::Rpc(tonic::Code::PermissionDenied) => {}
        Err(error) => return Err(error),
    }
    // Also a node that has no name yet is waited for: the plan promised this one.
    let name = node.hostname().await?.map(|status| status.fqdn()).filter(|name| !name.is_empty());
    if configuration.is_active() && name.as_ref() != Some(&job.spec.hostname) {
        return Ok(Some(format!("the node is still named {}", name.as_deref().unwrap_or("nothing"))));
    }
    services(job, node).await
}

async fn services(job: &Job, node: &Node) -> Result<Option<String>, TalosError> {
    let services = node.services().await?;
    let state = |id: &str| services.iter().find(|service| service.id == id);
    let mut wanted = vec!["kubelet".to_owned()];
    if job.spec.join.extensions {
        let configured = job.spec.worker.config.extension_services();
        wanted.extend(configured.into_iter().map(|service| format!("ext-{}", service.name)));
    }
    for id in wanted {
        match state(&id) {
            Some(service) if service.is_up() => {}
            Some(service) => {
                let message = service.last_message().unwrap_or("no message");
                return Ok(Some(format!("service {id} is {}: {message}", service.state)));
            }
            None => return Ok(Some(format!("service {id} is not there yet"))),
        }
    }
    Ok(None)
}

async fn kubernetes(job: &Job, configuration: Configuration) -> Result<Option<String>, Cause> {
    let Some(kubeconfig) = job.spec.kubeconfig.as_ref().filter(|_| job.spec.join.kubernetes) else {
        return Ok(None);
    };
    let cluster = Cluster::from_kubeconfig(kubeconfig).await.map_err(Cause::Kubernetes)?;
    // A new name that is only staged is not there yet.
    let name = if configuration.is_active() { &job.spec.node_name } else { job.node_name() };
    Ok(match cluster.node(name).await.map_err(Cause::Kubernetes)? {
        Some(node) if node.ready => None,
        Some(node) => Some(format!(
            "Kubernetes node {name} is not Ready: {}",
            node.not_ready_because.unwrap_or_else(|| "it gives no reason".to_owned())
        )),
        None => Some(format!("there is no Kubernetes node {name} yet")),
    })
}

/// The guide's troubleshooting, as far as it can be told from outside.
pub fn hints(cause: &Cause) -> Vec<String> {
    let Cause::TimedOut { last, .. } = cause else { return Vec::new() };
    if last.contains("NotReady") || last.contains("not Ready") {
        return vec!["the CNI is often the last to come up: look at its pod on the node".into()];
    }
    if last.contains("ext-") {
        return vec!["the service's log on the node says more: `talosctl logs ext-tailscale`".into()];
    }
    vec![
        "a worker opens its API only after trustd of a control plane signed its certificate: until then nothing can be \
         asked, only the serial console of the instance shows more"
            .into(),
        "Tailscale: the auth key may be expired or used up, or its tag not permitted; the subnet router's routes must be \
         approved and TS_EXTRA_ARGS must hold --accept-routes"
            .into(),
        "the control plane's port 50001 (trustd) must be reachable at the host of cluster.controlPlane.endpoint, and that \
         host must stand in the control planes' machine.certSANs"
            .into(),
        "machine.token and machine.ca must be those of the cluster, and the clocks must agree".into(),
    ]
}
