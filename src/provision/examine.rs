//! Looking at a node for what may be wrong: services, logs, kernel log, clock, and what Kubernetes says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::client::kubernetes::Cluster;
use crate::client::talos::{self, Address, Candidate, ConfigSource, LogSource, Node, RouteStatus, Trust, detect};
use crate::provision::diagnose::{Answer, Evidence, KubernetesSeen, Route, ServiceSeen};
use crate::provision::error::chain;
use crate::provision::facts::Facts;
use crate::provision::refresh;
use crate::talos::secret::Secret;
use crate::talos::talosconfig::ClientCredentials;

/// Limit for the whole look.
const PATIENCE: Duration = Duration::from_secs(20);

/// Limit for one handshake, and for one question.
const ASK: Duration = Duration::from_secs(5);

/// Lines of a service's log.
const LINES: u32 = 60;

/// Whom to look at.
pub struct Patient<'a> {
    /// Where it is.
    pub address: Address,
    /// Credentials of its cluster, if there are any.
    pub credentials: Option<&'a ClientCredentials>,
    /// Kubeconfig of its cluster, if there is one.
    pub kubeconfig: Option<&'a Secret<String>>,
    /// Its name in Kubernetes, when it does not tell.
    pub name: Option<&'a str>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// For the rules.
    pub evidence: Evidence,
    /// For everything else; `None` when the node could not be asked.
    pub facts: Option<Facts>,
    /// Whether the machine is ready for what it is doing.
    pub ready: Option<bool>,
}

/// Looks. What cannot be asked is left out; nothing is changed, and nothing fails.
pub async fn examine(patient: &Patient<'_>) -> Seen {
    let mut seen = Seen::default();
    // What was found before the time is over counts.
    let _ = tokio::time::timeout(PATIENCE, talos(patient, &mut seen)).await;
    let name = seen.facts.as_ref().map(|facts| facts.node_name.clone()).or(patient.name.map(str::to_owned));
    if let (Some(kubeconfig), Some(name)) = (patient.kubeconfig, name.filter(|name| !name.is_empty())) {
        seen.evidence.kubernetes = Some(kubernetes(kubeconfig, &name).await);
    }
    seen
}

async fn talos(patient: &Patient<'_>, seen: &mut Seen) {
    let candidates: Vec<_> =
        patient.credentials.iter().map(|credentials| Candidate { which: (), credentials }).collect();
    seen.evidence.answer = match answer(detect(&patient.address, &candidates, 2 * ASK).await.answer) {
        // Whose it is cannot be told without an authority to compare with.
        Answer::Foreign(_) if patient.credentials.is_none() => Answer::Locked,
        found => found,
    };
    let (Answer::Node, Some(credentials)) = (&seen.evidence.answer, patient.credentials) else { return };
    match Node::connect(&patient.address, &Trust::Mutual(credentials.clone()), ASK).await {
        Ok(node) => ask(&node.within(ASK), seen).await,
        Err(error) => seen.evidence.answer = Answer::Other(chain(&error)),
    }
}

fn answer(answer: talos::Answer<()>) -> Answer {
    match answer {
        talos::Answer::Mutual { .. } => Answer::Node,
        talos::Answer::Maintenance(_) => Answer::Maintenance,
        talos::Answer::Refused(error) => Answer::Closed(chain(&error)),
        talos::Answer::Unreachable(error) => Answer::Silent(chain(&error)),
        talos::Answer::Foreign { issuer, .. } => Answer::Foreign(issuer),
        talos::Answer::RejectedOurCertificate { error, .. } => Answer::Rejected(chain(&error)),
        talos::Answer::WrongName { names, .. } => Answer::WrongName(format!("it names {}", names.join(", "))),
        talos::Answer::WrongTime { now, not_before, not_after, .. } => Answer::WrongTime(format!(
            "its certificate is valid from {not_before} to {not_after}, and here it is {now}"
        )),
        talos::Answer::NotTls { banner } => Answer::Other(format!("something else answers: {banner:?}")),
        talos::Answer::Odd(error) => Answer::Other(chain(&error)),
    }
}

/// Everything at once; each question may fail by itself.
async fn ask(node: &Node, seen: &mut Seen) {
    let (facts, status, services, dmesg, clock, routes, config) = tokio::join!(
        Facts::gather(node),
        node.machine_status(),
        node.services(),
        node.dmesg(),
        node.time_status(),
        node.routes(),
        node.machine_config(ConfigSource::Active),
    );
    let evidence = &mut seen.evidence;
    if let Ok(facts) = facts {
        evidence.addresses.clone_from(&facts.addresses);
        seen.facts = Some(facts);
    }
    if let Ok(status) = status {
        seen.ready = Some(status.is_ready());
        evidence.unmet = status.unmet().iter().map(|unmet| (unmet.name.clone(), unmet.reason.clone())).collect();
        evidence.stage = Some(status.stage.to_string());
    }
    evidence.clock_synced = clock.ok().flatten().map(|clock| clock.synced || clock.sync_disabled);
    evidence.routes = routes.unwrap_or_default().into_iter().filter_map(route).collect();
    evidence.control_plane = config.ok().flatten().and_then(|yaml| control_plane(&yaml));
    evidence.dmesg = dmesg.map(|text| lines(&text.text)).unwrap_or_default();
    evidence.services = services.unwrap_or_default().iter().map(service).collect();
    evidence.logs = logs(node, &evidence.services).await;
}

fn service(service: &talos::Service) -> ServiceSeen {
    let healthy = service.health.as_ref().filter(|health| !health.unknown).map(|health| health.healthy);
    ServiceSeen {
        id: service.id.clone(),
        state: service.state.clone(),
        message: match (&service.health, healthy) {
            (Some(health), Some(false)) if !health.last_message.is_empty() => health.last_message.clone(),
            _ => service.last_message().unwrap_or_default().to_owned(),
        },
        healthy,
    }
}

/// Only routes that lead somewhere; those of the table `local` are the node's own addresses.
fn route(status: RouteStatus) -> Option<Route> {
    let RouteStatus { destination, gateway, out_link_name, table, kind, .. } = status;
    (kind == "unicast" && table != "local").then_some(Route { to: destination, via: gateway, link: out_link_name })
}

/// A name would be looked up by the node, not here.
fn control_plane(yaml: &Secret<String>) -> Option<IpAddr> {
    let endpoint = Url::parse(&refresh::parse(yaml)?.cluster_endpoint()?).ok()?;
    endpoint.host_str()?.trim_matches(['[', ']']).parse().ok()
}

async fn logs(node: &Node, services: &[ServiceSeen]) -> BTreeMap<String, Vec<String>> {
    let wanted = services.iter().filter(|service| service.id == "kubelet" || service.id.starts_with("ext-"));
    let asked = wanted.map(|service| async move {
        let text = node.logs(&LogSource::Service(service.id.clone()), LINES).await.ok()?;
        Some((service.id.clone(), lines(&text.text)))
    });
    futures_util::future::join_all(asked).await.into_iter().flatten().collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

async fn kubernetes(kubeconfig: &Secret<String>, name: &str) -> KubernetesSeen {
    let asked = async {
        let cluster = Cluster::from_kubeconfig(kubeconfig).await?;
        cluster.node(name).await
    };
    match tokio::time::timeout(2 * ASK, asked).await {
        Ok(Ok(Some(node))) if node.ready => KubernetesSeen::Ready,
        Ok(Ok(Some(node))) => {
            KubernetesSeen::NotReady(node.not_ready_because.unwrap_or_else(|| "it gives no reason".to_owned()))
        }
        Ok(Ok(None)) => KubernetesSeen::Unregistered,
        Ok(Err(error)) => KubernetesSeen::Unasked(chain(&error)),
        Err(_) => KubernetesSeen::Unasked(format!("no answer within {} s", (2 * ASK).as_secs())),
    }
}
