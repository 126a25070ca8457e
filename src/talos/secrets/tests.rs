use super::*;

const TALSECRET_YAML: &str = include_str!("../../../tests/golden/guide/talsecret.yaml");

#[test]
fn talsecret_yaml_reads_and_is_written_back_with_the_same_content() {
    let bundle = SecretsBundle::parse(TALSECRET_YAML).unwrap();
    assert_eq!(bundle.cluster.id, "TJsUdDHOzzUKKJzATlww0i9SxuwqfzXxUn1VM-wCLmU=");
    assert_eq!(bundle.bootstrap_token.expose(), "qmhd2a.tmbn1g1glrf2p3rd");
    assert_eq!(bundle.trustd_token.expose(), "sfvb1a.5iakl9guujud3xjq");
    assert!(bundle.certs.os.crt.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(bundle.certs.os.key.expose().starts_with("-----BEGIN ED25519 PRIVATE KEY-----\n"));
    let account = bundle.certs.k8s_service_account.as_ref().unwrap();
    assert!(account.expose().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    assert!(bundle.aescbc_encryption_secret.is_none());
    let written = bundle.to_talsecret();
    assert_eq!(SecretsBundle::parse(written.expose()).unwrap(), bundle);
    let theirs = yaml::parse_single(TALSECRET_YAML).unwrap().unwrap();
    let ours = yaml::parse_single(written.expose()).unwrap().unwrap();
    for path in ["certs", "cluster", "secrets", "trustdinfo"] {
        assert_eq!(flat(theirs.get(path).unwrap()), flat(ours.get(path).unwrap()), "{path}");
    }
}

fn flat(node: &Node) -> Vec<String> {
    match node.as_map() {
        None => vec![node.as_scalar().unwrap().text.clone()],
        Some(entries) => entries
            .iter()
            .flat_map(|entry| flat(&entry.value).into_iter().map(|rest| format!("{}.{rest}", entry.key)))
            .collect(),
    }
}

/// talsecret.yaml with the siderolabs provider's names, as JSON.
fn machine_secrets() -> String {
    let mut text = TALSECRET_YAML.to_owned();
    for (from, to) in [
        ("bootstraptoken", "bootstrap_token"),
        ("secretboxencryptionsecret", "secretbox_encryption_secret"),
        ("k8saggregator", "k8s_aggregator"),
        ("k8sserviceaccount", "k8s_serviceaccount"),
        ("crt:", "cert:"),
    ] {
        text = text.replace(from, to);
    }
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    value.to_string()
}

#[test]
fn the_siderolabs_providers_object_holds_the_same_secrets() {
    let bundle = SecretsBundle::from_machine_secrets(&machine_secrets()).unwrap();
    assert_eq!(bundle, SecretsBundle::parse(TALSECRET_YAML).unwrap());
}

#[test]
fn nulls_of_the_siderolabs_object_are_absent_values() {
    let mut value: serde_json::Value = serde_json::from_str(&machine_secrets()).unwrap();
    value["secrets"]["aescbc_encryption_secret"] = serde_json::Value::Null;
    value["certs"]["etcd"] = serde_json::Value::Null;
    value["certs"]["os"]["key"] = "".into();
    let bundle = SecretsBundle::from_machine_secrets(&value.to_string()).unwrap();
    assert!(bundle.aescbc_encryption_secret.is_none() && bundle.certs.etcd.is_none());
    assert!(!bundle.certs.os.has_key() && bundle.certs.k8s.has_key());
}

#[test]
fn mistakes_are_named_and_no_value_is_shown() {
    let edit = |from: &str, to: &str| {
        let edited = TALSECRET_YAML.replacen(from, to, 1);
        assert_ne!(edited, TALSECRET_YAML);
        let error = SecretsBundle::parse(&edited).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("5iakl9"), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        edit("bootstraptoken", "bootstrapToken"),
        "line 5, column 3: unknown key \"bootstrapToken\" in secrets; did you mean \"bootstraptoken\"?"
    );
    assert_eq!(
        edit("  token: sfvb1a.5iakl9guujud3xjq\n", "  token:\n"),
        "trustdinfo.token is missing from the secrets"
    );
    assert_eq!(
        edit("  token: sfvb1a", "  token: [1]\n  x: sfvb1a"),
        "line 9, column 3: unknown key \"x\" in trustdinfo"
    );
    assert!(edit("crt: LS0t", "crt: aaaa").ends_with("certs.etcd.crt must be the base64 of PEM"));
    assert_eq!(
        edit("cluster:", "sops: {mac: x}\ncluster:"),
        "the secrets are encrypted with SOPS and were not decrypted"
    );
    for empty in ["", "# nothing\n", "null\n"] {
        assert_eq!(SecretsBundle::parse(empty), Err(SecretsError::Empty));
    }
}

#[test]
fn debug_shows_no_secret() {
    let bundle = SecretsBundle::parse(TALSECRET_YAML).unwrap();
    let shown = format!("{bundle:?}");
    for secret in ["qmhd2a", "sfvb1a", "PRIVATE KEY", "ZYvI18"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
