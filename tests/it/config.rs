//! The configuration engine against the outputs of the real programs (`tests/golden/README.md` says which).

use std::fs;
use std::path::{Path, PathBuf};

use talosoci::talos::machine_config::generate::{self, GenerateSecrets, Input, PemPair};
use talosoci::talos::machine_config::{HashOptions, MachineConfig, Mode};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(golden(folder)).expect("a folder of cases");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn parse(text: &str) -> MachineConfig {
    MachineConfig::parse(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

fn hash(config: &MachineConfig) -> String {
    config.content_hash(&HashOptions::default())
}

/// Same documents with the same content, in any order.
fn assert_same(actual: &MachineConfig, expected: &str, what: &str) {
    let expected = parse(expected);
    let changes: Vec<_> = actual.diff(&expected).into_iter().map(|change| change.path).collect();
    assert_eq!(changes, Vec::<String>::new(), "{what}");
    assert_eq!(hash(actual), hash(&expected), "{what}");
}

#[test]
fn every_patch_case_gives_what_talos_gives() {
    for case in cases("patch") {
        let base = parse(&read(&case.join("base.yaml")));
        let patches: Vec<String> = (0..)
            .map(|index| case.join(format!("patch{index}.yaml")))
            .take_while(|path| path.exists())
            .map(|path| read(&path))
            .collect();
        let patches: Vec<&str> = patches.iter().map(String::as_str).collect();
        let what = case.display().to_string();
        let result = base.patch(&patches);
        // Later patch releases of 1.12 are right where v1.12.2 was not.
        let expected = ["expected-1.12.11.yaml", "expected-1.12.5plus.yaml", "expected.yaml"];
        match expected.iter().map(|name| case.join(name)).find(|path| path.exists()) {
            Some(expected) => {
                let patched = result.unwrap_or_else(|e| panic!("{what}: {e:?}"));
                assert_same(&patched.config, &read(&expected), &what);
            }
            // Talos panics; skipping it with a warning is what 1.14 does.
            None if case.ends_with("delete-doc-missing") => {
                assert_eq!(result.expect("a skipped delete").warnings.len(), 1, "{what}");
            }
            None => assert!(result.is_err(), "{what}: an error is expected"),
        }
    }
}

#[test]
fn every_validation_case_gets_talos_verdict() {
    for case in cases("validate") {
        let text = read(&case.join("config.yaml"));
        for (name, mode) in [("metal", Mode::Metal), ("cloud", Mode::Cloud)] {
            let expected = read(&case.join(format!("{name}.txt")));
            let what = format!("{} in {name} mode", case.display());
            let problems: Vec<String> = match MachineConfig::parse(&text) {
                Ok(config) => {
                    let problems = config.validate(mode).into_iter();
                    problems.filter(|problem| problem.is_fatal()).map(|problem| problem.to_string()).collect()
                }
                Err(error) => vec![error.to_string()],
            };
            assert_eq!(problems.is_empty(), expected.trim() == "valid", "{what}: {problems:?}\n{expected}");
        }
    }
}

/// The secrets of `guide/talsecret.yaml`, read with the engine's own YAML.
struct Secrets {
    root: talosoci::talos::machine_config::yaml::Node,
}

impl Secrets {
    fn load() -> Self {
        let text = read(&golden("guide/talsecret.yaml"));
        let limits = talosoci::talos::machine_config::yaml::Limits::default();
        let root = talosoci::talos::machine_config::yaml::parse_stream(&text, &limits).expect("YAML").remove(0);
        Self { root }
    }

    fn text(&self, path: &str) -> String {
        self.root.at(path).and_then(|node| node.as_str()).unwrap_or_else(|| panic!("{path}")).to_owned()
    }

    fn pem(&self, path: &str) -> String {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(self.text(path)).expect("base64");
        String::from_utf8(bytes).expect("PEM")
    }
}

fn with_secrets<T>(run: impl FnOnce(GenerateSecrets<'_>) -> T) -> T {
    let secrets = Secrets::load();
    let text = |path: &str| secrets.text(path);
    let (id, secret) = (text("cluster.id"), text("cluster.secret"));
    let (bootstrap, trustd) = (text("secrets.bootstraptoken"), text("trustdinfo.token"));
    let secretbox = text("secrets.secretboxencryptionsecret");
    let names = ["os", "k8s", "etcd", "k8saggregator"];
    let pairs =
        names.map(|name| (secrets.pem(&format!("certs.{name}.crt")), secrets.pem(&format!("certs.{name}.key"))));
    let account = secrets.pem("certs.k8sserviceaccount.key");
    let [os_ca, k8s_ca, etcd_ca, aggregator_ca] =
        [0, 1, 2, 3].map(|i: usize| PemPair { crt: &pairs[i].0, key: &pairs[i].1 });
    run(GenerateSecrets {
        cluster_id: &id,
        cluster_secret: &secret,
        bootstrap_token: &bootstrap,
        trustd_token: &trustd,
        os_ca,
        k8s_ca,
        etcd_ca,
        aggregator_ca,
        service_account_key: &account,
        secretbox_secret: &secretbox,
    })
}

const TEMPORARY_IMAGE: &str =
    "factory.talos.dev/oracle-installer/4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b:v1.12.2";

fn temporary(secrets: GenerateSecrets<'_>) -> Input<'_> {
    let mut input = Input::new("temp-cluster", "https://127.0.0.1:6443", "1.35.0", (1, 12), secrets);
    input.install_disk = "/dev/sda";
    input.install_image = TEMPORARY_IMAGE;
    input.additional_sans = vec!["cloudbox2-temp".into(), "150.136.211.213".into()];
    input
}

#[test]
fn generated_configurations_are_those_of_talosctl() {
    with_secrets(|secrets| {
        let input = temporary(secrets);
        let worker = generate::worker(&input).expect("a worker");
        assert_same(&worker, &read(&golden("gen/worker-temp-cluster.yaml")), "worker");
        assert_eq!(worker.to_yaml(), read(&golden("gen/worker-temp-cluster.yaml")), "byte for byte");
        let control = generate::controlplane(&input).expect("a control plane");
        assert_eq!(control.to_yaml(), read(&golden("gen/controlplane-temp-cluster.yaml")), "byte for byte");
        let mut input = Input::new("eh-ops", "https://192.168.1.50:6443", "v1.34.2", (1, 12), secrets);
        input.install_disk = "/dev/nvme0n1";
        input.install_image = "ghcr.io/siderolabs/installer:v1.12.2";
        let control = generate::controlplane(&input).expect("a control plane");
        assert_eq!(control.to_yaml(), read(&golden("gen/controlplane-eh-ops.yaml")), "byte for byte");
        for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
            assert_eq!(worker.validate(mode), [], "{mode:?}");
            assert_eq!(control.validate(mode), [], "{mode:?}");
        }
    });
}

#[test]
fn contract_1_13_differs_by_the_empty_network_section_only() {
    with_secrets(|secrets| {
        let mut input = temporary(secrets);
        let old = generate::controlplane(&input).expect("1.12");
        input.contract = (1, 13);
        let new = generate::controlplane(&input).expect("1.13");
        let changed: Vec<_> = old.diff(&new).into_iter().map(|change| change.path).collect();
        assert_eq!(changed, ["machine.network"]);
    });
}

#[test]
fn other_contracts_are_refused_by_name() {
    with_secrets(|secrets| {
        for contract in [(1, 11), (1, 14)] {
            let input = Input { contract, ..temporary(secrets) };
            let error = generate::worker(&input).expect_err("an unknown contract").to_string();
            assert!(error.contains(&format!("Talos {}.{}", contract.0, contract.1)), "{error}");
        }
    });
}

#[test]
fn a_temporary_control_plane_can_do_without_discovery_and_network() {
    with_secrets(|secrets| {
        let mut input = temporary(secrets);
        input.discovery = false;
        input.cni = "none";
        input.extra_documents = vec![
            "apiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: tailscale\nenvironment: [TS_AUTHKEY=x]\n".into(),
        ];
        let config = generate::controlplane(&input).expect("a control plane");
        assert_eq!(config.validate(Mode::Metal), []);
        assert_eq!(config.extension_services()[0].name, "tailscale");
        assert_eq!(config.get("cluster.network.cni.name").and_then(|node| node.as_str()), Some("none"));
    });
}

/// The configurations of a folder that a program wrote.
fn written_configurations() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in ["gen", "guide", "talhelper", "patch"] {
        let mut stack = vec![golden(folder)];
        while let Some(path) = stack.pop() {
            if path.is_dir() {
                stack.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if (name.starts_with("expected") || folder == "gen") && name.ends_with(".yaml") {
                all.push((path.display().to_string(), read(&path)));
            }
        }
    }
    all
}

#[test]
fn what_is_written_reads_back_to_the_same_content() {
    let configurations = written_configurations();
    assert!(configurations.len() > 30);
    for (name, text) in configurations {
        let config = parse(&text);
        let again = parse(&config.to_yaml());
        assert_same(&again, &text, &name);
        assert_eq!(again.to_yaml(), config.to_yaml(), "{name}");
        assert!(MachineConfig::parse(&config.redacted()).is_ok(), "{name}");
    }
}

#[test]
fn the_guides_worker_is_valid_everywhere_and_says_what_it_is() {
    for name in ["guide/expected-talhelper-3.1.16.yaml", "guide/expected-talhelper-3.0.45.yaml"] {
        let config = parse(&read(&golden(name)));
        for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
            assert_eq!(config.validate(mode), [], "{name} {mode:?}");
        }
        assert_eq!(config.hostname().as_deref(), Some("cloudbox2"));
        assert_eq!(config.install_disk().as_deref(), Some("/dev/sda"));
        assert_eq!(config.cluster_endpoint().as_deref(), Some("https://192.168.1.50:6443"));
        assert_eq!(config.cert_sans(), ["150.136.211.213", "10.0.0.214"]);
        assert_eq!(config.kubelet_image().as_deref(), Some("ghcr.io/siderolabs/kubelet:v1.35.0"));
        assert_eq!(config.extension_services()[0].name, "tailscale");
        assert!(config.os_ca_certificate().is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----")));
        assert!(config.os_ca_key().is_none());
        let shown = format!("{config:?}");
        assert!(!shown.contains("tskey") && shown.contains("HostnameConfig"), "{shown}");
        assert!(!config.redacted().contains("tskey"), "{name}");
    }
}

#[test]
fn huge_deep_and_explosive_texts_are_refused() {
    let deep: String = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let mut bomb = String::from("a0: &a0 {x: 1}\n");
    for level in 1..40 {
        let last = level - 1;
        bomb += &format!(
            "a{level}: &a{level} [*a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}]\n"
        );
    }
    let huge = format!("machine:\n  token: {}\n", "x".repeat(10 << 20));
    let flow = "[".repeat(100_000);
    for text in [deep, bomb, huge, flow] {
        assert!(MachineConfig::parse(&text).is_err());
        assert!(parse("machine: {type: worker}").patch(&[&text]).is_err());
    }
}
