use time::{Duration, OffsetDateTime};

use super::*;
use crate::talos::secrets::SecretsBundle;

const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 10:00 UTC);

fn temporary() -> SecretsBundle {
    temporary_secrets(b"seed", "cloudbox2", Validity::FIXED).unwrap()
}

fn upstream() -> SecretsBundle {
    SecretsBundle::parse(include_str!("../../../tests/golden/guide/talsecret.yaml")).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bundle_and_another_gives_another() {
    assert_eq!(temporary(), temporary());
    let others = [
        temporary_secrets(b"seed2", "cloudbox2", Validity::FIXED).unwrap(),
        temporary_secrets(b"seed", "cloudbox3", Validity::FIXED).unwrap(),
    ];
    for other in others {
        assert_ne!(other.certs.os, temporary().certs.os);
        assert_ne!(other.certs.k8s, temporary().certs.k8s);
        assert_ne!(other.trustd_token, temporary().trustd_token);
        assert_ne!(other.cluster.id, temporary().cluster.id);
    }
}

#[test]
fn a_derived_bundle_stays_what_it_was_in_earlier_releases() {
    // A node that an older provider left half-way must be recognised by a newer one.
    assert_eq!(
        ca_fingerprint(&temporary().certs.os.crt).unwrap(),
        "e5ce6f1c8311a203f336457e240c541dceb5ca1dfb95c34fa10cfb8d5bd21f04"
    );
}

#[test]
fn authorities_look_like_those_of_talos() {
    let (ours, theirs) = (temporary(), upstream());
    for (ours, theirs) in [
        (&ours.certs.os, &theirs.certs.os),
        (&ours.certs.k8s, &theirs.certs.k8s),
        (ours.certs.etcd.as_ref().unwrap(), theirs.certs.etcd.as_ref().unwrap()),
        (ours.certs.k8s_aggregator.as_ref().unwrap(), theirs.certs.k8s_aggregator.as_ref().unwrap()),
    ] {
        let (ours, theirs) = (check_ca(ours, NOW).unwrap(), check_ca(theirs, NOW).unwrap());
        assert_eq!(ours.subject, theirs.subject);
        assert_eq!(ours.algorithm, theirs.algorithm);
        assert_eq!(ours.organizations, theirs.organizations);
        assert!(ours.is_ca && theirs.is_ca);
    }
}

#[test]
fn derived_texts_have_the_forms_that_talos_wants() {
    let bundle = temporary();
    for token in [&bundle.bootstrap_token, &bundle.trustd_token] {
        let (id, secret) = token.expose().split_once('.').unwrap();
        assert_eq!((id.len(), secret.len()), (6, 16));
        assert!((id.to_owned() + secret).bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
    }
    assert_eq!(bundle.cluster.id.len(), 44);
    assert_eq!(bundle.cluster.secret.expose().len(), 44);
    let account = bundle.certs.k8s_service_account.unwrap();
    assert!(account.expose().starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    assert!(bundle.certs.os.key.expose().starts_with("-----BEGIN ED25519 PRIVATE KEY-----\n"));
}

#[test]
fn talos_own_keys_read_and_are_written_back_the_same() {
    let certs = upstream().certs;
    for key in [&certs.os.key, &certs.k8s.key] {
        let read = PrivateKey::from_pem(key.expose()).unwrap();
        assert_eq!(read.to_pem().unwrap(), *key);
    }
    let rsa = PrivateKey::from_pem(certs.k8s_service_account.unwrap().expose()).err().unwrap();
    assert!(rsa.to_string().contains("RSA PRIVATE KEY"), "{rsa}");
}

#[test]
fn an_administrators_certificate_satisfies_apid() {
    for ca in [temporary().certs.os, upstream().certs.os] {
        let client = admin_certificate(&ca, NOW, Duration::hours(2)).unwrap();
        let facts = check_client(&ca.crt, &client, NOW).unwrap();
        assert_eq!(facts.organizations, ["os:admin"]);
        assert_eq!(facts.subject, "O=os:admin");
        assert_eq!(facts.algorithm, Some(KeyAlgorithm::Ed25519));
        assert_eq!(facts.not_before, NOW - Duration::HOUR);
        assert_eq!(facts.not_after, NOW + Duration::hours(2));
        assert!(facts.client_only && !facts.is_ca);
    }
}

#[test]
fn a_certificate_authority_on_p256_signs_too() {
    let ca = temporary().certs.k8s;
    let client = admin_certificate(&ca, NOW, Duration::HOUR).unwrap();
    assert!(check_client(&ca.crt, &client, NOW).is_ok());
}

#[test]
fn another_clusters_client_is_found_out_before_any_connection() {
    let client = admin_certificate(&upstream().certs.os, NOW, Duration::HOUR).unwrap();
    let ours = temporary().certs.os;
    assert!(matches!(check_client(&ours.crt, &client, NOW), Err(PkiError::ForeignIssuer { .. })));
    let own = admin_certificate(&ours, NOW, Duration::HOUR).unwrap();
    let late = check_client(&ours.crt, &own, NOW + Duration::hours(2)).unwrap_err().to_string();
    assert!(late.contains("expired on 2026-11-22"), "{late}");
    let early = check_client(&ours.crt, &own, NOW - Duration::hours(2)).unwrap_err().to_string();
    assert!(early.contains("not valid before"), "{early}");
    let mixed = CertificateAndKey { key: client.key, ..own.clone() };
    assert!(matches!(check_client(&ours.crt, &mixed, NOW), Err(PkiError::KeyMismatch { .. })));
    let authority = check_client(&ours.crt, &ours, NOW).unwrap_err();
    assert!(matches!(authority, PkiError::NotClient { .. }), "{authority}");
    assert!(matches!(check_ca(&own, NOW), Err(PkiError::NotAuthority { .. })));
}

#[test]
fn an_authority_without_its_key_cannot_sign() {
    let ca = CertificateAndKey::without_key(temporary().certs.os.crt);
    let error = admin_certificate(&ca, NOW, Duration::HOUR).unwrap_err().to_string();
    assert!(error.contains("O=talos") && error.contains("not known"), "{error}");
    let wrong = CertificateAndKey { key: upstream().certs.os.key, ..ca };
    assert!(matches!(admin_certificate(&wrong, NOW, Duration::HOUR), Err(PkiError::KeyMismatch { .. })));
}

#[test]
fn what_is_no_certificate_is_refused() {
    assert!(matches!(inspect("hello"), Err(PkiError::Pem { .. })));
    let key = temporary().certs.os.key;
    let error = inspect(key.expose()).unwrap_err().to_string();
    assert!(error.contains("ED25519 PRIVATE KEY"), "{error}");
    let text = encode_pem("CERTIFICATE", b"nonsense");
    assert!(matches!(inspect(&text), Err(PkiError::Certificate { .. })));
}
