//! Overrides of the container runtime's base specification: they must decode as one (opencontainers/runtime-spec
//! v1.3.0 `specs-go/config.go`, read with Go's `encoding/json`). Unknown keys are fine there.

use super::super::yaml::{Node, Scalar, Tag, Value};
use super::Report;

/// What a value must be; null is always fine.
enum Shape {
    Text,
    Flag,
    Number(i128, i128),
    List(&'static Shape),
    Map(&'static Shape),
    Object(&'static [(&'static str, Shape)]),
}

use Shape::{Flag, List, Map, Number, Object, Text};

const INT: Shape = Number(i64::MIN as i128, i64::MAX as i128);
const INT32: Shape = Number(i32::MIN as i128, i32::MAX as i128);
const UINT: Shape = Number(0, u64::MAX as i128);
const UINT32: Shape = Number(0, u32::MAX as i128);
const UINT16: Shape = Number(0, u16::MAX as i128);
const TEXTS: Shape = List(&Text);
const HOOKS: Shape = List(&Object(&[("path", Text), ("args", TEXTS), ("env", TEXTS), ("timeout", INT)]));
const ID_MAPPINGS: Shape = List(&Object(&[("containerID", UINT32), ("hostID", UINT32), ("size", UINT32)]));
const RATES: Shape = List(&Object(&[("major", INT), ("minor", INT), ("rate", UINT)]));

const SPEC: Shape = Object(&[
    ("ociVersion", Text),
    ("process", Object(PROCESS)),
    ("root", Object(&[("path", Text), ("readonly", Flag)])),
    ("hostname", Text),
    ("domainname", Text),
    (
        "mounts",
        List(&Object(&[
            ("destination", Text),
            ("type", Text),
            ("source", Text),
            ("options", TEXTS),
            ("uidMappings", ID_MAPPINGS),
            ("gidMappings", ID_MAPPINGS),
        ])),
    ),
    (
        "hooks",
        Object(&[
            ("prestart", HOOKS),
            ("createRuntime", HOOKS),
            ("createContainer", HOOKS),
            ("startContainer", HOOKS),
            ("poststart", HOOKS),
            ("poststop", HOOKS),
        ]),
    ),
    ("annotations", Map(&Text)),
    ("linux", Object(LINUX)),
    // Systems that Talos is none of: their fields are not looked at.
    ("solaris", Object(&[])),
    ("windows", Object(&[])),
    ("vm", Object(&[])),
    ("zos", Object(&[])),
    ("freebsd", Object(&[])),
]);

const PROCESS: &[(&str, Shape)] = &[
    ("terminal", Flag),
    ("consoleSize", Object(&[("height", UINT), ("width", UINT)])),
    (
        "user",
        Object(&[
            ("uid", UINT32),
            ("gid", UINT32),
            ("umask", UINT32),
            ("additionalGids", List(&UINT32)),
            ("username", Text),
        ]),
    ),
    ("args", TEXTS),
    ("commandLine", Text),
    ("env", TEXTS),
    ("cwd", Text),
    (
        "capabilities",
        Object(&[
            ("bounding", TEXTS),
            ("effective", TEXTS),
            ("inheritable", TEXTS),
            ("permitted", TEXTS),
            ("ambient", TEXTS),
        ]),
    ),
    ("rlimits", List(&Object(&[("type", Text), ("hard", UINT), ("soft", UINT)]))),
    ("noNewPrivileges", Flag),
    ("apparmorProfile", Text),
    ("oomScoreAdj", INT),
    (
        "scheduler",
        Object(&[
            ("policy", Text),
            ("nice", INT32),
            ("priority", INT32),
            ("flags", TEXTS),
            ("runtime", UINT),
            ("deadline", UINT),
            ("period", UINT),
        ]),
    ),
    ("selinuxLabel", Text),
    ("ioPriority", Object(&[("class", Text), ("priority", INT)])),
    ("execCPUAffinity", Object(&[("initial", Text), ("final", Text)])),
];

const LINUX: &[(&str, Shape)] = &[
    ("uidMappings", ID_MAPPINGS),
    ("gidMappings", ID_MAPPINGS),
    ("sysctl", Map(&Text)),
    ("resources", Object(RESOURCES)),
    ("cgroupsPath", Text),
    ("namespaces", List(&Object(&[("type", Text), ("path", Text)]))),
    (
        "devices",
        List(&Object(&[
            ("path", Text),
            ("type", Text),
            ("major", INT),
            ("minor", INT),
            ("fileMode", UINT32),
            ("uid", UINT32),
            ("gid", UINT32),
        ])),
    ),
    ("netDevices", Map(&Object(&[("name", Text)]))),
    ("seccomp", Object(SECCOMP)),
    ("rootfsPropagation", Text),
    ("maskedPaths", TEXTS),
    ("readonlyPaths", TEXTS),
    ("mountLabel", Text),
    (
        "intelRdt",
        Object(&[
            ("closID", Text),
            ("schemata", TEXTS),
            ("l3CacheSchema", Text),
            ("memBwSchema", Text),
            ("enableMonitoring", Flag),
        ]),
    ),
    ("memoryPolicy", Object(&[("mode", Text), ("nodes", Text), ("flags", TEXTS)])),
    ("personality", Object(&[("domain", Text), ("flags", TEXTS)])),
    ("timeOffsets", Map(&Object(&[("secs", INT), ("nanosecs", UINT32)]))),
];

const SECCOMP: &[(&str, Shape)] = &[
    ("defaultAction", Text),
    ("defaultErrnoRet", UINT),
    ("architectures", TEXTS),
    ("flags", TEXTS),
    ("listenerPath", Text),
    ("listenerMetadata", Text),
    (
        "syscalls",
        List(&Object(&[
            ("names", TEXTS),
            ("action", Text),
            ("errnoRet", UINT),
            ("args", List(&Object(&[("index", UINT), ("value", UINT), ("valueTwo", UINT), ("op", Text)]))),
        ])),
    ),
];

const RESOURCES: &[(&str, Shape)] = &[
    ("devices", List(&Object(&[("allow", Flag), ("type", Text), ("major", INT), ("minor", INT), ("access", Text)]))),
    (
        "memory",
        Object(&[
            ("limit", INT),
            ("reservation", INT),
            ("swap", INT),
            ("kernel", INT),
            ("kernelTCP", INT),
            ("swappiness", UINT),
            ("disableOOMKiller", Flag),
            ("useHierarchy", Flag),
            ("checkBeforeUpdate", Flag),
        ]),
    ),
    (
        "cpu",
        Object(&[
            ("shares", UINT),
            ("quota", INT),
            ("burst", UINT),
            ("period", UINT),
            ("realtimeRuntime", INT),
            ("realtimePeriod", UINT),
            ("cpus", Text),
            ("mems", Text),
            ("idle", INT),
        ]),
    ),
    ("pids", Object(&[("limit", INT)])),
    (
        "blockIO",
        Object(&[
            ("weight", UINT16),
            ("leafWeight", UINT16),
            (
                "weightDevice",
                List(&Object(&[("major", INT), ("minor", INT), ("weight", UINT16), ("leafWeight", UINT16)])),
            ),
            ("throttleReadBpsDevice", RATES),
            ("throttleWriteBpsDevice", RATES),
            ("throttleReadIOPSDevice", RATES),
            ("throttleWriteIOPSDevice", RATES),
        ]),
    ),
    ("hugepageLimits", List(&Object(&[("pageSize", Text), ("limit", UINT)]))),
    ("network", Object(&[("classID", UINT32), ("priorities", List(&Object(&[("name", Text), ("priority", UINT32)])))])),
    ("rdma", Map(&Object(&[("hcaHandles", UINT32), ("hcaObjects", UINT32)]))),
    ("unified", Map(&Text)),
];

/// Tells of the first value that does not fit, as Go does.
pub(super) fn validate(overrides: Option<&Node>, path: &str, report: &mut Report) {
    if let Some((path, expected)) = overrides.and_then(|node| misfit(node, &SPEC, path)) {
        report.error(path, format!("base runtime spec overrides: {expected} is expected"));
    }
}

/// Where a value does not fit, and what would.
fn misfit(node: &Node, shape: &Shape, path: &str) -> Option<(String, &'static str)> {
    if node.is_null() {
        return None;
    }
    let here = |expected| Some((path.to_owned(), expected));
    match (shape, &node.value) {
        (Text, Value::Scalar(Scalar { tag, .. })) if !matches!(tag, Tag::Int | Tag::Float | Tag::Bool) => None,
        (Text, _) => here("a text"),
        (Flag, Value::Scalar(Scalar { tag: Tag::Bool, .. })) => None,
        (Flag, _) => here("a boolean"),
        (Number(low, high), Value::Scalar(scalar)) => {
            let fits = whole(scalar).is_some_and(|number| (*low..=*high).contains(&number));
            if fits { None } else { here("a whole number within its bounds") }
        }
        (Number(..), _) => here("a whole number"),
        (List(shape), Value::Sequence(items)) => {
            items.iter().enumerate().find_map(|(index, item)| misfit(item, shape, &format!("{path}[{index}]")))
        }
        (List(_), _) => here("a list"),
        (Map(shape), Value::Mapping(entries)) => entries
            .iter()
            .find_map(|entry| misfit(&entry.value, shape, &format!("{path}.{}", entry.key.as_str().unwrap_or("")))),
        (Object(fields), Value::Mapping(entries)) => entries.iter().find_map(|entry| {
            let key = entry.key.as_str()?;
            // Go's decoder does not mind upper and lower case.
            let (name, shape) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
            misfit(&entry.value, shape, &format!("{path}.{name}"))
        }),
        (Map(_) | Object(_), _) => here("a mapping"),
    }
}

/// A number that Go writes to JSON without a fraction.
fn whole(scalar: &Scalar) -> Option<i128> {
    match scalar.tag {
        Tag::Int => super::super::yaml::integer_value(&scalar.text),
        Tag::Float => scalar.text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < 1e21).map(|n| n as i128),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::judge;

    #[test]
    fn overrides_decode_as_a_runtime_spec() {
        let document = |overrides: &str| {
            format!("{{apiVersion: v1alpha1, kind: CRIBaseRuntimeSpecConfig, overrides: {overrides}}}")
        };
        for overrides in [
            "{}",
            "{process: {rlimits: [{type: RLIMIT_NOFILE, hard: 1024, soft: 1024}]}}",
            "{Process: {OOMScoreAdj: -5}, unknown: 1, hostname: null}",
            "{linux: {resources: {memory: {limit: -1}, unified: {memory.high: max}}}, mounts: [{options: [ro]}]}",
            "{linux: {resources: {cpu: {shares: 1e3}}}}",
        ] {
            assert_eq!(judge(&document(overrides)), Vec::<String>::new(), "{overrides}");
        }
        for (overrides, path, expected) in [
            ("{hostname: 1}", "hostname", "a text"),
            ("{process: []}", "process", "a mapping"),
            ("{process: {terminal: 'true'}}", "process.terminal", "a boolean"),
            ("{process: {args: x}}", "process.args", "a list"),
            ("{process: {user: {uid: -1}}}", "process.user.uid", "a whole number within its bounds"),
            ("{process: {user: {uid: 1.5}}}", "process.user.uid", "a whole number within its bounds"),
            ("{process: {oomScoreAdj: []}}", "process.oomScoreAdj", "a whole number"),
            ("{annotations: {a: 1}}", "annotations.a", "a text"),
            ("{mounts: [{}, {options: [1]}]}", "mounts[1].options[0]", "a text"),
        ] {
            let message = format!(
                "CRIBaseRuntimeSpecConfig.overrides.{path}: base runtime spec overrides: {expected} is expected"
            );
            assert_eq!(judge(&document(overrides)), [message], "{overrides}");
        }
    }
}
