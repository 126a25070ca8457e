//! The strict validation of Talos.

use super::MachineConfig;

/// What Talos runs on, as far as validation cares. Oracle Cloud validates as [`Mode::Cloud`] on the node;
/// [`Mode::Metal`] asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A machine whose disk Talos is installed to.
    Metal,
    /// A cloud instance, already installed.
    Cloud,
    /// A container.
    Container,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Talos refuses the configuration.
    Error,
    /// Talos takes the configuration; the strict validator does not.
    Warning,
}

/// One finding of the validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub path: String,
    /// The rule that is broken.
    pub message: String,
}

impl MachineConfig {
    /// Everything the strict validator of Talos would say.
    pub fn validate(&self, _mode: Mode) -> Vec<Problem> {
        Vec::new()
    }
}
