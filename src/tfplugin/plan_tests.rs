use super::{laws::host_merge, *};
use crate::tfplugin::types::Type;

fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("id").computed().use_state_for_unknown(),
        Attribute::string("name").required().requires_replace(),
        Attribute::number("port").default(22),
        Attribute::string("token").write_only(),
        Attribute::string("status").computed(),
        Attribute::string("zone").optional().computed(),
        Attribute::set("tags", Type::String),
        Attribute::object(
            "disk",
            [
                Attribute::string("path").required().requires_replace(),
                Attribute::string("mode").default("all"),
                Attribute::string("key").write_only(),
                Attribute::string("serial").computed().use_state_for_unknown(),
                Attribute::number("written").computed(),
            ],
        ),
        Attribute::list_of_objects("nets", [Attribute::string("ip").required(), Attribute::string("mac").computed()]),
        Attribute::object("hook", [Attribute::bool("on").default(false), Attribute::string("run")])
            .default(Value::object::<String>([])),
    ]
}

/// A value with all attributes of the schema.
fn full(entries: Value) -> Value {
    let (value, misfits) = crate::tfplugin::conform::conform(&attributes(), entries);
    assert_eq!(misfits, []);
    value
}

fn config() -> Value {
    full(Value::object([
        ("name", "a".into()),
        ("token", "secret".into()),
        ("disk", Value::object([("path", "/dev/sda".into()), ("key", "secret".into())])),
        ("nets", Value::List(vec![Value::object([("ip", "10.0.0.1".into())])])),
    ]))
}

/// What the config above ends as.
fn state() -> Value {
    let disk = [("path", "/dev/sda".into()), ("mode", "all".into()), ("serial", "S1".into()), ("written", 7.into())];
    full(Value::object([
        ("id", "i-1".into()),
        ("name", "a".into()),
        ("port", 22.into()),
        ("status", "up".into()),
        ("zone", "z1".into()),
        ("disk", Value::object(disk)),
        ("nets", Value::List(vec![Value::object([("ip", "10.0.0.1".into()), ("mac", "m1".into())])])),
        ("hook", Value::object([("on", false.into())])),
    ]))
}

fn plan(prior: &Value, config: &Value) -> Value {
    propose(&attributes(), prior, &host_merge(&attributes(), prior, config), config).proposed
}

fn replaces(prior: &Value, config: &Value) -> Vec<String> {
    let planned = plan(prior, config);
    requires_replace(&attributes(), prior, &planned, config).iter().map(Path::to_string).collect()
}

fn changed(path: &str, value: impl Into<Value>) -> Value {
    let mut config = config();
    assert!(config.set_at(&path.into(), value), "{path}");
    config
}

#[test]
fn a_create_has_defaults_and_unknowns_and_no_write_only_value() {
    let planned = plan(&Value::Null, &config());
    for (path, value) in [
        ("id", Value::Unknown),
        ("name", "a".into()),
        ("port", 22.into()),
        ("token", Value::Null),
        ("status", Value::Unknown),
        ("zone", Value::Unknown),
        ("tags", Value::Null),
        ("disk.path", "/dev/sda".into()),
        ("disk.mode", "all".into()),
        ("disk.key", Value::Null),
        ("disk.serial", Value::Unknown),
        ("disk.written", Value::Unknown),
        ("nets[0].ip", "10.0.0.1".into()),
        ("nets[0].mac", Value::Unknown),
        ("hook.on", false.into()),
        ("hook.run", Value::Null),
    ] {
        assert_eq!(planned.at(&path.into()), &value, "{path}");
    }
}

#[test]
fn a_second_plan_is_the_prior_state() {
    assert_eq!(plan(&state(), &config()), state());
    // Not even a changed secret shows: that is what a version attribute beside it is for.
    assert_eq!(plan(&state(), &changed("token", "rotated")), state());
}

#[test]
fn any_difference_makes_computed_values_unknown_but_the_stable_ones() {
    for (path, value) in [
        ("port", Value::from(2222)),
        ("tags", vec!["x"].into()),
        ("disk.mode", "needed".into()),
        ("nets[0].ip", "10.0.0.2".into()),
        ("nets[0].ip", Value::Unknown),
        ("disk", Value::Null),
        ("hook", Value::object([("on", true.into()), ("run", Value::Null)])),
    ] {
        let planned = plan(&state(), &changed(path, value.clone()));
        assert_eq!(planned.at(&path.into()), &value, "{path}");
        assert_eq!(planned.get("id"), &Value::from("i-1"), "{path}");
        assert_eq!(planned.get("status"), &Value::Unknown, "{path}");
        assert_eq!(planned.get("zone"), &Value::Unknown, "{path}");
        if path != "disk" {
            assert_eq!(planned.at(&"disk.serial".into()), &Value::from("S1"), "{path}");
            assert_eq!(planned.at(&"disk.written".into()), &Value::Unknown, "{path}");
        }
    }
}

#[test]
fn drift_of_a_default_is_planned_back() {
    let mut drifted = state();
    drifted.set("port", 2222);
    let planned = plan(&drifted, &config());
    assert_eq!(planned.get("port"), &Value::from(22));
}

#[test]
fn without_a_difference_the_changed_proposal_is_still_at_hand() {
    let merged = host_merge(&attributes(), &state(), &config());
    let proposal = propose(&attributes(), &state(), &merged, &config());
    assert_eq!(proposal.proposed, state());
    assert_eq!(proposal.on_change.get("status"), &Value::Unknown);
    assert_eq!(proposal.on_change.get("id"), &Value::from("i-1"));
}

#[test]
fn an_unknown_configuration_stays_unknown() {
    let planned = plan(&Value::Null, &changed("disk", Value::Unknown));
    assert_eq!(planned.get("disk"), &Value::Unknown);
    let planned = plan(&Value::Null, &changed("port", Value::Unknown));
    assert_eq!(planned.get("port"), &Value::Unknown);
}

#[test]
fn the_order_of_a_set_is_no_difference() {
    let mut prior = state();
    prior.set("tags", vec!["a", "b"]);
    assert_eq!(plan(&prior, &changed("tags", vec!["b", "a"])), prior);
}

#[test]
fn a_change_that_makes_a_new_object_is_named() {
    for (path, value, expected) in [
        ("name", Value::from("b"), vec!["name"]),
        ("name", Value::Unknown, vec!["name"]),
        ("disk.path", "/dev/sdb".into(), vec!["disk.path"]),
        ("disk.mode", "needed".into(), vec![]),
        ("disk", Value::Null, vec!["disk"]),
        ("port", 1.into(), vec![]),
        ("token", "new".into(), vec![]),
    ] {
        assert_eq!(replaces(&state(), &changed(path, value)), expected, "{path}");
    }
    assert_eq!(replaces(&Value::Null, &config()), Vec::<String>::new());
}

#[test]
fn a_computed_value_that_is_unknown_only_by_the_way_makes_no_new_object() {
    let attributes =
        [Attribute::string("name").required(), Attribute::string("zone").optional().computed().requires_replace()];
    let prior = Value::object([("name", "a".into()), ("zone", "z".into())]);
    let config = Value::object([("name", "b".into()), ("zone", Value::Null)]);
    let planned = propose(&attributes, &prior, &host_merge(&attributes, &prior, &config), &config).proposed;
    assert_eq!(planned.get("zone"), &Value::Unknown);
    assert_eq!(requires_replace(&attributes, &prior, &planned, &config), []);
}

#[test]
fn elements_of_nested_collections_are_matched_by_position_key_and_content() {
    let nested = || {
        [
            Attribute::string("ip").required().requires_replace(),
            Attribute::string("mac").computed().use_state_for_unknown(),
        ]
    };
    let object = |ip: &str, mac: Value| Value::object([("ip", ip.into()), ("mac", mac)]);
    let with = |value: Value| Value::object([("n", value)]);

    // A set: the second element is the one that the prior state knows.
    let attributes = [Attribute::set_of_objects("n", nested())];
    let prior = with(Value::List(vec![object("b", "mb".into())]));
    let config = with(Value::List(vec![object("a", Value::Null), object("b", Value::Null)]));
    let merged = with(Value::List(vec![object("a", Value::Null), object("b", "mb".into())]));
    let planned = propose(&attributes, &prior, &merged, &config).proposed;
    assert_eq!(planned, with(Value::List(vec![object("a", Value::Unknown), object("b", "mb".into())])));
    assert_eq!(requires_replace(&attributes, &prior, &planned, &config), [Path::from("n")]);

    // A map: the same by key.
    let attributes = [Attribute::map_of_objects("n", nested())];
    let prior = with(Value::object([("k", object("a", "ma".into())), ("l", object("b", "mb".into()))]));
    let config = with(Value::object([("k", object("a", Value::Null)), ("l", object("c", Value::Null))]));
    let merged = with(Value::object([("k", object("a", "ma".into())), ("l", object("c", "mb".into()))]));
    let planned = propose(&attributes, &prior, &merged, &config).proposed;
    assert_eq!(planned, merged);
    assert_eq!(requires_replace(&attributes, &prior, &planned, &config), [Path::from("n[\"l\"].ip")]);
}
