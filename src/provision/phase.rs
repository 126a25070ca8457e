//! The phases of a create, named after the headings of the guide.

use std::fmt;

use crate::node::spec::Activation;

/// One phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The compressed disk image is here and verified.
    Image,
    /// The disk holds the image.
    Flash,
    /// Talos answers in maintenance mode.
    Boot,
    /// The machine has the temporary control plane configuration.
    Configure,
    /// The temporary cluster has an etcd member.
    Bootstrap,
    /// The wanted schematic and version are active.
    Upgrade,
    /// The machine is a worker of the real cluster.
    Join,
    /// A node that joined before runs its new configuration.
    Apply,
    /// The machine of the state answers at its new address.
    Verify,
    /// Pods may come to the node again.
    Uncordon,
}

impl Phase {
    /// Name as it stands in `steps` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Flash => "flash",
            Self::Boot => "boot",
            Self::Configure => "configure",
            Self::Bootstrap => "bootstrap",
            Self::Upgrade => "upgrade",
            Self::Join => "join",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Uncordon => "uncordon",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The phases of a create, in order. With activation `auto` the three of the temporary control plane are run only if
/// the extensions turn out not to be active in maintenance mode, which a Factory image never needs.
pub fn sequence(flashes: bool, activation: Activation) -> Vec<Phase> {
    let mut phases = if flashes { vec![Phase::Image, Phase::Flash, Phase::Boot] } else { vec![Phase::Boot] };
    if activation == Activation::Upgrade {
        phases.extend([Phase::Configure, Phase::Bootstrap, Phase::Upgrade]);
    }
    phases.push(Phase::Join);
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_talos_already_is_not_flashed() {
        let names = |activation| sequence(false, activation).iter().map(|p| p.name()).collect::<Vec<_>>();
        assert_eq!(names(Activation::Upgrade), ["boot", "configure", "bootstrap", "upgrade", "join"]);
        assert_eq!(names(Activation::None), ["boot", "join"]);
    }
}
