use crate::talos::machine_config::MachineConfig;

fn failure(text: &str) -> String {
    MachineConfig::parse(text).expect_err("not a configuration").to_string()
}

#[test]
fn errors_name_line_column_path_and_what_was_meant() {
    assert_eq!(
        failure("machine:\n  install:\n    dsk: /dev/sda\n"),
        "line 3, column 5: machine.install: unknown key \"dsk\", did you mean \"disk\"?"
    );
    assert_eq!(
        failure("machine:\n  install:\n    wipe: maybe\n"),
        "line 3, column 11: machine.install.wipe: true or false is expected, found a text"
    );
    assert_eq!(
        failure("machine:\n  network:\n    interfaces:\n      - mtu: big\n"),
        "line 4, column 14: machine.network.interfaces[0].mtu: a whole number is expected, found a text"
    );
}

#[test]
fn a_wrong_type_is_reported_before_an_unknown_key() {
    assert!(failure("machine:\n  bogus: 1\n  certSANs: x\n").contains("certSANs: a list is expected"));
}

#[test]
fn no_value_is_ever_quoted() {
    for text in ["machine: {token: [hunter2]}", "machine: {ca: {crt: hunter2}}", "machine: {install: {wipe: hunter2}}"]
    {
        assert!(!failure(text).contains("hunter2"), "{text}");
    }
}

#[test]
fn kinds_that_came_with_the_later_library_are_read_by_it() {
    let older = "{apiVersion: v1alpha1, kind: LinkConfig, name: a, mtu: 1500.5, routes: [{gateway: {}}]}";
    assert!(MachineConfig::parse(older).is_ok());
    let whole = "{apiVersion: v1alpha1, kind: KubeSpanConfig, enabled: true, mtu: 1500.0}";
    assert!(MachineConfig::parse(whole).is_ok());
    let cut = "{apiVersion: v1alpha1, kind: KubeSpanConfig, enabled: true, mtu: 1500.5}";
    assert!(failure(cut).contains("mtu: a whole number is expected"));
    let hollow = "{apiVersion: v1alpha1, kind: VRFConfig, name: a, routes: [{gateway: {}}]}";
    assert!(failure(hollow).contains("gateway: a single value is expected"));
}
