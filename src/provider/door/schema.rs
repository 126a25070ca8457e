//! Attributes of the doors that are shared.

use crate::tfplugin::schema::Attribute;
use crate::tfplugin::types::Type;

/// `talconfig`, `machine` and `cluster`.
pub fn attributes() -> Vec<Attribute> {
    vec![talconfig(), machine(), cluster()]
}

/// `config_patches`.
pub fn config_patches() -> Attribute {
    Attribute::list("config_patches", Type::String).optional().sensitive().description(
        "Patches laid over the configuration, in order: strategic merge patches or JSON patches, as `talosctl` takes them.",
    )
}

/// `config_patches_wo`.
pub fn config_patches_wo() -> Attribute {
    Attribute::list("config_patches_wo", Type::String)
        .optional()
        .write_only()
        .description("Further patches, laid over the result; never stored.")
}

fn talconfig() -> Attribute {
    Attribute::object(
        "talconfig",
        [
            Attribute::string("path").required().description("talconfig.yaml."),
            Attribute::string("node").required().description("Host name of the node in it."),
            Attribute::string("secrets_file").optional().description(
                "talsecret.yaml of the cluster, plain or encrypted with SOPS. Default: one of talhelper's usual names beside \
                 talconfig.yaml.",
            ),
            Attribute::list("env_files", Type::String).optional().description(
                "Files with the variables of talconfig.yaml, plain or encrypted with SOPS; later ones win. Default: \
                 talhelper's usual names beside talconfig.yaml. The environment of the process is never read.",
            ),
            Attribute::map("env", Type::String).optional().sensitive().description("Variables over those of the files. Kept in the state."),
            Attribute::map("env_wo", Type::String).optional().write_only().description("The same, never stored."),
            Attribute::string("age_key_file").optional().description(
                "File with the age keys that open the SOPS files. Also tried: `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, \
                 `SOPS_AGE_KEY_CMD`, the SSH keys, and the default place, as sops does.",
            ),
        ],
    )
    .optional()
    .description(
        "The node as talhelper's talconfig.yaml has it. The files are read, decrypted and rendered in memory; the state holds \
         their names and a hash of the result. `hostname`, `image`, `flash.disk` and the client credentials come from \
         there too where they are not set.",
    )
}

fn machine() -> Attribute {
    let file = [
        Attribute::string("content").optional().sensitive().description("Content."),
        Attribute::string("content_wo").optional().write_only().description("Content, never stored."),
        Attribute::string("mount_path").required().description("Path in the service's container."),
    ];
    let service = [
        Attribute::string("name").required().description("Name, such as `tailscale`."),
        Attribute::map("environment", Type::String).optional().sensitive().description("Variables. Kept in the state."),
        Attribute::map("environment_wo", Type::String)
            .optional()
            .write_only()
            .description("Variables, never stored; they win over `environment`."),
        Attribute::list_of_objects("config_files", file).optional().description("Files that the service reads."),
    ];
    Attribute::object(
        "machine",
        [
            Attribute::string("install_disk").optional().description("Disk that Talos lies on. Also the default of `flash.disk`."),
            Attribute::list("cert_sans", Type::String).optional().description(
                "Names and addresses on the node's certificate: its public IP, which Oracle Cloud translates, and its private one.",
            ),
            network(),
            Attribute::list("node_ip_subnets", Type::String)
                .optional()
                .description("Subnets that the kubelet takes the node's address from; `!` before one excludes it."),
            Attribute::list_of_objects("extension_services", service).optional().description("Services of system extensions."),
            Attribute::bool("kubespan").optional().description("Whether KubeSpan is on."),
            Attribute::map("node_labels", Type::String).optional().description("Labels of the Kubernetes node."),
            Attribute::map("node_taints", Type::String).optional().description("Taints of the Kubernetes node, as `value:effect`."),
            Attribute::string("kubelet_image").optional().description("Kubelet. Default: that of `cluster.kubernetes_version`."),
            Attribute::string("token").optional().sensitive().description("Token for trustd, unless the cluster's `secrets` hold it."),
            Attribute::string("token_wo").optional().write_only().description("The same, never stored."),
            Attribute::string("ca").optional().description(
                "Authority of the Talos API, as base64 of PEM, unless the cluster's `secrets` hold it.",
            ),
        ],
    )
    .optional()
    .description("The machine's part of the configuration, as attributes; together with `cluster`. All else is a patch.")
}

fn network() -> Attribute {
    let route = [
        Attribute::string("network").required().description("Destination."),
        Attribute::string("gateway").optional().description("Next hop; without one, what is on the link."),
    ];
    Attribute::object(
        "network",
        [
            Attribute::string("address")
                .optional()
                .description("Private IP with prefix length, such as `10.0.0.214/24`."),
            Attribute::string("mac_address")
                .optional()
                .description("MAC address of the instance's VNIC, which tells the network card."),
            Attribute::string("interface")
                .optional()
                .description("Name of the network card, instead of `mac_address`."),
            Attribute::string("gateway").optional().description("Default gateway."),
            Attribute::list_of_objects("routes", route).optional().description(
                "Further routes. Oracle's metadata service and resolver need `169.254.0.0/16` without a gateway.",
            ),
            Attribute::bool("dhcp").optional().description("Set the network card up by DHCP."),
            Attribute::list("nameservers", Type::String)
                .optional()
                .description("Resolvers; Oracle's is `169.254.169.254`."),
        ],
    )
    .optional()
    .description("The network card. Without it, Talos uses DHCP.")
}

fn cluster() -> Attribute {
    Attribute::object(
        "cluster",
        [
            Attribute::string("name").optional().description("Name."),
            Attribute::string("endpoint")
                .optional()
                .description("URL of the Kubernetes API, such as `https://192.168.1.50:6443`."),
            Attribute::string("kubernetes_version")
                .optional()
                .description("Kubernetes version of the cluster, such as `v1.35.0`."),
            Attribute::list("pod_subnets", Type::String)
                .optional()
                .description("Subnets of pods. Default: `10.244.0.0/16`."),
            Attribute::list("service_subnets", Type::String)
                .optional()
                .description("Subnets of services. Default: `10.96.0.0/12`."),
            secrets(),
            Attribute::plain("secrets_wo", secrets().value_type())
                .optional()
                .write_only()
                .description("The same, never stored."),
            Attribute::string("secrets_file")
                .optional()
                .description("talsecret.yaml of the cluster, plain or encrypted with SOPS, instead of `secrets`."),
            Attribute::string("age_key_file")
                .optional()
                .description("File with the age keys that open `secrets_file`."),
            Attribute::string("id").optional().description("Identity in discovery, unless `secrets` hold it."),
            Attribute::string("secret")
                .optional()
                .sensitive()
                .description("Secret of discovery, unless `secrets` hold it."),
            Attribute::string("secret_wo").optional().write_only().description("The same, never stored."),
            Attribute::string("token")
                .optional()
                .sensitive()
                .description("Bootstrap token of Kubernetes, unless `secrets` hold it."),
            Attribute::string("token_wo").optional().write_only().description("The same, never stored."),
            Attribute::string("ca")
                .optional()
                .description("Authority of Kubernetes, as base64 of PEM, unless `secrets` hold it."),
        ],
    )
    .optional()
    .description("The cluster's part of the configuration, as attributes; together with `machine`.")
}

/// The object as the siderolabs provider shapes it.
fn secrets() -> Attribute {
    let text = |name: &str| Attribute::string(name).optional().sensitive().description("As in the object.");
    let pair =
        |name: &str| Attribute::object(name, [text("cert"), text("key")]).optional().description("As in the object.");
    let key = Attribute::object("k8s_serviceaccount", [text("key")]).optional().description("As in the object.");
    Attribute::object(
        "secrets",
        [
            Attribute::object("cluster", [text("id"), text("secret")]).optional().description("As in the object."),
            Attribute::object(
                "secrets",
                [text("bootstrap_token"), text("secretbox_encryption_secret"), text("aescbc_encryption_secret")],
            )
            .optional()
            .description("As in the object."),
            Attribute::object("trustdinfo", [text("token")]).optional().description("As in the object."),
            Attribute::object("certs", [pair("etcd"), pair("k8s"), pair("k8s_aggregator"), key, pair("os")])
                .optional()
                .description("As in the object."),
        ],
    )
    .optional()
    .sensitive()
    .description(
        "`talos_machine_secrets.NAME.machine_secrets` of the siderolabs provider, as it is. Kept in the state.",
    )
}
