//! The types of resources: what `talosctl get` asks for first to learn names, namespaces and columns.

use std::sync::LazyLock;

use super::{
    apply::has_fix,
    spec::{Field, Value, text},
};
use crate::talos::version::TalosVersion;

/// What a type is.
pub struct Kind {
    /// The type string.
    pub name: &'static str,
    namespace: &'static str,
    aliases: Vec<&'static str>,
    /// Heading and JSON path.
    columns: Vec<(&'static str, &'static str)>,
    sensitive: Sensitive,
    /// Whether names are derived from the type's.
    derives: bool,
    first: u64,
    last: u64,
}

enum Sensitive {
    No,
    Yes,
    // Since 1.12.9 and 1.13.4.
    Later,
}

impl Kind {
    /// Reads a line of the table.
    fn read(line: &'static str) -> Option<Self> {
        let mut cells = line.split('|').map(str::trim);
        let (name, namespace) = (cells.next()?, cells.next()?);
        let aliases = cells.next()?.split_whitespace().collect();
        let columns = cells.next()?.split("; ").filter_map(|column| column.split_once('=')).collect();
        let mut kind = Self {
            name,
            namespace,
            aliases,
            columns,
            sensitive: Sensitive::No,
            derives: true,
            first: 0,
            last: u64::MAX,
        };
        for note in cells.next()?.split_whitespace() {
            match note {
                "sensitive" => kind.sensitive = Sensitive::Yes,
                "later" => kind.sensitive = Sensitive::Later,
                "plain" => kind.derives = false,
                range => {
                    let (first, last) = range.split_once('-')?;
                    kind.first = first.parse().unwrap_or_default();
                    kind.last = last.parse().unwrap_or(u64::MAX);
                }
            }
        }
        Some(kind)
    }

    /// Whether only administrators may read it.
    pub fn is_sensitive(&self, version: &TalosVersion) -> bool {
        match self.sensitive {
            Sensitive::No => false,
            Sensitive::Yes => true,
            Sensitive::Later => has_fix(version, 9, 4),
        }
    }

    fn is_in(&self, (major, minor): (u64, u64)) -> bool {
        // Before 1.12 is as 1.12.
        let minor = if major > 1 { u64::MAX } else { minor.max(12) };
        (self.first..=self.last).contains(&minor)
    }

    /// The id of its definition.
    pub fn id(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Its definition; names are derived as cosi-project/runtime does (pkg/resource/meta/spec).
    pub fn definition(&self, version: &TalosVersion) -> Vec<Field> {
        let (plural, suffix) = self.name.split_once('.').unwrap_or((self.name, ""));
        let singular = singular(plural);
        let mut aliases: Vec<String> = self.aliases.iter().map(ToString::to_string).collect();
        let mut all = Vec::new();
        if self.derives {
            let lower = plural.to_ascii_lowercase();
            aliases.push(singular.to_ascii_lowercase());
            all.push(lower.clone());
            let parts: Vec<_> = suffix.split('.').collect();
            all.extend((1..parts.len()).map(|count| format!("{lower}.{}", parts[..count].join("."))));
            let initials: String = plural.chars().filter(char::is_ascii_uppercase).collect();
            if initials.len() > 1 {
                aliases.push(initials.to_ascii_lowercase());
                if !initials.ends_with('S') {
                    aliases.push(format!("{}s", initials.to_ascii_lowercase()));
                }
            }
        }
        all.extend(aliases.iter().cloned());
        let list = |words: Vec<String>| Value::List(words.into_iter().map(text).collect());
        let column = |(name, path): &(&'static str, &'static str)| {
            Value::Message(vec![(1, "name", text(*name)), (2, "jsonPath", text(*path))])
        };
        let mut fields = vec![
            (1, "type", text(self.name)),
            (2, "displayType", text(singular)),
            (3, "defaultNamespace", text(self.namespace)),
            (4, "aliases", list(aliases)),
            (5, "allAliases", list(all)),
            (6, "printColumns", Value::List(self.columns.iter().map(column).collect())),
        ];
        if self.is_sensitive(version) {
            fields.push((7, "sensitivity", Value::Enum(1, "sensitive")));
        }
        fields
    }
}

/// The singular as gertd/go-pluralize finds it, for the names that there are.
fn singular(plural: &str) -> String {
    for (end, instead) in [("tatuses", "tatus"), ("ddresses", "ddress"), ("shes", "sh"), ("ches", "ch"), ("ies", "y")] {
        if let Some(stem) = plural.strip_suffix(end) {
            return format!("{stem}{instead}");
        }
    }
    plural.strip_suffix('s').unwrap_or(plural).to_owned()
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let lines = include_str!("kinds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Kind::read).collect()
});

/// A type by its string, when this version has it.
pub fn kind(name: &str, version: &TalosVersion) -> Option<&'static Kind> {
    kinds(version).find(|kind| kind.name.eq_ignore_ascii_case(name))
}

/// All types of this version.
pub fn kinds(version: &TalosVersion) -> impl Iterator<Item = &'static Kind> {
    let pair = version.minor_pair();
    KINDS.iter().filter(move |kind| kind.is_in(pair))
}

/// The namespaces and since when they exist (Talos internal/app/machined/pkg/runtime/v1alpha2/v1alpha2_state.go).
const NAMESPACES: [(&str, u64); 19] = [
    ("cluster", 0),
    ("cluster-raw", 0),
    ("config", 0),
    ("containers", 14),
    ("controlplane", 0),
    ("cri", 0),
    ("etcd", 0),
    ("files", 0),
    ("hardware", 0),
    ("k8s", 0),
    ("kubespan", 0),
    ("meta", 0),
    ("network", 0),
    ("network-config", 0),
    ("perf", 0),
    ("runtime", 0),
    ("secrets", 0),
    ("security", 13),
    ("storage", 14),
];

/// The namespaces of this version.
pub fn namespaces(version: &TalosVersion) -> impl Iterator<Item = &'static str> {
    let (major, minor) = version.minor_pair();
    NAMESPACES.iter().filter(move |(_, since)| major > 1 || minor >= *since).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> TalosVersion {
        text.parse().expect("a version")
    }

    #[test]
    fn each_line_of_the_table_is_read() {
        let lines = include_str!("kinds.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(KINDS.len(), lines);
        // Counted in Talos' registries.
        let counts = ["v1.12.2", "v1.13.9", "v1.14.0-rc.1"].map(|text| kinds(&version(text)).count());
        assert_eq!(counts, [160, 167, 196]);
        assert!(kinds(&version("v1.13.0")).all(|kind| namespaces(&version("v1.13.0")).any(|n| n == kind.namespace)));
    }

    #[test]
    fn no_release_has_a_type_twice() {
        for text in ["v1.12.2", "v1.13.9", "v1.14.0"] {
            let mut names: Vec<_> = kinds(&version(text)).map(|kind| kind.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{text}");
        }
    }

    #[test]
    fn a_definition_is_what_the_registry_of_talos_holds() {
        let version = version("v1.12.2");
        let definition = |name: &str| {
            let kind = kind(name, &version).expect("a type");
            super::super::spec::Spec::Message(kind.definition(&version))
        };
        let expected = "type: AddressStatuses.net.talos.dev\ndisplayType: AddressStatus\ndefaultNamespace: network\n\
                        aliases:\n    - address\n    - addresses\n    - addressstatus\n    - as\nallAliases:\n    - \
                        addressstatuses\n    - addressstatuses.net\n    - addressstatuses.net.talos\n    - address\n    \
                        - addresses\n    - addressstatus\n    - as\nprintColumns:\n    - name: Address\n      jsonPath: \
                        '{.address}'\n    - name: Link\n      jsonPath: '{.linkName}'\n";
        assert_eq!(definition("AddressStatuses.net.talos.dev").yaml(), expected);
        let secret = definition("OSRootSecrets.secrets.talos.dev");
        assert!(secret.yaml().ends_with("sensitivity: sensitive\n"));
        // Field 7 is an enumeration: real clients refuse anything else.
        assert!(secret.proto().ends_with(&[7 << 3, 1]));
    }
}
