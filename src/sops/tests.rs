use time::OffsetDateTime;

use super::*;
use crate::yaml::{self, Node};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../tests/golden/sops/", $name))
    };
}

const RECIPIENT: &str = "age10k9mjx3wcfzd7dwx3uqs68v7dzlwvwpzp8jyjpysjhy9mdwzhghqy2vhvn";
const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 10:00:00.5 UTC);

fn ring() -> Keyring {
    let mut ring = Keyring::new();
    ring.add("key.txt", KeyKind::Age, golden!("key.txt"));
    ring
}

fn root(text: &Cleartext) -> Node {
    yaml::parse_single(text.expose()).unwrap().unwrap()
}

fn entropy() -> [u8; ENTROPY_LENGTH] {
    std::array::from_fn(|i| i as u8)
}

#[test]
fn files_of_the_real_sops_open_and_their_macs_fit() {
    let ring = ring();
    assert_eq!(decrypt(golden!("hello.sops.yaml"), &ring).unwrap().expose(), "hello: world\nsecret: mysecretvalue\n");
    assert_eq!(decrypt(golden!("hello.sops.env"), &ring).unwrap().expose(), "HELLO=world\nSECRET=mysecretvalue\n");
    let json = root(&decrypt(golden!("hello.sops.json"), &ring).unwrap());
    assert_eq!(json.get("secret").unwrap().as_scalar().unwrap().text, "mysecretvalue");
    assert!(json.get("sops").is_none());
    let manifest = root(&decrypt(golden!("manifest.sops.yaml"), &ring).unwrap());
    let wanted = yaml::parse_single(golden!("manifest.yaml")).unwrap().unwrap();
    assert_eq!(format!("{manifest:?}"), format!("{wanted:?}"));
    let password = manifest.get("stringData").unwrap().get("password").unwrap();
    assert_eq!(password.as_scalar().unwrap().text, "supersecret");
    let patch = root(&decrypt(golden!("patch.sops.yaml"), &ring).unwrap());
    assert!(patch.get("machine").unwrap().get("network").unwrap().get("hostname").is_some());
}

#[test]
fn talhelpers_example_secrets_open_whole() {
    let talsecret = root(&decrypt(golden!("talsecret.sops.yaml"), &ring()).unwrap());
    let crt = talsecret.get("certs").unwrap().get("os").unwrap().get("crt").unwrap();
    assert!(crt.as_scalar().unwrap().text.starts_with("LS0tLS1CRUdJTi"));
    assert_eq!(talsecret.as_map().unwrap().len(), 4);
    let talenv = root(&decrypt(golden!("talenv.sops.yaml"), &ring()).unwrap());
    let keys: Vec<_> = talenv.as_map().unwrap().iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["udp", "myDomainName", "tsAuth"]);
}

#[test]
fn a_text_that_is_not_encrypted_is_known_as_such() {
    for text in ["a: 1\n", "sops: {}\n", "sops: 1\n", "KEY=sops\n", "", "a: [", "# sops\n"] {
        assert_eq!(format_of(text), None, "{text:?}");
        assert_eq!(decrypt_if_encrypted(text, &ring()).unwrap().expose(), text);
    }
    assert_eq!(decrypt("a: 1\n", &ring()), Err(SopsError::NotEncrypted));
    assert_eq!(format_of(golden!("hello.sops.env")), Some(Format::Dotenv));
    assert_eq!(format_of(golden!("hello.sops.yaml")), Some(Format::Yaml));
}

#[test]
fn without_a_fitting_key_the_recipients_and_the_places_are_named() {
    let mut ring = Keyring::new();
    ring.absent("/home/u/.config/sops/age/keys.txt");
    let other = age::x25519::Identity::generate();
    ring.add("SOPS_AGE_KEY", KeyKind::Age, age::secrecy::ExposeSecret::expose_secret(&other.to_string()));
    ring.add("SOPS_AGE_KEY_CMD", KeyKind::Age, "AGE-PLUGIN-YUBIKEY-1AAAA");
    for text in [golden!("hello.sops.yaml"), golden!("hello.sops.env")] {
        let error = decrypt(text, &ring).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "none of the age keys at hand opens the file: it is encrypted to {RECIPIENT}; looked for keys in \
                 /home/u/.config/sops/age/keys.txt (nothing there), SOPS_AGE_KEY, SOPS_AGE_KEY_CMD (SOPS_AGE_KEY_CMD: \
                 keys of age plugins are not supported)"
            )
        );
        assert!(error.hint().unwrap().contains("age_key_file"));
    }
}

#[test]
fn files_without_an_age_recipient_are_refused_by_name() {
    let pgp = "a: ENC[AES256_GCM,data:A,iv:A,tag:A,type:str]\nsops:\n  pgp:\n    - fp: X\n      enc: y\n  mac: m\n  version: 3\n";
    assert!(decrypt(pgp, &ring()).unwrap_err().to_string().contains("encrypted to PGP only"));
    let none = "a: 1\nsops:\n  mac: m\n";
    assert!(decrypt(none, &ring()).unwrap_err().to_string().contains("no recipients"));
    let group = "{age: [{recipient: r, enc: e}]}";
    let groups = format!("a: 1\nsops:\n  key_groups: [{group}, {group}]\n  mac: m\n");
    assert_eq!(decrypt(&groups, &ring()), Err(SopsError::KeyGroups));
    let dotenv = "A=1\nsops_pgp__list_0__map_fp=x\nsops_mac=m\n";
    assert!(decrypt(dotenv, &ring()).unwrap_err().to_string().contains("PGP only"));
}

#[test]
fn every_change_to_an_encrypted_file_is_found_out() {
    let file = golden!("hello.sops.yaml");
    let change = |from: &str, to: &str| {
        let changed = file.replacen(from, to, 1);
        assert_ne!(changed, file);
        decrypt(&changed, &ring()).unwrap_err()
    };
    let moved = change("hello: ", "hallo: ");
    assert!(moved.to_string().contains("line 1: the value of hallo does not decrypt"), "{moved}");
    let plain = change("secret: ENC", "added: plain\nsecret: ENC");
    assert!(plain.to_string().contains("the value of added is not encrypted"), "{plain}");
    let line = file.lines().next().unwrap();
    assert_eq!(change(&format!("{line}\n"), ""), SopsError::Mac);
    assert_eq!(change("secret: ENC", "added_unencrypted: x\nsecret: ENC"), SopsError::Mac);
    assert_eq!(change("lastmodified: \"2026", "lastmodified: \"2025"), SopsError::Mac);
    assert_eq!(change("    mac: ", "    mac_: "), SopsError::Mac);
    let key = change("YWdlLWVuY3J5cHRpb24u", "YWdlLWVuY3J5cHRpb24v");
    assert!(matches!(key, SopsError::DataKey { .. }), "{key}");
}

#[test]
fn what_is_encrypted_here_opens_with_types_comments_and_order_kept() {
    let plain = "# head\nz: text # beside\na:\n  - 1\n  - 1.5\n  - true\n  - 2020-01-02\n  - ~\n  - \"\"\n  - \"123\"\n  - {k: v, \
                 n: [x, 'y, z']}\n  # inner\nb: |\n  two\n  lines\nnote_unencrypted: 0644\nd: 'it''s: #1'\n";
    let file = encrypt(plain, Format::Yaml, &[RECIPIENT], &entropy(), NOW).unwrap();
    for secret in ["text", "two", "it's", "123", "true"] {
        assert!(!file.contains(secret), "{secret} in {file}");
    }
    assert!(file.contains("note_unencrypted: 0644") && file.contains("# inner"));
    let opened = decrypt(&file, &ring()).unwrap();
    assert_eq!(
        opened.expose(),
        "# head\nz: text # beside\na:\n  - 1\n  - 1.5\n  - true\n  - 2020-01-02T00:00:00Z\n  - ~\n  - \"\"\n  - \
         \"123\"\n  - {k: \"v\", n: [\"x\", \"y, z\"]}\n  # inner\nb: \"two\\nlines\\n\"\nnote_unencrypted: \
         0644\nd: 'it''s: #1'\n"
    );
}

#[test]
fn dotenv_files_are_made_and_opened() {
    let plain = "# keys\nTS_AUTHKEY=tskey-auth-k1=x\nEMPTY=\nLINES=a\\nb\nNAME_unencrypted=n\n";
    let file = encrypt(plain, Format::Dotenv, &[RECIPIENT], &entropy(), NOW).unwrap();
    assert!(!file.contains("tskey") && file.contains("NAME_unencrypted=n\n"));
    assert_eq!(decrypt(&file, &ring()).unwrap().expose(), plain);
    let changed = file.replace("NAME_unencrypted=n", "NAME_unencrypted=m");
    assert_eq!(decrypt(&changed, &ring()), Err(SopsError::Mac));
}

#[test]
fn several_recipients_can_open_the_same_file() {
    let other = age::x25519::Identity::generate();
    let recipients = [&other.to_public().to_string(), RECIPIENT];
    let recipients: Vec<&str> = recipients.iter().map(|text| text.as_ref()).collect();
    let file = encrypt("a: b\n", Format::Yaml, &recipients, &entropy(), NOW).unwrap();
    assert_eq!(decrypt(&file, &ring()).unwrap().expose(), "a: b\n");
}

#[test]
fn a_file_of_the_real_sops_opens_with_the_key_of_each_of_its_recipients() {
    let wanted = "# head\na: hello\nb:\n    - 1\n    - -.inf\n    - true\n";
    let keys = [
        (KeyKind::Age, golden!("key.txt")),
        (KeyKind::Ssh, golden!("ssh_ed25519")),
        (KeyKind::Ssh, golden!("ssh_rsa")),
    ];
    for (kind, key) in keys {
        let mut ring = Keyring::new();
        ring.add("key", kind, key);
        assert_eq!(decrypt(golden!("recipients.sops.yaml"), &ring).unwrap().expose(), wanted, "{ring:?}");
    }
}

#[test]
fn what_cannot_be_encrypted_is_refused() {
    let error = |text: &str, recipient: &str| {
        let result = encrypt(text, Format::Yaml, &[recipient], &entropy(), NOW);
        result.unwrap_err().to_string()
    };
    assert!(error("a: &x b\n", RECIPIENT).contains("anchors"));
    assert!(error("a: b\n---\nc: d\n", RECIPIENT).contains("only one"));
    assert!(error("{a: b}\n", RECIPIENT).contains("only one"));
    assert!(error("a: b\nsops: {x: y}\n", RECIPIENT).contains("already"));
    assert!(error("a: b\n", "age1nonsense").contains("encrypting"));
}

#[test]
fn encrypted_comments_are_opened_and_foreign_ones_left() {
    let key = cipher::DataKey::new(&entropy()[..32]).unwrap();
    let file = encrypt("top: 1\na:\n  b: x\n  c: z\n", Format::Yaml, &[RECIPIENT], &entropy(), NOW).unwrap();
    let inner = key.seal(b" inner\nnote", "comment", "a:", [9; 32]).unwrap();
    let outer = key.seal(b" outer", "comment", ":", [8; 32]).unwrap();
    let lost = key.seal(b" lost", "comment", "q:", [7; 32]).unwrap();
    let file = file.replacen("  c: ENC", &format!("  #{inner}\n  c: ENC"), 1).replacen(
        "top: ENC",
        &format!("#{outer}\n#{lost}\ntop: ENC"),
        1,
    );
    let opened = decrypt(&file, &ring()).unwrap();
    assert_eq!(opened.expose(), format!("# outer\n#{lost}\ntop: 1\na:\n  b: x\n  # inner note\n  c: z\n"));
}

#[test]
fn the_other_rules_for_what_is_encrypted_are_followed() {
    // Made like sops makes them: the rule stands in the metadata, the MAC is over all values or the encrypted ones.
    for (rule, only) in [
        ("encrypted_suffix: _secret", false),
        ("encrypted_suffix: _secret", true),
        ("encrypted_regex: secret$", false),
        ("unencrypted_regex: ^plain", true),
    ] {
        let file = with_rule(rule, only);
        let opened = decrypt(&file, &ring()).unwrap_or_else(|error| panic!("{rule} {only}: {error}"));
        assert_eq!(opened.expose(), "plain: 1\na_secret: x\n", "{rule}");
        let changed = file.replacen("plain: 1", "plain: 2", 1);
        assert_eq!(decrypt(&changed, &ring()).is_ok(), only, "{rule}");
    }
}

fn with_rule(rule: &str, only_encrypted: bool) -> String {
    let key = cipher::DataKey::new(&entropy()[..32]).unwrap();
    let mut mac = metadata::Mac::new(only_encrypted);
    mac.add(b"1", false);
    mac.add(b"x", true);
    let sealed = key.seal(b"x", "str", "a_secret:", [1; 32]).unwrap();
    let file = encrypt("q: 1\n", Format::Yaml, &[RECIPIENT], &entropy(), NOW).unwrap();
    let (_, metadata) = file.split_once("sops:\n").unwrap();
    let mac = key.seal(mac.finish().as_bytes(), "str", "2026-11-22T10:00:00Z", [2; 32]).unwrap();
    let lines: Vec<String> = metadata
        .lines()
        .map(|line| match line.trim_start().split(':').next().unwrap() {
            "mac" => format!("    mac: {mac}\n    mac_only_encrypted: {only_encrypted}"),
            "unencrypted_suffix" => format!("    {rule}"),
            _ => line.to_owned(),
        })
        .collect();
    format!("plain: 1\na_secret: {sealed}\nsops:\n{}\n", lines.join("\n"))
}

#[test]
fn debug_shows_no_cleartext() {
    let opened = decrypt(golden!("hello.sops.yaml"), &ring()).unwrap();
    assert_eq!(format!("{opened:?}"), "(secret)");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]

    #[test]
    fn any_text_comes_back_as_it_was(value in ".{0,40}", other in "[ -~\n]{0,40}") {
        let plain = format!("a: {}\nb: [{}]\n", yaml::double_quoted(&value), yaml::double_quoted(&other));
        let file = encrypt(&plain, Format::Yaml, &[RECIPIENT], &entropy(), NOW).unwrap();
        let opened = root(&decrypt(&file, &ring()).unwrap());
        let text = |node: &Node| node.as_scalar().unwrap().text.clone();
        proptest::prop_assert_eq!(text(opened.get("a").unwrap()), value);
        proptest::prop_assert_eq!(text(&opened.get("b").unwrap().as_list().unwrap()[0]), other);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..1300, with in "[ -~\n]{0,3}") {
        let file = golden!("hello.sops.yaml");
        let at = at.min(file.len() - 1);
        let damaged = format!("{}{with}{}", &file[..at], &file[at + 1..]);
        // Most damage is found out; damage to a comment or a blank is none.
        let _ = decrypt(&damaged, &ring());
    }
}
