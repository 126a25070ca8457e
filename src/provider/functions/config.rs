//! Functions on machine configurations.

use async_trait::async_trait;

use super::{blame, string};
use crate::talos::machine_config::{HashOptions, MachineConfig, Mode, Problem, Severity};
use crate::tfplugin::function::{Function, FunctionError, Parameter, Signature};
use crate::tfplugin::provider::Context;
use crate::tfplugin::types::Type;
use crate::tfplugin::value::Value;

/// `patch_config(base, patches)`.
pub struct PatchConfig;

/// `validate_config(config, mode)`.
pub struct ValidateConfig;

/// `config_hash(config)`.
pub struct ConfigHash;

/// `redact_config(config)`.
pub struct RedactConfig;

fn config_parameter(name: &str) -> Parameter {
    Parameter::new(name, Type::String).description("A machine configuration as YAML, with all its documents.")
}

fn parse(arguments: &[Value]) -> Result<MachineConfig, FunctionError> {
    MachineConfig::parse(string(arguments, 0)?).map_err(|error| blame(0, &error))
}

#[async_trait]
impl Function for PatchConfig {
    fn signature(&self) -> Signature {
        let patches = Parameter::new("patches", Type::list(Type::String))
            .description("Strategic merge patches or JSON patches, as `talosctl` takes them, applied in order.");
        Signature::new([config_parameter("base"), patches], Type::String)
            .summary("Patches a machine configuration")
            .description(
                "Applies patches to a machine configuration as Talos does: strategic merge with `$patch: delete`, or JSON \
                 patches (RFC 6902), which Talos allows on single-document configurations only.",
            )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let mut config = parse(&arguments)?;
        let patches = arguments.get(1).and_then(Value::as_list).unwrap_or_default();
        for (index, patch) in patches.iter().enumerate() {
            let text =
                patch.as_str().ok_or_else(|| FunctionError::argument(1, format!("patch {index} is not a string")))?;
            config = config
                .patch(&[text])
                .map_err(|error| {
                    FunctionError::argument(1, format!("patch {index}: {}", crate::provision::error::chain(&error)))
                })?
                .config;
        }
        Ok(config.to_yaml().into())
    }
}

#[async_trait]
impl Function for ValidateConfig {
    fn signature(&self) -> Signature {
        let mode = Parameter::new("mode", Type::String)
            .description("`metal`, `cloud` or `container`. Talos on Oracle Cloud validates in mode `cloud`.");
        Signature::new([config_parameter("config"), mode], Type::list(Type::String))
            .summary("Validates a machine configuration")
            .description(
                "Validates a machine configuration as strictly as Talos does and returns the problems, each with its path; \
                 an empty list when it is valid. What cannot be read at all is a problem too. Where releases of Talos \
                 differ, the strictest of those that know all of the content counts.",
            )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let mode = match string(&arguments, 1)? {
            "metal" => Mode::Metal,
            "cloud" => Mode::Cloud,
            "container" => Mode::Container,
            other => {
                return Err(FunctionError::argument(
                    1,
                    format!("mode {other:?} is not one of metal, cloud, container"),
                ));
            }
        };
        let config = match MachineConfig::parse(string(&arguments, 0)?) {
            Ok(config) => config,
            Err(error) => return Ok(Value::list([crate::provision::error::chain(&error)])),
        };
        let problems = config.validate(mode).into_iter().filter(Problem::is_fatal).map(|problem| {
            let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
            if problem.path.is_empty() {
                format!("{severity}{}", problem.message)
            } else {
                format!("{severity}{}: {}", problem.path, problem.message)
            }
        });
        Ok(Value::list(problems))
    }
}

#[async_trait]
impl Function for ConfigHash {
    fn signature(&self) -> Signature {
        Signature::new([config_parameter("config")], Type::String)
            .summary("Hashes the content of a machine configuration")
            .description(
                "SHA-256 of the content of a machine configuration, as hex: comments, formatting, key order and document \
                 order do not matter. It is what `config_hash` of `talosoci_node` holds.",
            )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        Ok(parse(&arguments)?.content_hash(&HashOptions::default()).into())
    }
}

#[async_trait]
impl Function for RedactConfig {
    fn signature(&self) -> Signature {
        Signature::new([config_parameter("config")], Type::String)
            .summary("Masks the secrets of a machine configuration")
            .description(
                "The machine configuration with every secret masked: keys, tokens, and values that look like keys wherever \
                 they stand. Fit to be shown or stored.",
            )
    }

    async fn call(&self, _ctx: &Context, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        Ok(parse(&arguments)?.redacted().into())
    }
}
