//! CEL expressions: syntax and types, in the environments Talos gives them (v1.12.11 to v1.14.0-rc.1
//! `pkg/machinery/cel/celenv`).
//!
//! A checker of our own instead of the crate `cel`: that one parses and runs expressions but knows no static
//! types, and types are what Talos checks.

mod check;
mod lex;
mod names;
mod parse;

use super::era::Releases;
use check::Checker;

/// What an expression may use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Environment {
    /// `link`: selectors of network links.
    Link,
    /// `disk`, `system_disk`: selectors of disks.
    Disk,
    /// `volume`, `disk`: selectors of existing volumes.
    Volume,
    /// Memory pressure: when to look for something to kill.
    OomTrigger,
    /// One group of processes: what to kill.
    OomScoring,
}

/// The type of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    Duration,
    Timestamp,
    /// The type of a type.
    Meta,
    /// Anything; what an empty list holds, too.
    Dyn,
    /// A list of strings, for tables of fields.
    Strings,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Optional(Box<Type>),
    /// A record with known fields.
    Message(&'static [(&'static str, Type)]),
}

/// Whether the expression is well-formed, gives that type, and has only fields that all releases know; the error
/// says why not.
pub(super) fn check(
    expression: &str,
    environment: Environment,
    expected: Type,
    releases: Releases,
) -> Result<(), String> {
    let expression = parse::parse(expression)?;
    let mut checker = Checker::new(environment);
    let found = checker.type_of(&expression)?;
    if found != expected {
        return Err(format!("expression output type is {}, expected {}", found.name(), expected.name()));
    }
    if releases.before(checker.since()) {
        return Err(format!("there is a field that came with Talos 1.{}", checker.since()));
    }
    Ok(())
}

/// The first minor release of Talos 1 that has all fields of an expression; 12 where it cannot be told.
pub(super) fn since(expression: &str, environment: Environment) -> u8 {
    let mut checker = Checker::new(environment);
    match parse::parse(expression).and_then(|expression| checker.type_of(&expression)) {
        Ok(_) => checker.since(),
        Err(_) => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expression: &str, environment: Environment) -> Result<(), String> {
        check(expression, environment, Type::Bool, Releases::default())
    }

    #[test]
    fn selectors_in_use_are_accepted() {
        for expression in [
            r#"glob("02:00:17:27:16:32", mac(link.hardware_addr))"#,
            r#"glob("x*", link.bus_path) && link.type == 1"#,
            r#"mac(link.permanent_addr).startsWith("00:1a") && !link.link_state"#,
            r#"link.driver == "virtio_net" || link.mtu > 1500u"#,
            r#"["a", 'b'].exists(x, x == link.kind)"#,
            r#"link.driver in ["a", "b"] ? true : size(link.kind) > 0"#,
            "has(link.vlan)",
            "link.alt_names.all(n, n.matches(r'^a\\d'))",
        ] {
            assert_eq!(verdict(expression, Environment::Link), Ok(()), "{expression}");
        }
        for expression in [
            "disk.size > 100u * GB && !system_disk",
            r#"disk.transport == "nvme""#,
            "disk.size <= 2u*TiB && disk.rotational == false",
            r#"'/dev/sda' in disk.symlinks"#,
        ] {
            assert_eq!(verdict(expression, Environment::Disk), Ok(()), "{expression}");
        }
        let volume = r#"volume.partition_label == "x" && disk.transport != """#;
        assert_eq!(verdict(volume, Environment::Volume), Ok(()));
        let trigger = "multiply_qos_vectors(d_qos_memory_full_total, {System: 8.0, Podruntime: 4.0}) > 3000.0 && time_since_trigger > duration('500ms')";
        assert_eq!(verdict(trigger, Environment::OomTrigger), Ok(()));
        let scoring = "memory_max.hasValue() ? 0.0 : {Besteffort: 1.0, Burstable: 0.5}[class] * double(memory_current.orValue(0u))";
        assert_eq!(check(scoring, Environment::OomScoring, Type::Double, Releases::default()), Ok(()));
    }

    #[test]
    fn what_does_not_type_check_is_refused_with_a_reason() {
        for (expression, reason) in [
            ("x", "undeclared reference to 'x'"),
            ("link.bogus == 1", "undefined field 'bogus'"),
            ("link.driver", "output type is string, expected bool"),
            ("link.mtu > 1500", "no matching overload for '>'"),
            ("link.driver == 1", "no matching overload for '=='"),
            ("glob(link.driver)", "no matching overload for 'glob'"),
            ("glob('a', 'b') &&", "unexpected end"),
            ("nothing('a')", "undeclared reference to 'nothing'"),
            ("(true", "')' is expected"),
            ("true true", "unexpected"),
            ("'a", "unterminated"),
            ("", "unexpected end"),
            ("link.driver.lowerAscii() == 'a'", "undeclared reference to 'lowerAscii'"),
            ("disk.size > 0u", "undeclared reference to 'disk'"),
            ("dyn(true)", "output type is dyn"),
        ] {
            let error = verdict(expression, Environment::Link).expect_err(expression);
            assert!(error.contains(reason), "{expression}: {error}");
        }
    }

    #[test]
    fn fields_that_came_later_are_for_the_releases_that_have_them() {
        let cases = [
            ("disk.firmware_version == 'x'", Environment::Disk, 14),
            ("disk.firmware_version == 'x'", Environment::Volume, 14),
            ("has(link.veth)", Environment::Link, 14),
            ("has(link.vrf_master) && link.firmware_version == 'x'", Environment::Link, 13),
            ("link.firmware_version == 'x'", Environment::Link, 12),
            ("disk.bogus", Environment::Disk, 12),
        ];
        for (expression, environment, minor) in cases {
            assert_eq!(since(expression, environment), minor, "{expression}");
        }
        for (version, known) in [("v1.12.11", false), ("v1.13.9", false), ("v1.14.0", true)] {
            let releases = Releases::only(&version.parse().expect("a version"));
            let verdict = check(cases[0].0, Environment::Disk, Type::Bool, releases);
            assert_eq!(verdict.is_ok(), known, "{version}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(verdict(&deep, Environment::Link).is_err());
        assert!(verdict(&"!".repeat(100_000), Environment::Link).is_err());
    }
}
