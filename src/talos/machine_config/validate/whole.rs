//! What holds for all documents together (Talos v1.14 `pkg/machinery/config/container/validate.go`; until 1.13 the
//! v1alpha1 document alone was asked).

use super::super::MachineConfig;
use super::super::yaml::Node;
use super::machine::Role;
use super::{Mode, Read, Report, containers, k8s, resolver};

pub(super) fn validate(config: &MachineConfig, mode: Mode, report: &mut Report) {
    let v1alpha1 = config.v1alpha1().map(|document| document.root());
    let whole = Whole { config, v1alpha1 };
    if mode == Mode::Container && (v1alpha1.is_some() || report.releases.reach(14)) {
        whole.container(report);
    }
    whole.encrypted_dns(report);
    whole.discovery(report);
    let containers: Vec<&Node> = whole.roots("ContainerConfig").collect();
    containers::validate_dependencies(&containers, report);
    whole.kube_span(report);
    whole.etcd_encryption(report);
    whole.roles(report);
}

struct Whole<'a> {
    config: &'a MachineConfig,
    v1alpha1: Option<&'a Node>,
}

impl<'a> Whole<'a> {
    fn roots(&self, kind: &'a str) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.config.documents.iter().filter(move |document| document.id().kind == kind).map(|document| document.root())
    }

    fn has(&self, kind: &'a str) -> bool {
        self.roots(kind).next().is_some()
    }

    /// A value of the v1alpha1 document.
    fn legacy(&self, path: &str) -> Option<&'a Node> {
        self.v1alpha1?.at(path).filter(|node| !node.is_null())
    }

    fn is_control_plane(&self) -> bool {
        self.legacy("machine").is_some() && self.v1alpha1.is_some_and(|root| Role::of(root) == Role::ControlPlane)
    }

    /// The settings of the node's own DNS: a document counts when it switches that on.
    fn host_dns(&self) -> Option<&'a Node> {
        let document = self.roots("ResolverConfig").next().filter(|root| root.flag("hostDNS.enabled"));
        document.and_then(|root| root.get("hostDNS")).or_else(|| self.legacy("machine.features.hostDNS"))
    }

    fn container(&self, report: &mut Report) {
        const PATH: &str = "machine.features.hostDNS";
        let host_dns = self.host_dns();
        for (field, what) in [("enabled", "be enabled"), ("forwardKubeDNSToHost", "forward kube-dns to the host")] {
            if !host_dns.is_some_and(|settings| settings.flag(field)) {
                report.error(format!("{PATH}.{field}"), format!("hostDNS must {what} in container mode"));
            }
        }
    }

    fn encrypted_dns(&self, report: &mut Report) {
        let servers = self.roots("ResolverConfig").next().map_or(&[][..], |root| root.items("nameservers"));
        let enabled = self.host_dns().is_some_and(|settings| settings.flag("enabled"));
        if servers.iter().any(resolver::is_encrypted) && !enabled {
            report.error("machine.features.hostDNS", "hostDNS must be enabled when nameservers use DoT or DoH");
        }
    }

    /// Whether the v1alpha1 document has a discovery service; it goes before the documents.
    fn has_legacy_discovery(&self) -> bool {
        let discovery = self.legacy("cluster.discovery").filter(|discovery| discovery.flag("enabled"));
        discovery.is_some_and(|discovery| !discovery.flag("registries.service.disabled"))
    }

    /// Who is discovered needs an identity. For a service of the v1alpha1 document that is checked there.
    fn discovery(&self, report: &mut Report) {
        if self.has_legacy_discovery() || !self.has("DiscoveryServiceConfig") {
            return;
        }
        let legacy = |field: &str| self.legacy(field).is_some_and(|node| !node.text("").is_empty());
        let known = if legacy("cluster.id") || legacy("cluster.secret") {
            [legacy("cluster.id"), legacy("cluster.secret")]
        } else {
            // An incomplete document is judged by itself.
            [self.has("DiscoveryIdentityConfig"); 2]
        };
        for (field, known) in ["id", "secret"].into_iter().zip(known) {
            if !known {
                let message = format!("DiscoveryServiceConfig needs a cluster {field}, of a DiscoveryIdentityConfig");
                report.error(format!("cluster.{field}"), message);
            }
        }
    }

    fn kube_span(&self, report: &mut Report) {
        let legacy = self.legacy("machine.network.kubespan");
        let span = self.roots("KubeSpanConfig").next().or(legacy).filter(|span| span.flag("enabled"));
        let discovered = self.has_legacy_discovery() || self.has("DiscoveryServiceConfig");
        // Until 1.13 the v1alpha1 document has said so already.
        let told = report.releases.before(14)
            && legacy.is_some_and(|span| span.flag("enabled"))
            && !self.legacy("cluster.discovery").is_some_and(|discovery| discovery.flag("enabled"));
        if span.is_some() && !discovered && !told && report.releases.reach(14) {
            report.error("cluster.discovery", "KubeSpan requires cluster discovery to be enabled");
        }
    }

    /// An API server, which a machine with its authority runs, must encrypt what it stores.
    fn etcd_encryption(&self, report: &mut Report) {
        let serves = self.has("KubeAPIServerCAConfig")
            || self.legacy("cluster.ca").is_some()
            || self.legacy("cluster.acceptedCAs").is_some();
        let secrets = ["cluster.secretboxEncryptionSecret", "cluster.aescbcEncryptionSecret"];
        let encrypted = self.has("KubeEtcdEncryptionConfig") || secrets.iter().any(|path| self.legacy(path).is_some());
        if self.is_control_plane() && serves && !encrypted && report.releases.reach(14) {
            let message = "etcd encryption config is required for control plane machines that run kube-apiserver";
            report.error("cluster.secretboxEncryptionSecret", message);
        }
    }

    fn roles(&self, report: &mut Report) {
        let found: Vec<&str> = k8s::CONTROL_PLANE_ONLY.into_iter().filter(|kind| self.has(kind)).collect();
        if !found.is_empty() && !self.is_control_plane() {
            let message =
                format!("only control plane machines may have documents of these kinds: {}", found.join(", "));
            report.error("machine.type", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::MachineConfig;
    use super::super::tests::{judge, judge_for, on_control_plane};
    use super::super::{Mode, k8s};
    use crate::talos::version::TalosVersion;

    const DISCOVERY: &str = "{apiVersion: v1alpha1, kind: DiscoveryServiceConfig, name: a, endpoint: 'https://a'}";
    const IDENTITY: &str = "{apiVersion: v1alpha1, kind: DiscoveryIdentityConfig, clusterID: a, clusterSecret: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}";
    const SPAN: &str = "{apiVersion: v1alpha1, kind: KubeSpanConfig, enabled: true}";
    const WORKER: &str = "machine: {type: worker, ca: {crt: eA==}}\n";

    fn version((major, minor): (u64, u64)) -> TalosVersion {
        TalosVersion::new(major, minor, 9)
    }

    fn join(parts: &[&str]) -> String {
        parts.join("\n---\n")
    }

    #[test]
    fn discovery_needs_an_identity() {
        assert_eq!(judge(&join(&[DISCOVERY, IDENTITY])), Vec::<String>::new());
        assert_eq!(judge(DISCOVERY).len(), 2);
        let half = join(&[&format!("{WORKER}cluster: {{id: a}}"), DISCOVERY]);
        let told = judge(&half);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("cluster.secret: DiscoveryServiceConfig needs a cluster secret"));
    }

    #[test]
    fn kubespan_needs_discovery_since_1_14() {
        assert_eq!(judge(&join(&[DISCOVERY, IDENTITY, SPAN])), Vec::<String>::new());
        assert_eq!(judge(SPAN), ["cluster.discovery: KubeSpan requires cluster discovery to be enabled"]);
        assert_eq!(judge_for(SPAN, "v1.13.9"), Vec::<String>::new());
        let legacy = "machine: {type: worker, ca: {crt: eA==}, network: {kubespan: {enabled: true}}}\n";
        let cluster = "cluster: {id: a, secret: b, controlPlane: {endpoint: 'https://a'}, discovery: {enabled: true";
        let service = format!("{legacy}{cluster}}}}}");
        assert_eq!(judge(&service), Vec::<String>::new());
        let no_service = format!("{legacy}{cluster}, registries: {{service: {{disabled: true}}}}}}}}");
        assert_eq!(judge(&no_service).len(), 1);
        assert_eq!(judge_for(&no_service, "v1.13.9"), Vec::<String>::new());
        // Once, whichever release says so.
        let none = format!("{legacy}cluster: {{id: a, secret: b, controlPlane: {{endpoint: 'https://a'}}}}");
        for told in [judge(&none), judge_for(&none, "v1.12.9"), judge_for(&none, "v1.14.9")] {
            assert_eq!(told.len(), 1, "{told:?}");
        }
    }

    #[test]
    fn a_control_plane_encrypts_etcd_since_1_14() {
        let with = |cluster: &str| {
            format!(
                "machine: {{type: controlplane, ca: {{crt: eA==, key: eA==}}}}\ncluster: {{controlPlane: {{endpoint: 'https://a'}}, {cluster}}}"
            )
        };
        assert_eq!(judge(&with("ca: {crt: eA==}, secretboxEncryptionSecret: x")), Vec::<String>::new());
        assert_eq!(judge(&with("")), Vec::<String>::new());
        assert_eq!(judge(&with("ca: {crt: eA==}")).len(), 1);
        assert_eq!(judge_for(&with("ca: {crt: eA==}"), "v1.13.9"), Vec::<String>::new());
        let document = "{apiVersion: v1alpha1, kind: KubeEtcdEncryptionConfig, config: {a: b}}";
        assert_eq!(judge(&join(&[&with("ca: {crt: eA==}"), document])), Vec::<String>::new());
    }

    #[test]
    fn control_plane_documents_are_for_control_planes() {
        assert_eq!(judge(&on_control_plane("KubeCoreDNSConfig", "enabled: false")), Vec::<String>::new());
        for kind in k8s::CONTROL_PLANE_ONLY {
            let name = if kind.contains("Admission") || kind.contains("Authorizer") { ", name: a" } else { "" };
            let document = format!("{{apiVersion: v1alpha1, kind: {kind}{name}}}");
            let told = judge(&join(&[&format!("{WORKER}cluster: {{}}"), &document]));
            assert!(told.iter().any(|told| told.starts_with("machine.type: only control plane")), "{kind}: {told:?}");
        }
    }

    #[test]
    fn containers_need_the_hosts_dns() {
        let judge = |text: &str, release| {
            let config = MachineConfig::parse(text).expect("a configuration");
            config.validate_for(Mode::Container, &version(release)).len()
        };
        let machine = |features: &str| {
            format!(
                "machine: {{type: worker, ca: {{crt: eA==}}, features: {features}}}\ncluster: {{controlPlane: {{endpoint: 'https://a'}}}}"
            )
        };
        assert_eq!(judge(&machine("{hostDNS: {enabled: true, forwardKubeDNSToHost: true}}"), (1, 12)), 0);
        assert_eq!(judge(&machine("{hostDNS: {enabled: true}}"), (1, 12)), 1);
        assert_eq!(judge(&machine("{}"), (1, 12)), 2);
        let document =
            "{apiVersion: v1alpha1, kind: ResolverConfig, hostDNS: {enabled: true, forwardKubeDNSToHost: true}}";
        assert_eq!(judge(&join(&[&machine("{}"), document]), (1, 14)), 0);
        assert_eq!(judge("{apiVersion: v1alpha1, kind: SysctlConfig}", (1, 14)), 2);
        assert_eq!(judge("{apiVersion: v1alpha1, kind: OOMConfig}", (1, 13)), 0);
    }

    #[test]
    fn what_1_14_moved_into_documents_may_be_missing_there() {
        let bare = format!("{WORKER}cluster: {{}}");
        let modes = |text: &str, release| {
            let config = MachineConfig::parse(text).expect("a configuration");
            let mut problems = config.validate_for(Mode::Metal, &version(release));
            problems.sort_by(|a, b| a.path.cmp(&b.path));
            problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        assert_eq!(modes(&bare, (1, 13)), ["cluster.controlPlane.endpoint", "machine.install"]);
        assert_eq!(modes(&bare, (1, 14)), Vec::<String>::new());
        let old = "machine: {type: worker, ca: {crt: eA==}, install: {disk: a}, files: [{path: /var/a}], baseRuntimeSpecOverrides: {hostname: a}}\ncluster: {controlPlane: {endpoint: 'https://a'}}";
        assert_eq!(modes(old, (1, 13)), Vec::<String>::new());
        assert_eq!(modes(old, (1, 14)), ["machine.baseRuntimeSpecOverrides", "machine.files"]);
        let wrong = old.replace("hostname: a", "hostname: 1").replace("files: [{path: /var/a}], ", "");
        assert_eq!(modes(&wrong, (1, 12)), ["machine.baseRuntimeSpecOverrides.hostname"]);
        let forward = "machine: {type: worker, ca: {crt: eA==}, install: {disk: a}, features: {hostDNS: {forwardKubeDNSToHost: true}}}\ncluster: {controlPlane: {endpoint: 'https://a'}}";
        assert_eq!(modes(forward, (1, 12)), Vec::<String>::new());
        assert_eq!(modes(forward, (1, 13)), ["machine.features.hostDNS"]);
    }
}
