//! A world, a machine in it, and a folder with a configuration for it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use talosoci::sim::{Event, NodeOptions, SimNode, World, WorldOptions};
use talosoci::talos::secrets::SecretsBundle;
use tempfile::TempDir;
use tokio::process::Command;

/// The guide's worker configuration, as talhelper renders it.
pub const CONFIG: &str = include_str!("../../golden/guide/expected-talhelper-3.1.16.yaml");

const SECRETS: &str = include_str!("../../golden/guide/talsecret.yaml");

/// Longest run of one command: far beyond what any of them needs.
const COMMAND: Duration = Duration::from_secs(240);

/// Everything one test plays on.
pub struct Stage {
    pub world: World,
    pub node: SimNode,
    pub folder: TempDir,
    cli: PathBuf,
}

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self
    }

    pub fn failed(self) -> Self {
        assert_ne!(self.code, Some(0), "{}", self.text);
        self
    }

    /// The text without the frame and line breaks of a diagnostic.
    pub fn plain(&self) -> String {
        let text: String = self.text.chars().map(|c| if "│╷╵\n".contains(c) { ' ' } else { c }).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn says(self, part: &str) -> Self {
        assert!(self.plain().contains(part), "{part:?} is not in:\n{}", self.text);
        self
    }
}

impl Stage {
    /// A world with the guide's cluster and cloudbox2 in its rescue shell; `None` without a CLI.
    pub async fn new(talos: &str) -> Option<Self> {
        Self::with(talos, NodeOptions::default()).await
    }

    pub async fn with(talos: &str, options: NodeOptions) -> Option<Self> {
        let Some(cli) = cli() else {
            eprintln!("skipped: neither terraform nor tofu was found");
            return None;
        };
        let secrets = SecretsBundle::parse(SECRETS).expect("the golden secrets are a bundle");
        let world = World::start_with(WorldOptions { secrets: Some(secrets), ..WorldOptions::default() })
            .await
            .expect("the world starts on loopback");
        let node = world.add_node(options).await.expect("a node starts on loopback");
        let folder = TempDir::new().expect("a temporary folder");
        let stage = Self { world, node, folder, cli };
        stage.write("cli.tfrc", &cli_configuration());
        stage.write("cloudbox2.yaml", CONFIG);
        stage.write("main.tf", include_str!("main.tf"));
        stage.replace("main.tf", "\"v1.12.2\"", &format!("{talos:?}"));
        stage.describe();
        Some(stage)
    }

    /// Writes a file of the configuration, with the folders that it lies in.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder is writable");
        fs::write(path, text).expect("the folder is writable");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Changes a file of the configuration; the text must be there.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert!(text.contains(old), "{old:?} is not in {name}");
        self.write(name, &text.replace(old, new));
    }

    /// Writes what the simulator's example would write about itself.
    fn describe(&self) {
        let folder = self.folder.path();
        let host = self.node.host().to_string();
        let at = |name: &str| folder.join("simulator").join(name).display().to_string();
        self.write(
            "simulator/talosconfig",
            &self.world.talosconfig(vec![host.clone()]).expect("the world has an authority"),
        );
        self.write("simulator/kubeconfig", &self.world.kubeconfig().expect("the world has an authority"));
        self.write("simulator/id_ed25519", &self.world.ssh_keys().private_openssh());
        let cloud = serde_json::json!({
            "factory_url": self.world.factory_url(),
            "talosconfig": at("talosconfig"),
            "kubeconfig": at("kubeconfig"),
            "ssh": { "user": "ubuntu", "private_key_path": at("id_ed25519") },
            "nodes": [{
                "host": host,
                "talos_port": self.node.talos_port(),
                "ssh_port": self.node.ssh_port(),
                "host_key": self.node.host_key(),
            }],
        });
        self.write("simulator/simulator.json", &cloud.to_string());
    }

    /// Changes what the configuration is told about the machine.
    pub fn pretend(&self, key: &str, value: impl Into<serde_json::Value>) {
        let mut cloud: serde_json::Value =
            serde_json::from_str(&self.read("simulator/simulator.json")).expect("we wrote it");
        cloud["nodes"][0][key] = value.into();
        self.write("simulator/simulator.json", &cloud.to_string());
    }

    /// Runs the CLI and waits for its end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[]).await
    }

    /// As [`Stage::run`], with more variables in the environment.
    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let output = tokio::time::timeout(COMMAND, command.output())
            .await
            .unwrap_or_else(|_| panic!("{arguments:?} did not end"))
            .expect("the CLI can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Said { code: output.status.code(), text }
    }

    /// The CLI, ready to be started in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cli);
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("cli.tfrc"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env_remove("TALOSCONFIG")
            .env_remove("KUBECONFIG")
            .env_remove("TF_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub async fn apply(&self) -> Said {
        self.run(&["apply", "-auto-approve", "-no-color"]).await
    }

    /// A plan; exit code 2 means that there is something to do.
    pub async fn plan(&self) -> Said {
        self.run(&["plan", "-no-color", "-detailed-exitcode"]).await
    }

    /// How often an event of this kind happened.
    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.world.journal().iter().filter(|entry| wanted(&entry.event)).count()
    }

    /// What happened, as text, for messages.
    pub fn journal(&self) -> String {
        self.world.journal().iter().map(|entry| format!("{entry}\n")).collect()
    }

    /// The milestones of the road, in the order in which they were reached.
    pub fn milestones(&self) -> Vec<&'static str> {
        let mut reached: Vec<&'static str> = Vec::new();
        for entry in self.world.journal() {
            let milestone = match &entry.event {
                Event::DiskWrite { .. } => "written",
                Event::Boot(talosoci::sim::BootVerdict::Flashed { .. }) => "booted",
                Event::ConfigApplied { kind, .. } if kind == "controlplane" => "configured",
                Event::Bootstrapped => "bootstrapped",
                Event::Upgraded { .. } => "upgraded",
                Event::ConfigApplied { kind, .. } if kind == "worker" => "handed over",
                Event::Joined => "joined",
                Event::NodeObject { change } if change == "Ready" => "ready",
                _ => continue,
            };
            if reached.last() != Some(&milestone) {
                reached.push(milestone);
            }
        }
        reached
    }
}

/// What of the guide's files may be nowhere: of talsecret.yaml, of the env file, and of age keys.
const CANARIES: [&str; 6] = [
    "sfvb1a.5iakl9guujud3xjq",
    "qmhd2a.tmbn1g1glrf2p3rd",
    "ZYvI18NcDUPprCE",
    "tskey-auth-",
    "CANARY",
    "AGE-SECRET-KEY",
];

/// Fails if a secret of the guide's files is in a text.
pub fn holds_no_canary(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is empty");
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} is in {what}");
    }
}

/// The road of the guide.
pub const ROAD: [&str; 9] =
    ["written", "booted", "configured", "bootstrapped", "configured", "upgraded", "handed over", "joined", "ready"];

fn cli() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TF_ACC_TERRAFORM_PATH") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    ["tofu", "terraform"]
        .into_iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// dev_overrides make the CLI take our binary without an init.
fn cli_configuration() -> String {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_terraform-provider-talosoci"));
    let folder = binary.parent().expect("a binary lies in a folder");
    format!(
        "provider_installation {{\n  dev_overrides {{\n    \"talosoci/talosoci\" = {folder:?}\n  }}\n  direct {{}}\n}}\n"
    )
}
