//! Attributes of `talosoci_node`.

use crate::provider::door;
use crate::provider::node::renewed;
use crate::provider::settings::client_configuration_attribute;
use crate::tfplugin::schema::{Attribute, Schema};
use crate::tfplugin::types::Type;

/// The schema.
pub fn schema() -> Schema {
    let mut attributes = identity();
    attributes.extend([image(), flash()]);
    attributes.extend(configuration());
    attributes.extend(access());
    attributes.extend(behaviour());
    attributes.extend(computed());
    Schema::new(attributes).description(
        "Takes an Oracle Cloud instance from a rescue shell to a joined worker of a Talos cluster: flashes the disk over \
         SSH, boots Talos, carries the machine through a temporary control plane to the wanted schematic, gives it its \
         real worker configuration and proves that it joined.\n\nA create that fails or is interrupted stores nothing \
         and leaves the machine where it is: the next apply looks at the machine, skips what is done and goes on.\n\n\
         Later changes take the cheapest way, which `steps` names at plan: another configuration is applied, another \
         version or schematic is upgraded to in place (before the configuration), a new `instance_id` or `reflash` \
         replaces the node. Only what the node itself shows counts as drift; a node that cannot be reached keeps its \
         state.\n\nA node that exists is imported by `ENDPOINT`, `HOSTNAME@ENDPOINT` or `HOSTNAME@ENDPOINT:PORT` (PORT is \
         `talos_port`), with the credentials of the provider block. What a node cannot tell of itself is not in the \
         imported state: a `flash` other than `{ method = \"none\" }` and a plain `machine_configuration` show in the \
         first plan as an update with no steps, which only notes them. With `machine_configuration_wo` and \
         `flash = { method = \"none\" }` the plan after an import is empty if the configuration is the node's own.\n\nThe guides \
         \"Three doors for a configuration\" and \"What a plan checks\" tell more.",
    )
}

fn identity() -> Vec<Attribute> {
    vec![
        Attribute::string("hostname").computed().optional().description(
            "Name of the node: lower-case letters, digits and hyphens, and dots where it has a domain. Its first label \
             becomes the Kubernetes node name, or the whole with `machine.kubelet.registerWithFQDN`. Where the machine \
             configuration leaves the name open, it is set; where it names another, that is an error. Default: the \
             name in the machine configuration.",
        ),
        Attribute::string("endpoint")
            .required()
            .description("Address where SSH and the Talos API answer, such as the instance's public IP. Must stand in `machine.certSANs`. \
             After a change the machine of the state must be what answers there (step `verify`), before anything is said to it."),
        Attribute::number("talos_port")
            .optional()
            .default(50000)
            .description("Port of the Talos API."),
        Attribute::string("instance_id").computed().optional().use_state_for_unknown().description(
            "OCID of the instance. A change means a new machine: the node is replaced. Learned from the node when not set.",
        ),
        Attribute::string("reflash").optional().description(
            "Any text; a change replaces the node, which flashes the machine anew, also over the Talos node on its disk. The \
             first value after an import is only noted.",
        ),
    ]
}

fn image() -> Attribute {
    Attribute::object(
        "image",
        [
            Attribute::string("talos_version").optional().description("Talos version, at least v1.12."),
            Attribute::string("schematic_id").optional().description("Schematic whose extensions must be active."),
            Attribute::string("schematic_yaml")
                .optional()
                .description("The schematic itself: lets the plan check that it has the extensions that are needed."),
            Attribute::string("url").optional().description("Compressed disk image. Needed to flash."),
            Attribute::string("installer").optional().description(
                "Installer with the same schematic and version. Default: \
                 `factory.talos.dev/oracle-installer/SCHEMATIC:VERSION`.",
            ),
            Attribute::string("sha256").optional().description("Pinned SHA-256 of the compressed disk image."),
        ],
    )
    .optional()
    .description(
        "What the node runs: `talosoci_image.NAME` as a whole. Default with `talconfig`: the version and schematic that it \
         names, as an arm64 image of the provider's Image Factory.",
    )
}

fn flash() -> Attribute {
    let ssh = Attribute::object(
        "ssh",
        [
            Attribute::string("host").optional().description("Host. Default: `endpoint`. A helper that the disk is attached to has another, and is not rebooted: the create then waits for the disk to be moved back."),
            Attribute::number("port").optional().default(22).description("Port."),
            Attribute::string("user").optional().description(
                "User: root, or one with password-less sudo. Default: that of the provider block, else `root`.",
            ),
            Attribute::string("private_key").optional().sensitive().description("Private key, as text."),
            Attribute::string("private_key_wo")
                .optional()
                .write_only()
                .description("Private key, as text; never stored."),
            Attribute::bool("agent").optional().description("Use the keys of the running SSH agent."),
            Attribute::string("host_key").optional().description(
                "Pinned host key of the rescue system: OpenSSH lines (`ssh-ed25519 AAAA…`) or `SHA256:` fingerprints, \
                 one a line.",
            ),
            Attribute::string("known_hosts")
                .optional()
                .description("Content of a known_hosts file that lists the host."),
            Attribute::string("host_key_policy")
                .optional()
                .default("strict")
                .description("`strict` needs `host_key` or `known_hosts`; `accept-new` trusts whatever answers first, for one apply."),
        ],
    )
    .optional()
    .description("The rescue shell.");
    Attribute::object(
        "flash",
        [
            Attribute::string("method")
                .optional()
                .default("ssh")
                .description(
                    "`ssh`: write the disk from a rescue shell, from which it is free. `in_place`: overwrite the disk of the \
                     system that runs, such as the Ubuntu that the instance was launched with. All that is needed is brought \
                     into its RAM and checked there (some 200 MiB must be free); then services are stopped, file systems become \
                     read-only, the image is written, read back, and the machine reboots, all without a connection. Until the \
                     first byte is written nothing is lost. If the disk then does not return what was written, its first MiB \
                     stays empty and the machine is left running from RAM without a system to boot: its boot volume must be \
                     flashed from another instance. Root on LVM (Oracle Linux' own images), LUKS, RAID, multipath, iSCSI (bare \
                     metal) or a network is refused. `none`: the machine already runs Talos in maintenance mode.",
                ),
            Attribute::string("disk").optional().description("Disk that is overwritten, such as `/dev/sda`. Never guessed. Default: the install disk of `talconfig` or `machine`."),
            Attribute::string("source")
                .optional()
                .default("push")
                .description(
                    "`push`: the image is sent over SSH, about 140 MB; the rescue system needs no internet. `pull`: the rescue \
                     system downloads it, with curl or wget and xz or zstd, which is faster behind a slow uplink; it is \
                     downloaded here as well, to compare every byte that is written with it.",
                ),
            Attribute::string("zero")
                .optional()
                .default("partitions")
                .description(
                    "Which zero ranges of the image are written: all inside `partitions` and partition tables, only those \
                     `needed` by someone who reads them, or `all`.",
                ),
            Attribute::bool("allow_root_disk")
                .optional()
                .default(false)
                .description("Allow the disk that the rescue system runs from, or one that is mounted or held."),
            ssh,
        ],
    )
    .required()
    .description("How the image comes onto the disk.")
}

fn configuration() -> Vec<Attribute> {
    let mut attributes = vec![
        Attribute::string("machine_configuration").optional().sensitive().description(
            "The real worker configuration, as YAML: from `talos_machine_configuration`, talhelper, or a file. Kept in \
             the state; use `machine_configuration_wo` to keep it out. Exactly one of these two, `talconfig`, and \
             `machine` with `cluster` is set.",
        ),
        Attribute::string("machine_configuration_wo")
            .optional()
            .write_only()
            .description("The real worker configuration, never stored: the state holds its hash, which shows changes."),
        Attribute::string("activation")
            .optional()
            .default("upgrade")
            .description(
                "How the system extensions become active. `upgrade`: through a temporary control plane that is \
                 bootstrapped and upgraded to the installer. `auto` (recommended): the same, but only when they are not \
                 active in maintenance mode already; in an image of the Image Factory they are, which saves minutes. \
                 `none`: the worker configuration goes straight to maintenance mode, over a connection that nothing \
                 authenticates.",
            ),
    ];
    attributes.extend(door::schema::attributes());
    attributes.extend([door::schema::config_patches(), door::schema::config_patches_wo()]);
    attributes.push(Attribute::number(renewed::VERSION).optional().description(
        "Set it where a write-only value is made anew at each run, such as an auth key of an ephemeral resource: what \
         `machine_configuration_wo`, `config_patches_wo`, `talconfig.env_wo`, and `environment_wo` and `content_wo` in \
         `machine` hold is then not compared. It is applied with the next change of this number or of anything else in the \
         configuration, and when the node shows another configuration than it was given. Write-only values that stay the \
         same do not need it: their hash shows when they change.",
    ));
    attributes
}

fn access() -> Vec<Attribute> {
    vec![
        client_configuration_attribute(
            "Client credentials of the cluster that the node joins. Default: those of the provider block.",
        ),
        Attribute::plain(
            "client_configuration_wo",
            Type::object([
                ("ca_certificate", Type::String),
                ("client_certificate", Type::String),
                ("client_key", Type::String),
            ]),
        )
        .optional()
        .write_only()
        .description("The same, never stored."),
        Attribute::string("kubeconfig").optional().sensitive().description(
            "Kubeconfig of the cluster, as text: proves that the node is Ready. Default: that of the provider block.",
        ),
        Attribute::string("kubeconfig_wo").optional().write_only().description("The same, never stored."),
    ]
}

fn behaviour() -> Vec<Attribute> {
    let timeout = |name: &str, text: &str| Attribute::string(name).optional().description(text);
    vec![
        Attribute::object(
            "join",
            [
                Attribute::bool("kubernetes").optional().description("The Kubernetes node must be Ready. Default: whether there is a kubeconfig."),
                Attribute::bool("extensions").optional().default(true).description("The extension services must run."),
                timeout("timeout", "Limit for joining, such as `15m` (the default)."),
            ],
        )
        .optional()
        .description("What must hold before the create is done, beside an answer to the cluster's own credentials."),
        Attribute::string("apply_mode")
            .optional()
            .default("auto")
            .description(
                "How a later change of the configuration is applied. `auto`: live where the release can, with a reboot where \
                 it must (Talos 1.14 never reboots by itself). `no_reboot`: live, or an error. `staged`: at the next reboot, \
                 whenever that is. `reboot`: with a reboot now.",
            ),
        Attribute::bool("drain").optional().default(true).description(
            "Cordon and drain the node before an upgrade or reboot, and uncordon it afterwards, always. Needs a kubeconfig.",
        ),
        Attribute::object(
            "on_destroy",
            [
                Attribute::bool("reset").optional().default(false).description(
                    "Wipe STATE and EPHEMERAL, never the whole disk: the machine is back in maintenance mode with its image.",
                ),
                Attribute::bool("graceful").optional().default(true).description("Leave the cluster in good order while resetting."),
                Attribute::bool("reboot").optional().default(true).description("Boot into maintenance mode after the reset instead of powering off."),
                Attribute::bool("remove_kubernetes_node").optional().default(false).description("Delete the Kubernetes node."),
            ],
        )
        .optional()
        .description(
            "What a destroy does to the machine. Default: nothing, only the state is dropped. Must be applied before the \
             destroy. A machine that cannot be reached, or refuses, is let go with a warning, and its Kubernetes node is \
             uncordoned again.",
        ),
        Attribute::bool("force")
            .optional()
            .default(false)
            .description(
                "When a Talos node of another cluster answers at the address, wait for the machine's rescue shell instead of \
                 failing at once; and overwrite a disk on which that shell finds a Talos node. No node is touched while it runs: \
                 whoever boots its rescue system gives it up.",
            ),
        Attribute::object(
            "timeouts",
            [timeout("create", "Limit for a create. Default: `45m`."), timeout("update", "Limit for an update. Default: `45m`."), timeout("delete", "Limit for a destroy. Default: `15m`.")],
        )
        .optional()
        .description("Limits, as durations such as `30m`."),
    ]
}

fn computed() -> Vec<Attribute> {
    vec![
        Attribute::string("id").computed().use_state_for_unknown().description("UUID of the machine."),
        Attribute::string("phase").computed().description("How far the node has come: `joined`; `changing` after an update that failed halfway; `cordoned` after a run that was cut off while its pods were away, which the next apply sets right."),
        Attribute::list("steps", Type::String)
            .computed()
            .description("What the last apply was to run, known at plan, such as `[\"image\", \"flash\", \"boot\", …]`, `[\"apply\"]`, `[\"verify\"]` or `[\"uncordon\"]`."),
        Attribute::string("config_hash").computed().description("Hash of the configuration's content; formatting and order do not matter."),
        Attribute::string("image_hash").computed().description("Hash of the schematic and version that the node is to run."),
        Attribute::list("config_changes", Type::String)
            .computed()
            .description("Paths that the last change of the configuration touched; values are masked unless known to be harmless."),
        Attribute::bool("reboot_expected").computed().description("Whether the last planned change reboots the node, by the rules of its Talos version."),
        Attribute::string("talos_version").computed().description("Talos version that the node runs."),
        Attribute::string("schematic_id").computed().description("Schematic that is active on the node."),
        Attribute::list_of_objects(
            "extensions",
            [
                Attribute::string("name").computed().description("Name."),
                Attribute::string("version").computed().description("Version."),
            ],
        )
        .computed()
        .description("System extensions that are active on the node."),
        Attribute::string("platform").computed().description("Platform that the node runs as: `oracle`."),
        Attribute::string("machine_uuid").computed().use_state_for_unknown().description("UUID of the machine."),
        Attribute::string("node_name").computed().description("Name of the Kubernetes node."),
        Attribute::list("addresses", Type::String).computed().description("Addresses of the node."),
    ]
}
