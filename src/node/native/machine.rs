//! What lies over the generated configuration, but for the network card.

use super::{MachineDraft, Map, ServiceDraft, Work, strings};
use crate::node::checks::Open;
use crate::node::given::Given;
use crate::talos::machine_config::yaml::{Node, emit};
use crate::talos::secret::Secret;

impl Work<'_> {
    /// What lies over the generated configuration.
    pub(super) fn patches(&mut self, machine: &MachineDraft) -> Vec<Secret<String>> {
        let mut documents = Vec::new();
        let settings = self.settings(machine);
        if !settings.is_empty() {
            documents.push(Node::mapping([("machine", Node::mapping(settings))]));
        }
        match &machine.extension_services {
            Given::Unknown => self.open.services = true,
            Given::Absent => {}
            Given::Value(services) => {
                let services = services.iter().filter_map(|service| match service {
                    Given::Value(service) => self.service(service),
                    _ => {
                        self.open.services = true;
                        None
                    }
                });
                documents.extend(services.collect::<Vec<_>>());
            }
        }
        match &machine.network {
            Given::Value(network) => documents.extend(self.network(network)),
            Given::Unknown => {
                for open in
                    [&mut self.open.addresses, &mut self.open.link, &mut self.open.routes, &mut self.open.nameservers]
                {
                    *open = true;
                }
            }
            Given::Absent => {}
        }
        documents.iter().map(|document| Secret::new(emit([document]))).collect()
    }

    fn settings(&mut self, machine: &MachineDraft) -> Vec<(&'static str, Node)> {
        let mut settings = Vec::new();
        let mut kubelet = Vec::new();
        let subnets = self.list(&machine.node_ip_subnets, |open| &mut open.node_ip);
        if !subnets.is_empty() {
            kubelet.push(("nodeIP", Node::mapping([("validSubnets", strings(subnets))])));
        }
        if let Some(image) = self.text(&machine.kubelet_image, |open| &mut open.kubernetes) {
            kubelet.push(("image", Node::string(image)));
        }
        if !kubelet.is_empty() {
            settings.push(("kubelet", Node::mapping(kubelet)));
        }
        self.open.other |= machine.kubespan.is_unknown();
        if let Some(on) = machine.kubespan.value() {
            let kubespan = Node::mapping([("enabled", Node::boolean(*on))]);
            settings.push(("network", Node::mapping([("kubespan", kubespan)])));
        }
        for (key, given) in [("nodeLabels", &machine.node_labels), ("nodeTaints", &machine.node_taints)] {
            let pairs = self.pairs(given, |open| &mut open.other);
            if !pairs.is_empty() {
                let pairs = pairs.into_iter().map(|(name, value)| (name, Node::string(value.expose().clone())));
                settings.push((key, Node::mapping(pairs)));
            }
        }
        settings
    }

    fn pairs(&mut self, given: &Map, open: fn(&mut Open) -> &mut bool) -> Vec<(String, Secret<String>)> {
        *open(&mut self.open) |= given.is_unknown();
        let mut pairs = Vec::new();
        for (name, value) in given.value().into_iter().flatten() {
            match value {
                Given::Value(value) => pairs.push((name.clone(), value.clone())),
                Given::Unknown => {
                    *open(&mut self.open) = true;
                    pairs.push((name.clone(), Secret::new("unknown".to_owned())));
                }
                Given::Absent => {}
            }
        }
        pairs
    }

    fn service(&mut self, service: &ServiceDraft) -> Option<Node> {
        let name = self.text(&service.name, |open| &mut open.services)?;
        let mut fields = vec![
            ("apiVersion", Node::string("v1alpha1")),
            ("kind", Node::string("ExtensionServiceConfig")),
            ("name", Node::string(name)),
        ];
        self.open.services |= service.config_files.is_unknown();
        let files: Vec<Node> = service
            .config_files
            .value()
            .into_iter()
            .flatten()
            .map(|(content, path)| {
                self.open.services |= content.is_unknown() || path.is_unknown();
                let content = content.value().map(|content| content.expose().clone()).unwrap_or_default();
                let path = path.value().cloned().unwrap_or_default();
                Node::mapping([("content", Node::string(content)), ("mountPath", Node::string(path))])
            })
            .collect();
        if !files.is_empty() {
            fields.push(("configFiles", Node::sequence(files)));
        }
        let pairs = self.pairs(&service.environment, |open| &mut open.services);
        if !pairs.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", value.expose()));
            fields.push(("environment", strings(pairs)));
        }
        Some(Node::mapping(fields))
    }
}
