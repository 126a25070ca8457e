//! What an update promised to do: the steps of its plan. What is not among them is not done, whatever is found.

/// The steps of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// The machine of the state must be what answers at the new address.
    pub verify: bool,
    /// Another version or schematic is installed.
    pub upgrade: bool,
    /// Another configuration is applied.
    pub apply: bool,
    /// The node is proven to be well.
    pub join: bool,
    /// A cordon that an earlier run left behind is lifted.
    pub uncordon: bool,
}

impl Duties {
    /// Reads steps as a plan lists them.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a str>) -> Self {
        let mut duties = Self::default();
        for step in steps {
            match step {
                "verify" => duties.verify = true,
                "upgrade" => duties.upgrade = true,
                "apply" => duties.apply = true,
                "join" => duties.join = true,
                "uncordon" => duties.uncordon = true,
                _ => {}
            }
        }
        duties
    }

    /// Nothing but a look at who answers.
    pub fn only_verifies(self) -> bool {
        self == Self { verify: true, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_alone_is_no_change() {
        assert!(Duties::of(["verify"]).only_verifies());
        assert!(!Duties::of(["verify", "apply"]).only_verifies());
        assert!(!Duties::of([]).only_verifies());
    }
}
