//! Talos versions: their order, and what changes between them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Oldest Talos, as major and minor, that this provider is for: the first whose configuration it renders (DESIGN.md D8).
pub const OLDEST: (u64, u64) = (1, 12);

/// A Talos release such as `v1.12.2` or `v1.14.0-rc.1`.
///
/// Ordered as semantic versions are: a pre-release stands before its release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TalosVersion {
    /// The `1` of `v1.12.2`.
    pub major: u64,
    /// The `12` of `v1.12.2`.
    pub minor: u64,
    /// The `2` of `v1.12.2`.
    pub patch: u64,
    /// The `rc.1` of `v1.14.0-rc.1`.
    pub pre: Option<String>,
}

/// A text that is no Talos version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no Talos version; one looks like v1.12.2 or v1.14.0-rc.1")]
pub struct VersionError {
    text: String,
}

impl TalosVersion {
    /// A release without a pre-release part.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch, pre: None }
    }

    /// Major and minor: the version contract that a machine configuration is generated for.
    pub fn minor_pair(&self) -> (u64, u64) {
        (self.major, self.minor)
    }

    /// Whether `LifecycleService` and `ImageService` are served; older nodes answer `Unimplemented`.
    pub fn has_lifecycle_service(&self) -> bool {
        *self >= Self::new(1, 13, 0)
    }

    /// Whether `ApplyConfiguration` still knows the mode `REBOOT`; Talos 1.14 dropped it.
    pub fn apply_reboot_mode_allowed(&self) -> bool {
        self.minor_pair() < (1, 14)
    }

    /// Whether maintenance mode is served by apid itself instead of by a server of its own.
    pub fn maintenance_serves_apid(&self) -> bool {
        let first = Self { pre: Some("beta.0".into()), ..Self::new(1, 13, 0) };
        *self >= first
    }

    /// The lowest and highest Kubernetes minor (as major and minor) that this Talos accepts in image tags.
    ///
    /// From `pkg/machinery/compatibility/talos1NN`; newer lines than the last one known are counted on.
    pub fn kubernetes_range(&self) -> ((u64, u64), (u64, u64)) {
        // Every line since 1.5 moved both ends by one: 1.12 has 1.30 to 1.35.
        let low = (self.minor + 18).max(1);
        ((1, low), (1, low + 5))
    }

    /// The Kubernetes version that this Talos deploys when none is asked for, without a `v`.
    ///
    /// From `DefaultKubernetesVersion` in `pkg/machinery/constants` of each release.
    pub fn default_kubernetes(&self) -> &'static str {
        DEFAULT_KUBERNETES
            .iter()
            .rev()
            .find(|((minor, patch, pre), _)| {
                let since = Self { pre: pre.map(Into::into), ..Self::new(1, *minor, *patch) };
                *self >= since
            })
            .map_or(DEFAULT_KUBERNETES[0].1, |(_, kubernetes)| kubernetes)
    }

    /// Whether a machine that runs `host` may be upgraded (or downgraded) to this version.
    ///
    /// # Errors
    /// A sentence that says why the installer of this version would refuse
    /// (`UpgradeableFrom` in `pkg/machinery/compatibility/talos_version.go`: pre-releases count as their release).
    pub fn can_upgrade_from(&self, host: &TalosVersion) -> Result<(), String> {
        let host_core = (host.major, host.minor);
        let oldest = (self.major, self.minor.saturating_sub(2));
        if host_core < oldest {
            let (major, minor) = oldest;
            return Err(format!(
                "Talos {host} is too old to be upgraded to {self} directly; go through v{major}.{minor} first"
            ));
        }
        if host_core >= (self.major, self.minor + 2) {
            return Err(format!("Talos {host} is too new to be taken back to {self}"));
        }
        Ok(())
    }
}

impl FromStr for TalosVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        parse(text).ok_or_else(|| VersionError { text: text.into() })
    }
}

fn parse(text: &str) -> Option<TalosVersion> {
    let body = text.strip_prefix('v').unwrap_or(text);
    let (core, pre) = match body.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (body, None),
    };
    let mut numbers = core.split('.').map(number);
    let version = TalosVersion {
        major: numbers.next()??,
        minor: numbers.next()??,
        patch: numbers.next()??,
        pre: pre.map(Into::into),
    };
    let pre_is_sound = pre.is_none_or(|pre| pre.split('.').all(identifier_is_sound));
    (numbers.next().is_none() && pre_is_sound).then_some(version)
}

/// A number without a sign and without leading zeros.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    (digits && plain).then(|| text.parse().ok()).flatten()
}

fn identifier_is_sound(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl fmt::Display for TalosVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        match &self.pre {
            Some(pre) => write!(f, "-{pre}"),
            None => Ok(()),
        }
    }
}

impl Ord for TalosVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let core = |v: &Self| (v.major, v.minor, v.patch);
        core(self).cmp(&core(other)).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_pre(a, b),
        })
    }
}

impl PartialOrd for TalosVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Semantic versioning, rule 11.4: numbers as numbers and before words, words as text, a longer list after its prefix.
fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let step = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            },
        };
        if step != Ordering::Equal {
            return step;
        }
    }
}

/// Minor, patch and pre-release of the first Talos 1.x that deploys the Kubernetes beside it; ascending.
type Since = (u64, u64, Option<&'static str>);
const DEFAULT_KUBERNETES: [(Since, &str); 14] = [
    ((12, 0, None), "1.35.0"),
    ((12, 5, None), "1.35.2"),
    ((12, 7, None), "1.35.4"),
    ((13, 0, Some("alpha.0")), "1.35.0"),
    ((13, 0, Some("alpha.2")), "1.36.0-alpha.1"),
    ((13, 0, Some("rc.0")), "1.36.0-rc.1"),
    ((13, 0, None), "1.36.0"),
    ((13, 3, None), "1.36.1"),
    ((13, 5, None), "1.36.2"),
    ((13, 9, None), "1.36.3"),
    ((14, 0, Some("alpha.0")), "1.36.0"),
    ((14, 0, Some("alpha.1")), "1.36.1"),
    ((14, 0, Some("beta.0")), "1.37.0-beta.0"),
    ((14, 0, Some("rc.1")), "1.37.0-rc.0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> TalosVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_reads_with_and_without_the_v_and_shows_with_it() {
        for (text, shown) in [
            ("v1.12.2", "v1.12.2"),
            ("1.12.2", "v1.12.2"),
            ("v1.14.0-rc.1", "v1.14.0-rc.1"),
            ("1.13.0-alpha.2-3-gabcdef", "v1.13.0-alpha.2-3-gabcdef"),
        ] {
            assert_eq!(v(text).to_string(), shown);
        }
        assert_eq!(v("v1.14.0-rc.1").pre.as_deref(), Some("rc.1"));
    }

    #[test]
    fn what_is_no_version_is_refused_by_name() {
        for text in [
            "",
            "v",
            "1.12",
            "v1.12.2.1",
            "latest",
            "v1.12.x",
            "vv1.12.2",
            "1.+2.3",
            "v01.12.2",
            "v1.12.2-",
            "v1.12.2-a..b",
            " v1.12.2",
            "v1.12.2 ",
        ] {
            let error = text.parse::<TalosVersion>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn versions_stand_in_semver_order() {
        let ascending = [
            "v1.12.2",
            "v1.12.11",
            "v1.13.0-alpha.1",
            "v1.13.0-alpha.2",
            "v1.13.0-beta.0",
            "v1.13.0-rc.0",
            "v1.13.0",
            "v1.14.0-alpha.2",
            "v1.14.0-alpha.10",
            "v1.14.0-rc.1",
            "v1.14.0-rc.1.1",
            "v1.14.0",
        ];
        for pair in ascending.windows(2) {
            assert!(v(pair[0]) < v(pair[1]), "{pair:?}");
        }
        assert_eq!(v("1.12.2").cmp(&v("v1.12.2")), Ordering::Equal);
    }

    #[test]
    fn each_line_has_its_own_behaviour() {
        // version, lifecycle service, REBOOT mode, maintenance is apid
        for (text, lifecycle, reboot, apid) in [
            ("v1.12.11", false, true, false),
            ("v1.13.0-alpha.2", false, true, false),
            ("v1.13.0-beta.0", false, true, true),
            ("v1.13.0", true, true, true),
            ("v1.13.9", true, true, true),
            ("v1.14.0-rc.1", true, false, true),
        ] {
            let version = v(text);
            assert_eq!(version.has_lifecycle_service(), lifecycle, "{text}");
            assert_eq!(version.apply_reboot_mode_allowed(), reboot, "{text}");
            assert_eq!(version.maintenance_serves_apid(), apid, "{text}");
        }
    }

    #[test]
    fn kubernetes_ranges_and_defaults_are_those_of_the_releases() {
        assert_eq!(v("v1.12.2").kubernetes_range(), ((1, 30), (1, 35)));
        assert_eq!(v("v1.13.9").kubernetes_range(), ((1, 31), (1, 36)));
        assert_eq!(v("v1.14.0").kubernetes_range(), ((1, 32), (1, 37)));
        for (talos, kubernetes) in [
            ("v1.11.6", "1.35.0"),
            ("v1.12.2", "1.35.0"),
            ("v1.12.6", "1.35.2"),
            ("v1.12.11", "1.35.4"),
            ("v1.13.0", "1.36.0"),
            ("v1.13.4", "1.36.1"),
            ("v1.13.9", "1.36.3"),
            ("v1.14.0-rc.1", "1.37.0-rc.0"),
            ("v1.15.0", "1.37.0-rc.0"),
        ] {
            assert_eq!(v(talos).default_kubernetes(), kubernetes, "{talos}");
        }
    }

    #[test]
    fn an_upgrade_may_cross_two_lines_and_a_downgrade_one() {
        assert!(v("v1.12.2").can_upgrade_from(&v("v1.10.0")).is_ok());
        assert!(v("v1.14.0").can_upgrade_from(&v("v1.12.0-alpha.0")).is_ok());
        assert!(v("v1.12.2").can_upgrade_from(&v("v1.13.9")).is_ok());
        let old = v("v1.13.0").can_upgrade_from(&v("v1.10.7")).unwrap_err();
        assert!(old.contains("too old") && old.contains("v1.11"), "{old}");
        let new = v("v1.12.2").can_upgrade_from(&v("v1.14.0")).unwrap_err();
        assert!(new.contains("too new"), "{new}");
    }
}
