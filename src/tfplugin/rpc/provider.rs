//! What the provider is, and its configuration.

use std::{collections::HashMap, sync::Arc};

use super::{
    convert,
    registry::{Known, Registry},
};
use crate::{
    tfplugin::{
        diagnostic::{Diagnostic, Diagnostics},
        plan,
        provider::{Context, Provider},
        validate,
    },
    wire::tfplugin6 as wire,
};

/// A delete is planned too; the schema never changes; states of other types may be moved here.
const CAPABILITIES: wire::ServerCapabilities =
    wire::ServerCapabilities { plan_destroy: true, get_provider_schema_optional: true, move_resource_state: true };

pub fn metadata(registry: &Registry) -> wire::get_metadata::Response {
    use wire::get_metadata::{FunctionName, TypeName};
    fn names<'n>(names: impl Iterator<Item = &'n &'static str>) -> Vec<TypeName> {
        names.map(|name| TypeName { type_name: (*name).to_owned() }).collect()
    }
    wire::get_metadata::Response {
        server_capabilities: Some(CAPABILITIES),
        diagnostics: Vec::new(),
        data_sources: names(registry.data_sources.keys()),
        resources: names(registry.resources.keys()),
        functions: registry.functions.keys().map(|name| FunctionName { name: (*name).to_owned() }).collect(),
        ephemeral_resources: names(registry.ephemeral_resources.keys()),
    }
}

pub fn schemas(registry: &Registry) -> wire::get_provider_schema::Response {
    fn all<'k, T: ?Sized + 'k>(
        known: impl IntoIterator<Item = (&'k &'static str, &'k Arc<Known<T>>)>,
    ) -> HashMap<String, wire::Schema> {
        known.into_iter().map(|(name, known)| ((*name).to_owned(), convert::schema(&known.schema))).collect()
    }
    let problems = registry.problems.iter().map(|problem| Diagnostic::error("Invalid schema", problem));
    wire::get_provider_schema::Response {
        provider: Some(convert::schema(&registry.provider.schema)),
        resource_schemas: all(&registry.resources),
        data_source_schemas: all(&registry.data_sources),
        diagnostics: convert::diagnostics(problems.collect()),
        provider_meta: None,
        server_capabilities: Some(CAPABILITIES),
        functions: functions(registry),
        ephemeral_resource_schemas: all(&registry.ephemeral_resources),
    }
}

pub fn functions(registry: &Registry) -> HashMap<String, wire::Function> {
    let functions = registry.functions.iter();
    functions.map(|(name, known)| ((*name).to_owned(), convert::function(&known.signature))).collect()
}

pub async fn validate(
    provider: Arc<dyn Provider>,
    registry: Arc<Registry>,
    ctx: Context,
    request: wire::validate_provider_config::Request,
) -> Result<wire::validate_provider_config::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &registry.provider.of)?;
    let mut told = validate::config(&registry.provider.schema.attributes, &config, true);
    told.extend(provider.validate(&ctx, &config).await);
    Ok(wire::validate_provider_config::Response { diagnostics: convert::diagnostics(told) })
}

pub async fn configure(
    provider: Arc<dyn Provider>,
    registry: Arc<Registry>,
    ctx: Context,
    request: wire::configure_provider::Request,
) -> Result<wire::configure_provider::Response, Diagnostics> {
    let config = convert::value(request.config.as_ref(), &registry.provider.of)?;
    let config = plan::with_defaults(&registry.provider.schema.attributes, &config, &config);
    let told = provider.configure(&ctx, config).await;
    Ok(wire::configure_provider::Response { diagnostics: convert::diagnostics(told) })
}
