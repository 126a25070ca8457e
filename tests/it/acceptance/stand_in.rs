//! Other providers that a configuration names, played by this test binary on our own plugin layer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use async_trait::async_trait;
use talosoci::tfplugin::ephemeral::{EphemeralResource, Opened};
use talosoci::tfplugin::resource::{CreateRequest, DeleteRequest, Outcome, ReadRequest, UpdateRequest};
use talosoci::tfplugin::serve::{self, Program};
use talosoci::tfplugin::{Attribute, Context, DataSource, Diagnostics, Provider, Resource, Schema, Type, Value};

use super::stage::Stage;

/// What is played.
#[derive(Clone, Copy)]
pub enum Role {
    /// `oracle/oci`, as far as an instance and its network card.
    Oracle,
    /// `siderolabs/talos`, as far as `talos_machine_secrets`, which hands out what lies in `talos_machine_secrets.json`.
    Siderolabs,
    /// `pretend/mint`, whose ephemeral resource makes another auth key each time that it is opened.
    Mint,
}

impl Role {
    fn source(self) -> &'static str {
        match self {
            Self::Oracle => "oracle/oci",
            Self::Siderolabs => "siderolabs/talos",
            Self::Mint => "pretend/mint",
        }
    }
}

/// Not a test, but the plugin process of other tests.
#[test]
fn plays_a_provider_when_started_as_a_plugin() {
    let Some(source) = std::env::var_os("PLAY_PROVIDER") else { return };
    let mut greeting = fs::OpenOptions::new().write(true).open("/dev/fd/3").unwrap();
    let program = |name, source| Program { name, version: "0.0.0", about: "a stand-in", source };
    let served = if source == "oracle/oci" {
        serve::serve(&program("terraform-provider-oci", "oracle/oci"), false, || Oracle, &mut greeting)
    } else if source == "pretend/mint" {
        serve::serve(&program("terraform-provider-mint", "pretend/mint"), false, || Mint, &mut greeting)
    } else {
        serve::serve(&program("terraform-provider-talos", "siderolabs/talos"), false, || Siderolabs, &mut greeting)
    };
    std::process::exit(i32::from(served.is_err()));
}

/// Makes the CLI take this test binary, started so that only the handshake is on stdout, for another provider.
pub fn play(stage: &Stage, role: Role) {
    let source = role.source();
    let (_, name) = source.split_once('/').unwrap();
    let plugins = stage.folder.path().join(format!("plugins-{name}"));
    fs::create_dir(&plugins).unwrap();
    let path = plugins.join(format!("terraform-provider-{name}"));
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec 3>&1 1>/dev/null\nPLAY_PROVIDER={source} PLAY_FOLDER='{}' exec '{}' --exact --nocapture \
         acceptance::stand_in::plays_a_provider_when_started_as_a_plugin\n",
        stage.folder.path().display(),
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("  dev_overrides {{\n    {source:?} = {plugins:?}\n");
    stage.replace("cli.tfrc", "  dev_overrides {\n", &line);
}

struct Oracle;

#[async_trait]
impl Provider for Oracle {
    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _ctx: &Context, _config: Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        vec![("oci_core_instance", Arc::new(Instance))]
    }

    fn data_sources(&self) -> Vec<(&'static str, Arc<dyn DataSource>)> {
        let id = || Type::object([("vnic_id".to_owned(), Type::String)]);
        let attachments = Unread(vec![
            Attribute::string("compartment_id").required(),
            Attribute::string("instance_id").optional(),
            Attribute::plain("vnic_attachments", Type::list(id())).computed(),
        ]);
        let vnic = Unread(vec![Attribute::string("vnic_id").required(), Attribute::string("mac_address").computed()]);
        vec![("oci_core_vnic_attachments", Arc::new(attachments)), ("oci_core_vnic", Arc::new(vnic))]
    }
}

/// A data source of an instance that is not there yet.
struct Unread(Vec<Attribute>);

#[async_trait]
impl DataSource for Unread {
    fn schema(&self) -> Schema {
        Schema::new(self.0.clone())
    }

    async fn read(&self, _ctx: &Context, _config: Value) -> Outcome {
        unreachable!("no test gets that far")
    }
}

struct Instance;

#[async_trait]
impl Resource for Instance {
    fn schema(&self) -> Schema {
        let text = |name: &str| Attribute::string(name).optional();
        // Written as blocks, which the CLI allows for a list of objects.
        let block = |name: &str, fields: &[(&str, Type)]| {
            let fields = fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
            Attribute::plain(name, Type::list(Type::Object(fields))).optional()
        };
        let vnic = [("subnet_id", Type::String), ("private_ip", Type::String), ("assign_public_ip", Type::Bool)];
        Schema::new([
            Attribute::string("display_name").required(),
            text("availability_domain"),
            text("compartment_id"),
            text("shape"),
            block("shape_config", &[("ocpus", Type::Number), ("memory_in_gbs", Type::Number)]),
            block("create_vnic_details", &vnic),
            block("source_details", &[("source_type", Type::String), ("source_id", Type::String)]),
            Attribute::map("metadata", Type::String).optional(),
            Attribute::string("id").computed(),
            Attribute::string("public_ip").computed(),
            Attribute::string("private_ip").computed(),
            Attribute::string("mac_address").computed(),
        ])
    }

    async fn create(&self, _ctx: &Context, request: CreateRequest) -> Outcome {
        let mut state = request.planned;
        let name = state.get("display_name").as_str().unwrap_or_default().to_owned();
        let number = &name[name.len() - 1..];
        state.set("id", format!("ocid1.instance.oc1..{name}"));
        state.set("public_ip", "127.0.0.1");
        state.set("private_ip", format!("10.0.0.21{number}"));
        state.set("mac_address", format!("02:00:17:AB:CD:0{number}"));
        Outcome::state(state)
    }

    async fn read(&self, _ctx: &Context, request: ReadRequest) -> Outcome {
        Outcome::state(request.state)
    }

    async fn update(&self, _ctx: &Context, request: UpdateRequest) -> Outcome {
        Outcome::state(request.planned)
    }

    async fn delete(&self, _ctx: &Context, _request: DeleteRequest) -> Outcome {
        Outcome::gone()
    }
}

struct Mint;

#[async_trait]
impl Provider for Mint {
    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _ctx: &Context, _config: Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn ephemeral_resources(&self) -> Vec<(&'static str, Arc<dyn EphemeralResource>)> {
        vec![("mint_key", Arc::new(Key))]
    }
}

struct Key;

#[async_trait]
impl EphemeralResource for Key {
    fn schema(&self) -> Schema {
        Schema::new([Attribute::string("key").computed().sensitive()])
    }

    async fn open(&self, _ctx: &Context, _config: Value) -> Opened {
        let path = format!("{}/minted", std::env::var("PLAY_FOLDER").unwrap());
        let minted = fs::read_to_string(&path).map_or(0, |text| text.parse::<u32>().unwrap()) + 1;
        fs::write(&path, minted.to_string()).unwrap();
        Opened::result(Value::object([("key", format!("tskey-auth-minted{minted}").into())]))
    }
}

struct Siderolabs;

#[async_trait]
impl Provider for Siderolabs {
    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _ctx: &Context, _config: Value) -> Diagnostics {
        Diagnostics::new()
    }

    fn resources(&self) -> Vec<(&'static str, Arc<dyn Resource>)> {
        vec![("talos_machine_secrets", Arc::new(MachineSecrets))]
    }
}

/// `talos_machine_secrets`: names, nesting, what is sensitive and what is computed, as version 1 of its schema has them
/// (siderolabs/terraform-provider-talos, pkg/talos/talos_machine_secrets_resource.go).
struct MachineSecrets;

#[async_trait]
impl Resource for MachineSecrets {
    fn schema(&self) -> Schema {
        let open = |name: &str| Attribute::string(name).computed();
        let hidden = |name: &str| Attribute::string(name).computed().sensitive();
        let pair = |name: &str| Attribute::object(name, [open("cert"), hidden("key")]).computed();
        let secrets =
            [hidden("bootstrap_token"), hidden("secretbox_encryption_secret"), hidden("aescbc_encryption_secret")];
        let account = Attribute::object("k8s_serviceaccount", [hidden("key")]).computed();
        let machine_secrets = [
            Attribute::object("cluster", [open("id"), hidden("secret")]).computed(),
            Attribute::object("secrets", secrets).computed(),
            Attribute::object("trustdinfo", [hidden("token")]).computed(),
            Attribute::object("certs", [pair("etcd"), pair("k8s"), pair("k8s_aggregator"), account, pair("os")])
                .computed(),
        ];
        let client = [open("ca_certificate"), open("client_certificate"), hidden("client_key")];
        Schema::new([
            Attribute::string("id").computed().use_state_for_unknown(),
            Attribute::string("talos_version").computed().optional(),
            Attribute::object("machine_secrets", machine_secrets).computed(),
            Attribute::object("client_configuration", client).computed(),
        ])
        .version(1)
    }

    async fn create(&self, _ctx: &Context, request: CreateRequest) -> Outcome {
        let folder = std::env::var("PLAY_FOLDER").unwrap();
        let text = fs::read_to_string(format!("{folder}/talos_machine_secrets.json")).unwrap();
        let made: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut state = request.planned;
        state.set("id", "machine_secrets");
        if state.get("talos_version").is_unknown() {
            state.set("talos_version", "v1.12");
        }
        for name in ["machine_secrets", "client_configuration"] {
            state.set(name, value(&made[name]));
        }
        Outcome::state(state)
    }

    async fn read(&self, _ctx: &Context, request: ReadRequest) -> Outcome {
        Outcome::state(request.state)
    }

    async fn update(&self, _ctx: &Context, request: UpdateRequest) -> Outcome {
        Outcome::state(request.planned)
    }

    async fn delete(&self, _ctx: &Context, _request: DeleteRequest) -> Outcome {
        Outcome::gone()
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Object(entries) => Value::object(entries.iter().map(|(name, json)| (name, value(json)))),
        serde_json::Value::Null => Value::Null,
        text => Value::from(text.as_str().unwrap()),
    }
}
