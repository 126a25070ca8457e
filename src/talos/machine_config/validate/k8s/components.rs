//! The programs of a control plane.
//!
//! Talos also holds the version in an image against its own where it runs (`Local` is not set); what that is, is
//! known to the rules of the node, not here.

use super::super::super::yaml::Node;
use super::{Read, Report};

/// `apiserver.go`.
pub(super) fn api_server(root: &Node, report: &mut Report) {
    const AUTHENTICATION: &str = "use KubeAuthenticationConfig";
    const AUTHORIZATION: &str = "use KubeAuthorizerConfig";
    const DENIED: [(&str, &str); 6] = [
        ("anonymous-auth", AUTHENTICATION),
        ("authentication-config", AUTHENTICATION),
        ("authorization-config", AUTHORIZATION),
        ("authorization-mode", AUTHORIZATION),
        ("authorization-webhook-", AUTHORIZATION),
        ("oidc-", AUTHENTICATION),
    ];
    image(root, "kube-apiserver", report);
    for entry in root.get("extraArgs").and_then(Node::as_mapping).unwrap_or_default() {
        let name = entry.key.as_str().unwrap_or_default();
        for (_, instead) in DENIED.iter().filter(|(prefix, _)| name.starts_with(prefix)) {
            let message = format!("kube-apiserver extra argument {name:?} is not allowed: {instead}");
            report.error(format!("extraArgs.{name}"), message);
        }
    }
    resources(root, report);
}

/// `controller_manager.go`.
pub(super) fn controller_manager(root: &Node, report: &mut Report) {
    if is_enabled(root) {
        image(root, "kube-controller-manager", report);
        resources(root, report);
    }
}

/// `scheduler.go`.
pub(super) fn scheduler(root: &Node, report: &mut Report) {
    if is_enabled(root) {
        image(root, "kube-scheduler", report);
        resources(root, report);
    }
}

/// `proxy.go`.
pub(super) fn proxy(root: &Node, report: &mut Report) {
    if !is_enabled(root) {
        return;
    }
    image(root, "kube-proxy", report);
    match root.text("mode") {
        "" | "nftables" => {}
        mode @ ("iptables" | "ipvs") => {
            report.note("mode", format!("proxy mode {mode:?} is not recommended, use nftables where possible"));
        }
        mode => {
            report.error("mode", format!("invalid proxy mode {mode:?}: it is one of iptables, ipvs and nftables"));
        }
    }
    if super::is_filled(root, "extraArgs") {
        report.note("extraArgs", "extra arguments of kube-proxy may not work as expected, use config instead");
    }
    resources(root, report);
}

/// `flannel.go`.
pub(super) fn flannel(root: &Node, report: &mut Report) {
    if root.text("backendType").is_empty() {
        report.error("backendType", "a backend type must be specified");
    }
    resources(root, report);
}

/// `kubeprism.go`.
pub(super) fn prism(root: &Node, report: &mut Report) {
    if !(1..=65535).contains(&root.int("port")) {
        report.error("port", format!("invalid port {}: must be in range 1-65535", root.int("port")));
    }
}

/// A component that is switched off is not looked at.
fn is_enabled(root: &Node) -> bool {
    root.get("enabled").and_then(Node::as_bool) != Some(false)
}

pub(super) fn image(root: &Node, what: &str, report: &mut Report) {
    if root.text("image").is_empty() {
        report.error("image", format!("{what} image cannot be empty"));
    }
}

/// `common.go`: one complaint is enough.
fn resources(root: &Node, report: &mut Report) {
    for part in ["resources.requests", "resources.limits"] {
        let entries = root.at(part).and_then(Node::as_mapping).unwrap_or_default().iter();
        let mut names = entries.filter_map(|entry| entry.key.as_str());
        if let Some(name) = names.find(|name| !["memory", "cpu"].contains(name)) {
            report.error(part, format!("unsupported pod resource {name:?}"));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{expect, on_control_plane};

    #[test]
    fn components_are_judged_as_talos_does() {
        let limits = "resources: {limits: {cpu: 1, disk: 2}}";
        let mut cases: Vec<(String, &str)> = Vec::new();
        for (kind, what) in [
            ("KubeAPIServerConfig", "kube-apiserver"),
            ("KubeControllerManagerConfig", "kube-controller-manager"),
            ("KubeSchedulerConfig", "kube-scheduler"),
            ("KubeProxyConfig", "kube-proxy"),
        ] {
            let wanted: &'static str = Box::leak(format!("image: {what} image cannot be empty").into_boxed_str());
            cases.push((on_control_plane(kind, "image: 'a:v1.33.0', resources: {requests: {cpu: 1, memory: 2}}"), ""));
            cases.push((on_control_plane(kind, ""), wanted));
            cases.push((
                on_control_plane(kind, &format!("image: 'a:v1.33.0', {limits}")),
                "resources.limits: unsupported pod resource \"disk\"",
            ));
            if kind != "KubeAPIServerConfig" {
                cases.push((on_control_plane(kind, &format!("enabled: false, {limits}")), ""));
            }
        }
        for argument in ["anonymous-auth", "oidc-issuer-url", "authentication-config"] {
            cases.push((
                on_control_plane("KubeAPIServerConfig", &format!("image: a, extraArgs: {{{argument}: x}}")),
                "extraArgs.",
            ));
        }
        let denied = "image: a, extraArgs: {authorization-mode: Node}";
        cases.push((
            on_control_plane("KubeAPIServerConfig", denied),
            "extraArgs.authorization-mode: kube-apiserver extra argument \"authorization-mode\" is not allowed: use KubeAuthorizerConfig",
        ));
        for (mode, wanted) in [
            ("nftables", ""),
            ("ipvs", "note: mode: proxy mode \"ipvs\" is not recommended"),
            ("ebpf", "mode: invalid proxy mode"),
        ] {
            cases.push((on_control_plane("KubeProxyConfig", &format!("image: a, mode: {mode}")), wanted));
        }
        cases.push((on_control_plane("KubeProxyConfig", "image: a, extraArgs: {v: '4'}"), "note: extraArgs: extra"));
        cases.push((on_control_plane("KubeFlannelCNIConfig", "backendType: vxlan"), ""));
        cases.push((on_control_plane("KubeFlannelCNIConfig", ""), "backendType: a backend type"));
        cases.push((
            on_control_plane("KubeFlannelCNIConfig", &format!("backendType: vxlan, {limits}")),
            "resources.limits: unsupported",
        ));
        cases.push((on_control_plane("KubePrismConfig", "port: 7445"), ""));
        cases.push((on_control_plane("KubePrismConfig", ""), "port: invalid port 0"));
        cases.push((on_control_plane("KubePrismConfig", "port: 65536"), "port: invalid port 65536"));
        let cases: Vec<(&str, &str)> = cases.iter().map(|(text, wanted)| (text.as_str(), *wanted)).collect();
        expect(&cases);
    }
}
