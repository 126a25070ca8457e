//! The node and its kubelet.

use super::super::super::yaml::Node;
use super::super::notation::is_subnet_or_address;
use super::{Read, Report, components, labels};

/// Fields of the kubelet's configuration that Talos sets itself (Talos v1.12 to v1.14
/// `pkg/machinery/kubelet/kubelet.go`).
pub(in super::super) const PROTECTED: [&str; 13] = [
    "apiVersion",
    "authentication",
    "authorization",
    "cgroupRoot",
    "kind",
    "kubeletCgroups",
    "port",
    "protectKernelDefaults",
    "resolvConf",
    "rotateCertificates",
    "systemCgroups",
    "staticPodPath",
    "seccompDefault",
];

/// `node.go`.
pub(super) fn node(root: &Node, report: &mut Report) {
    for subnet in root.items("nodeIP.validSubnets").iter().map(|item| item.text("")) {
        if !is_subnet_or_address(subnet) {
            report.error("nodeIP.validSubnets", format!("nodeIP subnet is not valid: {subnet:?}"));
        }
    }
    labels::validate(root, "", ["labels", "annotations", "taints"], report);
}

/// `kubelet.go`.
pub(super) fn kubelet(root: &Node, report: &mut Report) {
    components::image(root, "kubelet", report);
    let config = root.get("config");
    for field in PROTECTED.iter().filter(|field| config.is_some_and(|config| config.get(field).is_some())) {
        let message = format!("kubelet configuration field {field:?} can't be overridden");
        report.error(format!("config.{field}"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::expect;

    #[test]
    fn nodes_are_judged_as_talos_does() {
        let node = "{apiVersion: v1alpha1, kind: KubeNodeConfig";
        let kubelet = "{apiVersion: v1alpha1, kind: KubeletConfig";
        let long = "a".repeat(256 << 10);
        expect(&[
            (
                &format!(
                    "{node}, nodeIP: {{validSubnets: ['!10.0.0.0/8', '::1']}}, labels: {{a/b: c}}, annotations: {{a: ''}}, taints: {{a: 'b:NoSchedule'}}}}"
                ),
                "",
            ),
            (&format!("{node}, nodeIP: {{validSubnets: [x]}}}}"), "nodeIP.validSubnets: nodeIP subnet is not valid"),
            (&format!("{node}, labels: {{/b: c}}}}"), "labels[\"/b\"]: prefix cannot be empty"),
            (&format!("{node}, labels: {{b: a b}}}}"), "labels[\"b\"]: label value"),
            (
                &format!("{node}, annotations: {{talos.dev/owned-labels: x}}}}"),
                "annotations[\"talos.dev/owned-labels\"]: the annotation is reserved",
            ),
            (&format!("{node}, annotations: {{a: {long}}}}}"), "annotations: total annotation size"),
            (&format!("{node}, taints: {{a: Never}}}}"), "taints[\"a\"]: invalid taint effect"),
            (&format!("{kubelet}, image: 'a:v1.33.0', config: {{maxPods: 200}}}}"), ""),
            (&format!("{kubelet}, config: {{maxPods: 200}}}}"), "image: kubelet image cannot be empty"),
            (&format!("{kubelet}, image: a, config: {{port: 1}}}}"), "config.port: kubelet configuration field"),
        ]);
    }
}
