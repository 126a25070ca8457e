//! What a document and the v1alpha1 document must not both set (`V1Alpha1ConflictValidate` of the types).

use super::super::document::Document;
use super::super::yaml::Node;
use super::{Report, network, volumes};

/// How much of a field counts as set.
#[derive(Clone, Copy)]
enum Set {
    /// It is there.
    There,
    /// It holds something.
    Filled,
}

use Set::{Filled, There};

/// The fields that a kind excludes, in the order Talos v1.14 looks at them. For KubeAuthorizerConfig that is not the
/// field one would expect, but it is what authorization.go does.
const EXCLUDED: &[(&str, &[(&str, Set)])] = &[
    ("CRIBaseRuntimeSpecConfig", &[("machine.baseRuntimeSpecOverrides", There)]),
    ("DiscoveryIdentityConfig", &[("cluster.id", There), ("cluster.secret", There)]),
    ("DiscoveryServiceConfig", &[("cluster.discovery", There)]),
    ("ImageCacheConfig", &[("machine.features.imageCache", There)]),
    ("KubeAPIServerCAConfig", &[("cluster.ca", There)]),
    ("KubeAPIServerConfig", &[("cluster.apiServer", There), ("cluster.controlPlane.localAPIServerPort", There)]),
    ("KubeAdmissionControlConfig", &[("cluster.apiServer.admissionControl", Filled)]),
    ("KubeAggregatorCAConfig", &[("cluster.aggregatorCA", There)]),
    ("KubeAuditPolicyConfig", &[("cluster.apiServer.auditPolicy", Filled)]),
    ("KubeAuthorizerConfig", &[("cluster.apiServer.admissionControl", Filled)]),
    ("KubeClusterConfig", &[("cluster.clusterName", There), ("cluster.controlPlane.endpoint", There)]),
    (
        "KubeControllerManagerConfig",
        &[("cluster.controllerManager", There), ("machine.controlPlane.controllerManager", There)],
    ),
    ("KubeCoreDNSConfig", &[("cluster.coreDNS", There)]),
    ("KubeCredentialProviderConfig", &[("machine.kubelet", There)]),
    (
        "KubeEtcdEncryptionConfig",
        &[("cluster.secretboxEncryptionSecret", There), ("cluster.aescbcEncryptionSecret", There)],
    ),
    ("KubeFlannelCNIConfig", &[("cluster.network", There)]),
    ("KubeNetworkConfig", &[("cluster.network", There)]),
    (
        "KubeNodeConfig",
        &[
            ("cluster.allowSchedulingOnControlPlanes", There),
            ("cluster.allowSchedulingOnMasters", There),
            ("machine.kubelet.skipNodeRegistration", There),
            ("machine.kubelet.registerWithFQDN", There),
            ("machine.kubelet.nodeIP", There),
            ("machine.nodeLabels", There),
            ("machine.nodeAnnotations", There),
            ("machine.nodeTaints", There),
        ],
    ),
    ("KubePrismConfig", &[("machine.features.kubePrism", There)]),
    ("KubeProxyConfig", &[("cluster.proxy", There)]),
    ("KubeSchedulerConfig", &[("cluster.scheduler", There), ("machine.controlPlane.scheduler", There)]),
    ("KubeServiceAccountConfig", &[("cluster.serviceAccount", There)]),
    ("KubeTalosAPIAccessConfig", &[("machine.features.kubernetesTalosAPIAccess", There)]),
    ("KubeletConfig", &[("machine.kubelet", There)]),
    ("UnattendedInstallConfig", &[("machine.install", There)]),
];

pub(super) fn validate(document: &Document, v1alpha1: &Node, report: &mut Report) {
    let kind = document.id().kind.as_str();
    match kind {
        "VolumeConfig" => volumes::conflicts(document.root(), v1alpha1, report),
        _ => network::conflicts(kind, document.root(), v1alpha1, report),
    }
    let excluded = EXCLUDED.iter().find(|(excluding, _)| *excluding == kind).map_or(&[][..], |(_, fields)| fields);
    // One complaint is enough.
    if let Some((field, _)) = excluded.iter().find(|(field, set)| is_set(v1alpha1, field, *set)) {
        report.error("", format!(".{field} is already set in v1alpha1 config, which excludes this document"));
    }
}

fn is_set(v1alpha1: &Node, field: &str, set: Set) -> bool {
    let Some(node) = v1alpha1.at(field) else { return false };
    match set {
        There => !node.is_null(),
        Filled => {
            node.as_sequence().is_some_and(|items| !items.is_empty())
                || node.as_mapping().is_some_and(|entries| !entries.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::MachineConfig;
    use super::super::Mode;
    use super::EXCLUDED;

    /// A field of a v1alpha1 document, written in flow style, with a value that is set.
    fn written(field: &str) -> String {
        let value = match field.rsplit('.').next().expect("a name") {
            "id" | "secret" | "clusterName" | "secretboxEncryptionSecret" | "aescbcEncryptionSecret" => "x",
            "endpoint" => "'https://a'",
            "localAPIServerPort" => "6444",
            "admissionControl" => "[{name: a}]",
            "auditPolicy" | "baseRuntimeSpecOverrides" => "{a: b}",
            "skipNodeRegistration" | "registerWithFQDN" => "false",
            "allowSchedulingOnControlPlanes" | "allowSchedulingOnMasters" => "false",
            _ => "{}",
        };
        field.rsplit('.').fold(value.to_owned(), |inner, name| format!("{{{name}: {inner}}}"))
    }

    #[test]
    fn every_excluded_field_excludes_its_document() {
        let conflicts = |text: &str| -> Vec<String> {
            let config = MachineConfig::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let problems = config.validate(Mode::Cloud).into_iter().map(|problem| problem.to_string());
            problems.filter(|problem| problem.contains("already set in v1alpha1")).collect()
        };
        for (kind, fields) in EXCLUDED {
            let name =
                if ["KubeAdmissionControlConfig", "KubeAuthorizerConfig", "DiscoveryServiceConfig"].contains(kind) {
                    ", name: a"
                } else {
                    ""
                };
            let document = format!("{{apiVersion: v1alpha1, kind: {kind}{name}}}");
            assert_eq!(conflicts(&format!("{{machine: {{}}, cluster: {{}}}}\n---\n{document}")), Vec::<String>::new());
            for (field, _) in *fields {
                let found = conflicts(&format!("{}\n---\n{document}", written(field)));
                assert_eq!(found.len(), 1, "{kind} {field}: {found:?}");
                assert!(found[0].contains(&format!(".{field} is already set")), "{found:?}");
            }
        }
    }
}
